# pyright: standard
# (Ibis ships no types)
"""The table `decisions`: its codes, its ids, and which of its rows are a turn's (law 5)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import msgspec

from zhiyin.core import columns as c

if TYPE_CHECKING:
    import ibis

RECOMMENDED, RECOMMENDED_TO_ALL = "recommended", "recommended_to_all"
"""Reasons of a list that was shown: made for her, or what everybody gets."""
CONTACT, NO_CONTACT = "contact", "none"
TREAT, HOLDOUT, NO_ARM = "treat", "holdout", "none"
BY_CANDIDATE, BY_CURRENT = "candidate", "current"
"""Arms of a choice at a decision point where lots are drawn between policies, beside `HOLDOUT`."""
BY_CAMPAIGN, BY_JOURNEY, BY_PLACEMENT = "campaign", "journey", "placement"
BY_POINT, BY_EXPERIMENT = "point", "experiment"
BY_LOT = "by_lot"
"""Reason, and policy, of an arm of an experiment that somebody was shown."""
REVIEWED = "review:"
"""Kinds of outcomes begin so that say what a person decided; nobody may report them."""
JOURNEY_REWARD = "journey_reward"
"""The kind of an outcome that says that the reward of a journey's step came in time."""
DEFAULT_POLICY = "default"
"""In place of a policy where the default action of a decision point was given."""


class Shown(msgspec.Struct, frozen=True, array_like=True):
    """A list that a request got, as the journal keeps it.

    Its order of fields is its format: new ones go to the end, with a default.
    """

    decision_id: str
    at_us: int  # microseconds since 1970, UTC
    party_id: str
    customer_id: str
    placement: str
    chain: tuple[str, ...]  # links that could have answered
    source: str  # the one that gave the first product; empty: the list is empty
    product_ids: tuple[str, ...]
    generation: int
    personalised: bool


class Place(msgspec.Struct, frozen=True):
    """One action of a choice, the actions that could have been chosen, and how likely it was."""

    action: str
    eligible: tuple[str, ...]
    propensity: float
    explored: bool


class Decided(msgspec.Struct, frozen=True, omit_defaults=True):
    """A choice at a decision point, as the journal keeps it: a map, where `Shown` is an array.

    `numbers` are what the choice saw, in the order of `names`; None: it is not known. `policy` is
    `DEFAULT_POLICY` where the default action was given, for the `reason`.
    """

    decision_id: str
    at_us: int  # microseconds since 1970, UTC
    point: str
    places: tuple[Place, ...]
    reason: str
    policy: str = DEFAULT_POLICY
    policy_version: str = ""
    version: int = 0  # of the point; 0: there is none of this name
    party_id: str = ""  # empty: nobody was named
    customer_id: str = ""
    names: tuple[str, ...] = ()
    numbers: tuple[float | None, ...] = ()
    personalised: bool = False
    arm: str = NO_ARM
    ramp: str = ""  # number.stage of the policy that is taking over
    sent: str = ""  # the rule that sends it to a person, who has until then
    until_us: int = 0
    proposed: str = ""  # what was drawn, and how likely it was
    chance: float = 0.0


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody reported to have come of a decision, as the journal keeps it."""

    outcome_id: str
    at_us: int
    received_us: int
    kind: str
    decision_id: str = ""
    action: str = ""  # of several, the one that it came of
    party_id: str = ""
    value_minor: int | None = None
    currency: str = ""


def is_shown(payload: bytes) -> bool:
    """Whether a frame of the journal is a `Shown`; otherwise it is a `Decided`."""
    return payload[0] >> 4 == 9  # MessagePack begins arrays of up to 15 fields so, maps with 8


def place_id(decision_id: str, place: int) -> str:
    """The id of the row that one place of a choice, from 0, has in the table `decisions`."""
    return decision_id if place == 0 else f"{decision_id}.{place + 1}"


def decision_id(turn_id: str, campaign_id: str, customer_id: str) -> str:
    """`d_` + 32 hexadecimal digits: a hash of turn, campaign and customer."""
    content = json.dumps([turn_id, campaign_id, customer_id])
    return "d_" + hashlib.sha256(content.encode()).hexdigest()[:32]


def of_turns(decisions: ibis.Table) -> ibis.Table:
    """Without those of journeys, of requests, and of campaigns that a person planned."""
    return decisions.filter(decisions[c.DECIDED_BY].isnull())
