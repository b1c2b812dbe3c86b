"""The report as plain text for a terminal: the main figures in about thirty lines."""

from __future__ import annotations

import re
import textwrap

from zhiyin.measure.report import brought, foresight, takeaways
from zhiyin.measure.report.data import Language, ReportData
from zhiyin.measure.report.formats import Format
from zhiyin.measure.report.scales import measure_text
from zhiyin.measure.report.words import Words

WIDTH = 96
LABEL = 12
_UNBROKEN = re.compile(r"[!-~¥]+|.")  # a number or a name stays whole; a space, a character
NO_START = "，。；：、！？）”"  # may hang over the margin, but start no line


def summary_text(data: ReportData, language: Language) -> str:
    """What the turn found, one labelled paragraph per part, no line wider than `WIDTH`.

    Absent parts say so in a sentence, as in the HTML report.
    """
    t, f = Words(language), Format(language, data.shop.currency)
    title = t("text.title", shop=data.shop.name, day=f.day(data.as_of))
    blocks = [
        ("text.data", _data(data, t, f)),
        ("text.customers", _customers(data, t, f)),
        ("text.predict", _predict(data, t, f)),
        ("text.model", _model(data, t, f)),
        ("text.choice", _choice(data, t, f)),
        ("text.profit", _profit(data, t, f)),
        ("text.messages", _messages(data, t, f)),
        ("text.recommend", _recommend(data, t, f)),
        ("text.brought", _brought(data, t, f)),
        ("text.run", _run(data, t, f)),
        ("notice.title", _notices(data, t)),
    ]
    out = [title, "═" * min(WIDTH, round(measure_text(title, 1) / 0.5))]
    for key, sentences in blocks:
        out += _paragraph(t(key), [s for s in sentences if s])
    return "\n".join(out) + "\n"


def _paragraph(label: str, sentences: list[str]) -> list[str]:
    lines: list[str] = []
    for sentence in sentences:
        lines += _wrap(sentence)
    if not lines:
        return []
    pad = LABEL - _cells(label)
    if pad < 1:
        return [label, *(" " * LABEL + line for line in lines)]
    return [label + " " * pad + lines[0], *(" " * LABEL + line for line in lines[1:])]


def _cells(text: str) -> int:
    """Terminal cells that `text` takes: wide characters take two."""
    return sum(2 if measure_text(char, 1) == 1 else 1 for char in text)


def _wrap(sentence: str) -> list[str]:
    room = WIDTH - LABEL
    if _cells(sentence) == len(sentence):
        return textwrap.wrap(sentence, room, break_on_hyphens=False)
    lines, line = [], ""
    for part in _UNBROKEN.findall(sentence):
        if _cells(line + part) > room and part not in NO_START and line:
            lines.append(line.rstrip())
            line, part = "", part.lstrip()
        line += part
    return [*lines, line]


def _data(data: ReportData, t: Words, f: Format) -> list[str]:
    part = data.data
    said = takeaways.lead(data, t, f)[:1]
    if part.months:
        said += [takeaways.months(data, t, f)[0], takeaways.unknown_share(part, t, f)]
    return [*said, takeaways.reconciled(part, t, f)]


def _customers(data: ReportData, t: Words, f: Format) -> list[str]:
    part = data.segments
    if not part.rfm and not part.clusters:
        return [t("customers.ungrouped" if data.data.customers else "customers.none")]
    said = [takeaways.rfm(part.rfm, t, f)] if part.rfm else [t("customers.no_rfm")]
    said += [" · ".join(f"{takeaways.segment_name(s, t)} {f.count(s.customers)}" for s in part.rfm)]
    if not part.clusters:
        return [*said, t("customers.no_clusters")]
    silhouette = "–" if part.silhouette is None else f.fixed(part.silhouette, 2)
    return [*said, t("text.clusters", k=len(part.clusters), silhouette=silhouette)]


def _predict(data: ReportData, t: Words, f: Format) -> list[str]:
    said: list[str] = []
    for one in data.predictions:
        if one.missing:
            why = (missing.say(t.language) for missing in one.missing)
            said += [t(f"text.predict_{one.task}"), *why]
        else:
            said += [foresight.headline(one, t, f), foresight.who(one, t, f)]
    return said


def _model(data: ReportData, t: Words, f: Format) -> list[str]:
    model, outcome = data.model, data.outcome
    if model is None and outcome is None:
        return [t("model.none")]
    said = [takeaways.candidates(model, t)] if model and model.candidates else []
    if outcome is None:
        return [*said, t("model.not_measured", day=f.day(data.as_of))]
    said += takeaways.gains(outcome, data.read_at, t, f)
    auc = outcome.metric("auc")
    if auc and auc.value is not None:
        line = f"{t('kpi.auc')}: {f.fixed(auc.value)}"
        if auc.low is not None and auc.high is not None:
            bounds = t("page.interval", low=f.fixed(auc.low), high=f.fixed(auc.high))
            line += f" ({bounds})" if t.language == "en" else f"（{bounds}）"
        said.append(line)
    if outcome.metric("lift_at_10") or outcome.decile_lifts:
        said.append(takeaways.lift(outcome, t, f))
    return [*said, takeaways.calibration(outcome, t, f) if outcome.metric("ece") else ""]


def _choice(data: ReportData, t: Words, f: Format) -> list[str]:
    choice = data.choice
    if choice is None:
        return [takeaways.no_choice(data, t, f)]
    left_out = " · ".join(f"{t.reason(c.code)} {f.count(c.n)}" for c in choice.left_out)
    held = t("choice.holdout_note", holdout=f.count(choice.holdout))
    return [
        f"{choice.name or choice.campaign_id}: {takeaways.choice(choice, t, f)}",
        left_out,
        held if choice.holdout else t("choice.no_holdout"),
        *filter(None, [takeaways.caused_share(choice, t, f)]),
    ]


def _profit(data: ReportData, t: Words, f: Format) -> list[str]:
    outcome = data.outcome
    if outcome is None or not outcome.profits:
        return [t("choice.profit_none")] if data.choice else []
    said = [f"{t(f'choice.profit_{p.name}')} {f.whole_money(p.minor)}" for p in outcome.profits]
    return [" · ".join(said), t("text.upper_bound"), t("choice.upper_why")]


def _messages(data: ReportData, t: Words, f: Format) -> list[str]:
    part = data.messages
    if not part.states:
        return [t("messages.none")]
    states = " · ".join(f"{t.term('state', s.code)} {f.count(s.n)}" for s in part.states)
    reasons = " · ".join(f"{t.reason(s.code)} {f.count(s.n)}" for s in part.skipped)
    return [takeaways.messages(part, t, f), states, reasons]


def _recommend(data: ReportData, t: Words, f: Format) -> list[str]:
    part = data.recommend
    if not part.customers and not part.metrics:
        return [t("recommend.none")]
    values = {m.metric: m.value for m in part.metrics if m.value is not None}
    said = [takeaways.recommend(part, t, f)] if part.metrics else [t("recommend.not_measured")]
    for kind, rival in (("new", "popularity"), ("all", "frequency")):
        ours, theirs = values.get(f"ndcg_at_10_{kind}"), values.get(f"{rival}_ndcg_at_10_{kind}")
        if ours is not None and theirs is not None:
            said.append(
                t(
                    "text.ndcg",
                    what=t(f"recommend.{kind}"),
                    model=f.fixed(ours),
                    baseline=t(f"recommend.bar_{rival}"),
                    value=f.fixed(theirs),
                )
            )
    return said


def _brought(data: ReportData, t: Words, f: Format) -> list[str]:
    said = brought.programme_lines(data.brought, t, f)
    said += [brought.sentences(one, t, f) for one in brought.told(data.brought)]
    return [takeaways.join_sentences(one, t) for one in said]


def _run(data: ReportData, t: Words, f: Format) -> list[str]:
    timed = any(step.seconds is not None for step in data.run.steps)
    return [takeaways.run(data.run, t, f)] if timed else []


def _notices(data: ReportData, t: Words) -> list[str]:
    said = [t("page.simulated_note")] if data.shop.simulated else []
    if data.complete_journey:
        said.append(t("notice.complete_journey"))
    if data.shop.demo:
        said.append(t("notice.demo_addresses"))
    if data.seeded_consents:
        said.append(t("notice.demo_consents"))
    return [*said, *(warning.say(t.language) for warning in data.warnings)]
