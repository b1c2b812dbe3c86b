"""Features of a customer and a campaign: what ties her to its offers and its kind."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import ibis
from ibis import _

from zhiyin.core import columns as c
from zhiyin.core.features import CAMPAIGN_FEATURES
from zhiyin.profile.facts import Facts, Keep, as_it_is, gather, hash_of
from zhiyin.profile.features import join_all, select_features
from zhiyin.profile.response import PRIOR_CAMPAIGNS
from zhiyin.profile.visible import Days, days_since

TABLES = ("order_lines", "touches", "offers", "campaigns", "products", "customers")
_KEYS = ("shot", "who")
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
        `TABLES` as `store.read` gives them; rows on or after the day are ignored.
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
    facts = gather(tables, Days((as_of,), zone))
    return build_campaigns(facts, tables, shots=[(0, campaign_id)])


def build_campaigns(
    facts: Facts,
    tables: Mapping[str, ibis.Table],
    *,
    shots: Sequence[tuple[int, str]],
    keep: Keep = as_it_is,
) -> ibis.Table:
    """Compute the features of several campaigns, each as of a day, at once; see `build_campaign`.

    Parameters
    ----------
    facts
        What `gather` gives.
    tables
        `offers` and `campaigns` as the last day sees them; see `gather`.
    shots
        Campaigns, each with the place of its day in `facts.days`.
    keep
        As for `gather`.
    """
    days = keep(_shot_days(facts, shots))
    offers = _seen(facts.days.visible(tables, "offers"), days)
    campaigns = _seen(facts.days.visible(tables, "campaigns"), days)
    own = offers.filter(offers[c.CAMPAIGN_ID] == offers.asked).drop(c.CAMPAIGN_ID)
    own = keep(own.mutate(what=hash_of(own[c.PRODUCT_ID])))
    people = planned(facts, shots)
    lines = keep(_lines(facts, own))
    asked = days.select("shot", "k", asked=days[c.CAMPAIGN_ID])
    pairs = facts.pairs.inner_join(asked, "k")
    made = people.inner_join(days.select("shot", c.AS_OF_ON, c.CAMPAIGN_ID), "shot")
    made = made.inner_join(_facts(campaigns, own, people), "shot")
    made = made.left_join(_kind_rate(days, pairs, campaigns), "shot").drop("shot_right")
    parts = (
        _affinity(facts, lines, own, people, days),
        _same_products(facts, offers, own),
        _running(pairs, campaigns),
        _same_kind(pairs, campaigns),
    )
    made = join_all(made, parts, on=_KEYS)
    rate = made.kind_response_rate
    made = made.mutate(
        same_kind_rate=(made.same_kind_responded.fill_null(0) + PRIOR_CAMPAIGNS * rate)
        / (made.same_kind_count.fill_null(0) + PRIOR_CAMPAIGNS),
        offer_spend_window_minor=made.offer_usual_minor.fill_null(0)
        * made.campaign_days
        / made.usual_days,
    )
    keys = {name: made[name] for name in (c.AS_OF_ON, c.CAMPAIGN_ID, c.CUSTOMER_ID)}
    return select_features(made, keys, CAMPAIGN_FEATURES, counts=COUNTS)


def planned(facts: Facts, shots: Sequence[tuple[int, str]]) -> ibis.Table:
    """Whom each campaign was planned for, as its day saw it: `shot`, `k`, `customer_id`, `who`."""
    return _planned(facts, _shot_days(facts, shots))


def _planned(facts: Facts, days: ibis.Table) -> ibis.Table:
    touches = facts.touches.filter(facts.touches[c.KIND] == "planned")
    days = days.select("shot", "k", c.CAMPAIGN_ID)
    seen = touches.inner_join(days, [c.CAMPAIGN_ID, touches.since <= days.k])
    return seen.select("shot", "k", c.CUSTOMER_ID, "who").distinct()


def _shot_days(facts: Facts, shots: Sequence[tuple[int, str]]) -> ibis.Table:
    """One row per shot: `shot`, `k`, `campaign_id`, `as_of_on`, `start`, `start_90`, `usual`."""
    rows = [
        ibis.literal(place, "int16")
        .name("shot")
        .as_table()
        .mutate(k=ibis.literal(k, "int8"), **{c.CAMPAIGN_ID: ibis.literal(name)})
        for place, (k, name) in enumerate(shots)
    ]
    days = facts.starts.rename(usual=f"start_{_USUAL_DAYS}")
    days = days.select("k", c.AS_OF_ON, "start", "start_90", "usual")
    return ibis.union(*rows).inner_join(days, "k")


def _seen(rows: ibis.Table, days: ibis.Table) -> ibis.Table:
    """The rows once for every shot whose day sees them; `asked` is the shot's campaign."""
    asked = days.select("shot", "k", c.AS_OF_ON, asked=days[c.CAMPAIGN_ID])
    return rows.inner_join(asked, rows.since <= asked.k).drop("since")


def _facts(campaigns: ibis.Table, own: ibis.Table, people: ibis.Table) -> ibis.Table:
    days = campaigns[c.END_ON].delta(campaigns[c.START_ON], unit="day") + 1
    facts = campaigns.filter(campaigns[c.CAMPAIGN_ID] == campaigns.asked)
    facts = facts.select("shot", campaign_days=days)
    offers = own.group_by("shot").agg(
        campaign_offers=_[c.OFFER_ID].nunique(), campaign_products=_[c.PRODUCT_ID].nunique()
    )
    facts = join_all(facts, [offers], on=("shot",))
    sizes = people.group_by("shot").agg(campaign_recipients=_.count())
    return facts.inner_join(sizes, "shot")


def _lines(facts: Facts, own: ibis.Table) -> ibis.Table:
    """Item lines that an offer is good for: `who`, `what`, `at`, `amount`, `coupon`, `since`."""
    lines = facts.items.select(
        c.CUSTOMER_ID,
        "since",
        what=hash_of(facts.items[c.PRODUCT_ID]),
        at=_[c.SOLD_AT],
        amount=_[c.AMOUNT_BASE_MINOR],
        coupon=_[c.COUPON_BASE_MINOR] > 0,
    )
    anything = _anything(own).count().as_scalar() > 0
    lines = lines.filter(lines.what.isin(own.what) | anything)
    lines = lines.inner_join(facts.customers.select(c.CUSTOMER_ID, "who"), c.CUSTOMER_ID)
    return lines.select("who", "what", "at", "amount", "coupon", "since")


def _affinity(
    facts: Facts, lines: ibis.Table, own: ibis.Table, people: ibis.Table, days: ibis.Table
) -> ibis.Table:
    """Spend on, and purchases of, what the offers are good for."""
    bought = _bought(lines, own, people, days)
    good = bought.group_by(*_KEYS).agg(
        offer_spend_minor=_.spend.sum(),
        offer_spend_90d_minor=_.spend_90d.sum(),
        offer_usual_minor=_.spend_usual.sum(),
        offer_products_count=_.count(),
        offer_lines_count=_.lines.sum(),
        offer_coupon_lines=_.coupon_lines.sum(),
        last_at=_.last_at.max(),
    )
    total = join_all(_totals(facts, people), [good, _usable(bought, own)], on=_KEYS)
    total = total.inner_join(days.select("shot", "start", "start_90"), "shot")
    total = join_all(total, [_anything(own)], on=("shot",))
    count = total.any_count.fill_null(0)
    known_days = days_since(total.first_at, total.start) + 1
    return total.select(
        *_KEYS,
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
        offer_recency_days=days_since(total.last_at, total.start),
        offers_usable_count=total.offers_usable.fill_null(0) + count,
        offers_usable_90d=total.offers_90d.fill_null(0)
        + ibis.ifelse(total.latest_at >= total.start_90, count, 0),
    )


def _anything(own: ibis.Table) -> ibis.Table:
    """Offers without a product, good for anything: `shot`, `any_count`."""
    return (
        own.filter(own[c.PRODUCT_ID].isnull())
        .group_by("shot")
        .agg(any_count=_[c.OFFER_ID].nunique())
    )


def _totals(facts: Facts, people: ibis.Table) -> ibis.Table:
    """All purchases of each recipient, whatever the offers are good for."""
    sold = facts.items.group_by(c.CUSTOMER_ID, "since").agg(
        revenue=_[c.AMOUNT_BASE_MINOR].sum().cast("int64"),
        first_at=_[c.SOLD_AT].min(),
        latest_at=_[c.SOLD_AT].max(),
    )
    sold = sold.inner_join(facts.customers.select(c.CUSTOMER_ID, "who"), c.CUSTOMER_ID)
    mine = people.select("shot", "k", who_of="who")
    seen = sold.inner_join(mine, [sold.who == mine.who_of, sold.since <= mine.k])
    return seen.group_by(*_KEYS).agg(
        revenue=_.revenue.sum(), first_at=_.first_at.min(), latest_at=_.latest_at.max()
    )


def _bought(lines: ibis.Table, own: ibis.Table, people: ibis.Table, days: ibis.Table) -> ibis.Table:
    """What recipients bought of what the offers are good for, one row per product."""
    wanted = own.filter(own.what.notnull()).select(shot_of="shot", what_of="what").distinct()
    anything = _anything(own).select(shot_any="shot")
    mine = people.select("shot", "k", who_of="who")
    lines = lines.inner_join(mine, [lines.who == mine.who_of, lines.since <= mine.k])
    lines = lines.left_join(wanted, [lines.shot == wanted.shot_of, lines.what == wanted.what_of])
    lines = lines.left_join(anything, lines.shot == anything.shot_any)
    good = lines.filter(lines.what_of.notnull() | lines.shot_any.notnull())
    good = good.drop("k").inner_join(days.select("shot", "start_90", "usual"), "shot")
    recent = _["at"] >= _.start_90
    return good.group_by(*_KEYS, "what").agg(
        spend=_.amount.sum().cast("int64"),
        spend_90d=_.amount.sum(where=recent).cast("int64"),
        spend_usual=_.amount.sum(where=_["at"] >= _.usual).cast("int64"),
        lines=_.count(),
        lines_90d=recent.sum(),
        coupon_lines=_.coupon.sum(),
        last_at=_["at"].max(),
    )


def _usable(bought: ibis.Table, own: ibis.Table) -> ibis.Table:
    """Offers a customer can use for what she already buys; one row per customer."""
    products = own.filter(own.what.notnull()).select("shot", c.OFFER_ID, "what").distinct()
    good = bought.inner_join(products, ["shot", "what"])
    by_offer = good.group_by(*_KEYS, c.OFFER_ID)
    offers = by_offer.agg(most=_.lines.max(), all=_.lines.sum(), recent=_.lines_90d.sum())
    return offers.group_by(*_KEYS).agg(
        offers_usable=_.count(),
        offers_90d=(_.recent > 0).sum(),
        offers_repeated_count=(_.most >= _OFTEN).sum(),
        offer_best_lines=_["all"].max(),
    )


def _same_products(facts: Facts, offers: ibis.Table, own: ibis.Table) -> ibis.Table:
    """Redemptions of offers, of whatever campaign, that were good for these products."""
    redeemed = facts.touches.filter(facts.touches[c.KIND] == "redemption")
    used = offers.semi_join(redeemed, c.OFFER_ID)
    wanted = own.filter(own[c.PRODUCT_ID].notnull()).select("shot", c.PRODUCT_ID).distinct()
    like = used.semi_join(wanted, ["shot", c.PRODUCT_ID])
    like = like.select("shot", "k", c.OFFER_ID).distinct()
    redeemed = redeemed.inner_join(like, [c.OFFER_ID, redeemed.since <= like.k])
    return redeemed.group_by(*_KEYS).agg(redeemed_same_products=_.count())


def _running(pairs: ibis.Table, campaigns: ibis.Table) -> ibis.Table:
    """Other campaigns planned for her that began before the day and end on or after it."""
    running = campaigns.filter(
        campaigns[c.CAMPAIGN_ID] != campaigns.asked,
        campaigns[c.START_ON] < campaigns[c.AS_OF_ON],
        campaigns[c.END_ON] >= campaigns[c.AS_OF_ON],
    ).select("shot", c.CAMPAIGN_ID)
    return (
        pairs.semi_join(running, ["shot", c.CAMPAIGN_ID])
        .group_by(*_KEYS)
        .agg(running_campaigns=_.planned_at.count(), running_redemptions=_.redemptions.sum())
    )


def _earlier(pairs: ibis.Table, campaigns: ibis.Table) -> ibis.Table:
    """(customer, campaign) pairs of campaigns of the same kind that began before this one."""
    this = campaigns.filter(campaigns[c.CAMPAIGN_ID] == campaigns.asked).select(
        "shot", this_kind=_[c.KIND].fill_null(""), this_start=_[c.START_ON]
    )
    others = campaigns.inner_join(this, "shot")
    same = others.filter(
        others[c.KIND].fill_null("") == others.this_kind, others[c.START_ON] < others.this_start
    )
    same = same.select("shot", c.CAMPAIGN_ID, c.START_ON)
    return pairs.filter(pairs.planned_at.notnull()).inner_join(same, ["shot", c.CAMPAIGN_ID])


def _same_kind(pairs: ibis.Table, campaigns: ibis.Table) -> ibis.Table:
    earlier = _earlier(pairs, campaigns)
    place = ibis.row_number().over(
        group_by=_KEYS, order_by=[ibis.desc(earlier[c.START_ON]), earlier[c.CAMPAIGN_ID]]
    )
    return (
        earlier.mutate(place=place)
        .group_by(*_KEYS)
        .agg(
            same_kind_count=_.count(),
            same_kind_responded=_.redeemed.sum(),
            same_kind_redemptions=_.redemptions.sum(),
            last_same_kind_redemptions=_.redemptions.sum(where=_.place == 0),
        )
    )


def _kind_rate(days: ibis.Table, pairs: ibis.Table, campaigns: ibis.Table) -> ibis.Table:
    """Mean response of (customer, campaign) pairs of the kind; of all kinds where there is none."""
    same = _earlier(pairs, campaigns).group_by("shot").agg(same=_.redeemed.mean())
    other = pairs.filter(pairs.planned_at.notnull(), pairs[c.CAMPAIGN_ID] != pairs.asked)
    rates = [same, other.group_by("shot").agg(other=_.redeemed.mean())]
    both = join_all(days.select("shot"), rates, on=("shot",))
    return both.select("shot", kind_response_rate=ibis.coalesce(both.same, both.other, 0.0))
