"""Logistic regression by Newton's method: a handful of weights, exact and repeatable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_MAX_STEPS = 40
_SAMPLE_ROWS = 30_000  # enough rows for the first steps
_CURVED_ROWS = 100_000  # enough to say where to step; how far is measured on all
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
    weights = _climb(
        _Likelihood(signals, labels, center, spread, penalty), weights, tolerance=1e-11
    )
    return Logit(center, spread, weights[1:], float(weights[0]))


@dataclass(frozen=True, eq=False)
class _Likelihood:
    """Penalised negative log-likelihood of 0/1 labels, with its slope and curvature."""

    signals: np.ndarray
    labels: np.ndarray
    center: np.ndarray
    spread: np.ndarray
    penalty: np.ndarray

    def slope(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss, and minus its gradient, (d + 1,)."""
        loss = 0.5 * float((self.penalty * weights**2).sum())
        pulls, total = np.zeros(len(self.center)), 0.0
        for rows, labels, odds in self._blocks(weights):
            rest = np.exp(-np.abs(odds))
            loss += float((np.maximum(odds, 0) + np.log1p(rest)).sum() - labels @ odds)
            missed = labels - np.where(odds >= 0, 1.0, rest) / (1 + rest)
            pulls += missed @ rows
            total += float(missed.sum())
        pulls = (pulls - self.center * total) / self.spread
        return loss, np.r_[total, pulls] - self.penalty * weights

    def curvature(self, weights: np.ndarray) -> np.ndarray:
        """The Hessian of the loss, (d + 1, d + 1); of many rows as some of them say."""
        made, read = np.zeros((len(weights), len(weights))), 0
        for rows, _, odds in self._blocks(weights, each=max(1, len(self.labels) // _CURVED_ROWS)):
            read += len(rows)
            rest = np.exp(-np.abs(odds))
            root = np.sqrt(rest) / (1 + rest)
            design = np.empty((len(rows), len(weights)))
            design[:, 0] = root
            design[:, 1:] = (rows - self.center) * root[:, None]
            made += design.T @ design
        scale = np.r_[1.0, self.spread]
        made *= len(self.labels) / read
        return made / np.outer(scale, scale) + np.diag(self.penalty)

    def _blocks(
        self, weights: np.ndarray, *, each: int = 1
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Signals, labels and log-odds of some rows at a time; of `each` so many blocks, one."""
        scaled = weights[1:] / self.spread
        first = weights[0] - float(self.center @ scaled)
        for start in range(0, len(self.labels), each * _BLOCK_ROWS):
            rows = self.signals[start : start + _BLOCK_ROWS].astype(np.float64)
            yield rows, self.labels[start : start + _BLOCK_ROWS], rows @ scaled + first


def _climb(likelihood: _Likelihood, weights: np.ndarray, *, tolerance: float) -> np.ndarray:
    """Weights of the least loss, from a start; `tolerance` is relative to the loss.

    The curvature, which costs five times the slope, is made anew only after a step that gained
    more than a tenth of the one before.
    """
    loss, gradient = likelihood.slope(weights)
    curvature, before = likelihood.curvature(weights), np.inf
    for _ in range(_MAX_STEPS):
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while (tried := likelihood.slope(weights + size * step))[0] > loss:
            size /= 2
            if size < 1e-6:
                return weights
        weights = weights + size * step
        gained, (loss, gradient) = loss - tried[0], tried
        if gained <= tolerance * abs(loss):
            break
        if gained > before / 10:
            curvature = likelihood.curvature(weights)
        before = gained
    return weights


def prior_logit(names: Sequence[str], only: str, *, intercept: float) -> Logit:
    """Weight 1 on the signal called `only`, 0 on the others."""
    weights = np.array([1.0 if name == only else 0.0 for name in names])
    return Logit(np.zeros(len(names)), np.ones(len(names)), weights, intercept)
