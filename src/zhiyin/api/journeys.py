"""Journeys over HTTP: drafts, publication, pauses, who is where, who is stuck."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from zhiyin.act.journeys.check import parse
from zhiyin.act.journeys.ledger import Stored
from zhiyin.api.access import Route, caller_of, workspace_of
from zhiyin.core.errors import InvalidParameter, PermissionDenied
from zhiyin.journeys import Journeys

Text = Annotated[str, Field(min_length=1, max_length=256)]


class Draft(BaseModel):
    """A journey to be kept as a draft."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    journey: dict[str, Any] = Field(description="as its file has it; `key` may be left out")


class Change(BaseModel):
    """What is to become of a journey."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: Literal["paused", "published"] = Field(description="pause it, or resume it")


class Entering(BaseModel):
    """Customers to enter. Identifiers are personal: they go in the body, never in an address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customers: list[Text] = Field(min_length=1, max_length=1000)
    occurrence: str = Field("", max_length=64, description="the same brings nobody in twice")


class Past(BaseModel):
    """Customers to enter whose event came in too late to enter by itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: date = Field(description="whose event was on this day or later")
    count: int | None = Field(None, ge=0, description="how many they must be to enter")


class Trial(BaseModel):
    """A journey to try on customers; nothing is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    journey: dict[str, Any] = Field(description="the journey")
    customers: list[Text] = Field(min_length=1, max_length=20)


def list_all(request: Request) -> list[dict[str, Any]]:
    """The newest version of every journey, with how many are inside."""
    return _journeys(request).listed()


def show(request: Request, name: str) -> dict[str, Any]:
    """A journey: its definition, people by step, who left and why, counts, messages."""
    return _journeys(request).shown(name)


def put(request: Request, name: str, draft: Draft) -> dict[str, Any]:
    """Keep a draft: a new version, unless the newest one says the same."""
    made = parse({"key": name, **draft.journey})
    if made.key != name:
        raise InvalidParameter(f"the journey is called {made.key!r}, not {name!r}")
    return _said(_journeys(request).keep(made, by=caller_of(request).name))


def publish(request: Request, name: str) -> dict[str, Any]:
    """Let the newest draft begin. Who made the draft cannot publish it."""
    held, by = _journeys(request), caller_of(request).name
    if held.newest(name).created_by == by:
        raise PermissionDenied(
            "nobody publishes her own draft", hint="ask somebody with the role approver"
        )
    return _said(held.publish(name, by=by))


def change(request: Request, name: str, change: Change) -> dict[str, Any]:
    """Pause a journey, or resume it."""
    held, by = _journeys(request), caller_of(request).name
    return _said(held.pause(name, by=by) if change.state == "paused" else held.resume(name, by=by))


def end(request: Request, name: str) -> dict[str, Any]:
    """End a journey for good: everybody leaves it."""
    return _said(_journeys(request).end(name, by=caller_of(request).name))


def enter(request: Request, name: str, entering: Entering) -> dict[str, int]:
    """Let customers enter now: how many did, were refused, are unknown."""
    return _journeys(request).enter(name, entering.customers, occurrence=entering.occurrence)


def enter_past(request: Request, name: str, past: Past) -> dict[str, int]:
    """Let those enter whose event came in too late, where their number is known."""
    return _journeys(request).enter_past(name, since=past.since, count=past.count)


def simulate(request: Request, trial: Trial) -> dict[str, list[dict[str, str]]]:
    """What would become of customers who entered now and did nothing."""
    found = _journeys(request).simulate(parse(trial.journey), trial.customers)
    return {
        customer: [
            {"step": one.step, "at": one.at.isoformat(), "what": one.what} for one in passed
        ]
        for customer, passed in found.items()
    }  # fmt: skip


def stuck(
    request: Request,
    key: Annotated[str | None, Query(min_length=1, max_length=48)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[dict[str, Any]]:
    """Who should have gone on an hour ago or more, and why she has not."""
    return _journeys(request).stuck(key, limit=limit)


def _journeys(request: Request) -> Journeys:
    return Journeys(workspace_of(request))


def _said(made: Stored) -> dict[str, Any]:
    return {"key": made.key, "version": made.version, "state": made.state}


ROUTES = (
    Route("GET", "/v1/admin/journeys", "journey:read", list_all),
    Route("GET", "/v1/admin/journey-stuck", "people:read", stuck),
    Route("POST", "/v1/admin/journey-trial", "people:read", simulate),
    Route("GET", "/v1/admin/journeys/{name}", "journey:read", show),
    Route("PUT", "/v1/admin/journeys/{name}", "journey:write", put),
    Route("PATCH", "/v1/admin/journeys/{name}", "journey:write", change),
    Route("POST", "/v1/admin/journeys/{name}/publish", "journey:publish", publish),
    Route("POST", "/v1/admin/journeys/{name}/end", "journey:publish", end),
    Route("POST", "/v1/admin/journeys/{name}/enter", "journey:write", enter),
    Route("POST", "/v1/admin/journeys/{name}/enter-past", "journey:write", enter_past),
)
