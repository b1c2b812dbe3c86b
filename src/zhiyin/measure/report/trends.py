"""Trends as the report tells them: from the day's rows of `results`, and the turn's sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from zhiyin.core import columns as c
from zhiyin.measure.report import adapt, charts
from zhiyin.measure.report.charts import Line
from zhiyin.measure.report.data import TrendsPart
from zhiyin.measure.report.figures import Figure, draw
from zhiyin.measure.report.formats import Format
from zhiyin.measure.report.scales import Axis
from zhiyin.measure.report.words import Words
from zhiyin.measure.trend_kinds import FORECAST, KINDS, RISING, TREND

OK = "ok"
WEEK = timedelta(days=7)


def leave_trends(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of `results` that are not shown as trends."""
    return [row for row in rows if row[c.KIND] not in KINDS]


def read_trends(
    rows: Sequence[Mapping[str, Any]], turn: Mapping[str, Mapping[str, Any]]
) -> TrendsPart:
    """What the turn says of trends.

    Parameters
    ----------
    rows
        Rows of table `results` of the day.
    turn
        As of `collect_data`.
    """
    trend = [row for row in rows if row[c.KIND] == TREND]
    ahead = [row for row in rows if row[c.KIND] == FORECAST and row[c.STATUS] == OK]
    body = adapt.mapping(adapt.parse(trend[0][c.BODY])) if trend else {}
    total = next((row for row in ahead if not row[c.SUBJECT]), None)
    next_weeks = adapt.mapping(adapt.parse(total[c.BODY])) if total else {}
    figures = adapt.mapping(turn.get("measure", {}).get("figures"))
    told = adapt.items(adapt.mapping(figures.get("trend")).get("told"))
    why = adapt.both(adapt.mapping(body.get("words")))
    said = [why] if why else []
    said += [
        adapt.both(adapt.mapping(one.get("words")))
        for one in told
        if not str(one.get("key")).startswith(TREND)
    ]
    return TrendsPart(
        tuple(adapt.numbers(body.get("weeks"))),
        tuple(adapt.numbers(next_weeks.get("weeks"))),
        date.fromisoformat(str(next_weeks["start"])) if next_weeks else None,
        tuple(said),
        tuple(_bounds(row, row[c.SUBJECT] or "") for row in ahead),
        tuple(
            _bounds(row, str(adapt.mapping(adapt.parse(row[c.BODY])).get("name") or row[c.SUBJECT]))
            for row in rows
            if row[c.KIND] == RISING and row[c.LOW] is not None
        ),
    )


def _bounds(row: Mapping[str, Any], name: str) -> tuple[str, float, float, float]:
    value, low, high = (adapt.number(row[key]) for key in (c.VALUE, c.LOW, c.HIGH))
    return name, value or 0.0, low or 0.0, high if high is not None else float("inf")


def trends_figure(part: TrendsPart, t: Words, f: Format) -> Figure | None:
    """Weekly revenue, the next four weeks dashed, groups with their intervals as the table."""
    if not part.weeks or part.ahead_from is None or not part.groups:
        return None
    n, first = len(part.weeks), part.ahead_from
    past = Line(t("trends.past"), tuple(float(k - n) for k in range(n)), part.weeks, 1)
    joined = (part.weeks[-1], *part.ahead)
    steps = tuple(float(k - 1) for k in range(len(joined)))
    ahead = Line(t("trends.ahead"), steps, joined, 2, dashed=True)
    caption = t("trends.chart")
    drawings = draw(
        charts.line_chart,
        [past, ahead],
        title=caption,
        x=Axis(t("trends.axis_week"), lambda k: f.month((first + k * WEEK).strftime("%Y-%m"))),
        y=Axis(t("data.axis_revenue", currency=f.currency), f.short_money, 0),
    )
    _, value, low, high = part.groups[0]
    takeaway = t(
        "trends.headline", value=f.whole_money(value), low=f.whole_money(low),
        high=f.whole_money(high),
    )  # fmt: skip
    head = (t("trends.group"), t("trends.expected"), t("trends.low"), t("trends.high"))
    rows = tuple(
        (
            _name(name, t), f.whole_money(value), f.whole_money(low), f.whole_money(high)
        )
        for name, value, low, high in part.groups
    )  # fmt: skip
    legend = tuple((line.name, line.tone, line.dashed) for line in (past, ahead))
    return Figure(takeaway, caption, drawings, legend, head, rows)


def _name(subject: str, t: Words) -> str:
    """`category=rings` as it is said; the total has no subject."""
    name = subject.partition("=")[2]
    known = {"(others)": "trends.others", "(unknown)": "trends.unknown"}
    return t("trends.total") if not subject else t(known[name]) if name in known else name


def rising_rows(part: TrendsPart, t: Words, f: Format) -> list[list[str]]:
    """(item, times what was expected, interval) of each riser."""
    return [
        [name, f.fixed(value, 1), t("recommend.interval", low=f.fixed(low, 1),
                                    high=f.fixed(high, 1))]
        for name, value, low, high in part.rising
        if value < float("inf") and high < float("inf")
    ]  # fmt: skip
