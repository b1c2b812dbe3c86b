"""How well scores rank and forecast who responded: AUC, gains, captured, lift, Brier, log-loss.

Every function takes `ScoreCounts` (made by `count_scores(scores, labels)`), so ties need no
order: customers with one score count at their expected place. `calibration` has the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.values import Estimate
from zhiyin.measure.counts import ScoreCounts, check_probabilities, cumulate, read_off, resample
from zhiyin.measure.intervals import LEVEL, critical_z, missing, wilson_interval
from zhiyin.measure.status import NO_UNITS, TOO_FEW_UNITS, ZERO_VARIANCE

CURVE_POINTS = 101


@dataclass(frozen=True)
class GainsCurve:
    """Share of responders found (`captured`) among the top `share` of customers by score."""

    share: tuple[float, ...]
    captured: tuple[float, ...]
    n: int
    status: str


def estimate_auc(
    counts: ScoreCounts,
    *,
    method: Literal["delong", "bootstrap"] = "delong",
    rng: np.random.Generator | None = None,
    samples: int = 1000,
    level: float = LEVEL,
) -> Estimate:
    """Area under the ROC curve: P(a responder outscores a non-responder), ties one half.

    Parameters
    ----------
    counts
        The scored population.
    method
        `delong`: normal interval with DeLong's variance, cut at 0 and 1. `bootstrap`:
        percentiles over resampled customers; needs `rng`.
    rng, samples
        Chance and number of resamples for `bootstrap`.
    level
        Coverage of the interval, in (0, 1).

    Returns
    -------
    The AUC; `zero_variance` without interval where the scores separate perfectly or are all equal.

    Notes
    -----
    DeLong, DeLong and Clarke-Pearson (1988), *Biometrics* 44:837, on midranks as in Sun and Xu
    (2014), *IEEE Signal Processing Letters* 21:1389; O(g) on g distinct scores.
    """
    if not counts.measurable:
        return missing(counts.n, counts.status)
    value = float(_auc(counts.units, counts.positives))
    if method == "bootstrap":
        if rng is None:
            raise InvalidParameter("the bootstrap needs a random generator `rng`")
        draws = np.concatenate(
            [
                _auc(units, positives)
                for _, units, positives in resample(counts, rng, samples=samples)
            ]
        )
        return _percentile_estimate(value, draws, counts, level=level)
    variance = _delong_variance(counts)
    if variance <= 0:
        few = counts.status == TOO_FEW_UNITS
        return Estimate(
            value, float("nan"), float("nan"), counts.n, TOO_FEW_UNITS if few else ZERO_VARIANCE
        )
    half = critical_z(level) * variance**0.5
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), counts.n, counts.status)


def draw_gains(counts: ScoreCounts, *, points: int = CURVE_POINTS) -> GainsCurve:
    """The gains curve at `points` evenly spaced shares from 0 to 1."""
    share = np.linspace(0.0, 1.0, points)
    if counts.n_positives == 0:
        return GainsCurve(tuple(share.tolist()), (), counts.n, counts.status)
    captured = _captured(counts.units, counts.positives, share * counts.n)
    return GainsCurve(tuple(share.tolist()), tuple(captured.tolist()), counts.n, counts.status)


def estimate_captured(
    counts: ScoreCounts,
    share: float,
    *,
    rng: np.random.Generator,
    samples: int = 1000,
    level: float = LEVEL,
) -> Estimate:
    """Share of all responders among the top `floor(share x n)` customers (at least one).

    The interval is the percentile bootstrap over customers.
    """
    if counts.n_positives == 0:
        return missing(counts.n, counts.status)
    size = top_size(counts.n, share)
    value = float(_captured(counts.units, counts.positives, np.array([size]))[0])
    draws = _bootstrap_captured(counts, size, rng=rng, samples=samples)
    return _percentile_estimate(value, draws, counts, level=level)


def estimate_lift(
    counts: ScoreCounts,
    share: float,
    *,
    rng: np.random.Generator,
    samples: int = 1000,
    level: float = LEVEL,
) -> Estimate:
    """Response rate among the top `floor(share x n)` customers over that of all (a ratio).

    1 is no better than chance; the largest possible is min(n / top, n / responders).
    """
    captured = estimate_captured(counts, share, rng=rng, samples=samples, level=level)
    if counts.n_positives == 0:
        return captured
    factor = counts.n / top_size(counts.n, share)
    return Estimate(
        captured.value * factor, captured.low * factor, captured.high * factor,
        captured.n, captured.status,
    )  # fmt: skip


def estimate_base_rate(counts: ScoreCounts, *, level: float = LEVEL) -> Estimate:
    """Share of customers who responded, with Wilson's interval (1927)."""
    if counts.n == 0:
        return missing(0, NO_UNITS)
    rate = counts.n_positives / counts.n
    low, high = wilson_interval(np.array([rate]), np.array([counts.n]), level=level)
    return Estimate(rate, float(low[0]), float(high[0]), counts.n, counts.status)


def estimate_brier(counts: ScoreCounts, *, level: float = LEVEL) -> Estimate:
    """Mean squared difference of probability and outcome (Brier 1950); 0 is perfect.

    The interval is normal, from the variance of the customers' squared differences.
    """
    check_probabilities(counts)
    return _mean_loss(counts, (1 - counts.scores) ** 2, counts.scores**2, level=level)


def estimate_log_loss(counts: ScoreCounts, *, level: float = LEVEL) -> Estimate:
    """Mean negative log-likelihood in nats; probabilities are kept 2.2e-16 from 0 and 1."""
    check_probabilities(counts)
    edge = np.finfo(np.float64).eps
    score = np.clip(counts.scores, edge, 1 - edge)
    return _mean_loss(counts, -np.log(score), -np.log1p(-score), level=level)


def top_size(n: int, share: float) -> int:
    """How many of `n` customers are `share` of them: rounded down, at least one.

    Raises
    ------
    InvalidParameter
        If `share` is outside (0, 1].
    """
    if not 0 < share <= 1:
        raise InvalidParameter(f"share must be in (0, 1], not {share}")
    return max(1, int(share * n + 1e-9)) if n else 0


def _auc(units: NDArray[np.int64], positives: NDArray[np.int64]) -> NDArray[np.float64]:
    """AUC per row of (…, g) counts, highest score first; NaN where a class is empty."""
    negatives = units - positives
    above = np.cumsum(positives, axis=-1) - positives / 2
    pairs = positives.sum(axis=-1).astype(np.float64) * negatives.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pairs > 0, (above * negatives).sum(axis=-1) / pairs, np.nan)


def _delong_variance(counts: ScoreCounts) -> float:
    positives, negatives = counts.positives, counts.units - counts.positives
    total_pos, total_neg = counts.n_positives, counts.n_negatives
    if min(total_pos, total_neg) < 2:
        return 0.0
    outscored = (total_neg - np.cumsum(negatives) + negatives / 2) / total_neg
    outscoring = (np.cumsum(positives) - positives / 2) / total_pos
    return float(
        _weighted_variance(outscored, positives) / total_pos
        + _weighted_variance(outscoring, negatives) / total_neg
    )


def _weighted_variance(values: NDArray[np.float64], weights: NDArray[np.int64]) -> float:
    total = weights.sum()
    centred = values - (values * weights).sum() / total
    return float((centred**2 * weights).sum() / (total - 1))


def _captured(
    units: NDArray[np.int64], positives: NDArray[np.int64], sizes: NDArray
) -> NDArray[np.float64]:
    found = np.interp(sizes, cumulate(units), cumulate(positives))
    return found / positives.sum()


def _bootstrap_captured(
    counts: ScoreCounts, size: int, *, rng: np.random.Generator, samples: int
) -> NDArray[np.float64]:
    draws = []
    for _, units, positives in resample(counts, rng, samples=samples):
        hits = read_off(cumulate(units), cumulate(positives), np.array([size]))[:, 0]
        total = positives.sum(axis=1)
        draws.append(np.divide(hits, total, out=np.full(len(hits), np.nan), where=total > 0))
    return np.concatenate(draws)


def _percentile_estimate(
    value: float, draws: NDArray[np.float64], counts: ScoreCounts, *, level: float
) -> Estimate:
    kept = draws[np.isfinite(draws)]
    if not len(kept):
        return Estimate(value, float("nan"), float("nan"), counts.n, TOO_FEW_UNITS)
    low, high = np.quantile(kept, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(value, float(low), float(high), counts.n, counts.status)


def _mean_loss(
    counts: ScoreCounts,
    if_positive: NDArray[np.float64],
    if_negative: NDArray[np.float64],
    *,
    level: float,
) -> Estimate:
    """Mean of a loss that is (g,) `if_positive` for responders and `if_negative` for others."""
    n = counts.n
    if n == 0:
        return missing(0, NO_UNITS)
    losses = np.concatenate([if_positive, if_negative])
    weights = np.concatenate([counts.positives, counts.units - counts.positives])
    mean = float((losses * weights).sum() / n)
    if n < 2:
        return Estimate(mean, float("nan"), float("nan"), n, TOO_FEW_UNITS)
    half = critical_z(level) * (_weighted_variance(losses, weights) / n) ** 0.5
    return Estimate(mean, max(0.0, mean - half), mean + half, n, counts.status)
