"""What a responder will spend on the campaign's products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SpendModel:
    """E[spend | responds] = mean * ((1 - weight) + weight * own / typical), shrunk to the mean.

    `mean` is what past responders spent while their campaign ran, `typical` what they used to
    spend on its products in as many days, both in minor units; `weight` in [0, 1] is the least
    squares slope of spend / mean on own / typical.
    """

    mean: float
    typical: float
    weight: float
    n: int

    def expect(self, own: np.ndarray) -> np.ndarray:
        """Expected spend for customers who usually spend `own`; minor units."""
        if self.typical <= 0:
            return np.full(len(own), self.mean)
        return self.mean * (1 - self.weight + self.weight * np.maximum(own, 0) / self.typical)


def fit_spend(own: np.ndarray, spent: np.ndarray) -> SpendModel:
    """Fit on past responders: what they usually spent and what they spent, minor units.

    Without responders the expectation is 0, and `n` = 0 says so.
    """
    if len(spent) == 0:
        return SpendModel(0.0, 0.0, 0.0, 0)
    mean, typical = float(np.mean(spent)), float(np.mean(own))
    if mean <= 0 or typical <= 0:
        return SpendModel(max(mean, 0.0), max(typical, 0.0), 0.0, len(spent))
    x, y = own / typical - 1, spent / mean - 1
    spread = float(np.sum(x * x))
    weight = float(np.clip(np.sum(x * y) / spread, 0, 1)) if spread > 0 else 0.0
    return SpendModel(mean, typical, weight, len(spent))
