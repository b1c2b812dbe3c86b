"""From touches and conversions to paths, as Ibis expressions: the engine does the work.

A touch belongs to the first conversion of its customer at or after it. It counts if it is young
enough by then: how long each kind counts is `windows`, so an impression that was only seen may
count for a day (view-through) and a click for a month. What was too old, and what no conversion
followed, ended in nothing (`nulls`); what may still convert by its window is `open`, neither won
nor lost. Every conversion is in exactly one path, be it an empty one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import ibis
from ibis import _

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.attribution.credit import HALF_LIFE_DAYS
from zhiyin.measure.attribution.paths import NONE

WINDOWS: Final[Mapping[str, float]] = {"click": 30, "impression": 1}
"""Days that a touch of a kind counts for; other kinds are no touches."""
GAP_MINUTES = 30
"""Repeats of a kind and channel within this are one touch."""


def sum_paths(
    touches: ibis.Table,
    conversions: ibis.Table,
    *,
    measured_until: datetime,
    windows: Mapping[str, float] = WINDOWS,
    gap_minutes: float = GAP_MINUTES,
) -> ibis.Table:
    """Distinct paths with how they ended; `read_paths(expression.to_pyarrow())` reads them.

    Parameters
    ----------
    touches
        `customer_id`, `occurred_at` (UTC), `kind`, `channel`; a touch without a channel is left
        out.
    conversions
        `customer_id`, `order_id`, `ordered_at` (UTC); an order that stands twice counts once, at
        its first time.
    measured_until
        Moment up to which touches and conversions are known; later ones are not looked at.
    windows
        Days (above 0) by kind of touch.
    gap_minutes
        A touch is one with another of its customer and channel that came at most so long before
        it and counts as long or longer, or at most so long after it and counts longer: a reload
        is no second click, a view that was clicked is the click. 0 keeps all.

    Returns
    -------
    `path` (list of channels in order, or missing), `conversions`, `nulls`, `open` (int).

    Raises
    ------
    InvalidParameter
        If a window or the gap is out of range.
    """
    rows = _join(touches, conversions, measured_until, windows, gap_minutes)
    until = ibis.literal(naive_utc(measured_until))
    # sorted afterwards: a list that is collected in order takes DuckDB four times as long
    step = ibis.struct({"at": rows[c.OCCURRED_AT], c.CHANNEL: rows[c.CHANNEL]})
    rows = rows.mutate(step=step)
    single = rows.group_by(c.CUSTOMER_ID, "next_at", "inside").agg(
        path=_.step.collect(where=_[c.CHANNEL].notnull()).sort().map(lambda step: step[c.CHANNEL]),
        won=_.converts.sum(),
        opens=(rows.next_at.isnull() & (_age(until, rows[c.OCCURRED_AT]) < rows.window)).max(),
    )
    won, opens = single.won > 0, single.opens.fill_null(False)
    return (
        single.select(
            **{
                c.PATH: single.path,
                c.CONVERSIONS: single.won,
                c.NULLS: (~won & ~opens).cast("int64"),
                c.OPEN: (~won & opens).cast("int64"),
            }
        )
        .group_by(c.PATH)
        .agg(**{name: _[name].sum() for name in (c.CONVERSIONS, c.NULLS, c.OPEN)})
    )


def sum_time_decay(
    touches: ibis.Table,
    conversions: ibis.Table,
    *,
    measured_until: datetime,
    windows: Mapping[str, float] = WINDOWS,
    gap_minutes: float = GAP_MINUTES,
    half_life_days: float = HALF_LIFE_DAYS,
) -> ibis.Table:
    """Conversions by `channel`, shared out by time decay; `(none)` has those without a touch.

    Arguments and errors are those of `sum_paths`; a touch counts half of one that is
    `half_life_days` younger.
    """
    if not half_life_days > 0:
        raise InvalidParameter(f"half of {half_life_days} days is no half-life")
    rows = _join(touches, conversions, measured_until, windows, gap_minutes)
    rows = rows.filter(_.inside)
    age = _age(rows.next_at, rows[c.OCCURRED_AT])
    weight = (rows.converts == 0).ifelse(ibis.literal(0.5) ** (age / half_life_days), 0.0)
    rows = rows.mutate(weight=weight)
    of_path = ibis.window(group_by=[c.CUSTOMER_ID, "next_at"])
    rows = rows.mutate(whole=_.weight.sum().over(of_path), won=_.converts.sum().over(of_path))
    empty = rows.whole == 0
    given = empty.ifelse(rows.converts.cast("float64"), rows.weight * rows.won / rows.whole)
    named = rows[c.CHANNEL].fill_null(NONE)
    return (
        rows.select(**{c.CHANNEL: named, c.CONVERSIONS: given})
        .filter(_[c.CONVERSIONS] > 0)
        .group_by(c.CHANNEL)
        .agg(**{c.CONVERSIONS: _[c.CONVERSIONS].sum()})
    )


def sum_delays(
    touches: ibis.Table,
    conversions: ibis.Table,
    *,
    measured_until: datetime,
    windows: Mapping[str, float] = WINDOWS,
    gap_minutes: float = GAP_MINUTES,
) -> ibis.Table:
    """`conversions` by whole `days` from the first touch of their path; those without are left out.

    What a window that is too short would miss piles up at its end. Arguments as `sum_paths`.
    """
    rows = _join(touches, conversions, measured_until, windows, gap_minutes)
    found = (
        rows.filter(_.inside)
        .group_by(c.CUSTOMER_ID, "next_at")
        .agg(
            first=_[c.OCCURRED_AT].min(where=_[c.CHANNEL].notnull()),
            **{c.CONVERSIONS: _.converts.sum()},
        )
        .filter(_.first.notnull())
    )
    days = _age(found.next_at, found["first"]).floor().cast("int64")
    counted = found.mutate(**{c.DAYS: days}).group_by(c.DAYS)
    return counted.agg(**{c.CONVERSIONS: _[c.CONVERSIONS].sum()}).order_by(c.DAYS)


def _join(
    touches: ibis.Table,
    conversions: ibis.Table,
    measured_until: datetime,
    windows: Mapping[str, float],
    gap_minutes: float,
) -> ibis.Table:
    """Touches and conversions in one table, each with the conversion that ends its path."""
    if not windows or min(windows.values()) <= 0 or gap_minutes < 0:
        raise InvalidParameter(
            f"windows of {dict(windows)} days and a gap of {gap_minutes} minutes",
            hint="a window is above 0 for each kind of touch, the gap 0 or more",
        )
    until = ibis.literal(naive_utc(measured_until))
    seen = touches.filter(
        _[c.KIND].isin([*windows]), _[c.CHANNEL].notnull(), _[c.OCCURRED_AT] < until
    ).mutate(window=_window(touches[c.KIND], windows))
    if gap_minutes:
        seen = _deduplicate(seen, windows, gap_minutes)
    touched = seen.select(
        c.CUSTOMER_ID, c.OCCURRED_AT, c.CHANNEL, "window",
        converts=ibis.literal(0, "int64"), won_at=ibis.null("timestamp"),
    )  # fmt: skip
    once = (
        conversions.filter(_[c.ORDERED_AT] < until)
        .group_by(c.ORDER_ID)
        .agg(
            **{c.CUSTOMER_ID: _[c.CUSTOMER_ID].max(), c.OCCURRED_AT: _[c.ORDERED_AT].min()},
        )
    )
    won = once.select(
        c.CUSTOMER_ID, c.OCCURRED_AT,
        **{c.CHANNEL: ibis.null("string")}, window=ibis.null("float64"),
        converts=ibis.literal(1, "int64"), won_at=once[c.OCCURRED_AT].cast("timestamp"),
    )  # fmt: skip
    rows = touched.mutate(**{c.OCCURRED_AT: touched[c.OCCURRED_AT].cast("timestamp")}).union(
        won.mutate(**{c.OCCURRED_AT: won[c.OCCURRED_AT].cast("timestamp")})
    )
    later = ibis.window(
        group_by=c.CUSTOMER_ID, order_by=[c.OCCURRED_AT, "converts"], preceding=0, following=None
    )
    rows = rows.mutate(next_at=_.won_at.min().over(later))
    young = _age(rows.next_at, rows[c.OCCURRED_AT]) <= rows.window
    return rows.mutate(inside=(rows.converts == 1) | young.fill_null(False))


def _deduplicate(seen: ibis.Table, windows: Mapping[str, float], gap_minutes: float) -> ibis.Table:
    """Without touches that one of their channel, at least as strong, stands for."""
    near = {"group_by": [c.CUSTOMER_ID, c.CHANNEL], "order_by": [c.OCCURRED_AT, "window"]}
    before = ibis.window(**near, preceding=(None, 1))
    after = ibis.window(**near, following=(1, None))
    at, dropped = seen[c.OCCURRED_AT], ibis.literal(False)
    for days in sorted({float(one) for one in windows.values()}):
        own = (seen.window == days).ifelse(at, ibis.null("timestamp"))
        repeated = (seen.window <= days) & (_minutes(at, own.max().over(before)) <= gap_minutes)
        followed = (seen.window < days) & (_minutes(own.min().over(after), at) <= gap_minutes)
        dropped = dropped | repeated.fill_null(False) | followed.fill_null(False)
    return seen.mutate(dropped=dropped).filter(~_.dropped).drop("dropped")


def _window(kind: ibis.Value, windows: Mapping[str, float]) -> ibis.Value:
    branches = [(kind == name, ibis.literal(float(days))) for name, days in windows.items()]
    return ibis.cases(*branches, else_=ibis.null("float64"))


def _age(later: ibis.Value, earlier: ibis.Value) -> ibis.Value:
    """Days between two moments, with fractions."""
    return (later.epoch_seconds() - earlier.epoch_seconds()) / 86_400.0


def _minutes(later: ibis.Value, earlier: ibis.Value) -> ibis.Value:
    return _age(later, earlier) * 1440.0
