"""From the ledger to the lake: what came back of messages becomes rows of `touches`, once each.

A unit is a number that reactions get in the ledger before anything is written to the lake. Who
dies in between leaves a unit that is not copied; the next one writes it under the same number.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import sqlalchemy as sa

from zhiyin.core import columns as c
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.ledger import messages, reactions
from zhiyin.store.leases import hold_lease
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.workspace import WorkspaceStore

APP = "reactions"
SETTLE = timedelta(seconds=60)
"""A click is copied when later ones can no longer tell that it was a machine's."""
MOST = 100_000
_KINDS = (
    "open", "click", "delivered", "bounce", "complaint", "unsubscribe", "reached", "not_reached",
)  # fmt: skip
_BY_MACHINE = {"open": "machine_open", "click": "machine_click"}


def copy_reactions(store: WorkspaceStore, clock: Clock) -> int:
    """Copy settled reactions to the lake's `touches`; how many rows were written.

    Raises
    ------
    LeaseHeld
        If a turn, an erasure or a compaction is under way.
    """
    until = naive_utc(clock.now()) - SETTLE
    settled = (reactions.c.at <= until) & reactions.c.kind.in_(_KINDS)
    waiting = ~reactions.c.copied & (settled | reactions.c.unit.is_not(None))
    with reading(store.ledger) as connection:
        if connection.execute(sa.select(reactions.c.reaction_id).where(waiting)).first() is None:
            return 0
    with hold_lease(store.ledger, clock=clock):
        return sum(_copy(store, unit, clock) for unit in _units(store, settled, until))


def _units(store: WorkspaceStore, settled: sa.ColumnElement[bool], until: datetime) -> list[int]:
    """Units that are not copied, the newest one of what has settled since.

    Numbers rise with the time, also where an erasure took the rows of the newest unit.
    """
    unit = reactions.c.unit
    with transaction(store.ledger) as connection:
        newest = connection.execute(sa.select(sa.func.max(unit))).scalar() or 0
        fresh = sa.select(reactions.c.reaction_id).where(
            settled, unit.is_(None), ~reactions.c.copied
        )
        number = max(newest + 1, int(until.replace(tzinfo=UTC).timestamp()))
        chosen = fresh.order_by(reactions.c.reaction_id).limit(MOST)
        connection.execute(
            reactions.update().where(reactions.c.reaction_id.in_(chosen)).values(unit=number)
        )
        open_units = sa.select(unit).where(~reactions.c.copied, unit.is_not(None)).distinct()
        return list(connection.execute(open_units.order_by(unit)).scalars())


def _copy(store: WorkspaceStore, unit: int, clock: Clock) -> int:
    query = (
        sa.select(reactions, messages.c.campaign_id, messages.c.channel)
        .join(messages, messages.c.message_id == reactions.c.message_id)
        .where(reactions.c.unit == unit)
        .order_by(reactions.c.reaction_id)
    )
    with reading(store.ledger) as connection:
        found = connection.execute(query).all()
    rows = [
        {
            c.TOUCH_ID: f"zhiyin:r{row.reaction_id}", c.PARTY_ID: row.party_id,
            c.OCCURRED_AT: row.at, c.MESSAGE_ID: row.message_id, c.CHANNEL: row.channel,
            c.CAMPAIGN_ID: row.campaign_id, c.SOURCE: "zhiyin", c.LOAD_ID: f"{APP}:{unit}",
            c.KIND: _BY_MACHINE.get(row.kind, row.kind) if row.machine else row.kind,
            c.LOADED_AT: naive_utc(clock.now()),
        }
        for row in found
    ]  # fmt: skip
    written = 0
    if rows:
        written = store.append("touches", pa.Table.from_pylist(rows), app=APP, seq=unit)
    with transaction(store.ledger) as connection:
        connection.execute(reactions.update().where(reactions.c.unit == unit).values(copied=True))
    return written
