"""*Profit if every redemption were caused (upper bound)*, for several ways to choose.

    profit = sum over contacted redeemers of margin_rate x spend - contact_cost x contacted

`spend` is what the customer paid for the campaign's offer products in its window. Nobody knows
from this alone what she would have bought unasked: `increment` measures that, from a holdout.
Money is in minor units of the workspace currency. Customers that a ranking cannot tell apart
count at their expected place, so no number here depends on the order of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.values import Estimate
from zhiyin.measure.intervals import LEVEL, critical_z, missing
from zhiyin.measure.status import MIN_UNITS, NO_POSITIVES, NO_UNITS, OK, TOO_FEW_UNITS

CALLED = "profit if every redemption were caused (upper bound)"


@dataclass(frozen=True)
class ProfitTerms:
    """What turns responses into money: the assumptions printed beside every profit."""

    margin_rate: float
    contact_cost_minor: float
    max_share: float = 1.0
    budget_minor: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.margin_rate <= 1:
            raise InvalidParameter(f"margin_rate must be in (0, 1], not {self.margin_rate}")
        if self.contact_cost_minor < 0:
            raise InvalidParameter(f"contact cost must be >= 0, not {self.contact_cost_minor}")
        if not 0 < self.max_share <= 1:
            raise InvalidParameter(f"max_share must be in (0, 1], not {self.max_share}")

    def most_contacts(self, n: int) -> int:
        """How many of `n` recipients share and budget allow, rounded down."""
        most = int(self.max_share * n + 1e-9)
        if self.budget_minor is not None and self.contact_cost_minor > 0:
            most = min(most, int(self.budget_minor // self.contact_cost_minor))
        return most


@dataclass(frozen=True, eq=False)
class CampaignOutcomes:
    """One row per recipient of a campaign, in any order: (n,) arrays.

    `ids` unique; `spend_minor` (int) on the campaign's offer products in its window; `redeemed`.
    """

    ids: NDArray[np.str_]
    redeemed: NDArray[np.bool_]
    spend_minor: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.redeemed) == len(self.spend_minor):
            raise InvalidParameter("ids, redeemed and spend_minor must have equal lengths")

    @property
    def n(self) -> int:
        """Number of recipients."""
        return len(self.ids)

    @property
    def earning_minor(self) -> NDArray[np.int64]:
        """(n,) spend of redeemers, 0 for the others."""
        return np.where(self.redeemed, self.spend_minor, 0)


@dataclass(frozen=True)
class DepthCurve:
    """Profit when the best `contacted` customers of a ranking are contacted."""

    share: tuple[float, ...]
    contacted: tuple[int, ...]
    profit_minor: tuple[float, ...]


@dataclass(frozen=True)
class CostCurve:
    """Profit of each way to choose as one contact gets dearer; the choice is remade at each cost.

    `rfm_minor` is empty where there is no RFM ranking.
    """

    contact_cost_minor: tuple[float, ...]
    contacted: tuple[int, ...]
    model_minor: tuple[float, ...]
    rfm_minor: tuple[float, ...]
    all_minor: tuple[float, ...]


def expect_profit(
    probability: ArrayLike, margin_if_response_minor: ArrayLike, *, contact_cost_minor: float
) -> NDArray[np.float64]:
    """(n,) P(response) x expected margin if she responds - cost of the contact, minor units."""
    margin = np.asarray(margin_if_response_minor, dtype=np.float64)
    return np.asarray(probability, dtype=np.float64) * margin - contact_cost_minor


def choose_by_profit(
    expected_minor: ArrayLike, ids: ArrayLike, terms: ProfitTerms
) -> NDArray[np.float64]:
    """(n,) 1 for those chosen: positive expected profit, dearest first, within share and budget.

    Ties go by id, as a decision must name its people. A missing (NaN) expectation is never chosen.
    """
    expected = np.asarray(expected_minor, dtype=np.float64)
    order = np.lexsort((np.asarray(ids), -expected))
    chosen = np.zeros(len(expected))
    worth = order[expected[order] > 0]
    chosen[worth[: terms.most_contacts(len(expected))]] = 1.0
    return chosen


def choose_top(ranking: ArrayLike, contacts: float) -> NDArray[np.float64]:
    """(n,) weights in [0, 1] that choose `contacts` customers by `ranking`, highest first.

    Customers tied at the last place share what is left of it evenly: the expectation over a
    random order of ties. Missing (NaN) values rank last.
    """
    value = np.nan_to_num(np.asarray(ranking, dtype=np.float64), nan=-np.inf)
    _, group, size = np.unique(-value, return_inverse=True, return_counts=True)
    before = np.cumsum(size) - size
    return np.clip((contacts - before) / size, 0.0, 1.0)[group]


def estimate_profit(
    outcomes: CampaignOutcomes,
    chosen: ArrayLike,
    terms: ProfitTerms,
    *,
    level: float = LEVEL,
) -> Estimate:
    """Profit of contacting `chosen`, were every redemption caused by the contact.

    Parameters
    ----------
    outcomes
        What each recipient did.
    chosen
        (n,) weights in [0, 1]: 1 contacted, 0 not.
    terms
        Margin and cost.
    level
        Coverage of the interval.

    Returns
    -------
    Minor units; normal interval over recipients with the choice rule held fixed. `n` is the
    number of recipients. A choice of nobody has profit 0.
    """
    weight = np.asarray(chosen, dtype=np.float64)
    if weight.shape != (outcomes.n,):
        raise InvalidParameter(f"chosen {weight.shape} must have {outcomes.n} entries")
    if outcomes.n == 0:
        return missing(0, NO_UNITS)
    each = weight * (terms.margin_rate * outcomes.earning_minor - terms.contact_cost_minor)
    profit = _profit(outcomes, weight, terms)
    if outcomes.n < 2:
        return Estimate(profit, float("nan"), float("nan"), outcomes.n, TOO_FEW_UNITS)
    half = critical_z(level) * float(outcomes.n * np.sort(each).var(ddof=1)) ** 0.5
    return Estimate(profit, profit - half, profit + half, outcomes.n, _status(outcomes))


def draw_depth_curve(
    outcomes: CampaignOutcomes, ranking: ArrayLike, terms: ProfitTerms, *, points: int = 101
) -> DepthCurve:
    """Profit over how deep down `ranking` (highest first) one goes, 0 to 100 % of recipients."""
    contacted = np.unique(np.rint(np.linspace(0, outcomes.n, points)).astype(int))
    profit = [_profit(outcomes, choose_top(ranking, k), terms) for k in contacted]
    share = contacted / max(1, outcomes.n)
    return DepthCurve(tuple(share.tolist()), tuple(contacted.tolist()), tuple(profit))


def draw_cost_curve(
    outcomes: CampaignOutcomes,
    *,
    probability: ArrayLike,
    margin_if_response_minor: ArrayLike,
    terms: ProfitTerms,
    costs_minor: Sequence[float],
    rfm: ArrayLike | None = None,
) -> CostCurve:
    """Profit of the model's choice, of as many by RFM and of everyone, per cost of a contact."""
    contacted, model, by_rfm, everyone = [], [], [], []
    for cost in costs_minor:
        at = ProfitTerms(terms.margin_rate, cost, terms.max_share, terms.budget_minor)
        expected = expect_profit(probability, margin_if_response_minor, contact_cost_minor=cost)
        chosen = choose_by_profit(expected, outcomes.ids, at)
        contacted.append(int(chosen.sum()))
        model.append(_profit(outcomes, chosen, at))
        everyone.append(_profit(outcomes, np.ones(outcomes.n), at))
        if rfm is not None:
            by_rfm.append(_profit(outcomes, choose_top(rfm, chosen.sum()), at))
    return CostCurve(
        tuple(costs_minor), tuple(contacted), tuple(model), tuple(by_rfm), tuple(everyone)
    )


def _profit(outcomes: CampaignOutcomes, weight: NDArray[np.float64], terms: ProfitTerms) -> float:
    # whole customers are summed as integers, shared places after them: exact and order-free
    whole = weight == 1.0
    spend = float(int(outcomes.earning_minor[whole].sum()))
    shared = (weight > 0) & ~whole
    spend += float(np.sort(weight[shared] * outcomes.earning_minor[shared]).sum())
    contacts = float(whole.sum()) + float(np.sort(weight[shared]).sum())
    return terms.margin_rate * spend - terms.contact_cost_minor * contacts


def _status(outcomes: CampaignOutcomes) -> str:
    redeemers = int(outcomes.redeemed.sum())
    if redeemers == 0:
        return NO_POSITIVES
    return OK if redeemers >= MIN_UNITS else TOO_FEW_UNITS
