# pyright: standard, reportOptionalSubscript=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false
# (scipy types the shape of a sparse array as maybe None)
"""Products that too few people bought for a model to learn from them: whom they may suit.

What is known of such a product is what it is: its groups, its brand, the words of its name. How
much that says is learned on the past alone, as in `blend`: from what was new to customers last
month; then, from products that were as little known a month ago, what the few who bought them say.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from zhiyin.core import columns as c
from zhiyin.understand.recommend.embedding import embed_texts
from zhiyin.understand.recommend.history import History, distinct
from zhiyin.understand.recommend.logit import Logit, fit_logit, prior_logit

LEVELS = (c.DEPARTMENT, c.CATEGORY, c.SUBCATEGORY, c.BRAND)
CONTENT = (*LEVELS, *(f"demand_{one}" for one in LEVELS), "demand_text")
"""Signals of what a product is: her taste for its groups, how well products like it sell."""
LITTLE = ("content", "buyers", "buyers_28d")
"""Signals of a product that is little known: the log-odds of `CONTENT`, and its own buyers."""
COLUMNS = (c.PRODUCT_ID, c.NAME, *LEVELS)
"""What is read of table `products`."""
_DRAWN_TO = 20.0  # purchases by which a share is drawn to everybody's
_POOL, _OF_GROUP = 3000, 30  # products that are looked at, and of each subcategory
_MIN_POSITIVES = 50
_TEACHERS, _UNTAKEN = 1000, 100  # customers that teach, and products each did not take


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What products are.

    Attributes
    ----------
    ids
        (I,) sorted.
    groups
        By level, (I,) code of each product's group; -1 where it is not known.
    text
        (I, d) vectors of their names and groups.
    """

    ids: np.ndarray
    groups: dict[str, np.ndarray]
    text: np.ndarray


def read_catalogue(products: pa.Table) -> Catalogue:
    """From rows of table `products`, at least `COLUMNS`."""
    rows = products.select(COLUMNS).sort_by(c.PRODUCT_ID)
    groups = {}
    for level in LEVELS:
        coded = rows[level].combine_chunks().dictionary_encode()
        groups[level] = pc.fill_null(coded.indices, -1).to_numpy().astype(np.int64)
    said = [pc.fill_null(rows[name], "") for name in (c.NAME, *LEVELS)]
    texts = pc.binary_join_element_wise(*said, " ").to_pylist()
    ids = rows[c.PRODUCT_ID].to_numpy(zero_copy_only=False).astype(object)
    return Catalogue(ids, groups, embed_texts(texts))


@dataclass(frozen=True, eq=False)
class Known:
    """Purchases of products of a catalogue before a moment."""

    catalogue: Catalogue
    customers: int
    customer: np.ndarray
    product: np.ndarray  # place in the catalogue
    age_days: np.ndarray

    def before(self, days: float) -> Known:
        """What was known so many days earlier."""
        old = self.age_days > days
        age = self.age_days[old] - days
        return Known(self.catalogue, self.customers, self.customer[old], self.product[old], age)

    def since(self, days: float) -> sparse.csr_array:
        """(U, I) how often each customer bought each product in the last days."""
        late = self.age_days <= days
        return self._counts(self.customer[late], self.product[late])

    def _counts(self, customer: np.ndarray, product: np.ndarray) -> sparse.csr_array:
        shape = (self.customers, len(self.catalogue.ids))
        return sparse.csr_array(
            (np.ones(len(product), np.float32), (customer, product)), shape=shape
        )

    @cached_property
    def seen(self) -> sparse.csr_array:
        """(U, I) how often each customer bought each product."""
        return self._counts(self.customer, self.product)

    @cached_property
    def buyers(self) -> np.ndarray:
        """(I,) distinct buyers."""
        return np.bincount(self.seen.indices, minlength=len(self.catalogue.ids))

    @cached_property
    def own(self) -> np.ndarray:
        """(I, 2) what its own buyers say of a product."""
        return np.column_stack([np.log1p(self.buyers), np.log1p(self.recent)])

    @cached_property
    def recent(self) -> np.ndarray:
        """(I,) distinct buyers of the last 28 days."""
        size = len(self.catalogue.ids)
        lately = self.age_days <= 28
        key = distinct(self.customer[lately].astype(np.int64) * size + self.product[lately])
        return np.bincount(key % size, minlength=size)

    @cached_property
    def demand(self) -> np.ndarray:
        """(I, 5) log buyers a product of its group has, itself left out."""
        made = []
        for group in self.catalogue.groups.values():
            listed = np.bincount(group + 1)[group + 1] - 1
            sold = np.bincount(group + 1, self.recent)[group + 1] - self.recent
            made.append(np.log((sold + 1) / (listed + 5)))
        text = self.catalogue.text.astype(np.float64)
        wide = text.T @ text + np.eye(text.shape[1])
        slope = np.linalg.solve(wide, text.T @ np.log1p(self.recent))
        return np.column_stack([*made, text @ slope])

    @cached_property
    def _shares(self) -> dict[str, tuple[sparse.csr_array, np.ndarray]]:
        """By level: (U, G) purchases of each group, and everybody's share of it."""
        made = {}
        for level, group in self.catalogue.groups.items():
            code = group[self.product]
            there = code >= 0
            shape = (self.customers, int(group.max(initial=0)) + 1)
            ones = np.ones(int(there.sum()), np.float32)
            counts = sparse.csr_array((ones, (self.customer[there], code[there])), shape=shape)
            total = np.asarray(counts.sum(axis=0)).ravel()
            made[level] = counts, (total + 1) / (total.sum() + shape[1])
        return made

    def affinity(self, level: str, codes: np.ndarray) -> np.ndarray:
        """(n, G + 1) log of her share of purchases of a group over everybody's; last: unknown."""
        counts, share = self._shares[level]
        mine = counts[codes].toarray()
        total = mine.sum(axis=1, keepdims=True)
        mine += (_DRAWN_TO * share).astype(np.float32)
        mine /= (total + _DRAWN_TO) * share.astype(np.float32)
        return np.pad(np.log(mine), ((0, 0), (0, 1)))

    def content(self, codes: np.ndarray, rows: np.ndarray, products: np.ndarray) -> np.ndarray:
        """(m, 9) `CONTENT` of pairs: row within `codes` and product."""
        groups = self.catalogue.groups
        columns = [self.affinity(one, codes)[rows, groups[one][products]] for one in LEVELS]
        return np.column_stack([*columns, self.demand[products]])


@dataclass(frozen=True, eq=False)
class Explorer:
    """Products that may be tried, and how likely each customer is to take them.

    Attributes
    ----------
    pool
        (m,) places in the catalogue of the products that may be in a list.
    of_content, of_little
        Weights of `CONTENT` and of `LITTLE`.
    status
        `ok`, or `too_little_history`: weights set by hand.
    """

    known: Known
    pool: np.ndarray
    of_content: Logit
    of_little: Logit
    status: str = "ok"

    @property
    def ids(self) -> np.ndarray:
        """Ids of the products of the pool."""
        return self.known.catalogue.ids[self.pool]

    def score(self, codes: np.ndarray) -> np.ndarray:
        """(n, m) log-odds that each customer buys each product of the pool within the horizon;
        minus infinity for what she has bought, and where she bought nothing yet.
        """
        little = self.of_little.weights / self.of_little.spread
        weights = self.of_content.weights / self.of_content.spread * little[0]
        base = _of_product(self.known, self.pool, self.of_content, self.of_little)
        total = np.repeat(base[None, :].astype(np.float32), len(codes), axis=0)
        for weight, level in zip(weights, LEVELS, strict=False):
            part = self.known.affinity(level, codes) * np.float32(weight)
            total += part[:, self.known.catalogue.groups[level][self.pool]]
        seen = self.known.seen[codes]
        total[seen[:, self.pool].toarray() > 0] = -np.inf
        total[np.diff(seen.indptr) == 0] = -np.inf
        return total

    def describe(self) -> dict[str, Any]:
        """What was learned, as JSON values."""
        weights = {
            name: round(float(one), 4)
            for names, logit in ((CONTENT, self.of_content), (LITTLE, self.of_little))
            for name, one in zip(names, logit.weights, strict=True)
        }
        return {"status": self.status, "products": len(self.pool), "weights": weights}


def know(history: History, catalogue: Catalogue) -> Known:
    """The purchases of a history that holds every product, by places in the catalogue."""
    place = np.searchsorted(catalogue.ids, history.products)
    place = np.minimum(place, max(len(catalogue.ids) - 1, 0))
    listed = (
        catalogue.ids[place] == history.products
        if len(catalogue.ids)
        else np.zeros(len(place), bool)
    )
    kept = listed[history.product] if len(history.product) else np.zeros(0, bool)
    product = place[history.product[kept]]
    return Known(
        catalogue, history.shape[0] + 1, history.customer[kept], product, history.age_days[kept]
    )


def fit_explorer(
    known: Known,
    *,
    min_buyers: int,
    horizon_days: float = 30.0,
    allowed: np.ndarray | None = None,
) -> Explorer:
    """Learn from the last `horizon_days` which products people take up.

    Parameters
    ----------
    min_buyers
        Products with fewer buyers are little known.
    allowed
        (I,) products that may be in the pool; None: all.
    """
    past, later = known.before(horizon_days), known.since(horizon_days)
    everything = np.arange(len(known.catalogue.ids))
    rows, products, labels, codes = _examples(past, later, everything)
    of_content = _fit(past.content(codes, rows, products), labels)
    content = of_content or Logit(
        np.zeros(len(CONTENT)), np.ones(len(CONTENT)), _PRIOR, _PRIOR_INTERCEPT
    )
    little = np.flatnonzero(past.buyers < min_buyers)
    rows, products, labels, codes = _examples(past, later, little)
    said = content.log_odds(past.content(codes, rows, products))
    of_little = _fit(np.column_stack([said, past.own[products]]), labels)
    own = prior_logit(LITTLE, "content", intercept=0.0)
    if of_little is not None:
        share = min(1.0, _UNTAKEN / len(little))  # of what was not taken, that was looked at
        own = Logit(
            of_little.center, of_little.spread, of_little.weights,
            of_little.intercept + float(np.log(share)),
        )  # fmt: skip
    able = known.buyers < min_buyers
    if allowed is not None:
        able &= allowed
    status = "too_little_history" if of_little is None else "ok"
    pool = _choose(known, np.flatnonzero(able), content, own)
    return Explorer(known, pool, content, own, status)


_PRIOR = np.array([0.2, 0.3, 0.2, 0.2, 0.0, 0.4, 0.2, 0.1, 0.1])  # in a shop of its size
_PRIOR_INTERCEPT = -8.0


def _of_product(known: Known, products: np.ndarray, content: Logit, little: Logit) -> np.ndarray:
    """Log-odds of products for somebody whose taste is everybody's."""
    said = np.zeros((len(products), len(CONTENT)))
    said[:, len(LEVELS) :] = known.demand[products]
    return little.log_odds(np.column_stack([content.log_odds(said), known.own[products]]))


def _choose(known: Known, able: np.ndarray, content: Logit, little: Logit) -> np.ndarray:
    """The most promising products for everybody, not too many of one group."""
    order = able[np.argsort(-_of_product(known, able, content, little), kind="stable")]
    group = known.catalogue.groups[c.SUBCATEGORY][order]
    by_group = np.argsort(group, kind="stable")
    start = np.searchsorted(group[by_group], group[by_group])
    rank = np.empty(len(order), np.int64)
    rank[by_group] = np.arange(len(order)) - start
    return order[(rank < _OF_GROUP) | (group < 0)][:_POOL]


def _fit(signals: np.ndarray, labels: np.ndarray) -> Logit | None:
    few = min(labels.sum(), len(labels) - labels.sum()) < _MIN_POSITIVES
    return None if few else fit_logit(signals, labels)


def _examples(
    past: Known, later: sparse.csr_array, able: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Row, product and label of pairs, and the customers that the rows are: of some products all
    that were new to her and taken, and an even part of what was not.
    """
    active = np.flatnonzero((np.diff(past.seen.indptr) > 0) & (np.diff(later.indptr) > 0))
    if len(active) > _TEACHERS:
        active = active[np.linspace(0, len(active) - 1, _TEACHERS).astype(np.int64)]
    wide = past.seen.shape[1]
    had, took = _keys(past.seen[active], wide), _keys(later[active], wide)
    fresh = took[~np.isin(took, had, assume_unique=True)]
    may = np.zeros(wide, dtype=bool)
    may[able] = True
    fresh = fresh[may[fresh % wide]]
    size = len(able)
    step = max(1, size // _UNTAKEN)
    shift = np.arange(len(active))[:, None] * 7919  # another part for each
    drawn = able[(np.arange(min(_UNTAKEN, size)) * step + shift) % size] if size else able[None, :]
    keys = (np.arange(len(active))[:, None] * wide + drawn).ravel()
    free = distinct(keys)
    free = free[~np.isin(free, distinct(np.r_[had, took]), assume_unique=True)]
    both = np.r_[fresh, free]
    return both // wide, both % wide, np.r_[np.ones(len(fresh)), np.zeros(len(free))], active


def _keys(pairs: sparse.csr_array, wide: int) -> np.ndarray:
    """Row and column of each entry as one number, sorted."""
    rows = np.repeat(np.arange(pairs.shape[0], dtype=np.int64), np.diff(pairs.indptr))
    return distinct(rows * wide + pairs.indices)
