# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""Cohorts: customers by the month of their first purchase, and what they did in the months after.

The first purchase is the first that the data hold: where they begin in the middle of a shop's
life, its first cohorts hold customers of long ago.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from math import sqrt
from typing import Any, Final

import ibis
import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.values import Estimate
from zhiyin.measure.indicators.definitions import REVENUE
from zhiyin.measure.indicators.funnels import share_of
from zhiyin.measure.indicators.messages import IS_ORDER
from zhiyin.measure.indicators.sums import PERIOD, Span, local_time
from zhiyin.measure.intervals import critical_z
from zhiyin.measure.status import MIN_UNITS, OK, TOO_FEW_UNITS, WINDOW_OPEN, ZERO_VARIANCE

COHORT, ACTIVE, SQUARES = "cohort_on", "active_customers", "revenue_squares"
NAN: Final = float("nan")


@dataclass(frozen=True)
class Cell:
    """`months` months after the first purchase in the month that begins on `cohort`: the share of
    the cohort that bought, and revenue for each customer of it (minor units).
    """

    cohort: date
    months: int
    customers: int
    retention: Estimate
    value: Estimate


def sum_cohorts(orders: ir.Table, *, span: Span) -> ir.Table:
    """Per first month and month: `active_customers` (who bought), revenue and its squares.

    Parameters
    ----------
    orders
        What `find_orders` makes of all lines as of `span.until`; returns count with their order.
    span
        Its zone and end are used: months are local. Clock changes before it are not looked at.
    """
    month = local_time(orders[c.ORDERED_AT], span).truncate("M").cast("date")
    rows = orders.select(c.CUSTOMER_ID, REVENUE, **{PERIOD: month, ACTIVE: orders[IS_ORDER]})
    each = rows.group_by([c.CUSTOMER_ID, PERIOD]).agg(
        **{ACTIVE: rows[ACTIVE].max(), REVENUE: rows[REVENUE].sum().cast("int64")}
    )
    own = ibis.window(group_by=c.CUSTOMER_ID)
    each = each.mutate(**{COHORT: each[PERIOD].min(where=each[ACTIVE] == 1).over(own)})
    each = each.filter(each[COHORT].notnull(), each[PERIOD] >= each[COHORT])
    exact = each[REVENUE].cast("decimal(19, 0)")
    return (
        each.group_by([COHORT, PERIOD])
        .agg(
            **{
                ACTIVE: each[ACTIVE].sum(),
                REVENUE: each[REVENUE].sum().cast("int64"),
                SQUARES: (exact * exact).sum(),
            }
        )
        .order_by([COHORT, PERIOD])
    )


def read_cohorts(
    rows: Iterable[Mapping[str, Any]], *, until: date, most: int = 12
) -> tuple[Cell, ...]:
    """Every cell of the last `most` cohorts, months without a purchase too.

    Parameters
    ----------
    rows
        Those of `sum_cohorts`.
    until
        First local day that was not seen: cells of its month are `window_open` unless it is a
        month's first day.
    """
    held = {(row[COHORT], row[PERIOD]): row for row in rows}
    last = _months(until) - (1 if until.day == 1 else 0)
    made: list[Cell] = []
    for first in sorted({one for one, _ in held})[-most:]:
        size = int(held[first, first][ACTIVE])
        for months in range(last - _months(first) + 1):
            row = held.get((first, _plus(first, months)))
            active = int(row[ACTIVE]) if row else 0
            total, squares = (int(row[REVENUE]), int(row[SQUARES])) if row else (0, 0)
            is_open = _months(first) + months == _months(until)
            made.append(
                Cell(
                    first, months, size, _open(share_of(active, size), is_open),
                    _open(mean_of(total, squares, size), is_open),
                )
            )  # fmt: skip
    return tuple(made)


def mean_of(total: int, squares: int, n: int) -> Estimate:
    """Mean of n units from their sum and sum of squares, with a normal 95 % interval."""
    mean = total / n
    if n < 2 or not squares * n > total * total:
        return Estimate(mean, NAN, NAN, n, ZERO_VARIANCE if n > 1 else TOO_FEW_UNITS)
    half = critical_z(0.95) * sqrt((squares * n - total * total) / n / (n - 1) / n)
    status = OK if n >= MIN_UNITS else TOO_FEW_UNITS
    return Estimate(mean, mean - half, mean + half, n, status)


def _open(one: Estimate, is_open: bool) -> Estimate:
    status = WINDOW_OPEN if is_open and one.status == OK else one.status
    return Estimate(one.value, one.low, one.high, one.n, status)


def _months(day: date) -> int:
    return day.year * 12 + day.month - 1


def _plus(first: date, months: int) -> date:
    year, month = divmod(_months(first) + months, 12)
    return date(year, month + 1, 1)
