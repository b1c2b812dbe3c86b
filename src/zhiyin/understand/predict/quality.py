"""How good probabilities are: ranking, calibration and their noise."""

from __future__ import annotations

import numpy as np

from zhiyin.core.values import Estimate

BINS = 10


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
    drawn = []
    for _ in range(samples):
        rows = rng.integers(0, len(labels), len(labels))
        one = auc(labels[rows], scores[rows])
        if not np.isnan(one):
            drawn.append(one)
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
    gaps = [
        abs(float(labels[rows].mean() - probability[rows].mean())) * len(rows)
        for rows in np.array_split(order, BINS)
        if len(rows)
    ]
    return float(np.sum(gaps) / len(labels))


def calibration_floor(
    probability: np.ndarray, *, rng: np.random.Generator, samples: int = 200
) -> float:
    """Mean calibration error that perfectly calibrated probabilities would show by chance."""
    draws = rng.uniform(size=(samples, len(probability))) < probability
    return float(np.mean([calibration_error(row.astype(float), probability) for row in draws]))


def best_first(scores: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Row numbers by falling score, ties by id."""
    return np.lexsort((ids, -scores))
