"""Logistic regression by Newton's method: a handful of weights, exact and repeatable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MAX_STEPS = 40


@dataclass(frozen=True, eq=False)
class Logit:
    """A fitted weighing of signals: log-odds = intercept + sum of weight x scaled signal.

    `center` and `spread` scale the signals; `weights` refer to the scaled ones; all (d,).
    """

    center: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    intercept: float

    def log_odds(self, signals: np.ndarray) -> np.ndarray:
        """(n,) log-odds of (n, d) signals."""
        scaled = self.weights / self.spread
        return signals @ scaled + (self.intercept - float(self.center @ scaled))

    def probability(self, signals: np.ndarray) -> np.ndarray:
        """(n,) probabilities of (n, d) signals."""
        return 1 / (1 + np.exp(-np.clip(self.log_odds(signals), -40, 40)))


def fit_logit(signals: np.ndarray, labels: np.ndarray, *, ridge: float = 1.0) -> Logit:
    """Maximise the penalised likelihood of 0/1 labels.

    Parameters
    ----------
    signals
        (n, d) float64; n >= 1.
    labels
        (n,) 0 or 1, with both values.
    ridge
        L2 penalty on the scaled weights (not the intercept), > 0.

    Notes
    -----
    Newton's method with step halving; converges from the base rate for any finite input.
    """
    center, spread = signals.mean(axis=0), signals.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    design = np.column_stack([np.ones(len(signals)), (signals - center) / spread])
    penalty = np.r_[1e-9, np.full(signals.shape[1], ridge)]
    rate = float(labels.mean())
    weights = np.zeros(design.shape[1])
    weights[0] = np.log(rate / (1 - rate))
    loss = _loss(design, labels, weights, penalty)
    for _ in range(_MAX_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -40, 40)))
        gradient = design.T @ (labels - chance) - penalty * weights
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while (tried := _loss(design, labels, weights + size * step, penalty)) > loss:
            size /= 2
            if size < 1e-6:
                return Logit(center, spread, weights[1:], float(weights[0]))
        weights = weights + size * step
        if loss - tried <= 1e-9 * abs(loss):
            break
        loss = tried
    return Logit(center, spread, weights[1:], float(weights[0]))


def _loss(
    design: np.ndarray, labels: np.ndarray, weights: np.ndarray, penalty: np.ndarray
) -> float:
    odds = design @ weights
    fit = np.logaddexp(0, odds).sum() - float(labels @ odds)
    return float(fit + 0.5 * (penalty * weights**2).sum())


def prior_logit(names: Sequence[str], only: str, *, intercept: float) -> Logit:
    """Weight 1 on the signal called `only`, 0 on the others."""
    weights = np.array([1.0 if name == only else 0.0 for name in names])
    return Logit(np.zeros(len(names)), np.ones(len(names)), weights, intercept)
