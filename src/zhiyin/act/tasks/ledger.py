"""Statements on the ledger's `tasks`: one for each message that is a call.

    open → taken → done | refused | open again tomorrow … → missed
      └──────┴───→ expired | withdrawn

A task stands for its message: `planned` while it is on the list, `sending` from when somebody
takes it, since she may be called from then on, and what came of it after the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.act.campaigns.definition import SOURCE
from zhiyin.act.campaigns.ledger import HELD_OUT, RUNNING
from zhiyin.core import columns as c
from zhiyin.core.errors import LeaseHeld, NotFound
from zhiyin.core.ledger import audit, campaigns, messages, tasks

OPEN, TAKEN, DONE, MISSED = "open", "taken", "done", "missed"
REFUSED, EXPIRED, WITHDRAWN = "refused", "expired", "withdrawn"
CENTRAL = ""
"""The list of those who have no home store."""
WAITING = (OPEN, TAKEN)
CLOSED = (DONE, MISSED, REFUSED, EXPIRED, WITHDRAWN)
_CHUNK = 500
_T = tasks.c


@dataclass(frozen=True)
class Task:
    """A call that is asked for; times are naive UTC. `content` and `note` are sealed."""

    message_id: str
    party_id: str
    campaign: str
    store_id: str
    state: str
    reason: str | None
    put_at: datetime
    not_before: datetime | None
    until: datetime
    tries: int
    taken_by: str | None
    taken_until: datetime | None
    answered_by: str | None
    answered_at: datetime | None
    content: bytes | None
    note: bytes | None

    def held_by(self, now: datetime) -> str | None:
        """Who has taken it and may still be calling."""
        held = self.state == TAKEN and self.taken_until is not None and self.taken_until > now
        return self.taken_by if held else None


def add_tasks(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put tasks on the list; their messages wait from now on until their time is over."""
    if not rows:
        return
    connection.execute(tasks.insert(), [dict(row) for row in rows])
    update = (
        messages.update()
        .where(messages.c.message_id == sa.bindparam("known"))
        .values(not_before=sa.bindparam("over"))
    )
    connection.execute(update, [{"known": row[c.MESSAGE_ID], "over": row["until"]} for row in rows])


def find_task(connection: sa.Connection, message_id: str) -> Task:
    """The task of a message.

    Raises
    ------
    NotFound
        If there is none, or its person was erased.
    """
    row = connection.execute(sa.select(tasks).where(_T.message_id == message_id)).one_or_none()
    if row is None:
        raise NotFound("there is no such task", hint="zhiyin tasks list")
    return Task(**row._mapping)


def read_tasks(connection: sa.Connection, message_ids: Sequence[str]) -> dict[str, Task]:
    """The tasks of those messages that have one."""
    found: dict[str, Task] = {}
    for start in range(0, len(message_ids), _CHUNK):
        mine = _T.message_id.in_(message_ids[start : start + _CHUNK])
        for row in connection.execute(sa.select(tasks).where(mine)):
            found[row.message_id] = Task(**row._mapping)
    return found


def list_tasks(
    connection: sa.Connection, *, now: datetime, store_id: str | None = None, closed: bool = False,
    limit: int = 200,
) -> list[Task]:  # fmt: skip
    """Tasks of a store (None: of all), those first whose time is over soonest.

    What waits until tomorrow, and what is of a campaign that is paused or over, is not shown.
    `closed`: what came of the others instead, the newest first.
    """
    query = sa.select(tasks)
    if closed:
        query = query.where(_T.state.in_(CLOSED))
        query = query.order_by(sa.func.coalesce(_T.answered_at, _T.put_at).desc(), _T.message_id)
    else:
        runs = sa.select(campaigns.c.key).where(campaigns.c.state == RUNNING)
        query = query.where(
            _T.state.in_(WAITING), _T.until > now, _T.campaign.in_(runs),
            _T.not_before.is_(None) | (_T.not_before <= now),
        ).order_by(_T.until, _T.message_id)  # fmt: skip
    if store_id is not None:
        query = query.where(_T.store_id == store_id)
    return [Task(**row._mapping) for row in connection.execute(query.limit(limit))]


def claim_task(
    connection: sa.Connection, task: Task, *, by: str, until: datetime, now: datetime
) -> bool:
    """Take a task that nobody holds; whether it is the caller's now."""
    free = (
        (_T.state == OPEN)
        | ((_T.state == TAKEN) & (_T.taken_by == by))
        | ((_T.state == TAKEN) & (_T.taken_until <= now))
    )
    mine = (_T.message_id == task.message_id) & free
    taken = tasks.update().where(mine).values(state=TAKEN, taken_by=by[:80], taken_until=until)
    return bool(connection.execute(taken).rowcount)


def change_task(connection: sa.Connection, task: Task, **values: Any) -> None:
    """Write columns of a task that is as it was read, or taken by the caller since.

    Raises
    ------
    LeaseHeld
        If somebody else changed it in the meantime.
    """
    as_read = (_T.state == task.state) & (_T.tries == task.tries)
    mine = (_T.message_id == task.message_id) & as_read
    if not connection.execute(tasks.update().where(mine).values(**values)).rowcount:
        raise LeaseHeld("somebody else answered at the same moment", hint="look at the list again")


def change_message(
    connection: sa.Connection, message_id: str, *, states: Sequence[str], **values: Any
) -> bool:
    """Write columns of a message that is in one of the states; whether it is."""
    mine = (messages.c.message_id == message_id) & messages.c.state.in_(states)
    return bool(connection.execute(messages.update().where(mine).values(**values)).rowcount)


def read_message(connection: sa.Connection, message_id: str) -> sa.Row[Any]:
    """The row of the message that a task stands for."""
    return connection.execute(sa.select(messages).where(messages.c.message_id == message_id)).one()


def read_messages_of(connection: sa.Connection, found: Sequence[Task]) -> dict[str, sa.Row[Any]]:
    """The messages of tasks, by id."""
    ids = [one.message_id for one in found]
    rows: dict[str, sa.Row[Any]] = {}
    for start in range(0, len(ids), _CHUNK):
        mine = messages.c.message_id.in_(ids[start : start + _CHUNK])
        for row in connection.execute(sa.select(messages).where(mine)):
            rows[row.message_id] = row
    return rows


def held_out_of(connection: sa.Connection, campaign: str, parties: Sequence[str]) -> frozenset[str]:
    """Which of a person's parties are in the holdout of a planned campaign, by its key."""
    query = sa.select(messages.c.party_id).where(
        messages.c.campaign_id == f"{SOURCE}:{campaign}", messages.c.reason == HELD_OUT,
        messages.c.party_id.in_(parties),
    )  # fmt: skip
    return frozenset(connection.execute(query).scalars())


def withdraw_open(connection: sa.Connection, campaign: str, *, reason: str) -> int:
    """Take what nobody has taken off the lists of a campaign; how many there were."""
    mine = (_T.campaign == campaign) & (_T.state == OPEN)
    gone = tasks.update().where(mine).values(state=WITHDRAWN, reason=reason)
    return connection.execute(gone).rowcount


def note_task(
    connection: sa.Connection, task: Task, what: str, *, by: str, now: datetime, **detail: Any
) -> None:
    """A line of the audit log; it names nobody."""
    said = {"campaign": task.campaign, "store_id": task.store_id, **detail}
    connection.execute(
        audit.insert().values(at=now, actor=by[:80], action=f"task.{what}", detail=said)
    )
