"""Whether probabilities mean what they say: calibration curve, ECE and its noise floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.values import Estimate
from zhiyin.measure.counts import (
    BLOCK_CELLS,
    ScoreCounts,
    check_probabilities,
    coarsen,
    cumulate,
    read_off,
    resample,
)
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
    size, score, hits = _bin_single(counts, bins)
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
    value = _single_ece(counts, bins)
    draws = np.concatenate(
        [
            _ece(scores, units, positives, bins)
            for scores, units, positives in resample(counts, rng, samples=samples)
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
    block = max(1, BLOCK_CELLS // len(few.scores))
    draws = np.concatenate(
        [
            _ece(few.scores, np.broadcast_to(few.units, hits.shape), hits, bins)
            for start in range(0, samples, block)
            for size in [(min(block, samples - start), len(few.scores))]
            for hits in [rng.binomial(few.units, few.scores, size=size)]
        ]
    )
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(float(draws.mean()), float(low), float(high), counts.n, counts.status)


def _single_ece(counts: ScoreCounts, bins: int) -> float:
    return float(_ece(counts.scores, counts.units[None], counts.positives[None], bins)[0])


def _bin_single(counts: ScoreCounts, bins: int) -> tuple[NDArray, NDArray, NDArray]:
    if counts.n == 0:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    size, score, hits = _binned(counts.scores, counts.units[None], counts.positives[None], bins)
    return size, score[0], hits[0]


def _binned(
    scores: NDArray[np.float64], units: NDArray[np.int64], positives: NDArray[np.int64], bins: int
) -> tuple[NDArray, NDArray, NDArray]:
    """Per row of (b, g) counts: (bins,) customers, (b, bins) sums of scores and responders.

    Every row holds equally many customers; the highest bin comes first.
    """
    reach = cumulate(units)
    edges = reach[0, -1] * np.arange(bins + 1) // bins
    score = read_off(reach, cumulate(scores * units), edges)
    hits = read_off(reach, cumulate(positives), edges)
    return np.diff(edges), np.diff(score, axis=1), np.diff(hits, axis=1)


def _ece(
    scores: NDArray[np.float64], units: NDArray[np.int64], positives: NDArray[np.int64], bins: int
) -> NDArray[np.float64]:
    size, score, hits = _binned(scores, units, positives, bins)
    return np.abs(score - hits).sum(axis=1) / size.sum()
