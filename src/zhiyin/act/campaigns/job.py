"""Sends what is due of a campaign that runs."""

from __future__ import annotations

from typing import Any

from zhiyin.act import ledger
from zhiyin.act.campaigns.closing_job import close
from zhiyin.act.campaigns.definition import SOURCE
from zhiyin.act.campaigns.handed import LISTS, TASK
from zhiyin.act.campaigns.ledger import (
    CANCELLED,
    RUNNING,
    Campaign,
    find_campaign,
    read_held_out,
)
from zhiyin.act.campaigns.plan_job import plan_of
from zhiyin.act.campaigns.watch import CampaignWatch
from zhiyin.act.delivery import Desk
from zhiyin.act.letters import require_sender
from zhiyin.act.mass import deliver_due
from zhiyin.act.tasks.put_job import put_on_lists
from zhiyin.core.clock import naive_utc
from zhiyin.core.context import Context
from zhiyin.core.errors import ConfigError, InvalidParameter
from zhiyin.core.protocols import Channel, Progress
from zhiyin.govern.live import read_directory
from zhiyin.govern.people import EMAIL


def deliver_campaign(
    ctx: Context, campaign_id: str, *, progress: Progress, longest_s: float | None = None
) -> dict[str, Any]:
    """Send the campaign's messages that are due; `ledger.count_messages` of it.

    It ends early where the campaign is paused or cancelled meanwhile, its stop rule is broken or
    `longest_s` is over. The caller holds the lease `lake`.

    Raises
    ------
    ConfigError
        If there is no channel, or the sender is not set.
    InvalidParameter
        If the campaign does not run.
    ChannelUnavailable
        If the channel cannot be used; what was not handed over stays planned.
    """
    with ctx.store.begin() as connection:
        held = find_campaign(connection, campaign_id.removeprefix(f"{SOURCE}:"))
    if held.definition.channel in LISTS:
        raise InvalidParameter(
            f"the campaign {held.key!r} leaves as a file",
            hint=f"zhiyin campaign export {held.key} FILE --by NAME",
        )
    if held.definition.channel == TASK:
        return put_on_lists(ctx, held)
    if ctx.channel is None:
        raise ConfigError("no channel is configured", hint="set act.channel in zhiyin.toml")
    if held.definition.medium == EMAIL:
        require_sender(ctx.settings)
    if held.state not in (RUNNING, CANCELLED):
        raise InvalidParameter(
            f"the campaign {held.key!r} is {held.state}: it sends nothing",
            hint=f"zhiyin campaign show {held.key}",
        )
    desk = _desk(ctx, held, CampaignWatch(ctx, held, longest_s=longest_s), ctx.channel)
    deliver_due(desk, campaign_id, progress=progress, only_doubts=held.state != RUNNING)
    return close(ctx, held)


def _desk(ctx: Context, held: Campaign, watch: CampaignWatch, channel: Channel) -> Desk:
    due = naive_utc(ctx.clock.now())
    with ctx.store.begin() as connection:
        rows = ledger.read_parties(
            connection, held.campaign_id, states=(*ledger.OPEN, ledger.UNKNOWN), due_at=due
        )
        held_out = read_held_out(connection, held.campaign_id)
    directory = read_directory(
        ctx.store, rows, as_of=None, channel=held.definition.addressed_by, sealed=True,
        settings=ctx.settings.act,
    )  # fmt: skip
    plan = plan_of(ctx, held.definition, held.version)
    return Desk(
        ctx.store.begin, ctx.vault, channel, ctx.clock, plan.settings, plan.terms, directory,
        ctx.rng.generator(f"act.retry {held.campaign_id}"), held_out, plan.letters, watch,
        held.definition.via,
    )  # fmt: skip
