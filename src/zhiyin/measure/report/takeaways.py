"""The sentence above each chart: what it says, in plain words and with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from zhiyin.measure.report.data import (
    Choice,
    Curve,
    DataPart,
    Measured,
    MessagesPart,
    ModelPart,
    Month,
    RecommendPart,
    ReportData,
    RunPart,
    Segment,
)
from zhiyin.measure.report.formats import Format
from zhiyin.measure.report.words import Words


def find_curve(curves: Sequence[Curve], name: str) -> Curve | None:
    """The curve called `name`, if it has points."""
    return next((curve for curve in curves if curve.name == name and curve.x), None)


def read_curve(curve: Curve, at: float) -> float:
    """y at x = `at` on the straight line between the curve's points, which have rising x."""
    if at <= curve.x[0]:
        return curve.y[0]
    for i in range(1, len(curve.x)):
        if at <= curve.x[i]:
            span = curve.x[i] - curve.x[i - 1]
            part = (at - curve.x[i - 1]) / span if span else 1.0
            return curve.y[i - 1] + part * (curve.y[i] - curve.y[i - 1])
    return curve.y[-1]


def share_of(part: float, whole: float) -> float:
    """`part` over `whole`, 0 of nothing."""
    return part / whole if whole else 0.0


def join_sentences(sentences: Sequence[str], words: Words) -> str:
    """Sentences in one paragraph, with the language's own spacing."""
    return (" " if words.language == "en" else "").join(s for s in sentences if s)


def full_months(data: ReportData) -> list[Month]:
    """Months that had ended before the day (and had begun when the data do)."""
    running = data.as_of.strftime("%Y-%m")
    return [month for month in data.data.months if month.month < running]


def lead(data: ReportData, t: Words, f: Format) -> list[str]:
    """The opening: who, what was chosen, what came of it."""
    part = data.data
    if not part.orders:
        return [t("lead.empty", day=f.day(data.as_of))]
    values = {
        "orders": f.count(part.orders),
        "revenue": f.whole_money(part.net_minor),
        "day": f.day(data.as_of),
    }
    if part.customers:
        said = [t("lead.shop", customers=f.count(part.customers), **values)]
    else:
        said = [t("lead.orders_only", **values)]
    choice = data.choice
    if choice and choice.considered:
        said.append(
            t(
                "lead.chosen",
                campaign=choice.name or choice.campaign_id,
                contacted=f.count(choice.contacted),
                considered=f.count(choice.considered),
            )
        )
    captured = captured_at(data.outcome, data.read_at)
    if captured is not None and data.outcome:
        said.append(
            t(
                "lead.measured",
                share=f.percent(data.read_at),
                captured=f.percent(captured),
                who=who(data.outcome.task, t),
            )
        )
    return said


def who(task: str, t: Words) -> str:
    """Those who respond, by task."""
    return t("who.purchase" if task == "next_purchase" else "who.response")


def whom(task: str, t: Words) -> str:
    """Those who respond, in one word, by task."""
    return t("whom.purchase" if task == "next_purchase" else "whom.response")


def captured_at(outcome: Measured | None, share: float) -> float | None:
    """Share of responders in the best `share`: as measured, else read off the gains curve."""
    if outcome is None:
        return None
    metric = outcome.metric(f"captured_at_{round(share * 100)}")
    if metric and metric.value is not None:
        return metric.value
    curve = find_curve(outcome.gains, "model")
    return read_curve(curve, share) if curve else None


def months(data: ReportData, t: Words, f: Format) -> tuple[str, str]:
    """Best full month; then the last against the one before."""
    full = full_months(data)
    if not full:
        return t("data.months_one", value=f.whole_money(data.data.net_minor)), ""
    best = max(full, key=lambda m: (m.net_minor, m.month))
    last = full[-1]
    said = [
        t(
            "data.months_best",
            best=f.month(best.month, year=True),
            value=f.whole_money(best.net_minor),
        )
    ]
    if len(full) > 1 and full[-2].net_minor > 0:
        change = last.net_minor / full[-2].net_minor - 1
        said.append(
            t(
                "data.months_last",
                last=f.month(last.month, year=True),
                value=f.whole_money(last.net_minor),
                change=("+" if change >= 0 else "−") + f.fine_percent(abs(change)),
            )
        )
    if len(full) < len(data.data.months):
        said.append(t("data.months_partial"))
    return said[0], join_sentences(said[1:], t)


def orders(data: ReportData, t: Words, f: Format) -> str:
    """What an order is worth, and how many there are in a typical full month (the median)."""
    counts = sorted(m.orders for m in full_months(data) or data.data.months)
    typical = counts[len(counts) // 2] if counts else 0
    value = share_of(data.data.net_minor, data.data.orders)
    return t("data.orders_takeaway", value=f.money(value), orders=f.count(typical))


def unknown_share(part: DataPart, t: Words, f: Format) -> str:
    """How much of the revenue names no customer."""
    if not part.no_customer_orders and not part.no_customer_minor:
        return t("data.unknown_none")
    return t(
        "data.unknown_some",
        share=f.fine_percent(share_of(part.no_customer_minor, part.net_minor)),
        value=f.whole_money(part.no_customer_minor),
        orders=f.count(part.no_customer_orders),
    )


def reconciled(part: DataPart, t: Words, f: Format) -> str:
    """Whether read = loaded + set aside."""
    if not part.loads:
        return t("data.no_loads")
    read, loaded, aside = (
        sum(getattr(load, name) for load in part.loads)
        for name in ("read", "loaded", "quarantined")
    )
    if read != loaded + aside:
        return t("data.unreconciled", difference=f.count(abs(read - loaded - aside)))
    return t(
        "data.reconciled", read=f.count(read), loaded=f.count(loaded), quarantined=f.count(aside)
    )


def rfm(segments: Sequence[Segment], t: Words, f: Format) -> str:
    """The segment that brings most money, beside its size."""
    people = sum(s.customers for s in segments)
    money = sum(max(0, s.revenue_minor or 0) for s in segments)
    if not money:
        biggest = max(segments, key=lambda s: (s.customers, s.key))
        return t(
            "customers.rfm_size",
            name=segment_name(biggest, t),
            customers_share=f.percent(share_of(biggest.customers, people)),
        )
    richest = max(segments, key=lambda s: (s.revenue_minor or 0, s.key))
    return t(
        "customers.rfm_takeaway",
        name=segment_name(richest, t),
        customers_share=f.percent(share_of(richest.customers, people)),
        revenue_share=f.percent(share_of(richest.revenue_minor or 0, money)),
    )


def rfm_map(segments: Sequence[Segment], t: Words, f: Format) -> str:
    """The most frequent buyers against those who stayed away longest."""
    best = max(segments, key=lambda s: (s.orders or 0, s.key))
    quiet = max(segments, key=lambda s: (s.recency_days or 0, s.key))
    values = {"best": segment_name(best, t), "orders": f.number(best.orders or 0, 1)}
    if best.key == quiet.key:
        return t("customers.map_one", days=f.count(best.recency_days or 0), **values)
    return t(
        "customers.map_takeaway",
        quiet=segment_name(quiet, t),
        days=f.count(quiet.recency_days or 0),
        **values,
    )


def segment_name(segment: Segment, t: Words) -> str:
    """The segment's own name, else the field's word for its key."""
    return segment.name.say(t.language) or t.term("rfm", segment.key)


def gains(outcome: Measured, share: float, t: Words, f: Format) -> tuple[str, str]:
    """Writing to the best 30% reaches 75% of those who redeem; then how RFM compares."""
    captured = captured_at(outcome, share)
    if captured is None:
        return "", ""
    said = [
        t(
            "model.gains_takeaway",
            share=f.percent(share),
            captured=f.percent(captured),
            who=who(outcome.task, t),
        )
    ]
    rival = find_curve(outcome.gains, "rfm")
    if rival:
        reached = read_curve(rival, share)
        key = "model.gains_compare" if reached < captured else "model.gains_compare_better"
        said.append(t(key, captured=f.percent(reached)))
    return said[0], join_sentences(said[1:], t)


def lift(outcome: Measured, t: Words, f: Format) -> str:
    """How the best tenth compares with the average."""
    metric = outcome.metric("lift_at_10")
    value = metric.value if metric and metric.value is not None else None
    if value is None:
        value = outcome.decile_lifts[0] if outcome.decile_lifts else 0.0
    return t("model.lift_takeaway", lift=f.number(value, 1))


def calibration(outcome: Measured, t: Words, f: Format) -> str:
    """The calibration error against its noise floor."""
    ece, floor = outcome.metric("ece"), outcome.metric("ece_floor")
    if ece is None or ece.value is None:
        return t("model.calibration_none")
    error = f.percent(ece.value, 1)
    if floor is None or floor.value is None:
        return t("model.calibration_plain", ece=error)
    bound = floor.high if floor.high is not None else floor.value
    key = "model.calibration_good" if ece.value <= bound else "model.calibration_bad"
    low = floor.low if floor.low is not None else 0.0
    return t(key, ece=error, floor=f"{f.percent(low, 1)} – {f.percent(bound, 1)}")


def candidates(model: ModelPart, t: Words) -> str:
    """Which candidate won."""
    key = "model.candidates_takeaway"
    key = f"{key}_purchase" if model.task == "next_purchase" else key
    return t(key, model=t.term("name", model.model))


def effects(model: ModelPart, t: Words) -> str:
    """The two strongest features."""
    ranked = sorted(model.effects, key=lambda e: (-abs(e.effect), e.feature))
    names = [t.feature(e.feature, e.name) for e in ranked[:2]]
    second = t("model.effects_and", name=names[1]) if len(names) > 1 else ""
    return t("model.effects_takeaway", first=names[0], second=second)


def caused_share(choice: Choice | None, t: Words, f: Format) -> str:
    """How expected profit was counted by what earlier campaigns caused; empty: as it is."""
    if choice is None or choice.caused is None:
        return ""
    return t(
        "choice.caused_share", campaigns=f.count(choice.caused.campaigns),
        share=f.percent(choice.caused.caused, 0), counted=f.percent(choice.caused.counted, 0),
    )  # fmt: skip


def choice(part: Choice, t: Words, f: Format) -> str:
    """How many of how many are contacted."""
    return t(
        "choice.takeaway",
        considered=f.count(part.considered),
        contacted=f.count(part.contacted),
        share=f.percent(share_of(part.contacted, part.considered)),
    )


def no_choice(data: ReportData, t: Words, f: Format) -> str:
    """Why there is no choice to show."""
    if any(model.subject for model in data.models):
        return t("choice.undecided")
    return t("choice.none", day=f.day(data.as_of))


def depth(outcome: Measured, t: Words, f: Format) -> str:
    """Where the model's profit is highest."""
    curve = find_curve(outcome.profit_by_depth, "model")
    if curve is None:
        return ""
    best, at = best_point(curve)
    if best <= 0:
        return t("choice.depth_negative")
    if at >= curve.x[-1]:
        return t("choice.depth_all")
    return t("choice.depth_takeaway", share=f.percent(at), value=f.whole_money(best))


def best_point(curve: Curve) -> tuple[float, float]:
    """(highest y, its x); the smallest x among equals."""
    return max(zip(curve.y, curve.x, strict=True), key=lambda p: (p[0], -p[1]))


def cost(outcome: Measured, t: Words, f: Format) -> str:
    """From which contact cost on the model's choice beats contacting everyone."""
    model = find_curve(outcome.profit_by_cost, "model")
    everyone = find_curve(outcome.profit_by_cost, "all")
    if model is None or everyone is None:
        return t("choice.cost_plain")
    better = [x for x, y in zip(model.x, model.y, strict=True) if y > read_curve(everyone, x)]
    if len(better) == len(model.x):
        return t("choice.cost_always")
    if not better:
        return t("choice.cost_never")
    return t("choice.cost_takeaway", cost=f.money(_crossing(model, everyone)))


def _crossing(one: Curve, other: Curve) -> float:
    """The first x at which `one` stops being below `other`."""
    gaps = [(x, y - read_curve(other, x)) for x, y in zip(one.x, one.y, strict=True)]
    for (x0, g0), (x1, g1) in pairwise(gaps):
        if g0 <= 0 < g1:
            return x0 + (x1 - x0) * -g0 / (g1 - g0)
    return gaps[0][0]


def messages(part: MessagesPart, t: Words, f: Format) -> str:
    """What became of the messages."""
    states = {state.code: state.n for state in part.states}
    total = sum(states.values())
    sent, unknown = states.get("sent", 0), states.get("unknown", 0)
    failed, skipped = states.get("failed", 0), states.get("skipped", 0)
    if sent == total:
        return t("messages.takeaway_all", total=f.count(total))
    if not sent and states.get("planned", 0):
        return t("messages.takeaway_planned", planned=f.count(states["planned"]))
    if unknown:
        return t(
            "messages.takeaway_sent",
            sent=f.count(sent), total=f.count(total), unknown=f.count(unknown),
        )  # fmt: skip
    return t(
        "messages.takeaway_other",
        total=f.count(total), sent=f.count(sent), failed=f.count(failed), skipped=f.count(skipped),
    )  # fmt: skip


def recommend(part: RecommendPart, t: Words, f: Format) -> str:
    """How many times as good as the bestsellers."""
    values = {m.metric: m.value for m in part.metrics if m.value is not None}
    ours, theirs = values.get("ndcg_at_10_new"), values.get("popularity_ndcg_at_10_new")
    if not ours or not theirs or ours <= theirs:
        return t("recommend.takeaway_plain")
    return t("recommend.takeaway_new", ratio=f.number(ours / theirs, 2))


def run(part: RunPart, t: Words, f: Format) -> str:
    """How long the turn took, and what took longest."""
    timed = [step for step in part.steps if step.seconds is not None]
    slowest = max(timed, key=lambda s: (s.seconds or 0, s.job))
    total = sum(step.seconds or 0 for step in timed)
    said = [t("run.takeaway", seconds=f.seconds(total), job=t.term("job", slowest.job))]
    if part.peak_rss_mb:
        said.append(t("run.memory", mb=f.count(part.peak_rss_mb)))
    return join_sentences(said, t)
