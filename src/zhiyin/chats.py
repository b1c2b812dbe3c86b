"""Channels of chats on a workspace: what members of staff did with mass messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from zhiyin.act.mass_job import LOOK_FOR, as_mass, take_back, take_confirmations
from zhiyin.act.mass_ledger import find_stopped, open_mass_sends
from zhiyin.app import Workspace
from zhiyin.channels import open_channel
from zhiyin.core.clock import local_day, naive_utc
from zhiyin.core.config import Settings
from zhiyin.core.context import Context
from zhiyin.core.errors import ConfigError
from zhiyin.core.protocols import MassChannel
from zhiyin.store.ledger import reading

MASS_CHANNELS = ("wecom",)


def look_at_members(shop: Workspace, *, every: timedelta = timedelta(0)) -> dict[str, int]:
    """Ask the platform what members did with mass messages; messages by what became of them.

    Parameters
    ----------
    every
        What was looked at since then is left for later.

    Raises
    ------
    ConfigError
        If the workspace's channel sends no mass messages, or is not configured.
    """
    name = mass_channel(shop.settings)
    if not name:
        raise ConfigError(
            "no channel whose messages members confirm is configured",
            hint='set channel = "wecom" under [act] in zhiyin.toml, or name it in channels',
        )
    if not _some_wait(shop, every):
        return {}
    with _opened(shop, name) as channel:
        return dict(take_confirmations(_context(shop), channel, every=every))


def take_back_cancelled(shop: Workspace) -> dict[str, int]:
    """Stop at the platform what waits for a member though its campaign was cancelled or its
    journey ended; messages by what became of them. Nothing where no channel of that kind is.
    """
    name = mass_channel(shop.settings)
    with reading(shop.store.ledger) as connection:
        some = bool(name and find_stopped(connection))
    if not some:
        return {}
    with _opened(shop, name) as channel:
        return dict(take_back(_context(shop), channel))


@contextmanager
def _opened(shop: Workspace, name: str) -> Iterator[MassChannel]:
    opened = open_channel(shop.settings, name, folder=shop.folder)
    channel = as_mass(opened)
    try:
        if channel is None:
            raise ConfigError(f"the channel {name} sends no mass messages")
        yield channel
    finally:
        opened.close()


def _context(shop: Workspace) -> Context:
    return replace(shop.context(local_day(shop.clock.now(), shop.settings.zone)), clock=shop.clock)


def mass_channel(settings: Settings) -> str:
    """The workspace's channel whose messages members confirm; empty: it has none."""
    names = (settings.act.channel_for(one) for one in MASS_CHANNELS)
    return "" if settings.demo else next(filter(None, names), "")


def _some_wait(shop: Workspace, every: timedelta) -> bool:
    now = shop.clock.now()
    with reading(shop.store.ledger) as connection:
        return bool(
            open_mass_sends(
                connection, since=naive_utc(now - LOOK_FOR), looked_before=naive_utc(now - every)
            )
        )
