"""The channels of a workspace: the one for a way to reach people, opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zhiyin.act.campaigns.content import check_letters
from zhiyin.act.campaigns.definition import Definition
from zhiyin.act.campaigns.handed import HANDED
from zhiyin.act.campaigns.text import CHAT, Text, check_text
from zhiyin.act.channels import CHANNELS
from zhiyin.act.channels.sink import FileSink, SinkChannel
from zhiyin.act.channels.sms import TEMPLATED
from zhiyin.act.journeys.definition import Definition as Journey
from zhiyin.act.journeys.definition import Message
from zhiyin.act.journeys.messages import post_of
from zhiyin.act.letters import sender_address
from zhiyin.core.config import Settings
from zhiyin.core.errors import ConfigError, InvalidParameter, InvalidRule
from zhiyin.core.protocols import Channel
from zhiyin.govern.people import EMAIL, SMS


def open_channel(settings: Settings, way: str, *, folder: Path) -> Channel:
    """The channel for a medium, or of this name; in a demonstration a sink, which keeps files.

    Raises
    ------
    ConfigError
        If the workspace has none, or its settings are incomplete.
    """
    if settings.demo:
        outbox = folder / "outbox"
        if way == EMAIL:
            return SinkChannel(outbox, sender=sender_address(settings))
        return FileSink(outbox)
    name = require_channel(settings, way)
    opened: Channel = CHANNELS.load(name)(
        settings.act.model_copy(update={"channel": name}), folder=folder
    )
    return opened


def check_channel(settings: Settings, definition: Definition) -> None:
    """Refuse a campaign that the workspace's channels cannot send.

    Raises
    ------
    ConfigError
        If there is no channel for it, or no template.
    InvalidParameter
        If the provider wants a template where there is a free text, or a budget has no price.
    """
    act, form = settings.act, definition.form
    if definition.channel in HANDED:
        return
    texts = [text for one in definition.variants for text in one.texts.values()]
    check_texts(settings, form, texts, way=definition.via or definition.medium)
    if form == SMS and definition.budget is not None and not (definition.cost or act.sms_cost):
        raise InvalidParameter(
            "a budget needs what a text message costs", hint='set cost = "0.045", or act.sms_cost'
        )


def check_journey(settings: Settings, definition: Journey) -> None:
    """Refuse a journey whose messages the workspace's channels cannot send.

    Raises
    ------
    InvalidRule
        With the step: its texts are none of its medium.
    ConfigError, InvalidParameter
        As `check_channel`, and as `check_letters`.
    """
    written = definition.texts()
    for name, step in definition.steps.items():
        if not isinstance(step, Message):
            continue
        asked = definition.way_of(step)
        post = post_of(settings.act, definition, step)
        mine = {language: text for (of, language), text in written.items() if of == name}
        for language, text in mine.items():
            where = f"$.steps.{name}.{language}"
            try:
                check_text(text, post.medium, where=where)
            except InvalidParameter as error:
                raise InvalidRule(
                    error.message, reason="wrong_value", where=where, hint=error.hint
                ) from error
        check_letters(
            {(f"step {name}", language): text for language, text in mine.items()},
            marketing=True, medium=post.medium, most_segments=settings.act.sms_segments,
        )  # fmt: skip
        if asked:
            check_texts(settings, post.medium, list(mine.values()), way=asked)
        if post.medium == CHAT and len({one.template for one in mine.values()}) > 1:
            raise InvalidRule(
                f"$.steps.{name}: its texts name several templates", reason="wrong_value",
                where=f"$.steps.{name}", hint="she allows messages of one template",
            )  # fmt: skip


def check_texts(settings: Settings, form: str, texts: Sequence[Text], *, way: str) -> None:
    """Refuse texts of a form that the workspace's channel for a way cannot send; raises as
    `check_channel`.
    """
    act = settings.act
    none_yet = not (act.channel or act.channels)
    name = "" if form == EMAIL and none_yet else require_channel(settings, way)
    if name in TEMPLATED and not all(text.template or text.data for text in texts):
        raise InvalidParameter(
            f"{name} sends templates that it approved, and no free text",
            hint="give every text its template, and in data what fills it",
        )
    if form == CHAT and not act.wechat_template and not all(one.template for one in texts):
        raise ConfigError(
            "no template of the mini-programme is named",
            hint="give every text its template, or set act.wechat_template",
        )


def require_channel(settings: Settings, way: str) -> str:
    """The name of the channel for a way to reach people; empty in a demonstration.

    Raises
    ------
    ConfigError
        If the workspace has none.
    """
    if settings.demo:
        return ""
    name = settings.act.channel_for(way)
    if not name and not (settings.act.channel or settings.act.channels):
        raise ConfigError(
            "no channel is configured", hint='set channel = "smtp" under [act] in zhiyin.toml'
        )
    if not name:
        raise ConfigError(
            f"no channel of this workspace reaches people by {way}",
            hint="name one in act.channels; see docs/act-channels.md",
        )
    return name
