# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""What happened after a day, as table expressions: who redeemed, bought, and for how much.

`rows` of facts are read up to the day that is measured until; `customer_id` is by then the
representative of that later day. `align_customers` takes them back to the day of the decision,
whose ids scores and decisions carry.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import ibis
import ibis.expr.types as ir

from zhiyin.core import columns as c

ITEM, RETURN, SHIPPING, FEE = "item", "return", "shipping", "fee"
PLANNED, REDEMPTION = "planned", "redemption"
BEFORE, BEFORE_PRODUCTS = "before", "before_products"


def align_customers(rows: ir.Table, then: Sequence[ir.Table], now: Sequence[ir.Table]) -> ir.Table:
    """`rows` with the `customer_id` that its party had on an earlier day.

    Parameters
    ----------
    rows
        Facts with `party_id` and today's `customer_id`.
    then, now
        Tables with `party_id` and `customer_id` as of the earlier and of the later day.

    Notes
    -----
    A party known on the earlier day keeps its customer of that day. A new party that has been
    merged with known ones since counts for the first of them by id; any other stays as it is.
    """
    known = _pairs(then)
    bridge = (
        _pairs(now)
        .rename({c.INTO: c.CUSTOMER_ID})
        .inner_join(known, c.PARTY_ID)
        .group_by(c.INTO)
        .agg(**{c.ALIAS: ibis._[c.CUSTOMER_ID].min()})
    )
    own = known.rename({c.KEY_ID: c.CUSTOMER_ID, c.SOURCE: c.PARTY_ID})
    base = rows.select(rows[c.PARTY_ID], rows[c.CUSTOMER_ID].name(c.INTO), *_rest(rows))
    joined = base.left_join(own, base[c.PARTY_ID] == own[c.SOURCE])
    joined = joined.left_join(bridge, c.INTO)
    named = ibis.coalesce(joined[c.KEY_ID], joined[c.ALIAS], joined[c.INTO])
    return joined.select(**{c.CUSTOMER_ID: named}, **{name: joined[name] for name in _names(rows)})


def within(rows: ir.Table, time: str, *, start: datetime, end: datetime) -> ir.Table:
    """Rows of known customers with `start` <= time < `end` (naive UTC)."""
    at = rows[time]
    return rows.filter(at >= start, at < end, rows[c.CUSTOMER_ID].notnull())


def find_redeemers(touches: ir.Table, campaign_id: str) -> ir.Table:
    """One row per customer who redeemed an offer of the campaign: `customer_id`."""
    hits = touches.filter(touches[c.KIND] == REDEMPTION, touches[c.CAMPAIGN_ID] == campaign_id)
    return hits.select(c.CUSTOMER_ID).distinct()


def find_recipients(touches: ir.Table, campaign_id: str) -> ir.Table:
    """One row per customer the campaign was planned for: `customer_id`."""
    planned = touches.filter(
        touches[c.KIND] == PLANNED,
        touches[c.CAMPAIGN_ID] == campaign_id,
        touches[c.CUSTOMER_ID].notnull(),
    )
    return planned.select(c.CUSTOMER_ID).distinct()


def find_buyers(lines: ir.Table) -> ir.Table:
    """One row per customer who bought an item: `customer_id`, `orders` (distinct orders)."""
    bought = lines.filter(lines[c.KIND] == ITEM, lines[c.QUANTITY] > 0)
    return bought.group_by(c.CUSTOMER_ID).agg(**{c.ORDERS: bought[c.ORDER_ID].nunique()})


def find_holders(contracts: ir.Table, day: date) -> ir.Table:
    """One row per customer with a contract that runs on a local day: `customer_id`."""
    ends = contracts[c.END_ON]
    running = contracts.filter(contracts[c.START_ON] < day, ends.isnull() | (ends >= day))
    return running.filter(running[c.CUSTOMER_ID].notnull()).select(c.CUSTOMER_ID).distinct()


def sum_offer_spend(lines: ir.Table, offers: ir.Table, campaign_id: str) -> ir.Table:
    """Per customer what she paid, net of returns, for products that the campaign offers.

    An offer without a product is good for any product. A product of several offers counts once.

    Returns
    -------
    `customer_id`, `spend_base_minor` (int64); customers without such a line are absent.
    """
    goods = lines.filter(lines[c.KIND].isin([ITEM, RETURN]))
    mine = offers.filter(offers[c.CAMPAIGN_ID] == campaign_id)
    named = mine.filter(mine[c.PRODUCT_ID].notnull())[c.PRODUCT_ID]
    good_for_any = mine.filter(mine[c.PRODUCT_ID].isnull()).count().as_scalar() > 0
    spent = goods.filter(goods[c.PRODUCT_ID].isin(named) | good_for_any)
    return spent.group_by(c.CUSTOMER_ID).agg(
        **{c.SPEND_BASE_MINOR: spent[c.AMOUNT_BASE_MINOR].sum().cast("int64")}
    )


def sum_revenue(lines: ir.Table, *, include_shipping: bool) -> ir.Table:
    """Per customer revenue net of returns: `customer_id`, `revenue_base_minor` (int64)."""
    if not include_shipping:
        lines = lines.filter(lines[c.KIND].notin([SHIPPING, FEE]))
    return lines.group_by(c.CUSTOMER_ID).agg(
        **{c.REVENUE_BASE_MINOR: lines[c.AMOUNT_BASE_MINOR].sum().cast("int64")}
    )


def join_outcomes(
    scored: ir.Table, redeemers: ir.Table, spend: ir.Table, rfm: ir.Table
) -> ir.Table:
    """One row per scored customer, by id, with what she did.

    Returns
    -------
    `customer_id`, `score`, `expected_profit_minor`, `responded` (bool), `spend_base_minor`
    (int64, 0: none), `rfm` (float64, null: no RFM score).
    """
    hits = redeemers.mutate(**{c.RESPONDED: ibis.literal(value=True)})
    ranks = rfm.select(c.CUSTOMER_ID, **{c.RFM: rfm[c.SCORE].cast("float64")})
    table = (
        scored.select(c.CUSTOMER_ID, c.SCORE, c.EXPECTED_PROFIT_MINOR)
        .left_join(hits, c.CUSTOMER_ID)
        .drop(f"{c.CUSTOMER_ID}_right")
        .left_join(spend, c.CUSTOMER_ID)
        .drop(f"{c.CUSTOMER_ID}_right")
        .left_join(ranks, c.CUSTOMER_ID)
        .drop(f"{c.CUSTOMER_ID}_right")
    )
    return table.mutate(
        **{
            c.RESPONDED: table[c.RESPONDED].fill_null(False),
            c.SPEND_BASE_MINOR: table[c.SPEND_BASE_MINOR].fill_null(0),
        }
    ).order_by(c.CUSTOMER_ID)


def count_by_score(
    scored: ir.Table, responders: ir.Table, *, digits: int | None = None
) -> ir.Table:
    """Units and positives per distinct score, summed by the engine: `score`, `units`, `positives`.

    `digits` rounds scores first, which bounds the number of groups for very large tables.
    """
    hits = responders.select(c.CUSTOMER_ID, **{c.RESPONDED: ibis.literal(1)})
    joined = scored.select(c.CUSTOMER_ID, c.SCORE).left_join(hits, c.CUSTOMER_ID)
    score = joined[c.SCORE] if digits is None else joined[c.SCORE].round(digits)
    return joined.group_by(**{c.SCORE: score}).agg(
        **{
            c.UNITS: joined.count(),
            c.POSITIVES: joined[c.RESPONDED].fill_null(0).sum(),
        }
    )


def sum_by_arm(
    assigned: ir.Table, revenue: ir.Table, buyers: ir.Table, before: ir.Table | None = None
) -> ir.Table:
    """Sufficient statistics per arm of revenue, orders and having ordered.

    Parameters
    ----------
    assigned
        One row per assigned customer: `customer_id`, `arm`.
    revenue, buyers
        What `sum_revenue` and `find_buyers` give; absent customers count 0.
    before
        As `revenue`, of the time before the assignment.

    Returns
    -------
    Per `arm`: `units`, and for each of `revenue_base_minor`, `orders`, `responded` the sum under
    its name and the sum of squares with suffix `_squares`; with `before` also `before`, its squares
    and `before_products`, of revenue before and after; exact decimals, whatever the order in which
    the engine adds.
    """
    joined = (
        assigned.select(c.CUSTOMER_ID, c.ARM)
        .left_join(revenue, c.CUSTOMER_ID)
        .drop(f"{c.CUSTOMER_ID}_right")
        .left_join(buyers, c.CUSTOMER_ID)
    )
    if before is not None:
        earlier = before.select(c.CUSTOMER_ID, **{BEFORE: before[c.REVENUE_BASE_MINOR]})
        joined = joined.drop(f"{c.CUSTOMER_ID}_right").left_join(earlier, c.CUSTOMER_ID)
    orders = joined[c.ORDERS].fill_null(0)
    metrics = {
        c.REVENUE_BASE_MINOR: joined[c.REVENUE_BASE_MINOR].fill_null(0),
        c.ORDERS: orders,
        c.RESPONDED: ibis.ifelse(orders > 0, 1, 0),
    }
    sums: dict[str, ir.Value] = {c.UNITS: joined.count()}
    if before is not None:
        metrics[BEFORE] = joined[BEFORE].fill_null(0)
        both = (metrics[name].cast("decimal(19, 0)") for name in (BEFORE, c.REVENUE_BASE_MINOR))
        sums[BEFORE_PRODUCTS] = (next(both) * next(both)).sum()
    for name, value in metrics.items():
        exact = value.cast("decimal(19, 0)")
        sums[name] = exact.sum()
        sums[squares_of(name)] = (exact * exact).sum()
    return joined.group_by(c.ARM).agg(**sums)


def squares_of(metric: str) -> str:
    """Name of the column with a metric's sum of squares."""
    return f"{metric}_squares"


def _pairs(tables: Sequence[ir.Table]) -> ir.Table:
    """Distinct (party_id, customer_id) of all tables."""
    parts = [
        table.filter(table[c.PARTY_ID].notnull()).select(c.PARTY_ID, c.CUSTOMER_ID)
        for table in tables
    ]
    together = parts[0] if len(parts) == 1 else ibis.union(*parts)
    return together.distinct()


def _names(rows: ir.Table) -> list[str]:
    return [name for name in rows.columns if name != c.CUSTOMER_ID]


def _rest(rows: ir.Table) -> list[ir.Value]:
    return [rows[name] for name in _names(rows) if name != c.PARTY_ID]
