"""Statements on the ledger's `mass_sends`: calls for many customers that a member must confirm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from zhiyin.act.ledger import SENDING, SENT, UNKNOWN
from zhiyin.act.reasons import UNCONFIRMED
from zhiyin.core import columns as c
from zhiyin.core.ledger import campaigns, journeys, mass_sends, messages

SURE_AFTER = timedelta(minutes=10)
"""So long after a call a mass message that the platform does not list was never made."""
_C = mass_sends.c
_CHUNK = 500


@dataclass(frozen=True)
class MassSend:
    """One call; `asked_at` is naive UTC."""

    batch_id: str
    campaign_id: str
    channel: str
    member: str
    messages: int
    digest: str
    asked_at: datetime


def add_mass_send(connection: sa.Connection, batch: MassSend, ids: Sequence[str]) -> None:
    """Note a call before it is made; its messages, which are being sent, name it."""
    values = asdict(batch)
    again = mass_sends.update().where(_C.batch_id == batch.batch_id)
    if not connection.execute(again.values(**values, provider_id=None)).rowcount:
        connection.execute(mass_sends.insert().values(**values))
    for some in _chunks(ids):
        mine = messages.c.message_id.in_(some) & (messages.c.state == SENDING)
        connection.execute(messages.update().where(mine).values(receipt=batch.batch_id))


def set_provider_id(connection: sa.Connection, batch_id: str, provider_id: str) -> None:
    """The provider's id of a call."""
    mine = mass_sends.update().where(_C.batch_id == batch_id)
    connection.execute(mine.values(provider_id=provider_id))


def find_mass_sends(connection: sa.Connection, batch_ids: Sequence[str]) -> list[MassSend]:
    """Those of some ids, by id."""
    columns = [_C[name] for name in MassSend.__dataclass_fields__]
    query = sa.select(*columns).where(_C.batch_id.in_(list(batch_ids)))
    return [MassSend(*row) for row in connection.execute(query.order_by(_C.batch_id))]


def doubtful_until(connection: sa.Connection, campaign_id: str) -> datetime | None:
    """When the platform can tell for sure of the campaign's last call that is in doubt (naive UTC);
    None: none is.
    """
    doubted = (
        sa.select(messages.c.message_id)
        .where(messages.c.receipt == _C.batch_id, messages.c.state == UNKNOWN)
        .where(messages.c.campaign_id == _C.campaign_id)
    )
    query = sa.select(sa.func.max(_C.asked_at))
    last = connection.scalar(query.where(_C.campaign_id == campaign_id, doubted.exists()))
    return None if last is None else last + SURE_AFTER


def is_known(connection: sa.Connection, provider_id: str) -> bool:
    """Whether a call of ours has this id."""
    query = sa.select(_C.batch_id).where(_C.provider_id == provider_id)
    return connection.execute(query.limit(1)).first() is not None


def open_mass_sends(
    connection: sa.Connection, *, since: datetime, looked_before: datetime,
    until: datetime | None = None,
) -> list[tuple[str, str, str]]:  # fmt: skip
    """(Batch, provider's id, member) of calls since a moment, up to another, with messages that
    wait for a member, and that nobody looked at since `looked_before`; all naive UTC.
    """
    waiting = (
        sa.select(messages.c.message_id)
        .where(messages.c.receipt == _C.provider_id, messages.c.state == SENT)
        .where(messages.c.reason == UNCONFIRMED, messages.c.campaign_id == _C.campaign_id)
    )
    due = _C.looked_at.is_(None) | (_C.looked_at <= looked_before)
    query = sa.select(_C.batch_id, _C.provider_id, _C.member).where(
        _C.provider_id.is_not(None), _C.asked_at >= since, due, waiting.exists()
    )
    if until is not None:
        query = query.where(_C.asked_at <= until)
    rows = connection.execute(query.order_by(_C.asked_at, _C.batch_id))
    return [(row.batch_id, row.provider_id, row.member) for row in rows]


def find_stopped(connection: sa.Connection) -> list[tuple[str, str, str, datetime | None]]:
    """(Batch, provider's id, member, when it was stopped) of calls with messages that wait for a
    member, whose campaign was cancelled or whose journey was ended.
    """
    newest = sa.select(journeys.c.key, sa.func.max(journeys.c.version).label("n"))
    last = newest.group_by(journeys.c.key).subquery()
    ended = (
        sa.select(sa.literal("journey:") + journeys.c.key)
        .join(last, (last.c.key == journeys.c.key) & (last.c.n == journeys.c.version))
        .where(journeys.c.state == "ended")
    )
    cancelled = sa.select(sa.literal("zhiyin:") + campaigns.c.key).where(
        campaigns.c.state == "cancelled"
    )
    waiting = (
        sa.select(messages.c.message_id)
        .where(messages.c.receipt == _C.provider_id, messages.c.state == SENT)
        .where(messages.c.reason == UNCONFIRMED, messages.c.campaign_id == _C.campaign_id)
    )
    query = sa.select(_C.batch_id, _C.provider_id, _C.member, _C.stopped_at).where(
        _C.provider_id.is_not(None), waiting.exists(),
        _C.campaign_id.in_(cancelled) | _C.campaign_id.in_(ended),
    )  # fmt: skip
    rows = connection.execute(query.order_by(_C.asked_at, _C.batch_id))
    return [(row.batch_id, row.provider_id, row.member, row.stopped_at) for row in rows]


def set_stopped(connection: sa.Connection, batch_id: str, *, at: datetime) -> None:
    """Note when the provider was told that nobody need confirm it any more."""
    mine = mass_sends.update().where(_C.batch_id == batch_id)
    connection.execute(mine.values(stopped_at=at))


def read_unconfirmed(connection: sa.Connection, provider_id: str) -> list[sa.Row[Any]]:
    """Messages of a call that wait for a member, by id."""
    query = sa.select(messages).where(
        messages.c.receipt == provider_id, messages.c.state == SENT,
        messages.c.reason == UNCONFIRMED,
    )  # fmt: skip
    return list(connection.execute(query.order_by(messages.c.message_id)))


def set_looked(connection: sa.Connection, batch_id: str, *, at: datetime) -> None:
    """Note when the provider was asked what members did."""
    mine = mass_sends.update().where(_C.batch_id == batch_id)
    connection.execute(mine.values(looked_at=at))


def list_mass_sends(connection: sa.Connection, *, limit: int = 200) -> list[dict[str, Any]]:
    """The newest calls, with their messages by state and reason."""
    calls = connection.execute(
        sa.select(mass_sends).order_by(_C.asked_at.desc(), _C.batch_id).limit(limit)
    ).mappings()
    made: list[dict[str, Any]] = []
    for call in calls.all():
        named = call["provider_id"] or call["batch_id"]
        query = (
            sa.select(messages.c.state, messages.c.reason, sa.func.count().label("n"))
            .where(messages.c.receipt == named, messages.c.campaign_id == call[c.CAMPAIGN_ID])
            .group_by(messages.c.state, messages.c.reason)
        )
        parts = sorted(
            ({"state": row.state, "reason": row.reason or "", "n": row.n}
             for row in connection.execute(query)),
            key=lambda one: (one["state"], one["reason"]),
        )  # fmt: skip
        made.append({name: value for name, value in call.items() if name != "digest"})
        made[-1]["parts"] = parts
    return made


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
