"""The moment a rule is asked at: what is visible, and where windows begin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from zhiyin.core.clock import local_day, naive_utc, run_moment, start_of_day
from zhiyin.core.errors import InvalidParameter


@dataclass(frozen=True)
class Moment:
    """When a rule is asked. Times are naive UTC, as the lake keeps them.

    `before`: what has business time before it is visible. `day`: the local day of the workspace
    from which windows count back. `clock`: what time it is for calendars of customers.
    """

    day: date
    zone: str
    before: datetime
    clock: datetime

    def start(self, days: int) -> datetime:
        """00:00 of the local day `days` days before the day."""
        return naive_utc(start_of_day(self.day - timedelta(days=days), self.zone))

    def end(self, days: int) -> datetime:
        """Where a window that leaves out the last `days` days ends."""
        return min(self.before, self.start(days)) if days else self.before


def moment_of(at: date | datetime, *, zone: str) -> Moment:
    """The moment of a run for a day, or a moment itself.

    Parameters
    ----------
    at
        A local day: visible is what happened before its 00:00, and the clock is 09:00 (law 1). Or
        an aware moment: visible is what happened before it.
    zone
        The workspace's IANA zone.

    Raises
    ------
    InvalidParameter
        If a moment has no zone.
    """
    if not isinstance(at, datetime):
        start = naive_utc(start_of_day(at, zone))
        return Moment(at, zone, start, naive_utc(run_moment(at, zone)))
    if at.tzinfo is None:
        raise InvalidParameter(
            f"the moment {at} has no time zone", hint="pass an aware datetime, or a date"
        )
    return Moment(local_day(at, zone), zone, naive_utc(at), naive_utc(at))
