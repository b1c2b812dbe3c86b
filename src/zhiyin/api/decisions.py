"""Decision points over HTTP: definitions, policies, the kill switch."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from zhiyin.api.access import Route, caller_of, workspace_of
from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.points.check import parse
from zhiyin.decide.points.ledger import Stored
from zhiyin.points import Points


class Draft(BaseModel):
    """A decision point that is to hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decision: dict[str, Any] = Field(description="as its file has it; `key` may be left out")


class Change(BaseModel):
    """What is to become of a decision point."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: Literal["paused", "active"] = Field(
        description="paused: only its default action from now on"
    )


def list_all(request: Request) -> list[dict[str, Any]]:
    """Every decision point with the policy that chooses at it."""
    return _points(request).listed()


def show(request: Request, name: str) -> dict[str, Any]:
    """A decision point: its definition, what was given of its stock, its policies."""
    return _points(request).shown(name)


def put(request: Request, name: str, draft: Draft) -> dict[str, Any]:
    """Let a definition hold from now on: a new version, unless nothing changed."""
    made = parse({"key": name, **draft.decision})
    if made.key != name:
        raise InvalidParameter(f"the decision point is called {made.key!r}, not {name!r}")
    return _said(_points(request).put(made, by=caller_of(request).name))


def change(request: Request, name: str, change: Change) -> dict[str, Any]:
    """Pause a decision point, which is its kill switch, or let it go on."""
    held, by = _points(request), caller_of(request).name
    return _said(held.pause(name, by=by) if change.state == "paused" else held.resume(name, by=by))


def _points(request: Request) -> Points:
    shop = workspace_of(request)
    return Points(shop.store, shop.clock)


def _said(made: Stored) -> dict[str, Any]:
    return {"key": made.key, "version": made.version, "state": made.state}


ROUTES = (
    Route("GET", "/v1/admin/decisions", "decision:read", list_all),
    Route("GET", "/v1/admin/decisions/{name}", "decision:read", show),
    Route("PUT", "/v1/admin/decisions/{name}", "decision:write", put),
    Route("PATCH", "/v1/admin/decisions/{name}", "decision:write", change),
)
