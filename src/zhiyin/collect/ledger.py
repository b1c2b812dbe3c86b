"""Statements on the ledger's `loads`, `consents` and `pulls`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from zhiyin.core.ledger import consents, loads, pulls

TRACKED = "tracked events"
"""What stands for a file's name in loads of tracked events."""
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
        loads.c.table_name == table, loads.c.source == source, loads.c.state == "done",
        loads.c.file != TRACKED,
    )  # fmt: skip
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


@dataclass(frozen=True)
class PullState:
    """How far a stream of a source is in the lake."""

    position: str | int | None = None
    seen: bytes | None = None
    rows_read: int = 0
    pulled_at: datetime | None = None
    error: str | None = None


def read_pull(connection: sa.Connection, source: str, stream: str = "") -> PullState:
    """How far the stream was read; a new state where it never was."""
    query = sa.select(pulls).where(pulls.c.source == source, pulls.c.stream == stream)
    row = connection.execute(query).one_or_none()
    if row is None:
        return PullState()
    return PullState(row.position, row.seen, row.rows_read, row.pulled_at, row.error)


def write_pull(connection: sa.Connection, source: str, stream: str, state: PullState) -> None:
    """Note how far the stream is in the lake: after the lake has it, never before."""
    values = {
        "position": state.position, "seen": state.seen, "rows_read": state.rows_read,
        "pulled_at": state.pulled_at, "error": state.error and state.error[:400],
    }  # fmt: skip
    mine = (pulls.c.source == source) & (pulls.c.stream == stream)
    if not connection.execute(sa.update(pulls).where(mine).values(**values)).rowcount:
        connection.execute(sa.insert(pulls).values(source=source, stream=stream, **values))


def fail_load(
    connection: sa.Connection,
    load_id: str,
    *,
    table: str,
    source: str,
    file: str,
    error: Mapping[str, str],
    at: datetime,
) -> None:
    """Note a file that could not be loaded as a whole, with the error's code and message."""
    values = {"state": "failed", "reconciliation": dict(error), "finished_at": at}
    mine = loads.c.load_id == load_id
    if not connection.execute(sa.update(loads).where(mine).values(**values)).rowcount:
        connection.execute(
            sa.insert(loads).values(
                load_id=load_id, table_name=table, source=source, file=file[:255], started_at=at,
                **values,
            )
        )  # fmt: skip


def latest_consents(
    connection: sa.Connection, parties: Sequence[str], *, channel: str, source: str
) -> dict[tuple[str, str], bool]:
    """(party, purpose) → the newest answer that `source` brought for `channel`."""
    made: dict[tuple[str, str], bool] = {}
    for start in range(0, len(parties), _CHUNK):
        query = (
            sa.select(consents.c.party_id, consents.c.purpose, consents.c.granted)
            .where(
                consents.c.party_id.in_(parties[start : start + _CHUNK]),
                consents.c.channel == channel, consents.c.source == source,
            )
            .order_by(consents.c.at, consents.c.consent_id)
        )  # fmt: skip
        made |= {(party, purpose): held for party, purpose, held in connection.execute(query)}
    return made
