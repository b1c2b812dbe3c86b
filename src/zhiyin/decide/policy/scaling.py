"""Features of customers as contexts: of one scale, in bounds, the constant 1 at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.errors import InvalidParameter

FARTHEST = 4.0  # standard deviations: one odd customer must not decide for all
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scaling:
    """Subtracts `middles`, divides by `widths`; what is unknown or far out is drawn in.

    A feature that is unknown (NaN, or not given) becomes 0, the average.
    """

    features: tuple[str, ...]
    middles: Floats
    widths: Floats

    @classmethod
    def fit(cls, features: np.ndarray, names: Sequence[str]) -> Scaling:
        """Middles and widths of (rows, d) features; those of a column that is constant are 1."""
        given = np.asarray(features, np.float64)
        if given.ndim != 2 or given.shape[1] != len(names) or len(set(names)) < len(names):
            raise InvalidParameter(
                f"features of {len(names)} names have as many columns, not the shape {given.shape}"
            )
        known = np.isfinite(given)
        counts = np.maximum(known.sum(axis=0), 1)
        middles = np.where(known, given, 0.0).sum(axis=0) / counts
        squares = np.where(known, given - middles, 0.0) ** 2
        widths = np.sqrt(squares.sum(axis=0) / counts)
        flat = widths <= 1e-12 * np.maximum(np.abs(middles), 1.0)
        return cls(tuple(names), middles, np.where(flat, 1.0, widths))

    @property
    def width(self) -> int:
        """Numbers of a context: the features and 1."""
        return len(self.features) + 1

    def encode(self, features: Mapping[str, float] | Sequence[float] | np.ndarray) -> Floats:
        """The context of one customer, (d + 1,)."""
        if isinstance(features, Mapping):
            features = [features.get(name, np.nan) for name in self.features]
        made = np.empty(self.width)
        made[-1] = 1.0
        made[:-1] = features
        made[:-1] -= self.middles
        made[:-1] /= self.widths
        return _bounded(made)

    def encode_many(self, features: np.ndarray) -> Floats:
        """The contexts of (rows, d) features, (rows, d + 1)."""
        given = np.asarray(features, np.float64)
        made = np.ones((len(given), self.width))
        made[:, :-1] = (given - self.middles) / self.widths
        return _bounded(made)

    def to_artifact(self) -> dict[str, Any]:
        """JSON values and arrays, as `core.artifact` packs them."""
        return {"features": list(self.features), "middles": self.middles, "widths": self.widths}

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Scaling:
        """What `to_artifact` described."""
        return cls(tuple(artifact["features"]), artifact["middles"], artifact["widths"])


def _bounded(contexts: Floats) -> Floats:
    np.minimum(contexts, FARTHEST, out=contexts)
    np.maximum(contexts, -FARTHEST, out=contexts)
    unknown = contexts != contexts
    if unknown.any():
        contexts[unknown] = 0.0
    return contexts
