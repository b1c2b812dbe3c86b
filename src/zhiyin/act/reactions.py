"""Statements on the ledger's `reactions`: what came back of messages, each once.

What a machine did stands beside what people did, with the reason in `machine`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from zhiyin.act.ledger import SENDING
from zhiyin.act.machines import BURST, BURST_S, is_burst
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.ledger import messages, reactions

OPEN, CLICK, SURVEY = "open", "click", "survey"
MOST_EACH = 50
"""So many opens, or clicks, of one message are kept: whoever holds a link may call it for ever."""


@dataclass(frozen=True)
class Sent:
    """The message that a reaction is about."""

    message_id: str
    party_id: str
    campaign_id: str
    channel: str
    state: str
    sent_at: datetime | None
    address_token: str | None

    def since_s(self, at: datetime) -> float | None:
        """Seconds from its sending to `at` (aware); 0 while it is being sent, None: not known."""
        if self.state == SENDING:
            return 0.0
        return None if self.sent_at is None else (naive_utc(at) - self.sent_at).total_seconds()


def find_sent(connection: sa.Connection, message_id: str) -> Sent | None:
    """The message of an id; None where there is none."""
    columns = [messages.c[name] for name in Sent.__dataclass_fields__]
    query = sa.select(*columns).where(messages.c.message_id == message_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else Sent(*row)


def add_reaction(
    connection: sa.Connection,
    message: Sent,
    kind: str,
    *,
    at: datetime,
    machine: str | None = None,
    link: str | None = None,
    detail: str | None = None,
    event_key: str | None = None,
) -> bool:
    """Keep a reaction; False where it is known already, or there are too many of its kind."""
    of_kind = (reactions.c.message_id == message.message_id) & (reactions.c.kind == kind)
    count = sa.select(sa.func.count()).where(of_kind)
    if connection.execute(count).scalar_one() >= MOST_EACH:
        return False
    if event_key is not None:
        known = sa.select(reactions.c.reaction_id).where(reactions.c.event_key == event_key)
        if connection.execute(known).first() is not None:
            return False
    row: dict[str, Any] = {
        "message_id": message.message_id, "party_id": message.party_id, "kind": kind,
        "at": naive_utc(at), "machine": machine, "link": link, "detail": detail,
        "event_key": event_key,
    }  # fmt: skip
    connection.execute(reactions.insert().values(**row))
    return True


def add_answer(
    connection: sa.Connection, message: Sent, survey: str, score: int, *, at: datetime,
    machine: str | None = None,
) -> bool:  # fmt: skip
    """Keep the answer to a question of a message; False where a person answered it already.

    What a machine posts is kept beside, and leaves the question open.
    """
    key = hashlib.sha256(f"{message.message_id}|{SURVEY}|{survey}".encode()).hexdigest()
    return add_reaction(
        connection, message, SURVEY, at=at, machine=machine, detail=f"{survey}:{score}",
        event_key=None if machine else key,
    )  # fmt: skip


def mark_burst(connection: sa.Connection, message: Sent, *, at: datetime, links: int) -> bool:
    """Mark the clicks of the last seconds where they are too many different ones for a person.

    Parameters
    ----------
    links
        How many links the letter has.
    """
    since = naive_utc(at) - timedelta(seconds=BURST_S)
    recent = (
        (reactions.c.message_id == message.message_id)
        & (reactions.c.kind == CLICK)
        & (reactions.c.at >= since)
    )
    seen = sa.select(sa.func.count(sa.distinct(reactions.c.link))).where(recent)
    if not is_burst(connection.execute(seen).scalar_one(), of=links):
        return False
    update = reactions.update().where(recent, reactions.c.machine.is_(None))
    connection.execute(update.values(machine=BURST))
    return True


def count_reactions(
    connection: sa.Connection, campaign_id: str | None = None
) -> list[Mapping[str, Any]]:
    """Reactions by campaign, kind and, for machines', why: `reactions` and `messages` of each.

    Campaigns by id; people (`machine` None) before machines.
    """
    query = (
        sa.select(
            messages.c.campaign_id,
            reactions.c.kind,
            reactions.c.machine,
            sa.func.count().label("reactions"),
            sa.func.count(sa.distinct(reactions.c.message_id)).label("messages"),
        )
        .join(messages, messages.c.message_id == reactions.c.message_id)
        .group_by(messages.c.campaign_id, reactions.c.kind, reactions.c.machine)
    )
    if campaign_id is not None:
        query = query.where(messages.c.campaign_id == campaign_id)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    return sorted(rows, key=lambda row: (row[c.CAMPAIGN_ID], row["kind"], row["machine"] or ""))
