# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""The store that knows a customer best."""

from __future__ import annotations

import ibis

from zhiyin.core import columns as c

LAST = "last"


def home_stores(lines: ibis.Table, *, prefer: str) -> ibis.Table:
    """The home store of each customer who bought in a store.

    Parameters
    ----------
    lines
        Order lines as of a day: `customer_id`, `store_id`, `order_id`, `sold_at`, `quantity`.
    prefer
        `most_visited`: where most orders were; `last`: where the last one was. What is equal is
        settled by the other, then by id.

    Returns
    -------
    `customer_id`, `store_id`.
    """
    sold = lines.filter(
        lines[c.QUANTITY] > 0, lines[c.STORE_ID].notnull(), lines[c.CUSTOMER_ID].notnull()
    )
    visits = sold.group_by([c.CUSTOMER_ID, c.STORE_ID]).agg(
        orders=sold[c.ORDER_ID].nunique(), last=sold[c.SOLD_AT].max()
    )
    order = [visits["orders"].desc(), visits["last"].desc()]
    if prefer == LAST:
        order.reverse()
    place = ibis.row_number().over(
        ibis.window(group_by=visits[c.CUSTOMER_ID], order_by=[*order, visits[c.STORE_ID]])
    )
    placed = visits.mutate(place=place)
    return placed.filter(placed["place"] == 0).select(c.CUSTOMER_ID, c.STORE_ID)
