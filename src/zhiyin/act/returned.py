"""What came back of sent messages, as mails and providers report it, taken in once each.

The state of the message, the suppression of its address and the reaction are one transaction.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from zhiyin.act.ledger import FAILED, SENDING, SENT, UNKNOWN
from zhiyin.act.reactions import Sent, add_reaction, find_sent
from zhiyin.act.reasons import BOUNCED, BOUNCED_LATER
from zhiyin.core.clock import naive_utc
from zhiyin.core.ledger import messages
from zhiyin.govern.gate import MARKETING, UNSUBSCRIBED, Consent
from zhiyin.govern.ledger import add_consent, add_suppressions

BOUNCE, DELAY, DELIVERED = "bounce", "delay", "delivered"
COMPLAINT, UNSUBSCRIBE = "complaint", "unsubscribe"
HARD, SOFT, OF_MESSAGE = "hard", "soft", "of_message"
TAKEN, REPEATED, UNKNOWN_MESSAGE, IGNORED = "taken", "repeated", "unknown_message", "ignored"
_DETAIL = 64


@dataclass(frozen=True)
class Returned:
    """One report about one message.

    `status` is an enhanced status code (RFC 3463) or the provider's own word; `hard` overrides
    what the code says of a bounce, `weight` overrides both; `key` tells repeats of the same report.
    """

    message_id: str
    kind: str
    key: str
    status: str = ""
    hard: bool | None = None
    weight: str = ""


def severity(status: str, *, hard: bool | None = None) -> str:
    """What a bounce says of the address: `hard` gone, `soft` for now, `of_message` nothing.

    A full mailbox (X.2.2) is for now also as 5.2.2. A message that is too large (X.3.4), whose
    content (X.6) or sender (X.7) is not wanted, says nothing of the address.
    """
    parts = status.split(".")
    if len(parts) == 3 and all(part.isdigit() for part in parts):
        if parts[1] in ("6", "7") or parts[1:] == ["3", "4"]:
            return OF_MESSAGE
        if parts[1:] == ["2", "2"]:
            return SOFT
        return HARD if parts[0] == "5" else SOFT
    return HARD if hard else SOFT


def take_returned(
    connection: sa.Connection, found: Iterable[Returned], *, at: datetime, soft_bounces: int
) -> Counter[str]:
    """Take in reports: how many were taken, repeated, and about messages that nobody knows.

    Parameters
    ----------
    soft_bounces
        So many soft bounces of an address in a row suppress it.
    """
    counts: Counter[str] = Counter()
    for one in found:
        message = find_sent(connection, one.message_id)
        if message is None:
            counts[UNKNOWN_MESSAGE] += 1
            continue
        key = hashlib.sha256(f"{one.message_id}|{one.kind}|{one.key}".encode()).hexdigest()
        fresh = add_reaction(
            connection, message, one.kind, at=at, detail=one.status[:_DETAIL] or None,
            event_key=key,
        )  # fmt: skip
        counts[TAKEN if fresh else REPEATED] += 1
        if fresh:
            _act_on(connection, one, message, at=at, soft_bounces=soft_bounces)
    return counts


def suppress_address(
    connection: sa.Connection, message: Sent, *, reason: str, at: datetime
) -> None:
    """Nothing goes any more to the address that the message went to."""
    if message.address_token:
        pair = (message.address_token, message.channel)
        add_suppressions(connection, [pair], reason=reason, at=at)


def refuse_marketing(
    connection: sa.Connection, message: Sent, *, source: str, at: datetime
) -> None:
    """A refusal of marketing on the message's channel, and its address suppressed."""
    line = Consent(message.party_id, MARKETING, message.channel, False, at, source)
    add_consent(connection, line)
    suppress_address(connection, message, reason=UNSUBSCRIBED, at=at)


def _act_on(
    connection: sa.Connection, one: Returned, message: Sent, *, at: datetime, soft_bounces: int
) -> None:
    if one.kind == COMPLAINT:
        suppress_address(connection, message, reason=COMPLAINT, at=at)
    elif one.kind == UNSUBSCRIBE:
        refuse_marketing(connection, message, source="reply", at=at)
    elif one.kind == DELIVERED:
        _arrived(connection, message, at=at)
    elif one.kind == BOUNCE:
        weight = one.weight or severity(one.status, hard=one.hard)
        _fail(connection, message, BOUNCED if weight == HARD else BOUNCED_LATER)
        row = _soft_in_a_row(connection, message, soft_bounces) if weight == SOFT else 0
        if weight == HARD or row >= soft_bounces:
            suppress_address(connection, message, reason=BOUNCE, at=at)


def _fail(connection: sa.Connection, message: Sent, reason: str) -> None:
    mine = (messages.c.message_id == message.message_id) & messages.c.state.in_(
        (SENDING, SENT, UNKNOWN)
    )
    connection.execute(messages.update().where(mine).values(state=FAILED, reason=reason))


def _arrived(connection: sa.Connection, message: Sent, *, at: datetime) -> None:
    """A message in doubt went out after all."""
    mine = (messages.c.message_id == message.message_id) & (messages.c.state == UNKNOWN)
    sent_at = sa.func.coalesce(messages.c.sent_at, naive_utc(at))
    connection.execute(
        messages.update().where(mine).values(state=SENT, reason=None, sent_at=sent_at)
    )


def _soft_in_a_row(connection: sa.Connection, message: Sent, most: int) -> int:
    """How many messages to the address bounced for now one after the other, up to this one."""
    if message.address_token is None or message.sent_at is None:
        return 0
    query = (
        sa.select(messages.c.reason)
        .where(
            messages.c.address_token == message.address_token,
            messages.c.channel == message.channel,
            messages.c.state.in_((SENT, FAILED)),
            messages.c.sent_at <= message.sent_at,
        )
        .order_by(messages.c.sent_at.desc(), messages.c.message_id)
        .limit(most)
    )
    row = 0
    for reason in connection.execute(query).scalars():
        if reason != BOUNCED_LATER:
            break
        row += 1
    return row
