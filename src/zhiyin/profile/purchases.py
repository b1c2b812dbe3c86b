"""Features from what a customer bought: timing, money, savings, habits, trend and assortment."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Callable

import ibis
from ibis import _

from zhiyin.core import columns as c
from zhiyin.core.features import WINDOWS
from zhiyin.profile.facts import Facts
from zhiyin.profile.visible import DAY_SECONDS, at_least_zero, days_since

_HABIT_DAYS = 365  # clock habits are read from the last year
_AS_SUMMED = (
    *("orders_count", "active_days", "revenue_minor", "order_value_max_minor", "returns_count"),
    *("coupon_minor", "coupon_90d_minor", "coupon_orders_count", "coupon_orders_90d"),
    *(f"orders_{days}d" for days in WINDOWS),
    *(f"revenue_{days}d_minor" for days in WINDOWS),
)  # features that are sums as they are
_MOMENTS = (
    *("first_order_at", "last_order_at", "coupon_order_at", "gap_minutes", "gaps_count"),
    *("orders_60d", "revenue_60d", "gross_90d", "discount_90d", "scattered"),
    *("mornings", "afternoons", "evenings", "weekends"),
)


def baskets(facts: Facts, people: ibis.Table | None) -> ibis.Table:
    """One row per day, customer and order, and one per order with returns.

    Parameters
    ----------
    facts
        What `gather` gives; of its receipts those that the day sees.
    people
        Days and customers to compute: `k`, `who`; None: everyone on every day.

    Returns
    -------
    `facts.days.keys` and the columns of `facts.receipts`, orders without items left out.
    """
    made = seen_by(facts.receipts, facts, people)
    if not facts.days.single:  # an order may be seen in part
        sums = ("amount", "gross", "discount", "coupon", "lines")
        later = _.local.max().date() > _.local.min().date()
        spread = {"scattered": _.scattered.any() | later} if "scattered" in made.columns else {}
        made = made.group_by(*facts.days.keys, "order", "returned").agg(
            local=_.local.argmin(_["at"]),
            at=_["at"].min(),
            units=_.units.sum(),
            store_id=_.store_id.min(),
            **spread,
            **{name: _[name].sum().cast("int64") for name in sums},
        )
    return made.filter(made.returned | (made.lines > 0))


def seen_by(rows: ibis.Table, facts: Facts, people: ibis.Table | None) -> ibis.Table:
    """The rows of each customer of `people` (None: all) that her day sees, by `Days.keys`."""
    if people is None and facts.days.single:
        return rows.drop("since")
    if people is None:
        days = facts.starts.select("k")
        return rows.inner_join(days, rows.since <= days.k).drop("since")
    if facts.days.single:
        return rows.semi_join(people, "who").drop("since")
    wanted = people.select("k", who_of="who")
    joined = rows.inner_join(wanted, [rows.who == wanted.who_of, rows.since <= wanted.k])
    return joined.drop("who_of", "since")


def summarise_orders(orders: ibis.Table, facts: Facts) -> ibis.Table:
    """Timing, money, savings, clock habits and trend: one row per day and customer.

    Parameters
    ----------
    orders
        What `baskets` gives.
    facts
        What they were made from; each row is before its day.
    """
    of_one = {"group_by": [*facts.days.keys, "returned"], "order_by": "at"}
    before, day_before = (orders[name].lag().over(**of_one) for name in ("at", "local"))
    gap = (orders.at.epoch_seconds() - before.epoch_seconds()) // 60
    # Days are counted where they change, a third of what a count of different ones takes: clocks
    # go back, local days do not (but for a minute of a year in Newfoundland, until 2011).
    later = day_before.isnull() | (day_before.date() < orders["local"].date())
    spread = ("scattered",) if "scattered" in orders.columns else ()
    rows = on_clocks(orders, *facts.days.keys, *spread, gap=gap, later=later)
    if not facts.days.single:
        rows = rows.inner_join(facts.starts, "k")
    totals = rows.group_by(*facts.days.keys).agg(
        **facts.days.start_sum(),
        **_timing_totals(),
        **{name: _.count(where=_[name]) for name in spread},
        **_money_totals(),
        **window_totals(lambda days: _["at"] >= facts.days.moment(f"start_{days}")),
    )
    return _finish(totals, facts)


def on_clocks(orders: ibis.Table, *keys: str, **more: ibis.Value) -> ibis.Table:
    """What is summed of receipts: `keys`, their sums, and when it was on the shop's clocks."""
    return orders.select(
        *keys,
        *("at", "returned", "amount", "gross", "discount", "coupon", "units", "lines"),
        sold=~orders.returned,
        hour=orders.local.hour(),
        weekday=orders.local.date().day_of_week.index(),
        local_on=orders.local.date(),
        **more,
    )


def _timing_totals() -> dict[str, ibis.Deferred]:
    sold = _.sold
    return {
        "first_order_at": _["at"].min(where=sold),
        "last_order_at": _["at"].max(where=sold),
        "coupon_order_at": _["at"].max(where=sold & (_.coupon > 0)),
        "orders_count": _.count(where=sold),
        "active_days": _.count(where=sold & _.later),
        "gap_minutes": _.gap.sum(where=sold),
        "gap_squares": (_.gap * _.gap).sum(where=sold),
        "gaps_count": _.gap.count(where=sold),
    }


def _money_totals() -> dict[str, ibis.Deferred]:
    """Sums of all orders; what a return has none of (see `receipts`) needs no look at its kind."""
    sold = _.sold
    return {
        "revenue_minor": _.amount.sum(),
        "sold_minor": _sum_of(_.amount, sold),
        "squares": _sum_of(_.amount.cast("float64") * _.amount, sold),
        "order_value_max_minor": _.amount.max(where=sold),
        "lines": _.lines.sum(),
        "units": _.units.sum(),
        "gross": _.gross.sum(),
        "discount": _.discount.sum(),
        "coupon_minor": _.coupon.sum(),
        "coupon_orders_count": _.count(where=sold & (_.coupon > 0)),
        "returns_count": _.count(where=_.returned),
        "returned_minor": _sum_of(_.amount, _.returned),
    }


def _sum_of(value: ibis.Deferred, where: ibis.Deferred) -> ibis.Deferred:
    """The sum of what a condition holds for, 0 for none: half of what a filter of the sum takes."""
    return ibis.ifelse(where, value, 0).sum()


def window_totals(inside: Callable[[int], ibis.Deferred]) -> dict[str, ibis.Deferred]:
    """Sums of what `on_clocks` gives over the windows; `inside` tells by days who lies in one."""
    sold, recent, year = _.sold, inside(90), _.sold & inside(_HABIT_DAYS)
    made = {}
    for days in WINDOWS:
        made[f"orders_{days}d"] = _.count(where=sold & inside(days))
        made[f"revenue_{days}d_minor"] = _sum_of(_.amount, inside(days))
    return made | {
        "orders_60d": _.count(where=sold & inside(60)),
        "revenue_60d": _sum_of(_.amount, inside(60)),
        "gross_90d": _sum_of(_.gross, recent),
        "discount_90d": _sum_of(_.discount, recent),
        "coupon_90d_minor": _sum_of(_.coupon, recent),
        "coupon_orders_90d": _.count(where=sold & recent & (_.coupon > 0)),
        "mornings": _.count(where=year & (_.hour >= 5) & (_.hour < 11)),
        "afternoons": _.count(where=year & (_.hour >= 11) & (_.hour < 17)),
        "evenings": _.count(where=year & (_.hour >= 17) & (_.hour < 22)),
        "weekends": _.count(where=year & (_.weekday >= 5)),
    }


def recencies(t: ibis.Table, start: ibis.Value) -> dict[str, ibis.Value]:
    """What changes with the day alone, from the moments of orders and the day's `start`."""
    since_last = (start.epoch_seconds() - t.last_order_at.epoch_seconds()) / DAY_SECONDS
    return {
        "recency_days": days_since(t.last_order_at, start),
        "tenure_days": days_since(t.first_order_at, start),
        "coupon_recency_days": days_since(t.coupon_order_at, start),
        "overdue_ratio": since_last / _gap_mean(t).nullif(0),
    }


def shares_of_windows(t: ibis.Table) -> dict[str, ibis.Value]:
    """What is finished from the sums of `window_totals`."""
    year = t[f"orders_{_HABIT_DAYS}d"].nullif(0)
    return {
        "discount_90d_share": t.discount_90d / t.gross_90d.nullif(0),
        "morning_share": t.mornings / year,
        "afternoon_share": t.afternoons / year,
        "evening_share": t.evenings / year,
        "weekend_share": t.weekends / year,
        "orders_trend_30d": _trend(t.orders_30d, t.orders_60d),
        "revenue_trend_30d": _trend(t.revenue_30d_minor, t.revenue_60d),
        "revenue_trend_90d": _trend(t.revenue_90d_minor, t.revenue_180d_minor),
    }


def _gap_mean(t: ibis.Table) -> ibis.Value:
    return t.gap_minutes / t.gaps_count.nullif(0) / (DAY_SECONDS / 60)


def _finish(t: ibis.Table, facts: Facts) -> ibis.Table:
    orders = t.orders_count.nullif(0)
    gap_mean = _gap_mean(t)
    gap_mean_square = t.gap_squares / t.gaps_count.nullif(0) / (DAY_SECONDS / 60) ** 2
    gap_std = at_least_zero(gap_mean_square - gap_mean * gap_mean).sqrt()
    mean = t.sold_minor / orders
    return t.select(
        *facts.days.keys,
        *_AS_SUMMED,
        *(name for name in _MOMENTS if name in t.columns),
        **recencies(t, facts.days.start_of(t)),
        gap_mean_days=gap_mean,
        gap_std_days=gap_std,
        gap_cv=gap_std / gap_mean.nullif(0),
        order_value_mean_minor=mean,
        order_value_std_minor=at_least_zero(t.squares / orders - mean * mean).sqrt(),
        lines_per_order=t.lines / orders,
        units_per_order=t.units / orders,
        return_share=-t.returned_minor.fill_null(0) / t.sold_minor.nullif(0),
        discount_share=t.discount / t.gross.nullif(0),
        coupon_share=t.coupon_minor / t.gross.nullif(0),
        coupon_order_share=t.coupon_orders_count / orders,
        **shares_of_windows(t),
    )


def _trend(window: ibis.Value, twice: ibis.Value) -> ibis.Value:
    """(now - before) / (now + before) of a window and the window twice as long, from -1 to 1 also
    where returns outweigh; 0 without both.
    """
    now, both = window.fill_null(0), twice.fill_null(0)
    more = 2 * now - both
    return ibis.cases((both <= 0, 0.0), (more > both, 1.0), (more < -both, -1.0), else_=more / both)


def last_purchases(orders: ibis.Table, facts: Facts) -> ibis.Table:
    """When each customer last bought, as each day saw it: `facts.days.keys`, `last_at`."""
    return orders.filter(~orders.returned).group_by(*facts.days.keys).agg(last_at=_["at"].max())


def summarise_stores(orders: ibis.Table, facts: Facts) -> ibis.Table:
    """Stores used and the share of the first one: one row per day and customer."""
    sold = orders.filter(~orders.returned & orders.store_id.notnull())
    by_store = sold.group_by(*facts.days.keys, c.STORE_ID).agg(n=_.count())
    made = by_store.group_by(*facts.days.keys).agg(
        stores_count=_.count(), top=_.n.max(), orders=_.n.sum()
    )
    share = made.top / made.orders.nullif(0)
    return made.select(*facts.days.keys, made.stores_count, top_store_share=share)
