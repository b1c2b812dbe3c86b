# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""Predictions of a day laid beside what then happened: purchases, churn, contracts that ended."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.config import MeasureSettings
from zhiyin.core.context import Context
from zhiyin.measure import outcomes as o
from zhiyin.measure.campaign import CHURN, PURCHASE, measure_probabilities, measure_ranking
from zhiyin.measure.counts import from_groups
from zhiyin.measure.results import Measured
from zhiyin.measure.status import NOT_YET, OK
from zhiyin.measure.windows_job import (
    Window,
    as_day,
    finish,
    horizon_of,
    merged_between,
    not_yet,
    read_facts,
)

JOB = "measure"
GROUPED_ABOVE = 1_000_000  # more scored customers than this are counted by rounded score


def measure_purchase(
    ctx: Context, config: MeasureSettings, scores: ir.Table, *, day: date, until: date
) -> Measured | None:
    """The day's purchase scores against who bought within the horizon, as far as it is over."""
    scored = scores.filter(scores[c.TASK] == PURCHASE)
    n = int(scored.count().to_pyarrow().as_py())
    if n == 0:
        return None
    window = horizon_of(ctx, day=day, until=until)
    if window.status == NOT_YET:
        return not_yet(PURCHASE, "", "auc")
    lines = read_facts(ctx, "order_lines", c.SOLD_AT, day=day, window=window)
    groups = o.count_by_score(
        scored, o.find_buyers(lines), digits=4 if n > GROUPED_ABOVE else None
    ).to_pyarrow()
    counts = from_groups(*(groups[name].to_numpy() for name in (c.SCORE, c.UNITS, c.POSITIVES)))
    rng = ctx.rng.generator(f"{JOB}.{day.isoformat()}.{PURCHASE}")
    ranking = measure_ranking(PURCHASE, "", counts, rng=rng, samples=config.bootstrap)
    names = {"recipients": "customers", "redeemers": "buyers"}
    figures = {names.get(name, name): value for name, value in ranking.figures.items()}
    return finish(Measured(ranking.results, figures), window)


def measure_churn(
    ctx: Context, scores: ir.Table, *, day: date, until: date
) -> tuple[Measured, date] | None:
    """The day's churn scores against who did not come back, or whose contract ended, once the whole
    horizon is over; and the day on which that is.
    """
    card = _card(ctx, day)
    if card is None:
        return None
    subject, contractual = card[c.SUBJECT], card["label"] == "contract_ends"
    scored = scores.filter(scores[c.TASK] == CHURN, scores[c.SUBJECT] == subject)
    if scored.count().to_pyarrow().as_py() == 0:
        return None
    until = max(until, _contracts_until(ctx)) if contractual else until
    window = Window(day, day + timedelta(days=card["horizon_days"]), until)
    if window.status != OK:
        return not_yet(CHURN, subject, "auc"), min(until, window.end)
    if contractual:
        stay = o.find_holders(_contracts(ctx, day, window.end), window.end)
    else:
        stay = o.find_buyers(read_facts(ctx, "order_lines", c.SOLD_AT, day=day, window=window))
    groups = o.count_by_score(scored, stay).to_pyarrow()
    units = groups[c.UNITS].to_numpy()
    gone = units - groups[c.POSITIVES].to_numpy()
    counts = from_groups(groups[c.SCORE].to_numpy(), units, gone)
    return measure_probabilities(CHURN, subject, counts), window.end


def _card(ctx: Context, day: date) -> dict[str, Any] | None:
    """The card of the day's churn model; None where there is none."""
    cards = ctx.store.read("insights")
    mine = cards.filter(
        cards[c.AS_OF_ON] == day, cards[c.KIND] == "model_card",
        cards[c.KEY].startswith(f"{CHURN}:"),
    )  # fmt: skip
    bodies = mine.order_by(c.KEY).select(c.BODY).to_pyarrow()[c.BODY].to_pylist()
    made = [json.loads(text) for text in bodies]
    return next((one for one in made if one.get("label")), None)


def _contracts(ctx: Context, day: date, end: date) -> ir.Table:
    """Contracts as they are known at the end, under the customers of `day`."""
    rows = ctx.store.read("contracts", as_of=end)
    if not merged_between(ctx, day, end):
        return rows
    sources = ("customers", "contracts")
    then = [ctx.store.read(name, as_of=day) for name in sources]
    return o.align_customers(rows, then, [ctx.store.read(name, as_of=end) for name in sources])


def _contracts_until(ctx: Context) -> date:
    """The day after the last one on which a contract began or, as its source knew, ended."""
    rows = ctx.store.read("contracts")
    ended = rows.filter(rows[c.END_ON] <= rows[c.LOADED_AT].cast("date"))
    found = (rows[c.START_ON].max(), ended[c.END_ON].max())
    last = [as_day(day) for one in found if (day := one.to_pyarrow().as_py()) is not None]
    return max(last) + timedelta(days=1) if last else date.min
