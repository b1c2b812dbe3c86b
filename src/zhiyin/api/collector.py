"""The tracking API: takes events as Segment's SDKs send them, answers when they are on the disk.

A raw ASGI app, so that a request costs little: it reads the bytes, finds the write key, appends
one frame to the journal and answers. What the events mean is the compactor's to find out.

200 the events are on the disk · 400 the request can never succeed · 401 no known write key ·
429 the source sends faster than it may · 503 try again later. SDKs send again after 429 and 503,
and never after another 4xx, so a passing fault is never answered with one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import msgspec
import sqlalchemy as sa
from starlette.types import Receive, Scope, Send

from zhiyin.api.errors import retry_after, tracking_status_of
from zhiyin.api.group_commit import GroupCommit
from zhiyin.api.rates import Rates, SteadyClock
from zhiyin.api.sources import Sources
from zhiyin.api.strict import is_strict, report_items
from zhiyin.api.tracking_request import (
    MAX_PACKED,
    PATHS,
    PIXELS,
    Call,
    key_of_header,
    key_of_query,
    read_body,
    read_pixel,
)
from zhiyin.collect.received import EVENT, Received, pack
from zhiyin.collect.write_keys import SERVER, WriteKey
from zhiyin.core.clock import Clock
from zhiyin.core.errors import Busy, NotAuthenticated, TooLarge, ZhiyinError
from zhiyin.core.log import get_logger
from zhiyin.store.vault import SegmentKeys

_SETTINGS, _SETTINGS_END = "/v1/projects/", "/settings"
_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"retry-after"),  # or a page's script does not see it
    (b"cross-origin-resource-policy", b"cross-origin"),
]
_JSON = [(b"content-type", b"application/json"), *_CORS]
_GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
_DONE = b'{"success":true}'
_MAX_AGENT = 512


class Collector:
    """The tracking API of one workspace in one server process.

    Parameters
    ----------
    folder
        The workspace.
    ledger
        Where its write keys are.
    tell
        Called with what was acknowledged.
    """

    def __init__(
        self,
        folder: Path,
        ledger: sa.Engine,
        keys: SegmentKeys,
        *,
        clock: Clock,
        tell: Callable[[Received], None] | None = None,
    ) -> None:
        self._tell = tell
        self._clock = SteadyClock(clock)
        self._ledger = ledger
        self.journal = GroupCommit(folder / "journal", keys, clock=clock)
        self._sources = Sources(ledger, clock=clock)
        self._rates = Rates(clock)

    @staticmethod
    def takes(path: str) -> bool:
        """Whether a request to `path` is the collector's."""
        return (
            path in PATHS
            or path in PIXELS
            or (path.startswith(_SETTINGS) and path.endswith(_SETTINGS_END))
        )

    async def close(self) -> None:
        """Flush what waits, and give the last segment to the compactor."""
        await self.journal.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        method, path = scope["method"], scope["path"]
        try:
            if method == "OPTIONS":
                await _allow(scope, send)
            elif path in PIXELS and method == "GET":
                call = PIXELS[path]
                await self._keep(scope, read_pixel(scope["query_string"], call), call)
                gif = [(b"content-type", b"image/gif"), (b"cache-control", b"no-store"), *_CORS]
                await _answer(send, 200, gif, _GIF)
            elif path in PATHS and method == "POST":
                call = PATHS[path]
                read = read_body(await _read(receive, scope), call)
                received = await self._keep(scope, read, call)
                if is_strict(scope["query_string"]):
                    said = await report_items(self._ledger, received)
                else:
                    said = _success(read)
                await _answer(send, 200, _JSON, said)
            elif path.startswith(_SETTINGS) and method in ("GET", "HEAD"):
                write_key = path[len(_SETTINGS) : -len(_SETTINGS_END)]
                await self._source("", write_key)
                headers = [*_JSON, (b"cache-control", b"public, max-age=300")]
                await _answer(send, 200, headers, _settings(write_key))
            else:
                await _answer(send, HTTPStatus.METHOD_NOT_ALLOWED, _JSON, b"{}")
        except ZhiyinError as error:
            await _refuse(send, error)
        except Exception as error:  # noqa: BLE001 - the outermost shell: the sender keeps its events
            get_logger().error("a tracking request failed: %s", type(error).__name__)
            await _refuse(send, Busy("something went wrong here", hint="send it again later"))

    async def _keep(self, scope: Scope, call: Call, name: str) -> Received:
        """Append the call to the journal; what is kept."""
        header = agent = origin = b""
        for key, value in scope["headers"]:
            if key == b"authorization":
                header = value
            elif key == b"user-agent":
                agent = value
            elif key == b"origin":
                origin = value
        source = await self._source(
            key_of_header(header) if header else "",
            call.write_key or key_of_query(scope["query_string"]),
        )
        self._rates.spend(source.write_key, call.events, per_s=source.events_per_s)
        people = source.kind != SERVER or origin
        client = scope.get("client")
        received = Received(
            source.source,
            source.kind,
            source.user_namespace,
            name,
            self._clock.now_us(),
            call.body,
            client[0] if people and client else "",
            agent[:_MAX_AGENT].decode("latin-1") if people else "",
            call.refused,
        )
        await self.journal.append(EVENT, pack(received))
        if self._tell is not None:
            self._tell(received)
        return received

    async def _source(self, of_header: str, of_body: str) -> WriteKey:
        """The source whose key the request holds; the header's comes first.

        Raises
        ------
        NotAuthenticated
            If no key in force is in it.
        """
        for key in (of_header, of_body):
            if key and (found := await self._sources.find(key)) is not None:
                return found
        raise NotAuthenticated(
            "this write key is unknown or revoked" if of_header or of_body else "no write key",
            hint="zhiyin source add NAME makes one",
        )


def _success(call: Call) -> bytes:
    if not call.refused:
        return _DONE
    return msgspec.json.encode(
        {"success": True, "refused": [{"place": p, "code": "too_large"} for p in call.refused]}
    )


def _settings(write_key: str) -> bytes:
    """What the browser SDK asks for first; what it says as key, the SDK sends with its events."""
    return msgspec.json.encode(
        {
            "integrations": {
                "Segment.io": {
                    "apiKey": write_key,
                    "unbundledIntegrations": [],
                    "addBundledMetadata": True,
                    "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
                }
            },
            "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
            "edgeFunction": {},
            "analyticsNextEnabled": True,
            "middlewareSettings": {},
            "enabledMiddleware": {},
            "metrics": {"sampleRate": 0},
            "legacyVideoPluginsEnabled": False,
            "remotePlugins": [],
        }
    )


async def _read(receive: Receive, scope: Scope) -> bytes:
    """The whole body.

    Raises
    ------
    TooLarge
        If it is larger than 500 KB as it is sent.
    """
    message = await receive()
    body = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    parts, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError  # nobody waits for an answer
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_PACKED:
            raise TooLarge(f"a request may have {MAX_PACKED} bytes")
        parts.append(part)
    return b"".join(parts)


async def _allow(scope: Scope, send: Send) -> None:
    """Answer a browser's question whether it may send."""
    asked = next(
        (v for k, v in scope["headers"] if k == b"access-control-request-headers"),
        b"authorization, content-type, x-retry-count",
    )
    headers = [
        *_CORS,
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-allow-headers", asked[:1024]),
        (b"access-control-max-age", b"86400"),
    ]
    await _answer(send, HTTPStatus.NO_CONTENT, headers, b"")


async def _refuse(send: Send, error: ZhiyinError) -> None:
    headers = list(_JSON)
    if seconds := retry_after(error):
        headers.append((b"retry-after", str(seconds).encode()))
    body = {"success": False, "code": error.code, "message": error.message, "hint": error.hint}
    await _answer(send, tracking_status_of(error), headers, msgspec.json.encode(body))


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send(
        {"type": "http.response.start", "status": int(status), "headers": [*headers, length]}
    )
    await send({"type": "http.response.body", "body": body})
