"""Statements on the ledger's `messages`: the state of every message, planned or sent.

    planned → sending → sent | unknown | failed
       │         └─────→ planned   (surely not handed over: may be tried again)
       └─────────────→ skipped     (the gate, or a newer plan, with its reason)

`sending` is committed before a provider is called, so a message found there after a crash may or
may not have gone out: it becomes `unknown` until the channel can tell.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from zhiyin.core import columns as c
from zhiyin.core.context import Context
from zhiyin.core.ledger import messages

TRANSACTIONAL = 0  # priority of what she asked for; marketing has 1
PLANNED, SENDING, SENT = "planned", "sending", "sent"
UNKNOWN, FAILED, SKIPPED = "unknown", "failed", "skipped"
OPEN = (PLANNED, SENDING)
UNSENT = (PLANNED, SKIPPED)  # never handed to a channel
SUPERSEDED = "superseded"
_CHUNK = 500


def message_id(campaign_id: str, *, step: str, customer_id: str, occurrence: str = "1") -> str:
    """`m_` + 32 hexadecimal digits that the message's place in the plan decides (law 3)."""
    place = json.dumps([campaign_id, step, customer_id, occurrence])
    return "m_" + hashlib.sha256(place.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Outcome:
    """What became of one message that was claimed; `reason` is a code."""

    message_id: str
    state: str
    reason: str | None = None
    sent_at: datetime | None = None  # naive UTC
    receipt: str | None = None
    not_before: datetime | None = None  # naive UTC
    tried: int = 0  # 1 where the provider did not take it for now
    segments: int | None = None  # of a text message that was handed over; None: as it was
    cost_micros: int | None = None  # of one that was handed over; None: as it was


@dataclass(frozen=True)
class State:
    """Where one message stands."""

    message_id: str
    party_id: str
    customer_id: str
    language: str
    state: str
    reason: str | None


def insert_messages(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows whose id is not there yet; the others change nothing. How many were new."""
    if not rows:
        return 0
    ids = [row[c.MESSAGE_ID] for row in rows]
    there = {row.message_id for row in _by_id(connection, [messages.c.message_id], ids)}
    fresh = [dict(row) for row in rows if row[c.MESSAGE_ID] not in there]
    if fresh:
        connection.execute(_insert_if_absent(connection), fresh)
    return len(fresh)


def renew_messages(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> int:
    """Plan anew what an earlier turn planned or skipped and no channel was ever given.

    Rows of the same turn, and of messages that went, or may have gone, to a channel stay.
    """
    update = (
        messages.update()
        .where(
            messages.c.message_id == sa.bindparam("known"),
            messages.c.state.in_(UNSENT),
            messages.c.turn_id != sa.bindparam("turn"),
        )
        .values({name: sa.bindparam(f"new_{name}") for name in _RENEWED})
    )
    changed = 0
    for row in rows:
        values = {f"new_{name}": row[name] for name in _RENEWED}
        values |= {"known": row[c.MESSAGE_ID], "turn": row[c.TURN_ID]}
        changed += connection.execute(update, values).rowcount
    return changed


_RENEWED = (
    "turn_id",
    "decision_id",
    "language",
    "state",
    "reason",
    "planned_at",
    "content",
    "address_token",
    "not_before",
    "segments",
    "cost_micros",
    "channel",
    "template",
)


def supersede_messages(connection: sa.Connection, campaign_id: str, *, turn_id: str) -> int:
    """Skip what an earlier turn planned for the campaign and this turn no longer wants."""
    update = messages.update().where(
        messages.c.campaign_id == campaign_id,
        messages.c.state == PLANNED,
        messages.c.turn_id != turn_id,
    )
    return connection.execute(update.values(state=SKIPPED, reason=SUPERSEDED)).rowcount


def other_messages(
    connection: sa.Connection,
    campaign_id: str,
    parties: Sequence[str],
    *,
    states: Sequence[str] = (PLANNED, SENDING, SENT, UNKNOWN, FAILED),
) -> dict[str, list[str]]:
    """Party → ids of the campaign's messages to it in the states; as a rule all but skipped."""
    found: dict[str, list[str]] = {}
    for start in range(0, len(parties), _CHUNK):
        query = sa.select(messages.c.party_id, messages.c.message_id).where(
            messages.c.campaign_id == campaign_id,
            messages.c.state.in_(states),
            messages.c.party_id.in_(parties[start : start + _CHUNK]),
        )
        for row in connection.execute(query.order_by(messages.c.message_id)):
            found.setdefault(row.party_id, []).append(row.message_id)
    return found


def read_messages(
    connection: sa.Connection,
    campaign_id: str,
    *,
    states: Sequence[str],
    after: tuple[int, str] = (-1, ""),
    due_at: datetime | None = None,
    channel: str | None = None,
    via: str | None = None,
    template: str = "",
    limit: int | None = None,
) -> list[sa.Row[Any]]:
    """Rows of the campaign's messages in `states`, by priority and id: those after `after`.

    `due_at` (naive UTC): without those that may not be tried yet by then. `channel`, `via`,
    `template`: theirs alone; an empty `via` is the channel's own.
    """
    order = (messages.c.priority, messages.c.message_id)
    query = (
        sa.select(messages)
        .where(
            messages.c.campaign_id == campaign_id,
            messages.c.state.in_(states),
            sa.tuple_(*order) > after,
        )
        .order_by(*order)
    )
    if due_at is not None:
        due = messages.c.not_before.is_(None) | (messages.c.not_before <= due_at)
        query = query.where(due)
    if channel is not None:
        query = query.where(messages.c.channel == channel)
    if via is not None:
        query = query.where(sa.func.coalesce(messages.c.via, "") == via)
    if template:
        query = query.where(sa.func.coalesce(messages.c.template, template) == template)
    return list(connection.execute(query if limit is None else query.limit(limit)))


def read_ways(connection: sa.Connection, campaign_id: str) -> list[tuple[str, str, str]]:
    """(Channel, via, template) of the campaign's messages that are open or in doubt, each once."""
    columns = (messages.c.channel, messages.c.via, messages.c.template)
    query = sa.select(*columns).where(
        messages.c.campaign_id == campaign_id, messages.c.state.in_((*OPEN, UNKNOWN))
    )
    rows = connection.execute(query.distinct())
    return sorted((row.channel, row.via or "", row.template or "") for row in rows)


def read_waiting(
    connection: sa.Connection, campaign_id: str, *, now: datetime
) -> tuple[int, datetime | None, datetime | None]:
    """How many planned messages of the campaign are due after `now`, the first moment and the last;
    naive UTC.
    """
    moment = messages.c.not_before
    query = sa.select(sa.func.count(), sa.func.min(moment), sa.func.max(moment)).where(
        messages.c.campaign_id == campaign_id, messages.c.state == PLANNED, moment > now
    )
    count, first, last = connection.execute(query).one()
    return count, first, last


def read_parties(
    connection: sa.Connection, campaign_id: str, *, states: Sequence[str], due_at: datetime
) -> list[str]:
    """Parties of the campaign's messages in `states` that may be tried by `due_at`."""
    due = messages.c.not_before.is_(None) | (messages.c.not_before <= due_at)
    mine = (messages.c.campaign_id == campaign_id) & messages.c.state.in_(states) & due
    return list(connection.execute(sa.select(messages.c.party_id).where(mine).distinct()).scalars())


def has_another(
    others: Mapping[str, Sequence[str]], parties: Sequence[str], message_id: str
) -> bool:
    """Whether one of a person's parties has a message under another id (a merge).

    `others`: as `other_messages` gives them.
    """
    return any(one != message_id for party in parties for one in others.get(party, ()))


def read_states(connection: sa.Connection, campaign_id: str) -> list[State]:
    """Every message of the campaign, by id, without its content."""
    columns = [messages.c[name] for name in State.__dataclass_fields__]
    query = sa.select(*columns).where(messages.c.campaign_id == campaign_id)
    rows = connection.execute(query.order_by(messages.c.message_id))
    return [State(*row) for row in rows]


def find_ids(connection: sa.Connection, parties: Sequence[str]) -> list[str]:
    """Ids of all messages to any of the parties: erasing a person removes what a sink kept."""
    found: set[str] = set()
    for start in range(0, len(parties), _CHUNK):
        chunk = parties[start : start + _CHUNK]
        hers = messages.c.party_id.in_(chunk) | messages.c.customer_id.in_(chunk)
        found.update(connection.execute(sa.select(messages.c.message_id).where(hers)).scalars())
    return sorted(found)


def claim_messages(connection: sa.Connection, ids: Sequence[str]) -> frozenset[str]:
    """Mark planned messages `sending`; those that were still planned, which are now the caller's.

    Commit before any of them is handed to a channel.
    """
    claimed: set[str] = set()
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        mine = sa.and_(messages.c.message_id.in_(chunk), messages.c.state == PLANNED)
        update = messages.update().where(mine).values(state=SENDING)
        claimed.update(connection.execute(update.returning(messages.c.message_id)).scalars())
    return frozenset(claimed)


def settle_messages(connection: sa.Connection, outcomes: Sequence[Outcome], *, before: str) -> int:
    """Write outcomes of messages that are in the state `before`; how many it changed."""
    update = (
        messages.update()
        .where(messages.c.message_id == sa.bindparam("known"), messages.c.state == before)
        .values(
            {name: sa.bindparam(f"new_{name}") for name in _SETTLED}
            | {name: _or_as_it_was(name) for name in _KEPT}
            | {"tries": messages.c.tries + sa.bindparam("tried")}
        )
    )
    rows = [
        {"known": one.message_id, "tried": one.tried}
        | {f"new_{name}": getattr(one, name) for name in (*_SETTLED, *_KEPT)}
        for one in outcomes
    ]
    return connection.execute(update, rows).rowcount if rows else 0


_SETTLED = ("state", "reason", "sent_at", "receipt", "not_before")
_KEPT = ("segments", "cost_micros")


def _or_as_it_was(name: str) -> sa.ColumnElement[Any]:
    column = messages.c[name]
    return sa.func.coalesce(sa.bindparam(f"new_{name}", type_=column.type), column)


def doubt_messages(connection: sa.Connection, campaign_id: str) -> int:
    """What a crash left `sending` is `unknown` from now on; how many there were."""
    update = messages.update().where(
        messages.c.campaign_id == campaign_id, messages.c.state == SENDING
    )
    return connection.execute(update.values(state=UNKNOWN, reason="interrupted")).rowcount


def count_messages(
    connection: sa.Connection, campaign_ids: Sequence[str] | None = None
) -> dict[str, Any]:
    """Messages by state, of some campaigns or (None) of all.

    Returns
    -------
    `planned` (all messages that were ever planned), `sent`, `unknown`, `failed`, `skipped` (a
    number by reason), `open` (not yet tried, or being tried).

    Notes
    -----
    The law: sent + unknown + failed + the sum of skipped + open = planned. After a delivery that
    was not cut short `open` is 0.
    """
    query = sa.select(messages.c.state, messages.c.reason, sa.func.count().label("n")).group_by(
        messages.c.state, messages.c.reason
    )
    if campaign_ids is not None:
        query = query.where(messages.c.campaign_id.in_(list(campaign_ids)))
    counts: dict[str, int] = dict.fromkeys((*OPEN, SENT, UNKNOWN, FAILED, SKIPPED), 0)
    skipped: dict[str, int] = {}
    for row in connection.execute(query):
        counts[row.state] += row.n
        if row.state == SKIPPED:
            skipped[row.reason] = skipped.get(row.reason, 0) + row.n
    return {
        "planned": sum(counts.values()),
        SENT: counts[SENT],
        UNKNOWN: counts[UNKNOWN],
        FAILED: counts[FAILED],
        SKIPPED: dict(sorted(skipped.items())),
        "open": counts[PLANNED] + counts[SENDING],
    }


def find_examples(
    connection: sa.Connection, campaign_ids: Sequence[str], *, languages: Sequence[str], each: int
) -> list[str]:
    """Up to `each` ids per language of messages that are planned, sent or in doubt, by id."""
    found: list[str] = []
    for language in languages:
        query = (
            sa.select(messages.c.message_id)
            .where(
                messages.c.campaign_id.in_(list(campaign_ids)),
                messages.c.language == language,
                messages.c.state.in_((PLANNED, SENDING, SENT, UNKNOWN)),
            )
            .order_by(messages.c.message_id)
            .limit(each)
        )
        found += connection.execute(query).scalars()
    return found


def load_campaigns(ctx: Context) -> list[str]:
    """Campaigns with messages of the context's turn (of any, where it has no turn), by id."""
    query = sa.select(messages.c.campaign_id).distinct().order_by(messages.c.campaign_id)
    if ctx.turn_id:
        query = query.where(messages.c.turn_id == ctx.turn_id)
    with ctx.store.begin() as connection:
        return list(connection.execute(query).scalars())


def load_states(ctx: Context, campaign_id: str) -> list[State]:
    """`read_states` in a transaction of its own."""
    with ctx.store.begin() as connection:
        return read_states(connection, campaign_id)


def load_planned(ctx: Context, campaign_id: str, *, limit: int) -> list[sa.Row[Any]]:
    """The first planned messages of a campaign, as `read_messages` gives them."""
    with ctx.store.begin() as connection:
        return read_messages(connection, campaign_id, states=[PLANNED], limit=limit)


def load_examples(ctx: Context, message_ids: Sequence[str]) -> list[sa.Row[Any]]:
    """The rows of some messages, in the order of `message_ids`; without those not there."""
    with ctx.store.begin() as connection:
        rows = {row.message_id: row for row in _by_id(connection, list(messages.c), message_ids)}
    return [rows[one] for one in message_ids if one in rows]


def load_example_ids(ctx: Context, *, languages: Sequence[str], each: int) -> list[str]:
    """`find_examples` among the campaigns of the context's turn."""
    campaigns = load_campaigns(ctx)
    with ctx.store.begin() as connection:
        return find_examples(connection, campaigns, languages=languages, each=each)


def _by_id(
    connection: sa.Connection, columns: Sequence[sa.Column[Any]], ids: Sequence[str]
) -> Iterator[sa.Row[Any]]:
    for start in range(0, len(ids), _CHUNK):
        wanted = messages.c.message_id.in_(ids[start : start + _CHUNK])
        yield from connection.execute(sa.select(*columns).where(wanted))


def _insert_if_absent(connection: sa.Connection) -> sa.Insert:
    if connection.dialect.name == "postgresql":
        return postgresql.insert(messages).on_conflict_do_nothing()
    return sqlite.insert(messages).on_conflict_do_nothing()
