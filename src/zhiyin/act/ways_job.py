"""By which channels messages of a campaign or a journey leave."""

from __future__ import annotations

from dataclasses import dataclass

from zhiyin.act import ledger
from zhiyin.act.campaigns.definition import SOURCE, is_planned_by_hand
from zhiyin.act.campaigns.handed import HANDED
from zhiyin.act.campaigns.ledger import find_campaign
from zhiyin.act.confirmation import CONFIRMATIONS
from zhiyin.act.journeys.ledger import PREFIX
from zhiyin.core.context import Context
from zhiyin.govern.people import EMAIL


@dataclass(frozen=True)
class Way:
    """How messages of a campaign leave: what they reach people by, the channel that they name
    (empty: that of the medium), the template that they fill.
    """

    medium: str
    via: str = ""
    template: str = ""

    @property
    def asked(self) -> str:
        """What `ActSettings.channel_for` is asked for."""
        return self.via or self.medium


def ways_of(ctx: Context, campaign_id: str) -> list[Way]:
    """The ways by which messages of the campaign leave; none where it is handed to people."""
    if is_planned_by_hand(campaign_id):
        with ctx.store.begin() as connection:
            held = find_campaign(connection, campaign_id.removeprefix(f"{SOURCE}:")).definition
        return [] if held.channel in HANDED else [Way(held.medium, held.via)]
    if not campaign_id.startswith(PREFIX):
        return [usual_way(ctx, campaign_id)]
    with ctx.store.begin() as connection:
        found = [Way(*one) for one in ledger.read_ways(connection, campaign_id)]
    return found or [usual_way(ctx, campaign_id)]


def usual_way(ctx: Context, campaign_id: str) -> Way:
    """The way of the workspace's channel; of confirmations of consents e-mail."""
    return Way(EMAIL if campaign_id == CONFIRMATIONS else ctx.settings.act.medium)
