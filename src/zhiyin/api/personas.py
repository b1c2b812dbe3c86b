"""Personas over HTTP: what sets a group, or one customer, apart."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from zhiyin.api.access import Route, workspace_of
from zhiyin.audiences import usual_day
from zhiyin.core.errors import InvalidParameter

if TYPE_CHECKING:
    from zhiyin.personas import Personas

Text = Annotated[str, Field(min_length=1, max_length=256)]


class OfGroup(BaseModel):
    """A group: one of audience, segment, tag or customers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    audience: Annotated[str, Field(max_length=160)] = ""
    segment: Annotated[str, Field(max_length=160, description="scheme:segment")] = ""
    tag: Annotated[str, Field(max_length=256, description="name, or name=value")] = ""
    customers: list[Text] = Field([], max_length=10_000)
    against: Annotated[str, Field(max_length=256)] = Field(
        "everyone", description="everyone, audience:NAME, segment:SCHEME:SEGMENT or tag:NAME"
    )
    language: Literal["en", "zh"] = "en"
    as_of: date | None = Field(None, description="day; none: the last that was computed")


class OfCustomer(BaseModel):
    """One customer. Identifiers are personal: they go in the body, never in an address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: Text = Field(description="the source's id, an e-mail, a phone number or our id")
    language: Literal["en", "zh"] = "en"
    as_of: date | None = Field(None, description="day; none: the last that was computed")


def of_group(request: Request, asked: OfGroup) -> dict[str, Any]:
    """What sets a group apart from everyone else, or from another group."""
    from zhiyin.personas import group_of, parse_group

    group = group_of(asked.audience, asked.segment, asked.tag, asked.customers)
    if group is None:
        raise InvalidParameter("no group is named", hint="audience, segment, tag or customers")
    against = parse_group(asked.against)
    return _personas(request, asked.as_of).of_group(group, against=against, language=asked.language)


def of_customer(request: Request, asked: OfCustomer) -> dict[str, Any]:
    """One customer: tags, segments, scores, what sets her apart, favourites."""
    found = _personas(request, asked.as_of)
    return found.of_customer(asked.customer, language=asked.language)


def _personas(request: Request, as_of: date | None) -> Personas:
    from zhiyin.personas import Personas

    shop = workspace_of(request)
    store = shop.store.pinned(shop.store.versions())
    return Personas(store, shop.vault, as_of or usual_day(store, shop.clock, shop.default_day))


ROUTES = (
    Route("POST", "/v1/admin/persona", "people:read", of_group),
    Route("POST", "/v1/admin/customer-persona", "people:read", of_customer),
)
