"""The Chinese lunar calendar of 1900 to 2100, as a table.

One number a year: bits 15 to 4 say which of the months 1 to 12 have 30 days (otherwise 29), the
low four bits give the month after which a leap month follows (0: none), bit 16 says whether that
one has 30 days. The year 1900 begins on 31 January 1900.

Lunar months begin on the day of the new moon in China's time. The table agrees with the package
lunar-python on every day, and with sxtwl but for September 2057, when the new moon falls so close
to midnight that no almanac of today is sure of it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

FIRST_YEAR, LAST_YEAR = 1900, 2100
_FIRST_DAY = date(1900, 1, 31)

# fmt: off
_YEARS = (
    0x04bd8, 0x04ae0, 0x0a570, 0x054d5, 0x0d260, 0x0d950, 0x16554, 0x056a0, 0x09ad0, 0x055d2,
    0x04ae0, 0x0a5b6, 0x0a4d0, 0x0d250, 0x1d255, 0x0b540, 0x0d6a0, 0x0ada2, 0x095b0, 0x14977,
    0x04970, 0x0a4b0, 0x0b4b5, 0x06a50, 0x06d40, 0x1ab54, 0x02b60, 0x09570, 0x052f2, 0x04970,
    0x06566, 0x0d4a0, 0x0ea50, 0x16a95, 0x05ad0, 0x02b60, 0x186e3, 0x092e0, 0x1c8d7, 0x0c950,
    0x0d4a0, 0x1d8a6, 0x0b550, 0x056a0, 0x1a5b4, 0x025d0, 0x092d0, 0x0d2b2, 0x0a950, 0x0b557,
    0x06ca0, 0x0b550, 0x15355, 0x04da0, 0x0a5b0, 0x14573, 0x052b0, 0x0a9a8, 0x0e950, 0x06aa0,
    0x0aea6, 0x0ab50, 0x04b60, 0x0aae4, 0x0a570, 0x05260, 0x0f263, 0x0d950, 0x05b57, 0x056a0,
    0x096d0, 0x04dd5, 0x04ad0, 0x0a4d0, 0x0d4d4, 0x0d250, 0x0d558, 0x0b540, 0x0b6a0, 0x195a6,
    0x095b0, 0x049b0, 0x0a974, 0x0a4b0, 0x0b27a, 0x06a50, 0x06d40, 0x0af46, 0x0ab60, 0x09570,
    0x04af5, 0x04970, 0x064b0, 0x074a3, 0x0ea50, 0x06b58, 0x05ac0, 0x0ab60, 0x096d5, 0x092e0,
    0x0c960, 0x0d954, 0x0d4a0, 0x0da50, 0x07552, 0x056a0, 0x0abb7, 0x025d0, 0x092d0, 0x0cab5,
    0x0a950, 0x0b4a0, 0x0baa4, 0x0ad50, 0x055d9, 0x04ba0, 0x0a5b0, 0x15176, 0x052b0, 0x0a930,
    0x07954, 0x06aa0, 0x0ad50, 0x05b52, 0x04b60, 0x0a6e6, 0x0a4e0, 0x0d260, 0x0ea65, 0x0d530,
    0x05aa0, 0x076a3, 0x096d0, 0x04afb, 0x04ad0, 0x0a4d0, 0x1d0b6, 0x0d250, 0x0d520, 0x0dd45,
    0x0b5a0, 0x056d0, 0x055b2, 0x049b0, 0x0a577, 0x0a4b0, 0x0aa50, 0x1b255, 0x06d20, 0x0ada0,
    0x14b63, 0x09370, 0x049f8, 0x04970, 0x064b0, 0x168a6, 0x0ea50, 0x06b20, 0x1a6c4, 0x0aae0,
    0x092e0, 0x0d2e3, 0x0c960, 0x0d557, 0x0d4a0, 0x0da50, 0x05d55, 0x056a0, 0x0a6d0, 0x055d4,
    0x052d0, 0x0a9b8, 0x0a950, 0x0b4a0, 0x0b6a6, 0x0ad50, 0x055a0, 0x0aba4, 0x0a5b0, 0x052b0,
    0x0b273, 0x06930, 0x07337, 0x06aa0, 0x0ad50, 0x14b55, 0x04b60, 0x0a570, 0x054e4, 0x0d160,
    0x0e968, 0x0d520, 0x0daa0, 0x16aa6, 0x056d0, 0x04ae0, 0x0a9d4, 0x0a2d0, 0x0d150, 0x0f252,
    0x0d520,
)
# fmt: on


@dataclass(frozen=True, order=True)
class LunarDay:
    """A day of the lunar calendar; `leap`: of the month that repeats the number before it."""

    year: int
    month: int
    day: int
    leap: bool = False


@dataclass(frozen=True)
class _Month:
    year: int
    month: int
    leap: bool
    start: date
    days: int


@cache
def _months() -> tuple[_Month, ...]:
    made: list[_Month] = []
    start = _FIRST_DAY
    for year, code in enumerate(_YEARS, FIRST_YEAR):
        for month in range(1, 13):
            days = 30 if code >> (16 - month) & 1 else 29
            made.append(_Month(year, month, False, start, days))
            start += timedelta(days=days)
            if code & 0xF == month:
                days = 30 if code >> 16 & 1 else 29
                made.append(_Month(year, month, True, start, days))
                start += timedelta(days=days)
    return tuple(made)


@cache
def _starts() -> tuple[date, ...]:
    return tuple(month.start for month in _months())


@cache
def _named() -> dict[tuple[int, int], _Month]:
    return {(one.year, one.month): one for one in _months() if not one.leap}


def to_lunar(day: date) -> LunarDay | None:
    """The lunar day of `day`; None outside the table."""
    place = bisect_right(_starts(), day) - 1
    if place < 0:
        return None
    month = _months()[place]
    number = (day - month.start).days + 1
    if number > month.days:
        return None
    return LunarDay(month.year, month.month, number, month.leap)


def celebrated_on(year: int, *, month: int, day: int) -> date | None:
    """The solar day on which the `day` of the lunar `month` is celebrated in a lunar year.

    The 30th is celebrated on the 29th of a month that has no 30th, and never in a leap month; None
    outside the table, or where there is no such month or day in any year.
    """
    found = _named().get((year, month))
    if found is None or not 1 <= day <= 30:
        return None
    return found.start + timedelta(days=min(day, found.days) - 1)


def days_named(month: int, day: int) -> list[date]:
    """All solar days of the table with the lunar `month` (also as a leap month) and `day`."""
    return [
        one.start + timedelta(days=day - 1)
        for one in _months()
        if one.month == month and day <= one.days
    ]
