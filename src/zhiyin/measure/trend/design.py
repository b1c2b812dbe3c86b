"""The regression that parts a daily series: trend, week, year, holidays, what the user loaded.

All series of a panel share the columns, so that many are fitted at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.trend.calendar import mark_holidays

TREND, WEEK, YEAR, HOLIDAYS, EXTERNAL = "trend", "week", "year", "holidays", "external"
YEAR_DAYS = 365.25
MIN_DAYS = 28
"""A shorter series is not parted: `too_short`."""
YEAR_FROM = 550
"""Days from which on a season of the year can be told from a trend."""
KNOT_DAYS = 28
PENALTIES = (0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0)


@dataclass(frozen=True)
class Design:
    """(n, p) columns `x`, the part each belongs to, and the ridge on each (times `penalty`)."""

    x: np.ndarray
    part: tuple[str, ...]
    names: tuple[str, ...]
    ridge: np.ndarray
    bend: np.ndarray  # (p,) 1 where the penalty to be chosen applies: how far a trend may bend

    def of(self, part: str) -> np.ndarray:
        """(p,) which columns belong to a part."""
        return np.array([one == part for one in self.part])


def build(
    start: date,
    n: int,
    *,
    fitted: int | None = None,
    calendars: Iterable[str] = ("china", "west"),
    external: np.ndarray | None = None,
    external_names: tuple[str, ...] = (),
    bends: bool = True,
) -> Design:
    """Columns of `n` days from `start`, of which the first `fitted` are learned from.

    A holiday without a day among the fitted ones gets no column. Week, year and holidays have
    mean 0 over the fitted days or are 0 off the day, so that the trend keeps the level.
    """
    fitted = n if fitted is None else fitted
    t = np.arange(n, dtype=float)
    columns, part, names, ridge, bend = [], [], [], [], []

    def add(column: np.ndarray, of: str, name: str, weight: float, bends: float = 0.0) -> None:
        columns.append(column)
        part.append(of)
        names.append(name)
        ridge.append(weight)
        bend.append(bends)

    add(np.ones(n), TREND, "level", 0.0)
    add((t - fitted / 2) / fitted, TREND, "slope", 1e-6)
    if bends:
        knots = np.arange(KNOT_DAYS, fitted - KNOT_DAYS / 2, KNOT_DAYS)
        for knot in knots:  # hinges; the last bend is followed beyond the end
            add(np.maximum(0.0, t - knot) / KNOT_DAYS, TREND, f"bend_{int(knot)}", 0.0, 1.0)
    weekday = (start.weekday() + np.arange(n)) % 7
    for day in range(6):  # effects sum to 0 over a week
        add((weekday == day) - (weekday == 6).astype(float), WEEK, f"weekday_{day}", 0.5)
    if fitted >= YEAR_FROM:
        angle = 2 * np.pi * (start.timetuple().tm_yday + t) / YEAR_DAYS
        for order in (1, 2, 3):
            add(np.sin(order * angle), YEAR, f"sin_{order}", 0.5 * order)
            add(np.cos(order * angle), YEAR, f"cos_{order}", 0.5 * order)
    holidays, marks = mark_holidays(start, n, calendars=calendars)
    for name, mark in zip(holidays, marks.T, strict=True):
        if mark[:fitted].any():
            add(mark, HOLIDAYS, name, 0.5)
    if external is not None:
        scale = external[:fitted].std(axis=0)
        centred = (external - external[:fitted].mean(axis=0)) / np.where(scale > 0, scale, 1.0)
        for name, column in zip(external_names, centred.T, strict=True):
            add(column, EXTERNAL, name, 1.0)
    return Design(np.array(columns).T, tuple(part), tuple(names), np.array(ridge), np.array(bend))


def choose_penalty(design: Design, values: np.ndarray) -> np.ndarray:
    """(k,) the trend penalty of each of the (k, n) series without gaps, by cross-validation.

    Generalised cross-validation (Golub, Heath, Wahba 1979) over `PENALTIES`, with the effective
    number of columns counted 1.4 times, which keeps it from bending to noise that hangs together
    (Cummins, Filloon, Nychka 2001).
    """
    x, n = design.x, values.shape[1]
    gram, cross = x.T @ x, values @ x
    total = (values**2).sum(axis=1)
    scores = []
    for penalty in PENALTIES:
        inverse = np.linalg.inv(gram + np.diag(design.ridge + penalty * design.bend + 1e-9))
        beta = cross @ inverse
        error = total - 2 * (beta * cross).sum(axis=1) + ((beta @ gram) * beta).sum(axis=1)
        freedom = max(1.0, n - 1.4 * float(np.trace(inverse @ gram)))
        scores.append(np.maximum(error, 0.0) / freedom**2)
    return np.array(PENALTIES)[np.argmin(np.array(scores), axis=0)]


def check(values: object, *, least: int = 1) -> np.ndarray:
    """A (k, n) array of floats; NaN is a gap.

    Raises
    ------
    InvalidParameter
        If it is neither one series nor a table of them, or holds infinities.
    """
    found = np.atleast_2d(np.asarray(values, dtype=float))
    if found.ndim != 2 or found.shape[1] < least:
        raise InvalidParameter(f"values are (days,) or (series, days), not {found.shape}")
    if np.isinf(found).any():
        raise InvalidParameter("a value is infinite", hint="a gap is NaN")
    return found
