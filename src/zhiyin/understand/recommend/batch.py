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
from zhiyin.understand.recommend.history import History, Interactions, read_history
from zhiyin.understand.recommend.reasons import explain_ranking
from zhiyin.understand.recommend.scorer import FILL, Ranking

_CHUNK_CUSTOMERS = 2000


@dataclass(frozen=True)
class Recommended:
    """What a day's recommender gave.

    Attributes
    ----------
    rows
        Table `recommendations`: `as_of_on`, `customer_id`, `rank`, `product_id`, `score`
        (probability of a purchase within the horizon), `model` (`blend.repeat`, `blend.new` or
        `popularity`), `reason` (JSON, see `reasons.explain_ranking`).
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

    Raises
    ------
    InvalidParameter
        If `top`, `min_new` or `min_buyers` is out of range or a column is missing.
    """
    if top < 1:
        raise InvalidParameter(f"top is {top}, it must be at least 1")
    if not 0 <= min_new <= top:
        raise InvalidParameter(f"min_new is {min_new}, it must be within 0..{top}")
    history = read_history(interactions, until=until, min_buyers=min_buyers)
    schema = arrow_schema(RECOMMENDATIONS)
    if not history.shape[0] or not history.shape[1]:
        card = {"status": "no_products"} | _sizes(history)
        return Recommended(schema.empty_table(), card, "no_products")
    model = Blend(min_buyers=min_buyers, categories=categories or {}, ridges=ridges)
    model.fit(history)
    parts = [schema.empty_table(), *list_all(model, as_of=as_of, top=top, min_new=min_new)]
    card = model.describe() | _sizes(history) | {"top": top, "min_new": min_new}
    return Recommended(pa.concat_tables(parts), card, model.status_)


def list_all(model: Blend, *, as_of: date, top: int, min_new: int) -> Iterator[pa.Table]:
    """The lists of all customers of a fitted blend, so many customers at a time."""
    schema, customers = arrow_schema(RECOMMENDATIONS), len(model.history.customers)
    for start in range(0, customers, _CHUNK_CUSTOMERS):
        codes = np.arange(start, min(start + _CHUNK_CUSTOMERS, customers))
        everything, new = model.recommend_both(codes, k=top)
        ranking = reserve_new(everything, new, places=min_new)
        yield _rows(model, codes, ranking, as_of=as_of).cast(schema)


def reserve_new(everything: Ranking, new: Ranking, *, places: int) -> Ranking:
    """Lists of everything in which the best `places` new products are kept, best first.

    Both rankings are of the same customers and length. The new ones that would miss the list push
    out the last of the others; the order stays that of scores, ties to the smaller product.
    """
    k = everything.products.shape[1]
    products, scores = everything.products.copy(), everything.scores.copy()
    best = new.products[:, :places]
    lacking = (best >= 0) & ~(best[:, :, None] == products[:, None, :]).any(axis=2)
    for row in np.flatnonzero(lacking.any(axis=1)):
        kept = best[row][best[row] >= 0]
        missing = ~np.isin(kept, products[row])
        ours = np.flatnonzero(~np.isin(products[row], kept) & (products[row] >= 0))
        free = np.flatnonzero(products[row] < 0)
        give = np.concatenate([free, ours[::-1]])[: int(missing.sum())]
        products[row, give] = kept[missing]
        scores[row, give] = new.scores[row, :places][: len(kept)][missing]
        order = np.lexsort((products[row], -scores[row], products[row] < 0))[:k]
        products[row], scores[row] = products[row, order], scores[row, order]
    return Ranking(products, scores)


def _rows(model: Blend, codes: np.ndarray, ranking: Ranking, *, as_of: date) -> pa.Table:
    history = model.history
    reasons = explain_ranking(model.ease_, codes, ranking)
    filled = ranking.products >= 0
    rows, places = np.nonzero(filled)
    scores = ranking.scores[filled]
    fresh = np.where(scores > FILL, "blend.new", "popularity")
    return pa.table(
        {
            c.AS_OF_ON: pa.array([as_of] * len(rows), pa.date32()),
            c.CUSTOMER_ID: pa.array(history.customers[codes[rows]], pa.string()),
            c.RANK: pa.array(places + 1, pa.int64()),
            c.PRODUCT_ID: pa.array(history.products[ranking.products[filled]], pa.string()),
            c.SCORE: pa.array(scores.astype(np.float64), pa.float64()),
            c.MODEL: pa.array(np.where(reasons.repeat, "blend.repeat", fresh), pa.string()),
            c.REASON: reasons.texts,
        }
    )


def _sizes(history: History) -> dict[str, int]:
    return {
        "customers": history.shape[0],
        "products": history.shape[1],
        "purchases": len(history.customer),
    }
