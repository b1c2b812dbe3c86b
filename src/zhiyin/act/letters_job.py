"""The texts that a message's content names, whether a campaign or a journey has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from zhiyin.act.campaigns.content import CAMPAIGN, Letters, campaign_letters
from zhiyin.act.campaigns.ledger import find_campaign
from zhiyin.act.journeys.ledger import PREFIX, versions
from zhiyin.core.context import Context


def load_letters(ctx: Context, content: Mapping[str, Any]) -> Letters | None:
    """The texts for a message's content; None where it names none."""
    if content.get("template") != CAMPAIGN:
        return None
    key: str = content["campaign"]
    with ctx.store.begin() as connection:
        if key.startswith(PREFIX):
            return journey_letters(connection, key)
        held = find_campaign(connection, key)
    return campaign_letters(held.definition, held.version)


def journey_letters(connection: sa.Connection, campaign: str) -> Letters:
    """The texts of all versions of a journey, by the campaign of its messages."""
    texts = {
        (held.version, *place): text
        for held in versions(connection, campaign.removeprefix(PREFIX))
        for place, text in held.definition.texts().items()
    }
    return Letters(texts, marketing=True)
