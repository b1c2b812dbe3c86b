"""Webhooks come in: the signature opens the door, and a 2xx means that the body is on the disk."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool

from zhiyin.api.access import PUBLIC, Route, workspace_of
from zhiyin.api.errors import ACCEPTED, answer_sender
from zhiyin.app import Workspace
from zhiyin.collect.sources.config import HookSource, find_source
from zhiyin.collect.sources.hooks import receive
from zhiyin.collect.sources.intake import Intake
from zhiyin.core.clock import naive_utc
from zhiyin.core.errors import Busy, ConcurrentWrite, NotFound, ZhiyinError
from zhiyin.core.log import get_logger
from zhiyin.intake import ask_pull, list_sources


async def take_hook(request: Request, source: str) -> Any:
    """Keep a webhook of `source`: `kept`, `known` (it came before), or `ignored` (its topic).

    400 is said of what can never be kept; 503 with Retry-After of what may be sent again.
    """
    body = await request.body()
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        state = await run_in_threadpool(_keep, workspace_of(request), source, headers, body)
    except ZhiyinError as error:
        get_logger().info("webhook refused: %s", error.code)
        return answer_sender(error)
    return {"state": state}


def _keep(shop: Workspace, name: str, headers: dict[str, str], body: bytes) -> str:
    source = find_source(shop.folder, name)
    if not isinstance(source, HookSource):
        raise NotFound(f"the source {name} takes no webhooks")
    intake = Intake(shop.store, shop.vault, shop.settings, shop.clock, shop.folder)
    try:
        return receive(intake, name, source, headers, body)
    except (ConcurrentWrite, OperationalError) as error:  # held by others, or the disk is full
        raise Busy("the webhook could not be written to the disk now", retry_after_s=5) from error


def show_sources(request: Request) -> list[dict[str, Any]]:
    """Sources with how far they were read, what waits, and why the last pull failed."""
    shop = workspace_of(request)
    return list_sources(shop.store, shop.folder)


def pull_now(request: Request, source: str) -> dict[str, Any]:
    """Ask the worker to pull a source."""
    shop = workspace_of(request)
    find_source(shop.folder, source)
    asked = ask_pull(shop.store, source, shop.clock)
    return {"source": source, "asked": asked, "at": naive_utc(shop.clock.now()).isoformat() + "Z"}


ROUTES = (
    Route("POST", "/v1/hooks/{source}", PUBLIC, take_hook),
    Route("GET", "/v1/admin/sources", "job:read", show_sources),
    Route("POST", "/v1/admin/sources/{source}/pull", "data:load", pull_now, status=ACCEPTED),
)
