"""`?strict=1` on the tracking API: what becomes of each event, said at once. For development.

The request is kept as it is without it; the answer alone differs. It costs the server as much as
the compactor, so production clients leave it out.
"""

from __future__ import annotations

import asyncio

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from zhiyin.collect.event_words import LANGUAGES, say
from zhiyin.collect.plan import Checks
from zhiyin.collect.plan_ledger import list_plans
from zhiyin.collect.received import Received
from zhiyin.collect.strict import Item, check_request
from zhiyin.core.log import get_logger
from zhiyin.store.ledger import reading

WANTED = b"strict=1"


def is_strict(query: bytes) -> bool:
    """Whether a request's address asks for the report."""
    return WANTED in query and WANTED in query.split(b"&")


async def report_items(ledger: sa.Engine, received: Received) -> bytes:
    """The answer to a request that was kept: each event with its reason or findings, in words.

    `success` is false where an event is refused. No value of an event is repeated.
    """
    items = await asyncio.to_thread(_check, ledger, received)
    return msgspec.json.encode(
        {
            "success": all(one.reason is None for one in items),
            "items": [_item(one) for one in items],
        }
    )


def _check(ledger: sa.Engine, received: Received) -> list[Item]:
    try:
        with reading(ledger) as connection:
            plans = list_plans(connection, received.source)
    except SQLAlchemyError as error:  # the events are on the disk: never answer with an error
        get_logger().error("the tracking plans cannot be read: %s", type(error).__name__)
        plans = []
    return check_request(received, Checks(plans))


def _item(one: Item) -> dict[str, object]:
    made: dict[str, object] = {"place": one.place, "kept": one.reason is None}
    if one.reason is not None:
        made["reason"] = _words(one.reason)
    if one.findings:
        made["findings"] = [_words(code) for code in one.findings]
    return made


def _words(code: str) -> dict[str, str]:
    return {"code": code, **{language: say(code, language) for language in LANGUAGES}}
