"""Statements on the ledger's `model_versions` and `model_promotions`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from zhiyin.core.errors import NotFound
from zhiyin.core.ledger import audit, guest_models, model_promotions, model_versions
from zhiyin.understand.predict.guests import Guest
from zhiyin.understand.predict.registry import PROMOTED, TURN, Entry
from zhiyin.understand.predict.training import Version

_V, _P, _G = model_versions.c, model_promotions.c, guest_models.c


def read_versions(connection: sa.Connection, task: str | None = None) -> list[Version]:
    """The versions of a task, or of all, by task, subject and day, newest first."""
    query = sa.select(model_versions).order_by(_V.task, _V.subject, _V.as_of_on.desc(), _V.version)
    if task is not None:
        query = query.where(_V.task == task)
    return [
        Version(
            row.task, row.subject, row.version, row.as_of_on, row.model, row.data_hash,
            row.comparison, row.made_by,
        )
        for row in connection.execute(query)
    ]  # fmt: skip


def read_entries(connection: sa.Connection, task: str | None = None) -> list[Entry]:
    """The log of promotions of a task, or of all, in order."""
    query = sa.select(model_promotions).order_by(_P.number)
    if task is not None:
        query = query.where(_P.task == task)
    return [
        Entry(
            row.number, row.task, row.subject, row.version, row.kind, row.on_day, row.by,
            row.instead_of,
        )
        for row in connection.execute(query)
    ]  # fmt: skip


def forget_day(connection: sa.Connection, day: date) -> None:
    """Undo what the turn of a day made and decided, before it does so again.

    What persons decided stays.
    """
    connection.execute(model_versions.delete().where(_V.as_of_on == day))
    connection.execute(model_promotions.delete().where(_P.on_day == day, _P.by == TURN))


def keep_version(
    connection: sa.Connection, version: Version, *, promote: bool, card: Mapping[str, Any],
    now: datetime,
) -> None:  # fmt: skip
    """Keep a version that a turn made, and its promotion if the turn decided it; audited."""
    known = sa.select(_V.version).where(
        _V.task == version.task, _V.subject == version.subject, _V.version == version.version
    )
    if connection.execute(known).first() is None:
        connection.execute(model_versions.insert().values(**vars(version), made_at=now))
    if promote:
        add_entry(
            connection, version, kind=PROMOTED, on_day=version.as_of_on, by=TURN, card=card,
            now=now,
        )  # fmt: skip


def add_entry(
    connection: sa.Connection, version: Version, *, kind: str, on_day: date, by: str,
    card: Mapping[str, Any], now: datetime, instead_of: str | None = None,
) -> None:  # fmt: skip
    """A line of the log, and who, when, data hash and card in the audit log."""
    connection.execute(
        model_promotions.insert().values(
            task=version.task, subject=version.subject, version=version.version, kind=kind,
            instead_of=instead_of, on_day=on_day, by=by[:80], at=now,
        )
    )  # fmt: skip
    detail = {
        "task": version.task, "subject": version.subject, "version": version.version,
        "on_day": on_day.isoformat(), "data_hash": version.data_hash,
        "comparison": dict(version.comparison), "card": dict(card),
    }  # fmt: skip
    connection.execute(
        audit.insert().values(at=now, actor=by[:80], action=f"model.{kind}", detail=detail)
    )


def read_guests(connection: sa.Connection) -> dict[tuple[str, str], tuple[Guest, ...]]:
    """Models that were brought in, by task and subject, in the order of their names."""
    made: dict[tuple[str, str], tuple[Guest, ...]] = {}
    for row in connection.execute(sa.select(guest_models).order_by(_G.name)):
        guest = Guest(row.name, row.content, tuple(row.features), row.learned_until)
        made[row.task, row.subject] = (*made.get((row.task, row.subject), ()), guest)
    return made


def keep_guest(
    connection: sa.Connection, guest: Guest, *, task: str, subject: str, by: str, now: datetime
) -> None:
    """Keep a model that was brought in, in the place of one of the same name; audited."""
    connection.execute(guest_models.delete().where(_named(task, subject, guest.name)))
    connection.execute(
        guest_models.insert().values(
            task=task, subject=subject, name=guest.name, content=guest.content,
            features=list(guest.features), learned_until=guest.learned_until, created_by=by[:80],
            created_at=now,
        )
    )  # fmt: skip
    detail = {
        "task": task, "subject": subject, "name": guest.name,
        "hash": sha256(guest.content).hexdigest()[:12], "features": list(guest.features),
        "learned_until": guest.learned_until.isoformat(),
    }  # fmt: skip
    connection.execute(
        audit.insert().values(at=now, actor=by[:80], action="model.brought_in", detail=detail)
    )


def drop_guest(
    connection: sa.Connection, name: str, *, task: str, subject: str, by: str, now: datetime
) -> None:
    """Let a model that was brought in take part no more; versions made of it stay. Audited.

    Raises
    ------
    NotFound
        If there is none of this name.
    """
    gone = connection.execute(guest_models.delete().where(_named(task, subject, name)))
    if not gone.rowcount:
        raise NotFound(f"no model {name!r} was brought in for {task}", hint="zhiyin models guests")
    detail = {"task": task, "subject": subject, "name": name}
    connection.execute(
        audit.insert().values(at=now, actor=by[:80], action="model.taken_out", detail=detail)
    )


def _named(task: str, subject: str, name: str) -> sa.ColumnElement[bool]:
    return (_G.task == task) & (_G.subject == subject) & (_G.name == name)
