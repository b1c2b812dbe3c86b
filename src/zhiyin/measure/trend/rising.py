"""Items that sell more than their past and everybody's growth explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.intervals import LEVEL
from zhiyin.measure.status import NO_UNITS, OK, TOO_FEW_UNITS

MIN_ITEMS = 10
"""Fewer items say nothing of how much items usually vary."""


@dataclass(frozen=True)
class Riser:
    """An item's count, what was expected, their ratio with its interval, and the q-value: the
    share of false ones among all that are as sure.
    """

    item: str
    count: float
    expected: float
    ratio: float
    low: float
    high: float
    q_value: float


@dataclass(frozen=True)
class Rising:
    """Items found, the surest first; `spread` is how much more than by chance items vary."""

    found: tuple[Riser, ...]
    status: str
    spread: float
    tested: int


def find_rising(
    items: Sequence[str],
    recent: object,
    before: object,
    *,
    rate: float = 0.1,
    least: float = 10,
) -> Rising:
    """Items whose share of what is sold rose.

    Parameters
    ----------
    items
        Names of n items.
    recent, before
        (n,) counts (orders or units) of each in a recent span, and in the span before; the spans
        may differ in length.
    rate
        Share of false ones that is allowed among those found, in (0, 1).
    least
        Items with fewer in both spans together are not looked at.

    Notes
    -----
    Given an item's count of both spans, its recent count is binomial at the recent share of
    everything; so growth of the shop is not growth of the item. Items vary more than that: the
    variance is multiplied by `spread`, the median squared deviation over its median under chance
    (at least 1; Devlin & Roeder 1999, Biometrics 55:997). q-values by Benjamini & Hochberg (1995,
    JRSS B 57:289), one-sided.

    Raises
    ------
    InvalidParameter
        If counts do not go with items, are negative, or `rate` is outside (0, 1).
    """
    now, then = np.asarray(recent, dtype=float), np.asarray(before, dtype=float)
    if now.shape != (len(items),) or then.shape != now.shape:
        raise InvalidParameter("each item needs a recent count and one before")
    if not 0 < rate < 1 or (now < 0).any() or (then < 0).any() or np.isnan(now + then).any():
        raise InvalidParameter("counts are 0 or more, rate is in (0, 1)")
    if now.sum() == 0 or then.sum() == 0:
        return Rising((), NO_UNITS, 1.0, 0)
    share = now.sum() / (now.sum() + then.sum())
    both = now + then
    kept = np.flatnonzero(both >= least)
    if len(kept) < MIN_ITEMS:
        return Rising((), TOO_FEW_UNITS, 1.0, len(kept))
    now, both = now[kept], both[kept]
    z = (now - both * share) / np.sqrt(both * share * (1 - share))
    spread = max(1.0, float(np.median(z**2) / stats.chi2.median(1)))
    size, hits = both / spread, now / spread  # as many independent ones as vary so much
    p = stats.beta.sf(share, np.maximum(hits, 1e-9), size - hits + 1)
    p = np.where(now == 0, 1.0, 1 - p)
    order = np.argsort(p, kind="stable")
    q = np.minimum.accumulate((p[order] * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]
    odds = share / (1 - share)
    side = (1 - LEVEL) / 2
    low = stats.beta.ppf(side, np.maximum(hits, 1e-9), size - hits + 1)
    high = stats.beta.ppf(1 - side, hits + 1, np.maximum(size - hits, 1e-9))
    found = []
    for place, value in zip(order.tolist(), q, strict=True):
        if value > rate:
            break
        old = both[place] - now[place]
        found.append(
            Riser(
                str(items[int(kept[place])]), float(now[place]), float(old * odds),
                float(now[place] / (old * odds)) if old else float("inf"),
                float(low[place] / (1 - low[place]) / odds),
                float(high[place] / (1 - high[place]) / odds) if old else float("inf"),
                float(value),
            )
        )  # fmt: skip
    return Rising(tuple(found), OK, spread, len(kept))
