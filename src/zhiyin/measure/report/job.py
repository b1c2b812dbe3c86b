# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column as a plain Column)
"""Reads what the report shows of a turn: the only module of the report that touches the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import ibis.expr.types as ir
import numpy as np
import sqlalchemy as sa

from zhiyin.core import columns as c
from zhiyin.core import ledger
from zhiyin.core.clock import local_day
from zhiyin.core.context import Context
from zhiyin.core.decisions import of_turns
from zhiyin.measure.indicators.definitions import COHORT, FUNNEL, INDICATOR, ROUTE
from zhiyin.measure.recommend import FIGURES
from zhiyin.measure.report import adapt
from zhiyin.measure.report.brought import read_brought
from zhiyin.measure.report.data import (
    Both,
    Choice,
    Count,
    DataPart,
    EmailExample,
    Load,
    Measured,
    MessagesPart,
    Metric,
    ModelPart,
    Month,
    RecommendPart,
    ReportData,
    SegmentsPart,
    Shop,
)
from zhiyin.measure.report.grid import (
    INCREMENT,
    PER_CUSTOMER,
    IndicatorsPart,
    read_indicators,
)
from zhiyin.measure.report.predictions import read_kept, read_predictions, read_value
from zhiyin.measure.report.products import read_examples, read_pairs
from zhiyin.measure.report.shape import (
    add_caused,
    list_assumptions,
    list_offers,
    list_segments,
    make_choice,
    make_run,
    name_of,
    own_id,
    sort_counts,
)
from zhiyin.measure.report.trends import leave_trends, read_trends

SOURCE_COMPLETE_JOURNEY = "complete_journey"
RECENCY, ORDERS_COUNT, REVENUE = "recency_days", "orders_count", "revenue_minor"
LEANED = 400  # customers whose reasons say which way a feature leans
STATES = ("planned", "sending", "sent", "unknown", "failed", "skipped")


def collect_data(
    ctx: Context,
    *,
    turn: Mapping[str, Mapping[str, Any]],
    emails: Iterable[EmailExample] = (),
    peak_rss_mb: float | None = None,
) -> ReportData:
    """Everything the report of `ctx.turn_id` shows.

    Parameters
    ----------
    ctx
        Context of the turn. Reads facts before `ctx.as_of` and derived rows of that day.
    turn
        Job name → {`rows`: table → count, `figures`, `notes`, `seconds`}, in the order they ran.
    emails
        Rendered e-mails to show; `act` renders them, so the caller brings them.
    peak_rss_mb
        Most memory held, if known.
    """
    settings = ctx.settings
    names = _campaign_names(ctx)
    insights = _rows_of_day(ctx, "insights")
    told = _rows_of_day(ctx, "results", order=(c.KIND, c.SUBJECT, c.METRIC))
    of_turn = (INDICATOR, COHORT, FUNNEL, ROUTE)
    results = leave_trends([row for row in told if row[c.KIND] not in of_turn])
    trends = read_trends(told, turn)
    said = adapt.mapping(turn.get("decide", {}).get("figures"))
    choices = tuple(add_caused(one, said) for one in _read_choices(ctx, names))
    models, refused = _read_models(ctx, insights, names)
    metrics = adapt.read_metrics([*results, *_read_check(ctx)])
    loads = _read_loads(ctx)
    data = _read_data(ctx, loads, campaigns=len(names))
    checks = _rows_of_day(ctx, "quality", order=(c.STATUS, c.TABLE, c.SOURCE, c.COLUMN, c.METRIC))
    data = replace(data, checks=len(checks), doubts=adapt.read_doubts(checks))
    segments = _read_segments(ctx, insights, turn)
    scores, members = _of_day(ctx, "scores"), _of_day(ctx, "memberships")
    predictions, decayed = read_kept(
        read_predictions(scores, members, insights, segments.rfm), turn
    )
    return ReportData(
        Shop(
            settings.name,
            settings.currency,
            settings.zone,
            settings.languages,
            settings.demo,
            settings.simulated,
        ),
        ctx.as_of,
        ctx.turn_id,
        complete_journey=any(load[c.SOURCE] == SOURCE_COMPLETE_JOURNEY for load in loads),
        seeded_consents=settings.demo,
        margin_rate=settings.decide.margin_rate,
        contact_cost_minor=settings.decide.contact_cost_minor,
        max_share=settings.decide.max_share,
        data=data,
        segments=segments,
        trends=trends,
        predictions=predictions,
        value_told=read_value(insights),
        models=models,
        no_model=refused,
        measured=tuple(_name_measured(m, names) for m in adapt.read_measured(results)),
        choices=choices,
        messages=_read_messages(ctx, choices, tuple(emails)),
        recommend=_read_recommend(ctx, insights, metrics),
        indicators=_read_indicators(ctx, told, names),
        brought=read_brought(results, names),
        metrics=metrics,
        assumptions=list_assumptions(settings, data, has_campaign=bool(choices or metrics)),
        warnings=(*_read_warnings(insights), *decayed),
        run=make_run(turn, peak_rss_mb=peak_rss_mb),
    )


def _rows_of_day(ctx: Context, table: str, *, order: Sequence[str] = (c.KIND, c.KEY)) -> list[dict]:
    """Rows of a small derived table for the day."""
    return _of_day(ctx, table).order_by(list(order)).to_pyarrow().to_pylist()


def _of_day(ctx: Context, table: str) -> ir.Table:
    rows = ctx.store.read(table)
    return rows.filter(rows[c.AS_OF_ON] == ctx.as_of)


def _read_indicators(
    ctx: Context, told: Sequence[Mapping], names: Mapping[str, Mapping]
) -> IndicatorsPart:
    """Indicators; what campaigns caused only where their messages really went out, or as if."""
    caused: list[dict] = []
    if ctx.settings.simulated or not ctx.settings.demo:
        rows = ctx.store.read("results")
        mine = rows.filter(
            rows[c.AS_OF_ON] <= ctx.as_of, rows[c.KIND] == INCREMENT, rows[c.METRIC] == PER_CUSTOMER
        )
        caused = _records(mine.order_by(c.AS_OF_ON, c.SUBJECT))
    return read_indicators(told, caused, {key: row[c.NAME] for key, row in names.items()})


def _read_check(ctx: Context) -> list[dict]:
    """What the recommendations of the check day scored, by the names of `summary.recommend`."""
    day = ctx.settings.understand.recommend_check_on
    if day is None:
        return []
    names = {subject: name for name, subject in FIGURES.items()}
    rows = ctx.store.read("results")
    mine = rows.filter(rows[c.AS_OF_ON] == day, rows[c.METRIC] == "ndcg_at_10")
    found = _records(mine.filter(mine[c.SUBJECT].isin(sorted(names))).order_by(c.SUBJECT))
    return [row | {c.METRIC: names[row[c.SUBJECT]], c.SUBJECT: ""} for row in found]


def _records(table: ir.Table) -> list[dict]:
    return table.to_pyarrow().to_pylist()


# --- the data


def _read_data(ctx: Context, loads: Sequence[Mapping], *, campaigns: int) -> DataPart:
    lines = ctx.store.read("order_lines", as_of=ctx.as_of)
    sums = _sum_sales(lines)
    span = {"first": lines[c.SOLD_AT].min(), "last": lines[c.SOLD_AT].max()}
    total = _records(lines.aggregate(**span, **sums))[0]
    months = _records(lines.group_by(c.MONTH).agg(**sums).order_by(c.MONTH))
    zone = ctx.settings.zone
    by_table: dict[str, list[int]] = {}
    for load in loads:
        counts = by_table.setdefault(load["table_name"], [0, 0, 0])
        for place, key in enumerate(("rows_read", "rows_loaded", "rows_quarantined")):
            counts[place] += load[key]
    refused = ctx.store.read("quarantine")
    reasons = _records(refused.group_by(c.REASON).agg(rows=refused.count()))
    return DataPart(
        months=tuple(
            Month(m[c.MONTH], int(m["net"] or 0), m["orders"], int(m["unknown"] or 0))
            for m in months
        ),
        first_on=local_day(total["first"], zone) if total["first"] else None,
        last_on=local_day(total["last"], zone) if total["last"] else None,
        customers=total["customers"],
        orders=total["orders"],
        lines=total["lines"],
        net_minor=int(total["net"] or 0),
        returns_minor=int(total["returned"] or 0),
        no_customer_minor=int(total["unknown"] or 0),
        no_customer_orders=total["unknown_orders"],
        loads=tuple(Load(name, *counts) for name, counts in by_table.items()),
        quarantine=sort_counts((row[c.REASON], row["rows"]) for row in reasons),
        campaigns=campaigns,
    )


def _sum_sales(lines: ir.Table) -> dict[str, ir.Scalar]:
    """Net revenue, the part of it by unknown customers, returns; orders and customers who bought.

    An order counts in the month it was placed in, not in that of its returns.
    """
    amount, nobody = lines[c.AMOUNT_BASE_MINOR], lines[c.CUSTOMER_ID].isnull()
    bought = lines[c.QUANTITY] > 0
    return {
        "net": amount.sum(),
        "unknown": amount.sum(where=nobody),
        "returned": amount.sum(where=lines[c.KIND] == "return"),
        "orders": lines[c.ORDER_ID].nunique(where=bought),
        "unknown_orders": lines[c.ORDER_ID].nunique(where=bought & nobody),
        "customers": lines[c.CUSTOMER_ID].nunique(where=bought),
        "lines": lines.count(),
    }


def _read_loads(ctx: Context) -> list[Mapping]:
    loads = ledger.loads
    query = sa.select(loads).where(loads.c.state == "done").order_by(loads.c.table_name)
    with ctx.store.begin() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def _campaign_names(ctx: Context) -> dict[str, dict[str, Any]]:
    """Campaign → name (its own id without the source where it has none), first and last day."""
    campaigns = ctx.store.read("campaigns", as_of=ctx.as_of)
    rows = _records(campaigns.select(c.CAMPAIGN_ID, c.NAME, c.START_ON, c.END_ON))
    return {
        row[c.CAMPAIGN_ID]: row | {c.NAME: row[c.NAME] or own_id(row[c.CAMPAIGN_ID])}
        for row in rows
    }


# --- segments


def _read_segments(
    ctx: Context, insights: Sequence[Mapping], turn: Mapping[str, Mapping[str, Any]]
) -> SegmentsPart:
    members = _of_day(ctx, "memberships")
    known = _of_day(ctx, "features").select(c.CUSTOMER_ID, RECENCY, ORDERS_COUNT, REVENUE)
    joined = members.select(c.CUSTOMER_ID, c.SCHEME, c.SEGMENT).left_join(known, c.CUSTOMER_ID)
    rows = _records(
        joined.group_by(c.SCHEME, c.SEGMENT).agg(
            customers=joined.count(),
            revenue=joined[REVENUE].sum(),
            recency=joined[RECENCY].cast("float64").mean(),
            orders=joined[ORDERS_COUNT].cast("float64").mean(),
        )
    )
    said = {
        row[c.KEY]: adapt.mapping(adapt.parse(row[c.BODY]))
        for row in insights
        if row[c.KIND] == "segment"
    }
    places = {
        ("movement", "rfm"): "movement", ("movement", "clusters"): "cluster_movement",
        ("searches", "terms"): "searches",
    }  # fmt: skip
    words = {
        place: adapt.read_both(adapt.mapping(adapt.parse(row[c.BODY])), "words")
        for row in insights
        if (place := places.get((row[c.KIND], row[c.KEY])))
    }
    figures = adapt.mapping(turn.get("understand.models", {}).get("figures"))
    figures = adapt.mapping(figures.get("segments"))
    whole = said.get("clusters", {})
    return SegmentsPart(
        list_segments(rows, "rfm", said),
        list_segments(rows, "clusters", said),
        adapt.number(figures.get("silhouette", whole.get("silhouette"))),
        adapt.number(figures.get("stability", whole.get("stability"))),
        **words,
    )


# --- the model and what was measured


def _read_models(
    ctx: Context, insights: Sequence[Mapping], names: Mapping[str, Mapping]
) -> tuple[tuple[ModelPart, ...], tuple[tuple[str, str], ...]]:
    made: list[ModelPart] = []
    refused: list[tuple[str, str]] = []
    for row in insights:
        if row[c.KIND] != "model_card":
            continue
        body = adapt.mapping(adapt.parse(row[c.BODY]))
        if body.get("task") not in adapt.RANKED:
            continue
        card = adapt.read_card(body)
        if card is None:
            refused += adapt.card_warnings(body)
        else:
            made.append(_add_scores(ctx, card, names))
    return tuple(
        sorted(made, key=lambda m: (adapt.RANKED.index(m.task), -m.scored, m.subject))
    ), tuple(refused)


def _add_scores(ctx: Context, card: ModelPart, names: Mapping[str, Mapping]) -> ModelPart:
    """The card with names, the number of scored customers, and reasons from the whole ranking."""
    scores = ctx.store.read("scores")
    mine = scores.filter(
        scores[c.AS_OF_ON] == ctx.as_of, scores[c.TASK] == card.task,
        scores[c.SUBJECT] == card.subject,
    )  # fmt: skip
    scored = int(mine.count().to_pyarrow().as_py())
    ranks = sorted({int(r) for r in np.linspace(1, max(1, scored), LEANED)})
    told = mine.filter(mine[c.RANK].isin(ranks)).select(c.CUSTOMER_ID, c.SCORE, c.RANK, c.REASONS)
    reasons = [adapt.read_reasons(row) for row in _records(told.order_by(c.RANK, c.CUSTOMER_ID))]
    places = sorted({0, len(reasons) // 2, len(reasons) - 1}) if reasons else []
    return replace(
        card,
        subject_name=name_of(card.subject, names),
        scored=scored,
        trained_on=tuple(name_of(one, names) for one in card.trained_on),
        effects=adapt.lean(card.effects, reasons),
        samples=tuple(
            replace(one, effects=one.effects[:4]) for one in (reasons[i] for i in places)
        ),
    )


def _name_measured(measured: Measured, names: Mapping[str, Mapping]) -> Measured:
    window = names.get(measured.subject, {})
    return replace(
        measured,
        subject_name=name_of(measured.subject, names),
        start_on=window.get(c.START_ON),
        end_on=window.get(c.END_ON),
    )


# --- decisions and messages


def _read_choices(ctx: Context, names: Mapping[str, Mapping]) -> tuple[Choice, ...]:
    decisions = of_turns(ctx.store.read("decisions"))
    today = decisions.filter(decisions[c.AS_OF_ON] == ctx.as_of)
    by = (c.CAMPAIGN_ID, c.ACTION, c.ARM, c.REASON, c.EXPLORED)
    profit = today[c.EXPECTED_PROFIT_MINOR].sum()
    groups = _records(today.group_by(*by).agg(rows=today.count(), profit=profit))
    contacted = today.filter(today[c.ACTION] == "contact")
    offers = _records(contacted.group_by(c.CAMPAIGN_ID, c.OFFER_ID).agg(rows=contacted.count()))
    titles = _offer_names(ctx, {row[c.OFFER_ID] for row in offers if row[c.OFFER_ID]})
    made = []
    for campaign in sorted({group[c.CAMPAIGN_ID] for group in groups}):
        mine = [group for group in groups if group[c.CAMPAIGN_ID] == campaign]
        given = [row for row in offers if row[c.CAMPAIGN_ID] == campaign]
        made.append(make_choice(campaign, mine, list_offers(given, titles), names))
    first = ctx.settings.decide.campaign
    return tuple(sorted(made, key=lambda x: (x.campaign_id != first, -x.considered, x.campaign_id)))


def _offer_names(ctx: Context, ids: set[str]) -> dict[str, str]:
    offers = ctx.store.read("offers", as_of=ctx.as_of)
    mine = offers.filter(offers[c.OFFER_ID].isin(sorted(ids)))
    rows = _records(mine.group_by(c.OFFER_ID).agg(**{c.NAME: mine[c.NAME].max()})) if ids else []
    return {row[c.OFFER_ID]: row[c.NAME] or own_id(row[c.OFFER_ID]) for row in rows}


def _read_messages(
    ctx: Context, choices: Sequence[Choice], emails: tuple[EmailExample, ...]
) -> MessagesPart:
    messages = ledger.messages
    wanted = messages.c.turn_id == ctx.turn_id
    if choices:
        wanted = messages.c.campaign_id.in_([choice.campaign_id for choice in choices])
    query = (
        sa.select(messages.c.state, messages.c.reason, sa.func.count().label("n"))
        .where(wanted)
        .group_by(messages.c.state, messages.c.reason)
    )
    with ctx.store.begin() as connection:
        rows = connection.execute(query).all()
    states = {state: sum(row.n for row in rows if row.state == state) for state in STATES}
    skipped = sort_counts((row.reason or "", row.n) for row in rows if row.state == "skipped")
    return MessagesPart(tuple(Count(state, n) for state, n in states.items() if n), skipped, emails)


# --- recommendations and warnings


def _read_recommend(
    ctx: Context, insights: Sequence[Mapping], metrics: Sequence[Metric]
) -> RecommendPart:
    mine = _of_day(ctx, "recommendations")
    products = ctx.store.read("products", as_of=ctx.as_of)
    customers = int(mine[c.CUSTOMER_ID].nunique().to_pyarrow().as_py())
    bodies = [adapt.mapping(adapt.parse(r[c.BODY])) for r in insights if r[c.KIND] == "recommender"]
    found = tuple(m for m in metrics if m.kind == "recommend")
    return RecommendPart(
        model=str(bodies[0].get("model") or "") if bodies else "",
        check_on=ctx.settings.understand.recommend_check_on if found else None,
        metrics=found,
        examples=read_examples(mine, products) if customers else (),
        customers=customers,
        pairs=read_pairs(_of_day(ctx, "together"), products),
    )


def _read_warnings(insights: Sequence[Mapping]) -> tuple[Both, ...]:
    bodies = [adapt.mapping(adapt.parse(r[c.BODY])) for r in insights if r[c.KIND] == "warning"]
    said = [adapt.both(body) or adapt.read_both(body, "message") for body in bodies]
    return tuple(one for one in said if one)
