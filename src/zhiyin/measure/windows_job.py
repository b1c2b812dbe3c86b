# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""From when to when something is measured, and the facts of that time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.context import Context
from zhiyin.measure import outcomes as o
from zhiyin.measure.campaign import PROFIT_FIGURES, RESPONSE_FIGURES
from zhiyin.measure.intervals import missing
from zhiyin.measure.results import Measured, Result, mark_open
from zhiyin.measure.status import NOT_YET, OK, WINDOW_OPEN


@dataclass(frozen=True)
class Window:
    """Local days [start, end) in which outcomes count; `until` is the first day without data."""

    start: date
    end: date
    until: date

    @property
    def status(self) -> str:
        """`not_yet`, `window_open` or `ok`."""
        if self.until <= self.start:
            return NOT_YET
        return OK if self.until >= self.end else WINDOW_OPEN

    @property
    def measured_until(self) -> date:
        """The day up to which facts are read."""
        return max(self.start, min(self.end, self.until))


def horizon_of(ctx: Context, *, day: date, until: date) -> Window:
    """The window of purchase predictions."""
    days = ctx.settings.understand.purchase_horizon_days
    return Window(day, day + timedelta(days=days), until)


def read_facts(ctx: Context, table: str, time: str, *, day: date, window: Window) -> ir.Table:
    """Facts inside the window, under the customers of `day`."""
    zone, end = ctx.settings.zone, window.measured_until
    rows = o.within(
        ctx.store.read(table, as_of=end),
        time,
        start=naive_utc(start_of_day(window.start, zone)),
        end=naive_utc(start_of_day(end, zone)),
    )
    if not merged_between(ctx, day, end):
        return rows
    sources = ("customers", "touches", "order_lines")
    then = [ctx.store.read(name, as_of=day) for name in sources]
    now = [ctx.store.read(name, as_of=end) for name in sources]
    return o.align_customers(rows, then, now)


def merged_between(ctx: Context, day: date, end: date) -> bool:
    """Whether records were merged, or parted, after the one day and before the other."""
    merges = ctx.store.read("merges", as_of=end)
    since = naive_utc(start_of_day(day, ctx.settings.zone))
    changed = merges.filter((merges[c.AT] >= since) | (merges[c.UNDONE_AT] >= since))
    return bool(changed.count().to_pyarrow().as_py() > 0)


def first_day_without_data(ctx: Context) -> date:
    """The local day after the last order line or response (plans do not count)."""
    lines, touches = ctx.store.read("order_lines"), ctx.store.read("touches")
    seen = touches.filter(touches[c.KIND] != o.PLANNED)
    last = [
        moment
        for moment in (
            lines[c.SOLD_AT].max().to_pyarrow().as_py(),
            seen[c.OCCURRED_AT].max().to_pyarrow().as_py(),
        )
        if moment is not None
    ]
    if not last:
        return date.min
    local = max(last).replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(ctx.settings.zone))
    return local.date() + timedelta(days=1)


def as_day(value: date) -> date:
    """The day of a moment, or of a day."""
    return value.date() if isinstance(value, datetime) else value


def not_yet(kind: str, subject: str, metric: str) -> Measured:
    """What is said before the window has begun, or is over where it must be."""
    return Measured((Result(kind, subject, metric, missing(0, NOT_YET)),), no_response())


def no_response() -> Mapping[str, object]:
    """The figures of a response that is not known."""
    names: tuple[str, ...] = (*RESPONSE_FIGURES, "recipients", "redeemers", *PROFIT_FIGURES)
    return dict.fromkeys(names)


def finish(measured: Measured, window: Window, notes: tuple[str, ...] = ()) -> Measured:
    """The results, marked where the window is open still."""
    results = mark_open(measured.results) if window.status == WINDOW_OPEN else measured.results
    return Measured(results, measured.figures, measured.notes + notes)
