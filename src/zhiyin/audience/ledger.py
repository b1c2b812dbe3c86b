"""Statements on the ledger's `audiences` and `membership_changes`."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.audience.check import lists_of
from zhiyin.audience.rule import Audience, Rule, dump, leaves, parse
from zhiyin.core.columns import CUSTOMER_ID
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.ledger import audiences, audit, membership_changes

SCHEDULED, STATIC, LIVE, REMOVED = "scheduled", "static", "live", "removed"
KINDS = (SCHEDULED, STATIC, LIVE)
_NAME = re.compile(r"\w[\w .:-]{0,79}")
_STEP = 5_000


@dataclass(frozen=True)
class Stored:
    """One version of an audience. Scheduled: asked again in every turn; static: asked once; live:
    asked whenever something comes in or time has passed.

    `asked` is what a live one was last asked about: moment, snapshot, versions of tables.
    """

    name: str
    version: int
    kind: str
    rule: Rule
    created_at: datetime
    created_by: str
    evaluated_on: date | None = None
    asked: dict[str, Any] | None = None


def add_audience(
    connection: sa.Connection, name: str, rule: Rule, *, kind: str, by: str, now: datetime
) -> Stored:
    """Add an audience, or a version of it, which holds from now on; noted in the audit log.

    The rule must have been checked (`compile`).

    Raises
    ------
    InvalidParameter
        If the name or the kind is none.
    """
    if not _NAME.fullmatch(name) or name == CUSTOMER_ID:
        raise InvalidParameter(
            f"{name[:100]!r} is no name of an audience",
            hint="1 to 80 letters, digits, spaces, or one of . : _ -",
        )
    if kind not in KINDS:
        raise InvalidParameter(f"there is no kind {kind!r}", hint=f"kinds: {', '.join(KINDS)}")
    return _add(connection, name, rule, kind, by=by, now=now)


def remove_audience(connection: sa.Connection, name: str, *, by: str, now: datetime) -> Stored:
    """Let an audience be asked no more; its versions and its changes stay.

    Raises
    ------
    NotFound
        If there is none of this name.
    InvalidParameter
        If another audience names it, or asks for its look-alikes.
    """
    held = find_audience(connection, name)
    users = [
        one.name
        for one in list_audiences(connection)
        if name in lists_of(one.rule)
        or any(isinstance(leaf, Audience) and leaf.name == name for _, leaf in leaves(one.rule))
    ]
    if users:
        raise InvalidParameter(
            f"the audience {name!r} is part of {', '.join(users)}", hint="change these first"
        )
    return _add(connection, name, held.rule, REMOVED, by=by, now=now)


def _add(
    connection: sa.Connection, name: str, rule: Rule, kind: str, *, by: str, now: datetime
) -> Stored:
    newest = sa.select(sa.func.max(audiences.c.version)).where(audiences.c.name == name)
    made = Stored(name, (connection.scalar(newest) or 0) + 1, kind, rule, now, by[:80])
    values = vars(made) | {"rule": json.loads(dump(rule))}
    connection.execute(audiences.insert().values(**values))
    action = "audience.remove" if kind == REMOVED else "audience.add"
    detail = {"name": name, "version": made.version, "kind": kind}
    connection.execute(
        audit.insert().values(at=now, actor=by[:80], action=action, detail=detail)
    )  # fmt: skip
    return made


def find_audience(connection: sa.Connection, name: str) -> Stored:
    """The version of an audience that holds.

    Raises
    ------
    NotFound
        If there is none of this name.
    """
    found = [one for one in list_audiences(connection) if one.name == name]
    if not found:
        raise NotFound(f"there is no audience {name!r}", hint="zhiyin audience list")
    return found[0]


def list_audiences(connection: sa.Connection) -> list[Stored]:
    """The audiences that hold, by name."""
    t = audiences.c
    newest = sa.select(t.name, sa.func.max(t.version).label("version")).group_by(t.name).subquery()
    query = (
        sa.select(audiences)
        .join(newest, (t.name == newest.c.name) & (t.version == newest.c.version))
        .where(t.kind != REMOVED)
        .order_by(t.name)
    )
    return [
        Stored(
            row.name, row.version, row.kind, parse(row.rule), row.created_at, row.created_by,
            row.evaluated_on, row.asked,
        )
        for row in connection.execute(query)
    ]  # fmt: skip


def last_evaluations(connection: sa.Connection) -> dict[str, date]:
    """Audience → the last day that was evaluated, under whichever of its versions."""
    t = audiences.c
    query = sa.select(t.name, sa.func.max(t.evaluated_on)).where(t.evaluated_on.is_not(None))
    rows = connection.execute(query.group_by(t.name))
    return {name: day for name, day in rows}  # noqa: C416  rows are no pairs to a type checker


def told_members(connection: sa.Connection, name: str) -> set[str]:
    """Who is in, going by the changes that were told: whose last one is that she entered."""
    t = membership_changes.c
    last = sa.select(sa.func.max(t.change_id)).where(t.audience == name).group_by(t.customer_id)
    query = sa.select(t.customer_id).where(t.change_id.in_(last), t.entered)
    return set(connection.scalars(query))


def tell_changes(
    connection: sa.Connection,
    stored: Stored,
    members: Iterable[str],
    *,
    as_of: date,
    now: datetime,
    among: Collection[str] | None = None,
    asked: dict[str, Any] | None = None,
) -> tuple[int, int]:
    """Note who entered and who left since the last time; how many did.

    What was told is the only memory, so that a crash before or after tells nobody twice.

    Parameters
    ----------
    among
        Who was asked; None: everybody.
    asked
        What to keep as `Stored.asked`.
    """
    before, after = told_members(connection, stored.name), set(members)
    before = before if among is None else before & set(among)
    changes = [(one, True) for one in sorted(after - before)]
    changes += [(one, False) for one in sorted(before - after)]
    head: dict[str, Any] = {
        "audience": stored.name, "version": stored.version, "as_of_on": as_of, "at": now,
    }  # fmt: skip
    rows = [head | {"customer_id": one, "entered": entered} for one, entered in changes]
    for start in range(0, len(rows), _STEP):
        connection.execute(membership_changes.insert(), rows[start : start + _STEP])
    mine = (audiences.c.name == stored.name) & (audiences.c.version == stored.version)
    connection.execute(audiences.update().where(mine).values(evaluated_on=as_of, asked=asked))
    return len(after - before), len(before - after)


def read_changes(
    connection: sa.Connection, *, after: int = 0, name: str | None = None, limit: int = 1000
) -> list[dict[str, Any]]:
    """Changes with a number above `after`, in their order: the feed that journeys follow."""
    t = membership_changes.c
    query = sa.select(membership_changes).where(t.change_id > after)
    query = query if name is None else query.where(t.audience == name)
    rows = connection.execute(query.order_by(t.change_id).limit(limit)).mappings()
    return [dict(row) for row in rows]
