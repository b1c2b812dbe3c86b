"""Whom to contact: the highest expected profit within share and budget, and a few at random.

    expected profit = P(response) x expected margin if she responds x caused share - contact cost

The best are taken for certain; a set share of the contacts is drawn uniformly from all others who
may be contacted, also those who are expected to cost more than they earn: without them the next
model would only ever learn about people like those it chose. Whoever is chosen and belongs to the
holdout is not contacted. So the probability of every action is known, and is logged (law 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.decisions import CONTACT, HOLDOUT, NO_ARM, NO_CONTACT, TREAT
from zhiyin.core.errors import InvalidParameter
from zhiyin.decide import reasons

POLICY = "expected_profit"
POLICY_FORMAT = 1  # part of the version: raise it when equal inputs are decided otherwise
_ROUNDING = 1e-9


@dataclass(frozen=True)
class SelectionTerms:
    """The limits and prices of one campaign; money in minor units of the workspace currency.

    `caused_share` of the money that responses bring would not have come without the contact.
    """

    max_share: float
    contact_cost_minor: int
    budget_minor: int | None = None
    explore_share: float = 0.0
    holdout_share: float = 0.0
    caused_share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.max_share <= 1:
            raise InvalidParameter(f"max_share must be in (0, 1], not {self.max_share}")
        if self.contact_cost_minor < 0:
            raise InvalidParameter(f"contact cost must be >= 0, not {self.contact_cost_minor}")
        if self.budget_minor is not None and self.budget_minor < 0:
            raise InvalidParameter(f"the budget must be >= 0, not {self.budget_minor}")
        if not self.caused_share >= 0:
            raise InvalidParameter(f"the caused share must be >= 0, not {self.caused_share}")
        for name in ("explore_share", "holdout_share"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidParameter(f"{name} must be in [0, 1), not {getattr(self, name)}")

    def share_slots(self, recipients: int) -> int:
        """How many of `recipients` the largest share is, rounded down."""
        return int(self.max_share * recipients + _ROUNDING)

    def budget_slots(self) -> int | None:
        """How many contacts the budget pays for; None: as many as one likes."""
        if self.budget_minor is None or self.contact_cost_minor == 0:
            return None
        return self.budget_minor // self.contact_cost_minor

    def explore_slots(self, slots: int) -> int:
        """How many of `slots` are drawn at random: the share, rounded half up."""
        return int(self.explore_share * slots + 0.5)


@dataclass(frozen=True, eq=False)
class Candidates:
    """One row per recipient of a campaign, in any order: (n,) arrays.

    Parameters
    ----------
    customer_ids
        Unique.
    probability
        P(response) in [0, 1]; NaN: no score.
    margin_minor
        Expected margin if she responds, minor units; NaN: no score.
    refusals
        Why the gate forbids the contact, a code; empty: it allows it.
    held_out
        Whether she belongs to the holdout, should she be chosen.
    earlier_arms
        Arm that she got on an earlier day of the campaign (`treat`, `holdout`); empty: none yet.
    """

    customer_ids: NDArray[np.str_]
    probability: NDArray[np.float64]
    margin_minor: NDArray[np.float64]
    refusals: NDArray[np.str_]
    held_out: NDArray[np.bool_]
    earlier_arms: NDArray[np.str_]

    def __post_init__(self) -> None:
        if len({len(getattr(self, name)) for name in self.__dataclass_fields__}) != 1:
            raise InvalidParameter("the arrays of candidates must have equal lengths")
        if len(set(self.customer_ids.tolist())) != self.n:
            raise InvalidParameter("a customer is a candidate twice")

    @property
    def n(self) -> int:
        """Number of recipients."""
        return len(self.customer_ids)


@dataclass(frozen=True, eq=False)
class Choice:
    """What was decided for each candidate, in their order: (n,) arrays.

    `eligible`: a contact was possible. `chosen`: got a slot (contacted or held out).
    `contact_probability`: P(contact | context) over the draw and the holdout's salt; the
    probability of no contact is its complement. `propensity`: that of the action taken, never 0.
    `explored`: chosen by chance. `expected_minor`: expected profit of a contact (NaN: no score).
    `slots`: how many could be chosen.
    """

    eligible: NDArray[np.bool_]
    chosen: NDArray[np.bool_]
    contacted: NDArray[np.bool_]
    explored: NDArray[np.bool_]
    contact_probability: NDArray[np.float64]
    propensity: NDArray[np.float64]
    expected_minor: NDArray[np.float64]
    arms: NDArray[np.str_]
    reasons: NDArray[np.str_]
    slots: int

    @property
    def actions(self) -> NDArray[np.str_]:
        """(n,) `contact` or `none`."""
        return np.where(self.contacted, CONTACT, NO_CONTACT)


def select(
    candidates: Candidates,
    terms: SelectionTerms,
    *,
    rng: np.random.Generator,
    chosen_elsewhere: int = 0,
) -> Choice:
    """Choose whom to contact.

    Parameters
    ----------
    candidates
        The campaign's recipients. Those with an earlier arm keep it, are not chosen again and
        count against the slots.
    terms
        Limits and prices.
    rng
        Draws the explored; one call of it, on candidates sorted by id.
    chosen_elsewhere
        People with an earlier arm who are no candidates any more: they used slots, too.

    Returns
    -------
    slots = min(floor(max_share x n), budget // contact cost) - earlier chosen. Of these,
    round(explore_share x slots) = e are for chance. The best (slots - e) of positive expected
    profit are chosen with probability 1 (ties by id), each of the m other eligible with
    probability min(e, m) / m; P(contact) is that times (1 - holdout_share).

    Raises
    ------
    InvalidParameter
        If somebody is held out although the holdout's share is 0.
    """
    if terms.holdout_share == 0 and candidates.held_out.any():
        raise InvalidParameter("candidates are held out, but the holdout's share is 0")
    expected = expect_profit(candidates, terms)
    whole = expect_profit(candidates, replace(terms, caused_share=1.0))
    scored, earlier = np.isfinite(expected), candidates.earlier_arms != ""
    eligible = (candidates.refusals == "") & scored & ~earlier
    used = int(earlier.sum()) + chosen_elsewhere
    slots = _slots(terms, candidates.n, used)
    ranked = _rank(candidates, expected, eligible & (expected > 0))
    explore = terms.explore_slots(slots)
    best = _at(candidates.n, ranked[: slots - explore])
    explored, drawn_with = _explore(candidates, eligible & ~best, explore, rng)
    chosen = best | explored
    contacted = chosen & ~candidates.held_out
    selected_with = np.where(best, 1.0, np.where(eligible, drawn_with, 0.0))
    probability = selected_with * (1 - terms.holdout_share)
    unbounded = max(0, terms.share_slots(candidates.n) - used)  # slots without a budget
    in_reach = _at(candidates.n, ranked[: unbounded - terms.explore_slots(unbounded)])
    why = _explain(
        candidates, eligible=eligible, scored=scored, chosen=chosen, explored=explored,
        profitable=expected > 0, were_all_caused=whole > 0, in_reach=in_reach,
    )  # fmt: skip
    fresh = np.where(chosen, np.where(contacted, TREAT, HOLDOUT), NO_ARM)
    return Choice(
        eligible=eligible,
        chosen=chosen,
        contacted=contacted,
        explored=explored,
        contact_probability=probability,
        propensity=np.where(contacted, probability, 1 - probability),
        expected_minor=expected,
        arms=np.where(earlier, candidates.earlier_arms, fresh),
        reasons=why,
        slots=slots,
    )


def expect_profit(candidates: Candidates, terms: SelectionTerms) -> NDArray[np.float64]:
    """(n,) P(response) x expected margin if she responds x caused share - contact, minor units."""
    margin = candidates.probability * candidates.margin_minor
    return margin * terms.caused_share - terms.contact_cost_minor


def count_steps(
    candidates: Candidates, choice: Choice, gate_reasons: Mapping[str, object]
) -> list[dict[str, object]]:
    """The sizes after each step, from all recipients to those contacted: `step` and `left`.

    A step is the reason of those who leave at it: each rule of the gate, in its order, then those
    without a score, chosen on an earlier day, not chosen (`below_cut`, `budget`,
    `no_expected_profit` and `no_caused_profit` together, under `not_chosen`), and held out.
    """
    left = candidates.n
    steps: list[dict[str, object]] = [{"step": "recipients", "left": left}]
    rules = [rule for rule in gate_reasons if rule != reasons.HELD_OUT]
    earlier = (candidates.refusals == "") & (candidates.earlier_arms != "")
    unscored = (candidates.refusals == "") & ~earlier & ~np.isfinite(choice.expected_minor)
    leaving = {rule: int((candidates.refusals == rule).sum()) for rule in rules}
    leaving |= {reasons.ALREADY_CHOSEN: int(earlier.sum()), reasons.NO_SCORE: int(unscored.sum())}
    leaving["not_chosen"] = int((choice.eligible & ~choice.chosen).sum())
    leaving[reasons.HELD_OUT] = int((choice.chosen & ~choice.contacted).sum())
    for step, gone in leaving.items():
        left -= gone
        steps.append({"step": step, "left": left})
    return steps


def _slots(terms: SelectionTerms, recipients: int, used: int) -> int:
    share, budget = terms.share_slots(recipients), terms.budget_slots()
    return max(0, (share if budget is None else min(share, budget)) - used)


def _rank(
    candidates: Candidates, expected: NDArray[np.float64], among: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Places of those `among` the candidates, highest expected profit first, ties by id."""
    order = np.lexsort((candidates.customer_ids, -expected))
    return order[among[order]]


def _explore(
    candidates: Candidates, rest: NDArray[np.bool_], explore: int, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], float]:
    """Who of the rest is drawn, and the probability with which each of them is."""
    places = np.flatnonzero(rest)
    if not len(places) or not explore:
        return np.zeros(candidates.n, dtype=np.bool_), 0.0
    places = places[np.argsort(candidates.customer_ids[places])]
    count = min(explore, len(places))
    drawn = rng.choice(len(places), size=count, replace=False, shuffle=False)
    return _at(candidates.n, places[drawn]), count / len(places)


def _explain(
    candidates: Candidates,
    *,
    eligible: NDArray[np.bool_],
    scored: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    explored: NDArray[np.bool_],
    profitable: NDArray[np.bool_],
    were_all_caused: NDArray[np.bool_],
    in_reach: NDArray[np.bool_],
) -> NDArray[np.str_]:
    """The reason of each candidate's decision; the first that fits."""
    earlier = candidates.earlier_arms
    cases = [
        (candidates.refusals != "", candidates.refusals),
        (earlier == HOLDOUT, reasons.HELD_OUT),
        (earlier == TREAT, reasons.ALREADY_CHOSEN),
        (~scored, reasons.NO_SCORE),
        (chosen & candidates.held_out, reasons.HELD_OUT),
        (explored, reasons.EXPLORED),
        (chosen, reasons.BEST),
        (eligible & ~profitable & were_all_caused, reasons.NO_CAUSED),
        (eligible & ~profitable, reasons.NO_PROFIT),
    ]
    last = np.where(in_reach, reasons.BUDGET, reasons.BELOW_CUT)
    return np.select([when for when, _ in cases], [why for _, why in cases], default=last)


def _at(n: int, places: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(n,) true at `places`."""
    made = np.zeros(n, dtype=np.bool_)
    made[places] = True
    return made
