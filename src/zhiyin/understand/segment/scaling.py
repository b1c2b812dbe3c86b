"""Columns made comparable before distances are measured: winsorised, logged, standardised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SKEWED = 1.0  # above this skewness a column is logged
_TAIL = 0.01  # share cut off at either end
_SAME = 0.98  # columns this correlated with an earlier one add nothing


@dataclass(frozen=True, eq=False)
class Scaling:
    """How each column is transformed: fitted values, all (d,).

    A missing value takes `fill`; values are held within `low`..`high`; where `logged`, a value v
    becomes sign(v) log(1 + |v|); the result is centred by `center` and divided by `spread`.
    """

    fill: np.ndarray
    low: np.ndarray
    high: np.ndarray
    logged: np.ndarray
    center: np.ndarray
    spread: np.ndarray

    def apply(self, values: np.ndarray) -> np.ndarray:
        """(n, d) values, NaN where missing, as (n, d) standardised ones."""
        moved = _shape(values, self.fill, self.low, self.high, self.logged)
        return (moved - self.center) / self.spread


def fit_scaling(values: np.ndarray) -> Scaling:
    """Learn the transformation of (n, d) float64 values with NaN where missing; n >= 1.

    Columns that do not vary, or are missing throughout, become all zero.
    """
    known = np.where(np.isnan(values).all(axis=0), 0.0, values)
    fill = np.nanmedian(known, axis=0)
    filled = np.where(np.isnan(known), fill, known)
    low, high = np.quantile(filled, [_TAIL, 1 - _TAIL], axis=0)
    flat = high <= low  # almost all equal: cut nothing, or all would be equal
    low, high = np.where(flat, filled.min(axis=0), low), np.where(flat, filled.max(axis=0), high)
    held = np.clip(filled, low, high)
    logged = np.abs(_skewness(held)) > _SKEWED
    moved = _shape(values, fill, low, high, logged)
    spread = moved.std(axis=0)
    return Scaling(
        fill=fill,
        low=low,
        high=high,
        logged=logged,
        center=moved.mean(axis=0),
        spread=np.where(spread > 1e-12, spread, 1.0),
    )


def pick_columns(scaled: np.ndarray) -> np.ndarray:
    """Indices of columns that vary and do not repeat an earlier one."""
    kept: list[int] = []
    n = len(scaled)
    for column in range(scaled.shape[1]):
        mine = scaled[:, column]
        if mine.std() < 1e-9:
            continue
        if all(abs(float(mine @ scaled[:, other])) / n < _SAME for other in kept):
            kept.append(column)
    return np.array(kept, dtype=np.int64)


def principal_axes(scaled: np.ndarray, *, share: float) -> np.ndarray:
    """(d, p) directions that hold at least `share` of the variance, largest first.

    Signs are fixed (the largest entry of each direction is positive), so results repeat.
    """
    covariance = scaled.T @ scaled / max(len(scaled), 1)
    variance, axes = np.linalg.eigh(covariance)
    order = np.argsort(-variance, kind="stable")
    variance, axes = np.maximum(variance[order], 0), axes[:, order]
    held = np.cumsum(variance) / max(float(variance.sum()), 1e-12)
    width = int(np.searchsorted(held, share - 1e-12) + 1)
    axes = axes[:, : min(width, axes.shape[1])]
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    return axes * np.where(largest < 0, -1.0, 1.0)


def _shape(
    values: np.ndarray, fill: np.ndarray, low: np.ndarray, high: np.ndarray, logged: np.ndarray
) -> np.ndarray:
    held = np.clip(np.where(np.isnan(values), fill, values), low, high)
    return np.where(logged, np.sign(held) * np.log1p(np.abs(held)), held)


def _skewness(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(axis=0)
    spread = centred.std(axis=0)
    return (centred**3).mean(axis=0) / np.where(spread > 1e-12, spread, 1.0) ** 3
