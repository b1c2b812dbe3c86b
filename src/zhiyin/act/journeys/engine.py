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

from zhiyin.act.journeys.graph import FINISHED, Graph, draw_lot
from zhiyin.core.ledger import journey_counts, journey_people, journey_places

people, places = journey_people.c, journey_places.c
BATCH = 50_000
CHUNK = 5_000  # values in one statement
_NEW = ("entry_id", "party_id", "occurrence", "entered_s")
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
    return sa.and_(graph.at(name), places.due_s <= now_s)


def any_due(connection: sa.Connection, graph: Graph, now_s: int) -> bool:
    """Whether somebody's time has come in the journey."""
    return bool(connection.scalar(graph.any_due, {"now": now_s}))


def pass_on(
    begin: Begin, graph: Graph, name: str, *, to: str, now_s: int, batch: int = BATCH
) -> int:
    """Move everybody whose time at the step (none: before the first) is over; how many."""
    moved, order, after = 0, (places.due_s, places.entry_id), (-1, -1)
    while True:
        mine = sa.and_(due(graph, name, now_s), sa.tuple_(*order) > after)
        query = sa.select(*order).where(mine).order_by(*order).offset(batch - 1).limit(1)
        with begin() as connection:
            last = connection.execute(query).first()
            upto = mine if last is None else sa.and_(mine, sa.tuple_(*order) <= tuple(last))
            moved += _go(connection, graph, upto, to=to, at=places.due_s)
        if last is None:
            return moved
        after = tuple(last)  # behind it lies what was moved: an index keeps it for a while


def move(
    connection: sa.Connection, graph: Graph, name: str, ids: Sequence[int], *, to: str
) -> int:  # fmt: skip
    """Move the rows that still stand at the step to the next one; how many."""
    moved = 0
    for part in _parts(ids):
        mine = sa.and_(graph.at(name), places.entry_id.in_(part))
        moved += _go(connection, graph, mine, to=to, at=places.due_s)
    return moved


def _go(
    connection: sa.Connection,
    graph: Graph,
    mine: sa.ColumnElement[bool],
    *,
    to: str,
    at: sa.ColumnElement[int],
    each: Sequence[Mapping[str, Any]] | None = None,
) -> int:
    """Whom the condition chooses comes to the step `to` (or leaves there); how many."""
    landing, n = graph.landing(to, at), 0
    if landing.over is not None:
        n = _out(connection, sa.and_(mine, landing.over), reason=FINISHED, each=each)
        mine = sa.and_(mine, sa.not_(landing.over))
    if not isinstance(landing.over, sa.True_):
        update = journey_places.update().where(mine).values(landing.stands)
        n += connection.execute(update, each).rowcount
    return n


def _out(
    connection: sa.Connection,
    mine: sa.ColumnElement[bool],
    *,
    reason: str,
    each: Sequence[Mapping[str, Any]] | None = None,
) -> int:
    """Whom the condition on her place chooses leaves; how many."""
    hers = people.entry_id.in_(sa.select(places.entry_id).where(mine))
    connection.execute(journey_people.update().where(hers).values(reason=reason), each)
    return connection.execute(journey_places.delete().where(mine), each).rowcount


def read_due(
    connection: sa.Connection,
    graph: Graph,
    name: str,
    *,
    now_s: int,
    limit: int,
    after: tuple[int, int] = (-1, -1),
) -> list[Any]:  # Any: ledger rows
    """Rows whose time at the step has come, `after` a due time and an id, the oldest first."""
    order = (places.due_s, places.entry_id)
    columns: list[Any] = [places.entry_id, people.party_id, people.occurrence, places.due_s]
    query = (
        sa.select(*columns)
        .join_from(journey_places, journey_people, people.entry_id == places.entry_id)
        .where(due(graph, name, now_s), sa.tuple_(*order) > after)
        .order_by(*order)
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
    hers = _inside(graph, people.party_id == sa.bindparam("who"))
    mine = sa.and_(graph.at(name), hers, places.since_s < at, places.due_s >= at)
    for part in _parts([{"who": who, "at": at_s} for who, at_s in done]):
        _go(connection, graph, mine, to=to, at=at, each=part)


def leave(
    connection: sa.Connection, graph: Graph, *, reason: str, done: Iterable[tuple[str, int]]
) -> None:
    """Let those leave who did at the moment, after they had entered, what ends the journey."""
    hers = people.party_id == sa.bindparam("who")
    mine = _inside(graph, hers, people.entered_s <= sa.bindparam("at"))
    for part in _parts([{"who": who, "at": at_s} for who, at_s in done]):
        _out(connection, mine, reason=reason, each=part)


def drop(connection: sa.Connection, ids: Sequence[int], *, reason: str) -> None:
    """Let the entries leave."""
    for part in _parts(ids):
        _out(connection, places.entry_id.in_(part), reason=reason)


def _inside(graph: Graph, *hers: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether a place is that of somebody in the version of whom this holds."""
    mine = (people.journey == graph.key, people.version == graph.version)
    return places.entry_id.in_(sa.select(people.entry_id).where(*mine, *hers))


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
                "occurrence": one.occurrence, "entered_s": one.at_s,
            }
            for one in part
            if _may_enter(graph, one, held)
        ]  # fmt: skip
        if not rows:
            continue
        new = _insert(connection).returning(*(people[name] for name in _NEW))
        stand = [
            {
                "entry_id": row.entry_id, "journey": graph.key, "version": graph.version,
                "step": 0, "since_s": row.entered_s, "due_s": row.entered_s,
                "lot": draw_lot(graph.key, row.party_id, row.occurrence),
            }
            for row in connection.execute(new, rows)
        ]  # fmt: skip
        if stand:
            connection.execute(journey_places.insert(), stand)
        entered += len(stand)
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
