"""Test messages of a workspace's campaigns, at once or by a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from zhiyin.act.campaigns.ledger import find_campaign
from zhiyin.act.campaigns.trial_job import Trial, send_trials
from zhiyin.app import Workspace
from zhiyin.channels import open_channel
from zhiyin.core.clock import local_day
from zhiyin.core.errors import DeliveryError, InvalidParameter
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.queue import queue_job


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
    shop: Workspace, key: str, address: str, *, by: str, variant: str = "", language: str = ""
) -> str:
    """Let a worker send a campaign's texts to an address of staff; the job's id. The job knows the
    address by its keyed hash.

    Raises
    ------
    NotFound
        If there is no such campaign.
    InvalidParameter
        If `act.testers` does not name the address.
    """
    tester = _mark(shop, address)
    if tester not in {_mark(shop, one) for one in shop.settings.act.testers}:
        raise _no_tester()
    arguments = {"campaign": key, "tester": tester, "variant": variant, "language": language}
    with transaction(shop.store.ledger) as connection:
        find_campaign(connection, key)
        return queue_job(connection, "test", arguments | {"by": by}, by=by, clock=shop.clock)


def run_test(shop: Workspace, arguments: Mapping[str, Any], *, attempts: int) -> dict[str, Any]:
    """Send what was asked for, once: where a worker died on it, nothing is sent again.

    Raises
    ------
    DeliveryError
        If it was taken before.
    InvalidParameter
        If the address is no tester any more.
    """
    if attempts > 1:
        raise DeliveryError(
            "its worker died: the message may be under way", hint="look, then ask again"
        )
    marks = {_mark(shop, one): one for one in shop.settings.act.testers}
    address = marks.get(arguments["tester"])
    if address is None:
        raise _no_tester()
    found = send_test(
        shop, arguments["campaign"], address, by=arguments["by"],
        variant=arguments["variant"], language=arguments["language"],
    )  # fmt: skip
    return {"messages": [asdict(one) for one in found]}


def _mark(shop: Workspace, address: str) -> str:
    return shop.vault.token("tester", address.strip())


def _no_tester() -> InvalidParameter:
    return InvalidParameter(
        "test messages go to addresses of staff alone, and this is none",
        hint="name it in act.testers",
    )
