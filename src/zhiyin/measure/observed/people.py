# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""Recipients and others with what is known of both, and their weeks, as table expressions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from zhiyin.core import columns as c

COVARIATES: Final = (
    "recency_days", "tenure_days", "orders_count", "orders_30d", "orders_90d", "orders_180d",
    "active_days", "gap_mean_days", "gap_cv", "revenue_minor", "revenue_30d_minor",
    "revenue_90d_minor", "revenue_180d_minor", "order_value_mean_minor", "order_value_max_minor",
    "lines_per_order", "discount_share", "coupon_orders_count", "coupon_orders_90d",
    "coupon_share", "coupon_recency_days", "products_count", "repeat_share", "departments_count",
    "category_entropy", "top_department_share", "department_1_share", "stores_count",
    "weekend_share", "evening_share", "revenue_trend_30d", "revenue_trend_90d",
    "redemptions_count", "redemptions_90d", "visits_30d", "searches_90d", "cart_adds_90d",
)  # fmt: skip
"""Features that a shop chooses recipients by and that go with what they spend. Those that count
contacts are not among them: the day's features know of the plan already."""
MOST: Final = 50_000
"""Recipients, and others, that are looked at; ids are keyed hashes, so the first are by lot."""
WEEK_S: Final = 7 * 24 * 3600
CONTACTED, WEEK = "contacted", "week"


@dataclass(frozen=True)
class Weeks:
    """Revenue per head by week of recipients and others; `start` is the first week measured."""

    recipients: NDArray[np.float64]
    others: NDArray[np.float64]
    start: int


def mark_people(features: ir.Table, recipients: ir.Table) -> ir.Table:
    """`features` with `contacted` (0, 1)."""
    marked = recipients.select(c.CUSTOMER_ID).distinct()
    marked = marked.mutate(**{CONTACTED: ibis.literal(1, "int64")})
    joined = features.left_join(marked, c.CUSTOMER_ID)
    return joined.drop(f"{c.CUSTOMER_ID}_right").mutate(
        **{CONTACTED: joined[CONTACTED].fill_null(0)}
    )


def join_people(people: ir.Table, revenue: ir.Table) -> ir.Table:
    """Covariates, `contacted` and `revenue_base_minor`, at most `MOST` of each arm, by id."""
    kept = [
        people.filter(people[CONTACTED] == arm).order_by(c.CUSTOMER_ID).limit(MOST)
        for arm in (0, 1)
    ]
    names = [name for name in COVARIATES if name in people.columns]
    both = ibis.union(*kept).select(c.CUSTOMER_ID, CONTACTED, *names)
    joined = both.left_join(revenue, c.CUSTOMER_ID).drop(f"{c.CUSTOMER_ID}_right")
    return joined.mutate(
        **{c.REVENUE_BASE_MINOR: joined[c.REVENUE_BASE_MINOR].fill_null(0)}
    ).order_by(c.CUSTOMER_ID)


def sum_weeks(people: ir.Table, lines: ir.Table, *, start: datetime) -> ir.Table:
    """`contacted`, `week` (0 is the first from `start`, naive UTC), `revenue_base_minor`."""
    arms = people.select(c.CUSTOMER_ID, CONTACTED)
    joined = lines.inner_join(arms, c.CUSTOMER_ID)
    origin = int((start - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001 - naive UTC
    week = ((joined[c.SOLD_AT].epoch_seconds() - origin) / WEEK_S).floor().cast("int64")
    return joined.group_by(CONTACTED, **{WEEK: week}).agg(
        **{c.REVENUE_BASE_MINOR: joined[c.AMOUNT_BASE_MINOR].sum().cast("int64")}
    )


def read_weeks(
    rows: Iterable[Mapping[str, Any]], *, heads: tuple[int, int], after: int
) -> Weeks | None:
    """Whole weeks from the second in which anything was sold; None where nothing was.

    Parameters
    ----------
    heads
        Others and recipients.
    after
        Whole weeks measured.
    """
    sums = {(int(row[CONTACTED]), int(row[WEEK])): row[c.REVENUE_BASE_MINOR] for row in rows}
    weeks = [week for _, week in sums if week < after]
    if not weeks or min(heads) == 0:
        return None
    span = range(min(min(weeks) + 1, 0), after)
    series = [
        np.array([float(sums.get((arm, week), 0)) for week in span]) / heads[arm] for arm in (0, 1)
    ]
    return Weeks(series[1], series[0], -span[0] if len(span) else 0)
