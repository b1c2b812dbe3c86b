"""Features from what a customer bought: timing, money, savings, habits, trend and assortment."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from datetime import timedelta

import ibis
from ibis import _

from zhiyin.core import columns as c
from zhiyin.core.features import WINDOWS
from zhiyin.profile.local_time import local_time
from zhiyin.profile.visible import DAY_SECONDS, Day

_HABIT_DAYS = 365  # clock habits are read from the last year


def baskets(lines: ibis.Table) -> ibis.Table:
    """One row per order of a customer, and one per order with returns.

    Parameters
    ----------
    lines
        Visible `order_lines` with `customer_id`. Money is counted on `item` and `return` lines;
        coupons also on lines of quantity 0, where some tills book them.

    Returns
    -------
    `customer_id`, `order_id`, `returned` (bool), `at` (first moment), `amount`, `gross`,
    `discount`, `coupon` (minor units), `units`, `lines`, `store_id`.
    """
    item = _[c.KIND] == "item"
    product = _[c.KIND].isin(["item", "return"])
    known = lines.filter(lines[c.CUSTOMER_ID].notnull())
    grouped = known.mutate(returned=known[c.KIND] == "return").group_by(
        c.CUSTOMER_ID, c.ORDER_ID, "returned"
    )
    made = grouped.agg(
        at=_[c.SOLD_AT].min(),
        amount=_[c.AMOUNT_BASE_MINOR].sum(where=product),
        gross=_[c.GROSS_BASE_MINOR].sum(where=item),
        discount=_[c.DISCOUNT_BASE_MINOR].sum(where=item),
        coupon=_[c.COUPON_BASE_MINOR].sum(where=_[c.KIND] != "return"),
        units=_[c.QUANTITY].sum(where=item),
        lines=item.sum(),
        store_id=_[c.STORE_ID].min(),
    )
    made = made.filter(made.returned | (made.lines > 0))
    money = ("amount", "gross", "discount", "coupon")
    return made.mutate(
        **{name: made[name].fill_null(0).cast("int64") for name in money},
        lines=made.lines.cast("int64"),
    )


def summarise_orders(orders: ibis.Table, *, day: Day) -> ibis.Table:
    """Timing, money, savings, clock habits and trend: one row per customer.

    Parameters
    ----------
    orders
        What `baskets` gives.
    day
        The day; all rows are before it.
    """
    local = local_time(
        orders.at,
        zone=day.zone,
        first=day.as_of - timedelta(days=_HABIT_DAYS),
        last=day.as_of,
    )
    before = orders.at.lag().over(group_by=[c.CUSTOMER_ID, "returned"], order_by=["at", c.ORDER_ID])
    rows = orders.mutate(
        sold=~orders.returned,
        gap=(orders.at.epoch_seconds() - before.epoch_seconds()) // 60,
        hour=local.hour(),
        weekday=local.date().day_of_week.index(),
        local_on=local.date(),
        recent=day.within(orders.at, _HABIT_DAYS),
    )
    totals = rows.group_by(c.CUSTOMER_ID).agg(
        **_timing_totals(), **_money_totals(day), **_habit_totals(), **_trend_totals(day)
    )
    return _finish(totals, day)


def _timing_totals() -> dict[str, ibis.Deferred]:
    sold = _.sold
    return {
        "first_at": _["at"].min(where=sold),
        "last_at": _["at"].max(where=sold),
        "coupon_last_at": _["at"].max(where=sold & (_.coupon > 0)),
        "orders_count": sold.sum(),
        "active_days": _.local_on.nunique(where=sold),
        "gap_sum": _.gap.sum(where=sold),
        "gap_squares": (_.gap * _.gap).sum(where=sold),
        "gap_count": _.gap.count(where=sold),
    }


def _money_totals(day: Day) -> dict[str, ibis.Deferred]:
    sold = _.sold
    made = {
        "revenue_minor": _.amount.sum(),
        "sold_minor": _.amount.sum(where=sold),
        "squares": (_.amount.cast("float64") * _.amount).sum(where=sold),
        "order_value_max_minor": _.amount.max(where=sold),
        "lines": _.lines.sum(where=sold),
        "units": _.units.sum(where=sold),
        "gross": _.gross.sum(where=sold),
        "discount": _.discount.sum(where=sold),
        "coupon_minor": _.coupon.sum(),
        "coupon_orders_count": (sold & (_.coupon > 0)).sum(),
        "returns_count": _.returned.sum(),
        "returned_minor": _.amount.sum(where=_.returned),
    }
    for days in WINDOWS:
        start = ibis.literal(day.start(days_before=days))
        made[f"orders_{days}d"] = (sold & (_["at"] >= start)).sum()
        made[f"revenue_{days}d_minor"] = _.amount.sum(where=_["at"] >= start)
    recent = _["at"] >= ibis.literal(day.start(days_before=90))
    made["gross_90d"] = _.gross.sum(where=sold & recent)
    made["discount_90d"] = _.discount.sum(where=sold & recent)
    made["coupon_90d_minor"] = _.coupon.sum(where=recent)
    made["coupon_orders_90d"] = (sold & recent & (_.coupon > 0)).sum()
    return made


def _habit_totals() -> dict[str, ibis.Deferred]:
    recent = _.sold & _.recent
    return {
        "recent_orders": recent.sum(),
        "mornings": (recent & (_.hour >= 5) & (_.hour < 11)).sum(),
        "afternoons": (recent & (_.hour >= 11) & (_.hour < 17)).sum(),
        "evenings": (recent & (_.hour >= 17) & (_.hour < 22)).sum(),
        "weekends": (recent & (_.weekday >= 5)).sum(),
    }


def _trend_totals(day: Day) -> dict[str, ibis.Deferred]:
    def since(days: int) -> ibis.Deferred:
        return _["at"] >= ibis.literal(day.start(days_before=days))

    return {
        "orders_60d": (_.sold & since(60)).sum(),
        "revenue_60d": _.amount.sum(where=since(60)),
    }


def _finish(t: ibis.Table, day: Day) -> ibis.Table:
    orders = t.orders_count.nullif(0)
    gaps = t.gap_count.nullif(0)
    gap_mean = t.gap_sum / gaps / (DAY_SECONDS / 60)
    gap_mean_square = t.gap_squares / gaps / (DAY_SECONDS / 60) ** 2
    gap_std = (gap_mean_square - gap_mean * gap_mean).clip(lower=0).sqrt()
    mean = t.sold_minor / orders
    recent = t.recent_orders.nullif(0)
    since_last = (ibis.literal(day.start()).epoch_seconds() - t.last_at.epoch_seconds()) / (
        DAY_SECONDS
    )
    return t.mutate(
        recency_days=day.days_since(t.last_at),
        tenure_days=day.days_since(t.first_at),
        gap_mean_days=gap_mean,
        gap_std_days=gap_std,
        gap_cv=gap_std / gap_mean.nullif(0),
        overdue_ratio=since_last / gap_mean.nullif(0),
        order_value_mean_minor=mean,
        order_value_std_minor=(t.squares / orders - mean * mean).clip(lower=0).sqrt(),
        lines_per_order=t.lines / orders,
        units_per_order=t.units / orders,
        return_share=-t.returned_minor.fill_null(0) / t.sold_minor.nullif(0),
        discount_share=t.discount / t.gross.nullif(0),
        discount_90d_share=t.discount_90d / t.gross_90d.nullif(0),
        coupon_share=t.coupon_minor / t.gross.nullif(0),
        coupon_order_share=t.coupon_orders_count / orders,
        coupon_recency_days=day.days_since(t.coupon_last_at),
        morning_share=t.mornings / recent,
        afternoon_share=t.afternoons / recent,
        evening_share=t.evenings / recent,
        weekend_share=t.weekends / recent,
        orders_trend_30d=_trend(t.orders_30d, t.orders_60d),
        revenue_trend_30d=_trend(t.revenue_30d_minor, t.revenue_60d),
        revenue_trend_90d=_trend(t.revenue_90d_minor, t.revenue_180d_minor),
    )


def _trend(window: ibis.Value, twice: ibis.Value) -> ibis.Value:
    """(now - before) / (now + before) of a window and the window twice as long; 0 without both."""
    now, both = window.fill_null(0), twice.fill_null(0)
    return ibis.ifelse(both > 0, ((2 * now - both) / both.nullif(0)).clip(-1, 1), 0.0)


def summarise_stores(orders: ibis.Table) -> ibis.Table:
    """Stores used and the share of the first one: one row per customer."""
    sold = orders.filter(~orders.returned & orders.store_id.notnull())
    by_store = sold.group_by(c.CUSTOMER_ID, c.STORE_ID).agg(n=_.count())
    made = by_store.group_by(c.CUSTOMER_ID).agg(
        stores_count=_.count(), top=_.n.max(), orders=_.n.sum()
    )
    return made.select(
        c.CUSTOMER_ID, made.stores_count, top_store_share=made.top / made.orders.nullif(0)
    )


def pairs(lines: ibis.Table) -> ibis.Table:
    """What each customer bought of each product: `customer_id`, `product_id`, `amount`, `lines`."""
    item = lines.filter(
        lines[c.CUSTOMER_ID].notnull(), lines[c.PRODUCT_ID].notnull(), lines[c.KIND] == "item"
    )
    return item.group_by(c.CUSTOMER_ID, c.PRODUCT_ID).agg(
        amount=_[c.AMOUNT_BASE_MINOR].sum().cast("int64"), lines=_.count()
    )


def department_sizes(lines: ibis.Table, products: ibis.Table) -> ibis.Table:
    """Departments of the shop by revenue of known customers: `department`, `place` from 0."""
    item = lines.filter(lines[c.CUSTOMER_ID].notnull(), lines[c.KIND] == "item")
    sold = item.group_by(c.PRODUCT_ID).agg(amount=_[c.AMOUNT_BASE_MINOR].sum().cast("int64"))
    known = sold.inner_join(products.select(c.PRODUCT_ID, c.DEPARTMENT), c.PRODUCT_ID)
    return _places(known)


def _places(known: ibis.Table) -> ibis.Table:
    """Departments by the sum of `amount`, ties by name: `department`, `place` from 0."""
    known = known.filter(known[c.DEPARTMENT].notnull())
    size = known.group_by(c.DEPARTMENT).agg(size=_.amount.sum())
    place = ibis.row_number().over(order_by=[ibis.desc(size.size), size[c.DEPARTMENT]])
    return size.select(c.DEPARTMENT, place=place)


def summarise_assortment(
    bought: ibis.Table, products: ibis.Table, sizes: ibis.Table | None
) -> tuple[ibis.Table, ...]:
    """Variety of products, departments, categories and brands; each part one row per customer.

    Parameters
    ----------
    bought
        What `pairs` gives.
    products
        Visible `products`.
    sizes
        What `department_sizes` gives for the whole shop; None: `bought` is the whole shop.
    """
    groups = [c.DEPARTMENT, c.CATEGORY, c.BRAND]
    known = bought.left_join(products.select(c.PRODUCT_ID, *groups), c.PRODUCT_ID)
    by_group = known.group_by(c.CUSTOMER_ID, *groups).agg(
        amount=_.amount.sum().cast("int64"),
        lines=_.lines.sum().cast("int64"),
        products=_.count().cast("int64"),
    )
    counts = by_group.group_by(c.CUSTOMER_ID).agg(
        products_count=_.products.sum(), product_lines=_.lines.sum()
    )
    counts = counts.select(
        c.CUSTOMER_ID,
        counts.products_count,
        repeat_share=1 - counts.products_count / counts.product_lines.nullif(0),
    )
    return (
        counts,
        _departments(
            _spend_by(by_group, c.DEPARTMENT), _places(by_group) if sizes is None else sizes
        ),
        _categories(_spend_by(by_group, c.CATEGORY)),
        _brands(_spend_by(by_group, c.BRAND)),
    )


def _spend_by(known: ibis.Table, column: str) -> ibis.Table:
    rows = known.filter(known[column].notnull())
    return rows.group_by(c.CUSTOMER_ID, column).agg(
        spend=_.amount.sum().cast("int64").clip(lower=0), lines=_.lines.sum().cast("int64")
    )


def _departments(spend: ibis.Table, sizes: ibis.Table) -> ibis.Table:
    placed = spend.left_join(sizes, c.DEPARTMENT)
    made = placed.group_by(c.CUSTOMER_ID).agg(
        departments_count=_.count(),
        top=_.spend.max(),
        all=_.spend.sum(),
        **{f"d{i}": _.spend.sum(where=_.place == i) for i in range(3)},
    )
    total = made["all"].nullif(0)
    return made.select(
        c.CUSTOMER_ID,
        made.departments_count,
        top_department_share=made.top / total,
        **{f"department_{i + 1}_share": made[f"d{i}"].fill_null(0) / total for i in range(3)},
    )


def _categories(spend: ibis.Table) -> ibis.Table:
    """Shannon entropy of the lines over categories: log N - (1 / N) sum n log n, in nats."""
    made = spend.group_by(c.CUSTOMER_ID).agg(
        categories_count=_.count(),
        n=_.lines.sum(),
        weighted=(_.lines * _.lines.ln()).sum(),
    )
    entropy = made.n.ln() - made.weighted / made.n
    return made.select(c.CUSTOMER_ID, made.categories_count, category_entropy=entropy.clip(lower=0))


def _brands(spend: ibis.Table) -> ibis.Table:
    made = spend.group_by(c.CUSTOMER_ID).agg(top=_.spend.max(), all=_.spend.sum())
    return made.select(c.CUSTOMER_ID, top_brand_share=made.top / made["all"].nullif(0))
