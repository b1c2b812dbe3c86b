"""Statements on the ledger's `decision_points` and `policies`.

a point:   active ⇄ paused (only its default action), each → replaced (by a newer version)
a policy:  current → retired; one of a point is current, see `decide.candidates.ledger` for others
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.core.errors import ConcurrentWrite, InvalidParameter, NotFound
from zhiyin.core.ledger import audit, decision_points, policies
from zhiyin.decide.points.definition import Definition, digest, dump, kept
from zhiyin.decide.points.point_policy import PointPolicy

ACTIVE, PAUSED, REPLACED = "active", "paused", "replaced"
CANDIDATE, RAMPING, CURRENT, RETIRED = "candidate", "ramping", "current", "retired"
t, p = decision_points.c, policies.c
Given = Mapping[tuple[str, int, str], int]
"""Point, version and action → how many were given."""


@dataclass(frozen=True)
class Stored:
    """One version of a decision point."""

    key: str
    version: int
    state: str
    definition: Definition
    given: Mapping[str, int]
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True)
class Made:
    """What stands of a policy beside its artifact."""

    point: str
    number: int
    point_version: int
    state: str
    policy_version: str
    parent: int | None
    learned_until: datetime | None
    figures: Mapping[str, Any]
    words: str
    made_at: datetime
    made_by: str


def put(connection: sa.Connection, point: Definition, *, by: str, now: datetime) -> Stored:
    """Keep a version that holds from now on, unless the newest one says the same.

    What was paused stays paused.
    """
    held = newest(connection, point.key)
    if held is not None and held.definition == point:
        return held
    version = held.version + 1 if held else 1
    state = held.state if held else ACTIVE
    if held is not None:
        _set(connection, held, REPLACED, by=by, now=now)
    who = by[:80]
    connection.execute(
        decision_points.insert().values(
            key=point.key, version=version, state=state, digest=digest(point),
            definition=json.loads(dump(point)), given={}, created_at=now, created_by=who,
            changed_at=now, changed_by=who,
        )
    )  # fmt: skip
    note(connection, "decision.put", {"point": point.key, "version": version}, by=by, now=now)
    return Stored(point.key, version, state, point, {}, now, who, now, who)


def turn(
    connection: sa.Connection, key: str, *, state: str, by: str, now: datetime
) -> Stored:  # fmt: skip
    """Pause a point, so that from now on it gives its default action, or let it go on.

    Raises
    ------
    NotFound
        If there is none.
    """
    held = find(connection, key)
    if held.state == state:
        return held
    if state not in (ACTIVE, PAUSED):
        raise InvalidParameter(f"a point can be active or paused, not {state!r}")
    _set(connection, held, state, by=by, now=now)
    action = "decision.pause" if state == PAUSED else "decision.resume"
    note(connection, action, {"point": key, "version": held.version}, by=by, now=now)
    return find(connection, key)


def newest(connection: sa.Connection, key: str) -> Stored | None:
    """The newest version of a point; None: there is none."""
    query = sa.select(decision_points).where(t.key == key).order_by(t.version.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _stored(row)


def find(connection: sa.Connection, key: str, *, version: int | None = None) -> Stored:
    """The newest version of a point, or a certain one.

    Raises
    ------
    NotFound
        If there is none.
    """
    query = sa.select(decision_points).where(t.key == key)
    query = query if version is None else query.where(t.version == version)
    row = connection.execute(query.order_by(t.version.desc()).limit(1)).one_or_none()
    if row is None:
        raise NotFound(f"there is no decision point {key[:60]!r}", hint="zhiyin decision list")
    return _stored(row)


def in_force(connection: sa.Connection) -> list[Stored]:
    """The version of every point that holds, by key."""
    query = sa.select(decision_points).where(t.state.in_((ACTIVE, PAUSED)))
    return [_stored(row) for row in connection.execute(query.order_by(t.key))]


def marks(connection: sa.Connection) -> list[tuple[Any, ...]]:
    """What changes whenever a point that holds, what was given of it, or its policies do."""
    points = sa.select(t.key, t.version, t.state, t.given).where(t.state.in_((ACTIVE, PAUSED)))
    spoken = sa.select(p.point, p.number, p.state, p.share).where(p.state.in_((CURRENT, RAMPING)))
    made = [tuple(row) for row in connection.execute(points.order_by(t.key))]
    return made + [tuple(row) for row in connection.execute(spoken.order_by(p.point, p.number))]


def count_given(connection: sa.Connection, given: Given) -> None:
    """Add to what was given of actions with a stock."""
    for key, version in sorted({(key, version) for key, version, _ in given}):
        mine = (t.key == key) & (t.version == version)
        held = connection.execute(sa.select(t.given, t.definition).where(mine)).one_or_none()
        if held is None:
            continue
        sums = dict(held.given)
        stocked = {one["name"] for one in held.definition["actions"] if "stock" in one}
        for (point, of, action), n in given.items():
            if (point, of) == (key, version) and action in stocked:
                sums[action] = sums.get(action, 0) + n
        if sums == held.given:
            continue
        connection.execute(decision_points.update().where(mine).values(given=sums))


def add_policy(
    connection: sa.Connection,
    point: Stored,
    made: PointPolicy,
    *,
    parent: int | None,
    learned_until: datetime | None,
    figures: Mapping[str, Any],
    words: str,
    by: str,
    now: datetime,
    state: str = CURRENT,
) -> Made:
    """Keep a policy of a point; one that is current retires the one before it.

    Raises
    ------
    ConcurrentWrite
        If another one was added to `parent` meanwhile.
    """
    last = connection.execute(
        sa.select(sa.func.max(p.number)).where(p.point == point.key)
    ).scalar()  # fmt: skip
    spoken = current(connection, point.key)
    if state == CURRENT and parent != (spoken and spoken.number):
        raise ConcurrentWrite(f"the policy of {point.key!r} was changed meanwhile", hint="again")
    if state == CURRENT and spoken is not None:
        mine = (p.point == point.key) & (p.number == spoken.number)
        connection.execute(policies.update().where(mine).values(state=RETIRED))
    values: dict[str, Any] = {
        "point": point.key, "number": (last or 0) + 1, "point_version": point.version,
        "state": state, "policy_version": made.version, "parent": parent,
        "learned_until": learned_until, "figures": dict(figures), "words": words,
        "made_at": now, "made_by": by[:80],
    }  # fmt: skip
    connection.execute(policies.insert().values(artifact=made.pack(), **values))
    detail = {"point": point.key, "number": values["number"], "state": state}
    note(connection, "policy.add", detail, by=by, now=now)
    return Made(**values)


def current(connection: sa.Connection, key: str) -> Made | None:
    """The policy that chooses at a point; None: it has none yet."""
    held = listed(connection, key, state=CURRENT)
    return held[-1] if held else None


def artifact_of(connection: sa.Connection, key: str, number: int) -> bytes:
    """The artifact of a policy, for `point_policy.unpack_policy`."""
    query = sa.select(p.artifact).where(p.point == key, p.number == number)
    return connection.execute(query).scalar_one()


def listed(connection: sa.Connection, key: str, *, state: str | None = None) -> list[Made]:
    """The policies of a point, by number."""
    query = sa.select(*(p[one.name] for one in fields(Made))).where(p.point == key)
    query = query.order_by(p.number)
    query = query if state is None else query.where(p.state == state)
    return [Made(**row) for row in connection.execute(query).mappings()]


def _stored(row: sa.Row[Any]) -> Stored:
    return Stored(
        row.key, row.version, row.state, kept(row.definition), row.given, row.created_at,
        row.created_by, row.changed_at, row.changed_by,
    )  # fmt: skip


def _set(connection: sa.Connection, one: Stored, state: str, *, by: str, now: datetime) -> None:
    mine = (t.key == one.key) & (t.version == one.version)
    values = {"state": state, "changed_at": now, "changed_by": by[:80]}
    connection.execute(decision_points.update().where(mine).values(**values))


def note(
    connection: sa.Connection, action: str, detail: dict[str, Any], *, by: str, now: datetime
) -> None:
    """A line of the audit log."""
    row = {"at": now, "actor": by[:80], "action": action, "detail": detail}
    connection.execute(audit.insert().values(**row))
