# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""Which customers of a campaign are compared: its own holdout, and the global one."""

from __future__ import annotations

from collections.abc import Mapping

import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.decisions import HOLDOUT, TREAT
from zhiyin.govern.gate import BEFORE_GLOBAL_HOLDOUT, GLOBAL_HOLDOUT
from zhiyin.measure import outcomes as o
from zhiyin.measure.campaign import INCREMENT, report_increment
from zhiyin.measure.experiment import ArmStatistics
from zhiyin.measure.increment import estimate_increment
from zhiyin.measure.results import Measured

METRICS = {
    c.REVENUE_BASE_MINOR: "revenue_per_customer_minor",
    c.ORDERS: "orders_per_customer",
    c.RESPONDED: "order_rate",
}


def assign_campaign(decisions: ir.Table) -> ir.Table:
    """Who was chosen and contacted, or held out: `customer_id`, `arm`, of one day and campaign.

    One arm per customer; were two written, the holdout is the earlier promise.
    """
    mine = decisions.filter(decisions[c.ARM].isin([TREAT, HOLDOUT]))
    return mine.group_by(c.CUSTOMER_ID).agg(**{c.ARM: mine[c.ARM].min()})


def assign_globally(decisions: ir.Table) -> ir.Table:
    """Everybody whom no rule before the global holdout stopped, as `assign_campaign`.

    The global holdout is one arm, all others the other, chosen for this campaign or not: for these
    are alike but for a lot that was drawn long ago.
    """
    mine = decisions.filter(decisions[c.REASON].notin(list(BEFORE_GLOBAL_HOLDOUT)))
    arm = (mine[c.REASON] == GLOBAL_HOLDOUT).ifelse(HOLDOUT, TREAT)
    mine = mine.mutate(**{c.ARM: arm})
    return mine.group_by(c.CUSTOMER_ID).agg(**{c.ARM: mine[c.ARM].min()})


def compare_arms(
    subject: str, assigned: ir.Table, revenue: ir.Table, buyers: ir.Table, *, share: float,
    kind: str = INCREMENT,
) -> Measured | None:  # fmt: skip
    """The effect on each metric per customer; None where one of the arms is empty.

    Parameters
    ----------
    revenue, buyers
        As `outcomes.sum_by_arm` takes them.
    share
        Planned share of the arm that was held out.
    kind
        `increment`: of the campaign; `marketing`: of whatever the shop sends.
    """
    if share <= 0:
        return None
    sums = o.sum_by_arm(assigned, revenue, buyers).to_pyarrow().to_pylist()
    arms = {row[c.ARM]: row for row in sums}
    if set(arms) != {TREAT, HOLDOUT}:
        return None
    measured = [
        report_increment(
            subject,
            name,
            estimate_increment(
                _arm(arms[TREAT], metric), _arm(arms[HOLDOUT], metric), holdout_share=share
            ),
            kind=kind,
        )
        for metric, name in METRICS.items()
    ]
    return Measured(
        tuple(result for part in measured for result in part.results),
        {name: value for part in measured for name, value in part.figures.items()},
    )


def _arm(row: Mapping, metric: str) -> ArmStatistics:
    return ArmStatistics(row[c.UNITS], int(row[metric]), int(row[o.squares_of(metric)]))
