"""Health, the report and its summary, and one customer explained."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any, Literal

from fastapi import Request
from starlette.responses import HTMLResponse

from zhiyin import __version__
from zhiyin.api.access import PUBLIC, Route, workspace_of
from zhiyin.api.shell import CLOSED
from zhiyin.app import REPORT, SUMMARY
from zhiyin.core.errors import NotFound
from zhiyin.person.explain import explain_customer

_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')


def show_health() -> dict[str, str]:
    """Whether the server answers, and which version it is."""
    return {"status": "ok", "version": __version__}


def show_report(request: Request) -> HTMLResponse:
    """The report of the last turn."""
    page = _read(request, REPORT)
    found = _POLICY.search(page[:4096])
    policy = f"{found[1]}; frame-ancestors 'none'" if found else CLOSED
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


def show_summary(request: Request) -> Any:
    """`summary.json` of the last turn."""
    return json.loads(_read(request, SUMMARY))


def explain_person(
    request: Request, customer: str, language: Literal["en", "zh"] = "en", as_of: date | None = None
) -> dict[str, Any]:
    """One customer: profile, scores with reasons, decisions, messages, and why not. `customer`
    is our id or the source's; no personal data is in the answer."""
    shop = workspace_of(request)
    store = shop.store.pinned(shop.store.versions())
    answer = explain_customer(store, shop.vault, customer, language=language, as_of=as_of)
    return {**answer.values, "text": answer.text}


def _read(request: Request, name: str) -> str:
    path = workspace_of(request).folder / "reports" / name
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound("there is no report yet", hint="run a turn: POST /v1/jobs") from None


ROUTES = (
    Route("GET", "/health", PUBLIC, show_health),
    Route("GET", "/", "report:read", show_report),
    Route("GET", "/v1/summary", "report:read", show_summary),
    Route("GET", "/v1/people/{customer}/explain", "people:read", explain_person),
)
