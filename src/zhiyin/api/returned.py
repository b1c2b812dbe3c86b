"""Providers tell what became of messages: signed, each report taken once, unknown ones counted."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from zhiyin.act.channels.outgoing import fetch_public
from zhiyin.act.provider_events import read_events
from zhiyin.act.replies import is_from_twilio, take_reply
from zhiyin.act.returned import take_returned
from zhiyin.api.access import PUBLIC, Route, workspace_of
from zhiyin.api.errors import answer_sender
from zhiyin.app import Workspace
from zhiyin.core.config import sms_secrets, source_secrets
from zhiyin.core.errors import Busy, NotAuthenticated, ZhiyinError
from zhiyin.core.log import get_logger
from zhiyin.store.ledger import transaction


async def take_events(request: Request, provider: str) -> Any:
    """Take in the events of an e-mail provider; how many were taken, repeated, unknown."""
    body = await request.body()
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        return await run_in_threadpool(_take, workspace_of(request), provider, headers, body)
    except ZhiyinError as error:
        get_logger().info("events refused: %s", error.code)
        return answer_sender(error)


def _take(shop: Workspace, provider: str, headers: dict[str, str], body: bytes) -> dict[str, int]:
    now = shop.clock.now()
    now = now if now.tzinfo else now.replace(tzinfo=UTC)
    found = read_events(
        provider, headers, body, secrets=source_secrets(f"returns-{provider}"), now=now,
        fetch=fetch_public,
    )  # fmt: skip
    try:
        with transaction(shop.store.ledger) as connection:
            limit = shop.settings.act.soft_bounces
            return dict(take_returned(connection, found, at=now, soft_bounces=limit))
    except OperationalError as error:
        raise Busy("the events could not be written now", retry_after_s=5) from error


async def take_twilio_reply(request: Request) -> Response:
    """Take in a reply to a text message by Twilio; a refusal holds at once. Nothing is said back.

    Raises
    ------
    NotAuthenticated
        If Twilio did not sign it for our public address.
    """
    text = (await request.body()).decode("utf-8", "replace")
    fields = dict(parse_qsl(text, keep_blank_values=True))
    given = request.headers.get("x-twilio-signature", "")
    await run_in_threadpool(_take_reply, workspace_of(request), request.url.path, fields, given)
    return Response("<Response/>", media_type="application/xml")


def _take_reply(shop: Workspace, path: str, fields: dict[str, str], given: str) -> None:
    secrets, act = sms_secrets(), shop.settings.act
    url = act.public_url.rstrip("/") + path
    if secrets is None or not is_from_twilio(url, fields, given, secrets=secrets[1:]):
        raise NotAuthenticated("the signature of the reply is wrong")
    with transaction(shop.store.ledger) as connection:
        take_reply(
            connection, vault=shop.vault, number=fields.get("From", ""),
            text=fields.get("Body", ""), at=shop.clock.now(), key=fields.get("MessageSid", ""),
        )  # fmt: skip


ROUTES = (
    Route("POST", "/v1/returns/{provider}", PUBLIC, take_events),
    Route("POST", "/v1/replies/twilio", PUBLIC, take_twilio_reply),
)
