"""How good probabilities are: ranking, calibration and their noise."""

from __future__ import annotations

import numpy as np

from zhiyin.core.values import Estimate
from zhiyin.understand.predict.scaling import sigmoid

BINS = 10
Z95 = 1.959964


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half; NaN with one class only."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    total = mean_rank[inverse][labels == 1].sum()
    return float((total - positives * (positives + 1) / 2) / (positives * negatives))


def auc_interval(
    labels: np.ndarray, scores: np.ndarray, *, samples: int, rng: np.random.Generator
) -> Estimate:
    """AUC with its 95 % percentile bootstrap interval over customers."""
    value = auc(labels, scores)
    if np.isnan(value):
        return Estimate(0.5, 0.0, 1.0, len(labels), "one_class")
    n, (values, place) = len(labels), np.unique(scores, return_inverse=True)
    drawn = []
    for _ in range(samples):
        times = np.bincount(rng.integers(0, n, n), minlength=n)
        positives = np.bincount(place, weights=times * labels, minlength=len(values))
        negatives = np.bincount(place, weights=times, minlength=len(values)) - positives
        pairs = positives.sum() * negatives.sum()
        if pairs:
            below = np.cumsum(negatives) - negatives / 2
            drawn.append(float(positives @ below / pairs))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value, float(low), float(high), len(labels))


def captured(labels: np.ndarray, order: np.ndarray, *, share: float) -> float:
    """Share of the positives among the first `share` of `order` (row numbers, best first)."""
    top = order[: int(np.floor(share * len(order) + 1e-9))]
    return float(labels[top].sum() / max(labels.sum(), 1))


def lift(labels: np.ndarray, order: np.ndarray, *, share: float) -> float:
    """Response among the first `share` of `order` as a multiple of the mean response."""
    top = order[: int(np.floor(share * len(order) + 1e-9))]
    return float(labels[top].mean() / labels.mean()) if len(top) and labels.any() else float("nan")


def brier(labels: np.ndarray, probability: np.ndarray) -> float:
    """Mean squared error of the probabilities."""
    return float(np.mean((probability - labels) ** 2))


def calibration_error(labels: np.ndarray, probability: np.ndarray) -> float:
    """Expected calibration error over `BINS` bins of equal counts."""
    order = np.argsort(probability, kind="stable")
    return calibration_error_sorted(labels[order], probability[order])


def calibration_error_sorted(labels: np.ndarray, probability: np.ndarray) -> float:
    """`calibration_error` of rows that stand by rising probability."""
    n, bins = len(labels), np.arange(min(BINS, len(labels)))
    starts = bins * (n // len(bins)) + np.minimum(bins, n % len(bins))  # the first are one longer
    return float(np.abs(np.add.reduceat(labels - probability, starts)).sum() / n)


def calibration_floor(
    probability: np.ndarray, *, rng: np.random.Generator, samples: int = 200
) -> float:
    """Mean calibration error that perfectly calibrated probabilities would show by chance."""
    order = np.argsort(probability, kind="stable")
    ordered = probability[order]
    draws = rng.uniform(size=(samples, len(probability))) < probability
    return float(np.mean([calibration_error_sorted(row[order], ordered) for row in draws]))


def best_first(scores: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Row numbers by falling score, ties by id."""
    return np.lexsort((ids, -scores))


def auc_delong(
    labels: np.ndarray, scores: np.ndarray, *, value: float | None = None, z: float = Z95
) -> Estimate:
    """AUC with its 95 % interval after DeLong, DeLong and Clarke-Pearson (1988), in log-odds.

    The placements are read from ranks (Sun and Xu 2014), so a million rows take a second. A `value`
    (the mean of folds) takes the interval of all rows together around itself. `z` is the normal
    quantile; a larger one makes the intervals of many columns hold together.
    """
    value = auc(labels, scores) if value is None else value
    if np.isnan(value):
        return Estimate(0.5, 0.0, 1.0, len(labels), "one_class")
    high, low = scores[labels == 1], scores[labels == 0]
    below, above = placements(high, low), 1 - placements(low, high)
    variance = sum(float(part.var(ddof=1)) / len(part) for part in (below, above) if len(part) > 1)
    if variance == 0 or min(value, 1 - value) < 1e-9:
        return Estimate(value, value, value, len(labels), "zero_variance")
    middle = np.log(value / (1 - value))
    reach = z * np.sqrt(variance) / (value * (1 - value))
    ends = sigmoid(middle + np.array([-reach, reach]))
    return Estimate(value, float(ends[0]), float(ends[1]), len(labels))


def placements(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Share of `others` that each score is above, ties counted half."""
    ordered = np.sort(others)
    left = np.searchsorted(ordered, scores, side="left")
    return (left + np.searchsorted(ordered, scores, side="right")) / (2 * len(others))


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Precision averaged over the positives, rows of one score taken together; NaN without any."""
    order = np.argsort(-scores, kind="stable")
    return average_precision_sorted(labels[order], scores[order])


def average_precision_sorted(labels: np.ndarray, scores: np.ndarray) -> float:
    """`average_precision` of rows that stand by falling score."""
    if not labels.any():
        return float("nan")
    ends = np.flatnonzero(np.append(np.diff(scores) != 0, True))
    found = np.cumsum(labels)[ends]
    return float((found / (ends + 1) * np.diff(found, prepend=0)).sum() / found[-1])


def log_loss(labels: np.ndarray, probability: np.ndarray) -> float:
    """Mean negative log-likelihood in nats; probabilities are kept 1e-9 away from 0 and 1."""
    return float(row_log_loss(labels, probability).mean())


def row_log_loss(labels: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Negative log-likelihood of each row in nats."""
    safe = np.clip(probability, 1e-9, 1 - 1e-9)
    return -np.where(labels == 1, np.log(safe), np.log1p(-safe))


def f1(labels: np.ndarray, chosen: np.ndarray) -> float:
    """Harmonic mean of precision and recall of the rows `chosen` (booleans); 0 without a hit."""
    hits = float((chosen & (labels == 1)).sum())
    return 2 * hits / max(float(chosen.sum() + labels.sum()), 1.0)


def best_threshold(labels: np.ndarray, probability: np.ndarray) -> float:
    """The probability from which choosing gives the highest F1 on these rows."""
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum(labels[order])
    score = 2 * hits / (np.arange(1, len(order) + 1) + labels.sum())
    ends = np.append(np.diff(probability[order]) != 0, True)
    return float(probability[order][int(np.argmax(np.where(ends, score, -1.0)))])
