"""What all snapshot days share: the order lines, grouped once and with short keys."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

import ibis
from ibis import _

from zhiyin.core import columns as c
from zhiyin.profile.browsing import Browsing, gather_browsing
from zhiyin.profile.local_time import local_time
from zhiyin.profile.visible import Days

GROUPS = (c.DEPARTMENT, c.CATEGORY, c.BRAND)
_CLOCK_FROM = date(2000, 1, 1)  # clocks are exact since; of what is older by an hour
Keep = Callable[[ibis.Table], ibis.Table]


@dataclass(frozen=True)
class Facts:
    """Tables over the days of `days`; `since` is the first day that sees a row.

    `who` is a dense number of customers, of no meaning outside: grouping and joining by it costs
    a fraction of doing so by their ids.
    """

    days: Days
    starts: ibis.Table  # what `Days.table` gives
    pairs: ibis.Table  # customers and campaigns planned for them, as each day saw it
    touches: ibis.Table  # the columns of `visible.COLUMNS`, `who`, `since`
    customers: ibis.Table  # `customer_id`, `who`, `since`: of lines, touches and customers
    products: ibis.Table  # what `_products` gives
    items: ibis.Table  # lines of kind `item` by `customer_id`, of the columns of `visible.COLUMNS`
    bought: ibis.Table  # what `_bought` gives
    receipts: ibis.Table  # what `receipts` gives, by `who`
    places: ibis.Table | None  # departments of the whole shop: name, `place` from 0; None: find
    variety: ibis.Table  # `who`, `since`, `products` bought for the first time, `lines`
    browsing: Browsing | None  # None where no events are given

    def seen(self, rows: ibis.Table) -> ibis.Table:
        """The rows once for every day that sees them, with what `Days.keys` and `moment` need."""
        if self.days.single:
            return rows.drop("since")
        return seen_each_day(rows, self.starts).drop("since")


def as_it_is(table: ibis.Table) -> ibis.Table:
    """Keep nothing: one expression from the tables to the features."""
    return table


def gather(
    tables: Mapping[str, ibis.Table],
    days: Days,
    *,
    starts: ibis.Table | None = None,
    keep: Keep = as_it_is,
    places: ibis.Table | None = None,
    moments: bool = False,
) -> Facts:
    """Group the order lines for the features of all the days.

    Parameters
    ----------
    tables
        `order_lines`, `products`, `touches` and `customers`, and of a shop that tracks `events`
        and `item_events`, as the last day sees them. With more than one day, what an earlier day
        saw must be these rows less the later ones.
    starts
        `days.rows()` as a table of the engine; None: they become part of the expression.
    keep
        Computes a table that is used several times and gives it back (`Table.cache`).
    places
        `department` and `place` from 0 by revenue where the tables hold a part of the customers
        and one day; None: the tables hold them all.
    moments
        Also what a later day needs to be made from this one (`core.features.MOMENTS`).
    """
    seen = days.visible(tables, "order_lines")
    known = seen.filter(seen[c.CUSTOMER_ID].notnull())
    touches = days.visible(tables, "touches")
    # by ids: only receipts, a tenth of the lines, need look for who has lines and for her number
    sold = keep(receipts(known, c.CUSTOMER_ID, days=days, scattered=moments))
    customers = keep(_customers(sold, touches, days.visible(tables, "customers")))
    touches = keep(_with_who(touches, customers))
    starts = days.table() if starts is None else starts
    described = days.visible(tables, "products")
    products = keep(_products(described))
    items = known.filter(known[c.KIND] == "item")
    bought = _bought(items, customers, products, days=days, keep=keep)
    return Facts(
        days=days,
        starts=starts,
        pairs=keep(_by_campaign(touches, starts)),
        touches=touches,
        customers=customers,
        products=products,
        items=items,
        bought=bought,
        receipts=_numbered(sold, customers).drop(c.CUSTOMER_ID),
        places=places,
        variety=_variety(bought, days),
        browsing=gather_browsing(tables, days, customers),
    )


def receipts(known: ibis.Table, key: str, *, days: Days, scattered: bool = False) -> ibis.Table:
    """One row per order of a customer and first day that sees the lines, returns apart.

    Money is counted on `item` and `return` lines; coupons also on lines of quantity 0, where some
    tills book them.

    Parameters
    ----------
    known
        Order lines of known customers, of the columns of `visible.COLUMNS`, and `since`.
    key
        Column that tells customers apart.
    scattered
        Also whether the last line of a receipt is of a later local day than the first.

    Returns
    -------
    `key`, `order` (see `hash_of`), `returned` (bool), `since`, `at` (first moment), `local` (the
    same on the shop's clocks), `amount`, `gross`, `discount`, `coupon` (minor units), `units`,
    `lines` (of items), `store_id`, and `scattered` if asked for.
    """
    known = known.mutate(
        item=known[c.KIND] == "item",
        returned=known[c.KIND] == "return",
        order=known[c.ORDER_ID].hash(),
    )
    item, product = known["item"], known["item"] | known.returned
    # a case in the row is quicker than a filter of the sum
    known = known.mutate(
        net=ibis.ifelse(product, known[c.AMOUNT_BASE_MINOR], 0),
        listed=ibis.ifelse(item, known[c.GROSS_BASE_MINOR], 0),
        off=ibis.ifelse(item, known[c.DISCOUNT_BASE_MINOR], 0),
        couponed=ibis.ifelse(known.returned, 0, known[c.COUPON_BASE_MINOR]),
        units=ibis.ifelse(item, known[c.QUANTITY], ibis.null("float64")),
    )
    made = group_by_since(known, key, "order", "returned", days=days)(
        at=_[c.SOLD_AT].min(),
        **({"last": _[c.SOLD_AT].max()} if scattered else {}),
        amount=_.net.sum(),
        gross=_.listed.sum(),
        discount=_.off.sum(),
        coupon=_.couponed.sum(),
        units=_.units.sum(),
        lines=_["item"].sum(),
        store_id=_[c.STORE_ID].min(),
    )
    money = ("amount", "gross", "discount", "coupon")
    clock = {"zone": days.zone, "first": _CLOCK_FROM, "last": days.as_of[-1]}
    local = local_time(made["at"], **clock)
    made = made.mutate(
        **{name: made[name].fill_null(0).cast("int64") for name in money},
        lines=made.lines.cast("int64"),
        local=local,
    )
    if not scattered:
        return made
    later = local_time(made["last"], **clock).date() > made["local"].date()
    later = ibis.ifelse(made["last"] > made["at"], later, ibis.literal(value=False))
    return made.mutate(scattered=later).drop("last")


def _numbered(rows: ibis.Table, customers: ibis.Table) -> ibis.Table:
    return rows.inner_join(customers.select(c.CUSTOMER_ID, "who"), c.CUSTOMER_ID)


def group_by_since(rows: ibis.Table, *keys: str, days: Days) -> Callable[..., ibis.Table]:
    """`agg` of rows grouped by the keys and `since`, which is no key where it is one day's."""
    if not days.single:
        return rows.group_by(*keys, "since").agg
    since = ibis.literal(0, "int8")
    return lambda **sums: rows.group_by(*keys).agg(**sums).mutate(since=since)


def _customers(*tables: ibis.Table) -> ibis.Table:
    ids = ibis.union(*(table.select(c.CUSTOMER_ID, "since") for table in tables))
    ids = ids.filter(ids[c.CUSTOMER_ID].notnull())
    first = ids.group_by(c.CUSTOMER_ID).agg(since=_.since.min())
    # in the order of the ids: an expression that is computed twice must number alike
    return first.mutate(who=ibis.row_number().over(order_by=first[c.CUSTOMER_ID]).cast("int32"))


def _products(described: ibis.Table) -> ibis.Table:
    """Every product once for each day from which it is described so.

    Returns
    -------
    `department`, `what` (see `hash_of`), `described` (a day), and the names of `GROUPS` as numbers
    in their order, null for none.
    """
    kinds = described.select(*GROUPS, described=described.since).distinct()
    kinds = kinds.mutate(**{f"{name}_no": _place(kinds[name]) for name in GROUPS})
    alike = [described[name].identical_to(kinds[name]) for name in GROUPS]
    made = described.inner_join(
        kinds, [*alike, described.since == kinds.described], rname="{name}_of"
    )
    numbers = (f"{name}_no" for name in GROUPS)
    what = hash_of(made[c.PRODUCT_ID])
    return made.select(c.DEPARTMENT, "described", *numbers, what=what)


def hash_of(ids: ibis.Value) -> ibis.Value:
    """64 bits for a text, null for none: quicker to group and to join by, and as good.

    Of a million products two share their bits once in 20 million shops (n^2 / 2^64).
    """
    return ibis.ifelse(ids.notnull(), ids.hash(), ibis.null("int64"))


def _place(names: ibis.Value) -> ibis.Value:
    place = ibis.dense_rank().over(order_by=names).cast("int32")
    return ibis.ifelse(names.notnull(), place, ibis.null("int32"))


def _bought(
    items: ibis.Table, customers: ibis.Table, products: ibis.Table, *, days: Days, keep: Keep
) -> ibis.Table:
    """What each customer bought, described: one row a line, or of several days, which see rows more
    than once, a customer, product and `since`.

    Returns
    -------
    `who`, `since`, `amount`, of one day `first` (one line of each of her products), of several
    `what` (see `hash_of`) and `lines`, and of `products`, null for none, `described` and the
    numbers.

    Notes
    -----
    The rows of one day come from a window by customer, and so lie by customer: the groups
    by customer that follow find hers near each other.
    """
    bought = items.filter(items[c.PRODUCT_ID].notnull())
    bought = _numbered(bought, customers).mutate(what=_[c.PRODUCT_ID].hash())
    bought = bought.select("who", "what", "since", amount=bought[c.AMOUNT_BASE_MINOR])
    if not days.single:
        bought = bought.group_by("who", "what", "since").agg(
            amount=_.amount.sum().cast("int64"), lines=_.count()
        )
    numbers = [f"{name}_no" for name in GROUPS]
    known = products.select("described", *numbers, what_of=products.what)
    made = bought.left_join(known, bought.what == known.what_of).drop("what_of")
    if not days.single:
        return keep(made)
    # where it differs from the row before: cheaper than a group for each
    before = made.what.lag().over(group_by="who", order_by="what")
    first = before.isnull() | (before != made.what)
    zero = ibis.literal(0, "int8")
    made = keep(made.select("who", "amount", *numbers, first=first))
    return made.mutate(since=zero, described=zero)


def lines_of(days: Days) -> ibis.Deferred:
    """How many lines the grouped rows of `Facts.bought` stand for."""
    return _.count() if days.single else _.lines.sum().cast("int64")


def _with_who(touches: ibis.Table, customers: ibis.Table) -> ibis.Table:
    return _numbered(touches, customers).select(*touches.columns, "who")


def _variety(bought: ibis.Table, days: Days) -> ibis.Table:
    """Products by the day from which they count, and lines by the day that first sees them."""
    if days.single:  # every product counts from the one day
        rows = bought.group_by("who", "since")
        return rows.agg(products=_.count(where=_["first"]), lines=_.count())
    first = bought.group_by("who", "what").agg(since=_.since.min())
    firsts = first.group_by("who", "since").agg(products=_.count())
    lines = bought.group_by("who", "since").agg(lines=_.lines.sum().cast("int64"))
    zero = ibis.literal(0, "int64")
    return ibis.union(
        firsts.select("who", "since", "products", lines=zero),
        lines.select("who", "since", "lines", products=zero)["who", "since", "products", "lines"],
    )


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
