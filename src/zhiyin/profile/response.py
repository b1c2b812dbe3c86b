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


def summarise_response(facts: Facts) -> tuple[ibis.Table, ibis.Table]:
    """Past campaign response and redemptions: each one row per day and customer that has any.

    The rate is (responded + w * mean) / (campaigns + w) with w = `PRIOR_CAMPAIGNS` and the shop's
    mean over (customer, campaign) pairs (additive smoothing towards a beta prior's mean).
    """
    pairs = facts.pairs
    planned = pairs.filter(pairs.planned_at.notnull())
    per = planned.group_by(*facts.days.keys).agg(
        campaigns_count=_.count(),
        campaigns_responded=_.redeemed.sum(),
        contacted_at=_.planned_at.max(),
    )
    if facts.days.single:
        per = per.cross_join(planned.agg(mean=_.redeemed.mean()))
    else:
        mean = planned.group_by("k").agg(mean=_.redeemed.mean())
        per = per.inner_join(mean, "k").inner_join(facts.starts.select("k", "start"), "k")
    rates = per.select(
        *facts.days.keys,
        per.campaigns_count,
        per.campaigns_responded,
        per.contacted_at,
        contact_recency_days=days_since(per.contacted_at, facts.days.start_of(per)),
        response_rate=rate_of(per.campaigns_responded, per.campaigns_count, per["mean"]),
    )
    return rates, _redemptions(facts)


def rate_of(responded: ibis.Value, campaigns: ibis.Value, mean: ibis.Value) -> ibis.Value:
    """The response rate of a customer, drawn to the shop's `mean`; see `summarise_response`."""
    return (responded + PRIOR_CAMPAIGNS * mean) / (campaigns + PRIOR_CAMPAIGNS)


def _redemptions(facts: Facts) -> ibis.Table:
    rows = facts.touches.filter(facts.touches[c.KIND] == "redemption")
    made = (
        facts.seen(rows)
        .group_by(*facts.days.keys)
        .agg(
            redemptions_count=_.count(),
            redemptions_90d=_.count(where=_[c.OCCURRED_AT] >= facts.days.moment("start_90")),
            redemption_days=_[c.OCCURRED_AT].nunique(),
            redeemed_at=_[c.OCCURRED_AT].max(),
            **facts.days.start_sum(),
        )
    )
    return made.select(
        *facts.days.keys,
        "redemptions_count",
        "redemptions_90d",
        "redemption_days",
        "redeemed_at",
        redemption_recency_days=days_since(made.redeemed_at, facts.days.start_of(made)),
    )
