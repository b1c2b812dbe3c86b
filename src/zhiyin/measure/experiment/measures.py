# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""What the metrics of an experiment count in a workspace.

| `of`, `per` | counts |
|---|---|
| `revenue` | amounts of order lines, net of returns, minor units of the base currency |
| `orders` | orders with something bought |
| `event:NAME` | tracked events of this name |

`kind` makes the metric of it: `mean` per unit, `share` of units with one or more, `ratio` of `of`
over `per` (clicks over views). Quantiles and segments are for plain tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, Final

import ibis
import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter
from zhiyin.measure import outcomes as o
from zhiyin.measure.experiment import exposures as x
from zhiyin.measure.experiment.arms import (
    Adjusted,
    AdjustedRatio,
    ArmStatistics,
    Moments,
    Ratio,
    Share,
    Summed,
)
from zhiyin.measure.experiment.definition import Experiment, Metric

REVENUE: Final = "revenue"
ORDERS: Final = "orders"
EVENT: Final = "event:"
PER: Final = "_per"
TRACK: Final = "track"
_HINT = "docs/measure-experiment.md#in-a-workspace"


def check_measured(experiment: Experiment) -> None:
    """Refuse what a workspace cannot measure.

    Raises
    ------
    InvalidParameter
        With what is wrong.
    """
    if experiment.segments:
        raise InvalidParameter("segments are compared on plain tables", hint="compare_segments")
    names = [metric.name for metric in experiment.metrics]
    for metric in experiment.metrics:
        wrong = ""
        if metric.kind == "quantile":
            wrong = "quantiles are measured on plain tables"
        elif (metric.kind == "ratio") != bool(metric.per):
            wrong = "a ratio says `per` what, others do not"
        elif metric.kind == "ratio" and metric.cap:
            wrong = "a ratio has no cap"
        elif metric.name.endswith(x.BEFORE) or metric.name.endswith(PER):
            wrong = f"a name does not end with {x.BEFORE} or {PER}"
        for one in sources_of(metric):
            if one not in (REVENUE, ORDERS) and not (one.startswith(EVENT) and one != EVENT):
                wrong = f"{one!r} is nothing that is counted: revenue, orders or event:NAME"
        if wrong:
            raise InvalidParameter(f"metric {metric.name}: {wrong}", hint=_HINT)
    if {c.ARM, c.CUSTOMER_ID, c.OCCURRED_AT, c.UNITS} & set(names):
        raise InvalidParameter("a metric has the name of a column of units", hint=_HINT)


def sources_of(metric: Metric) -> tuple[str, ...]:
    """What it counts: its numerator, and of a ratio its denominator."""
    return (metric.of or metric.name, *([metric.per] if metric.per else []))


def count_outcomes(
    experiment: Experiment, read: Callable[[str], ir.Table], *, include_shipping: bool
) -> tuple[ir.Table, dict[str, str]]:
    """Rows of what happened: `customer_id`, `occurred_at` and a whole number of each source.

    Parameters
    ----------
    read
        A table of the lake by its name, as of the day.

    Returns
    -------
    The rows, and the column that each source stands in.
    """
    sources = sorted({one for metric in experiment.metrics for one in sources_of(metric)})
    column = {one: f"count_{place}" for place, one in enumerate(sources)}
    parts: list[ir.Table] = []
    for one in sources:
        found, amount = _rows_of(one, read, include_shipping=include_shipping)
        mine = {name: ibis.literal(0, "int64") for name in column.values()}
        mine[column[one]] = amount.cast("int64")
        known = found.filter(found[c.CUSTOMER_ID].notnull())
        parts.append(known.select(c.CUSTOMER_ID, c.OCCURRED_AT, **mine))
    return reduce(lambda one, other: one.union(other), parts), column


def _rows_of(
    source: str, read: Callable[[str], ir.Table], *, include_shipping: bool
) -> tuple[ir.Table, Any]:
    """Rows with `customer_id` and `occurred_at`, and what of each counts."""
    if source.startswith(EVENT):
        events = read("events")
        mine = events[c.KIND].isin([TRACK]) & (events[c.NAME] == source[len(EVENT) :])
        return events.filter(mine), ibis.literal(1)
    lines = read("order_lines")
    if source == REVENUE:
        if not include_shipping:
            lines = lines.filter(lines[c.KIND].notin([o.SHIPPING, o.FEE]))
        return lines.rename({c.OCCURRED_AT: c.SOLD_AT}), ibis._[c.AMOUNT_BASE_MINOR]
    bought = lines.filter(lines[c.KIND] == o.ITEM, lines[c.QUANTITY] > 0)
    orders = bought.group_by(c.CUSTOMER_ID, c.ORDER_ID).agg(
        **{c.OCCURRED_AT: bought[c.SOLD_AT].min()}
    )
    return orders, ibis.literal(1)


def sum_metrics(
    experiment: Experiment, units: ir.Table, outcomes: ir.Table, column: Mapping[str, str]
) -> ir.Table:
    """Sums per arm of every metric, for `read_arms`."""
    adjusted = any(metric.adjusted for metric in experiment.metrics)
    days = experiment.window_days
    values = x.sum_outcomes(
        units, outcomes, list(column.values()), window_days=days,
        before_days=days if adjusted else 0,
    )  # fmt: skip
    for metric in experiment.metrics:
        ends = ("", x.BEFORE) if metric.adjusted else ("",)
        made: dict[str, ir.Value] = {}
        for end in ends:
            numerator, *denominator = (column[one] for one in sources_of(metric))
            value = values[numerator + end]
            made[metric.name + end] = ibis.least(value, 1) if metric.kind == "share" else value
            if denominator:
                made[metric.name + PER + end] = values[denominator[0] + end]
        values = values.mutate(**made)
        if metric.cap:
            values = x.cap_outcomes(values, {metric.name: metric.cap})
    return x.sum_arms(values, [group_of(metric) for metric in experiment.metrics])


def group_of(metric: Metric) -> tuple[str, ...]:
    """The columns whose moments are its sums."""
    names = (metric.name, metric.name + PER) if metric.kind == "ratio" else (metric.name,)
    return (*names, *(name + x.BEFORE for name in names)) if metric.adjusted else names


def read_arms(
    experiment: Experiment, rows: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Summed]]:
    """Metric → arm → its sums; an arm without a unit is empty."""
    by_arm = {row[c.ARM]: row for row in rows}
    made: dict[str, dict[str, Summed]] = {}
    for metric in experiment.metrics:
        group = group_of(metric)
        none = Moments(0, (0,) * len(group), ((0,) * len(group),) * len(group))
        made[metric.name] = {
            arm: _summed(metric, x.read_moments(by_arm[arm], group) if arm in by_arm else none)
            for arm in experiment.arms
        }
    return made


def _summed(metric: Metric, moments: Moments) -> Summed:
    if metric.kind == "ratio":
        return AdjustedRatio(moments) if metric.adjusted else Ratio(moments)
    if metric.adjusted:
        return Adjusted(moments)
    if metric.kind == "share":
        return Share(moments.n, int(moments.totals[0]))
    return ArmStatistics(moments.n, moments.totals[0], moments.products[0][0])
