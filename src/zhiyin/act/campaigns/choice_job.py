"""Contents of a campaign that a decision point chooses: it asks in `decision_requests`, where
decide answers, for those whom the gate lets through and who are not held out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa

from zhiyin.act.campaigns.ledger import Campaign
from zhiyin.core.context import Context
from zhiyin.core.decisions import decision_id
from zhiyin.core.ledger import decision_requests
from zhiyin.govern.people import Person

Choose = Callable[[str, str], object]
"""Answers what a campaign asks: its id, the name of the step."""
STEP = "content"
NEVER_S = 253_402_300_799  # the point alone looks for what came of it
CHUNK = 500
r = decision_requests.c


def content_id(campaign: Campaign, customer_id: str) -> str:
    """Of the decision which content a customer gets."""
    return decision_id(campaign.turn_id, f"{campaign.campaign_id}|{STEP}", customer_id)


def choose_contents(
    ctx: Context, campaign: Campaign, people: Sequence[Person], choose: Choose
) -> dict[str, str]:
    """Customer → variant, of those who were asked about before as it was answered then."""
    ids = {content_id(campaign, one.customer_id): one for one in people}
    definition, now_s = campaign.definition, int(ctx.clock.now().timestamp())
    with ctx.store.begin() as connection:
        known = _answers(connection, list(ids))
        rows = [
            {
                "decision_id": name, "journey": campaign.campaign_id, "version": campaign.version,
                "step": STEP, "entry_id": 0, "party_id": one.party_id, "asked_s": now_s,
                "eligible": list(definition.shares), "explore": 0.0, "point": definition.choose_by,
                "until_s": now_s, "settle_s": NEVER_S,
            }
            for name, one in ids.items()
            if name not in known
        ]  # fmt: skip
        if rows:
            connection.execute(decision_requests.insert(), rows)
    choose(campaign.campaign_id, STEP)
    with ctx.store.begin() as connection:
        found = _answers(connection, list(ids))
    return {ids[name].customer_id: action for name, (action, _) in found.items() if action}


def forget_contents(
    connection: sa.Connection, campaign: Campaign, customer_ids: Sequence[str]
) -> None:
    """Take back what was chosen for customers who get no message after all, now or before a
    planning was cut short.
    """
    ids = [content_id(campaign, one) for one in customer_ids]
    for start in range(0, len(ids), CHUNK):
        mine = r.decision_id.in_(ids[start : start + CHUNK]) & ~r.copied
        connection.execute(decision_requests.delete().where(mine))


def read_chances(connection: sa.Connection, campaign: Campaign) -> Mapping[str, float]:
    """Decision → how likely the content was, of a campaign's version."""
    query = sa.select(r.decision_id, r.propensity).where(
        r.journey == campaign.campaign_id, r.version == campaign.version, r.action.is_not(None)
    )
    return dict(connection.execute(query).all())


def _answers(
    connection: sa.Connection, ids: Sequence[str]
) -> dict[str, tuple[str | None, float | None]]:
    found: dict[str, tuple[str | None, float | None]] = {}
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        query = sa.select(r.decision_id, r.action, r.propensity).where(r.decision_id.in_(part))
        found |= {name: (action, chance) for name, action, chance in connection.execute(query)}
    return found
