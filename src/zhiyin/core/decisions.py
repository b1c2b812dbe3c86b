# pyright: standard
# (Ibis ships no types)
"""The table `decisions`: its codes, its ids, and which of its rows are a turn's (law 5)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from zhiyin.core import columns as c

if TYPE_CHECKING:
    import ibis

CONTACT, NO_CONTACT = "contact", "none"
TREAT, HOLDOUT, NO_ARM = "treat", "holdout", "none"
BY_CAMPAIGN, BY_JOURNEY = "campaign", "journey"


def decision_id(turn_id: str, campaign_id: str, customer_id: str) -> str:
    """`d_` + 32 hexadecimal digits: a hash of turn, campaign and customer."""
    content = json.dumps([turn_id, campaign_id, customer_id])
    return "d_" + hashlib.sha256(content.encode()).hexdigest()[:32]


def of_turns(decisions: ibis.Table) -> ibis.Table:
    """Without those of journeys, and of campaigns that a person planned."""
    return decisions.filter(decisions[c.DECIDED_BY].isnull())
