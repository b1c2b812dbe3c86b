"""`GET /v1/recommend`: a raw ASGI app like the collector, because a page waits for it.

What was decided goes to the journal without waiting for the disk: a crash may lose the decisions of
the last twentieth of a second, never an event that was acknowledged.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC
from http import HTTPStatus
from itertools import count
from threading import Thread
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive, Scope, Send

from zhiyin.api.access import bearer_of
from zhiyin.api.errors import answer_error
from zhiyin.api.group_commit import GroupCommit
from zhiyin.api.keys import Caller, find_caller
from zhiyin.api.shell import HEADERS
from zhiyin.app import Workspace
from zhiyin.collect.received import DECISION
from zhiyin.collect.write_keys import list_write_keys
from zhiyin.core.errors import (
    InvalidParameter,
    NotAuthenticated,
    ZhiyinError,
)
from zhiyin.core.log import get_logger
from zhiyin.core.placements import DEFAULT
from zhiyin.govern.gate import Consent
from zhiyin.govern.ledger import consents_of_one
from zhiyin.govern.roles import require
from zhiyin.person.find import find_direct_parties
from zhiyin.store.ledger import reading
from zhiyin.store.quick import QuickRead
from zhiyin.understand.recommend.live import Door, Recent, Request
from zhiyin.understand.recommend.shelf import NAMESPACES

PATH = "/v1/recommend"
PERMISSION = "decision:ask"
FRESH_S = 5.0
"""A key that was revoked is refused within so long, and a new source's customers are known."""
USER_ID, ANONYMOUS = "user_id", "anonymous_id"
NAMES = frozenset({"customer", "session", "item", "basket", "placement", "k"})
_MAX_ID, _MAX_QUERY = 256, 16_384
_JSON = [
    (b"content-type", b"application/json"),
    *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
]
_encode = msgspec.msgpack.Encoder().encode


class Recommendations:
    """What one server process of a workspace recommends."""

    def __init__(self, shop: Workspace, journal: GroupCommit) -> None:
        self._shop = shop
        self._journal = journal
        self._callers: dict[bytes, tuple[Caller, float]] = {}
        self._spaces, self._spaces_until = frozenset[str](), 0.0
        self._lines_of = QuickRead(shop.store.ledger, consents_of_one(), "party_id")
        self._start, self._numbers = os.urandom(16), count()
        self.door = Door(
            shop.store.online, shop.settings.recommend, currency=shop.settings.currency,
            clock=shop.clock, consents=self._consents, recent=self._recent,
            aside=lambda work: Thread(target=work, daemon=True).start(),
        )  # fmt: skip

        with suppress(ZhiyinError):  # the first request need not wait for it
            self.door.shelf()

    @staticmethod
    def takes(path: str) -> bool:
        """Whether a request to `path` is for this app."""
        return path == PATH

    def close(self) -> None:
        """Give back its connection."""
        self._lines_of.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            if scope["method"] != "GET":
                raise _NoSuchMethod
            self._admit(scope)
            answer = self.door.handle(self._read(scope["query_string"]), self._decision_id())
            if answer.shown is not None:
                self._journal.post(DECISION, _encode(answer.shown))
        except _NoSuchMethod:
            error = InvalidParameter("this page has no such method", hint="GET")
            await _refuse(scope, receive, send, error, HTTPStatus.METHOD_NOT_ALLOWED)
        except ZhiyinError as error:
            await _refuse(scope, receive, send, error)
        except Exception as error:  # noqa: BLE001 - the outermost shell; its text may be personal
            get_logger().error("a recommendation failed: %s", type(error).__name__)
            unknown = ZhiyinError("something went wrong here", hint="zhiyin doctor")
            await _refuse(scope, receive, send, unknown)
        else:
            length = (b"content-length", str(len(answer.body)).encode())
            await send({"type": "http.response.start", "status": 200, "headers": [*_JSON, length]})
            await send({"type": "http.response.body", "body": answer.body})

    def _admit(self, scope: Scope) -> None:
        """Let the request in, or raise: its key is looked up every few seconds."""
        key = bearer_of(scope["headers"])
        now = self._shop.clock.monotonic()
        mark = hashlib.sha256(key.encode()).digest()
        caller, until = self._callers.get(mark, (None, 0.0))
        if caller is None or until < now:
            caller = find_caller(self._shop.store, key) if key else None
            if caller is None:
                self._callers.pop(mark, None)
                raise NotAuthenticated(
                    "this key is unknown or revoked" if key else "this page needs an API key",
                    hint="Authorization: Bearer zk_…; make one: zhiyin key NAME --role service",
                )
            self._callers[mark] = (caller, now + FRESH_S)
        require(caller.role, PERMISSION)

    def _read(self, query: bytes) -> Request:
        """The request that a query asks.

        Raises
        ------
        InvalidParameter
            If a parameter is unknown, twice there, too long, or `k` is no number.
        """
        if len(query) > _MAX_QUERY:
            raise InvalidParameter(f"a query may have {_MAX_QUERY} bytes")
        said: dict[str, str] = {}
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            if name not in NAMES:
                raise InvalidParameter(
                    "there is an unknown parameter", hint=f"parameters: {', '.join(sorted(NAMES))}"
                )
            if name in said:
                raise InvalidParameter(f"{name} is given twice")
            said[name] = value.strip()
        basket = tuple(one for part in said.get("basket", "").split(",") if (one := part.strip()))
        for name, value in (*said.items(), *(("basket", one) for one in basket)):
            if len(value) > _MAX_ID and (name != "basket" or value in basket):
                raise InvalidParameter(f"{name} is longer than {_MAX_ID} characters")
        k = said.get("k", "")
        if k and not (k.isascii() and k.isdigit() and len(k) < 5):
            raise InvalidParameter("k must be a number")
        session = said.get("session", "")
        return Request(
            said.get("placement") or DEFAULT,
            self._parties(said.get("customer", "")),
            self._shop.vault.party_ids(ANONYMOUS, [session])[0] if session else "",
            said.get("item", ""), basket, int(k) if k else None,
        )  # fmt: skip

    def _parties(self, customer: str) -> tuple[str, ...]:
        """Parties that the id may be: ours, `namespace:id`, or an id of `user_id` or another
        space in which customers are named.
        """
        if not customer:
            return ()
        held = self.door.shelf().generation.about[NAMESPACES]
        spaces = {*held, *self._of_sources()} - {ANONYMOUS, USER_ID}
        found = find_direct_parties(self._shop.vault, customer, [USER_ID, *sorted(spaces)])
        return tuple(found)

    def _of_sources(self) -> frozenset[str]:
        """Id spaces of the sources that send events: their first customers are in no turn yet."""
        now = self._shop.clock.monotonic()
        if now >= self._spaces_until:
            with reading(self._shop.store.ledger) as connection:
                keys = list_write_keys(connection)
            self._spaces = frozenset(one.user_namespace for one in keys)
            self._spaces_until = now + FRESH_S
        return self._spaces

    def _consents(self, parties: Sequence[str]) -> list[Consent]:
        return [
            Consent(party, purpose, channel, granted, at.replace(tzinfo=UTC), source)
            for one in parties
            for party, purpose, channel, granted, at, source in self._lines_of(one)
        ]

    def _recent(self, parties: Sequence[str]) -> Recent:
        try:
            rows = self._shop.store.online.recent.read(parties)
        except sqlite3.Error as error:  # a list without it is better than none
            get_logger().error("what was tracked cannot be read: %s", type(error).__name__)
            return Recent()
        seen = [(one.product_id, one.at) for one in rows if not one.bought]
        return Recent(seen, [(one.product_id, one.at) for one in rows if one.bought])

    def _decision_id(self) -> str:
        number = next(self._numbers).to_bytes(8, "big")
        return "d_" + hashlib.blake2b(number, key=self._start, digest_size=16).hexdigest()


class _NoSuchMethod(Exception):
    """The request is no GET."""


async def _refuse(
    scope: Scope, receive: Receive, send: Send, error: ZhiyinError, status: int | None = None
) -> None:
    answer = answer_error(error)
    answer.status_code = status or answer.status_code
    answer.headers.update(HEADERS)
    await answer(scope, receive, send)
