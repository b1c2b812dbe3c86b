"""Plans the messages of a campaign, or says what planning would do: one gate for both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from zhiyin.act import ledger
from zhiyin.act.campaigns.choice_job import Choose, choose_contents, forget_contents
from zhiyin.act.campaigns.content import Letters, campaign_letters, make_content
from zhiyin.act.campaigns.definition import TRANSACTIONAL, Definition
from zhiyin.act.campaigns.handed import HANDED
from zhiyin.act.campaigns.ledger import HELD_OUT, Campaign, read_customers
from zhiyin.act.campaigns.schedule import due_at, variant_of
from zhiyin.act.costs import MICROS, Price, price_content
from zhiyin.act.gate import ALREADY_PLANNED, address_of
from zhiyin.act.lists.check_job import Listed, check_listed, read_listed
from zhiyin.act.reasons import TOO_LONG
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.config import Settings
from zhiyin.core.context import Context
from zhiyin.core.decisions import decision_id
from zhiyin.govern.facts import Terms, awake_from, gate_terms, read_cap
from zhiyin.govern.holdout import place_of
from zhiyin.govern.ledger import newest_language, read_languages
from zhiyin.govern.live import read_directory
from zhiyin.govern.people import SMS, Directory, Person, choose_language

STEP = "campaign"
CHUNK = 2_000
NO_MESSAGE = f"m_{'0' * 32}"  # as long as the id of one


@dataclass(frozen=True)
class Judged:
    """What planning makes of one person: a variant, or the rule that stops her.

    Who is held out has neither: `reason` is `held_out`, after every other rule let her pass, so
    that the holdout is like those who are written to. `price`: of her text message.
    """

    person: Person
    due: datetime | None
    language: str
    variant: str | None
    reason: str | None
    price: Price | None = None


@dataclass(frozen=True)
class Plan:
    """A campaign as it is planned: its terms, its texts, and the settings that hold for it.

    `chosen`: customer → variant, where a decision point chose.
    """

    definition: Definition
    version: int
    settings: Settings
    terms: Terms
    letters: Letters
    chosen: Mapping[str, str] = field(default_factory=dict)

    def variant_of(self, ctx: Context, person: Person) -> str:
        """The content that she gets, or would."""
        chosen = self.chosen.get(person.customer_id)
        return chosen or draw_variant(ctx, self.definition, person)


def campaign_settings(settings: Settings, definition: Definition) -> Settings:
    """The workspace's settings, with what the campaign says otherwise."""
    said: dict[str, Any] = {}
    if definition.form == SMS and definition.cost:
        said["sms_cost"] = definition.cost
    if definition.member:
        said["wecom_member"] = definition.member
    if definition.template:
        said["wechat_template"] = definition.template
    if not said:
        return settings
    return settings.model_copy(update={"act": settings.act.model_copy(update=said)})


def campaign_terms(ctx: Context, definition: Definition) -> Terms:
    """What the gate holds for the campaign: the workspace's rules, its caps and its budget."""
    settings = campaign_settings(ctx.settings, definition)
    terms = gate_terms(
        settings.act, zone=settings.zone, purpose=definition.purpose,
        channel=definition.addressed_by,
    )  # fmt: skip
    caps = (*terms.limits.caps, *map(read_cap, definition.caps))
    limits = replace(terms.limits, caps=caps)
    if definition.channel in HANDED:  # nobody is reached at the moment it is handed on
        limits = replace(limits, quiet_from_hour=0, quiet_to_hour=0)
    micros = None
    if definition.form == SMS and definition.budget is not None:
        micros = int(definition.budget * MICROS)
    return replace(
        terms, limits=limits, campaign_id=definition.campaign_id,
        budget_messages=None if definition.form == SMS else definition.affordable,
        budget_micros=micros,
    )  # fmt: skip


def plan_of(ctx: Context, definition: Definition, version: int = 0) -> Plan:
    """What planning a version of a campaign works with."""
    return Plan(
        definition, version, campaign_settings(ctx.settings, definition),
        campaign_terms(ctx, definition), campaign_letters(definition, version),
    )  # fmt: skip


def judge_people(ctx: Context, definition: Definition, customer_ids: Sequence[str]) -> list[Judged]:
    """What planning the campaign for these customers now would do; nothing is written."""
    directory = _directory(ctx, customer_ids, channel=definition.addressed_by)
    plan, made = plan_of(ctx, definition), list[Judged]()
    for due, people in _by_due(ctx, definition, directory, customer_ids):
        opened = directory.opened([one.party_id for one in people], vault=ctx.vault)
        listed = read_listed(ctx, opened, purpose=plan.terms.purpose)
        with ctx.store.begin() as connection:
            judged = _judge(connection, ctx, plan, listed, due=due)
        plan = replace(plan, terms=_less(plan.terms, judged))
        made += judged
    return made


def _less(terms: Terms, judged: Sequence[Judged]) -> Terms:
    """The terms with what is left of the budget after those who get a message."""
    going = [one for one in judged if one.variant is not None]
    left, micros = terms.budget_messages, terms.budget_micros
    if left is not None:
        left -= len(going)
    if micros is not None:
        micros -= sum(one.price.micros for one in going if one.price is not None)
    return replace(terms, budget_messages=left, budget_micros=micros)


def plan_messages(
    ctx: Context, campaign: Campaign, customer_ids: Sequence[str], *, choose: Choose | None = None
) -> int:
    """Write a message for each customer, planned or skipped with its reason; how many are new.

    Planning that was cut short may be done again: what is there stays as it is. `choose` answers
    which content each gets, where a decision point chooses.
    """
    plan, made = plan_of(ctx, campaign.definition, campaign.version), 0
    with ctx.store.begin() as connection:
        there = read_customers(connection, campaign.campaign_id)
    wanted = [one for one in customer_ids if one not in there]
    directory = _directory(ctx, wanted, channel=plan.definition.addressed_by)
    for due, people in _by_due(ctx, plan.definition, directory, wanted):
        for start in range(0, len(people), CHUNK):
            ctx.progress("planning", start / len(people))
            part = [one.party_id for one in people[start : start + CHUNK]]
            opened = directory.opened(part, vault=ctx.vault)
            if choose is not None and plan.definition.choose_by:
                plan = _chosen(ctx, campaign, plan, opened, due=due, choose=choose)
            made += _plan_chunk(ctx, campaign, plan, opened, due=due)
    return made


def _chosen(
    ctx: Context, campaign: Campaign, plan: Plan, people: Sequence[Person], *,
    due: datetime | None, choose: Choose,
) -> Plan:  # fmt: skip
    """The plan with the contents of those who are to get a message, which hangs on no content."""
    listed = read_listed(ctx, people, purpose=plan.terms.purpose)
    with ctx.store.begin() as connection:
        judged = _judge(connection, ctx, plan, listed, due=due, turn_id=campaign.turn_id)
    going = [one.person for one in judged if one.variant is not None]
    return replace(plan, chosen=choose_contents(ctx, campaign, going, choose))


def _plan_chunk(
    ctx: Context, campaign: Campaign, plan: Plan, people: Sequence[Person], *,
    due: datetime | None,
) -> int:  # fmt: skip
    definition = plan.definition
    parties = sorted({party for person in people for party in person.parties})
    names = [plan.variant_of(ctx, one) for one in people]
    sealed = ctx.vault.seal(
        [one.party_id for one in people],
        [make_content(definition.key, plan.version, name) for name in names],
    )
    listed = read_listed(ctx, people, purpose=plan.terms.purpose)
    with ctx.store.begin() as connection:
        judged = _judge(connection, ctx, plan, listed, due=due, turn_id=campaign.turn_id)
        others = ledger.other_messages(connection, campaign.campaign_id, parties)
        rows = []
        for one, blob in zip(judged, sealed, strict=True):
            row = _message(ctx, campaign, plan, one, sealed=blob)
            if ledger.has_another(others, one.person.parties, row[c.MESSAGE_ID]):
                row |= {"state": ledger.SKIPPED, "reason": ALREADY_PLANNED}
                row |= {"variant": None, "content": None}
            rows.append(row)
        if definition.choose_by:
            out = [row[c.CUSTOMER_ID] for row in rows if row["state"] != ledger.PLANNED]
            forget_contents(connection, campaign, out)
        return ledger.insert_messages(connection, rows)


def _judge(
    connection: sa.Connection, ctx: Context, plan: Plan, listed: Listed, *,
    due: datetime | None, turn_id: str = "",
) -> list[Judged]:  # fmt: skip
    """The gate at the moment the messages are due, then the holdout among those it lets through.

    Who is held out, and whose text would be too long, uses nothing of the budget.
    """
    definition, people = plan.definition, listed.people
    spoken = _languages(connection, ctx, definition, people)
    names = [plan.variant_of(ctx, one) for one in people]
    prices = [
        _price(ctx, plan, *one) for one in zip(people, names, spoken, strict=True)
    ]  # fmt: skip
    long = {
        place for place, one in enumerate(prices)
        if one is not None and one.segments > plan.settings.act.sms_segments
    }  # fmt: skip
    held = {place for place, one in enumerate(people) if _is_held_out(ctx, definition, one)}
    verdicts = check_listed(
        connection, listed, terms=plan.terms, vault=ctx.vault, at=due or ctx.clock.now(),
        turn_id=turn_id, planning=True, unused=held | long,
        prices=[0 if one is None else one.micros for one in prices],
    )  # fmt: skip
    made: list[Judged] = []
    for place, verdict in enumerate(verdicts):
        reason = None if verdict.allowed else verdict.reason
        if reason is None and place in long:
            reason = TOO_LONG
        if reason is None and place in held:
            reason = HELD_OUT
        variant = None if reason else names[place]
        made.append(Judged(people[place], due, spoken[place], variant, reason, prices[place]))
    return made


def _price(ctx: Context, plan: Plan, person: Person, variant: str, language: str) -> Price | None:
    """What her text message costs; None where it is none."""
    if plan.definition.form != SMS:
        return None
    return price_content(
        make_content(plan.definition.key, plan.version, variant), settings=plan.settings,
        vault=ctx.vault, message_id=NO_MESSAGE, language=language, name=person.name,
        letters=plan.letters,
    )  # fmt: skip


def draw_variant(ctx: Context, definition: Definition, person: Person) -> str:
    """The content that she gets, or would."""
    return variant_of(ctx.vault.salt, definition.campaign_id, person.customer_id, definition.shares)


def _is_held_out(ctx: Context, definition: Definition, person: Person) -> bool:
    place = place_of(ctx.vault.salt, definition.campaign_id, person.customer_id)
    return place < definition.holdout_share


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
    ctx: Context, campaign: Campaign, plan: Plan, judged: Judged, *, sealed: bytes | None
) -> dict[str, Any]:
    person, definition, price = judged.person, plan.definition, judged.price
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
        c.LANGUAGE: judged.language,
        "via": definition.via or None,
        "template": plan.terms.template or None,
        "address_token": address_of(person, vault=ctx.vault, channel=definition.addressed_by)
        or None,
        "planned_at": naive_utc(ctx.clock.now()),
        "not_before": None if judged.due is None else naive_utc(judged.due),
        "priority": ledger.TRANSACTIONAL if urgent else 1,
        "purpose": definition.purpose,
        "state": ledger.SKIPPED if judged.reason else ledger.PLANNED,
        "reason": judged.reason,
        "variant": judged.variant,
        "segments": None if price is None or judged.reason else price.segments,
        "cost_micros": None if price is None or judged.reason else price.micros,
        "content": None if judged.reason else sealed,
    }


def _languages(
    connection: sa.Connection, ctx: Context, definition: Definition, people: Sequence[Person]
) -> list[str]:
    """The language that each chose, or speaks, of those that the campaign is written in."""
    chosen = read_languages(connection, sorted({p for one in people for p in one.parties}))
    written = definition.languages
    offered = [one for one in ctx.settings.languages if one in written] or list(written)
    asked = [newest_language(chosen, one.parties) for one in people]
    return [
        want if want in offered else choose_language(one.language, offered)
        for want, one in zip(asked, people, strict=True)
    ]


def _directory(ctx: Context, customer_ids: Sequence[str], *, channel: str) -> Directory:
    return read_directory(
        ctx.store, customer_ids, as_of=None, channel=channel, sealed=True,
        settings=ctx.settings.act,
    )  # fmt: skip
