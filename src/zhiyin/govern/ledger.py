# pyright: standard
# (SQLAlchemy types rows by their number of columns)
"""What the gate needs to know, read from the ledger: consents, suppressions, earlier messages."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.core import ledger
from zhiyin.core.clock import naive_utc
from zhiyin.govern.gate import MARKETING, UNSUBSCRIBED, Consent, Contact

_CHUNK = 500
_FEW = 5_000  # more parties than this are found by reading the whole table once

REACHED = ("sending", "sent", "unknown")
"""States of a message that may have reached the person: they count for the caps."""


def add_consent(
    connection: sa.Connection, line: Consent, *, text_version: str | None = None,
    proof: bytes | None = None,
) -> None:  # fmt: skip
    """Append a line to the consent record; the same line twice is one.

    Parameters
    ----------
    proof
        What was shown and how the answer came, sealed with the party's key.
    """
    table = ledger.consents
    row: dict[str, Any] = {
        "party_id": line.party_id, "purpose": line.purpose, "channel": line.channel,
        "granted": line.granted, "at": naive_utc(line.at), "source": line.source,
        "text_version": text_version,
    }  # fmt: skip
    content = json.dumps(row, default=str, sort_keys=True).encode()
    row["consent_id"] = hashlib.sha256(content).hexdigest()
    held = sa.select(table.c.consent_id).where(table.c.consent_id == row["consent_id"])
    if connection.execute(held).first() is None:
        connection.execute(table.insert().values(**row, proof=proof))


def read_consents(
    connection: sa.Connection, party_ids: Sequence[str], *, purpose: str | None
) -> dict[str, list[Consent]]:
    """The consent lines of each party for a purpose (None: for all); times aware, in UTC."""
    table = ledger.consents
    query = sa.select(
        table.c.party_id, table.c.purpose, table.c.channel, table.c.granted, table.c.at,
        table.c.source,
    )  # fmt: skip
    if purpose is not None:
        query = query.where(table.c.purpose == purpose)
    found: dict[str, list[Consent]] = defaultdict(list)
    for row in _rows_of(connection, query, table.c.party_id, party_ids):
        party, said, channel, granted, at, source = tuple(row)  # by place: many rows
        found[party].append(Consent(party, said, channel, granted, at.replace(tzinfo=UTC), source))
    return dict(found)


def consents_of_one() -> Any:  # SQLAlchemy types selects of each arity apart
    """The consent lines of the party that is bound to `party_id`, as `Consent` has them."""
    held = ledger.consents.c
    columns = (held.party_id, held.purpose, held.channel, held.granted, held.at, held.source)
    return sa.select(*columns).where(held.party_id == sa.bindparam("party_id"))


def read_languages(
    connection: sa.Connection, party_ids: Sequence[str]
) -> dict[str, tuple[datetime, str]]:
    """When each party chose which language for messages; only those that did."""
    table = ledger.languages
    rows = _rows_of(connection, sa.select(table), table.c.party_id, party_ids)
    return {row.party_id: (row.at, row.language) for row in rows}


def newest_language(chosen: Mapping[str, tuple[datetime, str]], parties: Sequence[str]) -> str:
    """The language that was chosen last by one of a person's parties; empty where none was."""
    return max((chosen[one] for one in parties if one in chosen), default=(None, ""))[1]


def set_language(connection: sa.Connection, party_id: str, language: str, *, at: datetime) -> None:
    """Keep in which language a party wants messages."""
    table = ledger.languages
    values: dict[str, Any] = {"language": language, "at": naive_utc(at)}
    mine = table.update().where(table.c.party_id == party_id)
    if not connection.execute(mine.values(**values)).rowcount:
        connection.execute(table.insert().values(party_id=party_id, **values))


def read_contacts(
    connection: sa.Connection, party_ids: Sequence[str], *, since: datetime, until: datetime
) -> dict[str, list[Contact]]:
    """What each party was, or may have been, sent as marketing in (since, until]."""
    table = ledger.messages
    at = sa.func.coalesce(table.c.sent_at, table.c.planned_at).label("contacted_at")
    query = sa.select(table.c.party_id, table.c.channel, table.c.campaign_id, at).where(
        table.c.state.in_(REACHED),
        table.c.purpose == MARKETING,
        at > naive_utc(since),
        at <= naive_utc(until),
    )
    found: dict[str, list[Contact]] = defaultdict(list)
    for row in _rows_of(connection, query, table.c.party_id, party_ids):
        contact = Contact(row.contacted_at.replace(tzinfo=UTC), row.channel, row.campaign_id)
        found[row.party_id].append(contact)
    return dict(found)


def find_reached(connection: sa.Connection) -> frozenset[str]:
    """Every party that got a marketing message."""
    table = ledger.messages
    reached = sa.select(table.c.party_id).where(
        table.c.state.in_(REACHED), table.c.purpose == MARKETING
    )
    return frozenset(connection.execute(reached.distinct()).scalars())


def read_suppressed(
    connection: sa.Connection, tokens: Sequence[str], *, channel: str
) -> dict[str, list[tuple[str, datetime]]]:
    """Why and since when (aware) each of the keyed hashes is suppressed for the channel; only
    those that are on the list.
    """
    table = ledger.suppressions
    query = sa.select(table).where(table.c.channel.in_((channel, "*")))
    found: dict[str, list[tuple[str, datetime]]] = defaultdict(list)
    for row in _rows_of(connection, query, table.c.token, tokens):
        found[row.token].append((row.reason, row.at.replace(tzinfo=UTC)))
    return dict(found)


def add_suppressions(
    connection: sa.Connection,
    tokens: Iterable[tuple[str, str]],
    *,
    reason: str,
    at: datetime,
) -> int:
    """Put (keyed hash, channel) pairs on the suppression list; how many rows were new or changed.

    The strictest reason stays: what a consent can lift gives way to what none can, and two
    unsubscriptions count as the later one.
    """
    table, moment, changed = ledger.suppressions, naive_utc(at), 0
    for token, channel in sorted(set(tokens)):
        mine = (table.c.token == token) & (table.c.channel == channel)
        held = connection.execute(sa.select(table).where(mine)).one_or_none()
        if held is None:
            values = {"token": token, "channel": channel, "reason": reason, "at": moment}
            connection.execute(table.insert().values(**values))
        elif held.reason == UNSUBSCRIBED and (reason != UNSUBSCRIBED or moment > held.at):
            connection.execute(table.update().where(mine).values(reason=reason, at=moment))
        else:
            continue
        changed += 1
    return changed


def _rows_of(
    connection: sa.Connection,
    query: Any,  # a select of any columns: SQLAlchemy types each arity apart
    column: sa.ColumnElement[str],
    wanted: Sequence[str],
) -> Iterator[sa.Row[Any, Any]]:
    ids = sorted(set(wanted))
    if len(ids) > _FEW:
        yield from _only(connection.execute(query), column, frozenset(ids))
        return
    some = query.where(column.in_(sa.bindparam("wanted", expanding=True)))
    for start in range(0, len(ids), _CHUNK):
        yield from connection.execute(some, {"wanted": ids[start : start + _CHUNK]})


def _only(
    rows: Iterable[sa.Row[Any, Any]],
    column: sa.ColumnElement[str],
    wanted: frozenset[str],
) -> Iterator[sa.Row[Any, Any]]:
    key = str(column.key)
    return (row for row in rows if getattr(row, key) in wanted)
