# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""One row per message, from what touches tell of it; and which message an order is credited to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import ibis
import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.measure.indicators import definitions as d
from zhiyin.measure.outcomes import FEE, ITEM, PLANNED, REDEMPTION, SHIPPING

WENT_OUT: Final = (
    "sent", "delivered", "open", "click", "machine_open", "machine_click", "bounce", "complaint",
    "unsubscribe", "reached", "not_reached",
)  # fmt: skip
"""Kinds of touches of which each shows that the message went out."""
LOOK_BACK: Final = timedelta(days=30)
"""Touches so long before a period are read to tell whether a message began in it."""
KEY, SENT_AT = "message_key", "addressed_at"
IS_ORDER = "is_order"
_NONE = ""


def find_messages(touches: ir.Table, *, since: datetime) -> ir.Table:
    """One row per message that began at `since` (naive UTC) or later.

    Parameters
    ----------
    touches
        `customer_id`, `occurred_at`, `kind`, `campaign_id`, `channel`, `message_id`,
        `cost_base_minor`; those of `LOOK_BACK` before `since` too.

    Returns
    -------
    `message_key`, `customer_id`, `campaign_id`, `channel` (empty: none), `addressed_at`, and a
    column of 0 or 1 for each sum of messages, `redemptions_counted` and the cost.

    Notes
    -----
    Touches without a message's id belong to the first message of their campaign and customer; a
    campaign none of whose touches has one counts one message for each customer.
    """
    known = touches.filter(
        touches[c.CUSTOMER_ID].notnull(),
        touches[c.KIND].isin([*WENT_OUT, PLANNED, REDEMPTION]),
        touches[c.CAMPAIGN_ID].notnull() | touches[c.MESSAGE_ID].notnull(),
    )
    of = ibis.window(group_by=[c.CUSTOMER_ID, c.CAMPAIGN_ID])
    campaign = known[c.CAMPAIGN_ID].fill_null(_NONE)
    key = ibis.coalesce(
        known[c.MESSAGE_ID],
        known[c.MESSAGE_ID].min().over(of),
        campaign.concat("|", known[c.CUSTOMER_ID]),
    )
    rows = known.mutate(**{KEY: key})
    kind = rows[c.KIND]

    def has(*kinds: str) -> ir.IntegerScalar:
        return kind.isin([*kinds]).cast("int64").max()

    made = rows.group_by(KEY).agg(
        **{
            c.CUSTOMER_ID: rows[c.CUSTOMER_ID].min(),
            c.CAMPAIGN_ID: rows[c.CAMPAIGN_ID].max().fill_null(_NONE),
            c.CHANNEL: rows[c.CHANNEL].max().fill_null(_NONE),
            SENT_AT: rows[c.OCCURRED_AT].min(),
            PLANNED: has(PLANNED),
            d.SENT: has(*WENT_OUT),
            d.BOUNCED: has("bounce"),
            d.OPENED: has("open", "click"),
            d.CLICKED: has("click"),
            d.MACHINE_OPENED: has("machine_open"),
            d.MACHINE_CLICKED: has("machine_click"),
            d.COMPLAINED: has("complaint"),
            d.UNSUBSCRIBED: has("unsubscribe"),
            d.REDEEMED: has(REDEMPTION),
            d.REDEMPTIONS: (kind == REDEMPTION).cast("int64").sum(),
            d.COST: rows[c.COST_BASE_MINOR].fill_null(0).sum().cast("int64"),
        }
    )
    told = made[d.SENT].max().over(ibis.window(group_by=c.CAMPAIGN_ID))
    made = made.mutate(
        **{
            d.DELIVERED: made[d.SENT] * (1 - made[d.BOUNCED]),
            d.ADDRESSED: ibis.ifelse(told > 0, made[d.SENT], made[PLANNED]),
        }
    )
    return made.filter(made[SENT_AT] >= since).drop(PLANNED)


def find_orders(lines: ir.Table, *, include_shipping: bool) -> ir.Table:
    """One row per order of a known customer: `order_id`, `customer_id`, `ordered_at`, the revenue
    net of returns, and `is_order` (0: returns of an order that is not among the lines).
    """
    known = lines.filter(lines[c.CUSTOMER_ID].notnull())
    if not include_shipping:
        known = known.filter(known[c.KIND].notin([SHIPPING, FEE]))
    bought = (known[c.KIND] == ITEM) & (known[c.QUANTITY] > 0)
    at = known[c.SOLD_AT]
    return known.group_by(c.ORDER_ID).agg(
        **{
            c.CUSTOMER_ID: known[c.CUSTOMER_ID].min(),
            c.ORDERED_AT: ibis.coalesce(at.min(where=bought), at.min()),
            IS_ORDER: bought.cast("int64").max(),
            d.REVENUE: known[c.AMOUNT_BASE_MINOR].sum().cast("int64"),
        }
    )


def credit_orders(
    orders: ir.Table, messages: ir.Table, *, window_days: int = d.ORDER_WINDOW_DAYS
) -> ir.Table:
    """The message that each order is credited to: `order_id`, `message_key`, `campaign_id`,
    `channel`; the last that its customer got in the window before it, of two at once the first by
    key. Orders without one are left out, so that no order is given to two.
    """
    got = messages.filter(messages[d.ADDRESSED] == 1).select(
        KEY, c.CAMPAIGN_ID, c.CHANNEL, SENT_AT, **{c.PARTY_ID: messages[c.CUSTOMER_ID]}
    )
    placed = orders.filter(orders[IS_ORDER] == 1).select(c.ORDER_ID, c.CUSTOMER_ID, c.ORDERED_AT)
    at, sent = placed[c.ORDERED_AT], got[SENT_AT]
    pairs = placed.inner_join(
        got,
        [
            placed[c.CUSTOMER_ID] == got[c.PARTY_ID],
            sent <= at,
            sent > at - ibis.interval(days=window_days),
        ],
    )
    last = ibis.window(group_by=c.ORDER_ID, order_by=[pairs[SENT_AT].desc(), pairs[KEY]])
    ranked = pairs.mutate(place=ibis.row_number().over(last))
    return ranked.filter(ranked.place == 0).select(c.ORDER_ID, KEY, c.CAMPAIGN_ID, c.CHANNEL)
