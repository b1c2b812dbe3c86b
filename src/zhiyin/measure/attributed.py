# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""Revenue by the last touch before each order: a convention, always shown beside what was caused.

An order goes to one campaign or to none, and counts what was paid for it net of its returns, never
below 0: so campaigns together never get more than the shop took.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

import ibis
import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.values import Estimate
from zhiyin.measure.outcomes import ITEM
from zhiyin.measure.results import Measured, Result
from zhiyin.measure.status import OK

ATTRIBUTED: Final = "attributed"
BY_LAST_TOUCH, SHOP_REVENUE = "revenue_last_touch_minor", "shop_revenue_minor"
WINDOWS: Final[Mapping[str, int]] = {"click": 30, "redemption": 1}
"""Days that a touch of a kind counts for; that something was sent is no touch."""


def sum_orders(lines: ir.Table) -> ir.Table:
    """Per order of a known customer: `order_id`, `customer_id`, `sold_at`, `revenue_base_minor`."""
    orders = lines.group_by(c.ORDER_ID).agg(
        **{
            c.CUSTOMER_ID: lines[c.CUSTOMER_ID].max(),
            c.SOLD_AT: lines[c.SOLD_AT].min(where=lines[c.KIND] == ITEM),
            c.REVENUE_BASE_MINOR: lines[c.AMOUNT_BASE_MINOR].sum().cast("int64"),
        }
    )
    paid = ibis.greatest(orders[c.REVENUE_BASE_MINOR], 0)
    return orders.mutate(**{c.REVENUE_BASE_MINOR: paid})


def sum_attributed(
    orders: ir.Table, touches: ir.Table, *, windows: Mapping[str, int] = WINDOWS
) -> ir.Table:
    """`campaign_id`, `channel` (both missing: no touch), `revenue_base_minor`, `orders`.

    Parameters
    ----------
    orders
        As `sum_orders` gives them.
    touches
        `customer_id`, `touch_id`, `occurred_at`, `kind`, `campaign_id`, `channel`, from the longest
        window before the first order on.
    """
    parts = [
        touches.filter(touches[c.KIND] == kind, touches[c.CAMPAIGN_ID].notnull()).select(
            c.CUSTOMER_ID, c.TOUCH_ID, c.OCCURRED_AT, c.CAMPAIGN_ID, c.CHANNEL,
            until=touches[c.OCCURRED_AT] + ibis.interval(days=days),
        )
        for kind, days in windows.items()
    ]  # fmt: skip
    seen = ibis.union(*parts) if len(parts) > 1 else parts[0]
    both = orders.inner_join(seen, c.CUSTOMER_ID)
    both = both.filter(both[c.OCCURRED_AT] <= both[c.SOLD_AT], both[c.SOLD_AT] < both["until"])
    newest = ibis.window(
        group_by=c.ORDER_ID, order_by=[both[c.OCCURRED_AT].desc(), both[c.TOUCH_ID].desc()]
    )
    last = both.mutate(place=ibis.row_number().over(newest))
    last = last.filter(last["place"] == 0).select(c.ORDER_ID, c.CAMPAIGN_ID, c.CHANNEL)
    every = orders.left_join(last, c.ORDER_ID)
    return every.group_by(c.CAMPAIGN_ID, c.CHANNEL).agg(
        **{
            c.REVENUE_BASE_MINOR: every[c.REVENUE_BASE_MINOR].sum().cast("int64"),
            c.ORDERS: every.count(),
        }
    )


def longest(windows: Mapping[str, int] = WINDOWS) -> timedelta:
    """The longest window."""
    return timedelta(days=max(windows.values()))


def report_attributed(rows: Iterable[Mapping[str, Any]], *, campaigns: Iterable[str]) -> Measured:
    """A row for each campaign with revenue, or that was measured, and one for the whole shop."""
    money: dict[str, dict[str, int]] = {one: {} for one in campaigns}
    orders: dict[str, int] = dict.fromkeys(money, 0)
    total, count, channels = 0, 0, dict[str, int]()
    for row in rows:
        paid, campaign, channel = int(row[c.REVENUE_BASE_MINOR]), row[c.CAMPAIGN_ID], row[c.CHANNEL]
        total, count = total + paid, count + int(row[c.ORDERS])
        if campaign is None:
            continue
        mine = money.setdefault(campaign, {})
        mine[channel or ""] = mine.get(channel or "", 0) + paid
        channels[channel or ""] = channels.get(channel or "", 0) + paid
        orders[campaign] = orders.get(campaign, 0) + int(row[c.ORDERS])
    if not count:
        return Measured()
    made = [
        Result(ATTRIBUTED, one, BY_LAST_TOUCH, _exact(sum(mine.values()), orders[one]),
               {"channels": mine, "windows_days": dict(WINDOWS)})
        for one, mine in sorted(money.items())
    ]  # fmt: skip
    body = {"channels": channels, "attributed": sum(channels.values())}
    made.append(Result(ATTRIBUTED, "", SHOP_REVENUE, _exact(total, count), body))
    return Measured(tuple(made))


def _exact(value: int, n: int) -> Estimate:
    return Estimate(float(value), float("nan"), float("nan"), n, OK)
