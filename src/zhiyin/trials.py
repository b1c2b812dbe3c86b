"""Test messages of a workspace's campaigns, at once or by a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from zhiyin.act.campaigns.ledger import find_campaign
from zhiyin.act.campaigns.trial_job import Trial, send_trials
from zhiyin.app import Workspace
from zhiyin.channels import open_channel
from zhiyin.core.clock import Clock, local_day
from zhiyin.core.errors import DeliveryError
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.queue import queue_job
from zhiyin.store.workspace import WorkspaceStore


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


def ask_test(
    store: WorkspaceStore, key: str, address: str, *, by: str, clock: Clock, variant: str = "",
    language: str = "",
) -> str:  # fmt: skip
    """Let a worker send a campaign's texts to an address of staff; the job's id.

    Raises
    ------
    NotFound
        If there is no such campaign.
    """
    arguments = {"campaign": key, "address": address, "variant": variant, "language": language}
    with transaction(store.ledger) as connection:
        find_campaign(connection, key)
        return queue_job(connection, "test", arguments | {"by": by}, by=by, clock=clock)


def run_test(shop: Workspace, arguments: Mapping[str, Any], *, attempts: int) -> dict[str, Any]:
    """Send what was asked for, once: where a worker died on it, nothing is sent again.

    Raises
    ------
    DeliveryError
        If it was taken before.
    """
    if attempts > 1:
        raise DeliveryError(
            "its worker died: the message may be under way", hint="look, then ask again"
        )
    found = send_test(
        shop, arguments["campaign"], arguments["address"], by=arguments["by"],
        variant=arguments["variant"], language=arguments["language"],
    )  # fmt: skip
    return {"messages": [asdict(one) for one in found]}
