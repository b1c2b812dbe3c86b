"""Yearly dates: which dates are celebrated on a day, and on which days a date is celebrated.

A date is a text `YYYY-MM-DD`, or `MM-DD` where the year is unknown. An engine only has to look a
text up in a list, so all engines agree and no engine needs a calendar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from zhiyin.audience import lunar
from zhiyin.audience.moment import Moment
from zhiyin.audience.rule import Yearly
from zhiyin.core.clock import local_day

_WHOLE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Celebrated:
    """Texts that are celebrated on some days: `whole` dates, and `short` ones of five characters.

    In the solar calendar a whole date is told by its last five characters, so `whole` is None.
    """

    short: frozenset[str]
    whole: frozenset[str] | None = None

    def holds(self, text: str | None) -> bool:
        """Whether the date `text` is celebrated on one of the days."""
        if text is None:
            return False
        if len(text) == 10 and _WHOLE.fullmatch(text):
            return text[5:] in self.short if self.whole is None else text in self.whole
        return len(text) == 5 and text in self.short


def own_day(moment: Moment, time_zone: str | None) -> date:
    """What day it is where the customer lives; the workspace's zone where hers is not known."""
    zone = time_zone if time_zone in zones() else moment.zone
    return local_day(moment.clock, zone)


@lru_cache(maxsize=1)
def zones() -> frozenset[str]:
    """The IANA zones that are known here."""
    return frozenset(available_timezones())


def zones_by_day(moment: Moment) -> dict[date, list[str]]:
    """Zones in which it is not the day of the workspace's zone, by the day that it is there."""
    own = own_day(moment, None)
    found: dict[date, list[str]] = {}
    for zone in sorted(zones()):
        day = own_day(moment, zone)
        if day != own:
            found.setdefault(day, []).append(zone)
    return found


def celebrated(rule: Yearly, today: date) -> Celebrated:
    """What is celebrated `from_days` to `to_days` days from `today`."""
    last = rule.from_days if rule.to_days is None else rule.to_days
    days = [today + timedelta(days=n) for n in range(rule.from_days, last + 1)]
    if rule.calendar == "solar":
        return Celebrated(frozenset(text for day in days for text in _solar(day, rule.leap_day)))
    found = [(month, number) for day in days for month, number in _lunar(day)]
    whole = {text for month, number in found for text in _births(month, number)}
    return Celebrated(frozenset(f"{m:02d}-{d:02d}" for m, d in found), frozenset(whole))


def occasions(rule: Yearly, text: str, *, first: date, last: date) -> Iterator[date]:
    """The days from `first` to `last` on which the date `text` is celebrated, in order."""
    for n in range((last - first).days + 1):
        day = first + timedelta(days=n)
        if _one_day(rule.calendar, rule.leap_day, day).holds(text):
            yield day


@lru_cache(maxsize=4096)
def _one_day(calendar: str, leap_day: str, day: date) -> Celebrated:
    rule = Yearly("", calendar=calendar, leap_day=leap_day)  # pyright: ignore[reportArgumentType]
    return celebrated(rule, day)


def _solar(day: date, leap_day: str) -> list[str]:
    texts = [day.strftime("%m-%d")]
    leap_year = day.year % 4 == 0 and (day.year % 100 != 0 or day.year % 400 == 0)
    if texts[0] == leap_day and not leap_year:
        texts.append("02-29")
    return texts


def _lunar(day: date) -> list[tuple[int, int]]:
    """Lunar months and days that are celebrated on `day`."""
    found = lunar.to_lunar(day)
    if found is None or found.leap:
        return []
    days = [found.day]
    if found.day == 29 and lunar.celebrated_on(found.year, month=found.month, day=30) == day:
        days.append(30)
    return [(found.month, number) for number in days]


@lru_cache(maxsize=512)
def _births(month: int, number: int) -> tuple[str, ...]:
    """All solar dates of the table with this lunar month (also a leap one) and day."""
    return tuple(one.isoformat() for one in lunar.days_named(month, number))


def own_zone(moment: Moment, time_zone: str | None) -> ZoneInfo:
    """The zone of the customer's calendar."""
    return ZoneInfo(time_zone if time_zone is not None and time_zone in zones() else moment.zone)
