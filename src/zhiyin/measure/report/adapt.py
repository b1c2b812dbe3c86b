"""JSON bodies of other jobs → values of the report. Anything missing or strange is left out.

The keys that are read, with what they stand for:

`insights`, kind `model_card`: `task`, `subject`, `status`, `model`, `model_version`,
`horizon_days`, `data` (list of {`name`, `rows`, `positives`}), `calibration` ({`kind`}, {`slope`}
or a name),
`validation` ({`candidates`: name → {`auc`, `log_loss`, `brier`}, `folds`, `last_fold`}),
`top_effects` (list of {`feature`, `effect` signed, or `mean_abs_effect`}), `warnings` (list of
{`code`, `message`}).
Kind `segment`, key `<scheme>:<segment>`: `name` and `words` (or `description`), each {`en`, `zh`}
or one text; for clusters also `silhouette` and `stability`, here or in an own row whose key is
the scheme. Kind `movement`, key `rfm`: `words`. Kind `recommender`: `model`. Kind `warning`:
{`en`, `zh`} or `message`.

`recommendations.reason`: a list of product ids, or of {`product_id`}, strongest first.

`results`, kinds `response` and `next_purchase`: metrics with their intervals; body of `auc`:
`positives`; of `gains` (the model) and `gains_rfm`: `share`, `captured`; of `calibration`: `bins`
(list of {`n`, `mean_score`, `rate`, `low`, `high`}). Kind `profit`: bodies of `profit_*_minor`:
`contacted`; of `profit_by_depth` (and `profit_by_depth_rfm`): `share`, `profit_minor`; of
`profit_by_cost`: `contact_cost_minor`, `model_minor`, `rfm_minor`, `all_minor`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise
from typing import Any

from zhiyin.core import columns as c
from zhiyin.measure.report.data import (
    Bin,
    Both,
    Candidate,
    Curve,
    Effect,
    Measured,
    Metric,
    ModelPart,
    Profit,
    Reasons,
)
from zhiyin.measure.report.takeaways import read_curve

Row = Mapping[str, Any]
RANKED = ("response", "next_purchase")
CURVES = {"gains", "gains_rfm", "calibration", "profit_by_depth", "profit_by_depth_rfm",
          "profit_by_cost"}  # fmt: skip
PROFITS = ("model", "rfm", "all")
UPPER_BOUND = "upper_bound"
GROUPS = (
    "response", "next_purchase", "profit", "increment", "observed", "marketing", "programme",
    "recommend", "delivery",
)  # fmt: skip


def parse(text: object) -> Any:
    """What a JSON column holds; None where it holds none."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return None


def number(value: object) -> float | None:
    """A finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def numbers(values: object) -> tuple[float, ...]:
    """All numbers of a list, or none of them where one is no number."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        return ()
    found = [number(value) for value in values]
    return tuple(v for v in found if v is not None) if None not in found else ()


def mapping(value: object) -> Mapping[str, Any]:
    """The mapping, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[Mapping[str, Any]]:
    """The mappings of a list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def both(value: object) -> Both:
    """Words in both languages from {`en`, `zh`} or one text."""
    if isinstance(value, str):
        return Both(value, value)
    if isinstance(value, list | tuple) and len(value) == 2:
        return Both(str(value[0]), str(value[1]))
    found = mapping(value)
    return Both(str(found.get("en") or ""), str(found.get("zh") or ""))


def read_both(body: Mapping[str, Any], *names: str) -> Both:
    """The first of `names` in both languages, from `name` or from `name_en` and `name_zh`."""
    for name in names:
        found = both(body.get(name))
        found = found or Both(str(body.get(f"{name}_en") or ""), str(body.get(f"{name}_zh") or ""))
        if found:
            return found
    return Both()


def read_curve_of(body: Mapping[str, Any], name: str, x: str, y: str) -> Curve | None:
    """A curve from two lists of equal length, None where there is none."""
    xs, ys = numbers(body.get(x)), numbers(body.get(y))
    return Curve(name, xs, ys) if len(xs) == len(ys) and len(xs) > 1 else None


def read_card(body: Mapping[str, Any]) -> ModelPart | None:
    """A model card; None where no model was fitted."""
    if body.get("status", "ok") != "ok" or not body.get("model"):
        return None
    data, chosen = items(body.get("data")), str(body["model"])
    version = body.get(c.MODEL_VERSION)
    days = number(body.get("horizon_days"))
    return ModelPart(
        task=str(body.get("task", "response")),
        subject=str(body.get("subject") or ""),
        model=chosen,
        version=str(version or ""),
        trained_rows=sum(int(g.get("rows", 0)) for g in data) if data else None,
        trained_positives=sum(int(g.get("positives", 0)) for g in data) if data else None,
        trained_on=tuple(str(g.get("name", "")) for g in data),
        candidates=_read_candidates(mapping(body.get("validation")).get("candidates"), chosen),
        effects=read_effects(body.get("top_effects")),
        horizon_days=None if days is None else int(days),
        calibration=_read_method(body.get("calibration")),
        warnings=card_warnings(body),
    )


def _read_method(found: object) -> str:
    """The calibrator's name; slope and intercept alone are Platt's."""
    if isinstance(found, str):
        return found
    body = mapping(found)
    return str(body.get("kind") or ("platt" if "slope" in body else ""))


def _read_candidates(found: object, chosen: str) -> tuple[Candidate, ...]:
    rows = [(name, mapping(body)) for name, body in mapping(found).items()]
    rows += [(str(body.get("model") or body.get("name")), body) for body in items(found)]
    made = [
        Candidate(
            name,
            number(body.get("auc")),
            number(body.get("log_loss")),
            number(body.get("brier")),
            name == chosen,
        )
        for name, body in rows
    ]
    return tuple(sorted(made, key=lambda x: (x.auc is None, -(x.auc or 0.0), x.model)))


def read_effects(found: object) -> tuple[Effect, ...]:
    """The effects of a card."""
    made = []
    for body in items(found):
        size = number(body.get("effect"))
        size = size if size is not None else number(body.get("mean_abs_effect"))
        if size is not None and body.get("feature"):
            made.append(Effect(str(body["feature"]), size, read_both(body, "name", "meaning")))
    return tuple(made)


def card_warnings(body: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(code, sentence) of every warning of a card."""
    return tuple(
        (str(one.get("code", "")), str(one.get("message", "")))
        for one in items(body.get("warnings"))
    )


def read_reasons(row: Row) -> Reasons:
    """One customer's reasons from a row of `scores`."""
    effects = []
    for body in items(parse(row[c.REASONS])):
        effect = number(body.get("effect"))
        if effect and body.get("feature"):
            made = Effect(str(body["feature"]), effect, read_both(body, "name"))
            effects.append((made, number(body.get("value"))))
    return Reasons(row[c.CUSTOMER_ID], float(row[c.SCORE]), int(row[c.RANK]), tuple(effects))


def read_because(text: object) -> str:
    """The first product that speaks for a recommendation, from a list of ids or of mappings."""
    found = parse(text)
    found = mapping(found).get("products", found)
    first = found[0] if isinstance(found, list) and found else None
    if isinstance(first, Mapping):
        first = first.get(c.PRODUCT_ID) or first.get("product")
    return first if isinstance(first, str) else ""


def lean(effects: Sequence[Effect], told: Iterable[Reasons]) -> tuple[Effect, ...]:
    """Unsigned effects with the way they lean: the sign of value against effect among customers.

    A feature whose larger values go with positive effects raises the score. Where the customers
    `told` of say nothing, or effects are signed already, nothing changes.
    """
    if any(effect.effect < 0 for effect in effects):
        return tuple(effects)
    pairs: dict[str, list[tuple[float, float]]] = {}
    for reasons in told:
        for effect, value in reasons.effects:
            if value is not None:
                pairs.setdefault(effect.feature, []).append((value, effect.effect))
    made = []
    for effect in effects:
        seen = pairs.get(effect.feature, [])
        middle = sum(v for v, _ in seen) / len(seen) if seen else 0.0
        slope = sum((v - middle) * e for v, e in seen)
        made.append(replace(effect, effect=-effect.effect) if slope < 0 else effect)
    return tuple(made)


def read_metrics(rows: Iterable[Row]) -> tuple[Metric, ...]:
    """The numbers of `results` by kind, without the rows that only carry a curve."""
    ordered = sorted(
        rows, key=lambda r: GROUPS.index(r[c.KIND]) if r[c.KIND] in GROUPS else len(GROUPS)
    )
    return tuple(
        Metric(
            row[c.KIND],
            row[c.SUBJECT] or "",
            row[c.METRIC],
            number(row[c.VALUE]),
            number(row[c.LOW]),
            number(row[c.HIGH]),
            int(row[c.N] or 0),
            UPPER_BOUND if row[c.KIND] == "profit" and row[c.STATUS] == "ok" else row[c.STATUS],
        )
        for row in ordered
        if row[c.METRIC] not in CURVES
        and row[c.KIND] != "attributed"
        and number(row[c.VALUE]) is not None
    )


def read_measured(rows: Sequence[Row]) -> tuple[Measured, ...]:
    """What was measured, one value a task and subject: response first, then by people."""
    subjects = sorted({(r[c.KIND], r[c.SUBJECT] or "") for r in rows if r[c.KIND] in RANKED})
    made = []
    for task, subject in subjects:
        mine = [r for r in rows if r[c.KIND] == task and (r[c.SUBJECT] or "") == subject]
        money = [r for r in rows if r[c.KIND] == "profit" and (r[c.SUBJECT] or "") == subject]
        made.append(_read_one(task, subject, mine, money))
    return tuple(
        sorted(made, key=lambda m: (RANKED.index(m.task), -(m.recipients or 0), m.subject))
    )


def _read_one(task: str, subject: str, mine: Sequence[Row], money: Sequence[Row]) -> Measured:
    bodies = {r[c.METRIC]: mapping(parse(r[c.BODY])) for r in (*mine, *money)}
    metrics = read_metrics(mine)
    auc = next((r for r in mine if r[c.METRIC] == "auc"), None)
    until: date | None = mine[0][c.MEASURED_UNTIL_ON] if mine and metrics else None
    positives = number(bodies.get("auc", {}).get("positives"))
    model = read_curve_of(bodies.get("gains", {}), "model", "share", "captured")
    rival = read_curve_of(bodies.get("gains_rfm", {}), "rfm", "share", "captured")
    return Measured(
        task,
        subject,
        until_on=until,
        recipients=int(auc[c.N]) if auc and auc[c.N] else None,
        responders=None if positives is None else int(positives),
        metrics=metrics,
        gains=tuple(curve for curve in (model, rival) if curve),
        decile_lifts=_lifts(model),
        calibration=_read_bins(bodies.get("calibration", {}).get("bins")),
        profit_by_depth=_depth_curves(bodies),
        profit_by_cost=_cost_curves(bodies.get("profit_by_cost", {})),
        profits=_read_profits(money, bodies),
    )


def _lifts(gains: Curve | None) -> tuple[float, ...]:
    """Lift of each tenth of the ranking, from the gains curve."""
    if gains is None:
        return ()
    reached = [read_curve(gains, i / 10) for i in range(11)]
    return tuple(10 * (b - a) for a, b in pairwise(reached))


def _read_bins(found: object) -> tuple[Bin, ...]:
    made = []
    for body in items(found):
        expected, observed = number(body.get("mean_score")), number(body.get("rate"))
        if expected is not None and observed is not None:
            low, high = number(body.get("low")), number(body.get("high"))
            made.append(Bin(int(body.get("n", 0)), expected, observed, low, high))
    return tuple(made)


def _depth_curves(bodies: Mapping[str, Mapping[str, Any]]) -> tuple[Curve, ...]:
    found = [
        read_curve_of(bodies.get(metric, {}), name, "share", "profit_minor")
        for metric, name in (("profit_by_depth", "model"), ("profit_by_depth_rfm", "rfm"))
    ]
    made = [curve for curve in found if curve]
    if made:  # a random order earns in proportion: the straight line to contacting everyone
        made.append(Curve("random", (0.0, 1.0), (0.0, made[0].y[-1])))
    return tuple(made)


def _cost_curves(body: Mapping[str, Any]) -> tuple[Curve, ...]:
    found = [read_curve_of(body, name, "contact_cost_minor", f"{name}_minor") for name in PROFITS]
    return tuple(curve for curve in found if curve)


def _read_profits(
    money: Sequence[Row], bodies: Mapping[str, Mapping[str, Any]]
) -> tuple[Profit, ...]:
    made = []
    for name in PROFITS:
        metric = f"profit_{name}_minor"
        row = next((r for r in money if r[c.METRIC] == metric), None)
        value = number(row[c.VALUE]) if row else None
        if value is not None:
            contacted = number(bodies[metric].get("contacted"))
            made.append(Profit(name, value, None if contacted is None else round(contacted)))
    return tuple(made)


def read_doubts(checks: Sequence[Mapping]) -> tuple[Both, ...]:
    """What table `quality` says is not fine, in words, the worst first."""
    ranks = {"bad": 0, "warn": 1}
    wrong = sorted(
        (row for row in checks if row[c.STATUS] in ranks), key=lambda row: ranks[row[c.STATUS]]
    )
    return tuple(Both(row[c.WORDS_EN], row[c.WORDS_ZH]) for row in wrong)
