# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""The job `measure`: what really happened after a day, laid beside what was expected on it.

Reads `scores`, `decisions`, `memberships` of a day and, alone of all jobs, facts after it: up to
the day after the window ends, or after the last day with data. Writes `results`. Besides the
turn's own day it measures again every earlier day whose windows were still open, so that in a
running shop each turn closes the loop of the ones before.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import date, timedelta

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.config import MeasureSettings
from zhiyin.core.context import Context
from zhiyin.core.decisions import of_turns
from zhiyin.core.values import JobReport
from zhiyin.measure import outcomes as o
from zhiyin.measure.arms import MONEY_CAUSED
from zhiyin.measure.attributed import ATTRIBUTED
from zhiyin.measure.campaign import (
    CHURN,
    MARKETING,
    RESPONSE,
    ScoredCampaign,
    measure_campaign,
)
from zhiyin.measure.contacted import Reach
from zhiyin.measure.decay_job import watch_models
from zhiyin.measure.effects_job import (
    Effects,
    contacted_of,
    find_reach,
    measure_attributed,
    measure_effects,
)
from zhiyin.measure.indicators_job import KINDS, make_rows
from zhiyin.measure.observed_job import OBSERVED
from zhiyin.measure.predictions_job import measure_churn, measure_purchase
from zhiyin.measure.profit import CampaignOutcomes, ProfitTerms
from zhiyin.measure.programme import PROGRAMME
from zhiyin.measure.programme_job import measure_programme
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
from zhiyin.measure.results import Measured, Result, to_json, to_rows
from zhiyin.measure.status import NOT_YET, OK, WINDOW_OPEN
from zhiyin.measure.trend_job import measure_trends
from zhiyin.measure.trend_kinds import KINDS as TREND_KINDS
from zhiyin.measure.trend_kinds import TREND
from zhiyin.measure.windows_job import (
    Window,
    as_day,
    finish,
    first_day_without_data,
    horizon_of,
    no_response,
    not_yet,
    read_facts,
)

JOB = "measure"
OF_A_TURN = (*KINDS, *TREND_KINDS, PROGRAMME)
"""Kinds of results that are made once, in the turn of their day."""
GROUPED_ABOVE = 1_000_000  # more scored customers than this are counted by rounded score


def run(ctx: Context, config: MeasureSettings) -> JobReport:
    """Measure the turn's day, and earlier days whose windows were open when last measured.

    Returns
    -------
    `figures`: `status` (`ok`, `window_open`, `not_yet` or `nothing_decided`) of the turn's day,
    `response` (the keys of `summary.response`; None where unknown) for `campaign`, `campaigns`
    (the same per campaign), `purchase` (the same ranking keys, or None), `increments` (per
    campaign and metric), `marketing` (the same against the global holdout), `observed` (of
    campaigns without a holdout that was kept), `programme` (per quarter), `decay` (see
    `watch_models`), `trend` (see `measure_trends`), `measured_days`.
    """
    until = first_day_without_data(ctx)
    written, notes, figures = 0, [], {}
    trends, trend_figures = measure_trends(ctx)
    told = to_rows(trends, as_of=ctx.as_of, until=dict.fromkeys(TREND_KINDS, ctx.as_of))
    days = [*_open_days(ctx, config), ctx.as_of]
    for number, day in enumerate(days):
        ctx.progress("measuring", number / len(days))
        measured, ends = _measure_day(ctx, config, day=day, until=until)
        rows = to_rows(measured.results, as_of=day, until=ends)
        made: pa.Table | None = None
        if day == ctx.as_of:
            programme = measure_programme(ctx, until=until)
            made = pa.concat_tables([make_rows(ctx), told, programme])
            figures, notes = dict(measured.figures), list(measured.notes)
            figures[PROGRAMME] = _programme_figures(programme)
        written += _replace(ctx, day, rows, made)
    rows, figures[RECOMMEND] = _measure_check(ctx, until=until)
    written += rows
    figures["decay"] = watch_models(ctx)
    figures[TREND] = trend_figures
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
    effects: dict[str, Effects] = {}
    notes: list[str] = []
    ends = {subject: window.measured_until for subject, window in windows.items()}
    reached: dict[str, Reach] = {}
    scored = _distinct(scores.filter(scores[c.TASK] == RESPONSE), c.SUBJECT)
    for subject in sorted({*scored, *_decided(ctx, day)} & set(windows)):
        window = windows[subject]
        if window.status != NOT_YET:
            reached[subject] = find_reach(ctx, day=day, subject=subject, window=window)
    for subject in scored:
        if subject not in windows:
            notes.append(f"{subject}: scored, but there is no such campaign to measure")
            continue
        parts[subject] = _measure_response(
            ctx, config, scores, day=day, subject=subject, window=windows[subject],
            reach=reached.get(subject, Reach()),
        )  # fmt: skip
    for subject, reach in reached.items():
        effects[subject] = measure_effects(
            ctx, day=day, subject=subject, window=windows[subject], reach=reach
        )
    attributed = Measured()
    if reached:
        attributed, ends[ATTRIBUTED] = measure_attributed(
            ctx, day=day, windows={one: windows[one] for one in reached}
        )
    purchase = measure_purchase(ctx, config, scores, day=day, until=until)
    if purchase is not None:
        ends[""] = horizon_of(ctx, day=day, until=until).measured_until
    churn = measure_churn(ctx, scores, day=day, until=until)
    if churn is not None:
        ends[CHURN] = churn[1]
    every = [*parts.values(), attributed]
    every += [part for one in effects.values() for part in (one.own, one.everything, one.observed)]
    every += [one for one in (purchase, churn[0] if churn else None) if one is not None]
    chosen = _headline(ctx, parts)
    figures = {
        "status": _day_status(every),
        "campaign": chosen,
        "response": parts[chosen].figures if chosen is not None else no_response(),
        "campaigns": {subject: part.figures for subject, part in parts.items()},
        "purchase": purchase.figures if purchase else None,
        "increments": {
            one: part.own.figures for one, part in effects.items() if reached[one].decided
        },
        MARKETING: _known(effects, "everything"),
        OBSERVED: _known(effects, "observed"),
    }
    notes += [note for part in every for note in part.notes]
    results = tuple(result for part in every for result in part.results)
    return Measured(results, figures, tuple(notes)), ends


def _known(effects: Mapping[str, Effects], name: str) -> dict[str, object]:
    parts = {subject: getattr(one, name).figures for subject, one in effects.items()}
    return {subject: figures for subject, figures in parts.items() if figures}


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
    later = read_facts(ctx, "order_lines", c.SOLD_AT, day=day, window=window)
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
    return _replace(ctx, day, rows), {**measured.figures, "check_on": day.isoformat()}


def _programme_figures(rows: pa.Table) -> dict[str, object]:
    """Per quarter the money that marketing caused, with its interval and status."""
    names = (c.VALUE, c.LOW, c.HIGH, c.N, c.STATUS)
    return {
        row[c.SUBJECT]: {name: row[name] for name in names}
        for row in rows.to_pylist()
        if row[c.METRIC] == MONEY_CAUSED
    }


def _replace(ctx: Context, day: date, rows: pa.Table, made: pa.Table | None = None) -> int:
    """Put what was measured of a day in place of what was: rows measured, and `made` of the turn.

    Indicators, trends and the programme are of the turn of their day: where none are made, those
    that are there stay.
    """
    beside = made
    if beside is None:
        results = ctx.store.read("results")
        kept = results.filter(results[c.AS_OF_ON] == day, results[c.KIND].isin([*OF_A_TURN]))
        beside = kept.select(*rows.column_names).to_pyarrow().cast(rows.schema)
    ctx.store.replace("results", pa.concat_tables([rows, beside]), scope={c.AS_OF_ON: day})
    return rows.num_rows + (0 if made is None else made.num_rows)


def _measure_response(
    ctx: Context, config: MeasureSettings, scores: ir.Table, *, day: date, subject: str,
    window: Window, reach: Reach,
) -> Measured:  # fmt: skip
    if window.status == NOT_YET:
        return not_yet(RESPONSE, subject, "auc")
    mine = scores.filter(scores[c.TASK] == RESPONSE, scores[c.SUBJECT] == subject)
    contacted = contacted_of(ctx, day=day, subject=subject, reach=reach)
    recipients = contacted.count().to_pyarrow().as_py()
    scored = mine.semi_join(contacted, c.CUSTOMER_ID) if recipients or reach.decided else mine
    touches = read_facts(ctx, "touches", c.OCCURRED_AT, day=day, window=window)
    lines = read_facts(ctx, "order_lines", c.SOLD_AT, day=day, window=window)
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
        return not_yet(RESPONSE, subject, "auc")
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
    notes = (f"{subject}: {unscored} recipients have no score",) if unscored > 0 else ()
    return finish(measured, window, notes)


def _campaign_windows(ctx: Context, *, day: date, until: date) -> dict[str, Window]:
    """The window of every known campaign that ends on `day` or later."""
    campaigns = ctx.store.read("campaigns", as_of=max(day, until))
    running = campaigns.filter(campaigns[c.END_ON] >= day)
    rows = running.select(c.CAMPAIGN_ID, c.START_ON, c.END_ON).to_pyarrow().to_pylist()
    return {
        row[c.CAMPAIGN_ID]: Window(
            max(as_day(row[c.START_ON]), day), as_day(row[c.END_ON]) + timedelta(days=1), until
        )
        for row in rows
    }


def _open_days(ctx: Context, config: MeasureSettings) -> list[date]:
    """Earlier days with something to measure whose results are missing or still open."""
    since = ctx.as_of - timedelta(days=config.lookback_days)
    found: set[date] = set()
    for name in ("scores", "decisions"):
        table = ctx.store.read(name)
        table = of_turns(table) if name == "decisions" else table
        recent = table.filter(table[c.AS_OF_ON] >= since, table[c.AS_OF_ON] < ctx.as_of)
        found |= {as_day(value) for value in _distinct(recent, c.AS_OF_ON)}
    results = ctx.store.read("results")
    results = results.filter(results[c.KIND].notin([*OF_A_TURN]))
    days = results.group_by(c.AS_OF_ON).agg(
        **{c.UNITS: results[c.STATUS].isin([NOT_YET, WINDOW_OPEN]).sum()}
    )
    settled = {as_day(value) for value in _distinct(days.filter(days[c.UNITS] == 0), c.AS_OF_ON)}
    return sorted(found - settled)


def _decided(ctx: Context, day: date) -> list[str]:
    decisions = of_turns(ctx.store.read("decisions"))
    return _distinct(decisions.filter(decisions[c.AS_OF_ON] == day), c.CAMPAIGN_ID)


def _distinct(table: ir.Table, column: str) -> list:
    return sorted(table.select(column).distinct().to_pyarrow()[column].to_pylist())


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


def _day_status(parts: list[Measured]) -> str:
    statuses = {result.estimate.status for part in parts for result in part.results}
    if not statuses:
        return "nothing_decided"
    if statuses == {NOT_YET}:
        return NOT_YET
    return WINDOW_OPEN if statuses & {NOT_YET, WINDOW_OPEN} else OK


def _json_figures(figures: Mapping[str, object]) -> dict[str, object]:
    return {name: to_json(value) for name, value in figures.items()}
