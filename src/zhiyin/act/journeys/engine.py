"""Moves people on, many in one statement; every batch is a transaction of its own.

Times are a person's own: what follows a step begins when she was due there, not when a tick came
by. So the order of ticks, pauses and outages changes nothing but which messages come too late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from zhiyin.act.journeys.graph import Graph, draw_lot
from zhiyin.core.ledger import journey_counts, journey_people

people = journey_people.c
BATCH = 50_000
CHUNK = 5_000  # values in one statement
_HELD = ("party_id", "occurrence", "entered_s", "reason")
Begin = Callable[[], AbstractContextManager[sa.Connection]]


@dataclass(frozen=True)
class Candidate:
    """Somebody who may enter: what brings her in, and when that was (seconds since 1970)."""

    party_id: str
    occurrence: str
    at_s: int
    parties: tuple[str, ...] = ()  # all of hers


def due(graph: Graph, name: str, now_s: int) -> sa.ColumnElement[bool]:
    """Rows at the step whose time has come."""
    return sa.and_(graph.at(name), people.due_s <= now_s)


def any_due(connection: sa.Connection, graph: Graph, now_s: int) -> bool:
    """Whether somebody's time has come in the journey."""
    return bool(connection.scalar(graph.any_due, {"now": now_s}))


def pass_on(
    begin: Begin, graph: Graph, name: str, *, to: str, now_s: int, batch: int = BATCH
) -> int:
    """Move everybody whose time at the step (none: before the first) is over; how many."""
    moved = 0
    while True:
        chosen = (
            sa.select(people.entry_id)
            .where(due(graph, name, now_s))
            .order_by(people.due_s, people.entry_id)
            .limit(batch)
        )
        update = journey_people.update().where(people.entry_id.in_(chosen))
        landing = graph.landing(to, people.due_s)
        ended = landing.pop("reason", None)
        with begin() as connection:
            n = 0
            if ended is not None:  # apart: a change of `reason` touches further indexes
                over = update.where(ended.is_not(None)).values(landing | {"reason": ended})
                n = connection.execute(over).rowcount
                update = update.where(ended.is_(None))
            n += connection.execute(update.values(landing)).rowcount
        moved += n
        if not n:
            return moved


def move(
    connection: sa.Connection, graph: Graph, name: str, ids: Sequence[int], *, to: str
) -> int:  # fmt: skip
    """Move the rows that still stand at the step to the next one; how many."""
    moved = 0
    for start in range(0, len(ids), CHUNK):
        mine = sa.and_(graph.at(name), people.entry_id.in_(ids[start : start + CHUNK]))
        update = journey_people.update().where(mine).values(graph.landing(to, people.due_s))
        moved += connection.execute(update).rowcount
    return moved


def read_due(
    connection: sa.Connection,
    graph: Graph,
    name: str,
    *,
    now_s: int,
    limit: int,
    after: tuple[int, int] = (-1, -1),
) -> list[sa.Row[Any]]:
    """Rows whose time at the step has come, `after` a due time and an id, the oldest first."""
    order = (people.due_s, people.entry_id)
    names = ("entry_id", "party_id", "occurrence", "due_s")
    query = (
        sa.select(*(people[name] for name in names))
        .where(due(graph, name, now_s), sa.tuple_(*order) > after)
        .order_by(people.due_s, people.entry_id)
        .limit(limit)
    )
    return list(connection.execute(query))


def happen(
    connection: sa.Connection, graph: Graph, name: str, *, to: str, done: Iterable[tuple[str, int]]
) -> None:
    """Move on who did at the moment what she waits for at the step; pairs are in order of time.

    A moment counts after she came to the step, until her time there is over.
    """
    at = sa.bindparam("at", type_=sa.BigInteger)
    mine = sa.and_(
        graph.at(name), people.party_id == sa.bindparam("who"), people.since_s < at,
        people.due_s >= at,
    )  # fmt: skip
    update = journey_people.update().where(mine).values(graph.landing(to, at))
    for part in _parts([{"who": who, "at": at_s} for who, at_s in done]):
        connection.execute(update, part)


def leave(
    connection: sa.Connection, graph: Graph, *, reason: str, done: Iterable[tuple[str, int]]
) -> None:
    """Let those leave who did at the moment, after they had entered, what ends the journey."""
    mine = sa.and_(
        people.journey == graph.key, people.version == graph.version, people.reason.is_(None),
        people.party_id == sa.bindparam("who"), people.entered_s <= sa.bindparam("at"),
    )  # fmt: skip
    update = journey_people.update().where(mine).values(reason=reason)
    for part in _parts([{"who": who, "at": at_s} for who, at_s in done]):
        connection.execute(update, part)


def enter(connection: sa.Connection, graph: Graph, candidates: Sequence[Candidate]) -> int:
    """Let those enter whom the rules of re-entry allow; how many did. Doing it again is harmless.

    Nobody is in a journey twice at a time, and nothing brings a person in twice, over all of her
    records and all versions.
    """
    entered = 0
    for part in _parts(candidates, size=CHUNK // 5):
        held = _entries(connection, graph.key, part)
        rows = [
            {
                "journey": graph.key, "version": graph.version, "party_id": one.party_id,
                "occurrence": one.occurrence, "step": 0, "entered_s": one.at_s,
                "since_s": one.at_s, "due_s": one.at_s,
                "lot": draw_lot(graph.key, one.party_id, one.occurrence),
            }
            for one in part
            if _may_enter(graph, one, held)
        ]  # fmt: skip
        if rows:
            new = _insert(connection).returning(people.entry_id)
            entered += len(connection.execute(new, rows).all())
    return entered


def count(
    connection: sa.Connection, graph: Graph, step: str, what: Mapping[str, int]
) -> None:  # fmt: skip
    """Add to the journey's counts."""
    for code, n in what.items():
        if not n:
            continue
        row = {
            "journey": graph.key, "version": graph.version, "step": step, "what": code,
        }  # fmt: skip
        c = journey_counts.c
        mine = sa.and_(*(c[name] == value for name, value in row.items()))
        if not connection.execute(journey_counts.update().where(mine).values(n=c.n + n)).rowcount:
            connection.execute(journey_counts.insert().values(**row, n=n))


def _may_enter(
    graph: Graph, one: Candidate, held: Mapping[str, Sequence[sa.Row[Any]]]
) -> bool:  # fmt: skip
    rows = [row for party in (one.parties or (one.party_id,)) for row in held.get(party, ())]
    if any(row.reason is None or row.occurrence == one.occurrence for row in rows):
        return False
    if graph.definition.reentry == "always" or not rows:
        return True
    if graph.definition.reentry == "never":
        return False
    rest_s = graph.definition.reentry_days * 86_400
    return all(abs(one.at_s - row.entered_s) >= rest_s for row in rows)


def _entries(
    connection: sa.Connection, key: str, candidates: Sequence[Candidate]
) -> dict[str, list[sa.Row[Any]]]:
    parties = sorted({party for one in candidates for party in (one.party_id, *one.parties)})
    found: dict[str, list[sa.Row[Any]]] = {}
    for part in _parts(parties):
        query = sa.select(*(people[name] for name in _HELD)).where(
            people.journey == key, people.party_id.in_(part)
        )
        for row in connection.execute(query):
            found.setdefault(row.party_id, []).append(row)
    return found


def _insert(connection: sa.Connection) -> sa.Insert:
    if connection.dialect.name == "postgresql":
        return postgresql.insert(journey_people).on_conflict_do_nothing()
    return sqlite.insert(journey_people).on_conflict_do_nothing()


def _parts(values: Sequence[Any], *, size: int = CHUNK) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
