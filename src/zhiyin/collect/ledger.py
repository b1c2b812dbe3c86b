"""Statements on the ledger's `loads` and `consents`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from zhiyin.core.ledger import consents, loads

_CHUNK = 500


def find_load(connection: sa.Connection, load_id: str) -> Mapping | None:
    """The load's row, None if it was never begun."""
    found = connection.execute(sa.select(loads).where(loads.c.load_id == load_id)).mappings()
    return found.one_or_none()


def begin_load(
    connection: sa.Connection,
    load_id: str,
    *,
    table: str,
    source: str,
    file: str,
    started_at: datetime,
) -> None:
    """Note that the load runs."""
    connection.execute(
        sa.insert(loads).values(
            load_id=load_id, table_name=table, source=source, file=file[:255], state="running",
            started_at=started_at,
        )
    )  # fmt: skip


def note_progress(connection: sa.Connection, load_id: str, done: Mapping) -> None:
    """Note how far a running load came; `finish_load` puts its reconciliation in the place."""
    connection.execute(
        sa.update(loads).where(loads.c.load_id == load_id).values(reconciliation=dict(done))
    )


def finish_load(
    connection: sa.Connection,
    load_id: str,
    *,
    rows: tuple[int, int, int],
    reconciliation: Mapping,
    finished_at: datetime,
) -> None:
    """Note that the load is done: rows read, loaded, quarantined, and its reconciliation."""
    read, loaded, quarantined = rows
    connection.execute(
        sa.update(loads)
        .where(loads.c.load_id == load_id)
        .values(
            state="done", rows_read=read, rows_loaded=loaded, rows_quarantined=quarantined,
            reconciliation=dict(reconciliation), finished_at=finished_at,
        )
    )  # fmt: skip


def has_load_of(connection: sa.Connection, table: str, source: str) -> bool:
    """Whether a file of `source` was loaded into `table`."""
    query = sa.select(sa.func.count()).where(
        loads.c.table_name == table, loads.c.source == source, loads.c.state == "done"
    )
    return bool(connection.execute(query).scalar_one())


def list_reconciliations(connection: sa.Connection) -> list[Mapping]:
    """The reconciliation of every finished load, oldest first."""
    query = (
        sa.select(loads.c.reconciliation)
        .where(loads.c.state == "done")
        .order_by(loads.c.started_at, loads.c.load_id)
    )
    return [row for row in connection.execute(query).scalars() if row]


def add_consents(connection: sa.Connection, rows: Sequence[Mapping]) -> int:
    """Insert consents that are not there yet; how many were."""
    added = 0
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        ids = [row["consent_id"] for row in part]
        query = sa.select(consents.c.consent_id).where(consents.c.consent_id.in_(ids))
        there = set(connection.execute(query).scalars())
        fresh = [dict(row) for row in part if row["consent_id"] not in there]
        if fresh:
            connection.execute(sa.insert(consents), fresh)
        added += len(fresh)
    return added
