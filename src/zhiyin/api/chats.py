"""Chats over HTTP: mass messages that members confirm, messages that customers allowed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from zhiyin.act.mass_ledger import list_mass_sends
from zhiyin.alerts import list_alerts
from zhiyin.api.access import Route, caller_of, workspace_of
from zhiyin.authorisations import Authorisations
from zhiyin.govern.authorisations import MOST_AT_ONCE
from zhiyin.store.ledger import reading

Customer = Annotated[str, Field(min_length=1, max_length=256)]
Template = Annotated[str, Field(max_length=80, pattern=r"^[A-Za-z0-9_.-]*$")]


class Granted(BaseModel):
    """Messages that a customer allowed. Identifiers are personal: they go in the body."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    openid: Annotated[str, Field(max_length=64)] = Field("", description="of the mini-programme")
    customer: Annotated[str, Field(max_length=256)] = Field(
        "", description="or the source's id, an e-mail, a phone number or our id"
    )
    template: Template = Field("", description="empty: act.wechat_template")
    source: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="where she was asked, for example order page"
    )
    times: Annotated[int, Field(ge=1, le=MOST_AT_ONCE)] = 1
    key: Annotated[str, Field(max_length=200)] = Field(
        "", description="your own id of it: the same key of a source counts once"
    )


class Whose(BaseModel):
    """One customer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: Customer


class Void(BaseModel):
    """A customer of whose stock nothing may be used any more."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: Customer
    template: Annotated[str, Field(min_length=1, max_length=80)]
    reason: Annotated[str, Field(min_length=1, max_length=200)]


def mass_sends(request: Request) -> list[dict[str, Any]]:
    """The newest mass messages, by whom they are confirmed, with their messages by state."""
    with reading(workspace_of(request).store.ledger) as connection:
        found = list_mass_sends(connection)
    return [{name: _plain(value) for name, value in one.items()} for one in found]


def show_alerts(request: Request) -> list[dict[str, Any]]:
    """What staff should know of now: what stopped, is done or is stuck, in both languages."""
    return [
        {"kind": one.kind, "key": one.key, "en": one.text("en"), "zh": one.text("zh")}
        for one in list_alerts(workspace_of(request))
    ]


def grant(request: Request, granted: Granted) -> dict[str, Any]:
    """Keep that somebody allowed so many messages of a template; how many are left."""
    return _authorisations(request).grant(
        openid=granted.openid, customer=granted.customer, template=granted.template,
        source=granted.source, times=granted.times, key=granted.key,
    )  # fmt: skip


def list_authorisations(request: Request) -> list[dict[str, Any]]:
    """By template: how many messages were allowed, sent, void, and are left."""
    return _authorisations(request).listed()


def show(request: Request, whose: Whose) -> dict[str, Any]:
    """What a customer allowed, and which message spent it."""
    return _authorisations(request).shown(whose.customer)


def void(request: Request, asked: Void) -> dict[str, Any]:
    """Make void what is left of a template."""
    return _authorisations(request).void(
        asked.customer, template=asked.template, reason=asked.reason, by=caller_of(request).name
    )


def _authorisations(request: Request) -> Authorisations:
    shop = workspace_of(request)
    return Authorisations(shop.store, shop.vault, shop.clock, shop.settings)


def _plain(value: Any) -> Any:
    return value.replace(tzinfo=UTC).isoformat() if isinstance(value, datetime) else value


ROUTES = (
    Route("GET", "/v1/admin/mass-sends", "report:read", mass_sends),
    Route("GET", "/v1/admin/alerts", "report:read", show_alerts),
    Route("POST", "/v1/authorisations", "authorisation:grant", grant),
    Route("GET", "/v1/admin/authorisations", "report:read", list_authorisations),
    Route("POST", "/v1/admin/authorisations/show", "consent:read", show),
    Route("POST", "/v1/admin/authorisations/void", "consent:write", void),
)
