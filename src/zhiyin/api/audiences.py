"""Audiences over HTTP: list, rule, size of a rule, who entered or left, one person explained."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from zhiyin.api.access import Route, caller_of, workspace_of
from zhiyin.audience import parse
from zhiyin.audience.rule import schema
from zhiyin.audiences import Audiences, usual_day

Text = Annotated[str, Field(min_length=1, max_length=256)]


class Asked(BaseModel):
    """A rule to be counted; nothing is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: dict[str, Any] = Field(description="rule tree; see /v1/admin/audience-schema")
    sample: int = Field(10, ge=0, le=1000, description="how many members to show")
    as_of: date | None = Field(None, description="day; none: the last that was computed")


class Kept(BaseModel):
    """A rule to be kept under a name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: dict[str, Any] = Field(description="rule tree")
    kind: Literal["scheduled", "static", "live"] = Field(
        "scheduled", description="asked every turn, once, or whenever something comes in"
    )


class OnePerson(BaseModel):
    """One customer. Identifiers are personal: they go in the body, never in an address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: Text = Field(description="the source's id, an e-mail, a phone number or our id")
    language: Literal["en", "zh"] = "en"
    as_of: date | None = Field(None, description="day; none: the last that was computed")


class Alike(BaseModel):
    """How many people like those of an audience are wanted, and whether to keep them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int | None = Field(None, ge=1, le=2**53, description="how many are wanted")
    share: float | None = Field(
        None, gt=0, le=1, description="which share of the other customers; none: 0.05"
    )
    name: str = Field("", max_length=80, description="keep them as an audience of this name")
    sample: int = Field(10, ge=0, le=1000, description="how many ids to show")
    language: Literal["en", "zh"] = "en"
    as_of: date | None = Field(None, description="day; none: the last that was computed")


def list_all(request: Request) -> list[dict[str, Any]]:
    """The audiences that hold, with the size of their last evaluation."""
    return _audiences(request).listed()


def show(request: Request, name: str) -> dict[str, Any]:
    """An audience with its rule."""
    return _audiences(request).shown(name)


def put(request: Request, name: str, kept: Kept) -> dict[str, Any]:
    """Keep a rule: a new version, asked from the next turn on."""
    made = _audiences(request).add(
        name, parse(kept.rule), kind=kept.kind, by=caller_of(request).name
    )
    return {"name": made.name, "version": made.version, "kind": made.kind}


def preview(request: Request, asked: Asked) -> dict[str, Any]:
    """Size, sample and query of a rule."""
    found = _audiences(request, asked.as_of).preview(parse(asked.rule), n=asked.sample)
    return {"size": found.size, "sample": list(found.sample), "sql": found.sql}


def explain(request: Request, name: str, person: OnePerson) -> dict[str, Any]:
    """Whether a customer is in, why, and until when if nothing happens."""
    asked = _audiences(request, person.as_of)
    return asked.explain(name, person.customer, language=person.language)


def alike(request: Request, name: str, asked: Alike) -> dict[str, Any]:
    """More people like those of an audience: who, how well that can be said, and why."""
    from zhiyin.lookalikes import look_alike

    return look_alike(
        _audiences(request, asked.as_of), workspace_of(request).settings, name, size=asked.size,
        share=asked.share, name=asked.name, by=caller_of(request).name, sample=asked.sample,
        language=asked.language,
    )  # fmt: skip


def changes(
    request: Request,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    name: Annotated[str | None, Query(min_length=1, max_length=80)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[dict[str, Any]]:
    """Who entered or left, in order, above the number `after`."""
    return _audiences(request).changes(after=after, name=name, limit=limit)


def rule_schema(request: Request) -> dict[str, Any]:
    """The JSON Schema of rules."""
    return schema()


def _audiences(request: Request, as_of: date | None = None) -> Audiences:
    shop = workspace_of(request)
    day = as_of or usual_day(shop.store, shop.clock, shop.default_day)
    return Audiences(shop.store.pinned(shop.store.versions()), shop.vault, shop.clock, day)


ROUTES = (
    Route("GET", "/v1/admin/audiences", "audience:read", list_all),
    Route("GET", "/v1/admin/audience-schema", "audience:read", rule_schema),
    Route("GET", "/v1/admin/audience-changes", "people:read", changes),
    Route("POST", "/v1/admin/audience-preview", "people:read", preview),
    Route("GET", "/v1/admin/audiences/{name}", "audience:read", show),
    Route("PUT", "/v1/admin/audiences/{name}", "audience:write", put),
    Route("POST", "/v1/admin/audiences/{name}/explain", "people:read", explain),
    Route("POST", "/v1/admin/audiences/{name}/look-alike", "audience:write", alike),
)
