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
BY_CAMPAIGN, BY_JOURNEY, BY_PLACEMENT = "campaign", "journey", "placement"


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


def decision_id(turn_id: str, campaign_id: str, customer_id: str) -> str:
    """`d_` + 32 hexadecimal digits: a hash of turn, campaign and customer."""
    content = json.dumps([turn_id, campaign_id, customer_id])
    return "d_" + hashlib.sha256(content.encode()).hexdigest()[:32]


def of_turns(decisions: ibis.Table) -> ibis.Table:
    """Without those of journeys, of requests, and of campaigns that a person planned."""
    return decisions.filter(decisions[c.DECIDED_BY].isnull())
