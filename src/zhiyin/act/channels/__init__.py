"""Channels: the ways to reach a person, by name. Others add theirs by `zhiyin.channels`."""

from __future__ import annotations

from zhiyin.core.registry import Registry

__all__ = ["CHANNELS", "NOTIFIERS", "sink", "sms", "smtp", "webhook"]

CHANNELS = Registry(
    "channel",
    {
        "smtp": "zhiyin.act.channels.smtp:open_smtp",
        "webhook": "zhiyin.act.channels.webhook:open_webhook",
        "aliyun_sms": "zhiyin.act.channels.sms:open_sms",
        "tencent_sms": "zhiyin.act.channels.sms:open_sms",
        "twilio_sms": "zhiyin.act.channels.sms:open_sms",
        "wecom": "zhiyin.act.channels.wecom:open_wecom",
        "wechat_subscribe": "zhiyin.act.channels.wechat:open_wechat",
    },
)
"""Name → `opened(settings, folder=…)`: the channel of the settings `[act]` of a workspace."""

NOTIFIERS = Registry("notifier", {"dingtalk": "zhiyin.act.channels.dingtalk:open_dingtalk"})
"""As `CHANNELS`, of what tells staff: a group, no customer. Others add theirs by
`zhiyin.notifiers`."""
