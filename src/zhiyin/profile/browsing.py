"""Features from what a customer did on the site or in the app: visits, searches, views, carts."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import ibis
from ibis import _

from zhiyin.core import columns as c
from zhiyin.profile.local_time import local_time
from zhiyin.profile.visible import Days, days_since

TABLES = ("events", "item_events")
VISIT_GAP_SECONDS = 30 * 60  # a pause this long begins a new visit (Google Analytics' rule)
SEEN_KINDS = ("page", "screen", "track")  # what a person does; identify, group and alias are not
_CLOCK_DAYS = 100  # local days are exact this far back, further than the longest window here
_VIEWS = ("view", "click")


@dataclass(frozen=True)
class Browsing:
    """What all snapshot days share of the events; `since` is the first day that sees a row.

    Whether an event begins a visit depends on those before it alone, so a visit that a day sees in
    part counts for it as far as it had come.
    """

    days: ibis.Table  # `who`, `on` (local), `since`, `last_at` and sums of one local day
    items: ibis.Table  # `who`, `kind`, `product_id`, `on`, `since`, `at` (last), `n`


def gather_browsing(
    tables: Mapping[str, ibis.Table], days: Days, customers: ibis.Table
) -> Browsing | None:
    """Sum the events by customer and local day.

    Parameters
    ----------
    tables
        `events` and `item_events` as the last day sees them, or neither: then there is nothing.
    days
        The snapshot days.
    customers
        `customer_id` and `who`; events of others are left out.
    """
    if any(name not in tables for name in TABLES):
        return None
    numbers = customers.select(c.CUSTOMER_ID, "who")
    events, items = (
        days.visible(tables, name).inner_join(numbers, c.CUSTOMER_ID) for name in TABLES
    )
    return Browsing(_by_day(_steps(events), days), _by_product(items, days))


def _steps(events: ibis.Table) -> ibis.Table:
    """What a person did, in order, with the seconds since her step before."""
    steps = events.filter(
        events[c.KIND].isin(SEEN_KINDS), events[c.CHANNEL].fill_null("browser") != "server"
    )
    order = {"group_by": "who", "order_by": [c.OCCURRED_AT, c.EVENT_ID]}
    before = steps[c.OCCURRED_AT].lag().over(**order)
    pause = steps[c.OCCURRED_AT].epoch_seconds() - before.epoch_seconds()
    begins = pause.isnull() | (pause > VISIT_GAP_SECONDS)
    steps = steps.mutate(pause=pause, begins=begins)
    return steps.mutate(second=~steps.begins & steps.begins.lag().over(**order))


def _on(at: ibis.Value, days: Days) -> ibis.Value:
    first, last = days.as_of[0] - timedelta(days=_CLOCK_DAYS), days.as_of[-1]
    return local_time(at, zone=days.zone, first=first, last=last).date()


def _by_day(steps: ibis.Table, days: Days) -> ibis.Table:
    paid = steps[c.UTM_SOURCE].notnull() | steps[c.UTM_CAMPAIGN].notnull()
    return (
        steps.mutate(on=_on(steps[c.OCCURRED_AT], days), paid=paid)
        .group_by("who", "on", "since")
        .agg(
            last_at=_[c.OCCURRED_AT].max(),
            steps=_.count(),
            visits=_.count(where=_.begins),
            paid_visits=_.count(where=_.begins & _.paid),
            mobile_visits=_.count(where=_.begins & (_[c.CHANNEL] == "mobile")),
            longer_visits=_.count(where=_.second),
            seconds=_.pause.sum(where=~_.begins).fill_null(0).cast("int64"),
            searches=_.count(where=_[c.QUERY].notnull()),
        )
    )


def _by_product(items: ibis.Table, days: Days) -> ibis.Table:
    return (
        items.mutate(on=_on(items[c.OCCURRED_AT], days))
        .group_by("who", c.KIND, c.PRODUCT_ID, "on", "since")
        .agg(at=_[c.OCCURRED_AT].max(), n=_.count())
    )


def summarise_browsing(
    browsing: Browsing,
    people: ibis.Table,
    orders: ibis.Table,
    *,
    days: Days,
    starts: ibis.Table,
) -> tuple[ibis.Table, ibis.Table]:
    """Visits, and what was looked at and put into the cart: each one row per day and customer.

    Parameters
    ----------
    browsing
        What `gather_browsing` gives.
    people
        Days and customers to compute: `k`, `who`.
    orders
        `days.keys` and `last_at`, the last purchase that the day sees.
    days
        The snapshot days.
    starts
        What `Days.table` gives.
    """
    wanted = people.select("k", who_of="who").inner_join(starts, "k")
    visits, items = (_seen(rows, wanted, days) for rows in (browsing.days, browsing.items))
    return _visits(visits, days), _interest(items, orders, days)


def _seen(rows: ibis.Table, wanted: ibis.Table, days: Days) -> ibis.Table:
    if days.single:
        seen = rows.semi_join(wanted, [rows.who == wanted.who_of])
        return seen.mutate(ago=ibis.literal(days.as_of[0]).delta(seen.on, unit="day"))
    joined = rows.inner_join(wanted, [rows.who == wanted.who_of, rows.since <= wanted.k])
    return joined.mutate(ago=joined[c.AS_OF_ON].delta(joined.on, unit="day")).drop("who_of")


def _visits(seen: ibis.Table, days: Days) -> ibis.Table:
    made = seen.group_by(*days.keys).agg(
        **days.start_sum(),
        visited_at=_.last_at.max(),
        visits_count=_.visits.sum(),
        visits_7d=_.visits.sum(where=_.ago <= 7),
        visits_30d=_.visits.sum(where=_.ago <= 30),
        visits_90d=_.visits.sum(where=_.ago <= 90),
        visit_days_30d=_.on.nunique(where=(_.ago <= 30) & (_.visits > 0)),
        searches_30d=_.searches.sum(where=_.ago <= 30),
        searches_90d=_.searches.sum(where=_.ago <= 90),
        steps=_.steps.sum(),
        seconds=_.seconds.sum(),
        longer=_.longer_visits.sum(),
        mobile=_.mobile_visits.sum(),
        paid=_.paid_visits.sum(),
    )
    visits = made.visits_count.nullif(0)
    return made.select(
        *days.keys,
        *("visits_count", "visits_7d", "visits_30d", "visits_90d", "visit_days_30d"),
        *("searches_30d", "searches_90d", "visited_at"),
        visit_recency_days=days_since(made.visited_at, days.start_of(made)),
        visit_steps_mean=made.steps / visits,
        visit_minutes_mean=made.seconds / visits / 60,
        bounce_share=1 - made.longer / visits,
        mobile_visit_share=made.mobile / visits,
        paid_visit_share=made.paid / visits,
    )


def _interest(seen: ibis.Table, orders: ibis.Table, days: Days) -> ibis.Table:
    bought = orders.select(*days.keys, bought_at="last_at")
    seen = seen.left_join(bought, list(days.keys))
    view, add = _[c.KIND].isin(_VIEWS), _[c.KIND] == "add"
    waiting = add & (_.bought_at.isnull() | (_["at"] > _.bought_at))
    made = seen.group_by(*days.keys).agg(
        **days.start_sum(),
        viewed_at=_["at"].max(where=view),
        added_at=_["at"].max(where=add),
        views_7d=_.n.sum(where=view & (_.ago <= 7)),
        views_30d=_.n.sum(where=view & (_.ago <= 30)),
        views_90d=_.n.sum(where=view & (_.ago <= 90)),
        viewed_products_90d=_[c.PRODUCT_ID].nunique(where=view & (_.ago <= 90)),
        cart_adds_30d=_.n.sum(where=add & (_.ago <= 30)),
        cart_adds_90d=_.n.sum(where=add & (_.ago <= 90)),
        cart_waiting_products=_[c.PRODUCT_ID].nunique(where=waiting & (_.ago <= 30)),
        wished_products=_[c.PRODUCT_ID].nunique(where=_[c.KIND] == "wish"),
        reviews_count=_.n.sum(where=_[c.KIND] == "review"),
    )
    return made.select(
        *days.keys,
        *("views_7d", "views_30d", "views_90d", "viewed_products_90d"),
        *("cart_adds_30d", "cart_adds_90d", "cart_waiting_products", "wished_products"),
        *("reviews_count", "viewed_at", "added_at"),
        view_recency_days=days_since(made.viewed_at, days.start_of(made)),
        cart_recency_days=days_since(made.added_at, days.start_of(made)),
    )
