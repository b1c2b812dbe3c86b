# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""Funnels: how many went from step to step, in order, within a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import ibis
import ibis.expr.types as ir
import numpy as np

from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.values import Estimate
from zhiyin.measure.intervals import missing, wilson_interval
from zhiyin.measure.status import MIN_UNITS, NO_UNITS, OK, TOO_FEW_UNITS

VISIT_GAP_MINUTES: Final = 30
STEP, UNIT, VISIT = "step_no", "unit_key", "visit_no"


@dataclass(frozen=True)
class Step:
    """Of those who took the first step, and of those who took the one before, who took this."""

    name: str
    units: int
    of_first: Estimate
    of_previous: Estimate


def name_visits(events: ir.Table, *, gap_minutes: int = VISIT_GAP_MINUTES) -> ir.Table:
    """`events` (`customer_id`, `occurred_at`) with `visit_no`, from 0: a pause longer than the gap
    begins a new visit.
    """
    if gap_minutes <= 0:
        raise InvalidParameter(f"a gap of {gap_minutes} minutes parts no visits")
    order = ibis.window(group_by=c.CUSTOMER_ID, order_by=c.OCCURRED_AT)
    before = events[c.OCCURRED_AT].lag().over(order)
    begins = (events[c.OCCURRED_AT] > before + ibis.interval(minutes=gap_minutes)).fill_null(False)
    marked = events.mutate(begins=begins.cast("int64"))
    so_far = ibis.window(
        group_by=c.CUSTOMER_ID, order_by=c.OCCURRED_AT, preceding=None, following=0
    )
    return marked.mutate(**{VISIT: marked.begins.sum().over(so_far)}).drop("begins")


def sum_funnel(
    events: ir.Table, steps: Sequence[str], *, within_minutes: int, by_visit: bool = False
) -> ir.Table:
    """How many customers (or visits) reached each step.

    Parameters
    ----------
    events
        `customer_id`, `occurred_at`, `name`; `visit_no` where `by_visit`.
    steps
        Two names or more, each once, in order; other events are left out.
    within_minutes
        Minutes from the first step to the last. Of several ways through, the best one counts: a
        later first step may leave more time than an earlier one.

    Returns
    -------
    One row: `reached_0`, `reached_1` … (int).

    Raises
    ------
    InvalidParameter
        If there is one step only, one stands twice, or the window is not above 0.
    """
    if len(steps) < 2 or len({*steps}) != len(steps):
        raise InvalidParameter(
            f"{[*steps]} is no funnel", hint="name two steps or more, each of them once"
        )
    if within_minutes <= 0:
        raise InvalidParameter(f"a window of {within_minutes} minutes holds nothing")
    known = events.filter(events[c.CUSTOMER_ID].notnull(), events[c.NAME].isin([*steps]))
    number = ibis.cases(
        *((known[c.NAME] == name, place) for place, name in enumerate(steps)), else_=-1
    )
    unit = known[c.CUSTOMER_ID]
    if by_visit:
        unit = unit.concat("|", known[VISIT].cast("string"))
    rows = known.select(c.OCCURRED_AT, **{UNIT: unit, STEP: number})
    before = ibis.window(group_by=UNIT, order_by=[c.OCCURRED_AT, STEP], preceding=None, following=0)
    never = ibis.null("timestamp")
    at = rows[c.OCCURRED_AT].cast("timestamp")
    rows = rows.mutate(began_0=ibis.ifelse(rows[STEP] == 0, at, never))
    for place in range(1, len(steps)):  # the latest first step from which a row is reached
        began = rows[f"began_{place - 1}"].max().over(before)
        rows = rows.mutate(latest=began)
        at = rows[c.OCCURRED_AT].cast("timestamp")
        inside = at <= rows.latest + ibis.interval(minutes=within_minutes)
        taken = (rows[STEP] == place) & inside.fill_null(False)
        rows = rows.mutate(**{f"began_{place}": ibis.ifelse(taken, rows.latest, never)})
    places = range(len(steps))
    each = rows.group_by(UNIT).agg(
        **{f"reached_{n}": rows[f"began_{n}"].notnull().cast("int64").max() for n in places}
    )
    return each.aggregate(**{f"reached_{n}": each[f"reached_{n}"].sum() for n in places})


def read_funnel(steps: Sequence[str], reached: Sequence[int | None]) -> tuple[Step, ...]:
    """The steps with their shares, from the row of `sum_funnel` (None: nobody did any)."""
    counts = [int(one or 0) for one in reached]
    return tuple(
        Step(name, n, share_of(n, counts[0]), share_of(n, counts[max(0, place - 1)]))
        for place, (name, n) in enumerate(zip(steps, counts, strict=True))
    )


def share_of(part: int, whole: int) -> Estimate:
    """`part` of `whole` independent units with Wilson's 95 % interval."""
    if not whole:
        return missing(0, NO_UNITS)
    low, high = wilson_interval(np.array([part / whole]), np.array([whole]))
    status = OK if whole >= MIN_UNITS else TOO_FEW_UNITS
    return Estimate(part / whole, float(low[0]), float(high[0]), whole, status)
