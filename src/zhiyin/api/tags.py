"""Tags over HTTP: the catalogue, changes, giving by hand, history of a customer, coverage."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from zhiyin.api.access import Route, caller_of, workspace_of
from zhiyin.profile.definition import parse, schema
from zhiyin.tags import Tags

Text = Annotated[str, Field(min_length=1, max_length=256)]


class Kept(BaseModel):
    """A tag to be kept under a name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    definition: dict[str, Any] = Field(description="definition; see /v1/admin/tag-schema")
    draft: bool = Field(False, description="keep it, but do not compute it")


class Given(BaseModel):
    """Who is given a tag, or loses it. Identifiers are personal: they go in the body."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customers: list[Text] = Field(min_length=1, max_length=10_000)
    value: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    start_on: date | None = Field(None, description="day from which it holds; none: today")
    end_on: date | None = Field(None, description="last day on which they have it")


class Taken(BaseModel):
    """Who loses a tag."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customers: list[Text] = Field(min_length=1, max_length=10_000)
    start_on: date | None = Field(None, description="day from which it is gone; none: today")


class Whose(BaseModel):
    """One customer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: Text = Field(description="the source's id, an e-mail, a phone number or our id")
    language: Literal["en", "zh"] = "en"


def list_all(request: Request) -> list[dict[str, Any]]:
    """Every tag, with its owner, version, status, and how many have it."""
    return _tags(request).listed()


def show(request: Request, name: str) -> dict[str, Any]:
    """A tag: definition, versions, what it is made from, what uses it."""
    return _tags(request).shown(name)


def put(request: Request, name: str, kept: Kept) -> dict[str, Any]:
    """Keep a tag, or a new version of it: computed from the next turn on."""
    tags, by, definition = _tags(request), caller_of(request).name, parse(kept.definition)
    keep = tags.change if tags.is_own(name) else tags.create
    made = keep(name, definition, by=by, draft=kept.draft)
    return {"name": made.name, "version": made.version, "status": made.status}


def retire(request: Request, name: str) -> dict[str, Any]:
    """Compute a tag no more; refused while something uses it."""
    made = _tags(request).retire(name, by=caller_of(request).name)
    return {"name": made.name, "version": made.version, "status": made.status}


def give(request: Request, name: str, given: Given) -> dict[str, Any]:
    """Give a manual tag to customers."""
    n = _tags(request).give(
        name, given.customers, by=caller_of(request).name, value=given.value,
        start_on=given.start_on, end_on=given.end_on,
    )  # fmt: skip
    return {"name": name, "customers": n}


def take(request: Request, name: str, taken: Taken) -> dict[str, Any]:
    """Take a manual tag from customers."""
    n = _tags(request).give(
        name, taken.customers, by=caller_of(request).name, start_on=taken.start_on, take=True
    )
    return {"name": name, "customers": n}


def coverage(
    request: Request,
    name: Annotated[str | None, Query(min_length=1, max_length=80)] = None,
    days: Annotated[int, Query(ge=1, le=1000)] = 30,
) -> list[dict[str, Any]]:
    """Customers and share by tag and day; with a name also by its values."""
    return _tags(request).coverage(name=name, last_days=days)


def history(request: Request, whose: Whose) -> dict[str, Any]:
    """When a customer got and lost each tag."""
    return _tags(request).history(whose.customer)


def explain(request: Request, name: str, whose: Whose) -> dict[str, Any]:
    """Whether a customer has a rule tag, and why."""
    return _tags(request).explain(name, whose.customer, language=whose.language)


def tag_schema(request: Request) -> dict[str, Any]:
    """The JSON Schema of definitions."""
    return schema()


def _tags(request: Request) -> Tags:
    shop = workspace_of(request)
    return Tags(shop.store.pinned(shop.store.versions()), shop.vault, shop.clock)


ROUTES = (
    Route("GET", "/v1/admin/tags", "tag:read", list_all),
    Route("GET", "/v1/admin/tag-schema", "tag:read", tag_schema),
    Route("GET", "/v1/admin/tag-coverage", "tag:read", coverage),
    Route("POST", "/v1/admin/tag-history", "people:read", history),
    Route("GET", "/v1/admin/tags/{name}", "tag:read", show),
    Route("PUT", "/v1/admin/tags/{name}", "tag:write", put),
    Route("POST", "/v1/admin/tags/{name}/retire", "tag:write", retire),
    Route("POST", "/v1/admin/tags/{name}/explain", "people:read", explain),
    Route("POST", "/v1/admin/tags/{name}/give", "tag:give", give),
    Route("POST", "/v1/admin/tags/{name}/take", "tag:give", take),
)
