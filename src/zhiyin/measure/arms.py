# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""Which customers of a campaign are compared: its own holdout, and the global one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.decisions import HOLDOUT, TREAT
from zhiyin.govern.gate import BEFORE_GLOBAL_HOLDOUT, GLOBAL_HOLDOUT
from zhiyin.measure import outcomes as o
from zhiyin.measure.campaign import INCREMENT, report_increment
from zhiyin.measure.evidence import RANDOMISED
from zhiyin.measure.experiment import ArmStatistics
from zhiyin.measure.increment import Increment, estimate_increment, scale_estimate
from zhiyin.measure.programme import read_money
from zhiyin.measure.results import Measured, Result
from zhiyin.measure.returns import price_orders, return_on_cost
from zhiyin.measure.status import ZERO_VARIANCE

METRICS = {
    c.REVENUE_BASE_MINOR: "revenue_per_customer_minor",
    c.ORDERS: "orders_per_customer",
    c.RESPONDED: "order_rate",
}

ADJUSTED_REVENUE = "revenue_per_customer_adjusted_minor"
MONEY_CAUSED = "money_caused_minor"
CAUSED_SHARE = "caused_share"
"""Read by `decide`: caused money for each unit redeemed."""


@dataclass(frozen=True)
class Terms:
    """What a campaign cost in all (minor units; None: nobody recorded it), and the margin rate."""

    cost_minor: float | None
    margin_rate: float


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
    kind: str = INCREMENT, before: ir.Table | None = None, terms: Terms | None = None,
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
    before
        As `revenue`, of the time before anybody was assigned; it sharpens the effect on revenue.
    terms
        With them, also the money caused, what an order cost and the return on the cost.
    """
    if share <= 0:
        return None
    sums = o.sum_by_arm(assigned, revenue, buyers, before).to_pyarrow().to_pylist()
    arms = {row[c.ARM]: row for row in sums}
    if set(arms) != {TREAT, HOLDOUT}:
        return None
    found = {
        name: estimate_increment(
            _arm(arms[TREAT], metric), _arm(arms[HOLDOUT], metric), holdout_share=share
        )
        for metric, name in METRICS.items()
    }
    if before is not None:
        found[ADJUSTED_REVENUE] = estimate_increment(
            read_money(arms[TREAT]), read_money(arms[HOLDOUT]), holdout_share=share
        )
    measured = [report_increment(subject, name, one, kind=kind) for name, one in found.items()]
    if terms is not None:
        measured.append(report_returns(subject, found, terms, kind=kind))
    return Measured(
        tuple(result for part in measured for result in part.results),
        {name: value for part in measured for name, value in part.figures.items()},
    )


def report_returns(
    subject: str, found: Mapping[str, Increment], terms: Terms, *, kind: str
) -> Measured:
    """Money and orders caused in all, what an order cost, and the return; of the adjusted effect
    where spend before the campaign is known.
    """
    money = found.get(ADJUSTED_REVENUE, found["revenue_per_customer_minor"])
    if money.difference.status == ZERO_VARIANCE:
        money = found["revenue_per_customer_minor"]
    orders = found["orders_per_customer"].total
    body = {"evidence": RANDOMISED, "verdict": money.verdict, **asdict(terms)}
    rows = {
        MONEY_CAUSED: money.total,
        "orders_caused": orders,
        "cost_per_order_minor": price_orders(orders, terms.cost_minor),
        "incremental_roi": return_on_cost(
            money.total, terms.cost_minor, margin_rate=terms.margin_rate
        ),
    }
    return Measured(
        tuple(Result(kind, subject, name, one, body) for name, one in rows.items()),
        {name: asdict(one) for name, one in rows.items()},
    )


def report_share(subject: str, own: Measured, redeemed_minor: float) -> Measured:
    """The share caused of the money that the contacted redeemed; nothing where none was.

    Its interval is that of the money caused: what was redeemed is taken as it is.
    """
    money = next((one.estimate for one in own.results if one.metric == MONEY_CAUSED), None)
    if money is None or redeemed_minor <= 0:
        return Measured()
    share = scale_estimate(money, 1 / redeemed_minor)
    body = {"evidence": RANDOMISED, "redeemed_minor": redeemed_minor}
    return Measured((Result(INCREMENT, subject, CAUSED_SHARE, share, body),))


def _arm(row: Mapping, metric: str) -> ArmStatistics:
    return ArmStatistics(row[c.UNITS], int(row[metric]), int(row[o.squares_of(metric)]))
