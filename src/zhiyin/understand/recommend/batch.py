"""Recommendations of a day for every customer, as rows of table `recommendations`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import RECOMMENDATIONS
from zhiyin.understand.recommend.blend import RIDGE, Blend
from zhiyin.understand.recommend.history import History, keep_products, read_history
from zhiyin.understand.recommend.interactions import Interactions
from zhiyin.understand.recommend.reasons import explain_ranking
from zhiyin.understand.recommend.rules import arrange, merge_candidates
from zhiyin.understand.recommend.scorer import FILL, Ranking
from zhiyin.understand.recommend.tries import Tries, weave
from zhiyin.understand.recommend.wishes import Wishes

_CHUNK_CUSTOMERS = 2000


@dataclass(frozen=True)
class Recommended:
    """What a day's recommender gave.

    Attributes
    ----------
    rows
        Table `recommendations`: `as_of_on`, `customer_id`, `rank`, `product_id`, `score`
        (probability of a purchase within the horizon), `model` (`blend.repeat`, `blend.new`,
        `popularity`, `pin` or `explore`), `reason` (JSON, see `reasons.explain_ranking`).
    card
        What the model learned and on how much; JSON values, for table `insights`.
    status
        `ok`, `too_little_history` (prior weights rank) or `no_products` (no rows).
    """

    rows: pa.Table
    card: Mapping[str, Any] = field(default_factory=dict)
    status: str = "ok"


def recommend_batch(
    interactions: Interactions,
    *,
    as_of: date,
    until: datetime,
    top: int = 20,
    min_new: int = 5,
    min_buyers: int = 20,
    categories: Mapping[str, str] | None = None,
    ridges: Sequence[float] = (RIDGE,),
    wishes: Wishes | None = None,
    tries: Tries | None = None,
) -> Recommended:
    """The `top` products of every customer with a purchase before `until`.

    Parameters
    ----------
    interactions
        As in `history.read_history`: `customer_id`, `product_id`, `sold_at`, `quantity`.
    as_of, until
        The local day, and its 00:00 as a UTC moment.
    top
        Length of each list.
    min_new
        So many places, at least, go to products she has not bought (where there are such), so
        that a list is not her shopping list alone; 0..`top`.
    min_buyers
        Buyers a product needs.
    categories
        Category of a product by its id; sharpens new products.
    ridges
        Penalties of EASE to choose from on the last month; one: no choice, half the time.
    wishes
        Rules of the shop: stock, margin, rests, categories, pins, diversity, novelty.
    tries
        Products with fewer buyers that may have some of the places; None: none has.

    Raises
    ------
    InvalidParameter
        If `top`, `min_new` or `min_buyers` is out of range or a column is missing.
    """
    if top < 1:
        raise InvalidParameter(f"top is {top}, it must be at least 1")
    if not 0 <= min_new <= top:
        raise InvalidParameter(f"min_new is {min_new}, it must be within 0..{top}")
    if min_buyers < 1:
        raise InvalidParameter(f"min_buyers is {min_buyers}, it must be at least 1")
    everything = read_history(interactions, until=until, min_buyers=1)
    history = keep_products(everything, everything.buyers >= min_buyers)
    schema = arrow_schema(RECOMMENDATIONS)
    if not history.shape[0] or not history.shape[1]:
        card = {"status": "no_products"} | _sizes(history)
        return Recommended(schema.empty_table(), card, "no_products")
    model = Blend(min_buyers=min_buyers, categories=categories or {}, ridges=ridges)
    model.fit(history)
    wishes = wishes or Wishes()
    explorer, places = None, np.zeros(0, dtype=np.int64)
    if tries is not None and len(places := tries.places(top)):
        explorer = tries.fit(everything, min_buyers=min_buyers, horizon_days=model.horizon_days)
    parts = [schema.empty_table()]
    for codes, part in list_all(model, wishes, as_of=as_of, top=top, min_new=min_new):
        woven = part
        if explorer is not None:
            woven = weave(part, explorer, history, codes, places=places, top=top)
        parts.append(woven)
    rows = pa.concat_tables(parts)
    card = model.describe() | _sizes(history) | {"top": top, "min_new": min_new}
    if explorer is not None:
        card |= {"explore": explorer.describe()}
    known = set(map(str, history.products))
    if left := sorted(set(wishes.pins.values()) - known):
        card |= {"pins_left_out": left}
    return Recommended(rows, card, model.status_)


def list_all(
    model: Blend, wishes: Wishes, *, as_of: date, top: int, min_new: int
) -> Iterator[tuple[np.ndarray, pa.Table]]:
    """Customers by code and their lists, of a fitted blend, so many customers at a time."""
    history, schema = model.history, arrow_schema(RECOMMENDATIONS)
    shelf = wishes.shelf(history, model.categories)
    rules = wishes.arranged(history, min_new=min_new, top=top)
    pinned = np.array(list((rules.pins or {}).values()), dtype=np.int64)
    depth = wishes.depth(top, history.shape[1])
    for start in range(0, len(history.customers), _CHUNK_CUSTOMERS):
        codes = np.arange(start, min(start + _CHUNK_CUSTOMERS, len(history.customers)))
        candidates = merge_candidates(*model.recommend_both(codes, k=depth))
        candidates = wishes.bar(candidates, history, codes, pins=pinned.tolist())
        ranking = arrange(candidates, shelf, rules, k=top)
        yield codes, _rows(model, codes, ranking, as_of=as_of, pinned=pinned).cast(schema)


def _rows(
    model: Blend, codes: np.ndarray, ranking: Ranking, *, as_of: date, pinned: np.ndarray
) -> pa.Table:
    history = model.history
    reasons = explain_ranking(model.ease_, codes, ranking)
    filled = ranking.products >= 0
    rows, places = np.nonzero(filled)
    scores = ranking.scores[filled]
    fresh = np.where(scores > FILL, "blend.new", "popularity")
    models = np.where(reasons.repeat, "blend.repeat", fresh)
    models = np.where(np.isin(ranking.products[filled], pinned), "pin", models)
    return pa.table(
        {
            c.AS_OF_ON: pa.array([as_of] * len(rows), pa.date32()),
            c.CUSTOMER_ID: pa.array(history.customers[codes[rows]], pa.string()),
            c.RANK: pa.array(places + 1, pa.int64()),
            c.PRODUCT_ID: pa.array(history.products[ranking.products[filled]], pa.string()),
            c.SCORE: pa.array(scores.astype(np.float64), pa.float64()),
            c.MODEL: pa.array(models, pa.string()),
            c.REASON: reasons.texts,
        }
    )


def _sizes(history: History) -> dict[str, int]:
    return {
        "customers": history.shape[0],
        "products": history.shape[1],
        "purchases": len(history.customer),
    }
