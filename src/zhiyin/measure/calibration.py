"""Whether probabilities mean what they say: calibration curve, ECE and its noise floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.values import Estimate
from zhiyin.measure.counts import ScoreCounts, check_probabilities, coarsen, cumulate, resample
from zhiyin.measure.intervals import LEVEL, missing, wilson_interval
from zhiyin.measure.status import NO_UNITS

BINS = 10


@dataclass(frozen=True)
class CalibrationBin:
    """Customers next to each other by score: what was expected of them and what came."""

    n: int
    mean_score: float
    rate: float
    low: float
    high: float


def draw_calibration(
    counts: ScoreCounts, *, bins: int = BINS, level: float = LEVEL
) -> tuple[CalibrationBin, ...]:
    """Mean score and response rate in `bins` equal-count bins, lowest scores first.

    `low` and `high` bound the rate (Wilson). A score that spans two bins is shared out between
    them in proportion, so the curve does not depend on the order of rows. With fewer customers
    than bins, empty bins are left out.
    """
    check_probabilities(counts)
    size, score, hits = _binned(counts.scores, counts.units, counts.positives, bins)
    kept = size > 0
    size, score, hits = size[kept][::-1], score[kept][::-1], hits[kept][::-1]
    low, high = wilson_interval(hits / size, size, level=level)
    return tuple(
        CalibrationBin(int(n), float(s / n), float(p / n), float(a), float(b))
        for n, s, p, a, b in zip(size, score, hits, low, high, strict=True)
    )


def estimate_ece(
    counts: ScoreCounts,
    *,
    rng: np.random.Generator,
    bins: int = BINS,
    samples: int = 1000,
    level: float = LEVEL,
) -> Estimate:
    """Expected calibration error: mean |mean score - response rate| over equal-count bins.

    ECE is never negative and never 0 on real data: compare it with `estimate_ece_floor`. The
    interval is the basic (reversed) bootstrap, cut at 0, since resampling biases ECE upwards
    (Kumar, Liang and Ma 2019, arXiv 1909.10155).
    """
    check_probabilities(counts)
    if counts.n == 0:
        return missing(0, NO_UNITS)
    value = float(_ece(counts.scores, counts.units, counts.positives, bins))
    draws = np.array(
        [
            _ece(scores, unit, positive, bins)
            for scores, units, positives in resample(counts, rng, samples=samples)
            for unit, positive in zip(units, positives, strict=True)
        ]
    )
    low, high = 2 * value - np.quantile(draws, [0.5 + level / 2, 0.5 - level / 2])
    return Estimate(value, max(0.0, float(low)), max(value, float(high)), counts.n, counts.status)


def estimate_ece_floor(
    counts: ScoreCounts,
    *,
    rng: np.random.Generator,
    bins: int = BINS,
    samples: int = 1000,
    level: float = LEVEL,
) -> Estimate:
    """The ECE that perfectly calibrated scores like these would show, by simulation.

    Outcomes are drawn with each customer's own score as the truth. `value` is the mean ECE,
    `low` and `high` its percentiles: a measured ECE below `high` is not distinguishable from a
    perfect calibration at this size.
    """
    check_probabilities(counts)
    if counts.n == 0:
        return missing(0, NO_UNITS)
    few = coarsen(counts)
    draws = np.array(
        [
            _ece(few.scores, few.units, rng.binomial(few.units, few.scores), bins)
            for _ in range(samples)
        ]
    )
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(float(draws.mean()), float(low), float(high), counts.n, counts.status)


def _binned(
    scores: NDArray[np.float64],
    units: NDArray[np.int64],
    positives: NDArray[np.int64],
    bins: int,
) -> tuple[NDArray, NDArray, NDArray]:
    """(bins,) customers, sums of scores and responders, highest bin first."""
    reach = cumulate(units)
    edges = reach[-1] * np.arange(bins + 1) // bins
    score = np.interp(edges, reach, cumulate(scores * units))
    hits = np.interp(edges, reach, cumulate(positives))
    return np.diff(edges), np.diff(score), np.diff(hits)


def _ece(
    scores: NDArray[np.float64],
    units: NDArray[np.int64],
    positives: NDArray[np.int64],
    bins: int,
) -> float:
    size, score, hits = _binned(scores, units, positives, bins)
    return float(np.abs(score - hits).sum() / size.sum())
