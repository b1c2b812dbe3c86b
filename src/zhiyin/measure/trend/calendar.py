"""Holidays that move sales, as columns of a regression: China's by the lunar calendar, the West's.

Each is one or more stretches of days with an effect of their own: the weeks before Spring Festival
are not the days of it. Days are local.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta

import numpy as np

from zhiyin.audience.lunar import celebrated_on
from zhiyin.core.errors import InvalidParameter

Day = Callable[[int], date | None]
Stretch = tuple[Day, int, int]  # the holiday of a year, first and last day around it


def _lunar(month: int, day: int) -> Day:
    return lambda year: celebrated_on(year, month=month, day=day)


def _solar(month: int, day: int) -> Day:
    return lambda year: date(year, month, day)


def _weekday(month: int, weekday: int, place: int) -> Day:
    """The `place`-th given weekday (0 = Monday) of a month."""

    def find(year: int) -> date:
        first = date(year, month, 1)
        return first + timedelta((weekday - first.weekday()) % 7 + 7 * (place - 1))

    return find


def _easter(year: int) -> date:
    """Sunday of Easter (Butcher's rule, Gregorian)."""
    a, b, d = year % 19, year // 100, year % 100
    e = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    f = (32 + 2 * (b % 4) + 2 * (d // 4) - e - d % 4) % 7
    g = e + f - 7 * ((a + 11 * e + 22 * f) // 451) + 114
    return date(year, g // 31, g % 31 + 1)


CALENDARS: Mapping[str, Mapping[str, Stretch]] = {
    "china": {
        "before_spring_festival": (_lunar(1, 1), -16, -3),
        "spring_festival": (_lunar(1, 1), -2, 6),
        "after_spring_festival": (_lunar(1, 1), 7, 14),
        "qingming": (_solar(4, 5), -1, 0),
        "labour_day": (_solar(5, 1), 0, 4),
        "dragon_boat": (_lunar(5, 5), -1, 1),
        "sales_618": (_solar(6, 18), -2, 0),
        "qixi": (_lunar(7, 7), -2, 0),
        "mid_autumn": (_lunar(8, 15), -3, 1),
        "national_day": (_solar(10, 1), 0, 6),
        "singles_day": (_solar(11, 11), 0, 0),
        "double_twelve": (_solar(12, 12), 0, 0),
    },
    "west": {
        "new_year": (_solar(1, 1), 0, 0),
        "valentine": (_solar(2, 14), -2, 0),
        "easter": (_easter, -2, 1),
        "mothers_day": (_weekday(5, 6, 2), -2, 0),
        "thanksgiving": (_weekday(11, 3, 4), -2, 0),
        "black_friday": (_weekday(11, 3, 4), 1, 4),
        "before_christmas": (_solar(12, 24), -13, 0),
        "christmas": (_solar(12, 25), 0, 1),
        "after_christmas": (_solar(12, 27), 0, 4),
    },
}
"""Calendar → holiday → the day of a year, and the first and last day around it that it moves."""


def mark_holidays(
    start: date, n: int, *, calendars: Iterable[str] = ("china", "west")
) -> tuple[tuple[str, ...], np.ndarray]:
    """Which holiday each of `n` days from `start` belongs to.

    Returns
    -------
    Names, and (n, names) of 0 and 1. Holidays without a day among them are left out.

    Raises
    ------
    InvalidParameter
        If there is no such calendar.
    """
    end = start + timedelta(n)
    names, columns = [], []
    for calendar in calendars:
        if calendar not in CALENDARS:
            raise InvalidParameter(
                f"no calendar {calendar!r}", hint=f"one of {', '.join(CALENDARS)}"
            )
        for name, (day_of, first, last) in CALENDARS[calendar].items():
            column = np.zeros(n)
            for year in range(start.year - 1, end.year + 2):
                day = day_of(year)
                if day is not None:
                    at = (day - start).days
                    column[max(0, at + first) : max(0, at + last + 1)] = 1.0
            if column.any():
                names.append(name)
                columns.append(column)
    return tuple(names), np.array(columns).reshape(len(columns), n).T
