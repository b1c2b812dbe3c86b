"""Bring features of any unit to one scale for models that need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

LIMIT = 6.0  # standard deviations beyond which a value says no more


@dataclass(frozen=True)
class Scaler:
    """sign(x) log(1 + |x|), missing → median, then zero mean and unit variance, cut at `LIMIT`."""

    fill: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray) -> Scaler:
        """Learn medians, means and spreads of (n, d) features; a constant column becomes 0."""
        logs = _signed_log(features)
        known = ~np.isnan(logs)
        fill = np.array(
            [
                np.median(logs[known[:, j], j]) if known[:, j].any() else 0.0
                for j in range(logs.shape[1])
            ]
        )
        filled = np.where(known, logs, fill)
        spread = filled.std(axis=0)
        return cls(fill, filled.mean(axis=0), np.where(spread > 1e-12, spread, np.inf))

    def transform(self, features: np.ndarray) -> np.ndarray:
        """(n, d) scaled features without missing values."""
        logs = _signed_log(features)
        filled = np.where(np.isnan(logs), self.fill, logs)
        return np.clip((filled - self.mean) / self.scale, -LIMIT, LIMIT)

    def to_artifact(self) -> dict[str, Any]:
        return {"fill": self.fill, "mean": self.mean, "scale": self.scale}

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Scaler:
        return cls(artifact["fill"], artifact["mean"], artifact["scale"])


def _signed_log(features: np.ndarray) -> np.ndarray:
    return np.copysign(np.log1p(np.abs(features)), features)


def sigmoid(margin: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x) without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * margin))


def logit(probability: np.ndarray) -> np.ndarray:
    """Log-odds; probabilities are kept 1e-9 away from 0 and 1."""
    safe = np.clip(probability, 1e-9, 1 - 1e-9)
    return np.log(safe) - np.log1p(-safe)
