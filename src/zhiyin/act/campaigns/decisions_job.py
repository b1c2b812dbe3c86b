"""The decisions of a planned campaign as rows of the lake's `decisions` (law 5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from zhiyin.act.campaigns.choice_job import content_id, read_chances
from zhiyin.act.campaigns.ledger import HELD_OUT, Campaign
from zhiyin.core import columns as c
from zhiyin.core.context import Context
from zhiyin.core.decisions import (
    BY_CAMPAIGN,
    CONTACT,
    HOLDOUT,
    NO_ARM,
    NO_CONTACT,
    TREAT,
    decision_id,
)
from zhiyin.core.ledger import messages
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import DECISIONS

POLICY, IN_AUDIENCE = "campaign", "in_audience"


def write_decisions(ctx: Context, campaign: Campaign) -> int:
    """Write a row for everybody who was considered; 0 where they are written already.

    Who may be written to is held out with the holdout's share, else gets a variant with its share,
    or with the chance that the decision point gave it: that is the propensity. Who is stopped by
    the gate had no choice: hers is 1.
    """
    query = sa.select(messages).where(
        messages.c.campaign_id == campaign.campaign_id, messages.c.turn_id == campaign.turn_id
    )
    with ctx.store.begin() as connection:
        found = connection.execute(query.order_by(messages.c.message_id)).all()
        chances = read_chances(connection, campaign) if campaign.definition.choose_by else {}
    rows = [_row(campaign, one, chances) for one in found]
    if not rows:
        return 0
    table = pa.Table.from_pylist(rows, schema=arrow_schema(DECISIONS))
    return ctx.store.append(DECISIONS.name, table, app=campaign.turn_id)


def _row(campaign: Campaign, message: sa.Row[Any], chances: Mapping[str, float]) -> dict[str, Any]:
    possible = message.variant is not None or message.reason == HELD_OUT
    contacted = message.variant is not None
    return {
        c.DECISION_ID: decision_id(campaign.turn_id, campaign.campaign_id, message.customer_id),
        c.TURN_ID: campaign.turn_id,
        c.AS_OF_ON: campaign.as_of_on,
        c.CAMPAIGN_ID: campaign.campaign_id,
        c.PARTY_ID: message.party_id,
        c.CUSTOMER_ID: message.customer_id,
        c.DECIDED_AT: message.planned_at,
        c.MONTH: f"{message.planned_at:%Y-%m}",
        c.DECIDED_BY: BY_CAMPAIGN,
        c.ELIGIBLE: json.dumps([NO_CONTACT, CONTACT] if possible else [NO_CONTACT]),
        c.ACTION: CONTACT if contacted else NO_CONTACT,
        c.ARM: TREAT if contacted else HOLDOUT if possible else NO_ARM,
        c.VARIANT: message.variant,
        c.PROPENSITY: _propensity(campaign, message, chances) if possible else 1.0,
        c.EXPLORED: False,
        c.PERSONALISED: False,
        c.POLICY: POLICY,
        c.POLICY_VERSION: f"{campaign.key}@{campaign.version}",
        c.REASON: IN_AUDIENCE if contacted else message.reason,
    }


def _propensity(campaign: Campaign, message: sa.Row[Any], chances: Mapping[str, float]) -> float:
    definition = campaign.definition
    if message.variant is None:
        return definition.holdout_share
    share = definition.shares[message.variant]
    if definition.choose_by:
        share = chances.get(content_id(campaign, message.customer_id), share)
    return (1 - definition.holdout_share) * share
