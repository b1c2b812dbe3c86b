"""Features from past campaigns: whom they went to and who redeemed."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

import ibis
from ibis import _

from zhiyin.core import columns as c
from zhiyin.profile.visible import Day

PRIOR_CAMPAIGNS = 4.0  # weight of the shop's mean in a customer's response rate, in campaigns


def by_campaign(touches: ibis.Table) -> ibis.Table:
    """One row per customer and campaign that was planned for her.

    Parameters
    ----------
    touches
        Visible `touches` with `customer_id`.

    Returns
    -------
    `customer_id`, `campaign_id`, `planned_at`, `redemptions` and `redeemed` (0 or 1).
    """
    rows = touches.filter(
        touches[c.CUSTOMER_ID].notnull(),
        touches[c.CAMPAIGN_ID].notnull(),
        touches[c.KIND].isin(["planned", "redemption"]),
    )
    redemption = _[c.KIND] == "redemption"
    made = rows.group_by(c.CUSTOMER_ID, c.CAMPAIGN_ID).agg(
        planned_at=_[c.OCCURRED_AT].min(where=_[c.KIND] == "planned"),
        redemptions=redemption.sum().cast("int64"),
    )
    return made.mutate(redeemed=(made.redemptions > 0).cast("int64"))


def summarise_response(touches: ibis.Table, *, day: Day) -> ibis.Table:
    """Past campaign response: one row per customer with a touch.

    The rate is (responded + w * mean) / (campaigns + w) with w = `PRIOR_CAMPAIGNS` and the shop's
    mean over (customer, campaign) pairs (additive smoothing towards a beta prior's mean).
    """
    pairs = by_campaign(touches)
    planned = pairs.filter(pairs.planned_at.notnull())
    mean = planned.agg(mean=_.redeemed.mean())
    per = planned.group_by(c.CUSTOMER_ID).agg(
        campaigns_count=_.count(),
        campaigns_responded=_.redeemed.sum(),
        contacted_at=_.planned_at.max(),
    )
    per = per.cross_join(mean)
    per = per.select(
        c.CUSTOMER_ID,
        per.campaigns_count,
        per.campaigns_responded,
        contact_recency_days=day.days_since(per.contacted_at),
        response_rate=(per.campaigns_responded + PRIOR_CAMPAIGNS * per["mean"])
        / (per.campaigns_count + PRIOR_CAMPAIGNS),
    )
    joined = per.outer_join(_redemptions(touches, day=day), c.CUSTOMER_ID)
    return joined.mutate(
        **{c.CUSTOMER_ID: ibis.coalesce(joined[c.CUSTOMER_ID], joined[f"{c.CUSTOMER_ID}_right"])}
    ).drop(f"{c.CUSTOMER_ID}_right")


def _redemptions(touches: ibis.Table, *, day: Day) -> ibis.Table:
    rows = touches.filter(touches[c.CUSTOMER_ID].notnull(), touches[c.KIND] == "redemption")
    made = rows.group_by(c.CUSTOMER_ID).agg(
        redemptions_count=_.count(),
        redemptions_90d=(_[c.OCCURRED_AT] >= ibis.literal(day.start(days_before=90))).sum(),
        redemption_days=_[c.OCCURRED_AT].nunique(),
        last_at=_[c.OCCURRED_AT].max(),
    )
    return made.mutate(redemption_recency_days=day.days_since(made.last_at)).drop("last_at")
