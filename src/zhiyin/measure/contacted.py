# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""Who was really contacted: whom the turn chose, or all of a list that another system sent.

A shop's own system may send a campaign to its whole list, whatever was decided here. Who was left
out by a decision then redeems all the same, which shows it: the decision's arms say nothing of the
effect, and everybody on the list counts as contacted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import ibis
import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.decisions import TREAT
from zhiyin.measure.outcomes import REDEMPTION
from zhiyin.measure.status import MIN_UNITS

LEAST_SHARE: Final = 0.1
"""Of all redeemers; fewer may have got a code from a friend."""


@dataclass(frozen=True)
class Reach:
    """Of one campaign: customers decided on, by whether they were to be contacted, and how many of
    them redeemed an offer of it.
    """

    chosen: int = 0
    left_out: int = 0
    redeemed: int = 0
    redeemed_left_out: int = 0

    @property
    def decided(self) -> bool:
        """Whether the turn decided on anybody."""
        return self.chosen + self.left_out > 0

    @property
    def sent_elsewhere(self) -> bool:
        """Whether ten people or more, and a tenth of the redeemers, had been left out."""
        every = self.redeemed + self.redeemed_left_out
        return self.redeemed_left_out >= max(MIN_UNITS, LEAST_SHARE * every)


def sum_reach(decisions: ir.Table, touches: ir.Table) -> ir.Table:
    """Per campaign and whether chosen: `campaign_id`, `chosen`, `units`, `responded`.

    Parameters
    ----------
    decisions
        Of turns; a customer is chosen where one of her decisions of the campaign is `treat`.
    touches
        In the campaign's window, under the customers of the decisions.
    """
    chosen = (decisions[c.ARM] == TREAT).cast("int64")
    by = (c.CAMPAIGN_ID, c.CUSTOMER_ID)
    people = decisions.group_by(*by).agg(chosen=chosen.max())
    redeemed = touches.filter(touches[c.KIND] == REDEMPTION)
    redeemed = redeemed.select(*by).distinct().mutate(**{c.RESPONDED: ibis.literal(1, "int64")})
    both = people.left_join(redeemed, by)
    return both.group_by(c.CAMPAIGN_ID, "chosen").agg(
        **{c.UNITS: both.count(), c.RESPONDED: both[c.RESPONDED].fill_null(0).sum()}
    )


def read_reach(rows: Iterable[Mapping[str, Any]]) -> dict[str, Reach]:
    """Campaign → `Reach`, from the rows of `sum_reach`."""
    counts: dict[str, dict[int, tuple[int, int]]] = {}
    for row in rows:
        mine = counts.setdefault(row[c.CAMPAIGN_ID], {})
        mine[int(row["chosen"])] = int(row[c.UNITS]), int(row[c.RESPONDED])
    none = (0, 0)
    return {
        campaign: Reach(
            mine.get(1, none)[0], mine.get(0, none)[0], mine.get(1, none)[1], mine.get(0, none)[1]
        )
        for campaign, mine in counts.items()
    }


def find_contacted(planned: ir.Table, decisions: ir.Table, reach: Reach) -> ir.Table:
    """`customer_id` of those contacted: whom the turn chose, else all that were planned."""
    if not reach.decided or reach.sent_elsewhere:
        return planned
    return decisions.filter(decisions[c.ARM] == TREAT).select(c.CUSTOMER_ID).distinct()
