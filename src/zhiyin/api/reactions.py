"""Links and pictures in e-mails: a signed redirect, and what people and machines did with them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from fastapi import Request
from sqlalchemy.exc import OperationalError
from starlette.responses import RedirectResponse, Response

from zhiyin.act.costs import count_costs
from zhiyin.act.machines import WORDS, judge_click, judge_open
from zhiyin.act.reactions import (
    CLICK,
    OPEN,
    Sent,
    add_reaction,
    count_reactions,
    find_sent,
    mark_burst,
)
from zhiyin.act.tracked import read_click, read_open
from zhiyin.api.access import PUBLIC, Route, workspace_of
from zhiyin.app import Workspace
from zhiyin.core.errors import NotFound
from zhiyin.core.log import get_logger
from zhiyin.store.ledger import reading, transaction

_PRIVATE = {
    "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex",
}  # fmt: skip
_PICTURE = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def follow(request: Request, token: str) -> RedirectResponse:
    """Lead on to where a link of an e-mail leads, and keep that it was followed.

    Raises
    ------
    NotFound
        If the link was not made here.
    """
    shop = workspace_of(request)
    clicked = read_click(shop.vault, token)
    if clicked is None:
        raise NotFound("this link is not one of ours", hint="open the link as it is in the e-mail")

    def keep(connection: sa.Connection, message: Sent) -> None:
        at = shop.clock.now()
        machine = judge_click(**_facts(shop, request, message))
        if add_reaction(connection, message, CLICK, at=at, machine=machine, link=clicked.place):
            mark_burst(connection, message, at=at, links=clicked.links)

    _kept(shop, clicked.message_id, keep)
    return RedirectResponse(clicked.url, headers=_PRIVATE)


def show_picture(request: Request, name: str) -> Response:
    """The picture of one point that stands in an e-mail; keep that it was fetched.

    Raises
    ------
    NotFound
        If the address was not made here.
    """
    shop = workspace_of(request)
    message_id = read_open(shop.vault, name)
    if message_id is None:
        raise NotFound("there is no such picture")

    def keep(connection: sa.Connection, message: Sent) -> None:
        machine = judge_open(**_facts(shop, request, message))
        add_reaction(connection, message, OPEN, at=shop.clock.now(), machine=machine)

    _kept(shop, message_id, keep)
    return Response(_PICTURE, media_type="image/gif", headers=_PRIVATE)


def list_reactions(request: Request, campaign: str | None = None) -> dict[str, Any]:
    """What came back of messages, by campaign and kind, people and machines apart."""
    with reading(workspace_of(request).store.ledger) as connection:
        found = count_reactions(connection, campaign)
    return {
        "reactions": [dict(row) for row in found],
        "machines": {code: {"en": en, "zh": zh} for code, (en, zh) in WORDS.items()},
    }


def list_costs(request: Request, campaign: str | None = None) -> dict[str, Any]:
    """What text messages cost, by campaign: messages, their segments, and money."""
    shop = workspace_of(request)
    with reading(shop.store.ledger) as connection:
        return {"currency": shop.settings.currency, "costs": count_costs(connection, campaign)}


def _facts(shop: Workspace, request: Request, message: Sent) -> dict[str, Any]:
    now = shop.clock.now()
    return {
        "method": request.method,
        "user_agent": request.headers.get("user-agent", ""),
        "since_sent_s": message.since_s(now if now.tzinfo else now.replace(tzinfo=UTC)),
    }


def _kept(shop: Workspace, message_id: str, keep: Callable[[sa.Connection, Sent], None]) -> None:
    """Keep a reaction; nobody waits at a link because the ledger is held by others."""
    try:
        with transaction(shop.store.ledger) as connection:
            message = find_sent(connection, message_id)
            if message is not None:  # otherwise she was erased
                keep(connection, message)
    except OperationalError as error:
        get_logger().error("a reaction was not kept: %s", type(error.orig).__name__)


ROUTES = (
    Route("GET", "/r/{token}", PUBLIC, follow),
    Route("HEAD", "/r/{token}", PUBLIC, follow),
    Route("GET", "/o/{name}", PUBLIC, show_picture),
    Route("HEAD", "/o/{name}", PUBLIC, show_picture),
    Route("GET", "/v1/admin/reactions", "report:read", list_reactions),
    Route("GET", "/v1/admin/message-costs", "report:read", list_costs),
)
