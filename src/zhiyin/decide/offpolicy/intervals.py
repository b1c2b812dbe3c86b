"""The interval of a mean whose parts are skewed, as weighted rewards are: few large, many zero.

Student's interval leaves such a mean's truth above it far too often. Hall (1992, *JRSS B* 54:221)
transforms the studentised mean by a monotone cubic, so that its skewness is removed to second
order:

    g(t) = t + a t² + a² t³ / 3 + a / 2,   a = skewness / (3 sqrt(n))

and inverts it at Student's quantiles. What has not been seen yet is larger than what has: a sample
of heavy-tailed parts understates its spread and skewness, so both are taken as if there were one
part more, as far from the mean as the farthest. Nothing is drawn, so the same log has the same
interval (law 6); docs/decide-offpolicy.md has what else was tried.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from zhiyin.decide.offpolicy.log import Floats, Ints

LEVEL = 0.95
ROUGH = 0.5
"""Beyond this skewness over root n, the interval of a mean leans on too few of its parts."""
FLAT = 1e-12
"""A mean whose error is below this share of its parts' size has no interval."""


@dataclass(frozen=True)
class Mean:
    """A mean, its standard error, interval, and the skewness of its parts over root n."""

    value: float
    error: float
    low: float
    high: float
    skew: float


def estimate_mean(parts: Floats, *, groups: Ints | None = None, level: float = LEVEL) -> Mean:
    """Mean of (n,) parts with its interval.

    With `groups` (n,), numbers 0..m-1, the units are groups: parts of one may depend on another
    in any way (the linearised ratio of sums over groups to their sizes). Fewer than two units, or
    equal ones, give no interval.
    """
    value = float(parts.mean())
    off = parts - value
    if groups is not None:
        size = np.bincount(groups)
        off = np.bincount(groups, off)[size > 0]
        off = off * (off.size / parts.size)  # their mean has the error of the whole
    m, nan = off.size, float("nan")
    far = float(off[np.abs(off).argmax()])
    spread = float(np.sqrt((off**2).mean() + far**2 / m))
    if m < 2 or spread <= FLAT * max(1e-300, float(np.abs(parts).max())):
        return Mean(value, 0.0 if m >= 2 else nan, nan, nan, 0.0)
    error = spread / np.sqrt(m - 1)
    skew = float(((off**3).mean() + far**3 / m) / spread**3 / np.sqrt(m))
    t = float(stdtrit(m - 1, 0.5 + level / 2))
    low = value - _untransform(t, skew) * error
    high = value - _untransform(-t, skew) * error
    return Mean(value, float(error), float(low), float(high), skew)


def _untransform(t: float, skew: float) -> float:
    a = skew / 3
    if abs(a) < 1e-9:
        return t
    return float((np.cbrt(1 + 3 * a * (t - a / 2)) - 1) / a)
