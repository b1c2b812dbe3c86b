"""Predictions learned from snapshots of every customer: next purchase, churn, category affinity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.features import FEATURES
from zhiyin.core.rng import Streams
from zhiyin.understand.predict.candidates import CHEAP, pick_candidates
from zhiyin.understand.predict.drift import growing, measure_drift
from zhiyin.understand.predict.samples import build_groups, find_eligible, thin_out
from zhiyin.understand.predict.shortage import MIN_POSITIVES, DataCheck, check_data
from zhiyin.understand.predict.task import NEXT_PURCHASE, Task
from zhiyin.understand.predict.training import (
    Scored,
    describe_groups,
    informative,
    no_model,
    score,
    train,
)
from zhiyin.understand.predict.validation import validation_report

TRAINING_ROWS = 60_000
TOO_GOOD = 0.98


@dataclass(frozen=True)
class Terms:
    """How models are learned.

    `history_days` and `silent_days` are days from the first and the last purchase to the day;
    `candidates` are names of `candidates.NAMES`; of all training days together at most
    `training_rows` customers are learned from.
    """

    history_days: int
    silent_days: int
    min_positives: int = MIN_POSITIVES
    candidates: tuple[str, ...] = CHEAP
    training_rows: int = TRAINING_ROWS
    margin_rate: float = 0.25


def score_snapshot(
    task: Task,
    features: pd.DataFrame,
    *,
    outcomes: pa.Table,
    as_of: date,
    streams: Streams,
    terms: Terms,
    holders: pd.DataFrame | None = None,
) -> Scored:
    """Learn at the task's past days and score who is eligible on the day.

    Parameters
    ----------
    task
        What to predict, with its training days.
    features
        Rows of table `features` at `as_of` and at each of `task.days`; later ones are ignored.
    outcomes
        What `labels.purchase_labels`, `category_labels` or `contract_labels` gives.
    as_of
        The local day to score.
    streams
        Chance; the same seed gives the same result.
    terms
        What is needed and how it is learned.
    holders
        Who held a contract on which day (`labels.contract_holders`); only contract churn asks.

    Returns
    -------
    Rows of table `scores`: calibrated probability, rank (1 = most probable), reasons, and for the
    next purchase the margin of her usual spend within the horizon; with card and artifact. Where
    something is missing there is no score: `status` and the card say what.
    """
    wanted = features[features[c.AS_OF_ON].isin([*task.days, as_of])]
    rows = find_eligible(wanted, task, holders=holders)
    target = rows[rows[c.AS_OF_ON] == as_of].sort_values(c.CUSTOMER_ID, ignore_index=True)
    past = rows[rows[c.AS_OF_ON] < as_of]
    used = informative(past, FEATURES) if len(past) else []
    names = [feature.name for feature in used]
    known = outcomes.to_pandas()
    groups = build_groups(past, known, task=task, names=names, as_of=as_of)
    checked = _check(task, groups, len(target), terms)
    if checked.missing:
        return no_model(task=task, as_of=as_of, check=checked)
    most = max(1, terms.training_rows // len(groups))
    learned = [thin_out(group, most=most, streams=streams) for group in groups]
    makers = pick_candidates(terms.candidates)
    own = Streams(int(streams.generator(f"{task.name}/{task.subject}").integers(2**31 - 1)))
    fitted, choice = train(learned, kind=task.name, names=names, streams=own, makers=makers)
    x = target[names].to_numpy(float)
    spend = _usual_spend(target, task.horizon_days or 0)
    scores, top = score(
        fitted,
        x,
        target[c.CUSTOMER_ID].to_numpy(),
        whole=[feature.type == "int64" for feature in used],
        as_of=as_of,
        task=task.name,
        subject=task.subject,
        expected_profit=terms.margin_rate * spend if task.name == NEXT_PURCHASE else None,
    )
    validation = validation_report(
        learned, choice, kind=task.name, anchored=False, streams=own, makers=makers, names=names
    )
    card: dict[str, Any] = {
        "task": task.name,
        "status": "ok",
        "subject": task.subject,
        "as_of_on": as_of.isoformat(),
        "model": fitted.name,
        c.MODEL_VERSION: scores[c.MODEL_VERSION][0].as_py(),
        "predicts": task.predicts,
        "predicts_zh": task.predicts_zh,
        "label": task.label,
        "eligible": task.eligible,
        "horizon_days": task.horizon_days,
        "data": describe_groups(groups),
        "learned_rows": sum(len(group.labels) for group in learned),
        "customers": len(target),
        "features": list(fitted.names),
        "calibration": fitted.calibrator.to_artifact(),
        "validation": validation,
        "drift": measure_drift(
            np.vstack([g.features for g in learned]),
            x,
            names,
            grown=growing(used, terms.history_days - (as_of - groups[0].start_on).days),
        ),
        "top_effects": top,
        "warnings": _warnings(validation),
    }
    return Scored(scores, card, fitted.to_artifact(), "ok")


def _check(task: Task, groups: list, to_score: int, terms: Terms) -> DataCheck:
    positives = sum(int(group.labels.sum()) for group in groups)
    return check_data(
        positives=positives,
        negatives=sum(len(group.labels) for group in groups) - positives,
        samples=len(groups),
        to_score=to_score,
        horizon_days=task.horizon_days,
        history_days=terms.history_days,
        silent_days=terms.silent_days,
        min_positives=terms.min_positives,
    )


def _warnings(validation: dict[str, Any]) -> list[dict[str, str]]:
    made = []
    if len(validation["folds"]) < 2:
        made.append({"code": "few_folds", "message": "fewer than two snapshots could judge"})
    if (validation.get("last_fold", {}).get("auc") or 0) > TOO_GOOD:
        message = f"an AUC above {TOO_GOOD} points to a feature that knows the future"
        made.append({"code": "too_good", "message": message})
    return made


def _usual_spend(target: pd.DataFrame, horizon_days: int) -> np.ndarray:
    """Revenue of the last half year (or since her first order) scaled to the horizon."""
    known = target["tenure_days"].fillna(0).to_numpy(float) + 1
    days = np.minimum(known, 180.0)
    spend = np.maximum(target["revenue_180d_minor"].to_numpy(float), 0)
    return spend / np.maximum(days, 30.0) * horizon_days
