# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""The job `measure`: what really happened after a day, laid beside what was expected on it.

Reads `scores`, `decisions`, `memberships` of a day and, alone of all jobs, facts after it: up to
the day after the window ends, or after the last day with data. Writes `results`. Besides the
turn's own day it measures again every earlier day whose windows were still open, so that in a
running shop each turn closes the loop of the ones before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis.expr.types as ir
import numpy as np

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.config import MeasureSettings
from zhiyin.core.context import Context
from zhiyin.core.decisions import of_turns
from zhiyin.core.values import JobReport
from zhiyin.measure import outcomes as o
from zhiyin.measure.arms import assign_campaign, assign_globally, compare_arms
from zhiyin.measure.campaign import (
    CHURN,
    MARKETING,
    PROFIT_FIGURES,
    PURCHASE,
    RESPONSE,
    RESPONSE_FIGURES,
    ScoredCampaign,
    measure_campaign,
    measure_probabilities,
    measure_ranking,
)
from zhiyin.measure.counts import from_groups
from zhiyin.measure.intervals import missing
from zhiyin.measure.profit import CampaignOutcomes, ProfitTerms
from zhiyin.measure.recommend import (
    EVERYTHING,
    NEW,
    RECOMMEND,
    count_relevant,
    mark_hits,
    measure_lists,
    name_figures,
    true_items,
)
from zhiyin.measure.results import Measured, Result, mark_open, to_json, to_rows
from zhiyin.measure.status import NOT_YET, OK, WINDOW_OPEN

JOB = "measure"
GROUPED_ABOVE = 1_000_000  # more scored customers than this are counted by rounded score


@dataclass(frozen=True)
class Window:
    """Local days [start, end) in which outcomes count; `until` is the first day without data."""

    start: date
    end: date
    until: date

    @property
    def status(self) -> str:
        """`not_yet`, `window_open` or `ok`."""
        if self.until <= self.start:
            return NOT_YET
        return OK if self.until >= self.end else WINDOW_OPEN

    @property
    def measured_until(self) -> date:
        """The day up to which facts are read."""
        return max(self.start, min(self.end, self.until))


def run(ctx: Context, config: MeasureSettings) -> JobReport:
    """Measure the turn's day, and earlier days whose windows were open when last measured.

    Returns
    -------
    `figures`: `status` (`ok`, `window_open`, `not_yet` or `nothing_decided`) of the turn's day,
    `response` (the keys of `summary.response`; None where unknown) for `campaign`, `campaigns`
    (the same per campaign), `purchase` (the same ranking keys, or None), `increments` (per
    campaign and metric), `marketing` (the same against the global holdout), `measured_days`.
    """
    until = _first_day_without_data(ctx)
    written, notes, figures = 0, [], {}
    days = [*_open_days(ctx, config), ctx.as_of]
    for number, day in enumerate(days):
        ctx.progress("measuring", number / len(days))
        measured, ends = _measure_day(ctx, config, day=day, until=until)
        rows = to_rows(measured.results, as_of=day, until=ends)
        written += ctx.store.replace("results", rows, scope={c.AS_OF_ON: day})
        if day == ctx.as_of:
            figures, notes = dict(measured.figures), list(measured.notes)
    rows, figures[RECOMMEND] = _measure_check(ctx, until=until)
    written += rows
    figures["measured_days"] = [day.isoformat() for day in days]
    ctx.log.info("measured %s days, %s results", len(days), written)
    return JobReport(
        JOB, rows={"results": written}, figures=_json_figures(figures), notes=tuple(notes)
    )


def _measure_day(
    ctx: Context, config: MeasureSettings, *, day: date, until: date
) -> tuple[Measured, Mapping[str, date]]:
    windows = _campaign_windows(ctx, day=day, until=until)
    scores = ctx.store.read("scores")
    scores = scores.filter(scores[c.AS_OF_ON] == day)
    parts: dict[str, Measured] = {}
    increments: dict[str, Measured] = {}
    everything: dict[str, Measured] = {}
    notes: list[str] = []
    ends = {subject: window.measured_until for subject, window in windows.items()}
    for subject in _distinct(scores.filter(scores[c.TASK] == RESPONSE), c.SUBJECT):
        if subject not in windows:
            notes.append(f"{subject}: scored, but there is no such campaign to measure")
            continue
        parts[subject] = _measure_response(
            ctx, config, scores, day=day, subject=subject, window=windows[subject]
        )
    for subject in _decided(ctx, day):
        if subject in windows and windows[subject].status != NOT_YET:
            increments[subject], everything[subject] = _measure_effects(
                ctx, day=day, subject=subject, window=windows[subject]
            )
    purchase = _measure_purchase(ctx, config, scores, day=day, until=until)
    if purchase is not None:
        ends[""] = _horizon(ctx, day=day, until=until).measured_until
    churn = _measure_churn(ctx, scores, day=day, until=until)
    if churn is not None:
        ends[CHURN] = min(until, churn[1])
    every = [*parts.values(), *increments.values(), *everything.values()]
    every += [one for one in (purchase, churn[0] if churn else None) if one is not None]
    chosen = _headline(ctx, parts)
    figures = {
        "status": _day_status(every),
        "campaign": chosen,
        "response": parts[chosen].figures if chosen is not None else _no_response(),
        "campaigns": {subject: part.figures for subject, part in parts.items()},
        "purchase": purchase.figures if purchase else None,
        "increments": {subject: part.figures for subject, part in increments.items()},
        MARKETING: {one: part.figures for one, part in everything.items() if part.figures},
    }
    notes += [note for part in every for note in part.notes]
    results = tuple(result for part in every for result in part.results)
    return Measured(results, figures, tuple(notes)), ends


def _measure_check(ctx: Context, *, until: date) -> tuple[int, Mapping[str, object] | None]:
    """Recommendations of the check day against purchases after it: rows written, figures."""
    day = ctx.settings.understand.recommend_check_on
    if day is None or until <= day:
        return 0, None
    lists = ctx.store.read("recommendations")
    lists = lists.filter(lists[c.AS_OF_ON] == day).select(
        c.MODEL, c.CUSTOMER_ID, c.RANK, c.PRODUCT_ID
    )
    window = Window(day, until, until)
    sold = ctx.store.read("order_lines", as_of=day)
    before = sold.filter(sold[c.KIND] == o.ITEM, sold[c.CUSTOMER_ID].notnull())
    later = _facts(ctx, "order_lines", c.SOLD_AT, day=day, window=window)
    later = later.filter(later[c.KIND] == o.ITEM)
    results: tuple[Result, ...] = ()
    with ExitStack() as held:
        both = true_items(
            before, later, min_buyers=ctx.settings.understand.recommend_min_buyers,
            keep=lambda table: held.enter_context(table.cache()),
        )  # fmt: skip
        for kind, truth in zip((EVERYTHING, NEW), both, strict=True):
            mine = lists.filter(lists[c.MODEL].startswith(kind))
            hits = mark_hits(mine, truth).to_pyarrow().to_pandas()
            relevant = count_relevant(truth).to_pyarrow().to_pandas()
            results += measure_lists(hits, relevant)
    measured = name_figures(results)
    ends = {result.subject: until for result in results}
    rows = to_rows(results, as_of=day, until=ends)
    written = ctx.store.replace("results", rows, scope={c.AS_OF_ON: day})
    return written, {**measured.figures, "check_on": day.isoformat()}


def _measure_response(
    ctx: Context, config: MeasureSettings, scores: ir.Table, *, day: date, subject: str,
    window: Window,
) -> Measured:  # fmt: skip
    if window.status == NOT_YET:
        return _not_yet(RESPONSE, subject, "auc")
    mine = scores.filter(scores[c.TASK] == RESPONSE, scores[c.SUBJECT] == subject)
    planned = o.find_recipients(ctx.store.read("touches", as_of=day), subject)
    recipients = planned.count().to_pyarrow().as_py()
    scored = mine.semi_join(planned, c.CUSTOMER_ID) if recipients else mine
    touches = _facts(ctx, "touches", c.OCCURRED_AT, day=day, window=window)
    lines = _facts(ctx, "order_lines", c.SOLD_AT, day=day, window=window)
    offers = ctx.store.read("offers", as_of=window.measured_until)
    members = ctx.store.read("memberships")
    rfm = members.filter(members[c.AS_OF_ON] == day, members[c.SCHEME] == c.RFM)
    table = o.join_outcomes(
        scored,
        o.find_redeemers(touches, subject),
        o.sum_offer_spend(lines, offers, subject),
        rfm,
    ).to_pyarrow()
    if not table.num_rows:
        return _not_yet(RESPONSE, subject, "auc")
    ranks = table[c.RFM].to_numpy().astype(np.float64)
    campaign = ScoredCampaign(
        CampaignOutcomes(
            table[c.CUSTOMER_ID].to_numpy().astype(str),
            table[c.RESPONDED].to_numpy().astype(bool),
            table[c.SPEND_BASE_MINOR].to_numpy().astype(np.int64),
        ),
        table[c.SCORE].to_numpy().astype(np.float64),
        table[c.EXPECTED_PROFIT_MINOR].to_numpy().astype(np.float64),
        ranks if np.isfinite(ranks).any() else None,
    )
    rng = ctx.rng.generator(f"{JOB}.{day.isoformat()}.{subject}")
    measured = measure_campaign(subject, campaign, _terms(ctx), rng=rng, samples=config.bootstrap)
    unscored = int(recipients) - table.num_rows
    notes = (f"{subject}: {unscored} planned recipients have no score",) if unscored > 0 else ()
    return _finish(measured, window, notes)


def _measure_effects(
    ctx: Context, *, day: date, subject: str, window: Window
) -> tuple[Measured, Measured]:
    """Against the campaign's own holdout, and against the global one (nothing without it)."""
    decisions = ctx.store.read("decisions")
    mine = decisions.filter(decisions[c.AS_OF_ON] == day, decisions[c.CAMPAIGN_ID] == subject)
    lines = _facts(ctx, "order_lines", c.SOLD_AT, day=day, window=window)
    revenue = o.sum_revenue(lines, include_shipping=ctx.settings.revenue.include_shipping)
    buyers, settings = o.find_buyers(lines), ctx.settings
    own = compare_arms(
        subject, assign_campaign(mine), revenue, buyers, share=settings.decide.holdout_share
    )
    every = compare_arms(
        subject, assign_globally(mine), revenue, buyers, kind=MARKETING,
        share=settings.act.global_holdout_share,
    )  # fmt: skip
    none = Measured(notes=(f"{subject}: without a holdout its effect cannot be measured",))
    return (
        none if own is None else _finish(own, window),
        Measured() if every is None else _finish(every, window),
    )


def _measure_purchase(
    ctx: Context, config: MeasureSettings, scores: ir.Table, *, day: date, until: date
) -> Measured | None:
    scored = scores.filter(scores[c.TASK] == PURCHASE)
    n = int(scored.count().to_pyarrow().as_py())
    if n == 0:
        return None
    window = _horizon(ctx, day=day, until=until)
    if window.status == NOT_YET:
        return _not_yet(PURCHASE, "", "auc")
    lines = _facts(ctx, "order_lines", c.SOLD_AT, day=day, window=window)
    groups = o.count_by_score(
        scored, o.find_buyers(lines), digits=4 if n > GROUPED_ABOVE else None
    ).to_pyarrow()
    counts = from_groups(*(groups[name].to_numpy() for name in (c.SCORE, c.UNITS, c.POSITIVES)))
    rng = ctx.rng.generator(f"{JOB}.{day.isoformat()}.{PURCHASE}")
    ranking = measure_ranking(PURCHASE, "", counts, rng=rng, samples=config.bootstrap)
    names = {"recipients": "customers", "redeemers": "buyers"}
    figures = {names.get(name, name): value for name, value in ranking.figures.items()}
    return _finish(Measured(ranking.results, figures), window)


def _measure_churn(
    ctx: Context, scores: ir.Table, *, day: date, until: date
) -> tuple[Measured, date] | None:
    """The day's churn scores against who did not come back, once the whole horizon is over."""
    cards = ctx.store.read("insights")
    mine = cards.filter(
        cards[c.AS_OF_ON] == day, cards[c.KIND] == "model_card", cards[c.KEY] == f"{CHURN}:"
    )
    bodies = [json.loads(text) for text in mine.select(c.BODY).to_pyarrow()[c.BODY].to_pylist()]
    scored = scores.filter(scores[c.TASK] == CHURN, scores[c.SUBJECT] == "")
    if not bodies or bodies[0].get("label") != "stays_away":
        return None
    if scored.count().to_pyarrow().as_py() == 0:
        return None
    window = Window(day, day + timedelta(days=bodies[0]["horizon_days"]), until)
    if window.status != OK:
        return _not_yet(CHURN, "", "auc"), window.end
    lines = _facts(ctx, "order_lines", c.SOLD_AT, day=day, window=window)
    groups = o.count_by_score(scored, o.find_buyers(lines)).to_pyarrow()
    units = groups[c.UNITS].to_numpy()
    away = units - groups[c.POSITIVES].to_numpy()
    counts = from_groups(groups[c.SCORE].to_numpy(), units, away)
    return measure_probabilities(CHURN, "", counts), window.end


def _facts(ctx: Context, table: str, time: str, *, day: date, window: Window) -> ir.Table:
    """Facts inside the window, under the customers of `day`."""
    zone, end = ctx.settings.zone, window.measured_until
    rows = o.within(
        ctx.store.read(table, as_of=end),
        time,
        start=naive_utc(start_of_day(window.start, zone)),
        end=naive_utc(start_of_day(end, zone)),
    )
    if not _merged_between(ctx, day, end):
        return rows
    sources = ("customers", "touches", "order_lines")
    then = [ctx.store.read(name, as_of=day) for name in sources]
    now = [ctx.store.read(name, as_of=end) for name in sources]
    return o.align_customers(rows, then, now)


def _merged_between(ctx: Context, day: date, end: date) -> bool:
    merges = ctx.store.read("merges", as_of=end)
    since = naive_utc(start_of_day(day, ctx.settings.zone))
    changed = merges.filter((merges[c.AT] >= since) | (merges[c.UNDONE_AT] >= since))
    return bool(changed.count().to_pyarrow().as_py() > 0)


def _campaign_windows(ctx: Context, *, day: date, until: date) -> dict[str, Window]:
    """The window of every known campaign that ends on `day` or later."""
    campaigns = ctx.store.read("campaigns", as_of=max(day, until))
    running = campaigns.filter(campaigns[c.END_ON] >= day)
    rows = running.select(c.CAMPAIGN_ID, c.START_ON, c.END_ON).to_pyarrow().to_pylist()
    return {
        row[c.CAMPAIGN_ID]: Window(
            max(_day(row[c.START_ON]), day), _day(row[c.END_ON]) + timedelta(days=1), until
        )
        for row in rows
    }


def _horizon(ctx: Context, *, day: date, until: date) -> Window:
    days = ctx.settings.understand.purchase_horizon_days
    return Window(day, day + timedelta(days=days), until)


def _first_day_without_data(ctx: Context) -> date:
    """The local day after the last order line or response (plans do not count)."""
    lines, touches = ctx.store.read("order_lines"), ctx.store.read("touches")
    seen = touches.filter(touches[c.KIND] != o.PLANNED)
    last = [
        moment
        for moment in (
            lines[c.SOLD_AT].max().to_pyarrow().as_py(),
            seen[c.OCCURRED_AT].max().to_pyarrow().as_py(),
        )
        if moment is not None
    ]
    if not last:
        return date.min
    local = max(last).replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(ctx.settings.zone))
    return local.date() + timedelta(days=1)


def _open_days(ctx: Context, config: MeasureSettings) -> list[date]:
    """Earlier days with something to measure whose results are missing or still open."""
    since = ctx.as_of - timedelta(days=config.lookback_days)
    found: set[date] = set()
    for name in ("scores", "decisions"):
        table = ctx.store.read(name)
        table = of_turns(table) if name == "decisions" else table
        recent = table.filter(table[c.AS_OF_ON] >= since, table[c.AS_OF_ON] < ctx.as_of)
        found |= {_day(value) for value in _distinct(recent, c.AS_OF_ON)}
    results = ctx.store.read("results")
    days = results.group_by(c.AS_OF_ON).agg(
        **{c.UNITS: results[c.STATUS].isin([NOT_YET, WINDOW_OPEN]).sum()}
    )
    settled = {_day(value) for value in _distinct(days.filter(days[c.UNITS] == 0), c.AS_OF_ON)}
    return sorted(found - settled)


def _decided(ctx: Context, day: date) -> list[str]:
    decisions = of_turns(ctx.store.read("decisions"))
    return _distinct(decisions.filter(decisions[c.AS_OF_ON] == day), c.CAMPAIGN_ID)


def _distinct(table: ir.Table, column: str) -> list:
    return sorted(table.select(column).distinct().to_pyarrow()[column].to_pylist())


def _day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


def _terms(ctx: Context) -> ProfitTerms:
    decide = ctx.settings.decide
    return ProfitTerms(
        decide.margin_rate, decide.contact_cost_minor, decide.max_share, decide.budget_minor
    )


def _headline(ctx: Context, parts: Mapping[str, Measured]) -> str | None:
    """The configured campaign, otherwise the one with most recipients."""
    if ctx.settings.decide.campaign in parts:
        return ctx.settings.decide.campaign
    return min(parts, key=lambda one: (-(parts[one].figures["recipients"] or 0), one), default=None)


def _not_yet(kind: str, subject: str, metric: str) -> Measured:
    return Measured((Result(kind, subject, metric, missing(0, NOT_YET)),), _no_response())


def _no_response() -> Mapping[str, object]:
    names: tuple[str, ...] = (*RESPONSE_FIGURES, "recipients", "redeemers", *PROFIT_FIGURES)
    return dict.fromkeys(names)


def _finish(measured: Measured, window: Window, notes: tuple[str, ...] = ()) -> Measured:
    results = mark_open(measured.results) if window.status == WINDOW_OPEN else measured.results
    return Measured(results, measured.figures, measured.notes + notes)


def _day_status(parts: list[Measured]) -> str:
    statuses = {result.estimate.status for part in parts for result in part.results}
    if not statuses:
        return "nothing_decided"
    if statuses == {NOT_YET}:
        return NOT_YET
    return WINDOW_OPEN if statuses & {NOT_YET, WINDOW_OPEN} else OK


def _json_figures(figures: Mapping[str, object]) -> dict[str, object]:
    return {name: to_json(value) for name, value in figures.items()}
