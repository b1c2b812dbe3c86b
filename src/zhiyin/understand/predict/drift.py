"""Have the customers of today moved away from those that a model learned from?"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from zhiyin.core.features import Feature
from zhiyin.understand.predict.screening import UNSTABLE, stability_of_levels
from zhiyin.understand.predict.single import codes_of_numbers

WATCH = 0.1
SHOWN = 10
ROWS = 20_000


def growing(features: Sequence[Feature], history_days: int | None = None) -> frozenset[str]:
    """Names of features that grow with the shop's history: they drift without any change.

    Those of the whole history, and those of a window longer than `history_days`, the history that
    the first training day had.
    """
    most = math.inf if history_days is None else history_days
    return frozenset(f.name for f in features if f.window_days is None or f.window_days > most)


def measure_drift(
    training: np.ndarray,
    today: np.ndarray,
    names: Sequence[str],
    *,
    grown: Collection[str] = (),
) -> dict[str, Any]:
    """Population stability index of every feature between the training days and the day.

    Parameters
    ----------
    training, today
        (n, d) and (m, d) features; of longer tables evenly spaced rows are taken.
    names
        Names of the d features.
    grown
        Names of features that grow with the history: reported, but no alarm.

    Returns
    -------
    `status` (`stable`, `watch` from .10, `moved` from .25 of any feature that does not grow),
    `moved` (how many of these from .25) and `features` from .10, the strongest first.

    Notes
    -----
    Sum over bins of (p - q) ln(p / q); bounds after Siddiqi (2006), *Credit Risk Scorecards*.
    """
    before = _spaced(training)
    rows = np.concatenate([before, _spaced(today)])
    found = [
        (name, stability_of_levels(codes_of_numbers(rows[:, j]), len(before)))
        for j, name in enumerate(names)
    ]
    ordered = sorted(found, key=lambda one: (-round(one[1], 6), one[0]))
    steady = [value for name, value in found if name not in grown]
    worst = max(steady, default=0.0)
    return {
        "status": "moved" if worst >= UNSTABLE else "watch" if worst >= WATCH else "stable",
        "moved": sum(value >= UNSTABLE for value in steady),
        "features": [
            {"feature": name, "psi": round(value, 4), "grows": name in grown}
            for name, value in ordered[:SHOWN]
            if value >= WATCH
        ],
    }


def _spaced(rows: np.ndarray) -> np.ndarray:
    return rows[:: max(1, -(-len(rows) // ROWS))]
