# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""What sales did up to a day, and what comes next: rows of `results`, and what staff is told.

Reads facts before the day, as every job but `measure` does: a turn of the past says what could be
said then.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from zhiyin.core import columns as c
from zhiyin.core.clock import local_day
from zhiyin.core.context import Context
from zhiyin.core.values import Estimate
from zhiyin.measure import trend
from zhiyin.measure.results import Result
from zhiyin.measure.status import NO_UNITS, OK
from zhiyin.measure.trend.explanation import WITHIN_NOISE
from zhiyin.measure.trend_kinds import ANOMALY, CHANGE, FORECAST, RISING, TREND

SPAN = 28
"""Days that are compared with as many before, and days that are forecast."""
HISTORY = 1_100  # days looked back at
MOST_GROUPS = 10
MOST_RISING = 10
WATCHED = 7  # days in which odd ones are news
EVERYTHING = ""


def measure_trends(ctx: Context) -> tuple[tuple[Result, ...], dict[str, Any]]:
    """Results of `ctx.as_of`, and figures for the report of the job.

    Returns
    -------
    Results of kinds `trend` (change of the last four weeks against the four before, with why),
    `change`, `anomaly`, `forecast` (of the total, of categories and of regions), `rising`. Figures:
    `status`, `change`, `usual`, `words` (en, zh), `told` (what staff should know: `key`, `words`).
    """
    cube = _read_cube(ctx)
    if cube is None:
        return (), {"status": NO_UNITS, "told": []}
    results: list[Result] = []
    explained = _explain(cube)
    if explained is not None:
        results.append(_trend_row(cube, explained))
    total = cube.revenue.sum(axis=0)
    parts = trend.decompose(total, cube.start)
    news = _watch(cube, parts, results)
    results += _forecast(cube)
    results += _rising(ctx, cube)
    figures: dict[str, Any] = {"status": parts.status, "told": news}
    if explained is not None:
        figures |= {"status": explained.status, "change": explained.share,
                    "usual": explained.usual, "words": explained.words()}  # fmt: skip
        if explained.status not in (WITHIN_NOISE, "no_change", "zero_baseline") and explained.usual:
            day = ctx.as_of - timedelta(ctx.as_of.weekday())  # one a week at most
            news.insert(0, {"key": f"{TREND} {day.isoformat()}", "words": _over(explained)})
    return tuple(results), figures


def _read_cube(ctx: Context) -> trend.Cube | None:
    """Daily sums up to the day before `as_of`, or None where nothing was sold."""
    lines = ctx.store.read("order_lines", as_of=ctx.as_of)
    found = lines[c.SOLD_AT].min().to_pyarrow().as_py()
    if found is None:
        return None
    last = ctx.as_of - timedelta(1)
    first = max(local_day(found, ctx.settings.zone), ctx.as_of - timedelta(HISTORY))
    if first > last:
        return None
    table = trend.sum_days(
        lines, first=first, last=last, zone=ctx.settings.zone,
        products=ctx.store.read("products", as_of=ctx.as_of),
        places=ctx.store.read("stores", as_of=ctx.as_of),
    ).to_pyarrow()  # fmt: skip
    return trend.read_cube(table, first=first, last=last, most=MOST_GROUPS)


def _explain(cube: trend.Cube) -> trend.Explanation | None:
    """The last four weeks against the four before; None where there are none before."""
    n = cube.days
    if n < 2 * SPAN:
        return None
    sums = [cube.revenue[:, n - (k + 1) * SPAN : n - k * SPAN].sum() for k in range(n // SPAN)]
    past = [now / then - 1 for now, then in pairwise(sums[1:]) if then > 0]
    cells = {name: cube.column(name) for name in cube.dimensions}
    cells = {name: column for name, column in cells.items() if len(set(column)) > 1}
    return trend.explain_change(
        cells,
        cube.revenue[:, n - 2 * SPAN : n - SPAN].sum(axis=1),
        cube.revenue[:, n - SPAN :].sum(axis=1),
        past_changes=past[:12],
    )


def _trend_row(cube: trend.Cube, found: trend.Explanation) -> Result:
    weekly = _weeks(cube.revenue.sum(axis=0))
    body = {
        "words": found.words(), "usual": found.usual, "before": found.before, "after": found.after,
        "parts": [
            {"where": dict(one.where), "share": one.share, "change": one.change}
            for one in found.parts
        ],
        "weeks": weekly, "last": (cube.start + timedelta(cube.days - 1)).isoformat(),
    }  # fmt: skip
    estimate = Estimate(found.share, -found.usual, found.usual, SPAN, found.status)
    return Result(TREND, EVERYTHING, "revenue_change_rate", estimate, body)


def _weeks(values: np.ndarray) -> list[float]:
    """Sums of the last weeks, whole ones alone, at most 52."""
    weeks = min(52, len(values) // 7)
    return values[len(values) - 7 * weeks :].reshape(weeks, 7).sum(axis=1).tolist()


def _watch(
    cube: trend.Cube, parts: trend.Decomposition, results: list[Result]
) -> list[dict[str, Any]]:
    """Odd days of the last week and changes of level of the last two months: rows and news."""
    news: list[dict[str, Any]] = []
    for odd in trend.find_anomalies(parts.values, cube.start, parts=parts, last_days=WATCHED).found:
        estimate = Estimate(odd.value, odd.low, odd.high, 1, OK)
        body = {"expected": odd.expected, "p_value": odd.p_value}
        results.append(Result(ANOMALY, odd.day.isoformat(), "revenue_minor", estimate, body))
        news.append({"key": f"{ANOMALY} {odd.day.isoformat()}", "words": _say_odd(odd)})
    for step in trend.find_changes(parts.values, cube.start, parts=parts).found:
        estimate = Estimate(step.size, step.low, step.high, cube.days, OK)
        body = {"share": step.share, "p_value": step.p_value}
        results.append(Result(CHANGE, step.day.isoformat(), "revenue_a_day_minor", estimate, body))
        if (cube.start + timedelta(cube.days) - step.day).days <= 2 * SPAN:
            news.append({"key": f"{CHANGE} {step.day.isoformat()}", "words": _say_step(step)})
    return news


def _forecast(cube: trend.Cube) -> list[Result]:
    """The next four weeks of the total, of categories and, where there are some, of regions."""
    made = []
    for dimension in (c.CATEGORY, c.REGION):
        if dimension not in cube.dimensions:
            continue
        names, values = cube.by(dimension)
        if dimension != c.CATEGORY and len(names) < 2:
            continue
        leaves = {(name,): row for name, row in zip(names, values, strict=True)}
        found = trend.forecast_tree(leaves, SPAN, start=cube.start, dimensions=[dimension])
        first = 0 if dimension == c.CATEGORY else 1  # the total is said once
        made += [
            _forecast_row(found, place)
            for place in range(first, len(found.names))
            if found.status[place] == OK
        ]
    return made


def _forecast_row(found: trend.Forecast, place: int) -> Result:
    name = EVERYTHING if found.names[place] == "total" else found.names[place]
    status = found.status[place]
    estimate = Estimate(
        float(found.total[place]), float(found.total_low[place]), float(found.total_high[place]),
        SPAN, status,
    )  # fmt: skip
    body = {
        "level": found.level, "start": found.start.isoformat(),
        "weeks": found.values[place].reshape(-1, 7).sum(axis=1).tolist(),
        "weights": dict(zip(found.methods, found.weights[place].tolist(), strict=True)),
    }  # fmt: skip
    return Result(FORECAST, name, "revenue_28_days_minor", estimate, body)


def _rising(ctx: Context, cube: trend.Cube) -> list[Result]:
    if cube.days < 2 * SPAN:
        return []
    end = ctx.as_of
    middle, first = end - timedelta(SPAN), end - timedelta(2 * SPAN)
    table = trend.sum_items(
        ctx.store.read("order_lines", as_of=ctx.as_of),
        recent=(middle, end), before=(first, middle), zone=ctx.settings.zone,
    ).order_by(c.PRODUCT_ID).to_pyarrow()  # fmt: skip
    found = trend.find_rising(
        table[c.PRODUCT_ID].to_pylist(), table[c.RECENT].to_numpy(), table[c.BEFORE].to_numpy()
    )
    top = sorted(found.found, key=lambda one: (-(one.count - one.expected), one.item))[:MOST_RISING]
    names = _names(ctx, [one.item for one in top])
    return [
        Result(
            RISING, one.item, "ratio",
            Estimate(one.ratio, one.low, one.high, int(one.count), OK),
            {"expected": one.expected, "q_value": one.q_value, "name": names.get(one.item, "")},
        )
        for one in top
    ]  # fmt: skip


def _names(ctx: Context, items: list[str]) -> dict[str, str]:
    if not items:
        return {}
    rows = ctx.store.read("products", as_of=ctx.as_of)
    told = rows.filter(rows[c.PRODUCT_ID].isin(items)).select(c.PRODUCT_ID, c.NAME).to_pyarrow()
    return {row[c.PRODUCT_ID]: row[c.NAME] or "" for row in told.to_pylist()}


def _over(found: trend.Explanation) -> dict[str, str]:
    said = found.words()
    return {
        "en": "The last four weeks against the four before: " + said["en"],
        "zh": "近四周与此前四周相比：" + said["zh"],
    }


def _say_odd(odd: trend.Anomaly) -> dict[str, str]:
    share = f"{abs(odd.share):.0%}"
    up = odd.value > odd.expected
    return {
        "en": f"Revenue of {odd.day} was {share} {'above' if up else 'below'} what was expected.",
        "zh": f"{odd.day} 的销售额比预期{'高' if up else '低'} {share}。",
    }


def _say_step(step: trend.Change) -> dict[str, str]:
    share = f"{abs(step.share):.0%}"
    up = step.size > 0
    return {
        "en": f"Since about {step.day} revenue a day is {share} {'higher' if up else 'lower'}.",
        "zh": f"自 {step.day} 前后起，日销售额{'上升' if up else '下降'} {share}。",
    }
