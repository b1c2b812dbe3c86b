"""Trends: what a series does, what is odd in it, what comes next, and why it changed.

Pure functions on daily numbers; `sums` makes those of order lines. docs/measure-trend.md says which
function when.
"""

from __future__ import annotations

from zhiyin.measure.trend.anomalies import Anomalies, Anomaly, find_anomalies
from zhiyin.measure.trend.calendar import CALENDARS, mark_holidays
from zhiyin.measure.trend.changes import Change, Changes, find_changes
from zhiyin.measure.trend.decomposition import Decomposition, decompose
from zhiyin.measure.trend.explanation import (
    Effects,
    Explanation,
    Part,
    explain_change,
    split_effects,
)
from zhiyin.measure.trend.external import align_external, read_external
from zhiyin.measure.trend.forecasting import METHODS, Forecast, forecast
from zhiyin.measure.trend.hierarchy import forecast_tree
from zhiyin.measure.trend.price import price_effects
from zhiyin.measure.trend.rising import Riser, Rising, find_rising
from zhiyin.measure.trend.sums import Cube, read_cube, sum_days, sum_items

__all__ = [
    "CALENDARS", "METHODS", "Anomalies", "Anomaly", "Change", "Changes", "Cube", "Decomposition",
    "Effects", "Explanation", "Forecast", "Part", "Riser", "Rising", "align_external", "decompose",
    "explain_change", "find_anomalies", "find_changes", "find_rising", "forecast", "forecast_tree",
    "mark_holidays", "price_effects", "read_cube", "read_external", "split_effects", "sum_days",
    "sum_items",
]  # fmt: skip
