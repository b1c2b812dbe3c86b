"""Intervals that several measures share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from zhiyin.core.values import Estimate

LEVEL = 0.95
"""Coverage of every interval unless a caller asks otherwise."""


def critical_z(level: float) -> float:
    """The standard normal quantile that bounds a two-sided interval of coverage `level`."""
    return float(ndtri(0.5 + level / 2))


def missing(n: int, status: str) -> Estimate:
    """No number on `n` units, and why."""
    return Estimate(float("nan"), float("nan"), float("nan"), n, status)


def wilson_interval(
    rate: NDArray[np.float64], n: NDArray[np.int64], *, level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of shares `rate` seen on `n` units each, in [0, 1] (Wilson 1927, JASA 22:209)."""
    z = critical_z(level)
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
