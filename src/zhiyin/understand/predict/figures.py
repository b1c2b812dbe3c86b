"""How good probabilities are on rows that were not seen: every figure with its interval."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from zhiyin.core.values import Estimate
from zhiyin.understand.predict import quality

SAMPLES = 400  # bootstrap
TOP = 0.1
SHARES = tuple(k / 10 for k in range(1, 11))


def judge(
    labels: np.ndarray,
    predicted: np.ndarray,
    chosen: np.ndarray,
    fold_of: np.ndarray,
    *,
    rng: np.random.Generator,
) -> tuple[dict[str, float], dict[str, Estimate]]:
    """AUC, AP, log-loss, Brier, ECE, F1 and lift at 10 %, with 95 % intervals.

    Parameters
    ----------
    labels, predicted
        (n,) outcomes 0 or 1, both classes, and probabilities of rows left out.
    chosen
        (n,) whether the row is above the threshold of F1.
    fold_of
        (n,) the fold of each row, from 0: AUC and AP are means of the folds.
    rng
        Chance of the bootstrap, which draws rows of all folds together.

    Returns
    -------
    The figures, with `auc_pooled` and `ap_pooled` of all rows at once, and their intervals:
    DeLong's for AUC, bootstrap percentiles for the others.
    """
    n, top = len(labels), max(1, int(np.floor(TOP * len(labels) + 1e-9)))
    order = quality.best_first(predicted, np.arange(n))
    parts = [np.flatnonzero(fold_of == k) for k in range(int(fold_of.max()) + 1)]
    by_fold = {
        name: float(np.mean([measure(labels[rows], predicted[rows]) for rows in parts]))
        for name, measure in (("auc", quality.auc), ("ap", quality.average_precision))
    }
    values = {
        "ap": quality.average_precision(labels, predicted),
        "log_loss": quality.log_loss(labels, predicted),
        "brier": quality.brier(labels, predicted),
        "ece": quality.calibration_error(labels, predicted),
        "f1": quality.f1(labels, chosen),
        "lift": float(labels[order[:top]].mean() / labels.mean()),
    }
    losses, squares = quality.row_log_loss(labels, predicted), (predicted - labels) ** 2
    drawn: dict[str, list[float]] = {name: [] for name in values}
    for rows in _draw(order[::-1], rng=rng):  # each draw by rising probability
        y, p = labels[rows], predicted[rows]
        if y.min() == y.max():
            continue
        drawn["ap"].append(quality.average_precision_sorted(y[::-1], p[::-1]))
        drawn["log_loss"].append(float(losses[rows].mean()))
        drawn["brier"].append(float(squares[rows].mean()))
        drawn["ece"].append(quality.calibration_error_sorted(y, p))
        drawn["f1"].append(quality.f1(y, chosen[rows]))
        drawn["lift"].append(float(y[-top:].mean() / y.mean()))
    intervals = {"auc": quality.auc_delong(labels, predicted, value=by_fold["auc"])}
    for name, value in values.items():
        low, high = np.quantile(drawn[name], [0.025, 0.975]) + by_fold.get(name, value) - value
        intervals[name] = Estimate(by_fold.get(name, value), float(low), float(high), n)
    pooled = {"auc_pooled": quality.auc(labels, predicted), "ap_pooled": values["ap"]}
    return {**values, **by_fold, **pooled}, intervals


def _draw(order: np.ndarray, *, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Rows of each bootstrap sample, in the order of `order`: counted, not sorted."""
    n = len(order)
    for _ in range(SAMPLES):
        yield np.repeat(order, np.bincount(rng.integers(0, n, n), minlength=n)[order])
