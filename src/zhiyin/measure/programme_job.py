# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""The effect of all marketing of a quarter, from the decisions of its turns and campaigns."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.context import Context
from zhiyin.core.decisions import BY_CAMPAIGN, HOLDOUT, TREAT, of_turns
from zhiyin.core.values import Estimate
from zhiyin.govern.gate import BEFORE_GLOBAL_HOLDOUT, GLOBAL_HOLDOUT
from zhiyin.measure import outcomes as o
from zhiyin.measure import programme as p
from zhiyin.measure.arms import MONEY_CAUSED
from zhiyin.measure.contacted import read_reach, sum_reach
from zhiyin.measure.evidence import NO_EVIDENCE, RANDOMISED
from zhiyin.measure.increment import estimate_increment, judge_interval
from zhiyin.measure.intervals import missing
from zhiyin.measure.results import Result, mark_open, to_rows
from zhiyin.measure.status import (
    CANNOT_TELL_YET,
    HOLDOUT_NOT_KEPT,
    MIN_UNITS,
    NOT_MEASURED,
    WINDOW_OPEN,
)
from zhiyin.measure.windows_job import Window, merged_between

GLOBAL, ASSIGNMENTS = "global_holdout", "assignments"
PER_CUSTOMER, PER_CONTACT = "revenue_per_customer_minor", "revenue_per_contact_minor"
ALIKE = 0.5
"""Held-out customers who redeem at this share of the others' rate, or more, were contacted."""


def measure_programme(ctx: Context, *, until: date) -> pa.Table:
    """Rows of `results` on `ctx.as_of`: its quarter, and the one before, where anybody was
    decided on; `until` is the first day without data.
    """
    now = p.find_quarter(ctx.as_of)
    found: list[Result] = []
    ends: dict[str, date] = {}
    for quarter in (now.previous, now):
        window = Window(quarter.start, quarter.end, until)
        if until <= quarter.start:
            continue
        results = _measure(ctx, quarter, window)
        found += mark_open(results) if window.status == WINDOW_OPEN else results
        ends[quarter.name] = window.measured_until
    return to_rows(found, as_of=ctx.as_of, until=ends)


def _measure(ctx: Context, quarter: p.Quarter, window: Window) -> tuple[Result, ...]:
    decisions = _decisions(ctx, quarter, window)
    if not decisions.count().to_pyarrow().as_py():
        return ()
    lines = _facts(ctx, "order_lines", c.SOLD_AT, window, days_before=p.DAYS_BEFORE)
    if not ctx.settings.revenue.include_shipping:
        lines = lines.filter(lines[c.KIND].notin([o.SHIPPING, o.FEE]))
    touches = _facts(ctx, "touches", c.OCCURRED_AT, window)
    why = NOT_MEASURED
    for estimate in (_by_global_holdout, _by_assignments):
        found = estimate(ctx, quarter.name, decisions, lines, touches)
        if isinstance(found, tuple):
            return found
        why = found or why
    body = {"evidence": NO_EVIDENCE, "verdict": CANNOT_TELL_YET, "method": ""}
    return (Result(p.PROGRAMME, quarter.name, MONEY_CAUSED, missing(0, why), body),)


def _by_global_holdout(
    ctx: Context, subject: str, decisions: ir.Table, lines: ir.Table, touches: ir.Table
) -> tuple[Result, ...] | str:
    """Everybody who might get marketing against who is held out of it; or why not, or nothing."""
    share = ctx.settings.act.global_holdout_share
    if share <= 0:
        return ""
    may = decisions.filter(decisions[c.REASON].notin(list(BEFORE_GLOBAL_HOLDOUT)))
    may = may.mutate(**{c.ARM: (may[c.REASON] == GLOBAL_HOLDOUT).ifelse(HOLDOUT, TREAT)})
    people = may.group_by(c.CUSTOMER_ID).agg(
        **{c.ARM: may[c.ARM].min(), c.DECIDED_AT: may[c.DECIDED_AT].min()}
    )
    sums = p.sum_money(people, lines, by=[c.ARM]).to_pyarrow().to_pylist()
    arms = {row[c.ARM]: p.read_money(row) for row in sums}
    if set(arms) != {TREAT, HOLDOUT}:
        return ""
    if not _kept(people, touches, {one: arms[one].plain.n for one in arms}):
        return HOLDOUT_NOT_KEPT
    found = estimate_increment(arms[TREAT], arms[HOLDOUT], holdout_share=share)
    body: dict[str, Any] = {
        "method": GLOBAL, "detectable": found.detectable * found.treated.n,
        "customers": found.treated.n, "held_out": found.held_out.n,
        "variance_reduction": found.variance_reduction,
        "sample_ratio": asdict(found.sample_ratio),
    }  # fmt: skip
    each = (PER_CUSTOMER, found.difference, found.detectable)
    return _results(subject, found.total, each, body, spent=found.treated.total)


def _by_assignments(
    ctx: Context, subject: str, decisions: ir.Table, lines: ir.Table, touches: ir.Table
) -> tuple[Result, ...] | str:
    """Contacts that lots of the campaigns allowed against those they took away; or why not."""
    share = ctx.settings.decide.holdout_share
    mine = of_turns(decisions)
    reach = read_reach(sum_reach(mine, touches).to_pyarrow().to_pylist())
    elsewhere = sorted(name for name, one in reach.items() if one.sent_elsewhere)
    mine = mine.filter(mine[c.CAMPAIGN_ID].notin(elsewhere)) if elsewhere else mine
    people = p.count_assignments(mine)
    sums = p.sum_money(people, lines, by=[p.ASSIGNED, p.TREATED]).to_pyarrow().to_pylist()
    cells = p.read_cells(sums)
    if not share or not cells or all(one.treated == one.assigned for one in cells):
        return HOLDOUT_NOT_KEPT if elsewhere else ""
    found = p.estimate_contacts(cells, holdout_share=share)
    body: dict[str, Any] = {
        "method": ASSIGNMENTS, "detectable": found.detectable * found.contacts,
        "customers": sum(one.money.plain.n for one in cells), "contacts": found.contacts,
        "withheld": found.withheld, "left_out": elsewhere,
        "sample_ratio": asdict(found.sample_ratio),
    }  # fmt: skip
    contacted = sum(one.money.plain.total for one in cells if one.treated)
    each = (PER_CONTACT, found.each, found.detectable)
    return _results(subject, found.total, each, body, spent=contacted)


def _results(
    subject: str, total: Estimate, each: tuple[str, Estimate, float], body: dict[str, Any], *,
    spent: float,
) -> tuple[Result, ...]:  # fmt: skip
    """Money in all, never above what those who were contacted spent, and the effect on each."""
    body = {"evidence": RANDOMISED, "verdict": judge_interval(total), **body}
    money = p.limit_money(total, float(spent))
    metric, effect, detectable = each
    return (
        Result(p.PROGRAMME, subject, MONEY_CAUSED, money, {**body, "spent_minor": float(spent)}),
        Result(p.PROGRAMME, subject, metric, effect, {**body, "detectable": detectable}),
    )


def _kept(people: ir.Table, touches: ir.Table, sizes: dict[str, int]) -> bool:
    """Whether those who are held out of everything redeem much less than the others."""
    redeemed = touches.filter(touches[c.KIND] == o.REDEMPTION).select(c.CUSTOMER_ID)
    counted = people.semi_join(redeemed.distinct(), c.CUSTOMER_ID).group_by(c.ARM)
    rows = counted.agg(**{c.UNITS: ibis._.count()}).to_pyarrow().to_pylist()
    found = {row[c.ARM]: int(row[c.UNITS]) for row in rows}
    held, others = found.get(HOLDOUT, 0), found.get(TREAT, 0)
    return held < MIN_UNITS or held / sizes[HOLDOUT] < ALIKE * others / sizes[TREAT]


def _decisions(ctx: Context, quarter: p.Quarter, window: Window) -> ir.Table:
    """Of turns and planned campaigns in the quarter, under the customers of its end."""
    every = ctx.store.read("decisions")
    last = min(window.measured_until, ctx.as_of + timedelta(days=1))
    every = every.filter(
        every[c.AS_OF_ON] >= ibis.literal(quarter.start), every[c.AS_OF_ON] < ibis.literal(last),
        every[c.DECIDED_BY].isnull() | (every[c.DECIDED_BY] == BY_CAMPAIGN),
    )  # fmt: skip
    rows = every.select(
        c.CUSTOMER_ID, c.PARTY_ID, c.CAMPAIGN_ID, c.ARM, c.DECIDED_AT, c.DECIDED_BY,
        **{c.REASON: every[c.REASON].fill_null("")},
    )  # fmt: skip
    if not merged_between(ctx, quarter.start, window.measured_until):
        return rows
    known = ctx.store.read("customers", as_of=window.measured_until)
    known = known.select(c.PARTY_ID, **{c.INTO: known[c.CUSTOMER_ID]}).distinct()
    both = rows.left_join(known, c.PARTY_ID)
    return both.select(
        *(name for name in rows.columns if name != c.CUSTOMER_ID),
        **{c.CUSTOMER_ID: ibis.coalesce(both[c.INTO], both[c.CUSTOMER_ID])},
    )


def _facts(
    ctx: Context, table: str, time: str, window: Window, *, days_before: int = 0
) -> ir.Table:
    zone, end = ctx.settings.zone, window.measured_until
    start = window.start - timedelta(days=days_before)
    return o.within(
        ctx.store.read(table, as_of=end), time,
        start=naive_utc(start_of_day(start, zone)), end=naive_utc(start_of_day(end, zone)),
    )  # fmt: skip
