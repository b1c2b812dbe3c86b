"""What a campaign would send, or has planned, to be looked at: written by the code that sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.act.campaigns.content import make_content
from zhiyin.act.campaigns.definition import Definition
from zhiyin.act.campaigns.plan_job import NO_MESSAGE, Plan, draw_variant, judge_people, plan_of
from zhiyin.act.campaigns.text import CALL
from zhiyin.act.costs import price_of
from zhiyin.act.letters import render_letter, shared_values, write_message
from zhiyin.act.tracked import tag_links
from zhiyin.core.context import Context
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.ledger import messages
from zhiyin.govern.live import read_directory
from zhiyin.govern.people import EMAIL, SMS, Person


@dataclass(frozen=True)
class Shown:
    """One message as it would arrive; its links are signed for nobody.

    `data`: what fills a template; `segments`: of a text message; `html`: of an e-mail. Of a
    customer `state`, `reason` (why she gets none) and `due_at` (empty: at once) are hers.
    """

    variant: str
    language: str
    medium: str
    subject: str
    text: str
    html: str
    data: dict[str, str]
    segments: int | None
    state: str = ""
    reason: str = ""
    due_at: str = ""
    customer_id: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Fate:
    variant: str
    language: str
    state: str
    reason: str
    due: datetime | None


def preview_variants(
    ctx: Context, definition: Definition, *, version: int = 0, language: str = ""
) -> list[Shown]:
    """Every variant in every language that it is written in, or in one, for nobody by name.

    Raises
    ------
    InvalidParameter
        If it has no texts, or none in this language.
    """
    plan = plan_of(ctx, definition, version)
    return [
        _write(ctx, plan, variant.name, one)
        for variant in definition.variants
        for one in spoken_in(definition, language)
    ]


def preview_customer(
    ctx: Context, definition: Definition, customer_id: str, *, version: int = 0,
    language: str = "",
) -> Shown:  # fmt: skip
    """What one customer gets: as it was planned for her, or as planning now would have it; raises
    as `preview_variants`. With `language` in another one than hers.
    """
    spoken, plan = spoken_in(definition, language), plan_of(ctx, definition, version)
    directory = read_directory(
        ctx.store, [customer_id], as_of=None, channel=definition.addressed_by, sealed=True,
        settings=ctx.settings.act,
    )  # fmt: skip
    (person,) = directory.opened([customer_id], vault=ctx.vault)
    fate = _planned(ctx, definition, person) or _foreseen(ctx, definition, person)
    own = language or (fate.language if fate.language in spoken else spoken[0])
    due = "" if fate.due is None else fate.due.astimezone(UTC).isoformat(timespec="minutes")
    return replace(
        _write(ctx, plan, fate.variant, own, name=person.name), state=fate.state,
        reason=fate.reason, due_at=due, customer_id=person.customer_id,
    )  # fmt: skip


def _planned(ctx: Context, definition: Definition, person: Person) -> _Fate | None:
    """What became of her message; None where there is none."""
    query = sa.select(messages).where(
        messages.c.campaign_id == definition.campaign_id, messages.c.party_id.in_(person.parties)
    )
    with ctx.store.begin() as connection:
        row = connection.execute(query.order_by(messages.c.message_id)).first()
    if row is None:
        return None
    due = None if row.not_before is None else row.not_before.replace(tzinfo=UTC)
    variant = row.variant or draw_variant(ctx, definition, person)
    return _Fate(variant, row.language, row.state, row.reason or "", due)


def _foreseen(ctx: Context, definition: Definition, person: Person) -> _Fate:
    (judged,) = judge_people(ctx, definition, [person.customer_id])
    variant = judged.variant or draw_variant(ctx, definition, person)
    return _Fate(variant, judged.language, "", judged.reason or "", judged.due)


def spoken_in(definition: Definition, language: str) -> Sequence[str]:
    """The languages that a campaign is written in, or the one that is asked for; raises as
    `preview_variants`.
    """
    written = tuple(definition.variants[0].texts)
    if not written:
        raise InvalidParameter(
            f"the campaign {definition.key!r} has no texts", hint="there is nothing to look at"
        )
    if language and language not in written:
        raise InvalidParameter(
            f"the campaign {definition.key!r} is not written in {language!r}",
            hint=f"languages: {', '.join(written)}",
        )
    return (language,) if language else written


def _write(ctx: Context, plan: Plan, variant: str, language: str, *, name: str = "") -> Shown:
    definition = plan.definition
    content = make_content(definition.key, plan.version, variant)
    shared: dict[str, Any] = {
        "settings": plan.settings, "vault": ctx.vault, "message_id": NO_MESSAGE, "name": name,
        "signed": False,
    }  # fmt: skip
    if definition.form == EMAIL:
        rendered = render_letter(content, language=language, letters=plan.letters, **shared)
        tagged = tag_links(rendered, settings=plan.settings.act, campaign_id=definition.campaign_id)
        parts = (tagged.subject, tagged.text, tagged.html)
        return Shown(variant, language, definition.medium, *parts, {}, None)
    if definition.form == CALL:
        subject, text = plan.letters.say(content, shared_values(**shared), language)
        return Shown(variant, language, definition.medium, subject, text, "", {}, None)
    made = write_message(
        definition.form, content, language=language, letters=plan.letters, **shared
    )
    segments = price_of(made.text, plan.settings).segments if definition.form == SMS else None
    return Shown(variant, language, definition.medium, "", made.text, "", dict(made.data), segments)
