"""Job `profile.features`: snapshots of the features for the day and for days to learn from."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.config import ProfileSettings
from zhiyin.core.context import Context
from zhiyin.core.values import JobReport
from zhiyin.profile import campaign, features
from zhiyin.profile.snapshots import Plan, plan_snapshots

JOB = "profile.features"
_READ = sorted({*features.TABLES, *campaign.TABLES})


def run(ctx: Context, config: ProfileSettings) -> JobReport:
    """Write `features` and `campaign_features` of every snapshot day of the turn."""
    plan = _plan(ctx, config)
    written = {"features": 0, "campaign_features": 0}
    for done, day in enumerate(plan.days):
        ctx.progress(f"features {day}", done / len(plan.days))
        tables = {name: ctx.store.read(name, as_of=day) for name in _READ}
        zone = ctx.settings.zone
        people = None if day in plan.whole else recipients(tables, plan.campaigns[day])
        built = features.build(tables, as_of=day, zone=zone, people=people)
        built = built.order_by(c.CUSTOMER_ID)
        scope = {c.AS_OF_ON: day}
        written["features"] += ctx.store.replace("features", built.to_pyarrow(), scope=scope)
        parts = [
            campaign.build_campaign(tables, as_of=day, campaign_id=name, zone=zone)
            .order_by(c.CUSTOMER_ID)
            .to_pyarrow()
            for name in plan.campaigns.get(day, ())
        ]
        if parts:
            written["campaign_features"] += ctx.store.replace(
                "campaign_features", pa.concat_tables(parts), scope=scope
            )
    ctx.progress("features", 1.0)
    return JobReport(JOB, rows=written, figures=_figures(plan), notes=_notes(plan))


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
