"""The report's charts: parts of the data → a figure with takeaway, legend and drawings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from zhiyin.measure.report import charts, takeaways
from zhiyin.measure.report.charts import Bar, Line, Mark, Point, Row, Stack
from zhiyin.measure.report.data import Choice, Curve, Measured, MessagesPart, ReportData
from zhiyin.measure.report.formats import Format
from zhiyin.measure.report.scales import SIZES, Axis
from zhiyin.measure.report.words import Words

TONES = {"model": 1, "rfm": 2, "random": 3, "all": 3, "expected": 4}
STATE_TONES = {"sent": 1, "planned": 4, "sending": 4, "unknown": 2, "failed": 5, "skipped": 3}
SHOWN_EFFECTS = 10
SHOWN_JOBS = 12


@dataclass(frozen=True)
class Figure:
    """One chart: the sentence, what is drawn, its legend (name, tone, dashed) and the drawings."""

    takeaway: str
    caption: str
    drawings: Markup
    legend: tuple[tuple[str, int, bool], ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()  # the numbers behind it
    more: str = ""  # further sentences, less loud


def draw(make: Callable[..., str], *arguments: object, **options: object) -> Markup:
    """The chart once for each size. Chart functions escape what they are given."""
    drawn = [make(*arguments, size, kind=kind, **options) for kind, size in SIZES]
    return Markup("".join(drawn))  # noqa: S704 - charts escape every text


def months_figure(data: ReportData, t: Words, f: Format) -> Figure:
    """Net revenue by month; layers for known and unknown customers where there are unknown ones."""
    months = data.data.months
    running = data.as_of.strftime("%Y-%m")
    unknown = any(m.no_customer_minor for m in months)
    known = [float(m.net_minor - m.no_customer_minor) for m in months]
    stacks = [Stack(t("data.known") if unknown else t("kpi.revenue"), known, 1)]
    legend: tuple[tuple[str, int, bool], ...] = ()
    if unknown:
        stacks.append(Stack(t("data.unknown"), [float(m.no_customer_minor) for m in months], 3))
        legend = ((t("data.known"), 1, False), (t("data.unknown"), 3, False))
    drawings = draw(
        charts.column_chart,
        [_month_label(m.month, i, f) for i, m in enumerate(months)],
        stacks,
        title=t("data.chart_revenue"),
        y=Axis(t("data.axis_revenue", currency=f.currency), f.short_money),
        faded=frozenset(i for i, m in enumerate(months) if m.month >= running),
    )
    rows = tuple(
        (
            f.month(m.month, year=True),
            f.whole_money(m.net_minor),
            *((f.whole_money(m.no_customer_minor),) if unknown else ()),
            f.count(m.orders),
        )
        for m in months
    )
    head = (
        t("data.month"),
        t("kpi.revenue"),
        *((t("data.unknown"),) if unknown else ()),
        t("kpi.orders"),
    )
    caption = t("data.chart_revenue")
    takeaway, more = takeaways.months(data, t, f)
    return Figure(takeaway, caption, drawings, legend, head, rows, more)


def _month_label(month: str, index: int, f: Format) -> str:
    return f.month(month, year=index == 0 or month.endswith("-01"))


def orders_figure(data: ReportData, t: Words, f: Format) -> Figure:
    """Orders by month."""
    months = data.data.months
    running = data.as_of.strftime("%Y-%m")
    drawings = draw(
        charts.column_chart,
        [_month_label(m.month, i, f) for i, m in enumerate(months)],
        [Stack(t("kpi.orders"), [float(m.orders) for m in months], 4)],
        title=t("data.chart_orders"),
        y=Axis(t("data.axis_orders"), f.short),
        faded=frozenset(i for i, m in enumerate(months) if m.month >= running),
    )
    return Figure(takeaways.orders(data, t, f), t("data.chart_orders"), drawings)


def rfm_figure(data: ReportData, t: Words, f: Format) -> Figure:
    """Share of customers beside share of revenue, by segment."""
    segments = data.segments.rfm
    people = sum(s.customers for s in segments)
    money = sum(max(0, s.revenue_minor or 0) for s in segments)
    rows: list[Row] = []
    for segment in segments:
        share = takeaways.share_of(segment.customers, people)
        bars = [Bar(share, 3, f.fine_percent(share))]
        if money:
            earned = takeaways.share_of(segment.revenue_minor or 0, money)
            bars.append(Bar(earned, 1, f.fine_percent(earned)))
        rows.append(Row(takeaways.segment_name(segment, t), tuple(bars)))
    caption = t("customers.chart_rfm")
    drawings = draw(charts.row_chart, rows, title=caption, tell=f.percent)
    legend = ((t("customers.share_customers"), 3, False), (t("customers.share_revenue"), 1, False))
    return Figure(takeaways.rfm(segments, t, f), caption, drawings, legend[: 1 + bool(money)])


def map_figure(data: ReportData, t: Words, f: Format) -> Figure | None:
    """RFM segments by recency and frequency, as bubbles; None without these averages."""
    known = [s for s in data.segments.rfm if s.recency_days is not None and s.orders is not None]
    if not known:
        return None
    biggest = max(s.customers for s in known) or 1
    points = [
        Point(
            s.recency_days or 0.0,
            s.orders or 0.0,
            1,
            6.5 + 24 * (s.customers / biggest) ** 0.5,
            takeaways.segment_name(s, t),
            f"{takeaways.segment_name(s, t)}: {f.count(s.customers)}",
        )
        for s in known
    ]
    caption = t("customers.chart_map")
    drawings = draw(
        charts.point_chart,
        points,
        title=caption,
        x=Axis(t("customers.axis_recency"), f.short, 0),
        y=Axis(t("customers.axis_orders"), f.short, 0),
    )
    return Figure(takeaways.rfm_map(known, t, f), caption, drawings)


def gains_figure(outcome: Measured, share: float, t: Words, f: Format) -> Figure:
    """The gains curve of the model, of RFM, and of chance."""
    curves = [c for c in outcome.gains if c.name != "random"]
    lines = [_line(c, t) for c in curves]
    lines.append(Line(t.term("curve", "random"), (0.0, 1.0), (0.0, 1.0), 3, dashed=True))
    marks = []
    captured = takeaways.captured_at(outcome, share)
    if captured is not None:
        words = t("choice.mark_gain", captured=f.percent(captured), share=f.percent(share))
        marks.append(Mark(share, captured, words))
    caption = t("model.chart_gains")
    drawings = draw(
        charts.line_chart,
        lines,
        title=caption,
        x=Axis(t("model.axis_contacted"), f.percent, 0, 1),
        y=Axis(t("model.axis_captured", whom=takeaways.whom(outcome.task, t)), f.percent, 0, 1),
        marks=marks,
    )
    rows = tuple(
        (f.percent(i / 10), *(f.percent(takeaways.read_curve(c, i / 10), 1) for c in curves))
        for i in range(1, 11)
    )
    head = (t("model.axis_contacted"), *(t.term("curve", c.name) for c in curves))
    takeaway, more = takeaways.gains(outcome, share, t, f)
    return Figure(takeaway, caption, drawings, _legend(lines), head, rows, more)


def _line(curve: Curve, t: Words) -> Line:
    name = t.term("curve", curve.name)
    return Line(name, curve.x, curve.y, TONES.get(curve.name, 5), curve.name in ("random", "all"))


def _legend(lines: Sequence[Line]) -> tuple[tuple[str, int, bool], ...]:
    return tuple((line.name, line.tone, line.dashed) for line in lines)


def lift_figure(outcome: Measured, t: Words, f: Format) -> Figure:
    """Response of each tenth of the ranking over the average."""
    lifts = outcome.decile_lifts
    labels = [f.count(i + 1) for i in range(len(lifts))]
    caption = t("model.chart_lift")
    drawings = draw(
        charts.column_chart,
        labels,
        [Stack(t("model.lift"), list(lifts), 1)],
        title=caption,
        y=Axis(t("model.axis_lift"), lambda v: f.number(v, 1), 0),
        x_label=t("model.axis_decile"),
        above=[f.fixed(v, 1) if v >= 0.095 else f.number(v, 2) for v in lifts],
        reference=(1.0, t("model.average")),
    )
    return Figure(takeaways.lift(outcome, t, f), caption, drawings)


def calibration_figure(outcome: Measured, t: Words, f: Format) -> Figure:
    """Forecast against outcome in groups of equal size."""
    points = [
        Point(
            b.expected,
            b.observed,
            1,
            5,
            hint=t(
                "model.group_hint",
                n=f.count(b.n),
                expected=f.fine_percent(b.expected),
                observed=f.fine_percent(b.observed),
            ),
            low=b.low,
            high=b.high,
        )
        for b in outcome.calibration
    ]
    caption = t("model.chart_calibration")
    drawings = draw(
        charts.point_chart,
        points,
        title=caption,
        x=Axis(t("model.axis_expected"), f.percent),
        y=Axis(t("model.axis_observed"), f.percent),
        diagonal=t("model.perfect"),
    )
    return Figure(takeaways.calibration(outcome, t, f), caption, drawings)


def effects_figure(data: ReportData, t: Words, f: Format) -> Figure | None:
    """The strongest features and which way they move the score."""
    model = data.model
    if model is None or not model.effects:
        return None
    ranked = sorted(model.effects, key=lambda e: (-abs(e.effect), e.feature))[:SHOWN_EFFECTS]
    rows = [
        Row(t.feature(e.feature, e.name),
            (Bar(e.effect, 1 if e.effect >= 0 else 2, f.signed(e.effect)),))
        for e in ranked
    ]  # fmt: skip
    caption = t("model.chart_effects")
    drawings = draw(charts.row_chart, rows, title=caption, tell=f.number)
    return Figure(takeaways.effects(model, t), caption, drawings)


def steps_figure(choice: Choice, t: Words, f: Format) -> Figure:
    """The waterfall from planned recipients to those contacted."""
    left = choice.considered
    rows = [Row(t("choice.planned"), (Bar(left, 3, f.count(left)),))]
    lost = [(t.reason(c.code), c.n) for c in choice.left_out]
    if choice.holdout:
        lost.append((t("choice.holdout"), choice.holdout))
    for name, n in lost:
        left -= n
        rows.append(Row(name, (Bar(n, 2, f"−{f.count(n)} → {f.count(left)}", start=left),)))
    rows.append(Row(t("choice.contacted"), (Bar(choice.contacted, 1, f.count(choice.contacted)),)))
    caption = t("choice.chart_steps")
    drawings = draw(charts.row_chart, rows, title=caption, tell=f.count)
    return Figure(takeaways.choice(choice, t, f), caption, drawings)


def depth_figure(outcome: Measured, share: float, t: Words, f: Format) -> Figure:
    """Profit (upper bound) over the share contacted."""
    lines = [_line(c, t) for c in outcome.profit_by_depth]
    marks: list[Mark] = []
    model = takeaways.find_curve(outcome.profit_by_depth, "model")
    if model is not None:
        words = t("choice.mark_share", share=f.percent(share))
        marks.append(Mark(share, takeaways.read_curve(model, share), words))
    caption = t("choice.chart_depth")
    drawings = draw(
        charts.line_chart,
        lines,
        title=caption,
        x=Axis(t("model.axis_contacted"), f.percent, 0, 1),
        y=Axis(t("choice.axis_profit", currency=f.currency), f.short_money),
        marks=marks,
    )
    return Figure(takeaways.depth(outcome, t, f), caption, drawings, _legend(lines))


def cost_figure(outcome: Measured, cost_minor: int, t: Words, f: Format) -> Figure:
    """Profit (upper bound) over the cost of a contact."""
    lines = [_line(c, t) for c in outcome.profit_by_cost]
    marks: list[Mark] = []
    model = takeaways.find_curve(outcome.profit_by_cost, "model")
    if model is not None and model.x[0] <= cost_minor <= model.x[-1]:
        words = t("choice.mark_cost", cost=f.money(cost_minor))
        marks.append(Mark(cost_minor, takeaways.read_curve(model, cost_minor), words))
    caption = t("choice.chart_cost")
    drawings = draw(
        charts.line_chart,
        lines,
        title=caption,
        x=Axis(t("choice.axis_cost"), f.short_money),
        y=Axis(t("choice.axis_profit", currency=f.currency), f.short_money),
        marks=marks,
    )
    return Figure(takeaways.cost(outcome, t, f), caption, drawings, _legend(lines))


def states_figure(part: MessagesPart, t: Words, f: Format) -> Figure:
    """Messages by state, as one strip."""
    parts = [
        (t.term("state", s.code), float(s.n), STATE_TONES.get(s.code, 3))
        for s in part.states
        if s.n
    ]
    drawings = draw(charts.strip_chart, parts, title=t("messages.chart"), tell=f.count)
    legend = tuple((f"{name} {f.count(n)}", tone, False) for name, n, tone in parts)
    return Figure(takeaways.messages(part, t, f), t("messages.chart"), drawings, legend)


def skips_figure(part: MessagesPart, t: Words, f: Format) -> Figure:
    """Skipped messages by reason."""
    rows = [Row(t.reason(s.code), (Bar(s.n, 3, f.count(s.n)),)) for s in part.skipped]
    title = t("messages.skipped_title")
    return Figure(title, "", draw(charts.row_chart, rows, title=title, tell=f.count))


def recommend_figure(data: ReportData, t: Words, f: Format) -> Figure | None:
    """nDCG@10 of the model and of the simple rules; None where nothing was measured."""
    values = {m.metric: m for m in data.recommend.metrics if m.value is not None}
    rows: list[Row] = []
    for kind in ("new", "all"):
        bars: list[Bar] = []
        for prefix, tone, name in (
            ("", 1, "model"), ("popularity_", 3, "popularity"), ("frequency_", 2, "frequency"),
        ):  # fmt: skip
            metric = values.get(f"{prefix}ndcg_at_10_{kind}")
            if metric is None or metric.value is None:
                continue
            words = f"{f.fixed(metric.value)}  {t(f'recommend.bar_{name}')}"
            bars.append(Bar(metric.value, tone, words, low=metric.low, high=metric.high))
        if bars:
            rows.append(Row(t(f"recommend.{kind}"), tuple(bars)))
    if not rows:
        return None
    caption = t("recommend.chart")
    drawings = draw(charts.row_chart, rows, title=caption, tell=f.fixed)
    return Figure(takeaways.recommend(data.recommend, t, f), caption, drawings)


def jobs_figure(data: ReportData, t: Words, f: Format) -> Figure | None:
    """Seconds by job, in the order they ran."""
    timed = [s for s in data.run.steps if s.seconds is not None][:SHOWN_JOBS]
    if not timed:
        return None
    rows = [
        Row(t.term("job", s.job), (Bar(s.seconds or 0.0, 4, f.seconds(s.seconds or 0.0)),))
        for s in timed
    ]
    drawings = draw(charts.row_chart, rows, title=t("run.chart"), tell=f.seconds)
    return Figure(takeaways.run(data.run, t, f), t("run.chart"), drawings)
