"""What requests share that a page waits for: who may ask, whom they are about, what is known."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC
from itertools import count

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Receive, Scope, Send

from zhiyin.api.access import bearer_of
from zhiyin.api.errors import answer_error
from zhiyin.api.keys import Caller, find_caller
from zhiyin.api.shell import HEADERS
from zhiyin.app import Workspace
from zhiyin.collect.write_keys import list_write_keys
from zhiyin.core.errors import Busy, NotAuthenticated, ZhiyinError
from zhiyin.govern.gate import Consent
from zhiyin.govern.ledger import consents_of_one
from zhiyin.govern.roles import require
from zhiyin.person.find import find_direct_parties
from zhiyin.store.ledger import reading
from zhiyin.store.quick import QuickRead
from zhiyin.store.recent import Touched

FRESH_S = 5.0
"""A key that was revoked is refused within so long, and a new source's customers are known."""
USER_ID, ANONYMOUS = "user_id", "anonymous_id"
JSON = [
    (b"content-type", b"application/json"),
    *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
]


class LiveReads:
    """Look-ups of one server process; for one thread."""

    def __init__(self, shop: Workspace) -> None:
        self._shop = shop
        self._callers: dict[bytes, tuple[Caller, float]] = {}
        self._spaces, self._spaces_until = frozenset[str](), 0.0
        self._named, self._readings = ((), frozenset[str]()), [USER_ID]
        self._lines_of = QuickRead(shop.store.ledger, consents_of_one(), "party_id")
        self._start, self._numbers = os.urandom(16), count()

    def close(self) -> None:
        """Give back its connection."""
        self._lines_of.close()

    def admit(self, scope: Scope, permission: str) -> None:
        """Let the request in, or raise: its key is looked up every few seconds."""
        key = bearer_of(scope["headers"])
        now = self._shop.clock.monotonic()
        mark = hashlib.sha256(key.encode()).digest()
        caller, until = self._callers.get(mark, (None, 0.0))
        if caller is None or until < now:
            try:
                caller = find_caller(self._shop.store, key) if key else None
            except SQLAlchemyError as error:
                if caller is None:
                    raise Busy("keys cannot be looked up now", hint="look at the ledger") from error
            if caller is None:
                self._callers.pop(mark, None)
                raise NotAuthenticated(
                    "this key is unknown or revoked" if key else "this page needs an API key",
                    hint="Authorization: Bearer zk_…; make one: zhiyin key NAME --role service",
                )
            self._callers[mark] = (caller, now + FRESH_S)
        require(caller.role, permission)

    def parties(self, customer: str, spaces: Iterable[str]) -> tuple[str, ...]:
        """Parties that the id may be: ours, `namespace:id`, or an id of `user_id` or another of
        the spaces in which customers are named.
        """
        if not customer:
            return ()
        named = tuple(spaces), self._of_sources()
        if named != self._named:
            others = {*named[0], *named[1]} - {ANONYMOUS, USER_ID}
            self._named, self._readings = named, [USER_ID, *sorted(others)]
        return tuple(find_direct_parties(self._shop.vault, customer, self._readings))

    def _of_sources(self) -> frozenset[str]:
        """Id spaces of the sources that send events: their first customers are in no turn yet."""
        now = self._shop.clock.monotonic()
        if now >= self._spaces_until:
            self._spaces_until = now + FRESH_S
            with suppress(SQLAlchemyError), reading(self._shop.store.ledger) as connection:
                self._spaces = frozenset(one.user_namespace for one in list_write_keys(connection))
        return self._spaces

    def visitor(self, anonymous_id: str) -> str:
        """The party of a visitor; empty where nobody is named."""
        if not anonymous_id:
            return ""
        return self._shop.vault.party_ids(ANONYMOUS, [anonymous_id])[0]

    def consents(self, parties: Sequence[str]) -> list[Consent]:
        """The consent lines of parties.

        Raises
        ------
        Busy
            If the ledger cannot be read now.
        """
        return [
            Consent(party, purpose, channel, granted, at.replace(tzinfo=UTC), source)
            for one in parties
            for party, purpose, channel, granted, at, source in self._lines_of(one)
        ]

    def touches(self, parties: Sequence[str]) -> list[Touched]:
        """What the parties looked at and bought in the last days, newest first.

        Raises
        ------
        Busy
            If it cannot be read now.
        """
        try:
            return self._shop.store.online.recent.read(parties)
        except sqlite3.Error as error:
            raise Busy(
                f"what was tracked cannot be read: {type(error).__name__}", hint="zhiyin doctor"
            ) from error

    def decision_id(self) -> str:
        """An id that no other decision has."""
        number = next(self._numbers).to_bytes(8, "big")
        return "d_" + hashlib.blake2b(number, key=self._start, digest_size=16).hexdigest()


async def answer(send: Send, body: bytes) -> None:
    """Answer a request with JSON."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [*JSON, length]})
    await send({"type": "http.response.body", "body": body})


async def refuse(
    scope: Scope, receive: Receive, send: Send, error: ZhiyinError, status: int | None = None
) -> None:
    """Answer a request with an error."""
    made = answer_error(error)
    made.status_code = status or made.status_code
    made.headers.update(HEADERS)
    await made(scope, receive, send)
