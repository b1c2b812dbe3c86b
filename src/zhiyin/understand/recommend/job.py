"""Recommendations of a turn: the lists of the day, and those of the check day.

It is a part of the job `understand.models`, which writes what comes back. They need nothing that
the models of the same turn learn: what they are made from is read first, then a `ListMaker`
makes them beside the models.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import ibis.expr.types as ir
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.clock import start_of_day
from zhiyin.core.config import UnderstandSettings
from zhiyin.core.context import Context
from zhiyin.core.currency import EXPONENTS
from zhiyin.understand.recommend.batch import Recommended, recommend_batch
from zhiyin.understand.recommend.catalogue import COLUMNS
from zhiyin.understand.recommend.goods import read_goods
from zhiyin.understand.recommend.lists import rank_all
from zhiyin.understand.recommend.together import bought_together
from zhiyin.understand.recommend.tries import Tries
from zhiyin.understand.recommend.wishes import Wishes, looks_at_products, read_wishes

_READ = (c.CUSTOMER_ID, c.PRODUCT_ID, c.SOLD_AT, c.QUANTITY)
_WITH_EACH = 20  # products told to go with each


@dataclass(frozen=True, eq=False)
class Asked:
    """What the lists of one day are made from: arguments of `recommend_batch` and `rank_all`."""

    purchases: pa.Table
    terms: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Lists:
    """Lists of the day, of every model as of the check day, which only `measure` reads, and what
    is bought together as of the day, rows of table `together`.
    """

    today: Recommended
    check: pa.Table | None
    together: pa.Table


def read_day(
    ctx: Context, config: UnderstandSettings, order_lines: ir.Table, day: date,
    *, orders: bool = False,
) -> Asked:  # fmt: skip
    """What is known on a day, `order_lines` as seen on it; with ids of orders where asked."""
    items = order_lines.filter(order_lines[c.KIND] == "item")
    rows = items.select(*_READ, *([c.ORDER_ID] if orders else [])).to_pyarrow()
    terms = {
        "as_of": day,
        "until": start_of_day(day, ctx.settings.zone),
        "min_buyers": config.recommend_min_buyers,
        "categories": _categories(ctx, day),
    }
    return Asked(rows, terms)


def ask_wishes(ctx: Context, order_lines: ir.Table, day: date) -> tuple[Wishes, Tries | None]:
    """The rules of the shop as of a day, and what its lists may try."""
    rules = ctx.settings.recommend
    products, goods, tries = None, None, None
    if looks_at_products(rules) or rules.explore_share:
        products = ctx.store.read("products", as_of=day).select(*COLUMNS).to_pyarrow()
        goods = read_goods(products, rules, exponent=EXPONENTS[ctx.settings.currency])
    returned: list[tuple[str, str]] = []
    if rules.skip_returned:
        back = order_lines.filter(
            (order_lines[c.KIND] == "return")
            & order_lines[c.CUSTOMER_ID].notnull()
            & order_lines[c.PRODUCT_ID].notnull()
        )
        pairs = back.select(c.CUSTOMER_ID, c.PRODUCT_ID).distinct().to_pyarrow().to_pydict()
        returned = list(zip(pairs[c.CUSTOMER_ID], pairs[c.PRODUCT_ID], strict=True))
    wishes = read_wishes(rules, goods, returned)
    if products is not None and goods is not None and rules.explore_share and len(goods.ids):
        gone = goods.ids.filter(pa.array(~goods.offered)).to_pylist()
        tries = Tries(products, rules.explore_share, wishes.hidden | wishes.poor | set(gone))
    return wishes, tries


class ListMaker:
    """Fits and ranks: for the day by the shop's rules, for the check day from a fit apart.

    `aside` begins at once. What it has not begun when the lists are asked for is made by who asks:
    both end at the same time.
    """

    def __init__(
        self, aside: Executor, today: Asked, check: Asked | None, wishes: Wishes,
        tries: Tries | None, *, top: int,
    ) -> None:  # fmt: skip
        batch = partial(
            recommend_batch, today.purchases, top=top, min_new=min(5, top), wishes=wishes,
            tries=tries, **today.terms,
        )  # fmt: skip
        self._parts: list[Callable[[], Any]] = [
            batch, partial(_check, check), partial(_find_together, today),
        ]  # fmt: skip
        self._begun = [aside.submit(part) for part in self._parts]

    def lists(self) -> Lists:
        """All of them; waits until they are made."""
        made: dict[int, Any] = {}
        for place in reversed(range(len(self._parts))):
            if self._begun[place].cancel():
                made[place] = self._parts[place]()
        today, check, together = (
            made[at] if at in made else one.result() for at, one in enumerate(self._begun)
        )
        return Lists(today, check, together)


def _check(check: Asked | None) -> pa.Table | None:
    return None if check is None else rank_all(check.purchases, **check.terms)


def _find_together(today: Asked) -> pa.Table:
    found = bought_together(today.purchases, k=_WITH_EACH)
    day = pa.array([today.terms["as_of"]] * found.num_rows, pa.date32())
    return found.add_column(0, c.AS_OF_ON, day)


def _categories(ctx: Context, day: date) -> dict[str, str]:
    products = ctx.store.read("products", as_of=day).select(c.PRODUCT_ID, c.CATEGORY)
    rows = products.filter(products[c.CATEGORY].notnull()).to_pyarrow().to_pydict()
    return dict(zip(rows[c.PRODUCT_ID], rows[c.CATEGORY], strict=True))
