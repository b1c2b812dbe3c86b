"""Ends a campaign whose messages are all settled."""

from __future__ import annotations

from typing import Any

from zhiyin.act import ledger
from zhiyin.act.campaigns.ledger import CANCELLED, Campaign, find_campaign, finish, skip_planned
from zhiyin.act.mass_ledger import doubtful_until
from zhiyin.core.clock import naive_utc
from zhiyin.core.context import Context


def close(ctx: Context, held: Campaign) -> dict[str, Any]:
    """What a cancellation left planned is skipped; without open messages the campaign is done, but
    for a call in doubt of which the platform will tell.

    Returns
    -------
    `ledger.count_messages` of it.
    """
    with ctx.store.begin() as connection:
        now = find_campaign(connection, held.key)
        if now.state == CANCELLED:
            skip_planned(connection, held.campaign_id)
        counts = ledger.count_messages(connection, [held.campaign_id])
        at, sure_at = naive_utc(ctx.clock.now()), doubtful_until(connection, held.campaign_id)
        waits = sure_at is not None and sure_at > at
        if now.planned_at is not None and not counts["open"] and not waits:
            finish(connection, now, now=at)
        return counts
