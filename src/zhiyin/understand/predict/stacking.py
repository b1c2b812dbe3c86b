"""Weigh models by what they said about rows that they had not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from zhiyin.understand.predict.quality import log_loss
from zhiyin.understand.predict.scaling import logit, sigmoid

PRIOR_ROWS = 20.0  # how many rows the wish for equal weights counts for
DROP = 0.02  # share of the weight below which a model is left out


@dataclass(frozen=True)
class Stack:
    """P = sigmoid(sum of weight x log-odds + intercept), weights never negative.

    The sum of the weights is free: where it is not 1 the blend is calibrated by it.
    """

    weights: np.ndarray
    intercept: float

    def apply(self, margins: np.ndarray) -> np.ndarray:
        """Calibrated probabilities from (n, m) log-odds of the models."""
        return sigmoid(margins @ self.weights + self.intercept)


def fit_stack(margins: np.ndarray, labels: np.ndarray) -> Stack:
    """Weights with the least log-loss on (n, m) out-of-fold log-odds.

    A ridge pulls the weights to equal ones that sum to 1; with many rows it does not matter, with
    few it keeps a lucky model from taking all. Models with next to no weight are dropped and the
    rest is fitted again.
    """
    stack = _fit(margins, labels)
    kept = stack.weights > DROP * max(float(stack.weights.sum()), 1e-9)
    if not kept.any() or kept.all():
        return stack
    part = _fit(margins[:, kept], labels)
    weights = np.zeros(margins.shape[1])
    weights[kept] = part.weights
    return Stack(weights, part.intercept)


def _fit(margins: np.ndarray, labels: np.ndarray) -> Stack:
    n, m = margins.shape
    start = np.append(np.full(m, 1 / m), 0.0)
    pull = PRIOR_ROWS / n

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        margin = margins @ beta[:-1] + beta[-1]
        gap = beta[:-1] - 1 / m
        error = sigmoid(margin) - labels
        value = float(np.mean(np.logaddexp(0, margin) - labels * margin)) + pull * (gap @ gap) / 2
        return value, np.append(margins.T @ error / n + pull * gap, error.mean())

    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * m + [(None, None)]
    )
    return Stack(found.x[:-1], float(found.x[-1]))


def judge_stack(margins: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> float:
    """Log-loss of a stack on folds that its weights were not fitted on."""
    made = np.empty(len(labels))
    for k in np.unique(fold):
        test = fold == k
        made[test] = fit_stack(margins[~test], labels[~test]).apply(margins[test])
    return log_loss(labels, made)


def to_margins(probabilities: np.ndarray) -> np.ndarray:
    """Log-odds of the models, kept in a range that one wrong row cannot spoil."""
    return np.clip(logit(probabilities), -8.0, 8.0)
