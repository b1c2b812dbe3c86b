"""Little known products in the lists of a turn: a bounded share of the places is theirs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import RECOMMENDATIONS
from zhiyin.understand.recommend.explore import (
    Explorer,
    fit_explorer,
    know,
    read_catalogue,
)
from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.scorer import top_k

MODEL = "explore"
_DEPTH = 8  # products looked at for each place: those of a category already there are passed over
_SAID_BY = (c.SUBCATEGORY, c.CATEGORY)  # a department says too little


@dataclass(frozen=True, eq=False)
class Tries:
    """What may be tried, as a turn is told.

    Attributes
    ----------
    products
        Rows of table `products`, at least `explore.COLUMNS`.
    share
        So many of the first k places of a list, for each k, at most; a rate.
    closed
        Products that are not tried: hidden by a rule, without margin, sold out.
    """

    products: pa.Table
    share: float
    closed: frozenset[str] = field(default_factory=frozenset[str])

    def fit(self, everything: History, *, min_buyers: int, horizon_days: float) -> Explorer:
        """Learn from a history of all products; those with fewer buyers may be tried."""
        catalogue = read_catalogue(self.products)
        allowed = np.array([one not in self.closed for one in catalogue.ids], dtype=bool)
        return fit_explorer(
            know(everything, catalogue), min_buyers=min_buyers, horizon_days=horizon_days,
            allowed=allowed,
        )  # fmt: skip

    def places(self, top: int) -> np.ndarray:
        """Ranks that go to little known products, from 1: the m-th is at m / share or behind it."""
        count = int(self.share * top + 1e-9)
        return np.ceil(np.arange(1, count + 1) / max(self.share, 1e-9) - 1e-9).astype(np.int64)


def weave(
    rows: pa.Table, explorer: Explorer, history: History, codes: np.ndarray, *, places: np.ndarray,
    top: int,
) -> pa.Table:  # fmt: skip
    """Lists with little known products among them.

    Parameters
    ----------
    rows
        Table `recommendations` of the customers `codes`, one list after the other.
    places
        Ranks that are theirs; a list that does not reach up to one is left as it is there.
    top
        Length of a list: what is pushed behind it goes.
    """
    if not len(places) or not len(explorer.pool):
        return rows
    scores = explorer.score(codes)
    best, odds = top_k(scores, min(_DEPTH * len(places), scores.shape[1]))
    chosen, odds = _each_of_a_category(explorer, best, odds, len(places))
    ids = history.customers[codes]
    who = np.searchsorted(ids, rows[c.CUSTOMER_ID].to_numpy(zero_copy_only=False).astype(object))
    rank = rows[c.RANK].to_numpy()
    length = np.bincount(who, minlength=len(codes))
    reached = places - np.arange(1, len(places) + 1) <= length[:, None]
    count = ((chosen >= 0) & reached).cumprod(axis=1).sum(axis=1)
    free = np.stack(
        [np.setdiff1d(np.arange(1, 2 * top + 1), places[:n])[:top] for n in range(len(places) + 1)]
    )
    moved = free[count[who], rank - 1]
    row, place = np.nonzero(np.arange(len(places)) < count[:, None])
    tried = chosen[row, place]
    products = explorer.pool[tried]
    made = pa.table(
        {
            c.AS_OF_ON: pa.array([rows[c.AS_OF_ON][0].as_py()] * len(row), pa.date32()),
            c.CUSTOMER_ID: pa.array(ids[row], pa.string()),
            c.RANK: pa.array(places[place]),
            c.PRODUCT_ID: pa.array(explorer.ids[tried], pa.string()),
            c.SCORE: pa.array(1 / (1 + np.exp(-odds[row, place].astype(np.float64)))),
            c.MODEL: pa.array([MODEL] * len(row), pa.string()),
            c.REASON: _reasons(explorer, codes, row, products),
        }
    ).cast(arrow_schema(RECOMMENDATIONS))
    rows = rows.set_column(rows.column_names.index(c.RANK), c.RANK, pa.array(moved))
    both = pa.concat_tables([rows.cast(made.schema), made])
    order = np.lexsort((np.r_[moved, places[place]], np.r_[who, row]))
    kept = order[np.r_[moved, places[place]][order] <= top]
    return both.take(pa.array(kept))


def _each_of_a_category(
    explorer: Explorer, best: np.ndarray, odds: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """(n, count) columns of the pool, best first, no two of a category; -1: there is none left."""
    category = explorer.known.catalogue.groups[c.CATEGORY][explorer.pool][best]
    open_ = ~np.isneginf(odds)
    rows = np.arange(len(best))
    chosen, value = np.full((len(best), count), -1), np.zeros((len(best), count), np.float32)
    for place in range(count):
        at = open_.argmax(axis=1)
        found = open_[rows, at]
        chosen[found, place] = best[rows, at][found]
        value[found, place] = odds[rows, at][found]
        its = category[rows, at][:, None]
        open_ &= ~((category == its) & (its >= 0) & found[:, None])
        open_[rows[found], at[found]] = False
    return chosen, value


def _reasons(
    explorer: Explorer, codes: np.ndarray, rows: np.ndarray, products: np.ndarray
) -> pa.Array:
    """What she bought most of the same subcategory, else category."""
    catalogue, seen = explorer.known.catalogue, explorer.known.seen[codes]
    owner = np.repeat(np.arange(len(codes)), np.diff(seen.indptr))
    said = np.full(len(rows), -1)
    for level in _SAID_BY:
        group = catalogue.groups[level]
        width = int(group.max(initial=0)) + 2
        mine = group[seen.indices]
        order = np.lexsort((seen.indices, -seen.data, mine, owner))
        keys = owner[order] * width + mine[order]
        if not len(keys):
            break
        wanted = rows * width + group[products]
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found = (keys[at] == wanted) & (group[products] >= 0) & (said < 0)
        said[found] = seen.indices[order][at[found]]
    texts = [
        json.dumps(
            {"kind": MODEL} if one < 0
            else {"kind": "because", "products": [
                {c.PRODUCT_ID: str(catalogue.ids[one]), "share": 1.0}]},
            ensure_ascii=False,
        )
        for one in said.tolist()
    ]  # fmt: skip
    return pa.array(texts, pa.string())
