"""Consents over HTTP: double opt-in with its public link, the record, changes by hand."""

from __future__ import annotations

from html import escape
from typing import Annotated, Any, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import HTMLResponse

from zhiyin.act.links import CONFIRM, read
from zhiyin.api.access import PUBLIC, Route, caller_of, consents_of, workspace_of
from zhiyin.api.small_pages import language_of, small_page
from zhiyin.core.errors import NotFound

Customer = Annotated[
    str,
    Field(
        min_length=1,
        max_length=256,
        description="the source's id, an e-mail, a phone number or our id",
    ),
]
Purpose = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,31}$")]
Channel = Annotated[str, Field(pattern=r"^([a-z][a-z_]{0,31}|\*)$")]
Source = Annotated[str, Field(min_length=1, max_length=64)]
Fact = Annotated[str, Field(max_length=1000)]
_WORDS = {
    "en": {
        "title": "Please confirm",
        "button": "Yes, I agree",
        "done": "Thank you, that is noted. You can change it at any time by a link in our e-mails.",
        "over": "This link can be used no more. Ask for a new one where you got it.",
    },
    "zh": {
        "title": "请确认",
        "button": "同意并确认",
        "done": "谢谢，已记录您的选择。您可随时通过邮件中的链接更改。",
        "over": "此链接已失效，请重新申请。",
    },
}


class Wanted(BaseModel):
    """A consent to ask for. Identifiers are personal: they go in the body."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: Customer
    source: Source = Field(description="where she was asked, for example newsletter form")
    purpose: Purpose = "marketing"
    channel: Channel = "email"
    text: Annotated[str, Field(max_length=2000)] = Field(
        "", description="what she agrees to; none: Zhiyin's own words"
    )
    text_version: Annotated[str, Field(max_length=64)] = ""
    language: Literal["", "en", "zh"] = ""
    proof: Annotated[dict[Fact, Fact], Field(max_length=20)] = Field(
        default_factory=dict, description="facts of the request; kept encrypted"
    )


class Whose(BaseModel):
    """One customer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: Customer


class Answered(BaseModel):
    """What a customer said elsewhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: Customer
    purpose: Purpose = "marketing"
    channel: Channel = "email"
    source: Source
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    text_version: Annotated[str, Field(max_length=64)] = ""


def ask(request: Request, wanted: Wanted) -> dict[str, Any]:
    """Ask a customer for a consent: she gets an e-mail whose link confirms it."""
    made = consents_of(request).ask(
        wanted.customer, source=wanted.source, by=caller_of(request).name, purpose=wanted.purpose,
        channel=wanted.channel, text=wanted.text, text_version=wanted.text_version,
        language=wanted.language, proof=wanted.proof,
    )  # fmt: skip
    return {
        "request_id": made.request_id if made.allowed else None,
        "expires_at": made.expires_at.isoformat(),
        "allowed": made.allowed,
        "reason": made.reason,
    }


def show(request: Request, whose: Whose) -> dict[str, Any]:
    """What holds for a customer, every line of her record, and what she was asked."""
    return consents_of(request).shown(whose.customer)


def give(request: Request, answered: Answered) -> dict[str, Any]:
    """Record that a customer agreed."""
    return consents_of(request).give(
        answered.customer, purpose=answered.purpose, channel=answered.channel,
        source=answered.source, reason=answered.reason, by=caller_of(request).name,
        text_version=answered.text_version,
    )  # fmt: skip


def withdraw(request: Request, answered: Answered) -> dict[str, Any]:
    """Record that a customer refuses from now on."""
    return consents_of(request).withdraw(
        answered.customer, purpose=answered.purpose, channel=answered.channel,
        source=answered.source, reason=answered.reason, by=caller_of(request).name,
    )  # fmt: skip


def confirm_page(request: Request, token: str) -> HTMLResponse:
    """Show what would be agreed to; nothing changes."""
    held = consents_of(request).request(_request_id(request, token))
    language = language_of(held.language if held else "")
    words = _WORDS[language]
    if held is None or held.text is None or held.state == "expired":
        return _page(request, language, words["over"])
    if held.state == "confirmed":
        return _page(request, language, words["done"])
    form = f'<form method="post"><button>{escape(words["button"])}</button></form>'
    return _page(request, language, held.text, form)


def confirm(request: Request, token: str) -> HTMLResponse:
    """Grant what was asked for."""
    consents = consents_of(request)
    request_id = _request_id(request, token)
    held = consents.request(request_id)
    granted = consents.confirm(request_id, proof=facts_of(request))
    language = language_of(held.language if held else "")
    return _page(request, language, _WORDS[language]["done" if granted else "over"])


def facts_of(request: Request) -> dict[str, str]:
    """What proves a click: address and program. Personal: it is kept encrypted only."""
    return {
        "ip": request.client.host if request.client else "",
        "user_agent": request.headers.get("user-agent", "")[:400],
    }


def _request_id(request: Request, token: str) -> str:
    found = read(workspace_of(request).vault, CONFIRM, token)
    if found is None:
        raise NotFound("this link is not one of ours", hint="open the link as it is in the e-mail")
    return found


def _page(request: Request, language: str, text: str, form: str = "") -> HTMLResponse:
    name = workspace_of(request).settings.name
    title, body = _WORDS[language]["title"], f"<p>{escape(text)}</p>\n{form}"
    return small_page(name, language=language, title=title, body=body)


ROUTES = (
    Route("POST", "/v1/consents/ask", "consent:ask", ask),
    Route("POST", "/v1/admin/consents/show", "consent:read", show),
    Route("POST", "/v1/admin/consents/give", "consent:write", give),
    Route("POST", "/v1/admin/consents/withdraw", "consent:write", withdraw),
    Route("GET", "/c/{token}", PUBLIC, confirm_page),
    Route("POST", "/c/{token}", PUBLIC, confirm),
)
