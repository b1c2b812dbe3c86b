"""Which records are one person, over HTTP: see it, try a merge, make it, undo it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from zhiyin.api.access import Route, caller_of, workspace_of
from zhiyin.person.identity import (
    Door,
    list_conflicts,
    merge_customers,
    preview_merge,
    show_identity,
    undo_merge,
)
from zhiyin.store.workspace import WorkspaceStore

Text = Annotated[str, Field(min_length=1, max_length=256)]


class Two(BaseModel):
    """Two customers, each by the source's id, an e-mail, a phone number or our id."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: Text = Field(description="who would be merged")
    into: Text = Field(description="who stays")


class Named(BaseModel):
    """One customer. Identifiers are personal: they go in the body, never in an address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: Text = Field(description="the source's id, an e-mail, a phone number or our id")


class Merge(BaseModel):
    """A merge as `show` lists it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    party_id: Text = Field(description="the record that was merged")
    into: Text = Field(description="the record it was merged into")


def show(request: Request, named: Named) -> dict[str, Any]:
    """The records of a customer, their identifiers, and the merges with what spoke for them."""
    return show_identity(_door(request), named.customer)


def preview(request: Request, two: Two) -> dict[str, Any]:
    """What a merge would join: parties, orders, revenue, consents. Nothing is written."""
    return preview_merge(_door(request), two.customer, two.into)


def merge(request: Request, two: Two) -> dict[str, Any]:
    """Make two customers one person from now on."""
    return merge_customers(_door(request, write=True), two.customer, two.into)


def undo(request: Request, named: Merge) -> dict[str, Any]:
    """Let a merge hold no longer, from now on."""
    return undo_merge(_door(request, write=True), named.party_id, named.into)


def conflicts(
    request: Request,
    language: Literal["en", "zh"] = "en",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> dict[str, Any]:
    """What was not joined and why, newest first."""
    return list_conflicts(_door(request), language=language, limit=limit, offset=offset)


def _door(request: Request, *, write: bool = False) -> Door:
    shop = workspace_of(request)
    door = Door(shop.store, shop.vault, shop.clock, caller_of(request).name)
    if not write:
        return door
    held = shop.store
    writing = WorkspaceStore(held.lake, held.ledger, zone=held.zone, engine=held.engine)
    return replace(door, store=writing)


ROUTES = (
    Route("POST", "/v1/admin/identity/show", "identity:read", show),
    Route("POST", "/v1/admin/identity/preview", "identity:read", preview),
    Route("POST", "/v1/admin/identity/merge", "identity:write", merge),
    Route("POST", "/v1/admin/identity/undo", "identity:write", undo),
    Route("GET", "/v1/admin/identity/conflicts", "identity:read", conflicts),
)
