"""What is said of churn and next purchase: the sentences and the chart of section `predict`."""

from __future__ import annotations

from zhiyin.measure.report import charts
from zhiyin.measure.report.charts import Bar, Row
from zhiyin.measure.report.data import ExpectedOf, Prediction
from zhiyin.measure.report.figures import Figure, draw
from zhiyin.measure.report.formats import Format
from zhiyin.measure.report.takeaways import join_sentences, share_of
from zhiyin.measure.report.words import Words

FEW = 20  # customers: a smaller segment is not named for its rate
COMMON = 0.5  # what more than half do is not told by its best tenth
NOISE = 2.0  # times what chance alone shows: above it the level is off


def segment_name(one: ExpectedOf, t: Words) -> str:
    """The segment's own name, else the field's word for its key; no key is no segment."""
    return one.name.say(t.language) or (t.term("rfm", one.key) if one.key else t("predict.other"))


def headline(one: Prediction, t: Words, f: Format) -> str:
    """How many are expected to do it."""
    return t(
        f"predict.{one.task}_headline",
        expected=f.count(round(one.expected)),
        customers=f.count(one.customers),
        rate=f.fine_percent(one.rate or 0.0),
        days=f.count(one.horizon_days or 0),
    )


def who(one: Prediction, t: Words, f: Format) -> str:
    """The segment that most of them are in, and the one with the highest rate."""
    if not one.segments or one.expected <= 0:
        return ""
    most = one.segments[0]
    said = [
        t(
            f"predict.{one.task}_most",
            name=segment_name(most, t),
            expected=f.count(round(most.expected)),
            share=f.percent(share_of(most.expected, one.expected)),
        )
    ]
    rated = [s for s in one.segments if s.customers >= FEW]
    sign = -1 if one.task == "next_purchase" else 1  # the risk: who leaves, who does not come back
    if rated:
        worst = max(rated, key=lambda s: (sign * share_of(s.expected, s.customers), s.key))
        said.append(
            t(
                f"predict.{one.task}_rate",
                name=segment_name(worst, t),
                rate=f.fine_percent(share_of(worst.expected, worst.customers)),
            )
        )
    return join_sentences(said, t)


def quality(one: Prediction, t: Words, f: Format) -> list[tuple[str, str]]:
    """(label, value) of how far the prediction is to be trusted, and what it looks at."""
    judged, made = one.judged, list[tuple[str, str]]()
    if one.horizon_days:
        why = one.horizon_why.say(t.language) or t("predict.horizon_set")
        made.append(
            (t("predict.horizon"), t("predict.horizon_value", days=one.horizon_days, why=why))
        )
    if "auc" in judged:
        value = f.fixed(judged["auc"])
        if "auc_low" in judged and "auc_high" in judged:
            low, high = f.fixed(judged["auc_low"]), f.fixed(judged["auc_high"])
            value += f" ({t('page.interval', low=low, high=high)})"
        made.append((t("kpi.auc"), value))
    if one.judged_on is not None:
        rate = judged.get("base_rate")
        key = "predict.judged_value" if rate is not None else "predict.judged_day"
        told = {"n": f.count(judged.get("n", 0)), "rate": f.fine_percent(rate or 0.0)}
        values = told if rate is not None else {}
        made.append((t("predict.judged_on"), t(key, day=f.short_day(one.judged_on), **values)))
    if one.top_tenth is not None and judged.get("base_rate", 0.0) < COMMON:
        made.append((t(f"predict.{one.task}_tenth"), f.percent(one.top_tenth)))
    if "ece" in judged and "ece_floor" in judged:
        off = judged["ece"] > NOISE * judged["ece_floor"]
        key = "predict.calibration_off" if off else "predict.calibration_good"
        error, floor = f.percent(judged["ece"], 1), f.percent(judged["ece_floor"], 1)
        made.append((t("predict.calibration"), t(key, error=error, floor=floor)))
    if one.drift:
        made.append((t("predict.drift"), t(f"predict.drift_{one.drift}", n=f.count(one.moved))))
    if one.model:
        made.append((t("predict.model"), t.term("name", one.model)))
    return made


def expected_figure(one: Prediction, t: Words, f: Format) -> Figure | None:
    """Expected share of each segment, those with most expected first."""
    if not one.segments:
        return None
    rows = [
        Row(
            segment_name(s, t),
            (Bar(rate, 1 if one.task == "next_purchase" else 2, f.fine_percent(rate)),),
        )
        for s in one.segments
        if (rate := share_of(s.expected, s.customers)) is not None
    ]
    caption = t(f"predict.{one.task}_chart", days=f.count(one.horizon_days or 0))
    drawings = draw(charts.row_chart, rows, title=caption, tell=f.percent)
    head = (
        t("customers.segment"), t("customers.customers"), t(f"predict.{one.task}_expected"),
        t("predict.share"),
    )  # fmt: skip
    told = tuple(
        (
            segment_name(s, t), f.count(s.customers), f.count(round(s.expected)),
            f.fine_percent(share_of(s.expected, s.customers)),
        )
        for s in one.segments
    )  # fmt: skip
    return Figure(headline(one, t, f), caption, drawings, (), head, told, who(one, t, f))
