# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""What a campaign that a person planned can show, and what it caused: arms by who bought."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from zhiyin.act.campaigns.checklist import Shown
from zhiyin.act.campaigns.definition import Definition
from zhiyin.act.campaigns.ledger import HELD_OUT, Campaign
from zhiyin.act.campaigns.plan_job import Judged
from zhiyin.act.campaigns.schedule import with_zone
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.context import Context
from zhiyin.core.decisions import HOLDOUT
from zhiyin.govern.gate import GLOBAL_HOLDOUT
from zhiyin.measure.experiment import compare_means, summarize_share
from zhiyin.measure.power import find_enough, find_smallest_change

ALL, MARKETING = "all", "marketing"
"""Rows of an effect beside its variants: of all of them, and of whatever the shop sends."""


def foresee(
    ctx: Context, definition: Definition, judged: Sequence[Judged], *, as_of: date
) -> Shown:
    """The smallest effect that the campaign's holdout can show."""
    goal, share = definition.goal, definition.holdout_share
    reached = {one.person.customer_id for one in judged if one.variant or one.reason == HELD_OUT}
    base = goal.base_rate
    if base is None:
        until = start_of_day(as_of, ctx.settings.zone)
        buyers = _buyers(ctx, reached, until - timedelta(days=goal.days), until)
        base = len(buyers) / len(reached) if reached else 0.0
    change = find_smallest_change(len(reached), share, base)
    enough = find_enough(len(reached), share, base, change=goal.change)
    return Shown(
        base, goal.days, change, goal.change,
        enough.holdout_share if enough else None, enough.campaigns if enough else None,
    )  # fmt: skip


def measure_effect(
    ctx: Context, held: Campaign, arms: Sequence[tuple[str, str]],
    everything: Sequence[tuple[str, str]],
) -> list[dict[str, Any]]:  # fmt: skip
    """Who bought within the goal's days from the start, of each arm, by intention to treat.

    Parameters
    ----------
    arms, everything
        As `ledger.read_arms` and `ledger.read_global_arms` give them: against the campaign's own
        holdout, and against the global one, which tells of all marketing together.
    """
    if held.started_at is None or not (arms or everything):
        return []
    since = _begun(held, ctx.settings.zone)
    until = min(since + timedelta(days=held.definition.goal.days), ctx.clock.now())
    bought = _buyers(ctx, {one for one, _ in (*arms, *everything)}, since, until)
    days = {"days": (until - since).days}
    sizes, buyers = _counted(arms, bought)
    names = [name for name in held.definition.shares if sizes[name]]
    made: list[dict[str, Any]] = []
    alone = [] if held.definition.choose_by else names  # who gets which content is no accident
    for name, of in ((ALL, names), *((name, [name]) for name in alone)) if arms else ():
        found = _compared(sizes, buyers, of, HOLDOUT)
        made.append({"variant": name, "against": HOLDOUT} | days | found)
    sizes, buyers = _counted(everything, bought)
    if sizes[GLOBAL_HOLDOUT]:
        found = _compared(sizes, buyers, [MARKETING], GLOBAL_HOLDOUT)
        made.append({"variant": MARKETING, "against": GLOBAL_HOLDOUT} | days | found)
    return made


def _counted(
    arms: Sequence[tuple[str, str]], bought: set[str]
) -> tuple[Counter[str], Counter[str]]:
    """How many are in each arm, and how many of them bought."""
    sizes = Counter(arm for _, arm in arms)
    return sizes, Counter(arm for customer, arm in arms if customer in bought)


def _compared(
    sizes: Counter[str], buyers: Counter[str], treated_arms: Sequence[str], control_arm: str
) -> dict[str, Any]:
    control = summarize_share(buyers[control_arm], sizes[control_arm])
    treated = summarize_share(
        sum(buyers[one] for one in treated_arms), sum(sizes[one] for one in treated_arms)
    )
    found = compare_means(control, treated)
    numbers: Mapping[str, float] = {
        "difference": found.estimate.value, "low": found.estimate.low, "high": found.estimate.high,
    }  # fmt: skip
    return {
        "people": treated.n, "buyers": int(treated.total), "held_out": control.n,
        "held_out_buyers": int(control.total), "status": found.estimate.status,
    } | {name: value if value == value else None for name, value in numbers.items()}  # fmt: skip


def _begun(held: Campaign, zone: str) -> datetime:
    """When its messages began to go."""
    begun = (held.started_at or held.created_at).replace(tzinfo=UTC)
    schedule = held.definition.schedule
    if schedule.at is not None:
        return max(begun, with_zone(schedule.at, zone))
    return begun if schedule.on is None else max(begun, start_of_day(schedule.on, zone))


def _buyers(ctx: Context, customers: set[str], since: datetime, until: datetime) -> set[str]:
    """Those of the customers who bought in [since, until)."""
    lines = ctx.store.read("order_lines", as_of=None)
    within = lines.filter(
        lines[c.SOLD_AT] >= naive_utc(since), lines[c.SOLD_AT] < naive_utc(until),
        lines[c.QUANTITY] > 0,
    )  # fmt: skip
    ids = ctx.store.to_ibis(pa.table({c.CUSTOMER_ID: pa.array(sorted(customers), pa.string())}))
    found = within.semi_join(ids, c.CUSTOMER_ID).select(c.CUSTOMER_ID).distinct()
    return set(found.to_pyarrow()[c.CUSTOMER_ID].to_pylist())
