"""What all snapshot days share: the order lines, grouped once and with short keys."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import ibis
from ibis import _

from zhiyin.core import columns as c
from zhiyin.profile.visible import Days

GROUPS = (c.DEPARTMENT, c.CATEGORY, c.BRAND)
Keep = Callable[[ibis.Table], ibis.Table]


@dataclass(frozen=True)
class Facts:
    """Tables over the days of `days`; `since` is the first day that sees a row.

    `who` and `what` are dense numbers of customers and products, of no meaning outside: grouping
    a million lines by them costs a fraction of grouping by their ids.
    """

    days: Days
    starts: ibis.Table  # what `Days.table` gives
    pairs: ibis.Table  # customers and campaigns planned for them, as each day saw it
    touches: ibis.Table  # the columns of `visible.COLUMNS`, `who`, `since`
    customers: ibis.Table  # `customer_id`, `who`, `since`: of lines, touches and customers
    products: ibis.Table  # `product_id`, `what`, `kind_no` of every product bought
    kinds: ibis.Table  # `kind_no`, `described` (a day), numbers of `GROUPS`, null for none
    lines: ibis.Table  # item lines: `who`, `what`, `at`, `amount`, `coupon` (bool), `since`
    receipts: ibis.Table  # what `gather_receipts` gives
    spend: ibis.Table  # `who`, `kind_no`, `since`, `amount`, `lines`
    firsts: ibis.Table  # `who`, `since`, `products` bought for the first time


def as_it_is(table: ibis.Table) -> ibis.Table:
    """Keep nothing: one expression from the tables to the features."""
    return table


def gather(
    tables: Mapping[str, ibis.Table],
    days: Days,
    *,
    starts: ibis.Table | None = None,
    keep: Keep = as_it_is,
) -> Facts:
    """Group the order lines for the features of all the days.

    Parameters
    ----------
    tables
        `order_lines`, `products`, `touches` and `customers` as the last day sees them. With more
        than one day, what an earlier day saw must be these rows less the later ones.
    starts
        `days.rows()` as a table of the engine; None: they become part of the expression.
    keep
        Computes a table that is used several times and gives it back (`Table.cache`).
    """
    seen = days.visible(tables, "order_lines")
    known = seen.filter(seen[c.CUSTOMER_ID].notnull())
    touches = days.visible(tables, "touches")
    customers = keep(_customers(known, touches, days.visible(tables, "customers")))
    touches = keep(_with_who(touches, customers))
    starts = days.table() if starts is None else starts
    described = days.visible(tables, "products")
    kinds = keep(_kinds(described))
    products = keep(_products(known, described, kinds))
    lines = keep(_lines(known, customers, products))
    return Facts(
        days=days,
        starts=starts,
        pairs=keep(_by_campaign(touches, starts)),
        touches=touches,
        customers=customers,
        products=products,
        kinds=kinds,
        lines=lines,
        receipts=keep(gather_receipts(known, customers)),
        spend=keep(_spend(lines, products)),
        firsts=keep(_firsts(lines)),
    )


def gather_receipts(known: ibis.Table, customers: ibis.Table) -> ibis.Table:
    """One row per order of a customer and first day that sees the lines, returns apart.

    Money is counted on `item` and `return` lines; coupons also on lines of quantity 0, where some
    tills book them.

    Returns
    -------
    `who`, `order_id`, `returned` (bool), `since`, `at` (first moment), `amount`, `gross`,
    `discount`, `coupon` (minor units), `units`, `lines` (of items), `store_id`.
    """
    item = _[c.KIND] == "item"
    product = _[c.KIND].isin(["item", "return"])
    grouped = known.mutate(returned=known[c.KIND] == "return").group_by(
        c.CUSTOMER_ID, c.ORDER_ID, "returned", "since"
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
    money = ("amount", "gross", "discount", "coupon")
    made = made.mutate(
        **{name: made[name].fill_null(0).cast("int64") for name in money},
        lines=made.lines.cast("int64"),
    )
    return made.inner_join(customers.select(c.CUSTOMER_ID, "who"), c.CUSTOMER_ID).drop(
        c.CUSTOMER_ID
    )


def _customers(*tables: ibis.Table) -> ibis.Table:
    ids = ibis.union(*(table.select(c.CUSTOMER_ID, "since") for table in tables))
    ids = ids.filter(ids[c.CUSTOMER_ID].notnull())
    first = ids.group_by(c.CUSTOMER_ID).agg(since=_.since.min())
    return first.mutate(who=_number(first[c.CUSTOMER_ID]))


def _number(*columns: ibis.Value) -> ibis.Value:
    # in the order of the ids: an expression that is computed twice must number alike
    return ibis.row_number().over(order_by=list(columns)).cast("int32")


def _kinds(products: ibis.Table) -> ibis.Table:
    """What is described alike from the same day on; names as numbers in their order."""
    kinds = products.select(*GROUPS, described=products.since).distinct()
    order = [*(kinds[name] for name in GROUPS), kinds.described]
    return kinds.mutate(
        kind_no=_number(*order), **{f"{name}_no": _place(kinds[name]) for name in GROUPS}
    )


def _place(names: ibis.Value) -> ibis.Value:
    place = ibis.dense_rank().over(order_by=names).cast("int32")
    return ibis.ifelse(names.notnull(), place, ibis.null("int32"))


def _products(known: ibis.Table, described: ibis.Table, kinds: ibis.Table) -> ibis.Table:
    bought = known.filter(known[c.PRODUCT_ID].notnull(), known[c.KIND] == "item")
    bought = bought.select(c.PRODUCT_ID).distinct()
    bought = bought.mutate(what=_number(bought[c.PRODUCT_ID]))
    same = [described[name].identical_to(kinds[name]) for name in GROUPS]
    joined = described.inner_join(kinds, [*same, described.since == kinds.described])
    kind_of = joined.select(c.PRODUCT_ID, "kind_no")
    return bought.left_join(kind_of, c.PRODUCT_ID).select(c.PRODUCT_ID, "what", "kind_no")


def _lines(known: ibis.Table, customers: ibis.Table, products: ibis.Table) -> ibis.Table:
    items = known.filter(known[c.KIND] == "item").select(
        c.CUSTOMER_ID,
        c.PRODUCT_ID,
        "since",
        at=_[c.SOLD_AT],
        amount=_[c.AMOUNT_BASE_MINOR],
        coupon=_[c.COUPON_BASE_MINOR] > 0,
    )
    numbered = items.inner_join(customers.select(c.CUSTOMER_ID, "who"), c.CUSTOMER_ID)
    numbered = numbered.left_join(products.select(c.PRODUCT_ID, "what"), c.PRODUCT_ID)
    return numbered.select("who", "what", "at", "amount", "coupon", "since")


def _with_who(touches: ibis.Table, customers: ibis.Table) -> ibis.Table:
    numbered = touches.inner_join(customers.select(c.CUSTOMER_ID, "who"), c.CUSTOMER_ID)
    return numbered.select(*touches.columns, "who")


def _spend(lines: ibis.Table, products: ibis.Table) -> ibis.Table:
    """Spend and lines of each customer by kind of product; products without one have null."""
    kept = lines.inner_join(products.select("what", "kind_no"), "what")
    return kept.group_by("who", "kind_no", "since").agg(
        amount=_.amount.sum().cast("int64"), lines=_.count()
    )


def _firsts(lines: ibis.Table) -> ibis.Table:
    bought = lines.filter(lines.what.notnull())
    first = bought.group_by("who", "what").agg(since=_.since.min())
    return first.group_by("who", "since").agg(products=_.count())


def _by_campaign(touches: ibis.Table, starts: ibis.Table) -> ibis.Table:
    """One row per day, customer and campaign that was planned for her.

    Returns
    -------
    `k`, `who`, `campaign_id`, `planned_at`, `redemptions` and `redeemed` (0 or 1).
    """
    rows = touches.filter(
        touches[c.CAMPAIGN_ID].notnull(), touches[c.KIND].isin(["planned", "redemption"])
    )
    redemption = _[c.KIND] == "redemption"
    made = (
        seen_each_day(rows, starts)
        .group_by("k", "who", c.CAMPAIGN_ID)
        .agg(
            planned_at=_[c.OCCURRED_AT].min(where=_[c.KIND] == "planned"),
            redemptions=redemption.sum().cast("int64"),
        )
    )
    return made.mutate(redeemed=(made.redemptions > 0).cast("int64"))


def seen_each_day(rows: ibis.Table, starts: ibis.Table) -> ibis.Table:
    """The rows once for every day that sees them, with `k` and the starts of its windows."""
    return rows.inner_join(starts, rows.since <= starts.k)
