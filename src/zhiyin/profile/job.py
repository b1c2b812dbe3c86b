"""Job `profile.features`: snapshots of the features for the day and for days to learn from."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
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
from zhiyin.profile import browsing, campaign, features, incremental_job
from zhiyin.profile.assortment import department_sums
from zhiyin.profile.facts import gather
from zhiyin.profile.snapshots import Plan, plan_snapshots
from zhiyin.profile.visible import Days

JOB = "profile.features"
_READ = sorted({*features.TABLES, *campaign.TABLES})


def run(ctx: Context, config: ProfileSettings) -> JobReport:
    """Write `features` and `campaign_features` of every snapshot day of the turn.

    A day of everyone is made from a day shortly before where that is remembered and can be trusted
    (`incremental_job`). All others are computed at once from the rows that the last day sees; where
    rows were revised, deleted or merged between the days, each day from what it saw itself.
    """
    plan, tracked = _plan(ctx, config), _tracked(ctx)
    written = {"features": 0, "campaign_features": 0}
    lines = _lines(ctx)
    daily = config.incremental and lines >= config.incremental_from_lines
    rolled = _roll_days(ctx, plan, tracked) if daily else {}
    written["features"] += sum(one.count for one in rolled.values())
    left = tuple(day for day in plan.days if day not in rolled or rolled[day].reason)
    at_once = left and ctx.store.settled(_READ, days=left)
    for days in [left] if at_once else [(day,) for day in left]:
        ctx.progress(f"features {days[-1]}", plan.days.index(days[-1]) / len(plan.days))
        read = _versions(ctx, tracked)
        built = compute(ctx, plan, days, tracked=tracked, lines=lines)
        for k, day in enumerate(days):
            rows = built.people.filter(pc.equal(built.people[c.AS_OF_ON], pa.scalar(day)))
            written["features"] += rows.num_rows
            sums = built.departments.filter(pc.equal(built.departments["k"], k))
            sums = incremental_job.sums_of(sums) if daily and day in plan.whole else None
            _write_day(ctx, day, rows, read=read, sums=sums)
        asked = [day for day in days if day in plan.campaigns]
        written["campaign_features"] += _write_campaigns(ctx, built.tied, asked)
    ctx.progress("features", 1.0)
    figures = _figures(plan) | _paths(rolled)
    return JobReport(JOB, rows=written, figures=figures, notes=_notes(plan))


@dataclass(frozen=True)
class Built:
    """What `compute` gives."""

    people: pa.Table  # rows of `features`, with the moments
    tied: pa.Table  # rows of `campaign_features`
    departments: pa.Table  # `k`, `department`, `size`: revenue of the shop as each day saw it


def compute(
    ctx: Context, plan: Plan, days: Sequence[date], *, tracked: Sequence[str], lines: int
) -> Built:
    """`features` and `campaign_features` of some of the plan's days, from one reading.

    On days that are not whole only recipients of the day's campaigns get a row: all that training
    needs of a past day.
    """
    tables = {name: ctx.store.read(name, as_of=days[-1]) for name in (*_READ, *tracked)}
    shots = [(k, name) for k, day in enumerate(days) for name in plan.campaigns.get(day, ())]
    with ExitStack() as held:

        def keep(table: ibis.Table) -> ibis.Table:
            return held.enter_context(table.cache())

        seen = Days(tuple(days), ctx.settings.zone)
        starts = ctx.store.to_ibis(seen.rows())
        facts = gather(tables, seen, starts=starts, keep=keep, moments=True)
        whole = [k for k, day in enumerate(days) if day in plan.whole]
        people = [features.everyone(facts, whole)] if whole else []
        tied = arrow_schema(CAMPAIGN_FEATURE_TABLE).empty_table()
        if shots:
            planned = keep(campaign.planned(facts, shots))
            people.append(planned.select("k", c.CUSTOMER_ID, "who"))
            built = campaign.build_campaigns(facts, tables, shots=shots, keep=keep)
            keys = [c.AS_OF_ON, c.CAMPAIGN_ID, c.CUSTOMER_ID]
            tied = built.order_by(keys).to_pyarrow()
        everyone = len(whole) == len(days)  # recipients are among them
        wanted = None if everyone else ibis.union(*people, distinct=True)
        parts = features.keep_parts(keep, lines=lines)
        rows = features.build_days(facts, people=wanted, moments=True, keep=parts)
        ordered = rows.order_by([c.AS_OF_ON, c.CUSTOMER_ID]).to_pyarrow()
        sums = department_sums(facts).select("k", c.DEPARTMENT, "size").to_pyarrow()
        return Built(ordered, tied, sums)


def _roll_days(
    ctx: Context, plan: Plan, tracked: Sequence[str]
) -> dict[date, incremental_job.Rolled]:
    """Write days of everyone without a campaign to decide that can be made from a day before."""
    rolled = {}
    for day in plan.days:
        if day not in plan.whole or day in plan.campaigns:
            continue
        ctx.progress(f"features {day}", plan.days.index(day) / len(plan.days))
        read = _versions(ctx, tracked)
        rows, rolled[day] = incremental_job.roll(ctx, day, tracked=bool(tracked))
        if rows is not None:
            _write_day(ctx, day, rows, read=read, sums=rolled[day].departments)
    return rolled


def _versions(ctx: Context, tracked: Sequence[str]) -> dict[str, int]:
    return incremental_job.versions(ctx, (*features.TABLES, *tracked))


def _write_day(
    ctx: Context,
    day: date,
    rows: pa.Table,
    *,
    read: Mapping[str, int],
    sums: Mapping[str, int] | None,
) -> None:
    """Write the features of a day and, with `sums`, what a later day can be made from."""
    made, moments = incremental_job.split(rows)
    incremental_job.forget(ctx, day)
    ctx.store.replace("features", made, scope={c.AS_OF_ON: day})
    if sums is not None:
        incremental_job.remember(ctx, day, moments, read=read, departments=sums)


def _lines(ctx: Context) -> int:
    return ctx.store.read("order_lines").count().to_pyarrow().as_py()  # no column is read for it


def _paths(rolled: Mapping[date, incremental_job.Rolled]) -> dict[str, object]:
    """Which days were made from a day before, and why the others were not."""
    made = {day: one for day, one in rolled.items() if not one.reason}
    return {
        "made_from": {day.isoformat(): str(one.known) for day, one in made.items()},
        "touched": {day.isoformat(): one.touched for day, one in made.items()},
        "computed_anew": {
            day.isoformat(): one.reason for day, one in rolled.items() if day not in made
        },
    }


def _tracked(ctx: Context) -> tuple[str, ...]:
    """The tables of events, where the shop has any."""
    rows = ctx.store.read("events", as_of=ctx.as_of).count().to_pyarrow().as_py()
    return browsing.TABLES if rows else ()


def _write_campaigns(ctx: Context, rows: pa.Table, days: Sequence[date]) -> int:
    return sum(
        ctx.store.replace(
            "campaign_features",
            rows.filter(pc.equal(rows[c.AS_OF_ON], pa.scalar(day))),
            scope={c.AS_OF_ON: day},
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
    items = lines.filter(lines[c.KIND] == "item").select(first=lines[c.SOLD_AT])
    # not the minimum: the engine leaves out what is later than the first it found
    first = items.order_by("first").limit(1)
    contracts = ctx.store.read("contracts", as_of=ctx.as_of)
    begun = contracts.agg(first=contracts[c.OCCURRED_AT].min())
    found = [one for rows in (first, begun) for one in rows.to_pyarrow()["first"].to_pylist()]
    moment = min((one for one in found if one is not None), default=None)
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
