"""Statements on the ledger's `tag_definitions` and `manual_tags`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from zhiyin.core import columns as c
from zhiyin.core.errors import NotFound
from zhiyin.core.ledger import audit, manual_tags, tag_definitions
from zhiyin.profile.definition import Definition, dump, parse

ACTIVE, DRAFT, RETIRED = "active", "draft", "retired"
_STEP = 2_000
_MEMBERS = pa.schema([
    (c.ENTRY_ID, pa.int64()), (c.TAG, pa.string()), (c.PARTY_ID, pa.string()),
    (c.GIVEN, pa.bool_()), (c.VALUE, pa.string()), (c.START_ON, pa.date32()), ("ended", pa.bool_()),
])  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """One version of a tag's definition."""

    name: str
    version: int
    status: str
    definition: Definition
    created_at: datetime
    created_by: str

    def computed_on(self, day: date) -> bool:
        """Whether the tag is computed for the day: active, and within its days."""
        first, last = self.definition.start_on, self.definition.end_on
        within = (first is None or first <= day) and (last is None or day <= last)
        return self.status == ACTIVE and within


def add_version(
    connection: sa.Connection,
    name: str,
    definition: Definition,
    *,
    status: str,
    by: str,
    now: datetime,
) -> Stored:
    """Add a tag, or a version of it, which holds from now on; noted in the audit log.

    It must have been checked (`tag_check`).
    """
    t = tag_definitions.c
    newest = connection.scalar(sa.select(sa.func.max(t.version)).where(t.name == name)) or 0
    made = Stored(name, newest + 1, status, definition, now, by[:80])
    values = dump(definition)
    connection.execute(
        tag_definitions.insert().values(
            name=name, version=made.version, label=definition.label,
            label_zh=definition.label_zh, path=definition.path, kind=definition.kind,
            body=values["body"], owner=definition.owner, status=status,
            start_on=definition.start_on, end_on=definition.end_on, created_at=now,
            created_by=made.created_by,
        )
    )  # fmt: skip
    action = "tag.retire" if status == RETIRED else "tag.change" if newest else "tag.create"
    _note(connection, action, {"name": name, "version": made.version, "status": status}, by, now)
    return made


def list_tags(connection: sa.Connection) -> list[Stored]:
    """The version of every tag that holds, retired ones too, by name."""
    t = tag_definitions.c
    newest = sa.select(t.name, sa.func.max(t.version).label("version")).group_by(t.name).subquery()
    held = (t.name == newest.c.name) & (t.version == newest.c.version)
    query = sa.select(tag_definitions).join(newest, held).order_by(t.name)
    return [_stored(row) for row in connection.execute(query)]


def versions_of(connection: sa.Connection, name: str) -> list[Stored]:
    """Every version of a tag, the newest first.

    Raises
    ------
    NotFound
        If the catalogue has none of this name.
    """
    t = tag_definitions.c
    query = sa.select(tag_definitions).where(t.name == name).order_by(t.version.desc())
    found = [_stored(row) for row in connection.execute(query)]
    if not found:
        raise NotFound(f"there is no tag {name[:80]!r} of yours", hint="zhiyin tags list")
    return found


def add_entries(
    connection: sa.Connection,
    name: str,
    parties: Sequence[str],
    *,
    given: bool,
    value: str | None,
    start_on: date,
    end_on: date | None,
    by: str,
    now: datetime,
) -> int:
    """Give a manual tag to people, or take it from them, from a day on; how many entries.

    The audit log gets the number of people, not who they are.
    """
    head: dict[str, Any] = {
        "tag": name, "given": given, "value": value, "start_on": start_on, "end_on": end_on,
        "at": now, "created_by": by[:80],
    }  # fmt: skip
    rows = [head | {"party_id": one} for one in parties]
    for start in range(0, len(rows), _STEP):
        connection.execute(manual_tags.insert(), rows[start : start + _STEP])
    detail = {"name": name, "people": len(rows), "start_on": start_on.isoformat()}
    _note(connection, "tag.give" if given else "tag.take", detail, by, now)
    return len(rows)


def entries_on(connection: sa.Connection, day: date, names: Sequence[str]) -> pa.Table:
    """Entries of these manual tags that began on the day or before.

    Returns
    -------
    `entry_id`, `tag`, `party_id`, `given`, `value`, `start_on`, `ended` (its last day is over).
    """
    t = manual_tags.c
    query = sa.select(manual_tags).where(t.start_on <= day, t.tag.in_(list(names)))
    rows = [
        {
            c.ENTRY_ID: row.entry_id, c.TAG: row.tag, c.PARTY_ID: row.party_id,
            c.GIVEN: row.given, c.VALUE: row.value, c.START_ON: row.start_on,
            "ended": row.end_on is not None and row.end_on < day,
        }
        for row in connection.execute(query.order_by(t.entry_id))
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=_MEMBERS)


def _stored(row: sa.Row[Any]) -> Stored:
    values = {
        "label": row.label, "label_zh": row.label_zh, "path": row.path, "owner": row.owner,
        "body": row.body, "start_on": row.start_on, "end_on": row.end_on,
    }  # fmt: skip
    return Stored(row.name, row.version, row.status, parse(values), row.created_at, row.created_by)


def _note(
    connection: sa.Connection, action: str, detail: dict[str, Any], by: str, now: datetime
) -> None:
    connection.execute(audit.insert().values(at=now, actor=by[:80], action=action, detail=detail))
