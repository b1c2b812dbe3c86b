"""Festivals and sales that move a shop's revenue, as columns of a media mix.

Each is a stretch of days around a day that moves from year to year. China's Spring Festival stands
twice: people buy before it, shops rest during it. A period's value is the share of its days that
lie in the stretch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from zhiyin.audience.lunar import celebrated_on
from zhiyin.core.errors import InvalidParameter

Stretch = tuple[date, date]
"""First and last day, both within."""

CALENDARS: Final = ("cn", "west")


def _around(day: date | None, before: int, after: int) -> list[Stretch]:
    if day is None:  # beyond the lunar table
        return []
    return [(day - timedelta(days=before), day + timedelta(days=after))]


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    """The n-th Monday (0) … Sunday (6) of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _china(year: int) -> dict[str, list[Stretch]]:
    spring = celebrated_on(year, month=1, day=1)
    return {
        "before_spring_festival": [] if spring is None else _around(spring, 21, -2),
        "spring_festival": _around(spring, 1, 7),
        "mid_autumn": _around(celebrated_on(year, month=8, day=15), 10, 0),
        "qixi": _around(celebrated_on(year, month=7, day=7), 6, 0),
        "labour_day": [(date(year, 5, 1), date(year, 5, 5))],
        "618": [(date(year, 6, 1), date(year, 6, 20))],
        "golden_week": [(date(year, 10, 1), date(year, 10, 7))],
        "double_11": [(date(year, 10, 31), date(year, 11, 11))],
        "double_12": [(date(year, 12, 10), date(year, 12, 12))],
    }


def _west(year: int) -> dict[str, list[Stretch]]:
    thanksgiving = _nth(year, 11, 3, 4)
    return {
        "valentine": _around(date(year, 2, 14), 7, 0),
        "easter": _around(_easter(year), 10, 0),
        "mothers_day": _around(_nth(year, 5, 6, 2), 7, 0),
        "black_friday": _around(thanksgiving, 0, 4),
        "before_christmas": [(date(year, 12, 5), date(year, 12, 24))],
        "after_christmas": [(date(year, 12, 25), date(year, 12, 31))],
    }


def _easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (Anonymous, Nature 13:487, 1876)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    h = (19 * a + b - d - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def list_holidays(calendar: str, years: Iterable[int]) -> dict[str, list[Stretch]]:
    """Stretches of days by name, for the `cn` or the `west` calendar.

    Raises
    ------
    InvalidParameter
        If there is no such calendar.
    """
    if calendar not in CALENDARS:
        raise InvalidParameter(
            f"there is no holiday calendar {calendar!r}",
            hint=f"one of {', '.join(CALENDARS)}, or stretches of your own by name",
        )
    found: dict[str, list[Stretch]] = {}
    for year in years:
        for name, stretches in (_china if calendar == "cn" else _west)(year).items():
            found.setdefault(name, []).extend(stretches)
    return found


def share_of_days(
    starts: Sequence[date], days: int, stretches: Sequence[Stretch]
) -> NDArray[np.float64]:
    """Share of the days of each period that lie in the stretches, in [0, 1].

    `starts` are the first days of periods of `days` days each.
    """
    first = np.array([start.toordinal() for start in starts])
    share = np.zeros(len(first))
    for low, high in stretches:
        begin = np.maximum(first, low.toordinal())
        end = np.minimum(first + days, high.toordinal() + 1)
        share += np.maximum(end - begin, 0)
    return np.minimum(share / days, 1)
