# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""The sums behind indicators: per customer, campaign, channel and period; then per group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.indicators import definitions as d
from zhiyin.measure.indicators.messages import (
    IS_ORDER,
    KEY,
    SENT_AT,
    credit_orders,
    find_messages,
)
from zhiyin.measure.indicators.surveys import find_answers

PERIOD, GROUP, GROUPED_BY = "period", "group_value", "grouped_by"
GRAINS: Final = {"day": "D", "week": "W", "month": "M"}
_OF_MESSAGES = (
    d.SENT, d.DELIVERED, d.ADDRESSED, d.OPENED, d.CLICKED, d.MACHINE_OPENED, d.MACHINE_CLICKED,
    d.BOUNCED, d.COMPLAINED, d.UNSUBSCRIBED, d.REDEEMED, d.REDEMPTIONS, d.CONVERTED, d.COST,
)  # fmt: skip
_EARLY, _LATE = "early_orders", "late_orders"
_OF_ORDERS = (d.ORDERS, d.REVENUE, d.CREDITED_ORDERS, d.CREDITED_REVENUE, _EARLY, _LATE)
_OF_SURVEYS = (d.CSAT_ANSWERS, d.CSAT_SATISFIED, d.NPS_ANSWERS, d.NPS_BALANCE)
CELL_SUMS = (*_OF_MESSAGES, *_OF_ORDERS, *_OF_SURVEYS)
_OF_ADS = (d.AD_CLICKS, d.AD_IMPRESSIONS)
UNIT_SUMS = (
    *_OF_MESSAGES, *_OF_ORDERS[:4], *_OF_SURVEYS,
    d.BUYERS, d.REPEATERS, d.EARLIER, d.KEPT, d.ACTIONS,
)  # fmt: skip
"""Sums that every customer has a share in."""


@dataclass(frozen=True)
class Span:
    """Local days [since, until) of a zone, and the grain in which they are told apart."""

    since: date
    until: date
    zone: str
    grain: str = "month"

    def __post_init__(self) -> None:
        """Refuse an empty span and an unknown grain."""
        if self.since >= self.until:
            raise InvalidParameter(f"there is no day from {self.since} to before {self.until}")
        if self.grain not in GRAINS:
            raise InvalidParameter(
                f"{self.grain!r} is no period", hint=f"one of {', '.join(GRAINS)}"
            )

    @property
    def start(self) -> datetime:
        """The first moment, naive UTC."""
        return naive_utc(start_of_day(self.since, self.zone))

    @property
    def end(self) -> datetime:
        """The first moment after it, naive UTC."""
        return naive_utc(start_of_day(self.until, self.zone))

    def before_end(self, days: int) -> datetime:
        """So many local days before its end, naive UTC."""
        return naive_utc(start_of_day(self.until - timedelta(days=days), self.zone))


@dataclass(frozen=True)
class GroupSums:
    """One group: customers with a row, totals, and sums of products of two columns.

    `spent` is media cost of the group that no customer has a share in; it is in no total.
    """

    n: int
    totals: Mapping[str, int]
    products: Mapping[tuple[str, str], int]
    spent: int = 0


def sum_cells(touches: ir.Table, orders: ir.Table, events: ir.Table, *, span: Span) -> ir.Table:
    """The finest sums: a row per `customer_id`, `campaign_id`, `channel` and `period` (local day
    that it begins on); empty text is no campaign, no channel. All of `CELL_SUMS` (int64).

    Parameters
    ----------
    touches, events
        As the store reads them as of `span.until`.
    orders
        What `find_orders` makes of its `order_lines`.

    Notes
    -----
    Messages are of the period that they began in, orders of their own. An order is credited to
    one message at most, so sums by campaign, by channel and by period add up to the total.
    """
    before = timedelta(days=d.ORDER_WINDOW_DAYS)  # what an order of the first days may follow
    recent = find_messages(touches, since=span.start - before)
    messages = recent.filter(recent[SENT_AT] >= span.start)
    orders = orders.filter(orders[c.ORDERED_AT] >= span.start)
    credits = credit_orders(orders, recent)
    won = credits.select(KEY).distinct().mutate(**{d.CONVERTED: ibis.literal(1, "int64")})
    told = messages.left_join(won, KEY).drop(f"{KEY}_right")
    told = told.mutate(**{d.CONVERTED: told[d.CONVERTED].fill_null(0), PERIOD: told[SENT_AT]})
    parts = (
        (told, _OF_MESSAGES),
        (_order_rows(orders, credits, span), _OF_ORDERS),
        (find_answers(events, since=span.start, period=PERIOD), _OF_SURVEYS),
    )
    rows = ibis.union(*(_widen(table, names, span) for table, names in parts))
    by = [c.CUSTOMER_ID, c.CAMPAIGN_ID, c.CHANNEL, PERIOD]
    return rows.group_by(by).agg(**{name: rows[name].sum().cast("int64") for name in CELL_SUMS})


def _order_rows(orders: ir.Table, credits: ir.Table, span: Span) -> ir.Table:
    joined = orders.left_join(credits, c.ORDER_ID).drop(f"{c.ORDER_ID}_right")
    credited = joined[KEY].notnull().cast("int64")
    at, one = joined[c.ORDERED_AT], joined[IS_ORDER]
    middle, first = span.before_end(d.RETENTION_DAYS), span.before_end(2 * d.RETENTION_DAYS)
    return joined.mutate(
        **{
            c.CAMPAIGN_ID: joined[c.CAMPAIGN_ID].fill_null(""),
            c.CHANNEL: joined[c.CHANNEL].fill_null(""),
            PERIOD: at,
            d.ORDERS: one,
            d.CREDITED_ORDERS: one * credited,
            d.CREDITED_REVENUE: joined[d.REVENUE] * credited,
            _EARLY: one * ((at >= first) & (at < middle)).cast("int64"),
            _LATE: one * (at >= middle).cast("int64"),
        }
    )


def _widen(table: ir.Table, names: Sequence[str], span: Span) -> ir.Table:
    """The table with every cell sum, 0 where it has none, and its moment as a period."""
    local = local_time(table[PERIOD], span)
    return table.select(
        c.CUSTOMER_ID, c.CAMPAIGN_ID, c.CHANNEL,
        **{PERIOD: local.truncate(GRAINS[span.grain]).cast("date")},
        **{
            name: table[name].cast("int64") if name in names else ibis.literal(0, "int64")
            for name in CELL_SUMS
        },
    )  # fmt: skip


def local_time(at: ir.Value, span: Span) -> ir.Value:
    """A UTC moment as the clock of the span's zone showed it, through its changes in the span;
    before the span as at its beginning.
    """
    *changes, (_, last) = _offsets(span)
    cases = [(at < until, at + ibis.interval(minutes=minutes)) for until, minutes in changes]
    local = at + ibis.interval(minutes=last)
    return ibis.cases(*cases, else_=local) if cases else local


@lru_cache(maxsize=8)
def _offsets(span: Span) -> list[tuple[datetime, int]]:
    """Minutes from UTC to local time, each with the moment (naive UTC) until which they hold."""
    zone, start, hour = ZoneInfo(span.zone), span.start, timedelta(hours=1)
    moments = [start + n * hour for n in range(int((span.end - start) / hour) + 1)]
    zero, minute = timedelta(), timedelta(minutes=1)
    offsets = [
        (one.replace(tzinfo=UTC).astimezone(zone).utcoffset() or zero) // minute for one in moments
    ]
    places = [n for n in range(1, len(moments)) if offsets[n] != offsets[n - 1]]
    return [*((moments[n], offsets[n - 1]) for n in places), (span.end, offsets[-1])]


def sum_groups(
    cells: ir.Table,
    by: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    *,
    segments: ir.Table | None = None,
) -> ir.Table:
    """Per group the customers, totals of `UNIT_SUMS` and sums of products of `pairs`.

    Parameters
    ----------
    cells
        What `sum_cells` gives.
    by
        Ways of grouping: `all`, `campaign`, `channel`, `segment` or one of `GRAINS`, the grain of
        the cells.
    segments
        `customer_id`, `segment`; others are in the segment with an empty name.

    Returns
    -------
    `grouped_by`, `group_value` (text; of a period the day it begins on), `units` and the sums.
    """
    if segments is not None and "segment" in by:
        cells = cells.left_join(segments, c.CUSTOMER_ID).drop(f"{c.CUSTOMER_ID}_right")
    parts = [
        cells.select(
            c.CUSTOMER_ID, *CELL_SUMS, **{GROUPED_BY: ibis.literal(one), GROUP: _group(cells, one)}
        )
        for one in by
    ]  # fmt: skip
    named = parts[0] if len(parts) == 1 else ibis.union(*parts)
    each = named.group_by([GROUPED_BY, GROUP, c.CUSTOMER_ID]).agg(
        **{name: named[name].sum() for name in CELL_SUMS}
    )
    flag = {
        d.BUYERS: each[d.ORDERS] > 0,
        d.REPEATERS: each[d.ORDERS] > 1,
        d.EARLIER: each[_EARLY] > 0,
        d.KEPT: (each[_EARLY] > 0) & (each[_LATE] > 0),
    }
    columns = {name: each[name] for name in UNIT_SUMS if name in CELL_SUMS}
    columns |= {name: held.cast("int64") for name, held in flag.items()}
    columns[d.ACTIONS] = each[d.CLICKED]
    each = each.select(
        GROUPED_BY, GROUP, **{name: one.cast("decimal(19, 0)") for name, one in columns.items()}
    )
    sums: dict[str, ir.Value] = {c.UNITS: each.count()}
    sums |= {name: each[name].sum() for name in UNIT_SUMS}
    sums |= {f"{one} x {other}": (each[one] * each[other]).sum() for one, other in pairs}
    return each.group_by([GROUPED_BY, GROUP]).agg(**sums).order_by([GROUPED_BY, GROUP])


def _group(cells: ir.Table, by: str) -> ir.Value:
    columns = {"campaign": c.CAMPAIGN_ID, "channel": c.CHANNEL}
    if by in columns:
        return cells[columns[by]]
    if by in GRAINS:
        return cells[PERIOD].cast("string")
    if by == "segment" and c.SEGMENT in cells.columns:
        return cells[c.SEGMENT].fill_null("")
    if by in ("all", "segment"):
        return ibis.literal("")
    raise InvalidParameter(
        f"there are no indicators by {by!r}",
        hint=f"one of all, {', '.join(columns)}, segment, {', '.join(GRAINS)}",
    )


def sum_spend(spend: ir.Table, by: str, *, span: Span) -> dict[str, dict[str, int]]:
    """Media cost, clicks and impressions of the span by group; of `segment` all is in "".

    `spend`: rows of the table `spend` as of `span.until`.
    """
    days = spend.filter(spend[c.SPENT_ON] >= span.since)
    value: ir.Value = ibis.literal("")
    if by in ("campaign", "channel"):
        value = days[c.CAMPAIGN_ID if by == "campaign" else c.CHANNEL].fill_null("")
    elif by in GRAINS:
        day = days[c.SPENT_ON].cast("timestamp")  # of a date DuckDB would make a timestamp unasked
        value = day.truncate(GRAINS[by]).cast("date").cast("string")
    found = days.group_by(**{GROUP: value}).agg(
        **{
            d.COST: days[c.COST_BASE_MINOR].fill_null(0).sum().cast("int64"),
            d.AD_CLICKS: days[c.CLICKS].fill_null(0).sum().cast("int64"),
            d.AD_IMPRESSIONS: days[c.IMPRESSIONS].fill_null(0).sum().cast("int64"),
        }
    )
    return {row.pop(GROUP): row for row in found.to_pyarrow().to_pylist()}


def read_groups(
    rows: Sequence[Mapping[str, Any]],
    pairs: Sequence[tuple[str, str]],
    spend: Mapping[str, Mapping[str, int]],
) -> dict[str, GroupSums]:
    """Group → its sums, from the rows of `sum_groups` and what `sum_spend` gives."""
    made: dict[str, GroupSums] = {}
    for row in rows:
        totals = {name: int(row[name]) for name in UNIT_SUMS}
        products = {pair: int(row[f"{pair[0]} x {pair[1]}"]) for pair in pairs}
        made[row[GROUP]] = GroupSums(int(row[c.UNITS]), totals, products)
    for group in sorted({*made, *spend}):
        held = made.get(group) or GroupSums(0, dict.fromkeys(UNIT_SUMS, 0), dict.fromkeys(pairs, 0))
        media = spend.get(group, {})
        ads = {name: media.get(name, 0) for name in _OF_ADS}
        made[group] = GroupSums(
            held.n, {**held.totals, **ads}, held.products, media.get(d.COST, 0)
        )  # fmt: skip
    return dict(sorted(made.items()))
