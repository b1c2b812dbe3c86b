"""Statements on the ledger's `arrivals`: files that were found, webhooks that came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.errors import ZhiyinError
from zhiyin.core.ledger import arrivals, data_keys

if TYPE_CHECKING:
    from zhiyin.collect.sources.folder import Found

KEEP = timedelta(days=90)
"""How long a webhook's id is remembered after it is in the lake."""


@dataclass(frozen=True)
class Arrival:
    """A webhook that waits: its content is encrypted with the key `key_id`."""

    arrival_id: str
    topic: str
    key_id: str
    content: bytes
    arrived_at: datetime


def knows_file(connection: sa.Connection, source: str, found: Found) -> bool:
    """Whether this file, as it is now, was looked at before."""
    same = (
        (arrivals.c.source == source)
        & (arrivals.c.name == found.name)
        & (arrivals.c.size_bytes == found.size)
        & (arrivals.c.modified_ns == found.modified_ns)
    )
    return connection.execute(sa.select(arrivals.c.arrival_id).where(same)).first() is not None


def has_content(connection: sa.Connection, source: str, digest: str) -> bool:
    """Whether a file with this content was loaded, under whatever name."""
    same = (arrivals.c.source == source) & (arrivals.c.arrival_id == digest)
    state = connection.execute(sa.select(arrivals.c.state).where(same)).scalar_one_or_none()
    return state == "done"


def note_file(
    connection: sa.Connection,
    source: str,
    digest: str,
    found: Found,
    clock: Clock,
    error: ZhiyinError | None,
) -> None:
    """Note that a file was loaded, or why it could not be."""
    values = {
        "name": found.name[:255], "size_bytes": found.size, "modified_ns": found.modified_ns,
        "state": "done" if error is None else "failed",
        "error": None if error is None else f"{error.code}: {error.message}"[:400],
        "arrived_at": naive_utc(clock.now()),
    }  # fmt: skip
    mine = (arrivals.c.source == source) & (arrivals.c.arrival_id == digest)
    if not connection.execute(sa.update(arrivals).where(mine).values(**values)).rowcount:
        connection.execute(sa.insert(arrivals).values(source=source, arrival_id=digest, **values))


def count_waiting(connection: sa.Connection, source: str) -> int:
    """Webhooks of the source that are not in the lake yet."""
    waiting = (arrivals.c.source == source) & (arrivals.c.state == "waiting")
    query = sa.select(sa.func.count()).select_from(arrivals).where(waiting)
    return int(connection.execute(query).scalar_one())


def has_arrival(connection: sa.Connection, source: str, arrival_id: str) -> bool:
    """Whether a webhook with this id came before."""
    same = (arrivals.c.source == source) & (arrivals.c.arrival_id == arrival_id)
    return connection.execute(sa.select(arrivals.c.state).where(same)).first() is not None


def add_arrival(connection: sa.Connection, source: str, arrival: Arrival, *, size: int) -> bool:
    """Keep a webhook; False where another process kept it in this moment."""
    try:
        with connection.begin_nested():
            connection.execute(
                sa.insert(arrivals).values(
                    source=source, arrival_id=arrival.arrival_id, name=arrival.topic[:255],
                    size_bytes=size, state="waiting", arrived_at=arrival.arrived_at,
                    key_id=arrival.key_id, content=arrival.content,
                )
            )  # fmt: skip
    except IntegrityError:
        return False
    return True


def claim_waiting(
    connection: sa.Connection, source: str, *, limit: int, keep: bool = True
) -> list[Arrival]:
    """The next webhooks to load, in the order in which they came. What a killed load had claimed
    comes first and alone: the same webhooks make the same load, which goes on where it was."""
    mine = arrivals.c.source == source
    for state in ("loading", "waiting"):
        query = (
            sa.select(arrivals)
            .where(mine, arrivals.c.state == state)
            .order_by(arrivals.c.arrived_at, arrivals.c.arrival_id)
            .limit(limit)
        )
        rows = connection.execute(query).all()
        if rows:
            break
    ids = [row.arrival_id for row in rows]
    if ids and keep:
        chosen = mine & arrivals.c.arrival_id.in_(ids)
        connection.execute(sa.update(arrivals).where(chosen).values(state="loading"))
    return [
        Arrival(row.arrival_id, row.name, row.key_id, row.content, row.arrived_at) for row in rows
    ]


def settle(connection: sa.Connection, source: str, ids: Sequence[str]) -> None:
    """Note that webhooks are in the lake; their content goes."""
    mine = (arrivals.c.source == source) & arrivals.c.arrival_id.in_(ids)
    connection.execute(sa.update(arrivals).where(mine).values(state="done", content=None))


def destroy_spent_keys(connection: sa.Connection, source: str, *, before: str) -> None:
    """Delete the source's keys that are smaller than the key id `before` and that no content
    needs any more. Younger ones stay: a webhook may be on its way into the ledger with one."""
    mine = (arrivals.c.source == source) & arrivals.c.key_id.is_not(None)
    named = set(connection.execute(sa.select(arrivals.c.key_id).where(mine).distinct()).scalars())
    needed = sa.select(arrivals.c.key_id).where(mine, arrivals.c.content.is_not(None)).distinct()
    held = set(connection.execute(needed).scalars())
    spent = sorted(key for key in named - held if key < before)
    if spent:
        connection.execute(sa.delete(data_keys).where(data_keys.c.key_id.in_(spent)))
        gone = mine & arrivals.c.key_id.in_(spent)
        connection.execute(sa.update(arrivals).where(gone).values(key_id=None))


def forget_old(connection: sa.Connection, source: str, *, now: datetime) -> None:
    """Forget ids of webhooks that are in the lake for long."""
    connection.execute(
        sa.delete(arrivals).where(
            arrivals.c.source == source, arrivals.c.state == "done",
            arrivals.c.modified_ns.is_(None), arrivals.c.arrived_at < now - KEEP,
        )
    )  # fmt: skip
