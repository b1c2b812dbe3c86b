"""Features of a customer and a campaign: what ties her to its offers and its kind."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import ibis
from ibis import _

from zhiyin.core import columns as c
from zhiyin.core.features import CAMPAIGN_FEATURES
from zhiyin.profile.features import join_all, select_features
from zhiyin.profile.response import PRIOR_CAMPAIGNS, by_campaign
from zhiyin.profile.visible import Day, rows_before

TABLES = ("order_lines", "touches", "offers", "campaigns")
_USUAL_DAYS = 180  # what she usually spends is read from the last half year
_OFTEN = 3  # purchases from which a product counts as hers
_OPTIONAL = frozenset({"kind_response_rate", "same_kind_rate", "offer_recency_days"})
COUNTS = frozenset(f.name for f in CAMPAIGN_FEATURES) - _OPTIONAL


def build_campaign(
    tables: Mapping[str, ibis.Table], *, as_of: date, campaign_id: str, zone: str
) -> ibis.Table:
    """Compute the campaign features of every planned recipient of a campaign as of a day.

    Parameters
    ----------
    tables
        `order_lines`, `touches`, `offers` and `campaigns` as `store.read` gives them; rows on or
        after the day are ignored.
    as_of, zone
        As for `features.build`.
    campaign_id
        The campaign; without a row in `campaigns` the result is empty.

    Returns
    -------
    One row per customer with a `planned` touch of the campaign: `as_of_on`, `campaign_id`,
    `customer_id` and the columns of `core.features.CAMPAIGN_FEATURES`. An offer without a product
    is good for anything and counts as usable by whoever bought anything.
    """
    day = Day(as_of, zone)
    seen = {name: rows_before(tables, name, day) for name in TABLES}
    touches, offers, campaigns = seen["touches"], seen["offers"], seen["campaigns"]
    own = offers.filter(offers[c.CAMPAIGN_ID] == campaign_id)
    mine = touches[c.CAMPAIGN_ID] == campaign_id
    people = touches.filter(mine, touches[c.KIND] == "planned", touches[c.CUSTOMER_ID].notnull())
    people = people.select(c.CUSTOMER_ID).distinct()
    facts = _facts(campaigns, own, people, campaign_id=campaign_id)
    facts = facts.cross_join(_kind_rate(touches, campaigns, campaign_id=campaign_id))
    parts = (
        _affinity(seen["order_lines"], own, people, day=day),
        _same_products(touches, offers, own),
        _running(touches, campaigns, day=day, campaign_id=campaign_id),
        _same_kind(touches, campaigns, campaign_id=campaign_id),
    )
    made = join_all(people.cross_join(facts), parts)
    rate = made.kind_response_rate
    made = made.mutate(
        same_kind_rate=(made.same_kind_responded.fill_null(0) + PRIOR_CAMPAIGNS * rate)
        / (made.same_kind_count.fill_null(0) + PRIOR_CAMPAIGNS),
        offer_spend_window_minor=made.offer_usual_minor.fill_null(0)
        * made.campaign_days
        / made.usual_days,
    )
    keys = {
        c.AS_OF_ON: ibis.literal(as_of),
        c.CAMPAIGN_ID: ibis.literal(campaign_id),
        c.CUSTOMER_ID: made[c.CUSTOMER_ID],
    }
    return select_features(made, keys, CAMPAIGN_FEATURES, counts=COUNTS)


def _facts(
    campaigns: ibis.Table, own: ibis.Table, people: ibis.Table, *, campaign_id: str
) -> ibis.Table:
    days = campaigns[c.END_ON].delta(campaigns[c.START_ON], unit="day") + 1
    facts = campaigns.filter(campaigns[c.CAMPAIGN_ID] == campaign_id).select(campaign_days=days)
    offers = own.agg(
        campaign_offers=_[c.OFFER_ID].nunique(), campaign_products=_[c.PRODUCT_ID].nunique()
    )
    return facts.cross_join(offers).cross_join(people.agg(campaign_recipients=_.count()))


def _affinity(lines: ibis.Table, own: ibis.Table, people: ibis.Table, *, day: Day) -> ibis.Table:
    """Spend on, and purchases of, what the offers are good for."""
    items = lines.filter(lines[c.KIND] == "item").semi_join(people, c.CUSTOMER_ID)
    at, amount = _[c.SOLD_AT], _[c.AMOUNT_BASE_MINOR]
    recent = at >= ibis.literal(day.start(days_before=90))
    usual = at >= ibis.literal(day.start(days_before=_USUAL_DAYS))
    bought = items.group_by(c.CUSTOMER_ID, c.PRODUCT_ID).agg(
        spend=amount.sum().cast("int64"),
        spend_90d=amount.sum(where=recent).cast("int64"),
        spend_usual=amount.sum(where=usual).cast("int64"),
        lines=_.count(),
        lines_90d=recent.sum(),
        coupon_lines=(_[c.COUPON_BASE_MINOR] > 0).sum(),
        first_at=at.min(),
        last_at=at.max(),
    )
    anything = own.filter(own[c.PRODUCT_ID].isnull()).agg(any_count=_[c.OFFER_ID].nunique())
    wanted = own.filter(own[c.PRODUCT_ID].notnull()).select(c.PRODUCT_ID).distinct()
    bought = bought.left_join(wanted.mutate(wanted=True), c.PRODUCT_ID).drop(
        f"{c.PRODUCT_ID}_right"
    )
    bought = bought.cross_join(anything)
    bought = bought.mutate(good=bought.wanted.fill_null(False) | (bought.any_count > 0))
    total = bought.group_by(c.CUSTOMER_ID).agg(
        revenue=_.spend.sum(),
        first_at=_.first_at.min(),
        offer_spend_minor=_.spend.sum(where=_.good),
        offer_spend_90d_minor=_.spend_90d.sum(where=_.good),
        offer_usual_minor=_.spend_usual.sum(where=_.good),
        offer_products_count=_.good.sum(),
        offer_lines_count=_.lines.sum(where=_.good),
        offer_coupon_lines=_.coupon_lines.sum(where=_.good),
        last_at=_.last_at.max(where=_.good),
        any_count=_.any_count.max(),
        any_recent=_.lines_90d.sum(),
    )
    total = total.left_join(_usable(bought, own), c.CUSTOMER_ID).drop(f"{c.CUSTOMER_ID}_right")
    known_days = day.days_since(total.first_at) + 1
    return total.select(
        c.CUSTOMER_ID,
        "offer_spend_minor",
        "offer_spend_90d_minor",
        "offer_usual_minor",
        "offer_products_count",
        "offer_lines_count",
        "offer_coupon_lines",
        "offers_repeated_count",
        "offer_best_lines",
        usual_days=ibis.least(known_days, _USUAL_DAYS),
        offer_spend_share=total.offer_spend_minor / total.revenue.nullif(0),
        offer_recency_days=day.days_since(total.last_at),
        offers_usable_count=total.offers_usable.fill_null(0) + total.any_count,
        offers_usable_90d=total.offers_90d.fill_null(0)
        + ibis.ifelse(total.any_recent > 0, total.any_count, 0),
    )


def _usable(bought: ibis.Table, own: ibis.Table) -> ibis.Table:
    """Offers a customer can use for what she already buys; one row per customer."""
    products = own.select(c.OFFER_ID, c.PRODUCT_ID).distinct()
    good = bought.filter(bought.wanted)
    by_offer = good.inner_join(products, c.PRODUCT_ID).group_by(c.CUSTOMER_ID, c.OFFER_ID)
    offers = by_offer.agg(most=_.lines.max(), all=_.lines.sum(), recent=_.lines_90d.sum())
    return offers.group_by(c.CUSTOMER_ID).agg(
        offers_usable=_.count(),
        offers_90d=(_.recent > 0).sum(),
        offers_repeated_count=(_.most >= _OFTEN).sum(),
        offer_best_lines=_["all"].max(),
    )


def _same_products(touches: ibis.Table, offers: ibis.Table, own: ibis.Table) -> ibis.Table:
    """Redemptions of offers, of whatever campaign, that were good for these products."""
    wanted = own.filter(own[c.PRODUCT_ID].notnull()).select(c.PRODUCT_ID).distinct()
    like = offers.semi_join(wanted, c.PRODUCT_ID).select(c.OFFER_ID).distinct()
    redeemed = touches.filter(touches[c.KIND] == "redemption").semi_join(like, c.OFFER_ID)
    return redeemed.group_by(c.CUSTOMER_ID).agg(redeemed_same_products=_.count())


def _running(
    touches: ibis.Table, campaigns: ibis.Table, *, day: Day, campaign_id: str
) -> ibis.Table:
    """Other campaigns planned for her that began before the day and end on or after it."""
    running = campaigns.filter(
        campaigns[c.CAMPAIGN_ID] != campaign_id,
        campaigns[c.START_ON] < ibis.literal(day.as_of),
        campaigns[c.END_ON] >= ibis.literal(day.as_of),
    ).select(c.CAMPAIGN_ID)
    pairs = by_campaign(touches).semi_join(running, c.CAMPAIGN_ID)
    return pairs.group_by(c.CUSTOMER_ID).agg(
        running_campaigns=_.planned_at.count(), running_redemptions=_.redemptions.sum()
    )


def _earlier(touches: ibis.Table, campaigns: ibis.Table, campaign_id: str) -> ibis.Table:
    """(customer, campaign) pairs of campaigns of the same kind that began before this one."""
    this = campaigns.filter(campaigns[c.CAMPAIGN_ID] == campaign_id).select(
        this_kind=_[c.KIND].fill_null(""), this_start=_[c.START_ON]
    )
    others = campaigns.cross_join(this)
    same = others.filter(
        others[c.KIND].fill_null("") == others.this_kind, others[c.START_ON] < others.this_start
    )
    same = same.select(c.CAMPAIGN_ID, c.START_ON)
    pairs = by_campaign(touches)
    pairs = pairs.filter(pairs.planned_at.notnull())
    return pairs.inner_join(same, c.CAMPAIGN_ID)


def _same_kind(touches: ibis.Table, campaigns: ibis.Table, *, campaign_id: str) -> ibis.Table:
    pairs = _earlier(touches, campaigns, campaign_id)
    place = ibis.row_number().over(
        group_by=c.CUSTOMER_ID,
        order_by=[ibis.desc(pairs[c.START_ON]), pairs[c.CAMPAIGN_ID]],
    )
    pairs = pairs.mutate(place=place)
    return pairs.group_by(c.CUSTOMER_ID).agg(
        same_kind_count=_.count(),
        same_kind_responded=_.redeemed.sum(),
        same_kind_redemptions=_.redemptions.sum(),
        last_same_kind_redemptions=_.redemptions.sum(where=_.place == 0),
    )


def _kind_rate(touches: ibis.Table, campaigns: ibis.Table, *, campaign_id: str) -> ibis.Table:
    """Mean response of (customer, campaign) pairs of the kind; of all kinds where there is none."""
    same = _earlier(touches, campaigns, campaign_id).agg(same=_.redeemed.mean())
    pairs = by_campaign(touches)
    other = pairs.filter(pairs.planned_at.notnull(), pairs[c.CAMPAIGN_ID] != campaign_id)
    both = same.cross_join(other.agg(other=_.redeemed.mean()))
    return both.select(kind_response_rate=ibis.coalesce(both.same, both.other, 0.0))
