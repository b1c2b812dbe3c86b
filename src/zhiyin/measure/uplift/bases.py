"""What the learners of uplift are made of: ridge regressions of our own, and boosted trees.

A base answers E[y | x] for outcomes and for effects, and is saved as plain arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

Kind = Literal["linear", "trees"]
OUTCOME_PENALTY = 1.0
"""Ridge of outcome models: a coefficient is about 1 (log-odds or standard deviations)."""
EFFECT_PENALTY = 100.0
"""Ridge of what changes the effect: about 0.1 per standard deviation of a feature."""
MOST_STEPS = 30


@dataclass(frozen=True)
class Linear:
    """intercept + x · coefficients, through the logistic function where `logit`."""

    coefficients: np.ndarray  # (d + 1,), the intercept first
    logit: bool

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(n,) expectations."""
        z = self.coefficients[0] + x @ self.coefficients[1:]
        return expit(z) if self.logit else z

    def to_artifact(self) -> dict[str, Any]:
        """Plain arrays and values."""
        return {"base": "linear", "coefficients": self.coefficients, "logit": self.logit}


@dataclass(frozen=True)
class Trees:
    """Boosted histogram trees as arrays of nodes, walked by numpy."""

    baseline: float
    stages: tuple[dict[str, np.ndarray], ...]  # left, right, feature, threshold, value
    logit: bool

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(n,) expectations."""
        z = np.full(len(x), self.baseline)
        rows = np.arange(len(x))
        for tree in self.stages:
            node = np.zeros(len(x), dtype=np.int64)
            while (inner := tree["left"][node] >= 0).any():
                below = x[rows, tree["feature"][node]] <= tree["threshold"][node]
                step = np.where(below, tree["left"][node], tree["right"][node])
                node = np.where(inner, step, node)
            z += tree["value"][node]
        return expit(z) if self.logit else z

    def to_artifact(self) -> dict[str, Any]:
        """Plain arrays and values."""
        return {
            "base": "trees",
            "baseline": self.baseline,
            "stages": [dict(tree) for tree in self.stages],
            "logit": self.logit,
        }


Base = Linear | Trees


def base_from_artifact(artifact: Mapping[str, Any]) -> Base:
    """What `to_artifact` of a base gave."""
    if artifact["base"] == "linear":
        return Linear(np.asarray(artifact["coefficients"], dtype=float), bool(artifact["logit"]))
    stages = tuple(
        {name: np.asarray(array) for name, array in tree.items()} for tree in artifact["stages"]
    )
    return Trees(float(artifact["baseline"]), stages, bool(artifact["logit"]))


def fit_linear(
    x: np.ndarray,
    y: np.ndarray,
    *,
    penalty: np.ndarray | float,
    logit: bool,
    weights: np.ndarray | None = None,
) -> Linear:
    """Ridge regression, least squares or (`logit`, y in {0, 1}) logistic by Newton's steps.

    `penalty`: of the squares of the (d,) coefficients; the intercept has none.
    """
    design = np.column_stack([np.ones(len(x)), x])
    ridge = np.concatenate([[1e-8], np.broadcast_to(penalty, x.shape[1])])
    weight = np.ones(len(y)) if weights is None else weights
    if not logit:
        squares = (design * weight[:, None]).T @ design + np.diag(ridge)
        return Linear(np.linalg.solve(squares, design.T @ (weight * y)), logit=False)
    share = float(np.clip(np.average(y, weights=weight), 1e-6, 1 - 1e-6))
    found = np.zeros(design.shape[1])
    found[0] = np.log(share / (1 - share))
    loss = _logistic_loss(design, y, weight, ridge, found)
    for _ in range(MOST_STEPS):
        chance = expit(design @ found)
        curve = np.maximum(weight * chance * (1 - chance), 1e-12)
        slope = design.T @ (weight * (y - chance)) - ridge * found
        step = np.linalg.solve((design * curve[:, None]).T @ design + np.diag(ridge), slope)
        while (
            new := _logistic_loss(design, y, weight, ridge, found + step)
        ) > loss + 1e-9 and np.abs(step).max() > 1e-9:
            step /= 2
        found, loss = found + step, new
        if np.abs(step).max() < 1e-7:
            break
    return Linear(found, logit=True)


def fit_trees(
    x: np.ndarray,
    y: np.ndarray,
    *,
    logit: bool,
    weights: np.ndarray | None = None,
    trees: int = 100,
    leaf_share: float = 0.01,
) -> Trees:
    """Boosting of trees with four leaves, each of `leaf_share` of the rows at least."""
    settings: dict[str, Any] = {
        "learning_rate": 0.05,
        "max_iter": trees,
        "max_leaf_nodes": 4,
        "min_samples_leaf": max(10, int(leaf_share * len(y))),
        "early_stopping": False,
        "random_state": 0,  # nothing is drawn below 200,000 rows; above it, bins are
    }
    if logit and len(np.unique(y)) < 2:
        return Trees(float(np.log((y.mean() + 1e-6) / (1 - y.mean() + 1e-6))), (), logit=True)
    kind = HistGradientBoostingClassifier if logit else HistGradientBoostingRegressor
    fitted = kind(**settings).fit(x, y, sample_weight=weights)
    stages = tuple(_plain(stage[0].nodes) for stage in fitted._predictors)
    return Trees(float(np.ravel(fitted._baseline_prediction)[0]), stages, logit)


def _plain(nodes: np.ndarray) -> dict[str, np.ndarray]:
    leaf = nodes["is_leaf"].astype(bool)
    return {
        "left": np.where(leaf, -1, nodes["left"].astype(np.int64)),
        "right": np.where(leaf, -1, nodes["right"].astype(np.int64)),
        "feature": np.where(leaf, 0, nodes["feature_idx"].astype(np.int64)),
        "threshold": nodes["num_threshold"].astype(float),
        "value": nodes["value"].astype(float),
    }


def _logistic_loss(
    design: np.ndarray, y: np.ndarray, weight: np.ndarray, ridge: np.ndarray, at: np.ndarray
) -> float:
    z = design @ at
    return float(weight @ (np.logaddexp(0, z) - y * z) + ridge @ (at * at) / 2)
