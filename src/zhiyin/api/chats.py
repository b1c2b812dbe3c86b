"""Chats over HTTP: mass messages that members of staff confirm."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import Request

from zhiyin.act.mass_ledger import list_mass_sends
from zhiyin.api.access import Route, workspace_of
from zhiyin.store.ledger import reading


def mass_sends(request: Request) -> list[dict[str, Any]]:
    """The newest mass messages, by whom they are confirmed, with their messages by state."""
    with reading(workspace_of(request).store.ledger) as connection:
        found = list_mass_sends(connection)
    return [{name: _plain(value) for name, value in one.items()} for one in found]


def _plain(value: Any) -> Any:
    return value.replace(tzinfo=UTC).isoformat() if isinstance(value, datetime) else value


ROUTES = (Route("GET", "/v1/admin/mass-sends", "report:read", mass_sends),)
