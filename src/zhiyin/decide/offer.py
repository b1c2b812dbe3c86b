# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis knows the type of a column when it runs)
"""Which offer of a campaign suits a customer most, and which of its products to show her.

The offer: the one on whose products she has spent most, then bought them most often, then the one
that is most popular with everybody, then the smallest id. Its products: first what is recommended
to her, then what she buys herself, then what everybody buys. The engine makes all sums; what
comes back is a few rows per customer.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
from ibis import _

from zhiyin.core import columns as c

PRODUCTS_SHOWN = 4
ITEM = "item"
_NO_OFFER = ""  # while tables are joined; offer ids are never empty
_LINES, _SPEND, _ALL_LINES, _PLACE, _TIER = "lines", "spend", "all_lines", "place", "tier"


@dataclass(frozen=True)
class Offered:
    """What a customer gets: an offer (None: the campaign has none) and products, best first."""

    customer_id: str
    offer_id: str | None
    product_ids: tuple[str, ...]


def choose_offers(
    customers: ir.Table,
    *,
    offers: ir.Table,
    order_lines: ir.Table,
    recommendations: ir.Table,
    generic: ir.Table | None = None,
    as_of: date,
    shown: int = PRODUCTS_SHOWN,
) -> list[Offered]:
    """The offer and the products for each customer.

    Parameters
    ----------
    customers
        `customer_id`, one row each.
    offers
        The campaign's offers, one row per offer and product; offers that ended before `as_of` are
        left out. An offer without a product is good for any. No offer at all: products only.
    order_lines
        As visible on the day; lines of kind `item` count.
    recommendations
        Of the day, may be empty: `customer_id`, `product_id`, `rank`.
    generic
        `customer_id` of those who refused personalised content: they get the most popular offer
        and its most popular products, whatever they bought.
    as_of
        The day of the decision.
    shown
        Most products per customer.

    Returns
    -------
    One per customer, ordered by `customer_id`.
    """
    items = order_lines.filter(order_lines[c.KIND] == ITEM, order_lines[c.PRODUCT_ID].notnull())
    items = items.select(c.CUSTOMER_ID, c.PRODUCT_ID, c.AMOUNT_BASE_MINOR)
    running = _running(customers, offers, as_of=as_of)
    known = customers if generic is None else customers.anti_join(generic, c.CUSTOMER_ID)
    recommendations = recommendations.semi_join(known, c.CUSTOMER_ID)
    with ExitStack() as stack:  # what several sums need is made once, and dropped at the end
        popular = items.group_by(c.PRODUCT_ID).agg(**{_ALL_LINES: _.count()})
        goods = stack.enter_context(_goods(running, popular).cache())
        own = stack.enter_context(_own(items, known, goods).cache())
        best = stack.enter_context(_best_offer(customers, running, goods, own).cache())
        parts = [
            _keep_good(_recommended(recommendations), best, goods, shown=shown),
            _keep_good(_bought(own), best, goods, shown=shown),
            _popular(best, goods, shown=shown),
        ]
        tiers = [
            part.select(c.CUSTOMER_ID, c.PRODUCT_ID, **{_PLACE: part[_PLACE] + tier * shown})
            for tier, part in enumerate(parts)
        ]
        return _gather(best, ibis.union(*tiers), shown=shown)


def _running(customers: ir.Table, offers: ir.Table, *, as_of: date) -> ir.Table:
    """`offer_id`, `product_id` of offers that have not ended; one for anything if there is none."""
    ends = offers[c.END_ON]
    running = offers.filter(ends.isnull() | (ends >= ibis.literal(as_of)))
    running = running.select(c.OFFER_ID, c.PRODUCT_ID).distinct()
    if running.count().to_pyarrow().as_py():
        return running
    anything = {c.OFFER_ID: ibis.literal(_NO_OFFER), c.PRODUCT_ID: ibis.null("string")}
    return customers.select(**anything).distinct()


def _goods(running: ir.Table, popular: ir.Table) -> ir.Table:
    """Products of each offer, with `all_lines`; all that were sold where it names no product."""
    narrow = running.filter(running[c.PRODUCT_ID].notnull()).left_join(popular, c.PRODUCT_ID)
    narrow = narrow.mutate(**{_ALL_LINES: narrow[_ALL_LINES].fill_null(0)})
    wide = running.filter(running[c.PRODUCT_ID].isnull()).select(c.OFFER_ID).cross_join(popular)
    names = [c.OFFER_ID, c.PRODUCT_ID, _ALL_LINES]
    return ibis.union(narrow[names], wide[names], distinct=True)


def _own(items: ir.Table, customers: ir.Table, goods: ir.Table) -> ir.Table:
    """`lines` and `spend` of each customer on each product that an offer is good for."""
    own = items.semi_join(customers, c.CUSTOMER_ID).semi_join(goods, c.PRODUCT_ID)
    spend = _[c.AMOUNT_BASE_MINOR].sum().fill_null(0).cast("int64")
    return own.group_by(c.CUSTOMER_ID, c.PRODUCT_ID).agg(**{_LINES: _.count(), _SPEND: spend})


def _best_offer(customers: ir.Table, running: ir.Table, goods: ir.Table, own: ir.Table) -> ir.Table:
    """`customer_id`, `offer_id`: her best offer; the most popular one for who bought nothing."""
    liked = goods.group_by(c.OFFER_ID).agg(**{_ALL_LINES: _[_ALL_LINES].sum().cast("int64")})
    mine = own.inner_join(goods.drop(_ALL_LINES), c.PRODUCT_ID)
    mine = mine.group_by(c.CUSTOMER_ID, c.OFFER_ID)
    mine = mine.agg(**{_LINES: _[_LINES].sum(), _SPEND: _[_SPEND].sum()})
    mine = mine.inner_join(liked, c.OFFER_ID)
    order = [_[_SPEND].desc(), _[_LINES].desc(), _[_ALL_LINES].desc(), _[c.OFFER_ID].asc()]
    first = _place(mine, order, by=c.CUSTOMER_ID)
    first = first.filter(first[_PLACE] == 0).select(c.CUSTOMER_ID, c.OFFER_ID)
    every = running.select(c.OFFER_ID).distinct().left_join(liked, c.OFFER_ID)
    most = every.order_by([_[_ALL_LINES].fill_null(0).desc(), _[c.OFFER_ID].asc()]).limit(1)
    most = most.select(**{c.ALIAS: _[c.OFFER_ID]})
    joined = customers.select(c.CUSTOMER_ID).left_join(first, c.CUSTOMER_ID).cross_join(most)
    return joined.select(
        c.CUSTOMER_ID, **{c.OFFER_ID: ibis.coalesce(joined[c.OFFER_ID], joined[c.ALIAS])}
    )


def _recommended(recommendations: ir.Table) -> ir.Table:
    return recommendations.select(c.CUSTOMER_ID, c.PRODUCT_ID, **{_TIER: _[c.RANK]})


def _bought(own: ir.Table) -> ir.Table:
    order = [_[_LINES].desc(), _[_SPEND].desc(), _[c.PRODUCT_ID].asc()]
    placed = _place(own, order, by=c.CUSTOMER_ID)
    return placed.select(c.CUSTOMER_ID, c.PRODUCT_ID, **{_TIER: _[_PLACE]})


def _keep_good(rows: ir.Table, best: ir.Table, goods: ir.Table, *, shown: int) -> ir.Table:
    """The first `shown` products of each customer that her offer is good for."""
    kept = rows.inner_join(best, c.CUSTOMER_ID).semi_join(goods, [c.OFFER_ID, c.PRODUCT_ID])
    placed = _place(kept, [_[_TIER].asc(), _[c.PRODUCT_ID].asc()], by=c.CUSTOMER_ID)
    return placed.filter(placed[_PLACE] < shown)


def _popular(best: ir.Table, goods: ir.Table, *, shown: int) -> ir.Table:
    """The first `shown` products of each customer's offer by what everybody buys."""
    placed = _place(goods, [_[_ALL_LINES].desc(), _[c.PRODUCT_ID].asc()], by=c.OFFER_ID)
    return best.inner_join(placed.filter(placed[_PLACE] < shown), c.OFFER_ID)


def _gather(best: ir.Table, products: ir.Table, *, shown: int) -> list[Offered]:
    """Each product of a customer once, at its first place, the first `shown` in order."""
    once = products.group_by(c.CUSTOMER_ID, c.PRODUCT_ID).agg(**{_TIER: _[_PLACE].min()})
    placed = _place(once, [_[_TIER].asc(), _[c.PRODUCT_ID].asc()], by=c.CUSTOMER_ID)
    kept = placed.filter(placed[_PLACE] < shown).order_by(c.CUSTOMER_ID, _PLACE)
    lists: dict[str, list[str]] = defaultdict(list)
    for row in kept.select(c.CUSTOMER_ID, c.PRODUCT_ID).to_pyarrow().to_pylist():
        lists[row[c.CUSTOMER_ID]].append(row[c.PRODUCT_ID])
    rows = best.order_by(c.CUSTOMER_ID).to_pyarrow().to_pylist()
    return [
        Offered(row[c.CUSTOMER_ID], row[c.OFFER_ID] or None, tuple(lists[row[c.CUSTOMER_ID]]))
        for row in rows
    ]


def _place(rows: ir.Table, order: list, *, by: str) -> ir.Table:
    """`rows` with their place, from 0, within each group."""
    return rows.mutate(**{_PLACE: ibis.row_number().over(group_by=by, order_by=order)})
