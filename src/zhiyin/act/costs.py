"""What text messages cost: the provider charges for each of their segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from babel.numbers import get_currency_precision

from zhiyin.act.campaigns.content import Letters
from zhiyin.act.create.text_message import count_segments
from zhiyin.act.ledger import FAILED, SENDING, SENT, UNKNOWN
from zhiyin.act.letters import write_message
from zhiyin.act.reasons import BOUNCED, BOUNCED_LATER
from zhiyin.core import columns as c
from zhiyin.core.config import Settings
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.ledger import messages
from zhiyin.core.protocols import Vault
from zhiyin.govern.people import SMS

MICROS = 1_000_000
CHARGED = (SENDING, SENT, UNKNOWN)


@dataclass(frozen=True)
class Price:
    """What one text message costs; `micros` are millionths of the workspace's currency."""

    segments: int
    micros: int


def price_of(text: str, settings: Settings) -> Price:
    """The price of a text."""
    segments = count_segments(text)
    return Price(segments, int(settings.act.sms_cost * MICROS) * segments)


def price_content(
    content: Mapping[str, Any] | None, *, settings: Settings, vault: Vault, message_id: str,
    language: str, name: str, letters: Letters | None = None,
) -> Price | None:  # fmt: skip
    """The price of what a text message says to her; None where it cannot be written."""
    try:
        written = write_message(
            SMS, content or {}, settings=settings, vault=vault, message_id=message_id,
            language=language, name=name, letters=letters,
        )  # fmt: skip
    except (InvalidParameter, NotFound, KeyError):
        return None
    return price_of(written.text, settings)


def budget_micros(settings: Settings, medium: str) -> int | None:
    """The budget of a decided campaign, where texts have a price; None: no limit of this kind."""
    budget = settings.decide.budget_minor
    if budget is None or medium != SMS or not settings.act.sms_cost:
        return None
    return budget * MICROS // 10 ** get_currency_precision(settings.currency)


def as_money(micros: int) -> Decimal:
    """Millionths of the currency as an amount of it."""
    return (Decimal(micros) / MICROS).normalize()


def is_charged() -> sa.ColumnElement[bool]:
    """Messages that the provider charges for, or may: also those that did not arrive."""
    bounced = (messages.c.state == FAILED) & messages.c.reason.in_((BOUNCED, BOUNCED_LATER))
    return messages.c.state.in_(CHARGED) | bounced


def count_costs(connection: sa.Connection, campaign_id: str | None = None) -> list[dict[str, Any]]:
    """By campaign: `messages` that have a price and went, their `segments` and `cost_micros`."""
    query = (
        sa.select(
            messages.c.campaign_id, sa.func.count().label("messages"),
            sa.func.sum(messages.c.segments).label("segments"),
            sa.func.sum(messages.c.cost_micros).label("cost_micros"),
        )
        .where(messages.c.cost_micros.is_not(None), is_charged())
        .group_by(messages.c.campaign_id)
        .order_by(messages.c.campaign_id)
    )  # fmt: skip
    if campaign_id is not None:
        query = query.where(messages.c.campaign_id == campaign_id)
    return [
        {c.CAMPAIGN_ID: row.campaign_id, "messages": row.messages, "segments": int(row.segments),
         "cost_micros": int(row.cost_micros), "cost": f"{as_money(int(row.cost_micros)):f}"}
        for row in connection.execute(query)
    ]  # fmt: skip
