"""Job `profile.features`: snapshots of the features for the day and for days to learn from."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.core import columns as c
from zhiyin.core.config import ProfileSettings
from zhiyin.core.context import Context
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import CAMPAIGN_FEATURE_TABLE
from zhiyin.core.values import JobReport
from zhiyin.profile import browsing, campaign, features
from zhiyin.profile.facts import gather
from zhiyin.profile.snapshots import Plan, plan_snapshots
from zhiyin.profile.visible import Days

JOB = "profile.features"
_READ = sorted({*features.TABLES, *campaign.TABLES})


def run(ctx: Context, config: ProfileSettings) -> JobReport:
    """Write `features` and `campaign_features` of every snapshot day of the turn.

    All days are computed at once from the rows that the last day sees. Where rows were revised,
    deleted or merged between the days, each day is computed from what it saw itself.
    """
    plan = _plan(ctx, config)
    at_once = ctx.store.settled(_READ, days=plan.days)
    written = {"features": 0, "campaign_features": 0}
    for days in [plan.days] if at_once else [(day,) for day in plan.days]:
        ctx.progress(f"features {days[-1]}", plan.days.index(days[-1]) / len(plan.days))
        people, tied = compute(ctx, plan, days)
        written["features"] += _write(ctx, "features", people, days)
        asked = [day for day in days if day in plan.campaigns]
        written["campaign_features"] += _write(ctx, "campaign_features", tied, asked)
    ctx.progress("features", 1.0)
    return JobReport(JOB, rows=written, figures=_figures(plan), notes=_notes(plan))


def compute(ctx: Context, plan: Plan, days: Sequence[date]) -> tuple[pa.Table, pa.Table]:
    """`features` and `campaign_features` of some of the plan's days, from one reading.

    On days that are not whole only recipients of the day's campaigns get a row: all that training
    needs of a past day.
    """
    tables = {name: ctx.store.read(name, as_of=days[-1]) for name in (*_READ, *_tracked(ctx))}
    shots = [(k, name) for k, day in enumerate(days) for name in plan.campaigns.get(day, ())]
    with ExitStack() as held:

        def keep(table: ibis.Table) -> ibis.Table:
            return held.enter_context(table.cache())

        seen = Days(tuple(days), ctx.settings.zone)
        facts = gather(tables, seen, starts=ctx.store.to_ibis(seen.rows()), keep=keep)
        whole = [k for k, day in enumerate(days) if day in plan.whole]
        people = [features.everyone(facts, whole)] if whole else []
        tied = arrow_schema(CAMPAIGN_FEATURE_TABLE).empty_table()
        if shots:
            planned = keep(campaign.planned(facts, shots))
            people.append(planned.select("k", c.CUSTOMER_ID, "who"))
            built = campaign.build_campaigns(facts, tables, shots=shots, keep=keep)
            keys = [c.AS_OF_ON, c.CAMPAIGN_ID, c.CUSTOMER_ID]
            tied = built.order_by(keys).to_pyarrow()
        rows = features.build_days(facts, people=ibis.union(*people, distinct=True))
        return rows.order_by([c.AS_OF_ON, c.CUSTOMER_ID]).to_pyarrow(), tied


def _tracked(ctx: Context) -> tuple[str, ...]:
    """The tables of events, where the shop has any."""
    rows = ctx.store.read("events", as_of=ctx.as_of).count().to_pyarrow().as_py()
    return browsing.TABLES if rows else ()


def _write(ctx: Context, name: str, rows: pa.Table, days: Sequence[date]) -> int:
    return sum(
        ctx.store.replace(
            name, rows.filter(pc.equal(rows[c.AS_OF_ON], pa.scalar(day))), scope={c.AS_OF_ON: day}
        )
        for day in days
    )


def recipients(tables: Mapping[str, ibis.Table], campaigns: Sequence[str]) -> ibis.Table:
    """Who the campaigns were planned for: all that training needs of a past day."""
    touches = tables["touches"]
    planned = touches.filter(
        touches[c.KIND] == "planned", touches[c.CAMPAIGN_ID].isin(list(campaigns))
    )
    return planned.filter(planned[c.CUSTOMER_ID].notnull()).select(c.CUSTOMER_ID).distinct()


def _plan(ctx: Context, config: ProfileSettings) -> Plan:
    known = ctx.store.read("campaigns", as_of=ctx.as_of)
    rows = known.select(c.CAMPAIGN_ID, c.START_ON, c.END_ON).to_pyarrow().to_pylist()
    return plan_snapshots(
        rows,
        as_of=ctx.as_of,
        first_day=_first_day(ctx),
        chosen=ctx.settings.decide.campaign,
        history_campaigns=config.history_campaigns,
        purchase_snapshots=config.purchase_snapshots,
        horizon_days=ctx.settings.understand.purchase_horizon_days,
        recipients=count_recipients(ctx.store.read("touches", as_of=ctx.as_of)),
    )


def count_recipients(touches: ibis.Table) -> dict[str, int]:
    """Customers by campaign that was planned for them."""
    planned = touches.filter(touches[c.KIND] == "planned", touches[c.CAMPAIGN_ID].notnull())
    counted = planned.group_by(c.CAMPAIGN_ID).agg(n=planned[c.CUSTOMER_ID].nunique())
    return {row[c.CAMPAIGN_ID]: row["n"] for row in counted.to_pyarrow().to_pylist()}


def _first_day(ctx: Context) -> date | None:
    lines = ctx.store.read("order_lines", as_of=ctx.as_of)
    first = lines.filter(lines[c.KIND] == "item").agg(first=lines[c.SOLD_AT].min())
    moment = first.to_pyarrow()["first"][0].as_py()
    if moment is None:
        return None
    offset = moment.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(ctx.settings.zone))
    return offset.date()


def _figures(plan: Plan) -> dict[str, object]:
    return {
        "snapshot_days": [day.isoformat() for day in plan.days],
        "campaigns": {day.isoformat(): list(names) for day, names in plan.campaigns.items()},
        "decided": list(plan.decided),
        "too_little_history": list(plan.dropped),
        "too_small": list(plan.small),
    }


def _notes(plan: Plan) -> tuple[str, ...]:
    reasons = (
        ("too little history before them", plan.dropped),
        ("the smallest of all", plan.small),
    )
    return tuple(
        f"Not used for training, {why}: {', '.join(names)}." for why, names in reasons if names
    )
