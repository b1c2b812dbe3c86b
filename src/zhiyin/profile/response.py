"""How customers responded to campaigns before."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

import ibis
from ibis import _

from zhiyin.core import columns as c
from zhiyin.profile.facts import Facts
from zhiyin.profile.visible import days_since

PRIOR_CAMPAIGNS = 4.0  # weight of the shop's mean in a customer's response rate, in campaigns


def by_campaign(facts: Facts) -> ibis.Table:
    """One row per day, customer and campaign that was planned for her.

    Returns
    -------
    `k`, `who`, `campaign_id`, `planned_at`, `redemptions` and `redeemed` (0 or 1).
    """
    touches = facts.touches
    rows = touches.filter(
        touches[c.CAMPAIGN_ID].notnull(), touches[c.KIND].isin(["planned", "redemption"])
    )
    redemption = _[c.KIND] == "redemption"
    made = (
        seen_each_day(rows, facts)
        .group_by("k", "who", c.CAMPAIGN_ID)
        .agg(
            planned_at=_[c.OCCURRED_AT].min(where=_[c.KIND] == "planned"),
            redemptions=redemption.sum().cast("int64"),
        )
    )
    return made.mutate(redeemed=(made.redemptions > 0).cast("int64"))


def seen_each_day(rows: ibis.Table, facts: Facts) -> ibis.Table:
    """The rows once for every day that sees them, with `k` and the starts of its windows."""
    days = facts.days.table()
    return rows.inner_join(days, rows.since <= days.k)


def summarise_response(facts: Facts) -> ibis.Table:
    """Past campaign response: one row per day and customer with a touch.

    The rate is (responded + w * mean) / (campaigns + w) with w = `PRIOR_CAMPAIGNS` and the shop's
    mean over (customer, campaign) pairs (additive smoothing towards a beta prior's mean).
    """
    pairs = by_campaign(facts)
    planned = pairs.filter(pairs.planned_at.notnull())
    mean = planned.group_by("k").agg(mean=_.redeemed.mean())
    per = planned.group_by("k", "who").agg(
        campaigns_count=_.count(),
        campaigns_responded=_.redeemed.sum(),
        contacted_at=_.planned_at.max(),
    )
    per = per.inner_join(mean, "k").inner_join(facts.days.table().select("k", "start"), "k")
    per = per.select(
        "k",
        "who",
        per.campaigns_count,
        per.campaigns_responded,
        contact_recency_days=days_since(per.contacted_at, per.start),
        response_rate=(per.campaigns_responded + PRIOR_CAMPAIGNS * per["mean"])
        / (per.campaigns_count + PRIOR_CAMPAIGNS),
    )
    joined = per.outer_join(_redemptions(facts), ["k", "who"])
    keys = {name: ibis.coalesce(joined[name], joined[f"{name}_right"]) for name in ("k", "who")}
    return joined.mutate(**keys).drop("k_right", "who_right")


def _redemptions(facts: Facts) -> ibis.Table:
    rows = facts.touches.filter(facts.touches[c.KIND] == "redemption")
    made = (
        seen_each_day(rows, facts)
        .group_by("k", "who")
        .agg(
            redemptions_count=_.count(),
            redemptions_90d=(_[c.OCCURRED_AT] >= _.start_90).sum(),
            redemption_days=_[c.OCCURRED_AT].nunique(),
            last_at=_[c.OCCURRED_AT].max(),
            start=_.start.max(),
        )
    )
    return made.mutate(redemption_recency_days=days_since(made.last_at, made.start)).drop(
        "last_at", "start"
    )
