"""The door of experiments: which arm somebody gets, and whether that is an exposure.

It looks nothing up but the experiments themselves: the arm is a hash. Whoever takes no part gets
the control, with the reason, so that a page never waits and never breaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from zhiyin.core.clock import local_day
from zhiyin.core.decisions import BY_LOT, Decided, Place
from zhiyin.core.errors import NotFound
from zhiyin.govern.assignment import assign
from zhiyin.govern.holdout import EVERYTHING, place_of
from zhiyin.measure.experiment.ledger import DECIDED, DRAFT, RUNNING, Stored, layer_of

NOT_BEGUN: Final = "not_begun"
STOPPED: Final = "stopped"
SETTLED: Final = "decided"
NOBODY: Final = "no_unit"
HELD_OUT: Final = "global_holdout"
OUTSIDE: Final = "not_in_it"
ENDED: Final = "no_more_units"
REASONS: Final = (BY_LOT, NOT_BEGUN, STOPPED, SETTLED, NOBODY, HELD_OUT, OUTSIDE, ENDED)
"""Why somebody gets an arm; `by_lot` alone is an exposure."""
VISITOR: Final = "visitor"


@dataclass(frozen=True)
class Ask:
    """Who is asked about: parties that the customer's id may be, the known one first; a visitor."""

    experiment: str
    customer: tuple[str, ...] = ()
    visitor: str = ""


@dataclass(frozen=True)
class Assigned:
    """The arm, why, and the exposure that has to be kept before the answer; None: it is none."""

    experiment: str
    arm: str
    reason: str
    exposure: Decided | None = None


class Door:
    """Assigns for one process.

    Parameters
    ----------
    salt
        The workspace's assignment salt.
    holdout_share
        Of the global holdout.
    """

    def __init__(self, *, salt: bytes, zone: str, holdout_share: float) -> None:
        self._salt, self._zone, self._share = salt, zone, holdout_share
        self._held: Mapping[str, Stored] = {}

    def renew(self, experiments: Sequence[Stored]) -> None:
        """Take the experiments as they are now."""
        self._held = {one.key: one for one in experiments}

    def handle(self, ask: Ask, *, now: datetime, exposure_id: str = "") -> Assigned:
        """The arm that somebody gets.

        Parameters
        ----------
        exposure_id
            Of the exposure, if it is one: the same for the same unit and day.

        Raises
        ------
        NotFound
            If there is no such experiment.
        """
        held = self._held.get(ask.experiment)
        if held is None:
            raise NotFound("there is no experiment of this name", hint="zhiyin experiment list")
        plan, today = held.experiment, local_day(now, self._zone)
        if held.state == DECIDED:
            return Assigned(held.key, _arm_for_all(held), SETTLED)
        if held.state == DRAFT or today < plan.starts_on:
            return Assigned(held.key, plan.control, NOT_BEGUN)
        if held.state != RUNNING:
            return Assigned(held.key, plan.control, STOPPED)
        parties = (ask.visitor,) if plan.unit == VISITOR else ask.customer
        unit = parties[0] if parties else ""
        if not unit:
            return Assigned(held.key, plan.control, NOBODY)
        if any(self._is_held_out(one) for one in (*ask.customer, ask.visitor) if one):
            return Assigned(held.key, plan.control, HELD_OUT)
        arm = assign(
            unit, held.key, plan.arms, salt=self._salt, coverage=plan.coverage,
            layer=layer_of(plan, []),
        )  # fmt: skip
        if arm is None:
            return Assigned(held.key, plan.control, OUTSIDE)
        if today > plan.ends_on:
            return Assigned(held.key, arm, ENDED)
        return Assigned(held.key, arm, BY_LOT, _expose(held, arm, unit, now, exposure_id))

    def unit_of(self, ask: Ask) -> str:
        """The party that would be assigned; empty: nobody, or there is no such experiment."""
        held = self._held.get(ask.experiment)
        if held is None:
            return ""
        parties = (ask.visitor,) if held.experiment.unit == VISITOR else ask.customer
        return parties[0] if parties else ""

    def _is_held_out(self, party: str) -> bool:
        return self._share > 0 and place_of(self._salt, EVERYTHING, party) < self._share


def _arm_for_all(held: Stored) -> str:
    decision = held.decision or {}
    taken = decision.get("decided") == "take_treatment"
    return str(decision.get("arm")) if taken else held.experiment.control


def _expose(held: Stored, arm: str, unit: str, now: datetime, exposure_id: str) -> Decided:
    arms = held.experiment.arms
    chance = arms[arm] / sum(arms.values())
    place = Place(arm, tuple(sorted(arms)), chance, explored=True)
    return Decided(
        exposure_id, int(now.timestamp() * 1_000_000), held.key, (place,), BY_LOT, BY_LOT,
        held.plan.hash[:16], held.version, unit, unit,
    )  # fmt: skip
