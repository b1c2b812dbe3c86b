# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""Routes: the most common sequences of pages or events within a visit; what few did is hidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import ibis
import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.indicators.funnels import VISIT, name_visits

LEAST_CUSTOMERS: Final = 10
"""A route of fewer customers might tell what one of them did."""
VISITS, CUSTOMERS = "visits", "customers"


@dataclass(frozen=True)
class Route:
    """The steps that so many visits of so many customers began with."""

    steps: tuple[str, ...]
    visits: int
    customers: int


def sum_routes(
    events: ir.Table, *, longest: int = 4, most: int = 20, least_customers: int = LEAST_CUSTOMERS
) -> ir.Table:
    """The most common ways that visits begin.

    Parameters
    ----------
    events
        `customer_id`, `occurred_at`, `name`; an event that repeats the one before it is left out.
    longest
        Steps of a route; what a visit does after them is cut off.

    Returns
    -------
    `path` (list of names), `visits`, `customers`, most visits first; only of `least_customers` or
    more, `most` of them.

    Raises
    ------
    InvalidParameter
        If a number is below 1.
    """
    if min(longest, most, least_customers) < 1:
        raise InvalidParameter("the length, the number of routes and of customers are 1 or more")
    known = events.filter(events[c.CUSTOMER_ID].notnull(), events[c.NAME].notnull())
    rows = name_visits(known.select(c.CUSTOMER_ID, c.OCCURRED_AT, c.NAME))
    within = ibis.window(group_by=[c.CUSTOMER_ID, VISIT], order_by=[c.OCCURRED_AT, c.NAME])
    rows = rows.mutate(before=rows[c.NAME].lag().over(within))
    rows = rows.filter(rows.before.isnull() | (rows.before != rows[c.NAME]))
    rows = rows.mutate(place=ibis.row_number().over(within))
    rows = rows.filter(rows.place < longest)
    step = ibis.struct({"place": rows.place, c.NAME: rows[c.NAME]})
    rows = rows.mutate(step=step)
    each = rows.group_by([c.CUSTOMER_ID, VISIT]).agg(
        **{c.PATH: rows.step.collect().sort().map(lambda step: step[c.NAME])}
    )
    found = each.group_by(c.PATH).agg(
        **{VISITS: each.count(), CUSTOMERS: each[c.CUSTOMER_ID].nunique()}
    )
    found = found.filter(found[CUSTOMERS] >= least_customers)
    return found.order_by([found[VISITS].desc(), found[c.PATH]]).limit(most)


def read_routes(table: ir.Table) -> tuple[Route, ...]:
    """What `sum_routes` gives, as values."""
    return tuple(
        Route(tuple(row[c.PATH]), row[VISITS], row[CUSTOMERS])
        for row in table.to_pyarrow().to_pylist()
    )
