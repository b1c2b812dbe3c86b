"""Plans the messages of a campaign, or says what planning would do: one gate for both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from zhiyin.act import ledger
from zhiyin.act.campaigns.content import make_content
from zhiyin.act.campaigns.definition import TRANSACTIONAL, Definition
from zhiyin.act.campaigns.ledger import HELD_OUT, Campaign, read_customers
from zhiyin.act.campaigns.schedule import due_at, variant_of
from zhiyin.act.gate import address_of
from zhiyin.act.lists.check_job import check_listed
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.context import Context
from zhiyin.core.decisions import decision_id
from zhiyin.govern.facts import Terms, awake_from, gate_terms, read_cap
from zhiyin.govern.holdout import place_of
from zhiyin.govern.ledger import newest_language, read_languages
from zhiyin.govern.live import read_directory
from zhiyin.govern.people import EMAIL, Directory, Person, choose_language

STEP = "campaign"
CHUNK = 2_000


@dataclass(frozen=True)
class Judged:
    """What planning makes of one person: a variant, or the rule that stops her.

    Who is held out has neither: `reason` is `held_out`, after every other rule let her pass, so
    that the holdout is like those who are written to.
    """

    person: Person
    due: datetime | None
    variant: str | None
    reason: str | None


def campaign_terms(ctx: Context, definition: Definition) -> Terms:
    """What the gate holds for the campaign: the workspace's rules, its caps and its budget."""
    terms = gate_terms(
        ctx.settings.act, zone=ctx.settings.zone, purpose=definition.purpose,
        channel=definition.addressed_by,
    )  # fmt: skip
    caps = (*terms.limits.caps, *map(read_cap, definition.caps))
    limits = replace(terms.limits, caps=caps)
    if definition.channel != EMAIL:  # nobody is reached at the moment it is handed on
        limits = replace(limits, quiet_from_hour=0, quiet_to_hour=0)
    return replace(
        terms, limits=limits, campaign_id=definition.campaign_id,
        budget_messages=definition.affordable,
    )  # fmt: skip


def judge_people(ctx: Context, definition: Definition, customer_ids: Sequence[str]) -> list[Judged]:
    """What planning the campaign for these customers now would do; nothing is written."""
    directory = _directory(ctx, customer_ids, channel=definition.addressed_by)
    terms, made = campaign_terms(ctx, definition), list[Judged]()
    with ctx.store.begin() as connection:
        for due, people in _by_due(ctx, definition, directory, customer_ids):
            opened = directory.opened([one.party_id for one in people], vault=ctx.vault)
            judged = _judge(connection, ctx, definition, terms, opened, due=due)
            if terms.budget_messages is not None:
                used = sum(one.reason in (None, HELD_OUT) for one in judged)
                terms = replace(terms, budget_messages=terms.budget_messages - used)
            made += judged
    return made


def plan_messages(ctx: Context, campaign: Campaign, customer_ids: Sequence[str]) -> int:
    """Write a message for each customer, planned or skipped with its reason; how many are new.

    Planning that was cut short may be done again: what is there stays as it is.
    """
    definition, made = campaign.definition, 0
    with ctx.store.begin() as connection:
        there = read_customers(connection, campaign.campaign_id)
    wanted = [one for one in customer_ids if one not in there]
    directory = _directory(ctx, wanted, channel=definition.addressed_by)
    for due, people in _by_due(ctx, definition, directory, wanted):
        for start in range(0, len(people), CHUNK):
            ctx.progress("planning", start / len(people))
            part = [one.party_id for one in people[start : start + CHUNK]]
            made += _plan_chunk(ctx, campaign, directory.opened(part, vault=ctx.vault), due=due)
    return made


def _plan_chunk(
    ctx: Context, campaign: Campaign, people: Sequence[Person], *, due: datetime | None
) -> int:
    definition = campaign.definition
    parties = sorted({party for person in people for party in person.parties})
    contents = {
        name: make_content(definition.key, campaign.version, name) for name in definition.shares
    }
    names = [
        variant_of(ctx.vault.salt, definition.campaign_id, one.customer_id, definition.shares)
        for one in people
    ]
    sealed = ctx.vault.seal([one.party_id for one in people], [contents[name] for name in names])
    with ctx.store.begin() as connection:
        judged = _judge(
            connection, ctx, definition, campaign_terms(ctx, definition), people, due=due,
            turn_id=campaign.turn_id,
        )  # fmt: skip
        others = ledger.other_messages(connection, campaign.campaign_id, parties)
        chosen = read_languages(connection, parties)
        rows = []
        for one, blob in zip(judged, sealed, strict=True):
            row = _message(ctx, campaign, one, sealed=blob)
            row[c.LANGUAGE] = _language(ctx, definition, one.person, chosen)
            if ledger.has_another(others, one.person.parties, row[c.MESSAGE_ID]):
                row |= {"state": ledger.SKIPPED, "reason": "already_planned"}
                row |= {"variant": None, "content": None}
            rows.append(row)
        return ledger.insert_messages(connection, rows)


def _judge(
    connection: sa.Connection, ctx: Context, definition: Definition, terms: Terms,
    people: Sequence[Person], *, due: datetime | None, turn_id: str = "",
) -> list[Judged]:  # fmt: skip
    """The gate at the moment the messages are due, then the holdout among those it lets through."""
    verdicts = check_listed(
        ctx, connection, people, terms=terms, at=due or ctx.clock.now(), turn_id=turn_id
    )
    salt, own, shares = ctx.vault.salt, definition.campaign_id, definition.shares
    made: list[Judged] = []
    for person, verdict in zip(people, verdicts, strict=True):
        reason = None if verdict.allowed else verdict.reason
        if reason is None and place_of(salt, own, person.customer_id) < definition.holdout_share:
            reason = HELD_OUT
        variant = None if reason else variant_of(salt, own, person.customer_id, shares)
        made.append(Judged(person, due, variant, reason))
    return made


def _by_due(
    ctx: Context, definition: Definition, directory: Directory, customer_ids: Sequence[str]
) -> Iterator[tuple[datetime | None, list[Person]]]:
    """The people, each once, by the moment their messages are due and by id.

    Whoever would get hers at night gets it in the morning.
    """
    people = {one.customer_id: one for one in directory.people(sorted(set(customer_ids)))}
    now, zone = ctx.clock.now(), ctx.settings.zone
    terms = campaign_terms(ctx, definition)
    dated: list[tuple[datetime | None, Person]] = []
    for one in people.values():
        due = due_at(definition.schedule, one.zone, default=zone, now=now)
        awake = awake_from(due or now, one.zone, terms)
        dated.append((due if awake == (due or now) else awake, one))
    dated.sort(key=lambda pair: (pair[0] is not None, pair[0] or now, pair[1].customer_id))
    for due, group in groupby(dated, key=lambda pair: pair[0]):
        yield due, [one for _, one in group]


def _message(
    ctx: Context, campaign: Campaign, judged: Judged, *, sealed: bytes | None
) -> dict[str, Any]:
    person, definition = judged.person, campaign.definition
    urgent = definition.purpose == TRANSACTIONAL
    return {
        c.MESSAGE_ID: ledger.message_id(
            campaign.campaign_id, step=STEP, customer_id=person.customer_id
        ),
        c.CAMPAIGN_ID: campaign.campaign_id,
        c.TURN_ID: campaign.turn_id,
        c.PARTY_ID: person.party_id,
        c.CUSTOMER_ID: person.customer_id,
        c.DECISION_ID: decision_id(campaign.turn_id, campaign.campaign_id, person.customer_id),
        c.CHANNEL: definition.medium,
        "address_token": address_of(person, vault=ctx.vault, channel=definition.addressed_by)
        or None,
        "planned_at": naive_utc(ctx.clock.now()),
        "not_before": None if judged.due is None else naive_utc(judged.due),
        "priority": ledger.TRANSACTIONAL if urgent else 1,
        "purpose": definition.purpose,
        "state": ledger.SKIPPED if judged.reason else ledger.PLANNED,
        "reason": judged.reason,
        "variant": judged.variant,
        "content": None if judged.reason else sealed,
    }


def _language(
    ctx: Context, definition: Definition, person: Person, chosen: dict[str, tuple[datetime, str]]
) -> str:
    """The language she chose, or speaks, of those that the campaign is written in."""
    written = definition.languages
    offered = [one for one in ctx.settings.languages if one in written] or list(written)
    asked = newest_language(chosen, person.parties)
    return asked if asked in offered else choose_language(person.language, offered)


def _directory(ctx: Context, customer_ids: Sequence[str], *, channel: str) -> Directory:
    return read_directory(
        ctx.store, customer_ids, as_of=None, channel=channel, sealed=True,
        settings=ctx.settings.act,
    )  # fmt: skip
