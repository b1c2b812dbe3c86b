"""Providers of text messages tell what arrived and what was replied; each event is taken once.

Aliyun and Tencent Cloud sign nothing: a secret in the address opens the door, which no log names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from zhiyin.act.replies import is_from_twilio
from zhiyin.act.sms_events import (
    Reply,
    Report,
    is_secret,
    read_pushed,
    read_twilio,
    take_sms_events,
)
from zhiyin.api.access import PUBLIC, Route, workspace_of
from zhiyin.api.errors import answer_sender
from zhiyin.app import Workspace
from zhiyin.core.config import sms_secrets, source_secrets
from zhiyin.core.errors import Busy, NotAuthenticated, NotFound, ZhiyinError
from zhiyin.core.log import get_logger
from zhiyin.store.ledger import transaction

_TAKEN: dict[str, dict[str, Any]] = {
    "aliyun": {"code": 0, "msg": "OK"}, "tencent": {"result": 0, "errmsg": "OK"},
}  # fmt: skip
"""What each provider wants to hear; anything else is sent again."""
_CHINA = "86"


async def take_pushed(request: Request, provider: str, secret: str) -> Any:
    """Take in reports and replies that Aliyun or Tencent Cloud push; the answer they want."""
    body = await request.body()
    try:
        return await run_in_threadpool(_take, workspace_of(request), provider, secret, body)
    except ZhiyinError as error:
        get_logger().info("receipts refused: %s", error.code)
        return answer_sender(error)


async def take_twilio(request: Request) -> Any:
    """Take in the status of a text message by Twilio, who signs it for our public address."""
    text = (await request.body()).decode("utf-8", "replace")
    fields = dict(parse_qsl(text, keep_blank_values=True))
    given = request.headers.get("x-twilio-signature", "")
    try:
        await run_in_threadpool(
            _take_twilio, workspace_of(request), request.url.path, fields, given
        )
    except ZhiyinError as error:
        get_logger().info("receipts refused: %s", error.code)
        return answer_sender(error)
    return Response(status_code=204)


def _take(shop: Workspace, provider: str, secret: str, body: bytes) -> dict[str, Any]:
    secrets = source_secrets(f"receipts-{provider}") if provider in _TAKEN else ()
    if not secrets:
        raise NotFound(
            "no receipts of this provider are taken",
            hint=f"providers: {', '.join(_TAKEN)}; set ZHIYIN_SOURCE_RECEIPTS_<PROVIDER>",
        )
    if not is_secret(secret, secrets):
        raise NotAuthenticated("the secret in the address is wrong")
    _keep(shop, read_pushed(provider, body))
    return _TAKEN[provider]


def _take_twilio(shop: Workspace, path: str, fields: dict[str, str], given: str) -> None:
    secrets, url = sms_secrets(), shop.settings.act.public_url.rstrip("/") + path
    if secrets is None or not is_from_twilio(url, fields, given, secrets=secrets[1:]):
        raise NotAuthenticated("the signature of the receipt is wrong")
    _keep(shop, read_twilio(fields))


def _keep(shop: Workspace, found: Sequence[Report | Reply]) -> None:
    act = shop.settings.act
    try:
        with transaction(shop.store.ledger) as connection:
            take_sms_events(
                connection, found, vault=shop.vault, at=shop.clock.now(),
                soft_bounces=act.soft_bounces, calling_code=act.calling_code or _CHINA,
            )  # fmt: skip
    except OperationalError as error:
        raise Busy("the receipts could not be written now", retry_after_s=5) from error


ROUTES = (
    Route("POST", "/v1/receipts/twilio", PUBLIC, take_twilio),
    Route("POST", "/v1/receipts/{provider}/{secret}", PUBLIC, take_pushed),
)
