# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""What a campaign brought whose recipients no lot decided, and what to hold out next time."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, timedelta

import ibis.expr.types as ir
import numpy as np
from scipy.special import ndtri

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.context import Context
from zhiyin.core.values import Estimate
from zhiyin.measure import outcomes as o
from zhiyin.measure.arms import MONEY_CAUSED
from zhiyin.measure.evidence import ADJUSTED, BEFORE_AFTER, NO_EVIDENCE
from zhiyin.measure.increment import judge_interval, scale_estimate
from zhiyin.measure.intervals import LEVEL, critical_z, missing
from zhiyin.measure.observed import (
    Interrupted,
    Observed,
    interrupt,
    plan_holdout,
    prepare,
)
from zhiyin.measure.observed import people as p
from zhiyin.measure.results import Measured, Result
from zhiyin.measure.status import CANNOT_TELL_YET, NOT_MEASURED, OK
from zhiyin.measure.windows_job import Window, finish, read_facts

OBSERVED = "observed"
BY_RECIPIENTS, BY_OVERLAP = "revenue_per_recipient_minor", "revenue_per_comparable_minor"
BY_WEEKS, NEXT_HOLDOUT = "revenue_per_week_minor", "next_holdout"
WEEKS_BEFORE = 104
WORTH_KNOWING = 0.1
"""Share of what a recipient spent that the next holdout should be able to show."""
TOLD = 10  # covariates in the table of balance, those that differed most first


def measure_observed(
    ctx: Context, *, day: date, subject: str, window: Window, contacted: ir.Table
) -> Measured:
    """Rows of kind `observed`; figures: the best evidence and all that was tried.

    Empty where there are no features of the day, or nobody was contacted.
    """
    features = ctx.store.read("features")
    people = p.mark_people(features.filter(features[c.AS_OF_ON] == day), contacted)
    lines = read_facts(ctx, "order_lines", c.SOLD_AT, day=day, window=window)
    shipping = ctx.settings.revenue.include_shipping
    rows = p.join_people(people, o.sum_revenue(lines, include_shipping=shipping)).to_pyarrow()
    treated = rows[p.CONTACTED].to_numpy().astype(bool)
    if not treated.any():
        return Measured()
    names = [name for name in p.COVARIATES if name in rows.column_names]
    x = np.column_stack([rows[name].cast("float64").to_numpy() for name in names])
    y = rows[c.REVENUE_BASE_MINOR].to_numpy().astype(np.float64)
    rng = ctx.rng.generator(f"measure.observed.{day.isoformat()}.{subject}")
    results = _compare(subject, x, treated, y, names, rng=rng)
    weeks = _measure_weeks(ctx, people, day=day, window=window)
    if weeks is not None:
        results.append(_report_weeks(subject, weeks))
    best = choose_best(results)
    heads = int(contacted.count().to_pyarrow().as_py())
    results += [
        _report_money(subject, best, heads),
        *_report_next(subject, results, float(y[treated].mean()), heads),
    ]
    return finish(Measured(tuple(results), _figures(best, results)), window)


def choose_best(results: list[Result]) -> Result | None:
    """The strongest evidence that answered, None where none did."""
    order = (BY_RECIPIENTS, BY_OVERLAP, BY_WEEKS)
    good = {one.metric: one for one in results if one.estimate.status == OK}
    return next((good[metric] for metric in order if metric in good), None)


def _compare(
    subject: str, x: np.ndarray, treated: np.ndarray, y: np.ndarray, names: list[str],
    *, rng: np.random.Generator,
) -> list[Result]:  # fmt: skip
    """Of all recipients who have a like; where they have not, of those who might as well not."""
    prepared = prepare(x, treated, y, names=names, rng=rng)
    found = prepared.compare("recipients")
    made = [_report_compared(subject, BY_RECIPIENTS, found)]
    if found.estimate.status != OK and found.covered == found.covered:  # it got as far as overlap
        again = prepared.compare("overlap")
        made.append(_report_compared(subject, BY_OVERLAP, again))
    return made


def _report_compared(subject: str, metric: str, found: Observed) -> Result:
    ranked = sorted(found.balance, key=lambda one: (-abs(one.before), one.name))
    body: dict[str, object] = {
        "evidence": ADJUSTED, "verdict": judge_interval(found.estimate),
        "detectable": _detectable(found.estimate), "unadjusted": found.unadjusted,
        "covered": found.covered, "alike": found.alike, "auc": found.auc,
        "e_value": found.e_value, "e_value_low": found.e_value_low,
        "largest_gap": found.largest_gap, "recipients": found.recipients, "others": found.others,
        "spread_left": found.spread_left, "balance": [asdict(one) for one in ranked[:TOLD]],
    }  # fmt: skip
    return Result(OBSERVED, subject, metric, found.estimate, body)


def _measure_weeks(
    ctx: Context, people: ir.Table, *, day: date, window: Window
) -> Interrupted | None:
    """Weeks of recipients beside those of the others, from two years before the start."""
    since = window.start - timedelta(weeks=WEEKS_BEFORE)
    after = (window.measured_until - window.start).days // 7
    past = Window(since, window.measured_until, window.until)
    lines = read_facts(ctx, "order_lines", c.SOLD_AT, day=day, window=past)
    if not ctx.settings.revenue.include_shipping:
        lines = lines.filter(lines[c.KIND].notin([o.SHIPPING, o.FEE]))
    start = naive_utc(start_of_day(window.start, ctx.settings.zone))
    rows = p.sum_weeks(people, lines, start=start).to_pyarrow().to_pylist()
    counts = people.group_by(p.CONTACTED).agg(n=people.count()).to_pyarrow().to_pylist()
    heads = {int(row[p.CONTACTED]): int(row["n"]) for row in counts}
    weeks = p.read_weeks(rows, heads=(heads.get(0, 0), heads.get(1, 0)), after=after)
    if weeks is None:
        return None
    return interrupt(weeks.recipients, weeks.start, control=weeks.others)


def _report_weeks(subject: str, found: Interrupted) -> Result:
    body = {
        "evidence": BEFORE_AFTER, "verdict": judge_interval(found.estimate),
        "detectable": _detectable(found.estimate), "total": asdict(found.total),
        "placebo": asdict(found.placebo), "correlation": found.correlation,
        "before": found.before, "after": found.after,
    }  # fmt: skip
    return Result(OBSERVED, subject, BY_WEEKS, found.estimate, body)


def _report_money(subject: str, best: Result | None, heads: int) -> Result:
    """In all, where the answer is of recipients: of comparable people nobody can be listed."""
    if best is None or best.metric == BY_OVERLAP:
        evidence = NO_EVIDENCE if best is None else str(best.body["evidence"])
        body = {"evidence": evidence, "verdict": CANNOT_TELL_YET}
        return Result(OBSERVED, subject, MONEY_CAUSED, missing(heads, NOT_MEASURED), body)
    body = {"evidence": best.body["evidence"], "verdict": best.body["verdict"]}
    times = float(heads)
    if best.metric == BY_RECIPIENTS:
        times *= float(best.body["covered"])  # type: ignore[arg-type]
    else:
        times *= float(best.body["after"])  # type: ignore[arg-type]
    return Result(OBSERVED, subject, MONEY_CAUSED, scale_estimate(best.estimate, times), body)


def _report_next(subject: str, results: list[Result], mean: float, n: int) -> list[Result]:
    """How many to hold out so that a tenth of what a recipient spent would show."""
    left = float(results[0].body["spread_left"])  # type: ignore[arg-type]
    if n < 4 or not mean > 0 or not left > 0:
        return []
    plan = plan_holdout(n, WORTH_KNOWING * mean, variance=left**2)
    body = asdict(plan) | {"share": WORTH_KNOWING, "spent": mean}
    value = Estimate(float(plan.held_out), float("nan"), float("nan"), n, OK)
    return [Result(OBSERVED, subject, NEXT_HOLDOUT, value, body)]


def _detectable(estimate: Estimate) -> float:
    error = (estimate.high - estimate.low) / 2 / critical_z(LEVEL)
    return (critical_z(LEVEL) + float(ndtri(0.8))) * error


def _figures(best: Result | None, results: list[Result]) -> dict[str, object]:
    tried = {one.metric: {**asdict(one.estimate), **one.body} for one in results}
    if best is None:
        return {"evidence": NO_EVIDENCE, "verdict": CANNOT_TELL_YET, "best": None, "tried": tried}
    return {
        "evidence": best.body["evidence"], "verdict": best.body["verdict"], "best": best.metric,
        **asdict(best.estimate), "tried": tried,
    }  # fmt: skip
