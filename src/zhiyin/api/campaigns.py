"""Campaigns over HTTP: check, keep, approve, start, pause, resume, cancel, live counts."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from zhiyin.act.campaigns.definition import definition_schema as campaign_schema
from zhiyin.act.campaigns.definition import parse_definition
from zhiyin.act.campaigns.ledger import Campaign
from zhiyin.api.access import Route, caller_of, workspace_of
from zhiyin.api.errors import ACCEPTED
from zhiyin.audiences import usual_day
from zhiyin.campaigns import Campaigns, campaigns_of
from zhiyin.core.errors import InvalidParameter
from zhiyin.trials import ask_test

AsOf = Annotated[date | None, Query(description="day; none: the last that was computed")]


class Planned(BaseModel):
    """A campaign as its file has it; `key` may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    campaign: dict[str, Any] = Field(description="see /v1/admin/campaign-schema")


class Asked(BaseModel):
    """A campaign to be checked; nothing is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    campaign: dict[str, Any] = Field(description="see /v1/admin/campaign-schema")
    as_of: date | None = Field(None, description="day; none: the last that was computed")
    language: Literal["en", "zh"] = "en"


class Looked(BaseModel):
    """Whose message is looked at. Identifiers are personal: they go in the body."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: str = Field(min_length=1, max_length=254, description="her id, e-mail or phone")
    language: Literal["", "en", "zh"] = Field("", description="none: hers")


class Tested(BaseModel):
    """Where a test message goes. Addresses are personal: they go in the body."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field(min_length=1, max_length=254, description="one of act.testers")
    variant: str = Field("", max_length=40, description="none: all")
    language: Literal["", "en", "zh"] = Field("", description="none: each it has")


def list_all(request: Request) -> list[dict[str, Any]]:
    """The newest version of each campaign, with its state."""
    return campaigns_at(request).listed()


def show(request: Request, key: str) -> dict[str, Any]:
    """A campaign with live counts by state, reason and variant, and what it caused so far."""
    return campaigns_at(request).shown(key)


def check(request: Request, asked: Asked) -> dict[str, Any]:
    """Sizes after each rule, cost, and the smallest effect that the holdout can show."""
    found = campaigns_at(request, asked.as_of).check(parse_definition(asked.campaign))
    return found.as_dict() | {"text": found.text(asked.language)}


def preview(
    request: Request,
    key: str,
    language: Annotated[Literal["", "en", "zh"], Query(description="none: each it has")] = "",
) -> list[dict[str, Any]]:
    """What each variant says in each language, written by what sends it, for nobody by name."""
    return [one.as_dict() for one in campaigns_at(request).preview(key, language=language)]


def preview_customer(request: Request, key: str, looked: Looked) -> dict[str, Any]:
    """What a customer gets, with her name, and why not or when; noted in the audit log."""
    campaigns = campaigns_at(request)
    (found,) = campaigns.preview(key, customer=looked.customer, language=looked.language)
    campaigns.note_preview(key, found.customer_id, by=caller_of(request).name)
    return found.as_dict()


def test(request: Request, key: str, tested: Tested) -> dict[str, Any]:
    """Let the worker send its texts to an address of staff; see /v1/jobs for what became of it."""
    shop = workspace_of(request)
    job_id = ask_test(
        shop, key, tested.address, by=caller_of(request).name, variant=tested.variant,
        language=tested.language,
    )  # fmt: skip
    return {"job_id": job_id}


def put(request: Request, key: str, planned: Planned) -> dict[str, Any]:
    """Keep a campaign as a draft: a new version."""
    definition = parse_definition({"key": key, **planned.campaign})
    if definition.key != key:
        raise InvalidParameter(f"the campaign is called {definition.key!r}, not {key!r}")
    return _head(campaigns_at(request).create(definition, by=caller_of(request).name))


def approve(request: Request, key: str) -> dict[str, Any]:
    """Approve a campaign that another caller made."""
    return _head(campaigns_at(request).approve(key, by=caller_of(request).name))


def start(request: Request, key: str, as_of: AsOf = None) -> dict[str, Any]:
    """Start it: the worker plans its messages and sends them when they are due."""
    return _head(campaigns_at(request, as_of).start(key, by=caller_of(request).name))


def pause(request: Request, key: str) -> dict[str, Any]:
    """Send nothing more for now; a delivery under way stops within a second."""
    return _head(campaigns_at(request).pause(key, by=caller_of(request).name))


def resume(request: Request, key: str) -> dict[str, Any]:
    """Go on where it stopped; the stop rule counts anew."""
    return _head(campaigns_at(request).resume(key, by=caller_of(request).name))


def cancel(request: Request, key: str) -> dict[str, Any]:
    """End it for good: what is still planned is skipped."""
    return _head(campaigns_at(request).cancel(key, by=caller_of(request).name))


def definition_schema(request: Request) -> dict[str, Any]:
    """The JSON Schema of a campaign."""
    return campaign_schema()


def _head(one: Campaign) -> dict[str, Any]:
    return {
        "key": one.key, "version": one.version, "state": one.state, "created_by": one.created_by,
        "approved_by": one.approved_by,
    }  # fmt: skip


def campaigns_at(request: Request, as_of: date | None = None) -> Campaigns:
    """The campaigns of the served workspace, on one state of its tables."""
    shop = workspace_of(request)
    day = as_of or usual_day(shop.store, shop.clock, shop.default_day)
    store = shop.store.pinned(shop.store.versions())
    return campaigns_of(store, shop.vault, shop.settings, shop.clock, day)


_ONE = "/v1/admin/campaigns/{key}"
ROUTES = (
    Route("GET", "/v1/admin/campaigns", "campaign:read", list_all),
    Route("GET", "/v1/admin/campaign-schema", "campaign:read", definition_schema),
    Route("POST", "/v1/admin/campaign-check", "campaign:read", check),
    Route("GET", _ONE, "campaign:read", show),
    Route("GET", f"{_ONE}/preview", "campaign:read", preview),
    Route("POST", f"{_ONE}/preview", "people:read_personal", preview_customer),
    Route("POST", f"{_ONE}/test", "campaign:write", test, status=ACCEPTED),
    Route("PUT", _ONE, "campaign:write", put),
    Route("POST", f"{_ONE}/approve", "campaign:approve", approve),
    Route("POST", f"{_ONE}/start", "campaign:write", start),
    Route("POST", f"{_ONE}/pause", "campaign:write", pause),
    Route("POST", f"{_ONE}/resume", "campaign:write", resume),
    Route("POST", f"{_ONE}/cancel", "campaign:write", cancel),
)
