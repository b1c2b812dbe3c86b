"""Who may call a route: every route declares one permission, or that it is public."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, FastAPI, Request

from zhiyin.api.keys import Caller, find_caller
from zhiyin.app import Workspace
from zhiyin.consents import Consents
from zhiyin.core.errors import ConfigError, NotAuthenticated
from zhiyin.govern.roles import PERMISSIONS, require

PUBLIC = "public"
"""Declared by routes that anybody may call: they show nothing of the workspace."""
_READING = ("GET", "HEAD")


@dataclass(frozen=True)
class Route:
    """One route of the API; `permission` is one of `govern.roles`, or `PUBLIC`."""

    method: str
    path: str
    permission: str
    endpoint: Callable[..., Any]
    status: int | None = None  # of a success; none: OK


def add_routes(app: FastAPI, routes: Sequence[Route]) -> None:
    """The only way a route gets into the app: with its permission.

    Raises
    ------
    ConfigError
        If a route names no known permission.
    """
    for route in routes:
        if route.permission != PUBLIC and route.permission not in PERMISSIONS:
            raise ConfigError(f"{route.method} {route.path} declares no known permission")
        shut = [] if route.permission == PUBLIC else [Depends(_needs(route.permission))]
        app.add_api_route(
            route.path,
            route.endpoint,
            methods=[route.method],
            dependencies=shut,
            status_code=route.status,
            response_model=None,
            openapi_extra={"x-permission": route.permission},
        )


def workspace_of(request: Request) -> Workspace:
    """The workspace that the app serves."""
    return request.app.state.workspace


def consents_of(request: Request) -> Consents:
    """The consent record of the workspace that the app serves."""
    shop = workspace_of(request)
    return Consents(shop.store, shop.vault, shop.clock, shop.settings)


def caller_of(request: Request) -> Caller:
    """Who made the request; known after the permission was checked."""
    return request.state.caller


def _needs(permission: str) -> Callable[[Request], None]:
    def check(request: Request) -> None:
        key = read_key(request)
        caller = find_caller(workspace_of(request).store, key) if key else None
        if caller is None:
            raise NotAuthenticated(
                "this key is unknown or revoked" if key else "this page needs an API key",
                hint="Authorization: Bearer zk_…; make a key with: zhiyin key NAME --role viewer",
            )
        require(caller.role, permission)
        request.state.caller = caller

    return check


def read_key(request: Request) -> str:
    """The key of a request: Bearer, `X-Api-Key`, or, to read with a browser, Basic's password.

    A browser sends Basic by itself, also from other sites' pages: it never changes anything.
    """
    kind, _, rest = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return rest.strip()
    if kind.lower() == "basic" and request.method in _READING:
        return _password(rest.strip())
    return request.headers.get("x-api-key", "").strip()


def bearer_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The key in raw headers: Bearer or `X-Api-Key`; empty: there is none."""
    for name, value in headers:
        if name == b"authorization":
            kind, _, rest = value.decode("latin-1").partition(" ")
            if kind.lower() == "bearer":
                return rest.strip()
        elif name == b"x-api-key":
            return value.decode("latin-1").strip()
    return ""


def _password(encoded: str) -> str:
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text.partition(":")[2]
