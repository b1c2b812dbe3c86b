"""Replies to text messages: whoever asks to get no more gets no more."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from zhiyin.act.reactions import Sent, add_reaction
from zhiyin.act.returned import REPEATED, TAKEN, UNSUBSCRIBE, refuse_marketing
from zhiyin.core.ledger import messages
from zhiyin.core.protocols import Vault
from zhiyin.govern.gate import UNSUBSCRIBED
from zhiyin.govern.identifiers import normalise_phone
from zhiyin.govern.ledger import add_suppressions
from zhiyin.govern.suppression import address_token

SMS = "sms"
NO_REFUSAL, NO_NUMBER = "no_refusal", "no_number"
_REFUSALS = frozenset({
    "r", "td", "t", "n", "stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout",
    "revoke", "退订", "退", "拒收", "取消", "取消订阅",
})  # fmt: skip


def is_refusal(text: str) -> bool:
    """Whether a reply asks to get no more: `R`, `TD`, `STOP`, `退订` …, whatever stands around."""
    word = "".join(mark for mark in text.lower() if mark.isalnum())
    return word in _REFUSALS


def take_reply(
    connection: sa.Connection, *, vault: Vault, number: str, text: str, at: datetime,
    calling_code: str = "", key: str = "",
) -> str:  # fmt: skip
    """Take in one reply: suppress its number, and refuse marketing for whom it was written to.

    Returns
    -------
    `taken`, `repeated`, `no_refusal` or `no_number`.
    """
    phone = normalise_phone(number, calling_code=calling_code)
    if phone is None or not phone.startswith("+"):
        return NO_NUMBER
    if not is_refusal(text):
        return NO_REFUSAL
    token = address_token(vault, SMS, phone)
    fresh = add_suppressions(connection, [(token, SMS)], reason=UNSUBSCRIBED, at=at)
    columns = [messages.c[name] for name in Sent.__dataclass_fields__]
    query = (
        sa.select(*columns)
        .where(messages.c.address_token == token, messages.c.channel == SMS)
        .order_by(messages.c.sent_at.desc(), messages.c.message_id)
    )
    seen: set[str] = set()
    for row in connection.execute(query).all():
        message = Sent(*row)
        if message.party_id in seen:
            continue
        if not seen:
            named = hashlib.sha256(f"reply|{key or at.isoformat()}|{token}".encode()).hexdigest()
            add_reaction(connection, message, UNSUBSCRIBE, at=at, event_key=named)
        seen.add(message.party_id)
        refuse_marketing(connection, message, source="reply", at=at)
    return TAKEN if fresh else REPEATED


def is_from_twilio(
    url: str, fields: Mapping[str, str], given: str, *, secrets: Sequence[str]
) -> bool:
    """Whether Twilio signed a form that it posted to `url`."""
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    wanted = [
        base64.b64encode(hmac.new(one.encode(), text.encode(), hashlib.sha1).digest())
        for one in secrets
    ]
    return any(hmac.compare_digest(given.encode(), one) for one in wanted)
