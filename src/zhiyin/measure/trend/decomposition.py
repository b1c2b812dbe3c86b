"""A daily series parted into trend, week, year, holidays and rest, as a robust regression.

It gives the parts of STL (Cleveland et al. 1990, J. Official Statistics 6:3) and more: several
seasons at once, holidays of the lunar calendar, gaps. The trend is a line that may bend every four
weeks, kept straight by a ridge that generalised cross-validation chooses; single days weigh less
the further they lie off (Tukey's bisquare), so that one odd day does not bend what is expected.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from zhiyin.measure.status import OK
from zhiyin.measure.trend.design import (
    EXTERNAL,
    HOLIDAYS,
    MIN_DAYS,
    TREND,
    WEEK,
    YEAR,
    Design,
    build,
    check,
    choose_penalty,
)

TOO_SHORT, CONSTANT, ALL_ZERO, TOO_MANY_GAPS = "too_short", "constant", "all_zero", "too_many_gaps"
"""Why a series is not parted, besides `ok`."""
MAX_GAPS = 0.5
_ROUNDS = 4
_BISQUARE = 6.0  # times the scale: from there on a day has no weight
_MAD = 1.4826


@dataclass(frozen=True)
class Decomposition:
    """The parts of one series of n days from `start`; they add up to the values.

    `scale` is the robust standard deviation of one day around what is expected, `leverage` how far
    a day pulls its own expectation. `weight` in [0, 1] says what a day counted for. Where `status`
    is not `ok`, trend is the median and the other parts are 0.
    """

    start: date
    values: np.ndarray
    trend: np.ndarray
    week: np.ndarray
    year: np.ndarray
    holidays: np.ndarray
    external: np.ndarray
    rest: np.ndarray
    scale: float
    leverage: np.ndarray
    weight: np.ndarray
    effects: dict[str, float]
    status: str

    @property
    def expected(self) -> np.ndarray:
        """(n,) what a day should have been."""
        return self.trend + self.week + self.year + self.holidays + self.external

    def day(self, place: int) -> date:
        """The day at a place."""
        return self.start + timedelta(int(place))


def find_status(values: np.ndarray) -> str:
    """Whether a series of (n,) days can be parted: `ok`, or why not."""
    seen = values[~np.isnan(values)]
    if len(seen) < MIN_DAYS:
        return TOO_SHORT if len(values) < MIN_DAYS else TOO_MANY_GAPS
    if len(seen) < (1 - MAX_GAPS) * len(values):
        return TOO_MANY_GAPS
    if not seen.any():
        return ALL_ZERO
    return CONSTANT if float(np.ptp(seen)) <= 1e-12 * abs(float(seen[0])) else OK


def decompose(
    values: object,
    start: date,
    *,
    calendars: Iterable[str] = ("china", "west"),
    external: np.ndarray | None = None,
    external_names: tuple[str, ...] = (),
) -> Decomposition:
    """Part a daily series.

    Parameters
    ----------
    values
        (n,) one number a day; NaN is a gap, 0 is a day without sales.
    start
        The first day.
    calendars
        Whose holidays: `china`, `west`, or none.
    external
        (n, m) other numbers by day that may move it (weather, a competitor's price), named by
        `external_names`; see `align_external`.

    Notes
    -----
    A season of the year is parted from 550 days on; before, it is in the trend. Effects of holidays
    and others are in units of the values a day (others: for one standard deviation of theirs).

    Examples
    --------
    >>> found = decompose([10, 12, 9, 11, 15, 30, 28] * 8, date(2026, 1, 5))
    >>> found.week[:7].round(1)
    """
    y = check(values)[0]
    status = find_status(y)
    if status != OK:
        return _nothing(y, start, status)
    design = build(
        start, len(y), calendars=calendars, external=external, external_names=external_names
    )
    seen = ~np.isnan(y)
    filled = np.where(seen, y, _fill(y, start))
    penalty = float(choose_penalty(design, filled[None])[0])
    beta, weight, scale = _fit_robust(design, np.where(seen, y, 0.0), seen, penalty)
    return _part(design, y, start, beta, weight, scale, penalty)


def _fit_robust(
    design: Design, y: np.ndarray, seen: np.ndarray, penalty: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients, weights and scale, after a few rounds of reweighing."""
    ridge = np.diag(design.ridge + penalty * design.bend + 1e-9)
    weight, scale, beta = seen.astype(float), 0.0, np.zeros(design.x.shape[1])
    for _ in range(_ROUNDS):
        weighed = design.x * weight[:, None]
        gram = weighed.T @ design.x
        beta = np.linalg.solve(gram + ridge, weighed.T @ y)
        rest = y - design.x @ beta
        freedom = float(np.trace(np.linalg.solve(gram + ridge, gram)))
        n = float(seen.sum())
        scale = _MAD * float(np.median(np.abs(rest[seen]))) * np.sqrt(n / max(1.0, n - freedom))
        if scale <= 0:
            break
        off = np.clip(np.abs(rest) / (_BISQUARE * scale), 0.0, 1.0)
        weight = np.where(seen, (1 - off**2) ** 2, 0.0)
    return beta, weight, float(scale)


def _part(
    design: Design, y: np.ndarray, start: date, beta: np.ndarray, weight: np.ndarray,
    scale: float, penalty: float,
) -> Decomposition:  # fmt: skip
    parts = {
        of: design.x[:, design.of(of)] @ beta[design.of(of)]
        for of in (TREND, WEEK, YEAR, HOLIDAYS, EXTERNAL)
    }
    ridge = np.diag(design.ridge + penalty * design.bend + 1e-9)
    inverse = np.linalg.inv((design.x * weight[:, None]).T @ design.x + ridge)
    leverage = np.clip(np.einsum("ij,jk,ik->i", design.x, inverse, design.x) * weight, 0, 0.99)
    effects = {
        name: float(value)
        for name, value, of in zip(design.names, beta, design.part, strict=True)
        if of in (HOLIDAYS, EXTERNAL)
    }
    return Decomposition(
        start, y, parts[TREND], parts[WEEK], parts[YEAR], parts[HOLIDAYS], parts[EXTERNAL],
        y - sum(parts.values()), scale, leverage, weight, effects, OK,
    )  # fmt: skip


def _fill(y: np.ndarray, start: date) -> np.ndarray:
    """A gap as the median of its weekday, for choosing how far the trend bends."""
    weekday = (start.weekday() + np.arange(len(y))) % 7
    filled = np.full(len(y), np.nanmedian(y))
    for day in range(7):
        mine = y[weekday == day]
        if (~np.isnan(mine)).any():
            filled[weekday == day] = np.nanmedian(mine)
    return filled


def _nothing(y: np.ndarray, start: date, status: str) -> Decomposition:
    seen = y[~np.isnan(y)]
    level = np.full(len(y), float(np.median(seen)) if len(seen) else 0.0)
    none = np.zeros(len(y))
    return Decomposition(
        start, y, level, none, none, none, none, y - level, 0.0, none, np.ones(len(y)), {}, status
    )
