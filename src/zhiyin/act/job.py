"""The job `act`: a message for each customer that was decided to be contacted, then its delivery.

Reads `decisions` of the day and what their messages show; writes the ledger's `messages`. It
delivers only where the context has a channel, which `zhiyin run` gives in a demonstration alone:
elsewhere messages stay planned until `zhiyin send` calls `deliver` with a channel of the shop's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import ibis
import pyarrow as pa

from zhiyin.act import ledger
from zhiyin.act.campaigns.content import Letters
from zhiyin.act.campaigns.definition import is_planned_by_hand
from zhiyin.act.campaigns.job import deliver_campaign
from zhiyin.act.confirmation import CONFIRMATIONS
from zhiyin.act.costs import budget_micros, price_content
from zhiyin.act.create.content import (
    OFFER,
    describe_offer,
    describe_products,
    is_personal,
    make_content,
    places,
)
from zhiyin.act.create.email import LANGUAGES
from zhiyin.act.delivery import Desk
from zhiyin.act.gate import ALREADY_PLANNED, address_of, check_people
from zhiyin.act.journeys.ledger import PREFIX
from zhiyin.act.letters import require_sender
from zhiyin.act.letters_job import journey_letters
from zhiyin.act.mass import deliver_due
from zhiyin.act.review import SendPlan, count_by_rule
from zhiyin.act.ways_job import Way, usual_way
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.config import ActSettings
from zhiyin.core.context import Context
from zhiyin.core.decisions import CONTACT, HOLDOUT, TREAT, of_turns
from zhiyin.core.errors import ConfigError, InvalidParameter, NotFound
from zhiyin.core.protocols import Progress
from zhiyin.core.values import JobReport
from zhiyin.govern.facts import Terms, awake_from, gate_terms
from zhiyin.govern.gate import CONFIRMATION, MARKETING
from zhiyin.govern.ledger import newest_language, read_languages
from zhiyin.govern.live import read_directory
from zhiyin.govern.people import SMS, Directory, Person, choose_language

JOB = "act"
CHANNEL = "email"
EXAMPLES_EACH = 2
_CHUNK = 2_000

Row = dict[str, Any]


@dataclass(frozen=True)
class Shown:
    """What messages of the day may show, by id."""

    products: Mapping[str, Row]
    offers: Mapping[tuple[str, str], Row]  # by campaign and offer
    campaigns: Mapping[str, Row]


def run(ctx: Context, config: ActSettings) -> JobReport:
    """Plan the day's messages, and deliver them where the context has a channel.

    Returns
    -------
    `figures`: `messages` (`ledger.count_messages` of the day's campaigns), `examples` (up to two
    message ids per language).

    Notes
    -----
    A message's id does not depend on the turn, so a turn that is resumed, or run again, plans and
    sends nothing twice. What an earlier turn planned for these campaigns and this one does not
    want any more is skipped as `superseded`.
    """
    decided = _contacts(ctx)
    campaigns = sorted({row[c.CAMPAIGN_ID] for row in decided} | set(_decided_campaigns(ctx)))
    planned = _plan_messages(ctx, config, decided)
    with ctx.store.begin() as connection:
        for campaign in campaigns:
            ledger.supersede_messages(connection, campaign, turn_id=ctx.turn_id)
    if ctx.channel is not None:
        for campaign in campaigns:
            deliver(ctx, campaign, progress=ctx.progress, as_of=ctx.as_of)
    with ctx.store.begin() as connection:
        counts = ledger.count_messages(connection, campaigns)
        examples = ledger.find_examples(
            connection, campaigns, languages=LANGUAGES, each=EXAMPLES_EACH
        )
    ctx.log.info("planned %s messages, %s sent", counts["planned"], counts["sent"])
    notes = () if ctx.channel is not None or not counts["open"] else (
        f"{counts['open']} messages are planned and wait for `zhiyin send`",
    )  # fmt: skip
    return JobReport(
        JOB, rows={"messages": planned}, figures={"messages": counts, "examples": examples},
        notes=notes,
    )  # fmt: skip


def deliver(
    ctx: Context, campaign_id: str, *, progress: Progress, as_of: date | None = None,
    longest_s: float | None = None, way: Way | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Send the campaign's planned messages through the context's channel; `count_messages` of it.

    The caller holds the lease `lake`: two deliveries at once would take each other's messages
    for ones that a crash left behind.

    Parameters
    ----------
    as_of
        What is known of customers is what was before this day; None: all that is known now, which
        is what a real delivery wants. Consents, suppressions and caps are read at `ctx.clock`.
    longest_s
        Seconds after which the delivery of a campaign that a person planned makes room for others.
    way
        One of `ways_of`, to which the context's channel belongs; none: that of the settings.

    Raises
    ------
    ConfigError
        If there is no channel, or the sender is not set.
    NotFound
        If the campaign has no message.
    ChannelUnavailable
        If the channel cannot be used; what was not handed over stays planned.
    """
    if is_planned_by_hand(campaign_id):
        return deliver_campaign(ctx, campaign_id, progress=progress, longest_s=longest_s)
    if ctx.channel is None:
        raise ConfigError("no channel is configured", hint="set act.channel in zhiyin.toml")
    way = way or usual_way(ctx, campaign_id)
    if way.medium == CHANNEL:
        require_sender(ctx.settings)
    rows = [row for row in _states(ctx, campaign_id) if row.state in (*ledger.OPEN, ledger.UNKNOWN)]
    terms = _terms(ctx, campaign_id, medium=way.medium)
    desk = Desk(
        ctx.store.begin, ctx.vault, ctx.channel, ctx.clock, ctx.settings,
        replace(terms, template=way.template or terms.template),
        _directory(ctx, [row.party_id for row in rows], as_of=as_of, medium=way.medium),
        ctx.rng.generator(f"act.retry {campaign_id}"), _held_out(ctx, campaign_id),
        _journey_letters(ctx, campaign_id), via=way.via,
    )  # fmt: skip
    deliver_due(desk, campaign_id, progress=progress)
    with ctx.store.begin() as connection:
        return ledger.count_messages(connection, [campaign_id])


def plan(ctx: Context, campaign_id: str, *, as_of: date | None = None) -> SendPlan:
    """What `deliver` would do now: how many messages each rule of the gate leaves.

    Raises
    ------
    NotFound
        If the campaign has no message.
    """
    if is_planned_by_hand(campaign_id):
        raise InvalidParameter(
            f"{campaign_id} was planned by a person", hint="look and send: zhiyin campaign --help"
        )
    rows = _states(ctx, campaign_id)
    with ctx.store.begin() as connection:
        waiting = ledger.read_messages(connection, campaign_id, states=[ledger.PLANNED])
    parties = [row.party_id for row in waiting]
    people = _directory(ctx, parties, as_of=as_of).opened(parties, vault=ctx.vault)
    contents = ctx.vault.unseal(parties, [row.content for row in waiting])
    held_out = _held_out(ctx, campaign_id)
    with ctx.store.begin() as connection:
        verdicts = check_people(
            connection, people, terms=_terms(ctx, campaign_id), vault=ctx.vault,
            at=ctx.clock.now(), held_out=held_out,
            personal=places(is_personal(one or {}) for one in contents),
            prices=_prices(ctx, waiting, people, contents),
        )  # fmt: skip
        counts = ledger.count_messages(connection, [campaign_id])
    reasons = [row.reason or "" for row in rows if row.state == ledger.SKIPPED]
    reasons += ["" if verdict.allowed else verdict.reason for verdict in verdicts]
    return SendPlan(campaign_id, count_by_rule(reasons), counts)


def _contacts(ctx: Context) -> list[Row]:
    """The day's decisions to contact, by campaign and customer."""
    decisions = of_turns(ctx.store.read("decisions"))
    wanted = decisions.filter(
        decisions[c.AS_OF_ON] == ctx.as_of,
        decisions[c.ACTION] == CONTACT,
        decisions[c.ARM] == TREAT,
    ).select(
        c.CAMPAIGN_ID, c.CUSTOMER_ID, c.PARTY_ID, c.DECISION_ID, c.OFFER_ID, c.PRODUCT_IDS,
        c.PERSONALISED,
    )  # fmt: skip
    return wanted.order_by([c.CAMPAIGN_ID, c.CUSTOMER_ID]).to_pyarrow().to_pylist()


def _decided_campaigns(ctx: Context) -> list[str]:
    decisions = of_turns(ctx.store.read("decisions"))
    today = decisions.filter(decisions[c.AS_OF_ON] == ctx.as_of)
    return today.select(c.CAMPAIGN_ID).distinct().to_pyarrow()[c.CAMPAIGN_ID].to_pylist()


def _plan_messages(ctx: Context, config: ActSettings, decided: Sequence[Row]) -> int:
    """Write the messages of the decisions, chunk by chunk; how many are new."""
    if not decided:
        return 0
    shown = _shown(ctx, decided)
    directory = _directory(ctx, [row[c.PARTY_ID] for row in decided], as_of=ctx.as_of)
    held_out = {
        campaign: _held_out(ctx, campaign) for campaign in {row[c.CAMPAIGN_ID] for row in decided}
    }
    made = 0
    for campaign in sorted(held_out):
        mine = [row for row in decided if row[c.CAMPAIGN_ID] == campaign]
        for start in range(0, len(mine), _CHUNK):
            chunk = mine[start : start + _CHUNK]
            made += _plan_chunk(ctx, campaign, chunk, shown, directory, held_out[campaign])
    return made


def _plan_chunk(
    ctx: Context, campaign: str, decided: Sequence[Row], shown: Shown, directory: Directory,
    held_out: frozenset[str],
) -> int:  # fmt: skip
    people = directory.opened([row[c.PARTY_ID] for row in decided], vault=ctx.vault)
    rows = [
        _message(ctx, row, person) for row, person in zip(decided, people, strict=True)
    ]  # fmt: skip
    contents = [_content(row, shown) for row in decided]
    sealed = ctx.vault.seal([row[c.PARTY_ID] for row in rows], contents)
    terms = _terms(ctx, campaign)
    parties = sorted({party for person in people for party in person.parties})
    with ctx.store.begin() as connection:
        chosen = read_languages(connection, parties)
        for row, person in zip(rows, people, strict=True):
            row[c.LANGUAGE] = newest_language(chosen, person.parties) or row[c.LANGUAGE]
        verdicts = check_people(
            connection, people, terms=terms, vault=ctx.vault,
            at=ctx.clock.now(), held_out=held_out, personal=places(map(is_personal, contents)),
            turn_id=ctx.turn_id, prices=_priced(ctx, rows, people, contents), planning=True,
        )  # fmt: skip
        others = ledger.other_messages(connection, campaign, parties)
        for row, person, verdict, content in zip(rows, people, verdicts, sealed, strict=True):
            row["template"] = terms.template or None
            reason = None if verdict.possible else verdict.reason
            if ledger.has_another(others, person.parties, row[c.MESSAGE_ID]):
                reason = ALREADY_PLANNED
            row["state"] = ledger.PLANNED if reason is None else ledger.SKIPPED
            row |= {"reason": reason, "content": content, "not_before": None}
            if reason is None:
                others.setdefault(row[c.PARTY_ID], []).append(row[c.MESSAGE_ID])
            if reason is None and not verdict.allowed:
                awake = awake_from(ctx.clock.now(), person.zone, terms)
                row["not_before"] = naive_utc(awake)
        made = ledger.insert_messages(connection, rows)
        ledger.renew_messages(connection, rows)
    return made


def _priced(
    ctx: Context, rows: Sequence[Row], people: Sequence[Person], contents: Sequence[Row]
) -> list[int]:
    """What each text costs, noted in its row; nothing for other messages."""
    if ctx.settings.act.medium != SMS:
        return []
    made: list[int] = []
    for row, person, content in zip(rows, people, contents, strict=True):
        price = price_content(
            content, settings=ctx.settings, vault=ctx.vault, message_id=row[c.MESSAGE_ID],
            language=row[c.LANGUAGE], name=person.name,
        )  # fmt: skip
        if price is not None:
            row |= {"segments": price.segments, "cost_micros": price.micros}
        made.append(0 if price is None else price.micros)
    return made


def _prices(
    ctx: Context, waiting: Sequence[Any], people: Sequence[Person], contents: Sequence[Any]
) -> list[int]:  # Any: ledger rows, and what was sealed
    if budget_micros(ctx.settings, ctx.settings.act.medium) is None:
        return []
    found = (
        price_content(
            content,
            settings=ctx.settings,
            vault=ctx.vault,
            message_id=row.message_id,
            language=row.language,
            name=person.name,
        )
        for row, person, content in zip(waiting, people, contents, strict=True)
    )
    return [0 if one is None else one.micros for one in found]


def _message(ctx: Context, decision: Row, person: Person) -> Row:
    medium = ctx.settings.act.medium
    return {
        c.MESSAGE_ID: ledger.message_id(
            decision[c.CAMPAIGN_ID], step=OFFER, customer_id=decision[c.CUSTOMER_ID]
        ),
        c.CAMPAIGN_ID: decision[c.CAMPAIGN_ID],
        c.TURN_ID: ctx.turn_id,
        c.PARTY_ID: decision[c.PARTY_ID],
        c.CUSTOMER_ID: decision[c.CUSTOMER_ID],
        c.DECISION_ID: decision[c.DECISION_ID],
        c.CHANNEL: medium,
        c.LANGUAGE: choose_language(person.language, ctx.settings.languages),
        "address_token": address_of(person, vault=ctx.vault, channel=medium) or None,
        "planned_at": naive_utc(ctx.clock.now()),
        "segments": None,
        "cost_micros": None,
    }


def _content(decision: Row, shown: Shown) -> Row:
    campaign = decision[c.CAMPAIGN_ID]
    offer = shown.offers.get((campaign, decision[c.OFFER_ID] or ""))
    product_ids = json.loads(decision[c.PRODUCT_IDS] or "[]")
    last_on = (offer or {}).get(c.END_ON) or shown.campaigns.get(campaign, {}).get(c.END_ON)
    return make_content(
        offer=describe_offer(offer),
        products=describe_products(product_ids, shown.products),
        last_on=last_on,
        personal=decision[c.PERSONALISED] is not False,
    )


def _shown(ctx: Context, decided: Sequence[Row]) -> Shown:
    product_ids = {one for row in decided for one in json.loads(row[c.PRODUCT_IDS] or "[]")}
    offer_ids = {row[c.OFFER_ID] for row in decided if row[c.OFFER_ID]}
    products = _only(ctx, "products", c.PRODUCT_ID, product_ids)
    offers = sorted(
        _only(ctx, "offers", c.OFFER_ID, offer_ids), key=lambda row: row[c.PRODUCT_ID] or ""
    )
    campaigns = _only(ctx, "campaigns", c.CAMPAIGN_ID, {row[c.CAMPAIGN_ID] for row in decided})
    return Shown(
        {row[c.PRODUCT_ID]: row for row in products},
        {(row[c.CAMPAIGN_ID] or "", row[c.OFFER_ID]): row for row in reversed(offers)},
        {row[c.CAMPAIGN_ID]: row for row in campaigns},
    )


def _only(ctx: Context, table: str, key: str, wanted: Iterable[str]) -> list[Row]:
    """Rows of a table whose `key` is wanted, as visible on the context's day."""
    ids = ctx.store.to_ibis(pa.table({key: pa.array(sorted(wanted), pa.string())}))
    return ctx.store.read(table, as_of=ctx.as_of).semi_join(ids, key).to_pyarrow().to_pylist()


def _directory(
    ctx: Context, party_ids: Sequence[str], *, as_of: date | None, medium: str = ""
) -> Directory:
    return read_directory(
        ctx.store, party_ids, as_of=as_of, channel=medium or ctx.settings.act.medium, sealed=True,
        settings=ctx.settings.act,
    )  # fmt: skip


def _held_out(ctx: Context, campaign_id: str) -> frozenset[str]:
    """Parties that are, or ever were, in the campaign's holdout: the earliest arm is kept."""
    decisions = ctx.store.read("decisions")
    held = decisions.filter(
        decisions[c.CAMPAIGN_ID] == campaign_id,
        decisions[c.ARM] == HOLDOUT,
        decisions[c.AS_OF_ON] <= ibis.literal(ctx.as_of),
    )
    return frozenset(held.select(c.PARTY_ID).to_pyarrow()[c.PARTY_ID].to_pylist())


def _journey_letters(ctx: Context, campaign_id: str) -> Letters | None:
    if not campaign_id.startswith(PREFIX):
        return None
    with ctx.store.begin() as connection:
        return journey_letters(connection, campaign_id)


def _states(ctx: Context, campaign_id: str) -> list[ledger.State]:
    with ctx.store.begin() as connection:
        rows = ledger.read_states(connection, campaign_id)
    if not rows:
        raise NotFound(
            f"campaign {campaign_id!r} has no messages", hint="plan them first: zhiyin run"
        )
    return rows


def _terms(ctx: Context, campaign_id: str, *, medium: str = "") -> Terms:
    purpose = CONFIRMATION if campaign_id == CONFIRMATIONS else MARKETING
    medium = medium or ctx.settings.act.medium
    terms = gate_terms(ctx.settings.act, zone=ctx.settings.zone, purpose=purpose, channel=medium)
    if purpose == CONFIRMATION:
        return terms
    decide, micros = ctx.settings.decide, budget_micros(ctx.settings, medium)
    paid = None
    if micros is None and decide.budget_minor is not None and decide.contact_cost_minor:
        paid = decide.budget_minor // decide.contact_cost_minor
    return replace(
        terms, campaign_id=campaign_id, budget_messages=paid, budget_micros=micros
    )  # fmt: skip
