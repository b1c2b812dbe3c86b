"""A collector that only keeps what it was sent: stands in where there is no real one yet."""

from __future__ import annotations

import gzip
import json

from zhiyin.api.tracker import load_tracker

_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-headers", b"authorization, content-type, x-retry-count"),
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-expose-headers", b"Retry-After"),
]


class Recorder:
    """ASGI app: answers like a collector and keeps every event by its message id."""

    def __init__(self) -> None:
        self.events: dict[str, dict] = {}
        self.url = ""

    async def __call__(self, scope, receive, send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        kind, content = b"application/json", b'{"success": true}'
        if scope["path"] == "/zhiyin.js":
            kind, content = b"text/javascript", load_tracker().text
        elif scope["path"].endswith("/settings"):
            key = scope["path"].split("/")[3]
            content = json.dumps({"integrations": {"Segment.io": {"apiKey": key}}}).encode()
        elif scope["method"] == "POST":
            got = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
            for event in got.get("batch", [got]):
                self.events.setdefault(event["messageId"], event)
        headers = [*_CORS, (b"content-type", kind)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})
