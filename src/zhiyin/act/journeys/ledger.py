"""Statements on the ledger's `journeys`: versions and their states; who is where.

draft → published → replaced (by a newer version: nobody enters, those inside go on)
           │  ↑
           ↓  │
         paused      and from each of them → ended (those inside leave)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.act.journeys.check import parse
from zhiyin.act.journeys.definition import Definition, NextBest, digest, dump
from zhiyin.act.journeys.graph import Graph
from zhiyin.act.ledger import PLANNED, SKIPPED
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.ledger import (
    audit,
    decision_requests,
    journey_calls,
    journey_counts,
    journey_people,
    journey_places,
    journeys,
    messages,
)

DRAFT, PUBLISHED, PAUSED = "draft", "published", "paused"
REPLACED, ENDED = "replaced", "ended"
JOURNEY_ENDED = "journey_ended"
PREFIX = "journey:"  # of the campaign that a journey's messages belong to
STATES = (DRAFT, PUBLISHED, PAUSED, REPLACED, ENDED)
t = journeys.c


@dataclass(frozen=True)
class Stored:
    """One version of a journey."""

    key: str
    version: int
    state: str
    definition: Definition
    position: Mapping[str, Any] | None
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


def campaign_of(key: str) -> str:
    """The campaign that a journey's messages belong to."""
    return f"{PREFIX}{key}"


def keep(connection: sa.Connection, definition: Definition, *, by: str, now: datetime) -> Stored:
    """Keep a draft of the journey: a new version, unless the newest one says the same."""
    held = versions(connection, definition.key)
    newest = held[-1] if held else None
    if newest is not None and newest.state != ENDED and newest.definition == definition:
        return newest
    version = newest.version + 1 if newest else 1
    who = by[:80]
    connection.execute(
        journeys.insert().values(
            key=definition.key, version=version, state=DRAFT, digest=digest(definition),
            definition=json.loads(dump(definition)), created_at=now, created_by=who,
            changed_at=now, changed_by=who,
        )
    )  # fmt: skip
    _note(connection, "journey.add", definition.key, version, by=by, now=now)
    return Stored(definition.key, version, DRAFT, definition, None, now, who, now, who)


def publish(
    connection: sa.Connection, key: str, *, position: Mapping[str, Any], by: str, now: datetime
) -> Stored:
    """Let the newest version begin; earlier ones let nobody enter any more.

    Raises
    ------
    NotFound
        If there is no such journey.
    InvalidParameter
        If the newest version is no draft.
    """
    newest = find(connection, key)
    if newest.state != DRAFT:
        raise InvalidParameter(
            f"version {newest.version} of {key!r} is {newest.state}",
            hint="keep a changed definition first: zhiyin journey add FILE",
        )
    for one in versions(connection, key)[:-1]:
        if one.state in (PUBLISHED, PAUSED):
            _set(connection, one, REPLACED, by=by, now=now)
    _set(connection, newest, PUBLISHED, by=by, now=now, position=dict(position))
    _note(connection, "journey.publish", key, newest.version, by=by, now=now)
    return find(connection, key)


def pause(connection: sa.Connection, key: str, *, by: str, now: datetime) -> Stored:
    """Stand still: nobody enters and nobody goes on, in any version."""
    return _turn(connection, key, PUBLISHED, PAUSED, "pause", by=by, now=now)


def resume(connection: sa.Connection, key: str, *, by: str, now: datetime) -> Stored:
    """Go on; what came due too long ago is skipped."""
    return _turn(connection, key, PAUSED, PUBLISHED, "resume", by=by, now=now)


def end(connection: sa.Connection, key: str, *, by: str, now: datetime) -> Stored:
    """End a journey for good: all who are inside leave, what is not sent yet is skipped."""
    newest = find(connection, key)
    for one in versions(connection, key):
        if one.state not in (DRAFT, ENDED):
            _set(connection, one, ENDED, by=by, now=now)
    inside = (journey_people.c.journey == key) & journey_people.c.reason.is_(None)
    connection.execute(journey_people.update().where(inside).values(reason=ENDED))
    connection.execute(journey_places.delete().where(journey_places.c.journey == key))
    waiting = (messages.c.campaign_id == campaign_of(key)) & (messages.c.state == PLANNED)
    connection.execute(
        messages.update().where(waiting).values(state=SKIPPED, reason=JOURNEY_ENDED)
    )  # fmt: skip
    waiting = (journey_calls.c.journey == key) & (journey_calls.c.state == PLANNED)
    connection.execute(
        journey_calls.update().where(waiting).values(state=SKIPPED, reason=JOURNEY_ENDED)
    )  # fmt: skip
    _note(connection, "journey.end", key, newest.version, by=by, now=now)
    return find(connection, key)


def find(connection: sa.Connection, key: str, *, version: int | None = None) -> Stored:
    """The newest version of a journey, or a certain one.

    Raises
    ------
    NotFound
        If there is none.
    """
    held = [one for one in versions(connection, key) if version in (None, one.version)]
    if not held:
        raise NotFound(f"there is no journey {key[:60]!r}", hint="zhiyin journey list")
    return held[-1]


def versions(connection: sa.Connection, key: str | None = None) -> list[Stored]:
    """All versions (of one journey), by key and version."""
    query = sa.select(journeys).order_by(t.key, t.version)
    query = query if key is None else query.where(t.key == key)
    return [
        Stored(
            row.key, row.version, row.state, parse(row.definition), row.position, row.created_at,
            row.created_by, row.changed_at, row.changed_by,
        )
        for row in connection.execute(query)
    ]  # fmt: skip


def running(connection: sa.Connection, known: Mapping[tuple[str, int], Graph]) -> list[Graph]:
    """The versions in which people go on, ready to run; `known` ones are not read again."""
    query = sa.select(t.key, t.version, t.state, t.position).where(
        t.state.in_((PUBLISHED, PAUSED, REPLACED))
    )
    rows = connection.execute(query.order_by(t.key, t.version)).all()
    paused = {row.key for row in rows if row.state == PAUSED}
    made: list[Graph] = []
    for row in rows:
        if row.key in paused:
            continue
        held, entering = known.get((row.key, row.version)), row.state == PUBLISHED
        if held and held.position == row.position and held.entering == entering:
            made.append(held)
            continue
        definition = held.definition if held else find(
            connection, row.key, version=row.version
        ).definition  # fmt: skip
        made.append(Graph(row.key, row.version, definition, row.position or {}, entering))
    return made


def read_on(connection: sa.Connection, graph: Graph, position: Mapping[str, Any]) -> None:
    """Remember how far the version has read what brings people in."""
    mine = (t.key == graph.key) & (t.version == graph.version)
    connection.execute(journeys.update().where(mine).values(position=dict(position)))


def read_people(connection: sa.Connection, key: str) -> list[Any]:  # Any: ledger rows
    """How many are at each step of each version (`reason` none), and how many left, and why."""
    p, w, n = journey_people.c, journey_places.c, sa.func.count().label("n")
    inside = sa.select(w.version, w.step.label("place"), sa.null().label("reason"), n)
    inside = inside.where(w.journey == key).group_by(w.version, w.step)
    left = sa.select(p.version, sa.literal(-1).label("place"), p.reason, n)
    left = left.where(p.journey == key, p.reason.is_not(None)).group_by(p.version, p.reason)
    rows = [*connection.execute(left), *connection.execute(inside)]
    return sorted(rows, key=lambda row: (row.version, row.place, row.reason or ""))


def read_counts(connection: sa.Connection, key: str) -> list[sa.Row[Any]]:
    """What was counted in each version."""
    query = sa.select(journey_counts).where(journey_counts.c.journey == key)
    return list(connection.execute(query.order_by(*journey_counts.primary_key.columns)))


def read_stuck(
    connection: sa.Connection, *, before_s: int, key: str | None = None, limit: int
) -> list[Any]:  # Any: ledger rows
    """Who is inside and should have gone on before the moment, the longest first."""
    p, w = journey_people.c, journey_places.c
    columns: list[Any] = [w.journey, w.version, w.step, p.party_id, w.due_s, t.state]
    query = (
        sa.select(*columns)
        .join_from(journey_places, journey_people, p.entry_id == w.entry_id)
        .join(journeys, (t.key == w.journey) & (t.version == w.version))
        .where(w.due_s < before_s)
    )
    query = query if key is None else query.where(w.journey == key)
    return list(connection.execute(query.order_by(w.due_s, w.entry_id).limit(limit)))


def _turn(
    connection: sa.Connection, key: str, before: str, after: str, action: str, *, by: str,
    now: datetime,
) -> Stored:  # fmt: skip
    held = [one for one in versions(connection, key) if one.state == before]
    if not held:
        find(connection, key)
        raise InvalidParameter(
            f"no version of {key!r} is {before}", hint=f"zhiyin journey show {key}"
        )
    _set(connection, held[-1], after, by=by, now=now)
    _note(connection, f"journey.{action}", key, held[-1].version, by=by, now=now)
    return find(connection, key, version=held[-1].version)


def _set(
    connection: sa.Connection, one: Stored, state: str, *, by: str, now: datetime, **more: Any
) -> None:
    mine = (t.key == one.key) & (t.version == one.version)
    connection.execute(
        journeys.update()
        .where(mine)
        .values(state=state, changed_at=now, changed_by=by[:80], **more)
    )


def _note(
    connection: sa.Connection, action: str, key: str, version: int, *, by: str, now: datetime
) -> None:
    detail = {"journey": key, "version": version}
    row = {"at": now, "actor": by[:80], "action": action, "detail": detail}
    connection.execute(audit.insert().values(**row))


def read_decisions(
    connection: sa.Connection, definition: Definition, name: str, ids: Sequence[int]
) -> dict[int, str]:
    """Entry → the decision that led to the step `name`, of those who came there by one."""
    d = decision_requests.c
    led = [
        (d.step == step)
        & d.action.in_([one for one, to in steps.actions.items() if to.next == name])
        for step, steps in definition.steps.items()
        if isinstance(steps, NextBest)
    ]
    if not led:
        return {}
    query = sa.select(d.entry_id, d.decision_id).where(d.entry_id.in_(ids), sa.or_(*led))
    return dict(connection.execute(query.order_by(d.asked_s)).all())


def party_ids(rows: Sequence[sa.Row[Any]]) -> list[str]:
    """The parties of rows, without repeats, sorted."""
    return sorted({row.party_id for row in rows})


def seconds(moment: datetime) -> int:
    """Seconds since 1970 of a moment; a naive one is UTC, as the ledger keeps it."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp())
