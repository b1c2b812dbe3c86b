"""Statements on the ledger's `tracking_plans`: versions are added, none is ever changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.collect.plan import Plan, check_mode, check_names, check_schema
from zhiyin.core.errors import NotFound
from zhiyin.core.ledger import audit, compactions, tracking_plans

REMOVED = "removed"
"""Mode of a version that takes the event out of the plan."""
Pin = tuple[str, str, int]
"""Source, event and version of a plan."""


def set_plan(
    connection: sa.Connection,
    source: str,
    event: str,
    *,
    schema: object,
    mode: str,
    by: str,
    now: datetime,
) -> Plan:
    """Add a version of the event's plan, which holds from now on; noted in the audit log.

    Raises
    ------
    InvalidParameter
        If a name, the mode or the schema is none.
    """
    check_names(source, event)
    check_mode(mode)
    return _add(connection, source, event, check_schema(schema), mode, by, now)


def remove_plan(
    connection: sa.Connection, source: str, event: str, *, by: str, now: datetime
) -> Plan:
    """Take the event out of the source's plan; its versions stay.

    Raises
    ------
    NotFound
        If it is not in the plan.
    """
    held = find_plan(connection, source, event)
    return _add(connection, source, event, held.schema, REMOVED, by, now)


def _add(
    connection: sa.Connection,
    source: str,
    event: str,
    schema: Mapping[str, Any],
    mode: str,
    by: str,
    now: datetime,
) -> Plan:
    last = sa.select(sa.func.max(tracking_plans.c.version)).where(
        tracking_plans.c.source == source, tracking_plans.c.event == event
    )
    version = (connection.execute(last).scalar_one() or 0) + 1
    made = Plan(source, event, version, mode, schema, now, by[:80])
    connection.execute(tracking_plans.insert().values(**vars(made) | {"schema": dict(schema)}))
    action = "plan.remove" if mode == REMOVED else "plan.set"
    detail = {"source": source, "event": event, "version": version, "mode": mode}
    connection.execute(
        audit.insert().values(at=now, actor=by[:80], action=action, detail=detail)
    )  # fmt: skip
    return made


def find_plan(
    connection: sa.Connection, source: str, event: str, *, version: int | None = None
) -> Plan:
    """The plan of an event that holds, or one of its versions.

    Raises
    ------
    NotFound
        If the event is not in the source's plan, or has no such version.
    """
    if version is None:
        found = [one for one in list_plans(connection, source) if one.event == event]
    else:
        found = list(_read(connection, [(source, event, version)]))
    if not found:
        raise NotFound(
            f"the plan of {source!r} has no such event or version", hint="zhiyin plan list"
        )
    return found[0]


def list_plans(connection: sa.Connection, source: str | None = None) -> list[Plan]:
    """The plans that hold, by source and event."""
    t = tracking_plans.c
    newest = sa.select(t.source, t.event, sa.func.max(t.version).label("version"))
    newest = newest.group_by(t.source, t.event).subquery()
    query = (
        sa.select(tracking_plans)
        .join(
            newest,
            (t.source == newest.c.source)
            & (t.event == newest.c.event)
            & (t.version == newest.c.version),
        )
        .where(t.mode != REMOVED)
        .order_by(t.source, t.event)
    )
    if source is not None:
        query = query.where(t.source == source)
    return [Plan(**row) for row in connection.execute(query).mappings()]


def list_versions(connection: sa.Connection, source: str, event: str) -> list[Plan]:
    """Every version of an event's plan, the newest first."""
    t = tracking_plans.c
    query = sa.select(tracking_plans).where(t.source == source, t.event == event)
    rows = connection.execute(query.order_by(t.version.desc())).mappings()
    return [Plan(**row) for row in rows]


def pin_plans(connection: sa.Connection) -> list[Pin]:
    """Which versions hold now; `read_pinned` gives the same plans whatever is set later."""
    return [(one.source, one.event, one.version) for one in list_plans(connection)]


def read_pinned(connection: sa.Connection, pins: Iterable[Pin]) -> list[Plan]:
    """The plans of `pin_plans`."""
    return list(_read(connection, pins))


def _read(connection: sa.Connection, pins: Iterable[Pin]) -> Iterable[Plan]:
    t = tracking_plans.c
    for source, event, version in pins:
        query = sa.select(tracking_plans).where(
            t.source == source, t.event == event, t.version == version
        )
        row = connection.execute(query).mappings().one_or_none()
        if row is not None:
            yield Plan(**row)


def duplicates_since(connection: sa.Connection, since: datetime) -> Counter[str]:
    """Source → events that were known before, in what was compacted since (naive UTC)."""
    query = sa.select(compactions.c.report).where(compactions.c.finished_at >= since)
    made: Counter[str] = Counter()
    for report in connection.execute(query).scalars():
        made.update((report or {}).get("again", {}))
    return made


def note_reading(connection: sa.Connection, source: str | None, *, by: str, now: datetime) -> None:
    """Note in the audit log that somebody saw the content of refused events."""
    row = {"at": now, "actor": by[:80], "action": "events.read_refused"}
    connection.execute(audit.insert().values(**row, detail={"source": source}))
