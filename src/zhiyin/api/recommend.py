"""`GET /v1/recommend`: a raw ASGI app like the collector, because a page waits for it.

What was decided goes to the journal without waiting for the disk: a crash may lose the decisions of
the last twentieth of a second, never an event that was acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from threading import Thread
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive, Scope, Send

from zhiyin.api.group_commit import GroupCommit
from zhiyin.api.live_reads import LiveReads, answer, refuse
from zhiyin.app import Workspace
from zhiyin.collect.received import DECISION
from zhiyin.core.errors import Busy, InvalidParameter, ZhiyinError
from zhiyin.core.log import get_logger
from zhiyin.core.placements import DEFAULT
from zhiyin.govern.packed import NAMESPACES
from zhiyin.understand.recommend.live import Door, Recent, Request

PATH = "/v1/recommend"
PERMISSION = "decision:ask"
NAMES = frozenset({"customer", "session", "item", "basket", "placement", "k"})
_MAX_ID, _MAX_QUERY = 256, 16_384
_encode = msgspec.msgpack.Encoder().encode


class Recommendations:
    """What one server process of a workspace recommends."""

    def __init__(self, shop: Workspace, journal: GroupCommit, reads: LiveReads) -> None:
        self._journal, self._reads = journal, reads
        self.door = Door(
            shop.store.online, shop.settings.recommend, currency=shop.settings.currency,
            clock=shop.clock, consents=reads.consents, recent=self._recent,
            aside=lambda work: Thread(target=work, daemon=True).start(),
        )  # fmt: skip

        with suppress(ZhiyinError):  # the first request need not wait for it
            self.door.shelf()

    @staticmethod
    def takes(path: str) -> bool:
        """Whether a request to `path` is for this app."""
        return path == PATH

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            if scope["method"] != "GET":
                raise _NoSuchMethod
            self._reads.admit(scope, PERMISSION)
            made = self.door.handle(self._read(scope["query_string"]), self._reads.decision_id())
            if made.shown is not None:
                self._journal.post(DECISION, _encode(made.shown))
        except _NoSuchMethod:
            error = InvalidParameter("this page has no such method", hint="GET")
            await refuse(scope, receive, send, error, HTTPStatus.METHOD_NOT_ALLOWED)
        except ZhiyinError as error:
            await refuse(scope, receive, send, error)
        except Exception as error:  # noqa: BLE001 - the outermost shell; its text may be personal
            get_logger().error("a recommendation failed: %s", type(error).__name__)
            unknown = ZhiyinError("something went wrong here", hint="zhiyin doctor")
            await refuse(scope, receive, send, unknown)
        else:
            await answer(send, made.body)

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
        return Request(
            said.get("placement") or DEFAULT, self._parties(said.get("customer", "")),
            self._reads.visitor(said.get("session", "")), said.get("item", ""), basket,
            int(k) if k else None,
        )  # fmt: skip

    def _parties(self, customer: str) -> tuple[str, ...]:
        if not customer:
            return ()
        return self._reads.parties(customer, self.door.shelf().generation.about[NAMESPACES])

    def _recent(self, parties: Sequence[str]) -> Recent:
        try:
            rows = self._reads.touches(parties)
        except Busy as error:  # a list without it is better than none
            get_logger().error("%s", error.message)
            return Recent()
        seen = [(one.product_id, one.at) for one in rows if not one.bought]
        return Recent(seen, [(one.product_id, one.at) for one in rows if one.bought])


class _NoSuchMethod(Exception):
    """The request is no GET."""
