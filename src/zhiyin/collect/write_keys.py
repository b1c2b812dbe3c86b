"""Write keys: each lets one source write events, and nothing else.

A write key stands in web pages and apps, so it is no secret; it is kept as it is, to be shown.
"""

from __future__ import annotations

import os
import re
from datetime import datetime

import msgspec
import sqlalchemy as sa

from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.ledger import write_keys

BROWSER, MOBILE, SERVER = KINDS = ("browser", "mobile", "server")
DEFAULT_PER_S = 5_000
_SOURCE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}")
_NAMESPACE = re.compile(r"[a-z0-9_.-]{1,32}")


class WriteKey(msgspec.Struct, frozen=True):
    """One write key and the source that writes with it."""

    write_key: str
    source: str
    kind: str
    user_namespace: str
    events_per_s: int
    created_at: datetime
    revoked_at: datetime | None


def make_write_key(
    connection: sa.Connection,
    source: str,
    *,
    kind: str,
    now: datetime,
    user_namespace: str = "user_id",
    events_per_s: int = DEFAULT_PER_S,
) -> WriteKey:
    """A new key for a source.

    Parameters
    ----------
    source
        Lower-case name; orders and products of its events get ids `source:id`.
    kind
        `browser`, `mobile` or `server`; a server's address is not its customers'.
    user_namespace
        Id space of its user ids. Sources that name customers alike share one.
    events_per_s
        Rate limit; 0: none.

    Raises
    ------
    InvalidParameter
        If a value is outside its range.
    """
    if not _SOURCE.fullmatch(source):
        raise InvalidParameter(
            f"{source!r} is no name of a source", hint="lower-case letters, digits, _ . - (48)"
        )
    if kind not in KINDS:
        raise InvalidParameter(f"there is no kind of source {kind!r}", hint=", ".join(KINDS))
    if not _NAMESPACE.fullmatch(user_namespace):
        raise InvalidParameter(f"{user_namespace!r} is no name of an id space")
    if not 0 <= events_per_s <= 1_000_000:
        raise InvalidParameter(f"events_per_s must be 0..1000000, not {events_per_s}")
    made = WriteKey(
        f"wk_{os.urandom(16).hex()}", source, kind, user_namespace, events_per_s, now, None
    )
    connection.execute(write_keys.insert().values(**msgspec.structs.asdict(made)))
    return made


def revoke_write_key(connection: sa.Connection, write_key: str, *, now: datetime) -> None:
    """Let the key write no more.

    Raises
    ------
    NotFound
        If there is no such key in force.
    """
    mine = (write_keys.c.write_key == write_key) & write_keys.c.revoked_at.is_(None)
    if not connection.execute(write_keys.update().where(mine).values(revoked_at=now)).rowcount:
        raise NotFound("there is no such write key in force", hint="zhiyin source list")


def list_write_keys(connection: sa.Connection, *, all_of_them: bool = False) -> list[WriteKey]:
    """Keys in force (with `all_of_them`: revoked ones too), by source and age."""
    query = sa.select(write_keys).order_by(
        write_keys.c.source, write_keys.c.created_at, write_keys.c.write_key
    )
    if not all_of_them:
        query = query.where(write_keys.c.revoked_at.is_(None))
    return [WriteKey(**row) for row in connection.execute(query).mappings()]
