"""What speaks for buying a product next: the numbers that the blend weighs.

All logarithms are natural and floored, so every signal is finite for every customer and product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from zhiyin.understand.recommend.history import History

NEW = (
    "ease", "buyers_7d", "buyers_28d", "buyers_112d", "buyers", "first_buys_28d",
    "first_buys_56d", "category",
)  # fmt: skip
_PLAIN: tuple[str, ...] = (
    "times", "share_of_visits", "decayed_20d", "decayed_60d", "decayed_180d", "last", "first",
    "gap", "due", "due_squared", "ease", "repeats_per_buyer", "buyers_7d", "buyers_28d", "buyers",
)  # fmt: skip
_CURVED: tuple[str, ...] = (
    "share_of_visits", "decayed_20d", "decayed_180d", "last", "gap", "due", "buyers_28d",
    "repeats_per_buyer", "ease", "buyers",
)  # fmt: skip
_PAIRS = [(one, two) for place, one in enumerate(_CURVED) for two in _CURVED[place:]]
_PLACES = [(_PLAIN.index(one), _PLAIN.index(two)) for one, two in _PAIRS]
REPEAT = _PLAIN + tuple(f"{one} x {two}" for one, two in _PAIRS)
"""Products of signals among them: how soon she needs milk again bends with how often she takes it.
On November of The Complete Journey they lift nDCG@10 of all products from .429 to .436."""

_FLOOR = np.float32(1e-4)
_BLOCK = 2048
_ONCE_GAP_DAYS = 400.0  # stands for the unknown gap of a product bought once


@dataclass(frozen=True, eq=False)
class Signals:
    """Signals by product (`of_product`), by pair ever bought (`of_pair`), and of categories.

    Attributes
    ----------
    trend
        (I,) sqrt((buyers in 28 days + 1) / (buyers + 1)): what sells now against ever.
    affinity
        (U + 1, categories) log of the customer's share of purchases in the category over
        everybody's, drawn to 0 by 50 purchases; None where categories are not known.
    category
        (I,) column of each product in `affinity`.
    """

    of_product: dict[str, np.ndarray]
    of_pair: dict[str, sparse.csr_array]
    trend: np.ndarray
    affinity: np.ndarray | None
    category: np.ndarray

    def new(self, rows: np.ndarray, products: np.ndarray, ease: np.ndarray) -> np.ndarray:
        """(n, 8) signals `NEW` of products not bought before, for customers by code."""
        columns = [log_floored(ease)]
        columns += [self.of_product[name][products] for name in NEW[1:-1]]
        if self.affinity is None:
            columns.append(np.zeros(len(products)))
        else:
            columns.append(self.affinity[rows, self.category[products]])
        return np.column_stack(columns)

    def repeat(self, rows: np.ndarray, products: np.ndarray, ease: np.ndarray) -> np.ndarray:
        """(n, 70) signals `REPEAT` of products bought before; pairs in order of the history."""
        columns = []
        for name in _PLAIN:
            if name == "ease":
                columns.append(log_floored(ease))
            elif name in self.of_product:
                columns.append(self.of_product[name][products])
            else:
                columns.append(self.of_pair[name][rows].data)
        return _with_pairs(columns)


def _with_pairs(columns: Sequence[np.ndarray]) -> np.ndarray:
    """(n, 70): the signals `_PLAIN`, (n,) each, and the products `_PAIRS` of them."""
    made = np.empty((len(columns[0]), len(REPEAT)))
    for start in range(0, len(made), _BLOCK):  # as many rows as stay in the processor's cache
        block = made[start : start + _BLOCK]
        known = [column[start : start + _BLOCK] for column in columns]
        for place, column in enumerate(known):
            block[:, place] = column
        for place, (one, two) in enumerate(_PLACES, start=len(known)):
            np.multiply(known[one], known[two], out=block[:, place])
    return made


def measure_signals(
    history: History, *, of_products: History | None = None, categories: np.ndarray | None = None
) -> Signals:
    """All signals of a history.

    Parameters
    ----------
    of_products
        Where products' own signals come from; None: from `history` too.
    categories
        (I,) category of each product (any labels), None where unknown.
    """
    affinity, category = _affinity(history, categories)
    market = of_products or history
    of_product = _of_product(market)
    recent = np.expm1(of_product["buyers_28d"])
    return Signals(
        of_product=of_product,
        of_pair={name: history.matrix(values) for name, values in _of_pair(history).items()},
        trend=np.sqrt((recent + 1) / (market.buyers + 1)).astype(np.float32),
        affinity=affinity,
        category=category,
    )


def log_floored(scores: np.ndarray) -> np.ndarray:
    """log(max(score, 1e-4))."""
    return np.log(np.maximum(scores, _FLOOR)).astype(np.float64)


def _of_product(history: History) -> dict[str, np.ndarray]:
    pairs = history.pairs
    customers, products = history.shape

    def buyers(mask: np.ndarray) -> np.ndarray:
        return np.bincount(pairs.product[mask], minlength=products).astype(np.float64)

    found = {f"buyers_{d}d": np.log1p(buyers(pairs.last_days <= d)) for d in (7, 28, 112)}
    for days in (28, 56):  # how many of those who had never bought it began to
        began = buyers(pairs.first_days <= days)
        before = history.buyers - began
        found[f"first_buys_{days}d"] = np.log((began + 1) / (customers - before + 10))
    times = np.bincount(pairs.product, weights=pairs.times, minlength=products)
    found["buyers"] = np.log1p(history.buyers)
    found["repeats_per_buyer"] = np.log((times + 1) / (history.buyers + 1))
    return found


def _of_pair(history: History) -> dict[str, np.ndarray]:
    pairs = history.pairs
    times = pairs.times.astype(np.float64)
    last, first = pairs.last_days.astype(np.float64), pairs.first_days.astype(np.float64)
    gap = np.where(times > 1, (first - last) / np.maximum(times - 1, 1), _ONCE_GAP_DAYS)
    due = np.minimum(last / np.maximum(gap, 1.0), 4.0)
    found = {
        "times": np.log(times),
        "share_of_visits": np.log((times + 0.1) / (history.visits[pairs.customer] + 1)),
        "last": np.log1p(last),
        "first": np.log1p(first),
        "gap": np.log1p(np.minimum(gap, _ONCE_GAP_DAYS)),
        "due": due,
        "due_squared": due**2,
    }
    for days in (20, 60, 180):
        found[f"decayed_{days}d"] = np.log1p(pairs.decayed(history.age_days, scale_days=days))
    return found


def _affinity(
    history: History, categories: np.ndarray | None
) -> tuple[np.ndarray | None, np.ndarray]:
    customers, products = history.shape
    if categories is None or not products:
        return None, np.zeros(products, dtype=np.int64)
    labels, category = np.unique(categories.astype(str), return_inverse=True)
    width = len(labels)
    key = history.customer.astype(np.int64) * width + category[history.product]
    counts = np.bincount(key, minlength=(customers + 1) * width).reshape(customers + 1, width)
    share = (counts.sum(axis=0) + 1) / (counts.sum() + width)
    total = counts.sum(axis=1, keepdims=True)
    return np.log((counts + 50 * share) / (total + 50) / share).astype(np.float32), category
