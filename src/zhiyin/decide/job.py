"""The job `decide`: for each campaign of the day, whom to contact with what, and why not the rest.

Reads `campaigns`, `offers`, `touches`, `customers`, `identities`, `order_lines`, earlier
`decisions` and `results` as of the day, `scores` and `recommendations` of the day, and from the
ledger what the gate needs to know. Writes `decisions` of the day, one row per recipient, contacted
or not.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.config import DecideSettings
from zhiyin.core.context import Context
from zhiyin.core.decisions import CONTACT, NO_CONTACT, decision_id
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import DECISIONS
from zhiyin.core.values import JobReport
from zhiyin.decide.caused import CausedShare, find_share
from zhiyin.decide.caused_job import read_measured
from zhiyin.decide.holdout import find_earlier_arms, is_held_out
from zhiyin.decide.offer import Offered, choose_offers
from zhiyin.decide.selection import (
    POLICY,
    POLICY_FORMAT,
    Candidates,
    Choice,
    SelectionTerms,
    count_steps,
    select,
)
from zhiyin.govern import gate
from zhiyin.govern.facts import gate_terms, read_facts
from zhiyin.govern.live import read_directory
from zhiyin.govern.people import Person

JOB = "decide"
PLANNED = "planned"
RESPONSE, PURCHASE = "response", "next_purchase"
OK, NO_CAMPAIGN, NO_RECIPIENTS, NO_SCORES = "ok", "no_campaign", "no_recipients", "no_scores"
_BOTH, _ONLY_NONE = json.dumps([CONTACT, NO_CONTACT]), json.dumps([NO_CONTACT])


@dataclass(frozen=True)
class Score:
    """What a model expects of a customer; NaN where it says nothing."""

    probability: float
    margin_minor: float
    model_version: str


@dataclass(frozen=True)
class Decided:
    """One campaign's rows of `decisions`, its figures, and notes for the reader."""

    rows: pa.Table
    figures: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def run(ctx: Context, config: DecideSettings) -> JobReport:
    """Decide the campaigns of the day: the configured one, or those that start on it.

    Returns
    -------
    `figures`: `status` (`ok`, `no_campaign`, or that of the campaigns if none was decided),
    `campaigns` (per campaign: `status`, and if decided `task`, `recipients`, `allowed`, `skipped`
    by reason, `slots`, `chosen`, `explored`, `treat`, `holdout`, `expected_profit_minor` of those
    contacted and of those chosen, `contact_cost_minor`, `offers` used, `steps`: the sizes after
    each rule, `caused`: the share by which redeemed money is counted) and the sums `recipients`,
    `chosen`, `explored`, `treat`, `holdout`.
    """
    campaigns = _campaigns(ctx, config)
    measured = read_measured(ctx) if config.count_caused and campaigns else []
    decided: dict[str, Decided] = {}
    for number, campaign_id in enumerate(campaigns):
        ctx.progress(f"deciding {campaign_id}", number / len(campaigns))
        decided[campaign_id] = _decide(ctx, config, campaign_id, find_share(campaign_id, measured))
    empty = arrow_schema(DECISIONS).empty_table()
    rows = pa.concat_tables([empty, *(one.rows for one in decided.values())])
    written = ctx.store.replace(
        DECISIONS.name, rows, scope={c.AS_OF_ON: ctx.as_of, c.DECIDED_BY: None}
    )
    notes = [note for one in decided.values() for note in one.notes]
    if not campaigns:
        notes.append(_no_campaign(config, ctx.as_of))
    ctx.log.info("decided %s campaigns, %s decisions", len(campaigns), written)
    return JobReport(
        JOB, rows={DECISIONS.name: written}, figures=_sum_up(decided), notes=tuple(notes)
    )


def _campaigns(ctx: Context, config: DecideSettings) -> list[str]:
    """The campaigns to decide, by id: those that are over are not."""
    known = ctx.store.read("campaigns", as_of=ctx.as_of)
    running = known.filter(known[c.END_ON] >= ibis.literal(ctx.as_of))
    if config.campaign:
        wanted = running.filter(running[c.CAMPAIGN_ID] == config.campaign)
    else:
        wanted = running.filter(running[c.START_ON] == ibis.literal(ctx.as_of))
    return sorted(wanted.select(c.CAMPAIGN_ID).to_pyarrow()[c.CAMPAIGN_ID].to_pylist())


def _no_campaign(config: DecideSettings, day: date) -> str:
    if config.campaign:
        return f"Nothing decided: {config.campaign} is not known on {day}, or is over."
    return f"Nothing decided: no campaign starts on {day}."


def _decide(ctx: Context, config: DecideSettings, campaign_id: str, caused: CausedShare) -> Decided:
    empty = arrow_schema(DECISIONS).empty_table()
    task, scores = _scores(ctx, campaign_id)
    if not scores:
        note = f"{campaign_id}: nothing decided, no model has scores for {ctx.as_of}."
        return Decided(empty, {"status": NO_SCORES}, (note,))
    planned = _planned(ctx, campaign_id)
    recipients = planned or sorted(scores)
    notes = () if planned else (f"{campaign_id}: no recipients planned, all customers considered.",)
    people = _people(ctx, recipients)
    verdicts, generic = _verdicts(ctx, people)
    arms = _earlier_arms(ctx, campaign_id, people)
    held_out = is_held_out(campaign_id, recipients, salt=ctx.vault.salt, share=config.holdout_share)
    found = _found(scores, recipients, generic)
    candidates = Candidates(
        np.array(recipients, dtype=np.str_),
        np.array([one.probability for one in found], dtype=np.float64),
        np.array([one.margin_minor for one in found], dtype=np.float64),
        np.array([_refusal(verdicts[one]) for one in recipients], dtype=np.str_),
        held_out,
        np.array([arms.get(one, "") for one in recipients], dtype=np.str_),
    )
    terms = SelectionTerms(
        config.max_share, config.contact_cost_minor, config.budget_minor,
        config.explore_share, config.holdout_share, caused.value,
    )  # fmt: skip
    choice = select(
        candidates, terms,
        rng=ctx.rng.generator(f"{JOB}.{ctx.as_of.isoformat()}.{campaign_id}"),
        chosen_elsewhere=len(set(arms) - set(recipients)),
    )  # fmt: skip
    chosen = candidates.customer_ids[choice.chosen].tolist()
    offers = _offers(ctx, campaign_id, chosen, sorted(generic.intersection(chosen)))
    models = sorted({one.model_version for one in found} - {""})
    version = _policy_version(terms, task, models)
    rows = _to_rows(
        ctx,
        campaign_id,
        candidates,
        choice,
        people=people,
        offers=offers,
        version=version,
        generic=generic,
    )
    figures = {"status": OK, "task": task, **_figures(candidates, choice, terms, offers)}
    figures["caused"] = asdict(caused)
    return Decided(rows, figures, notes)


def _refusal(verdict: gate.Verdict) -> str:
    return "" if verdict.possible else verdict.reason


def _scores(ctx: Context, campaign_id: str) -> tuple[str, dict[str, Score]]:
    """The day's scores for the campaign; where it has none, those for any next purchase."""
    every = ctx.store.read("scores")
    every = every.filter(every[c.AS_OF_ON] == ctx.as_of)
    for task, subject in ((RESPONSE, campaign_id), (PURCHASE, "")):
        mine = every.filter(every[c.TASK] == task, every[c.SUBJECT] == subject)
        rows = _rows(mine, c.CUSTOMER_ID, c.SCORE, c.EXPECTED_PROFIT_MINOR, c.MODEL_VERSION)
        if rows:
            return task, {
                row[c.CUSTOMER_ID]: Score(
                    _number(row[c.SCORE]),
                    _number(row[c.EXPECTED_PROFIT_MINOR]),
                    row[c.MODEL_VERSION],
                )
                for row in rows
            }
    return PURCHASE, {}


def _planned(ctx: Context, campaign_id: str) -> list[str]:
    touches = ctx.store.read("touches", as_of=ctx.as_of)
    mine = touches.filter(
        touches[c.CAMPAIGN_ID] == campaign_id,
        touches[c.KIND] == PLANNED,
        touches[c.CUSTOMER_ID].notnull(),
    )
    return sorted({row[c.CUSTOMER_ID] for row in _rows(mine, c.CUSTOMER_ID)})


def _people(ctx: Context, customer_ids: Sequence[str]) -> dict[str, Person]:
    directory = read_directory(
        ctx.store,
        customer_ids,
        as_of=ctx.as_of,
        channel=ctx.settings.act.medium,
        settings=ctx.settings.act,
    )
    return dict(zip(customer_ids, directory.people(customer_ids), strict=True))


def _found(
    scores: Mapping[str, Score], recipients: Sequence[str], generic: frozenset[str]
) -> list[Score]:
    """The score of each recipient; what is expected of anybody for who refused to be scored."""
    unscored = Score(math.nan, math.nan, "")
    held = [scores[one] for one in recipients if one in scores and one not in generic]
    usual = unscored
    if held:
        n = len(held)
        usual = Score(
            math.fsum(one.probability for one in held) / n,
            math.fsum(one.margin_minor for one in held) / n,
            held[0].model_version,
        )
    return [usual if one in generic else scores.get(one, unscored) for one in recipients]


def _verdicts(
    ctx: Context, people: Mapping[str, Person]
) -> tuple[dict[str, gate.Verdict], frozenset[str]]:
    """What the gate says today of a contact with each customer, and who refused personalised
    content; the holdout comes later.
    """
    terms = gate_terms(ctx.settings.act, zone=ctx.settings.zone, channel=ctx.settings.act.medium)
    with ctx.store.begin() as connection:
        facts = read_facts(
            connection, list(people.values()), terms=terms, vault=ctx.vault, at=ctx.clock.now()
        )
    verdicts = (gate.check(one, terms.limits) for one in facts)
    generic = frozenset(one for one, hers in zip(people, facts, strict=True) if hers.generic)
    return dict(zip(people, verdicts, strict=True)), generic


def _earlier_arms(ctx: Context, campaign_id: str, people: Mapping[str, Person]) -> dict[str, str]:
    decisions = ctx.store.read(DECISIONS.name, as_of=ctx.as_of)
    mine = decisions.filter(decisions[c.CAMPAIGN_ID] == campaign_id)
    customer_of = {party: one.customer_id for one in people.values() for party in one.parties}
    rows = _rows(mine, c.PARTY_ID, c.CUSTOMER_ID, c.ARM, c.DECIDED_AT)
    return find_earlier_arms(rows, customer_of)


def _offers(
    ctx: Context, campaign_id: str, chosen: Sequence[str], generic: Sequence[str]
) -> dict[str, Offered]:
    if not chosen:
        return {}
    offers = ctx.store.read("offers", as_of=ctx.as_of)
    recommendations = ctx.store.read("recommendations")
    made = choose_offers(
        _as_table(ctx, chosen),
        offers=offers.filter(offers[c.CAMPAIGN_ID] == campaign_id),
        order_lines=ctx.store.read("order_lines", as_of=ctx.as_of),
        recommendations=recommendations.filter(recommendations[c.AS_OF_ON] == ctx.as_of),
        generic=_as_table(ctx, generic) if generic else None,
        as_of=ctx.as_of,
    )
    return {one.customer_id: one for one in made}


def _to_rows(
    ctx: Context,
    campaign_id: str,
    candidates: Candidates,
    choice: Choice,
    *,
    people: Mapping[str, Person],
    offers: Mapping[str, Offered],
    version: str,
    generic: frozenset[str],
) -> pa.Table:
    customers = candidates.customer_ids.tolist()
    at = naive_utc(ctx.clock.now())
    offered = [offers.get(one, Offered(one, None, ())) for one in customers]
    n = len(customers)
    nothing = [None] * n
    columns: dict[str, Sequence[Any]] = {
        c.DECISION_ID: [decision_id(ctx.turn_id, campaign_id, one) for one in customers],
        c.TURN_ID: [ctx.turn_id] * n,
        c.AS_OF_ON: [ctx.as_of] * n,
        c.CAMPAIGN_ID: [campaign_id] * n,
        c.PARTY_ID: [people[one].party_id for one in customers],
        c.CUSTOMER_ID: customers,
        c.DECIDED_AT: [at] * n,
        c.MONTH: [f"{at:%Y-%m}"] * n,
        c.ELIGIBLE: [_BOTH if possible else _ONLY_NONE for possible in choice.eligible],
        c.ACTION: choice.actions.tolist(),
        c.ARM: choice.arms.tolist(),
        c.PROPENSITY: choice.propensity.tolist(),
        c.EXPLORED: choice.explored.tolist(),
        **dict.fromkeys((c.DECIDED_BY, c.RANK, c.VERSION, c.CONTEXT, c.RAMP), nothing),
        c.VARIANT: nothing,
        c.PERSONALISED: [one not in generic for one in customers],
        c.OFFER_ID: [one.offer_id for one in offered],
        c.PRODUCT_IDS: [
            json.dumps(one.product_ids) if one.product_ids else None for one in offered
        ],
        c.POLICY: [POLICY] * n,
        c.POLICY_VERSION: [version] * n,
        c.SCORE: _nullable(candidates.probability),
        c.EXPECTED_PROFIT_MINOR: _nullable(choice.expected_minor),
        c.REASON: choice.reasons.tolist(),
    }
    return pa.table(columns, schema=arrow_schema(DECISIONS))


def _policy_version(terms: SelectionTerms, task: str, models: Sequence[str]) -> str:
    """Equal for equal rules, terms and models: decisions under it can be evaluated together."""
    content = json.dumps([POLICY_FORMAT, repr(terms), task, list(models)])
    return f"{POLICY_FORMAT}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _figures(
    candidates: Candidates,
    choice: Choice,
    terms: SelectionTerms,
    offers: Mapping[str, Offered],
) -> dict[str, Any]:
    refused, counts = np.unique(choice.reasons[~choice.chosen], return_counts=True)
    contacted = int(choice.contacted.sum())
    return {
        "recipients": candidates.n,
        "allowed": int((candidates.refusals == "").sum()),
        "skipped": dict(zip(refused.tolist(), counts.tolist(), strict=True)),
        "slots": choice.slots,
        "chosen": int(choice.chosen.sum()),
        "explored": int(choice.explored.sum()),
        "treat": contacted,
        "holdout": int((choice.chosen & ~choice.contacted).sum()),
        "expected_profit_minor": _total(choice.expected_minor[choice.contacted]),
        "expected_profit_chosen_minor": _total(choice.expected_minor[choice.chosen]),
        "contact_cost_minor": contacted * terms.contact_cost_minor,
        "offers": len({one.offer_id for one in offers.values()} - {None}),
        "steps": count_steps(candidates, choice, gate.REASONS),
    }


def _sum_up(decided: Mapping[str, Decided]) -> dict[str, Any]:
    statuses = sorted({str(one.figures["status"]) for one in decided.values()})
    status = OK if OK in statuses else (statuses or [NO_CAMPAIGN])[0]
    names = ("recipients", "chosen", "explored", "treat", "holdout")
    sums = {name: sum(one.figures.get(name, 0) for one in decided.values()) for name in names}
    campaigns = {campaign: dict(one.figures) for campaign, one in decided.items()}
    return {"status": status, "campaigns": campaigns, **sums}


def _as_table(ctx: Context, customer_ids: Sequence[str]) -> ir.Table:
    return ctx.store.to_ibis(pa.table({c.CUSTOMER_ID: pa.array(customer_ids, pa.string())}))


def _rows(table: ir.Table, *names: str) -> list[dict[str, Any]]:
    return table.select(*names).to_pyarrow().to_pylist()


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _nullable(values: Iterable[float]) -> list[float | None]:
    return [float(one) if math.isfinite(one) else None for one in values]


def _total(values: Iterable[float]) -> float:
    """The exact sum, rounded once: the order of rows does not matter."""
    return round(math.fsum(values), 2)
