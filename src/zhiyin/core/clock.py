"""Time comes in as a `Clock`; nothing else in Zhiyin asks the machine what time it is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from zhiyin.core.errors import InvalidParameter


class Clock(Protocol):
    """Tells the time: `now` for records, `monotonic` for durations."""

    def now(self) -> datetime:
        """The current moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class FrozenClock:
    """A clock that stands still until it is told to move."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


def start_of_day(day: date, zone: str) -> datetime:
    """00:00 of the local `day` in `zone`, as an aware UTC moment.

    Raises
    ------
    InvalidParameter
        If `day` is no day, or there is no such zone.
    """
    if not isinstance(day, date):  # pyright: ignore[reportUnnecessaryIsInstance]  # who calls from a notebook
        raise InvalidParameter(f"the day is {day!r}, no date", hint="pass a datetime.date")
    try:
        local = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, TypeError):
        raise InvalidParameter(
            f"there is no time zone {zone!r}", hint="take an IANA name, such as Asia/Shanghai"
        ) from None
    return datetime.combine(day, time_of_day(0), tzinfo=local).astimezone(UTC)


def run_moment(day: date, zone: str) -> datetime:
    """The clock of a run for `day`: 09:00 local, as an aware UTC moment (law 1)."""
    return datetime.combine(day, time_of_day(9), tzinfo=ZoneInfo(zone)).astimezone(UTC)


def local_day(moment: datetime, zone: str) -> date:
    """The local day of a moment; a naive one is taken as UTC, as the lake keeps it."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return aware.astimezone(ZoneInfo(zone)).date()


def naive_utc(moment: datetime) -> datetime:
    """The moment as the lake keeps it: UTC without zone. Naive input is taken as UTC already."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
