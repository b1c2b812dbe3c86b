"""The e-mail of a double opt-in: transactional, one for each request, through the gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.act import ledger
from zhiyin.act.gate import address_of, check_people
from zhiyin.act.links import CONFIRM
from zhiyin.core.clock import naive_utc
from zhiyin.core.protocols import Vault
from zhiyin.govern.facts import Terms
from zhiyin.govern.gate import CONFIRMATION, Verdict
from zhiyin.govern.people import Person

CONFIRMATIONS = "consent:confirmation"
"""The campaign that these messages stand under: `zhiyin send consent:confirmation` sends them."""
EXPIRES_AT = "expires_at"
FORMAT = 1


@dataclass(frozen=True)
class Confirmation:
    """What one such e-mail asks; `text` is what the person would agree to."""

    request_id: str
    language: str
    text: str
    expires_at: datetime

    def content(self) -> Mapping[str, Any]:
        """The JSON value that is sealed in the ledger."""
        return {
            "format": FORMAT, "template": CONFIRM, "request_id": self.request_id,
            "text": self.text, EXPIRES_AT: self.expires_at.isoformat(),
        }  # fmt: skip


def plan_confirmation(
    connection: sa.Connection,
    asked: Confirmation,
    person: Person,
    *,
    sealed: bytes | None,
    terms: Terms,
    vault: Vault,
    at: datetime,
) -> Verdict:
    """Write the message where the gate allows it; what the gate says.

    Parameters
    ----------
    sealed
        `asked.content()`, sealed with the key of `person.party_id`.
    """
    (verdict,) = check_people(connection, [person], terms=terms, vault=vault, at=at)
    if verdict.allowed:
        message_id = ledger.message_id(
            CONFIRMATIONS, step=asked.request_id, customer_id=person.party_id
        )
        row = {
            "message_id": message_id, "campaign_id": CONFIRMATIONS, "turn_id": "",
            "party_id": person.party_id, "customer_id": person.customer_id,
            "channel": terms.channel, "language": asked.language, "state": ledger.PLANNED,
            "planned_at": naive_utc(at), "content": sealed, "purpose": CONFIRMATION,
            "priority": ledger.TRANSACTIONAL,
            "address_token": address_of(person, vault=vault, channel=terms.channel) or None,
        }  # fmt: skip
        ledger.insert_messages(connection, [row])
    return verdict
