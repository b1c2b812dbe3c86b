"""Local clock time of a shop as plain arithmetic: equal on every engine, no zone data needed.

Engines differ in how (and whether) they know IANA zones. A zone has few changes of its UTC offset
in the years of a shop's data, so we read them from Python's zone data and write them as one case.
"""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis

from zhiyin.core.clock import naive_utc, start_of_day

_STEP = timedelta(days=7)  # no zone has changed its offset twice within a week since 1970


def offset_changes(zone: str, *, first: date, last: date) -> list[tuple[datetime, int]]:
    """UTC offsets of `zone` from `first` to the end of `last`.

    Returns
    -------
    Pairs of (naive UTC moment from which it holds, offset in seconds), oldest first; the first
    pair holds from the start.
    """
    info = ZoneInfo(zone)
    at = start_of_day(first, zone)
    end = start_of_day(last, zone) + timedelta(days=1)
    changes = [(naive_utc(at), _offset(at, info))]
    while at < end:
        later = min(at + _STEP, end)
        if _offset(later, info) != changes[-1][1]:
            moment = _change_between(at, later, info)
            changes.append((naive_utc(moment), _offset(moment, info)))
        at = later
    return changes


def local_time(
    at: ibis.expr.types.TimestampValue, *, zone: str, first: date, last: date
) -> ibis.expr.types.TimestampValue:
    """`at` (naive UTC) on the clocks of `zone`; exact for moments from `first` to `last`."""
    changes = offset_changes(zone, first=first, last=last)
    shifted = at + ibis.interval(seconds=changes[0][1])
    if len(changes) == 1:
        return shifted
    branches = [
        (at >= ibis.literal(moment), at + ibis.interval(seconds=offset))
        for moment, offset in reversed(changes[1:])
    ]
    return ibis.cases(*branches, else_=shifted)


def _offset(at: datetime, info: ZoneInfo) -> int:
    offset = at.astimezone(info).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def _change_between(low: datetime, high: datetime, info: ZoneInfo) -> datetime:
    """The first second after `low` with the offset that holds at `high`."""
    before = _offset(low, info)
    a, b = int(low.timestamp()), int(high.timestamp())
    while b - a > 1:
        middle = (a + b) // 2
        if _offset(datetime.fromtimestamp(middle, UTC), info) == before:
            a = middle
        else:
            b = middle
    return datetime.fromtimestamp(b, UTC)
