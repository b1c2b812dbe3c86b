"""Forecasts of a total and of its parts that agree: sums of parts equal the total."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.status import OK
from zhiyin.measure.trend.design import check
from zhiyin.measure.trend.forecasting import Forecast, forecast

TOTAL = "total"
Key = tuple[str, ...]


def forecast_tree(
    leaves: Mapping[Key, object],
    horizon: int,
    *,
    start: date,
    dimensions: Sequence[str],
    **options: Any,
) -> Forecast:
    """Forecast leaf series, each dimension's groups and the total, so that all sums agree.

    Parameters
    ----------
    leaves
        Key (one value for each dimension) → (days,) values; e.g. `("shoes", "north")`.
    dimensions
        What the parts of the keys are: `("category", "region")`.
    options
        As `forecast` takes them.

    Returns
    -------
    Series `total`, then `category=shoes` …, then the leaves `category=shoes, region=north`; with
    one dimension the leaves are the groups. Values agree to rounding; intervals are each series'
    own, around the agreed value.

    Notes
    -----
    All are forecast alone, then moved by least squares, each by as little as its errors in the past
    were small (MinT with variances alone: Wickramasuriya, Athanasopoulos, Hyndman 2019, JASA
    114:804). Where nothing was ever below 0, leaves are cut at 0 and summed again.

    Raises
    ------
    InvalidParameter
        If keys and dimensions do not go together.
    """
    keys = sorted(leaves)
    if not keys or any(len(key) != len(dimensions) for key in keys):
        raise InvalidParameter("each leaf has one value for each dimension, and there is a leaf")
    base = check([leaves[key] for key in keys])
    names, summing = _sum_matrix(keys, dimensions)
    everything = summing @ np.nan_to_num(base)
    if np.isnan(base).any():
        gaps = np.isnan(base).all(axis=0)
        everything[:, gaps] = np.nan
    found = forecast(everything, horizon, start=start, names=names, **options)
    values = np.nan_to_num(found.values)
    agreed = _agree(found, values, summing)
    if np.nanmin(base) >= 0:
        agreed = np.maximum(agreed, 0.0)
    values = summing @ agreed
    return _move(found, values, positive=bool(np.nanmin(base) >= 0))


def _sum_matrix(
    keys: Sequence[Key], dimensions: Sequence[str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of all series, and (series, leaves) of 0 and 1."""
    names, rows = [TOTAL], [np.ones(len(keys))]
    for place, dimension in enumerate(dimensions):
        for value in sorted({key[place] for key in keys}):
            names.append(f"{dimension}={value}")
            rows.append(np.array([float(key[place] == value) for key in keys]))
    if len(dimensions) > 1:
        for number, key in enumerate(keys):
            said = (f"{one}={value}" for one, value in zip(dimensions, key, strict=True))
            names.append(", ".join(said))
            rows.append(np.eye(len(keys))[number])
    return tuple(names), np.array(rows)


def _agree(found: Forecast, values: np.ndarray, summing: np.ndarray) -> np.ndarray:
    """(leaves, horizon) whose sums are nearest to what was forecast."""
    error = found.errors[:, -1] ** 2
    known = np.array([one == OK for one in found.status]) & np.isfinite(error) & (error > 0)
    scale = float(np.median(error[known])) if known.any() else 1.0
    size = summing.sum(axis=1)
    variance = np.where(known, error, scale * size / max(1.0, float(np.median(size))))
    fixed = np.array([one in ("all_zero", "constant") for one in found.status])
    variance = np.where(fixed, 1e-9 * scale, np.maximum(variance, 1e-9 * scale))
    weighed = summing / variance[:, None]
    return np.linalg.solve(weighed.T @ summing, weighed.T @ values)


def _move(found: Forecast, values: np.ndarray, *, positive: bool) -> Forecast:
    """The forecast around agreed values, each interval as wide as it was."""
    below, above = found.values - found.low, found.high - found.values
    width = np.maximum(below, above)
    total = values.sum(axis=1)
    total_width = np.maximum(found.total - found.total_low, found.total_high - found.total)
    low, total_low = values - width, total - total_width
    if positive:
        low, total_low = np.maximum(low, 0.0), np.maximum(total_low, 0.0)
    return replace(
        found, values=values, low=low, high=values + width, total=total,
        total_low=total_low, total_high=total + total_width,
    )  # fmt: skip
