"""How customers responded to campaigns before."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

import ibis
from ibis import _

from zhiyin.core import columns as c
from zhiyin.profile.facts import Facts, seen_each_day
from zhiyin.profile.visible import days_since

PRIOR_CAMPAIGNS = 4.0  # weight of the shop's mean in a customer's response rate, in campaigns


def summarise_response(facts: Facts) -> ibis.Table:
    """Past campaign response: one row per day and customer with a touch.

    The rate is (responded + w * mean) / (campaigns + w) with w = `PRIOR_CAMPAIGNS` and the shop's
    mean over (customer, campaign) pairs (additive smoothing towards a beta prior's mean).
    """
    pairs = facts.pairs
    planned = pairs.filter(pairs.planned_at.notnull())
    mean = planned.group_by("k").agg(mean=_.redeemed.mean())
    per = planned.group_by("k", "who").agg(
        campaigns_count=_.count(),
        campaigns_responded=_.redeemed.sum(),
        contacted_at=_.planned_at.max(),
    )
    per = per.inner_join(mean, "k").inner_join(facts.starts.select("k", "start"), "k")
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
        seen_each_day(rows, facts.starts)
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
