"""What stands between clients and the collector in these tests, and the shop's site they run on.

`Gate` is a proxy: it writes down every call, answers with planned faults first, and passes the rest
on to the collector. `Site` serves pages on another origin, so browsers see two sites.
"""

from __future__ import annotations

import base64
import gzip
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

WAIT_S = 30.0
_OPEN = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
_HOP = {"host", "content-length", "connection", "transfer-encoding", "date", "server"}


@dataclass(frozen=True)
class Fault:
    """An answer that the gate gives in the collector's place."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One request for the collector and how it was answered."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    at: float  # monotonic seconds

    def json(self) -> dict[str, Any]:
        """The body, whatever its content type and encoding say."""
        body = gzip.decompress(self.body) if self.body[:2] == b"\x1f\x8b" else self.body
        return json.loads(body)

    def events(self) -> list[dict[str, Any]]:
        """The events in it: of a batch, or the one."""
        body = self.json()
        return body.get("batch", [body])

    def write_key(self) -> str:
        """The key of the body or of the Authorization header."""
        basic = self.headers.get("authorization", "").removeprefix("Basic ")
        return self.json().get("writeKey") or base64.b64decode(basic).decode().rstrip(":")


class Gate:
    """ASGI app: records, answers planned faults, passes on."""

    def __init__(self, collector: str) -> None:
        self._collector = collector
        self._changed = threading.Condition()
        self._faults: deque[Fault] = deque()
        self._calls: list[Call] = []
        self.url = ""

    def fail(self, *faults: Fault) -> None:
        """Answer the next events with these, one each."""
        with self._changed:
            self._faults.extend(faults)

    def sent(self) -> list[Call]:
        """Calls that brought events, in order."""
        with self._changed:
            return [call for call in self._calls if call.method == "POST"]

    def calls(self) -> list[Call]:
        """All calls: also preflights and settings."""
        with self._changed:
            return list(self._calls)

    def wait(self, enough: Callable[[list[Call]], bool]) -> list[Call]:
        """The calls with events, once they are enough."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: enough([call for call in self._calls if call.method == "POST"]), WAIT_S
            )
        sent = self.sent()
        assert done, [(call.path, call.status, call.body[:300]) for call in sent]
        return sent

    def wait_for_events(self, count: int) -> list[Call]:
        """The calls with events, once `count` different events were acknowledged."""
        return self.wait(lambda calls: len(acknowledged(calls)) >= count)

    async def __call__(self, scope, receive, send) -> None:
        body = await _read(receive)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        fault = None
        if scope["method"] == "POST":
            with self._changed:
                fault = self._faults.popleft() if self._faults else None
        if fault is None:
            passed = {name: value for name, value in headers.items() if name not in _HOP}
            address = scope["path"] + ("?" + scope["query_string"].decode()).rstrip("?")
            # Plain http: reading certificates would take longer than the request.
            async with httpx.AsyncClient(verify=False, timeout=WAIT_S) as client:  # noqa: S501
                got = await client.request(
                    scope["method"], self._collector + address, content=body, headers=passed
                )
            status, content = got.status_code, got.content
            kept = got.headers.multi_items()
            answer = [(k, v) for k, v in kept if k not in _HOP | {"content-encoding"}]
        else:
            status, content, answer = fault.status, b"", [*_OPEN.items(), *fault.headers.items()]
        call = Call(scope["method"], scope["path"], headers, body, status, time.monotonic())
        with self._changed:
            self._calls.append(call)
            self._changed.notify_all()
        await _answer(send, status, content, answer)


def acknowledged(calls: list[Call]) -> dict[str, dict[str, Any]]:
    """Events of the calls that got a 200, by message id."""
    return {
        event["messageId"]: event
        for call in calls
        if call.status == httpx.codes.OK
        for event in call.events()
    }


class Site:
    """ASGI app: the shop's pages, and a folder of scripts under /scripts/."""

    def __init__(self, scripts: Path) -> None:
        self._scripts = scripts
        self.pages: dict[str, str] = {}
        self.url = ""

    async def __call__(self, scope, receive, send) -> None:
        path = scope["path"]
        if path.startswith("/scripts/"):
            content, kind = (
                (self._scripts / path.removeprefix("/scripts/")).read_bytes(),
                "text/javascript",
            )
        else:
            page = self.pages.get(path, "<!doctype html><title>Empty</title>")
            content, kind = page.encode(), "text/html; charset=utf-8"
        await _answer(send, 200, content, [("content-type", kind)])


@contextmanager
def serving(app: Gate | Site, host: str) -> Iterator[None]:
    """Serve the app on a free port in a thread; its `url` says where."""
    config = uvicorn.Config(
        app, host=host, port=0, log_level="warning", access_log=False, lifespan="off", ws="none",
        timeout_graceful_shutdown=1, loop="asyncio",
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + WAIT_S
        while not server.started:
            assert time.monotonic() < until
            thread.join(0.01)
        app.url = f"http://{host}:{server.servers[0].sockets[0].getsockname()[1]}"
        yield
    finally:
        server.should_exit = True
        thread.join(WAIT_S)


async def _read(receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _answer(send, status: int, content: bytes, headers: list[tuple[str, str]]) -> None:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})
