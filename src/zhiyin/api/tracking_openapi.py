"""The tracking API in the OpenAPI document: it is no FastAPI app, so its paths are written here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from zhiyin.api.access import PUBLIC
from zhiyin.api.tracking_request import BATCH, PATHS, PIXELS

_TEXT = {"type": ["string", "null"]}
_EVENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "type": {"enum": ["track", "identify", "page", "screen", "group", "alias"]},
        "event": _TEXT,
        "userId": _TEXT,
        "anonymousId": _TEXT,
        "messageId": _TEXT,
        "timestamp": {"type": "string", "format": "date-time"},
        "properties": {"type": "object"},
        "traits": {"type": "object"},
        "context": {"type": "object"},
        "writeKey": _TEXT,
    },
}
_BATCH: dict[str, Any] = {
    "type": "object",
    "required": ["batch"],
    "properties": {
        "batch": {"type": "array", "items": _EVENT},
        "sentAt": {"type": "string", "format": "date-time"},
        "context": {"type": "object"},
        "writeKey": _TEXT,
    },
}
_STRICT = {
    "name": "strict", "in": "query", "schema": {"enum": ["0", "1"]},
    "description": "1: say at once what becomes of each event; for development",
}  # fmt: skip
_ANSWERS = {
    "200": {"description": "the events are on the disk"},
    "400": {"description": "this request can never succeed"},
    "401": {"description": "no write key in force"},
    "429": {"description": "the source sends too fast: again after Retry-After seconds"},
    "503": {"description": "not now: again after Retry-After seconds"},
}


def describe_tracking(app: FastAPI) -> None:
    """Add the tracking API to the app's OpenAPI document."""
    made: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        document["paths"] |= _paths()
        return document

    app.openapi = openapi  # pyright: ignore[reportAttributeAccessIssue]  # FastAPI's own way


def _paths() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, call in PATHS.items():
        schema = _BATCH if call in (BATCH, "import") else _EVENT
        content = {kind: {"schema": schema} for kind in ("application/json", "text/plain")}
        found[path] = {"post": _operation(f"Take {call}", path, content)}
        found[path]["post"]["parameters"] = [_STRICT]
    for path, call in PIXELS.items():
        found[path] = {"get": _operation(f"Take {call} as an image", path)}
        found[path]["get"]["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": "string"}}
            for name in ("data", "writeKey", "event", "userId", "anonymousId")
        ]
    settings = _operation("Settings for Segment's browser SDK", "settings")
    settings["parameters"] = [
        {"name": "write_key", "in": "path", "required": True, "schema": {"type": "string"}}
    ]
    found["/v1/projects/{write_key}/settings"] = {"get": settings}
    return found


def _operation(summary: str, name: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "summary": summary,
        "operationId": "track" + name.replace("/", "_"),
        "x-permission": PUBLIC,
        "responses": _ANSWERS,
    }
    if content is not None:
        made["requestBody"] = {"required": True, "content": content}
    return made
