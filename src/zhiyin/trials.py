"""Test messages of a workspace's campaigns."""

from __future__ import annotations

from dataclasses import replace

from zhiyin.act.campaigns.ledger import find_campaign
from zhiyin.act.campaigns.trial_job import Trial, send_trials
from zhiyin.app import Workspace
from zhiyin.channels import open_channel
from zhiyin.core.clock import local_day
from zhiyin.store.ledger import reading


def send_test(
    shop: Workspace, key: str, address: str, *, by: str, variant: str = "", language: str = ""
) -> list[Trial]:
    """Send a campaign's texts to an address of staff; raises as `send_trials`."""
    with reading(shop.store.ledger) as connection:
        held = find_campaign(connection, key)
    way = held.definition.via or held.definition.medium
    channel = open_channel(shop.settings, way, folder=shop.folder)
    try:
        ctx = shop.context(local_day(shop.clock.now(), shop.settings.zone), channel=channel)
        ctx = replace(ctx, clock=shop.clock)
        return send_trials(ctx, held, address, by=by, variant=variant, language=language)
    finally:
        channel.close()
