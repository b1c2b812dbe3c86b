# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""From rows of exposures and outcomes to sums per arm, which the engine makes.

A unit counts from her first exposure (or trigger) on, once her window is over: one that is counted
before her outcome can come looks like one without. Outcomes are those of her window, the covariate
those of as many days before it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import combinations_with_replacement
from typing import Any

import ibis
import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.experiment.arms import Moments

BEFORE = "_before"
"""What the name of a metric's covariate ends with."""
OTHER_ARM = "other_arm"
MIXED = "mixed"


def group_units(exposures: ir.Table, *, by: Sequence[str] = ()) -> ir.Table:
    """One row per unit; keep it (`.cache()`) where exposures are many, so that they are read once.

    Parameters
    ----------
    exposures
        `customer_id`, `arm`, `occurred_at`, and the columns `by`.
    by
        Columns known before the assignment (strata, segments), the same on all rows of a unit.

    Returns
    -------
    `customer_id`, `arm`, `occurred_at` (her first), `by`, and `other_arm`: another one in which she
    was seen, else the same. For `count_units` and `keep_single`.
    """
    return exposures.group_by(c.CUSTOMER_ID).agg(
        **{
            c.ARM: exposures[c.ARM].min(),
            OTHER_ARM: exposures[c.ARM].max(),
            c.OCCURRED_AT: exposures[c.OCCURRED_AT].min(),
        },
        **{name: exposures[name].min() for name in by},
    )


def keep_single(grouped: ir.Table) -> ir.Table:
    """Of `group_units`, who was seen in one arm."""
    return grouped.filter(grouped[c.ARM] == grouped[OTHER_ARM]).drop(OTHER_ARM)


def count_units(grouped: ir.Table) -> ir.Table:
    """Of `group_units`: `arm`, `units` seen in it alone, and `mixed`, seen in it and another."""
    single = grouped[c.ARM] == grouped[OTHER_ARM]
    return grouped.group_by(c.ARM).agg(
        **{c.UNITS: grouped.count(where=single), MIXED: grouped.count(where=~single)}
    )


def find_units(exposures: ir.Table, *, by: Sequence[str] = ()) -> ir.Table:
    """One row per unit: her arm and her first exposure.

    Parameters
    ----------
    exposures, by
        As `group_units` takes them.

    Returns
    -------
    `customer_id`, `arm`, `occurred_at`, and `by`. Who was seen in two arms is left out: count them
    by `count_mixed`, for more than a few is a fault of the assignment.
    """
    return keep_single(group_units(exposures, by=by))


def count_mixed(exposures: ir.Table) -> ir.IntegerScalar:
    """How many units were seen in two arms."""
    units = group_units(exposures)
    return units.filter(units[c.ARM] != units[OTHER_ARM]).count()


def keep_triggered(units: ir.Table, triggers: ir.Table) -> ir.Table:
    """Units that met the trigger after they were assigned, counted from then on.

    A trigger is where arms would begin to differ (the cart was opened); it must be logged in both
    arms, also where nothing was shown. Others cannot have an effect and only add noise.

    Parameters
    ----------
    triggers
        `customer_id`, `occurred_at`.
    """
    when = triggers.select(c.CUSTOMER_ID, **{c.AT: triggers[c.OCCURRED_AT]})
    joined = units.inner_join(when, c.CUSTOMER_ID)
    joined = joined.filter(joined[c.AT] >= joined[c.OCCURRED_AT])
    kept = [name for name in units.columns if name not in (c.CUSTOMER_ID, c.OCCURRED_AT)]
    first = {name: joined[name].min() for name in kept}
    return joined.group_by(c.CUSTOMER_ID).agg(**first, **{c.OCCURRED_AT: joined[c.AT].min()})


def close_windows(units: ir.Table, *, until: datetime, window_days: int) -> ir.Table:
    """Units whose window of so many days ends by `until` (naive UTC, as in the lake)."""
    if window_days < 1:
        raise InvalidParameter(f"a window has a day or more, not {window_days}")
    ends = units[c.OCCURRED_AT] + ibis.interval(days=window_days)
    return units.filter(ends <= ibis.literal(until, type=units[c.OCCURRED_AT].type()))


def sum_outcomes(
    units: ir.Table,
    outcomes: ir.Table,
    metrics: Sequence[str],
    *,
    window_days: int,
    before_days: int = 0,
) -> ir.Table:
    """Per unit the sum of each metric within her window, 0 where there is none.

    Parameters
    ----------
    units
        What `find_units` gives, after `close_windows`.
    outcomes
        `customer_id`, `occurred_at` and the columns `metrics` (numbers).
    before_days
        Also what she had in so many days before her window, as `<metric>_before`: the covariate.

    Returns
    -------
    The columns of `units`, the metrics and, if asked for, those before.
    """
    picked = {c.AT: outcomes[c.OCCURRED_AT]} | {name: outcomes[name] for name in metrics}
    rows = outcomes.select(c.CUSTOMER_ID, **picked)
    start = units.select(c.CUSTOMER_ID, c.OCCURRED_AT)
    joined = rows.inner_join(start, c.CUSTOMER_ID)
    since = joined[c.OCCURRED_AT]
    within = (joined[c.AT] >= since) & (joined[c.AT] < since + ibis.interval(days=window_days))
    sums = {name: joined[name].sum(where=within) for name in metrics}
    counted = within
    if before_days:
        earlier = (joined[c.AT] < since) & (joined[c.AT] >= since - ibis.interval(days=before_days))
        sums |= {name + BEFORE: joined[name].sum(where=earlier) for name in metrics}
        counted = within | earlier
    summed = joined.filter(counted).group_by(c.CUSTOMER_ID).agg(**sums)
    whole = units.left_join(summed, c.CUSTOMER_ID).drop(f"{c.CUSTOMER_ID}_right")
    return whole.mutate(**{name: whole[name].fill_null(0) for name in sums})


def cap_outcomes(values: ir.Table, caps: Mapping[str, float], *, before: bool = True) -> ir.Table:
    """Metrics per unit no higher than their caps (winsorised): one reseller decides nothing.

    Parameters
    ----------
    values
        What `sum_outcomes` gives.
    caps
        Metric → cap, the same in all arms; set before the experiment, or by `find_cap`. Whole
        numbers stay whole: their cap is rounded down.
    before
        Cap the covariates alike.
    """
    capped: dict[str, ir.Value] = {}
    for name, cap in caps.items():
        whole = values[name].type().is_integer()
        limit = ibis.literal(math.floor(cap) if whole else float(cap))
        names = [name, name + BEFORE] if before and name + BEFORE in values.columns else [name]
        capped |= {one: ibis.least(values[one], limit) for one in names}
    return values.mutate(**capped)


def find_cap(
    values: ir.Table, metric: str, quantile: float, *, ignore_zeros: bool = True
) -> ir.Scalar:
    """The quantile of a metric over the units of all arms together, without those that have 0.

    From all arms, so that the cap says nothing of the treatment. A cap from the data is a part of
    the estimate: take a high quantile (.99 and up).
    """
    if not 0 < quantile < 1:
        raise InvalidParameter(f"a quantile is in (0, 1), not {quantile}")
    column = values[metric]
    return (
        values.filter(column != 0)[metric].quantile(quantile)
        if ignore_zeros
        else (column.quantile(quantile))
    )


def sum_arms(
    values: ir.Table, groups: Sequence[tuple[str, ...]], *, by: Sequence[str] = ()
) -> ir.Table:
    """Sufficient statistics per arm, and per value of the columns `by`.

    Parameters
    ----------
    values
        One row per unit: `arm`, `by` and the columns of the groups.
    groups
        Columns whose moments are wanted together: `("revenue",)` for a mean, `("margin", "orders")`
        for a ratio, `("revenue", "revenue_before")` for a mean with its covariate.

    Returns
    -------
    `arm`, `by`, `units`, totals under the columns' names and sums of products under those of
    `product_of`; `read_moments` reads a row. Whole numbers are added exactly.
    """
    pairs = {pair for group in groups for pair in combinations_with_replacement(group, 2)}
    names = sorted({name for group in groups for name in group})
    exact = {name: _exact(values[name]) for name in names}
    sums: dict[str, ir.Value] = {c.UNITS: values.count()}
    sums |= {name: exact[name].sum() for name in names}
    for one, other in sorted(pairs):
        a, b = exact[one], exact[other]
        if a.type().is_floating() != b.type().is_floating():
            a, b = a.cast("float64"), b.cast("float64")
        sums[product_of(one, other)] = (a * b).sum()
    return values.group_by([c.ARM, *by]).agg(**sums)


def product_of(one: str, other: str) -> str:
    """The name of the sum of products of two columns, in either order."""
    first, second = sorted((one, other))
    return f"{first}_x_{second}"


def read_moments(row: Mapping[str, Any], group: tuple[str, ...]) -> Moments:
    """The moments of a group of columns from a row of `sum_arms`."""
    return Moments(
        int(row[c.UNITS]),
        tuple(_number(row[name]) for name in group),
        tuple(tuple(_number(row[product_of(one, other)]) for other in group) for one in group),
    )


def _exact(column: ir.Value) -> ir.Value:
    if column.type().is_floating():
        return column
    return column.cast("decimal(19, 0)")


def _number(value: Any) -> float:
    """What an engine gave, as an int where it is whole and exact."""
    return value if isinstance(value, float) else int(value)
