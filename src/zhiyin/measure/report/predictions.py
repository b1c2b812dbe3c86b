# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column as a plain Column)
"""Churn and next purchase as the report tells them: from the day's cards, scores and segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.decay import DECAYED
from zhiyin.measure.report import adapt
from zhiyin.measure.report.data import Both, Effect, ExpectedOf, Prediction, Reasons, Segment

TASKS = ("churn", "next_purchase")
CONTRACT = "contract"  # churn of contracts has words of its own
SHOWN_EFFECTS = 5
SAMPLED = 400  # customers whose reasons say which way a feature leans
FIGURES = ("auc", "auc_low", "auc_high", "ece", "ece_floor", "base_rate", "n")
SCHEME = "rfm"
_SCORED, _EXPECTED = "scored", "expected"


def read_predictions(
    scores: ir.Table,
    members: ir.Table,
    insights: Sequence[Mapping],
    segments: Sequence[Segment],
) -> tuple[Prediction, ...]:
    """What the turn of a day says of who leaves and who buys again.

    Parameters
    ----------
    scores, members
        Rows of tables `scores` and `memberships` of the day.
    insights
        Rows of table `insights` of the day.
    segments
        RFM segments of the day, for their names.
    """
    cards = [adapt.mapping(adapt.parse(r[c.BODY])) for r in insights if r[c.KIND] == "model_card"]
    found = {str(card.get("task")): card for card in cards}
    asked = [task for task in TASKS if task in found]
    expected = _sum_scores(scores, members) if asked else {}
    made = []
    for task in asked:
        told = expected.get(task, {})
        scored = sum(n for n, _ in told.values())
        reasons = _sample_reasons(scores, task, scored) if scored else []
        made.append(make_prediction(found[task], told, segments, reasons=reasons))
    return tuple(made)


def read_value(insights: Sequence[Mapping]) -> Both:
    """What the model of customer value expected beside what came, where a turn could tell."""
    told = (adapt.parse(row[c.BODY]) for row in insights if row[c.KIND] == "value_decay")
    return next((adapt.both(adapt.mapping(body).get("words")) for body in told), Both())


def read_kept(
    predictions: Sequence[Prediction], turn: Mapping[str, Mapping[str, Any]]
) -> tuple[tuple[Prediction, ...], tuple[Both, ...]]:
    """The predictions with what their models promised beside what then happened, and what of it is
    to be warned of; `turn`: as of `collect_data`.
    """
    told = adapt.items(adapt.mapping(turn.get("measure", {}).get("figures")).get("decay"))
    words = {str(one.get("task")): adapt.both(adapt.mapping(one.get("words"))) for one in told}
    made = tuple(
        replace(one, kept=words.get("churn" if one.task == CONTRACT else one.task, Both()))
        for one in predictions
    )
    wrong = tuple(words[str(one["task"])] for one in told if one.get("status") == DECAYED)
    return made, wrong


def _sample_reasons(scores: ir.Table, task: str, scored: int) -> list[Reasons]:
    """Reasons of at most `SAMPLED` customers over the whole ranking."""
    mine = scores.filter(scores[c.TASK] == task)
    spread = mine.filter(mine[c.RANK] % -(-scored // SAMPLED) == 0)
    told = spread.select(c.CUSTOMER_ID, c.SCORE, c.RANK, c.REASONS).order_by(c.RANK)
    return [adapt.read_reasons(row) for row in told.to_pyarrow().to_pylist()]


def _sum_scores(
    scores: ir.Table, members: ir.Table
) -> dict[str, dict[str | None, tuple[int, float]]]:
    """Task to RFM segment (None: in none) to customers scored and the sum of their scores."""
    mine = scores.filter(scores[c.TASK].isin(TASKS)).select(c.TASK, c.CUSTOMER_ID, c.SCORE)
    rfm = members.filter(members[c.SCHEME] == SCHEME)
    met = mine.left_join(rfm.select(c.CUSTOMER_ID, c.SEGMENT), c.CUSTOMER_ID)
    summed = met.group_by(c.TASK, c.SEGMENT).agg(
        **{_SCORED: met.count(), _EXPECTED: met[c.SCORE].sum()}
    )
    made: dict[str, dict[str | None, tuple[int, float]]] = {}
    for row in summed.order_by(c.TASK, c.SEGMENT).to_pyarrow().to_pylist():
        told = made.setdefault(row[c.TASK], {})
        told[row[c.SEGMENT]] = (row[_SCORED], float(row[_EXPECTED]))
    return made


def make_prediction(
    card: Mapping[str, Any],
    expected: Mapping[str | None, tuple[int, float]],
    segments: Sequence[Segment],
    *,
    reasons: Sequence[Reasons] = (),
) -> Prediction:
    """One prediction from its card, the sums of its scores by segment, and reasons of a sample."""
    names = {segment.key: segment.name for segment in segments}
    told = [
        ExpectedOf(key or "", names.get(key or "", Both()), n, total)
        for key, (n, total) in expected.items()
    ]
    validation = adapt.mapping(card.get("validation"))
    fold = adapt.mapping(validation.get("last_fold"))
    judged = {
        name: value for name in FIGURES if (value := adapt.number(fold.get(name))) is not None
    }
    gains = adapt.numbers(fold.get("gains"))
    drift = adapt.mapping(card.get("drift"))
    days = adapt.number(card.get("horizon_days"))
    ranked = sorted(told, key=lambda s: (-s.expected, s.key))
    return Prediction(
        CONTRACT if card.get("label") == "contract_ends" else str(card.get("task")),
        horizon_days=None if days is None else int(days),
        horizon_why=_why(card, days),
        customers=sum(one.customers for one in told),
        expected=sum(one.expected for one in ranked),
        segments=tuple(ranked),
        model=str(card.get("model") or ""),
        judged_on=_day(fold.get("group")),
        judged=judged,
        top_tenth=gains[0] if gains else None,
        drift=str(drift.get("status") or ""),
        moved=int(adapt.number(drift.get("moved")) or 0),
        effects=tuple(adapt.lean(_effects(card), reasons)),
        missing=() if told else _missing(card),
        notes=_said(card) if told else (),
    )


def _why(card: Mapping[str, Any], days: float | None) -> Both:
    """Why this horizon: the shop's own gaps where they proposed it."""
    proposed = adapt.mapping(card.get("proposed_horizon"))
    if card.get("task") != "churn" or proposed.get("days") != days:
        return Both()
    return adapt.both(proposed)


def _missing(card: Mapping[str, Any]) -> tuple[Both, ...]:
    """What the data check, or the registry, says where nobody has a score."""
    if card.get("model"):
        return (adapt.both(card.get("registry")),)
    return _said(card)


def _said(card: Mapping[str, Any]) -> tuple[Both, ...]:
    """The warnings of a card in words."""
    return tuple(
        Both(str(one.get("message") or ""), str(one.get("message_zh") or ""))
        for one in adapt.items(card.get("warnings"))
    )


def _effects(card: Mapping[str, Any]) -> tuple[Effect, ...]:
    found = adapt.read_effects(card.get("top_effects"))
    return tuple(sorted(found, key=lambda e: (-abs(e.effect), e.feature))[:SHOWN_EFFECTS])


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        return None
