"""Channels: the ways to reach a person, by name. Others add theirs by `zhiyin.channels`."""

from __future__ import annotations

from zhiyin.core.registry import Registry

__all__ = ["CHANNELS", "sink", "smtp"]

CHANNELS = Registry("channel", {"smtp": "zhiyin.act.channels.smtp:open_smtp"})
"""Name → function that opens the channel from the settings `[act]`."""
