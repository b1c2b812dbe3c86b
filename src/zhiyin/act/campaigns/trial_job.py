"""Test messages of a campaign: to addresses of staff alone, by the channel that would send them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from zhiyin.act.campaigns.content import make_content
from zhiyin.act.campaigns.handed import HANDED
from zhiyin.act.campaigns.ledger import Campaign, note
from zhiyin.act.campaigns.plan_job import Plan, plan_of
from zhiyin.act.campaigns.preview_job import spoken_in
from zhiyin.act.ledger import FAILED, SENT, UNKNOWN
from zhiyin.act.letters import render_letter, require_sender, write_letter, write_message
from zhiyin.core.clock import naive_utc
from zhiyin.core.context import Context
from zhiyin.core.errors import ChannelUnavailable, ConfigError, DeliveryError, InvalidParameter
from zhiyin.core.protocols import Channel
from zhiyin.govern.authorisations import give_back, spend
from zhiyin.govern.gate import NO_AUTHORISATION
from zhiyin.govern.ledger import read_suppressed
from zhiyin.govern.people import EMAIL, Person
from zhiyin.govern.suppression import address_token, normalise_address

_MARKS = {"en": "[Test] ", "zh": "[测试] "}


@dataclass(frozen=True)
class Trial:
    """What became of one test message: `sent`, `unknown` or `failed` with a reason."""

    variant: str
    language: str
    state: str
    reason: str = ""


def send_trials(
    ctx: Context, held: Campaign, address: str, *, by: str, variant: str = "", language: str = ""
) -> list[Trial]:
    """Send every variant in every language, or one of them, to an address of staff, through the
    context's channel.

    They stand in no list of messages, count for nothing and name nobody; the audit log has them.

    Raises
    ------
    InvalidParameter
        If the address is none of `act.testers` (a demonstration takes any, for it reaches nobody)
        or is suppressed, or the campaign has no such text.
    ConfigError
        If there is no channel, or the sender is not set.
    ChannelUnavailable
        If the channel cannot be used.
    """
    definition, plan = held.definition, plan_of(ctx, held.definition, held.version)
    names = [one.name for one in definition.variants if variant in ("", one.name)]
    if definition.channel in HANDED or not names:
        raise InvalidParameter(
            f"the campaign {held.key!r} sends nothing like that itself",
            hint=f"zhiyin campaign preview {held.key}",
        )
    spoken = spoken_in(definition, language)
    if ctx.channel is None:
        raise ConfigError("no channel is configured", hint="set act.channel in zhiyin.toml")
    if definition.medium == EMAIL:
        require_sender(ctx.settings)
    token = _require_tester(ctx, plan, address)
    with ctx.store.begin() as connection:
        note(
            connection, held, "tested", by=by, now=naive_utc(ctx.clock.now()),
            messages=len(names) * len(spoken),
        )  # fmt: skip
    return [
        _try(ctx, ctx.channel, plan, name, one, address, token) for name in names for one in spoken
    ]


def _require_tester(ctx: Context, plan: Plan, address: str) -> str:
    """The keyed hash of an address that test messages may go to."""
    space, medium = plan.terms.namespace, plan.definition.medium
    testers = {normalise_address(one, space) for one in ctx.settings.act.testers}
    if not ctx.settings.demo and normalise_address(address, space) not in testers:
        raise InvalidParameter(
            "test messages go to addresses of staff alone, and this is none",
            hint="name it in act.testers",
        )
    token = address_token(ctx.vault, medium, address, space=space)
    with ctx.store.begin() as connection:
        if read_suppressed(connection, [token], channel=medium):
            raise InvalidParameter(
                "this address is on the suppression list", hint="take another one"
            )
    return token


def _try(
    ctx: Context,
    channel: Channel,
    plan: Plan,
    variant: str,
    language: str,
    address: str,
    token: str,
) -> Trial:
    at = ctx.clock.now()
    place = json.dumps(["test", plan.definition.key, plan.version, variant, language, str(at)])
    message_id = "m_" + hashlib.sha256(place.encode()).hexdigest()[:32]
    try:
        content = _written(ctx, plan, variant, language, address, message_id)
        with ctx.store.begin() as connection:
            if not _may_spend(connection, ctx, plan, token, message_id):
                return Trial(variant, language, FAILED, NO_AUTHORISATION)
        channel.send(message_id, address, content)
    except ChannelUnavailable:
        _return(ctx, message_id)
        raise
    except InvalidParameter:
        _return(ctx, message_id)
        return Trial(variant, language, FAILED, "bad_address")
    except DeliveryError as error:
        if error.in_doubt:
            return Trial(variant, language, UNKNOWN, "no_answer")
        _return(ctx, message_id)
        return Trial(variant, language, FAILED, "refused")
    return Trial(variant, language, SENT)


def _written(
    ctx: Context, plan: Plan, variant: str, language: str, address: str, message_id: str
) -> bytes:
    """The message as the channel takes it; the subject of an e-mail says that it is a test."""
    content = make_content(plan.definition.key, plan.version, variant)
    shared: dict[str, Any] = {
        "settings": plan.settings, "vault": ctx.vault, "message_id": message_id,
        "language": language,
    }  # fmt: skip
    medium = plan.definition.medium
    if medium != EMAIL:
        return write_message(medium, content, letters=plan.letters, **shared).content()
    rendered = render_letter(
        content, letters=plan.letters, campaign_id=plan.definition.campaign_id, **shared
    )
    rendered = replace(rendered, subject=_MARKS[language] + rendered.subject)
    tester = Person("", (), "", opened=True, addresses=(("", address),))
    return write_letter(rendered, tester, at=ctx.clock.now(), **shared)


def _may_spend(
    connection: sa.Connection, ctx: Context, plan: Plan, token: str, message_id: str
) -> bool:
    """Whether nothing needs to be allowed, or the tester's openid allowed one, spent now."""
    template = plan.terms.template
    return not template or spend(
        connection, token, template=template, message_id=message_id, at=ctx.clock.now()
    )


def _return(ctx: Context, message_id: str) -> None:
    with ctx.store.begin() as connection:
        give_back(connection, [message_id])
