# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""What all campaigns of a quarter caused together: the number for the board.

Each customer counts once, with all she spent from her first decision of the quarter to its end,
however many campaigns overlapped on her. Either everybody who might get marketing is compared with
who is held out of all of it, or, where nobody is, contacts that a lot allowed are compared with
those that it took away (`estimate_contacts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import ibis
import ibis.expr.types as ir
from scipy.special import stdtrit

from zhiyin.core import columns as c
from zhiyin.core.decisions import HOLDOUT, TREAT
from zhiyin.core.values import Estimate
from zhiyin.measure.experiment import (
    Adjusted,
    Moments,
    SampleRatio,
    check_sample_ratio,
    find_detectable,
)
from zhiyin.measure.intervals import LEVEL, missing
from zhiyin.measure.outcomes import BEFORE, BEFORE_PRODUCTS, squares_of
from zhiyin.measure.status import (
    MIN_UNITS,
    OK,
    SAMPLE_RATIO_MISMATCH,
    TOO_FEW_UNITS,
    ZERO_VARIANCE,
)

PROGRAMME: Final = "programme"
DAYS_BEFORE: Final = 90
ASSIGNED, TREATED = "assigned", "treated"
_DAYS = timedelta(days=1)


@dataclass(frozen=True)
class Quarter:
    """A quarter of a year by local days; `name` is as `2017Q4`."""

    year: int
    number: int

    @property
    def name(self) -> str:
        """The subject of its results."""
        return f"{self.year}Q{self.number}"

    @property
    def start(self) -> date:
        """Its first day."""
        return date(self.year, 3 * self.number - 2, 1)

    @property
    def end(self) -> date:
        """The day after its last."""
        later = self.number == 4
        return date(self.year + later, 1 if later else 3 * self.number + 1, 1)

    @property
    def previous(self) -> Quarter:
        """The quarter before."""
        return find_quarter(self.start - _DAYS)


def find_quarter(day: date) -> Quarter:
    """The quarter that a day is in."""
    return Quarter(day.year, (day.month + 2) // 3)


@dataclass(frozen=True)
class Cell:
    """Customers who were chosen `assigned` times, and contacted `treated` times of these.

    `money` is over (revenue since, revenue before) the first choice of the quarter.
    """

    assigned: int
    treated: int
    money: Adjusted


@dataclass(frozen=True)
class Contacts:
    """The effect `each` contact had on revenue, and of all `contacts` in all; `detectable` is the
    smallest effect of a contact that would have been found with 80 % chance.
    """

    each: Estimate
    total: Estimate
    detectable: float
    contacts: int
    withheld: int
    sample_ratio: SampleRatio


def count_assignments(decisions: ir.Table) -> ir.Table:
    """Per customer chosen: `customer_id`, `assigned`, `treated`, `decided_at` (the first).

    A campaign counts once; where it gave a customer both arms, the holdout is the earlier promise.
    """
    mine = decisions.filter(decisions[c.ARM].isin([TREAT, HOLDOUT]))
    once = mine.group_by(c.CUSTOMER_ID, c.CAMPAIGN_ID).agg(
        **{c.ARM: mine[c.ARM].min(), c.DECIDED_AT: mine[c.DECIDED_AT].min()}
    )
    return once.group_by(c.CUSTOMER_ID).agg(
        **{
            ASSIGNED: once.count(),
            TREATED: (once[c.ARM] == TREAT).cast("int64").sum(),
            c.DECIDED_AT: once[c.DECIDED_AT].min(),
        }
    )


def sum_money(people: ir.Table, lines: ir.Table, *, by: Sequence[str]) -> ir.Table:
    """Sums of what each spent since her first decision, and in the 90 days before it.

    Parameters
    ----------
    people
        One row per customer: `customer_id`, `decided_at`, and the columns of `by`.
    lines
        `customer_id`, `sold_at`, `amount_base_minor`, from `DAYS_BEFORE` days before the quarter
        to the end of what is counted.
    by
        Columns of `people` to group by.

    Returns
    -------
    Per group, exact decimals: `units`, `revenue_base_minor`, `before`, the squares of both and
    `before_products`.
    """
    mine = lines.inner_join(people.select(c.CUSTOMER_ID, c.DECIDED_AT), c.CUSTOMER_ID)
    first, at, paid = mine[c.DECIDED_AT], mine[c.SOLD_AT], mine[c.AMOUNT_BASE_MINOR]
    earlier = (at < first) & (at >= first - ibis.interval(days=DAYS_BEFORE))
    spent = mine.group_by(c.CUSTOMER_ID).agg(
        **{
            c.REVENUE_BASE_MINOR: paid.sum(where=at >= first).cast("int64"),
            BEFORE: paid.sum(where=earlier).cast("int64"),
        }
    )
    every = people.left_join(spent, c.CUSTOMER_ID)
    money = {
        name: every[name].fill_null(0).cast("decimal(19, 0)")
        for name in (c.REVENUE_BASE_MINOR, BEFORE)
    }
    sums: dict[str, ir.Value] = {c.UNITS: every.count()}
    for name, value in money.items():
        sums |= {name: value.sum(), squares_of(name): (value * value).sum()}
    now, before = money.values()
    return every.group_by(list(by)).agg(**sums, **{BEFORE_PRODUCTS: (now * before).sum()})


def read_money(row: Mapping[str, Any]) -> Adjusted:
    """One row of `sum_money`, or of `outcomes.sum_by_arm` with `before`."""
    now, before = int(row[c.REVENUE_BASE_MINOR]), int(row[BEFORE])
    both = int(row[BEFORE_PRODUCTS])
    squares = int(row[squares_of(c.REVENUE_BASE_MINOR)]), int(row[squares_of(BEFORE)])
    return Adjusted(Moments(row[c.UNITS], (now, before), ((squares[0], both), (both, squares[1]))))


def read_cells(rows: Iterable[Mapping[str, Any]]) -> list[Cell]:
    """The rows of `sum_money` by `assigned` and `treated`, in their order."""
    made = [Cell(int(row[ASSIGNED]), int(row[TREATED]), read_money(row)) for row in rows]
    return sorted(made, key=lambda one: (one.assigned, one.treated))


def estimate_contacts(
    cells: Sequence[Cell], *, holdout_share: float, level: float = LEVEL, power: float = 0.8
) -> Contacts:
    """What contacts of overlapping campaigns caused, from lots drawn for each campaign apart.

    Parameters
    ----------
    cells
        All customers who were chosen for at least one campaign.
    holdout_share
        Chance h of each choice to be held out, the same for all, in (0, 1).

    Returns
    -------
    `each`: revenue that one contact added, the mean over all choices; `total`: times the contacts.
    `too_few_units` under ten contacts or ten that were taken away.

    Notes
    -----
    With n choices of which t were contacts, z = t - n (1 - h) has mean 0 whatever the customer is
    like and however often she is chosen after earlier contacts: every lot is drawn anew. So
    sum z (y - b t) = 0 gives b (g-estimation; Robins 1994), with y the revenue less its mean and
    less what spend before predicts (slope within cells). Variance:
    sum z² (y - b t)² / (sum z t)². The total adds up what contacts caused beside the others: where
    they do each other's work it is less than the whole programme brought.
    """
    treated = sum(one.treated * one.money.moments.n for one in cells)
    chosen = sum(one.assigned * one.money.moments.n for one in cells)
    ratio = check_sample_ratio(
        {TREAT: treated, HOLDOUT: chosen - treated},
        {TREAT: 1 - holdout_share, HOLDOUT: holdout_share},
    )
    n, kept = sum(one.money.moments.n for one in cells), 1 - holdout_share
    weighed = sum((one.treated - one.assigned * kept) * one.treated * one.money.moments.n
                  for one in cells)  # fmt: skip
    if min(treated, chosen - treated) < MIN_UNITS or weighed <= 0:
        none, nan = missing(n, TOO_FEW_UNITS), float("nan")
        return Contacts(none, none, nan, treated, chosen - treated, ratio)
    slope = _slope(cells)
    sums = [_take_away(one.money.moments, slope) for one in cells]
    mean = sum(total for total, _ in sums) / n
    effect, spread = 0.0, 0.0
    for cell, (total, _) in zip(cells, sums, strict=True):
        z = cell.treated - cell.assigned * kept
        effect += z * (total - mean * cell.money.moments.n)
    effect /= weighed
    for cell, (total, squares) in zip(cells, sums, strict=True):
        z, expected = cell.treated - cell.assigned * kept, mean + effect * cell.treated
        left = squares - 2 * expected * total + expected**2 * cell.money.moments.n
        spread += z * z * max(0.0, left)
    error, freedom = spread**0.5 / weighed, n - 2
    status = ZERO_VARIANCE if error <= 0 else OK
    status = ratio.status if ratio.status == SAMPLE_RATIO_MISMATCH else status
    half = float(stdtrit(freedom, 0.5 + level / 2)) * error
    each = Estimate(effect, effect - half, effect + half, n, status)
    total = Estimate(effect * treated, each.low * treated, each.high * treated, n, status)
    detectable = find_detectable(error, degrees_of_freedom=freedom, level=level, power=power)
    return Contacts(each, total, detectable, treated, chosen - treated, ratio)


def limit_money(found: Estimate, most_minor: float) -> Estimate:
    """The estimate with nothing above `most_minor`: what was spent cannot all be exceeded."""
    value, low, high = (min(one, most_minor) for one in (found.value, found.low, found.high))
    return Estimate(value, low, high, found.n, found.status)


def _slope(cells: Sequence[Cell]) -> float:
    """Of revenue on spend before, within cells: contacts move neither side of it."""
    both = squares = 0.0
    for one in cells:
        m = one.money.moments
        both += m.products[0][1] - m.totals[0] * m.totals[1] / m.n
        squares += m.products[1][1] - m.totals[1] ** 2 / m.n
    return both / squares if squares > 0 else 0.0


def _take_away(m: Moments, slope: float) -> tuple[float, float]:
    """Total and sum of squares of revenue less `slope` times spend before."""
    total = m.totals[0] - slope * m.totals[1]
    squares = m.products[0][0] - 2 * slope * m.products[0][1] + slope**2 * m.products[1][1]
    return float(total), float(squares)
