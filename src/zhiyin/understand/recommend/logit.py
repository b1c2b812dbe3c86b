"""Logistic regression by Newton's method: a handful of weights, exact and repeatable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MAX_STEPS = 40
_SAMPLE_ROWS = 30_000  # enough rows for the first steps
_BLOCK_ROWS = 4096  # x 16 signals x 8 bytes: stays in the cache


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
        (n, d) float32 or float64; n >= 1.
    labels
        (n,) 0 or 1, with both values.
    ridge
        L2 penalty on the scaled weights (not the intercept), > 0.

    Notes
    -----
    Newton's method with step halving; converges from the base rate for any finite input. The
    first steps are taken on an even sample of the rows, the last ones on all of them: the optimum
    is that of all rows. Rows are read in blocks that stay in the processor's cache.
    """
    center = signals.mean(axis=0, dtype=np.float64)
    squares = np.zeros(signals.shape[1])
    for start in range(0, len(signals), _BLOCK_ROWS):
        squares += ((signals[start : start + _BLOCK_ROWS] - center) ** 2).sum(axis=0)
    spread = np.sqrt(squares / len(signals))
    spread = np.where(spread > 1e-9, spread, 1.0)
    penalty = np.r_[1e-9, np.full(signals.shape[1], ridge)]
    rate = float(labels.mean())
    weights = np.zeros(signals.shape[1] + 1)
    weights[0] = np.log(rate / (1 - rate))
    stride = len(signals) // _SAMPLE_ROWS
    if stride > 1 and 0 < labels[::stride].sum() < len(labels[::stride]):
        sample = _Likelihood(signals[::stride], labels[::stride], center, spread, penalty / stride)
        weights = _climb(sample, weights, tolerance=1e-5)
    weights = _climb(_Likelihood(signals, labels, center, spread, penalty), weights, tolerance=1e-9)
    return Logit(center, spread, weights[1:], float(weights[0]))


@dataclass(frozen=True, eq=False)
class _Likelihood:
    """Penalised negative log-likelihood of 0/1 labels, with its slope and curvature."""

    signals: np.ndarray
    labels: np.ndarray
    center: np.ndarray
    spread: np.ndarray
    penalty: np.ndarray

    def at(self, weights: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Loss, minus its gradient (d + 1,), and its Hessian (d + 1, d + 1)."""
        loss = 0.5 * float((self.penalty * weights**2).sum())
        gradient = -self.penalty * weights
        curvature = np.diag(self.penalty)
        for start in range(0, len(self.labels), _BLOCK_ROWS):
            labels = self.labels[start : start + _BLOCK_ROWS]
            design = np.ones((len(labels), len(weights)))
            design[:, 1:] = self.signals[start : start + _BLOCK_ROWS]
            design[:, 1:] -= self.center
            design[:, 1:] /= self.spread
            odds = design @ weights
            rest = np.exp(-np.abs(odds))
            loss += float((np.maximum(odds, 0) + np.log1p(rest)).sum() - labels @ odds)
            chance = np.where(odds >= 0, 1.0, rest) / (1 + rest)
            gradient += (labels - chance) @ design
            curvature += (design * (rest / (1 + rest) ** 2)[:, None]).T @ design
        return loss, gradient, curvature


def _climb(likelihood: _Likelihood, weights: np.ndarray, *, tolerance: float) -> np.ndarray:
    """Weights of the least loss, from a start; `tolerance` is relative to the loss."""
    loss, gradient, curvature = likelihood.at(weights)
    for _ in range(_MAX_STEPS):
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while (tried := likelihood.at(weights + size * step))[0] > loss:
            size /= 2
            if size < 1e-6:
                return weights
        weights = weights + size * step
        gained, (loss, gradient, curvature) = loss - tried[0], tried
        if gained <= tolerance * abs(loss):
            break
    return weights


def prior_logit(names: Sequence[str], only: str, *, intercept: float) -> Logit:
    """Weight 1 on the signal called `only`, 0 on the others."""
    weights = np.array([1.0 if name == only else 0.0 for name in names])
    return Logit(np.zeros(len(names)), np.ones(len(names)), weights, intercept)
