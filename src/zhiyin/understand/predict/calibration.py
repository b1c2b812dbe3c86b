"""Turn a model's scores into probabilities by what out-of-time data said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from zhiyin.understand.predict.scaling import logit, sigmoid

_STEPS = 50
_RIDGE = 1e-3  # pulls the slope to 1: with few positives the model's own scale is the best guess


@dataclass(frozen=True)
class Platt:
    """P = sigmoid(slope * logit(p) + intercept). Source: Platt (1999), on log-odds."""

    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, probability: np.ndarray) -> np.ndarray:
        """Calibrated probabilities, in the same order of customers (the slope is positive)."""
        return sigmoid(self.slope * logit(probability) + self.intercept)

    def to_artifact(self) -> dict[str, Any]:
        return {"slope": self.slope, "intercept": self.intercept}

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Platt:
        return cls(float(artifact["slope"]), float(artifact["intercept"]))


def fit_platt(probability: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Platt:
    """Fit slope and intercept by Newton steps on the weighted log-likelihood.

    Parameters
    ----------
    probability
        Out-of-time predictions, (n,).
    labels
        What happened, 0 or 1.
    weights
        Weight of each row, positive.

    Returns
    -------
    The calibrator; the identity where there is one class only or the slope would not be positive
    (then the scores carry no order worth keeping a scale for).
    """
    if labels.min() == labels.max():
        return Platt()
    x = np.column_stack([logit(probability), np.ones(len(labels))])
    beta = np.array([1.0, 0.0])
    penalty = np.array([_RIDGE * weights.sum(), 0.0])
    for _ in range(_STEPS):
        p = sigmoid(x @ beta)
        gradient = x.T @ (weights * (labels - p)) - penalty * (beta - np.array([1.0, 0.0]))
        hessian = (x * (weights * p * (1 - p))[:, None]).T @ x + np.diag(penalty + 1e-9)
        step = np.linalg.solve(hessian, gradient)
        beta = beta + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    return Platt(float(beta[0]), float(beta[1])) if beta[0] > 0 else Platt()


def anchor_level(platt: Platt, probability: np.ndarray, *, rate: float) -> Platt:
    """Move the intercept halfway, in log-odds, to a mean response of `rate`.

    Features that count a customer's whole history grow with the shop's history, so the mean of the
    predictions drifts upwards, while the recent rate knows nothing of who gets this campaign. The
    mean of both guesses was nearer than either on campaign 13 of The Complete Journey. The need
    for it was also seen on campaign 18, so the calibration error there is no clean check; the order
    of customers does not depend on it.

    Parameters
    ----------
    platt
        The calibrator to move.
    probability
        Uncalibrated predictions of those to be scored.
    rate
        Recent response to campaigns of the kind, in (0, 1).
    """
    margin = platt.slope * logit(probability)
    now = float(sigmoid(margin + platt.intercept).mean())
    goal = float(sigmoid((logit(np.array(now)) + logit(np.array(rate))) / 2))
    low, high = -40.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2
        if sigmoid(margin + middle).mean() < goal:
            low = middle
        else:
            high = middle
    return Platt(platt.slope, (low + high) / 2)
