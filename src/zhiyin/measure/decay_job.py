# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis types every column of a table as plain `Column`)
"""Models of churn and of the next purchase that speak today: do they keep what they promised?"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from zhiyin.core import columns as c
from zhiyin.core.context import Context
from zhiyin.core.decay import DECAYED, NOT_YET, find_decay
from zhiyin.core.values import Estimate
from zhiyin.measure.campaign import CHURN, PURCHASE
from zhiyin.measure.status import OK
from zhiyin.measure.windows_job import as_day

TASKS = (CHURN, PURCHASE)
_NAMES = {CHURN: ("churn", "客户流失"), PURCHASE: ("the next purchase", "下次购买")}


def watch_models(ctx: Context) -> list[dict[str, Any]]:
    """What each model that scored `ctx.as_of` promised, beside the latest day that it scored and
    whose outcomes are known.

    Returns
    -------
    One mapping for each task, subject and version: `task`, `subject`, `model_version`, `status`
    (`ok`, `decayed`, `not_yet`); where it is known also `as_of`, `auc`, `low`, `high`, `n`,
    `promised_low` and `words` (en, zh).
    """
    scores = ctx.store.read("scores")
    mine = scores.filter(scores[c.AS_OF_ON] == ctx.as_of, scores[c.TASK].isin(TASKS))
    speaking = mine.select(c.TASK, c.SUBJECT, c.MODEL_VERSION).distinct()
    ordered = speaking.order_by(c.TASK, c.SUBJECT, c.MODEL_VERSION).to_pyarrow()
    return [_watch(ctx, *row.values()) for row in ordered.to_pylist()]


def _watch(ctx: Context, task: str, subject: str, version: str) -> dict[str, Any]:
    promised, found = _promised(ctx, task, subject, version), _measured(ctx, task, subject, version)
    measured = found[1] if found else None
    made: dict[str, Any] = {
        "task": task, "subject": subject, "model_version": version,
        "status": find_decay(promised, measured),
    }  # fmt: skip
    if found is None or measured is None or made["status"] == NOT_YET:
        return made
    made |= {
        "as_of": found[0].isoformat(), "auc": measured.value, "low": measured.low,
        "high": measured.high, "n": measured.n, "promised_low": promised,
    }  # fmt: skip
    return made | {"words": _say(made)}


def _promised(ctx: Context, task: str, subject: str, version: str) -> float | None:
    """The lower end of the card's AUC; None where the card promises nothing."""
    models = ctx.store.read("models")
    mine = models.filter(
        models[c.TASK] == task, models[c.SUBJECT] == subject, models[c.MODEL_VERSION] == version
    )
    cards = mine.order_by(c.AS_OF_ON).select(c.CARD).limit(1).to_pyarrow()[c.CARD].to_pylist()
    fold = json.loads(cards[0]).get("validation", {}).get("last_fold", {}) if cards else {}
    return fold.get("auc_low")


def _measured(ctx: Context, task: str, subject: str, version: str) -> tuple[date, Estimate] | None:
    """The AUC of the latest day that the version scored, once its whole horizon is over."""
    scores, results = ctx.store.read("scores"), ctx.store.read("results")
    days = scores.filter(
        scores[c.TASK] == task, scores[c.SUBJECT] == subject, scores[c.MODEL_VERSION] == version
    ).select(c.AS_OF_ON)
    known = results.filter(
        results[c.KIND] == task, results[c.SUBJECT] == subject, results[c.METRIC] == "auc",
        results[c.STATUS] == OK,
    ).semi_join(days.distinct(), c.AS_OF_ON)  # fmt: skip
    rows = known.order_by(known[c.AS_OF_ON].desc()).limit(1).to_pyarrow().to_pylist()
    if not rows:
        return None
    row = rows[0]
    return as_day(row[c.AS_OF_ON]), Estimate(row[c.VALUE], row[c.LOW], row[c.HIGH], row[c.N])


def _say(made: dict[str, Any]) -> dict[str, str]:
    en, zh = _NAMES[made["task"]]
    told = f"{made['auc']:.2f} [{made['low']:.2f}, {made['high']:.2f}]"
    least = f"{made['promised_low']:.2f}"
    said = {
        "en": f"Of the scores of {made['as_of']} the model of {en} reached an AUC of {told} on "
        f"what then happened to {made['n']:,} customers; its card promised {least} or more.",
        "zh": f"{made['as_of']} 的{zh}评分，以 {made['n']:,} 位客户后来的实际情况检验，"
        f"AUC 为 {told}；模型卡承诺不低于 {least}。",
    }  # fmt: skip
    if made["status"] == DECAYED:
        said["en"] += " It has decayed: see what has changed, or roll it back."
        said["zh"] += "模型已失准：请检查变化原因，或回退到上一版本。"
    return said
