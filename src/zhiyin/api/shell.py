"""Around every request: a limit on its size, headers that shut the browser's doors, one log line.

The line names the route and not the address: an address may hold an e-mail or a phone number.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zhiyin.api.errors import answer_error
from zhiyin.collect.sources.hooks import MAX_BODY as MAX_HOOK
from zhiyin.core.errors import TooLarge
from zhiyin.core.log import get_logger

MAX_BODY = 64 * 1024
LARGER = {"/v1/hooks/": MAX_HOOK, "/v1/returns/": MAX_HOOK, "/v1/receipts/": MAX_HOOK}
"""Limits of paths that begin so."""
CLOSED = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": CLOSED,
}
"""Sent with every answer; an answer that sets one itself keeps its own."""


class Shell:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, *, max_body: int = MAX_BODY) -> None:
        self._app = app
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = next(
            (LARGER[one] for one in LARGER if scope["path"].startswith(one)), self._max_body
        )
        body = await self._read(scope, receive, limit)
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if body is None:
            error = TooLarge(f"the request has more than {limit} bytes")
            await answer_error(error)(scope, receive, answer)
        else:
            await self._app(scope, _replay(body, receive), answer)
        route = getattr(scope.get("route"), "path", "?")
        get_logger().info("%s %s %s", scope["method"], route, status)

    async def _read(self, scope: Scope, receive: Receive, limit: int) -> bytes | None:
        """The whole body; None where it is larger than allowed."""
        length = Headers(scope=scope).get("content-length", "")
        if length.isdigit() and int(length) > limit:
            return None
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return body
            body += message.get("body", b"")
            if len(body) > limit:
                return None
            if not message.get("more_body", False):
                return body


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, then whatever comes."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
