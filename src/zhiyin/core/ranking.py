# pyright: standard
# (numpy's cumulative sums are partly untyped)
"""How good ranked lists are: pure functions of where the hits are.

`hits` is (n, k) bool: whether the item at each place of a person's list was one of hers; `relevant`
is (n,) int: how many items were hers. People with none are NaN: they say nothing about a ranking.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.values import Estimate

Hits = NDArray[np.bool_]
Counts = NDArray[np.int64]
Figures = NDArray[np.float64]


def ndcg(hits: Hits, relevant: Counts) -> Figures:
    """Normalised discounted cumulative gain of each list, binary.

    Notes
    -----
    sum of hit_r / log2(r + 1) over ranks r = 1..k, divided by the same for min(k, relevant) hits
    at the top. Source: Jarvelin and Kekalainen (2002).
    """
    places: Figures = np.arange(2, hits.shape[1] + 2, dtype=np.float64)
    discount: Figures = 1 / np.log2(places)
    ideal: Figures = np.concatenate([np.zeros(1), np.add.accumulate(discount)])
    gain: Figures = hits.astype(np.float64) @ discount
    return _divide(gain, ideal[np.minimum(relevant, hits.shape[1])])


def recall(hits: Hits, relevant: Counts) -> Figures:
    """Share of a person's items that are in her list."""
    return _divide(hits.sum(axis=1).astype(np.float64), relevant.astype(np.float64))


def hit_rate(hits: Hits, relevant: Counts) -> Figures:
    """1 where the list holds at least one of her items, otherwise 0."""
    return np.where(relevant > 0, hits.any(axis=1).astype(np.float64), np.nan)


def average_precision(hits: Hits, relevant: Counts) -> Figures:
    """Mean over min(k, relevant) of the precision at each hit (the mean over people is MAP)."""
    width = hits.shape[1]
    ranks: Figures = np.arange(1, width + 1, dtype=np.float64)
    found: Figures = hits.astype(np.float64)
    so_far: Figures = found @ np.triu(np.ones((width, width)))  # hits up to each place
    total: Figures = (found * so_far) @ (1 / ranks)
    best = np.minimum(relevant, width).astype(np.float64)
    return _divide(total, best)


def mean_with_interval(values: Figures) -> Estimate:
    """Mean of the values that are not NaN, with its normal 95 % interval.

    Status `too_few_units` below two values; the interval is then the value itself (NaN without
    any).
    """
    known = values[~np.isnan(values)]
    if len(known) < 2:
        value = float(known[0]) if len(known) else math.nan
        return Estimate(value, value, value, len(known), "too_few_units")
    mean = float(known.mean())
    half = 1.959964 * float(known.std(ddof=1)) / math.sqrt(len(known))
    return Estimate(mean, mean - half, mean + half, len(known))


def _divide(part: Figures, whole: Figures) -> Figures:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)
