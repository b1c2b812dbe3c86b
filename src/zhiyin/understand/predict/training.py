"""From chosen candidate to fitted, calibrated model with scores, reasons and a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.features import Feature
from zhiyin.core.protocols import Model
from zhiyin.core.rng import Streams
from zhiyin.understand.predict.calibration import Platt
from zhiyin.understand.predict.candidates import Maker, load_model
from zhiyin.understand.predict.quality import best_first
from zhiyin.understand.predict.reasons import base_values, describe, effects, strongest
from zhiyin.understand.predict.selection import (
    Choice,
    Group,
    choose,
    stack,
)
from zhiyin.understand.predict.shortage import DataCheck
from zhiyin.understand.predict.task import RESPONSE, Task


@dataclass(frozen=True)
class Fitted:
    """A fitted model with its calibrator and the typical customer."""

    name: str
    model: Model
    calibrator: Platt
    names: tuple[str, ...]
    base: np.ndarray

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Calibrated P(label = 1) for (n, d) features in the order of `names`."""
        return self.calibrator.apply(self.model.predict(features))

    def to_artifact(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "model": self.model.to_artifact(),
            "calibrator": self.calibrator.to_artifact(),
            "names": list(self.names),
            "base": self.base,
        }

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Fitted:
        return cls(
            artifact["name"],
            load_model(artifact["model"]),
            Platt.from_artifact(artifact["calibrator"]),
            tuple(artifact["names"]),
            artifact["base"],
        )


@dataclass(frozen=True)
class Version:
    """One fitted model: its task, the day it was made on, and the hash of what it learned from."""

    task: str
    subject: str
    version: str
    as_of_on: date
    model: str
    data_hash: str
    comparison: Mapping[str, Any]
    made_by: str


def kept_rows(models: ir.Table, one: Version) -> ir.Table:
    """Rows of table `models` of one version.

    A version of the response to campaigns is registered by their kind, and kept by campaign.
    """
    mine = models.filter(
        models[c.TASK] == one.task, models[c.MODEL_VERSION] == one.version,
        models[c.AS_OF_ON] == one.as_of_on,
    )  # fmt: skip
    if one.task != RESPONSE:
        mine = mine.filter(mine[c.SUBJECT] == one.subject)
    return mine.order_by(c.SUBJECT).limit(1)


@dataclass(frozen=True)
class Scored:
    """What a task gives: rows of table `scores`, the model card and the artifact.

    `status` is `ok` or says why there is no model; then `scores` is empty and `artifact` None.
    `record` is the new version for the registry, `promoted` whether it speaks from now on.
    """

    scores: pa.Table
    card: dict[str, Any]
    artifact: dict[str, Any] | None
    status: str
    record: Version | None = None
    promoted: bool = False


SCORES_SCHEMA = pa.schema(
    [
        (c.AS_OF_ON, pa.date32()),
        (c.CUSTOMER_ID, pa.string()),
        (c.TASK, pa.string()),
        (c.SUBJECT, pa.string()),
        (c.SCORE, pa.float64()),
        (c.RANK, pa.int64()),
        (c.EXPECTED_PROFIT_MINOR, pa.float64()),
        (c.MODEL, pa.string()),
        (c.MODEL_VERSION, pa.string()),
        (c.REASONS, pa.string()),
    ]
)


def informative(rows: pd.DataFrame, features: Sequence[Feature]) -> list[Feature]:
    """The features that differ somewhere in `rows`; the others can tell nobody apart.

    A shop that tracks no events has no browsing: its columns are missing for everyone.
    """
    first = rows.iloc[:1]
    return [
        feature
        for feature in features
        if not (
            rows[feature.name].isna().all()
            or (rows[feature.name] == first[feature.name].iloc[0]).all()
        )
    ]


def train(
    groups: Sequence[Group],
    *,
    kind: str,
    names: Sequence[str],
    streams: Streams,
    makers: Mapping[str, Maker],
) -> tuple[Fitted, Choice]:
    """Choose by time-ordered validation, then fit the chosen candidate on all groups."""
    choice = choose(groups, makers, kind=kind, streams=streams)
    features, labels = stack(groups, range(len(groups)))
    model = makers[choice.name]().fit(features, labels, rng=streams.generator(f"{choice.name}/all"))
    fitted = Fitted(choice.name, model, choice.calibrator, tuple(names), base_values(features))
    return fitted, choice


def score(
    fitted: Fitted,
    features: np.ndarray,
    customer_ids: np.ndarray,
    *,
    whole: Sequence[bool],
    as_of: date,
    task: str,
    subject: str,
    version: str,
    expected_profit: np.ndarray | None,
) -> tuple[pa.Table, list[dict]]:
    """Rows of table `scores` for customers in the order of their ids, and the global effects."""
    probability = np.round(fitted.predict(features), 9)
    rank = np.empty(len(probability), dtype=np.int64)
    rank[best_first(probability, customer_ids)] = np.arange(1, len(probability) + 1)
    made = effects(fitted.predict, features, fitted.base)
    n = len(probability)
    profit = [None] * n if expected_profit is None else np.round(expected_profit, 4).tolist()
    rows = pa.table(
        [
            [as_of] * n,
            customer_ids.tolist(),
            [task] * n,
            [subject] * n,
            probability,
            rank,
            profit,
            [fitted.name] * n,
            [version] * n,
            describe(made, features, fitted.names, whole),
        ],
        schema=SCORES_SCHEMA,
    )
    return rows, strongest(made, fitted.names)


def no_model(*, task: Task, as_of: date, check: DataCheck) -> Scored:
    """The result where there is too little to learn from: the card says what is missing."""
    card = {
        "task": task.name,
        "subject": task.subject,
        "as_of_on": as_of.isoformat(),
        "horizon_days": task.horizon_days,
        "predicts": task.predicts,
        "predicts_zh": task.predicts_zh,
        "status": check.status,
        "warnings": [
            {"code": one.code, "message": one.en, "message_zh": one.zh} for one in check.missing
        ],
    }
    return Scored(SCORES_SCHEMA.empty_table(), card, None, check.status)


def describe_groups(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """The training data of a card: name, kind, days, rows and positives of each group."""
    return [
        {
            "name": g.name,
            "kind": g.kind,
            "start_on": g.start_on.isoformat(),
            "known_on": g.known_on.isoformat(),
            "rows": len(g.labels),
            "positives": int(g.labels.sum()),
        }
        for g in groups
    ]


def prediction_figures(scored: Scored) -> dict[str, Any]:
    """What `summary.json` says of a prediction; null where there is no such figure.

    `expected` is the sum of the probabilities: of so many customers it is expected. `missing` has
    the codes of the data check.
    """
    card = scored.card
    fold = card.get("validation", {}).get("last_fold", {})
    rows = scored.scores.num_rows
    return {
        "status": scored.status,
        "horizon_days": card.get("horizon_days"),
        "customers": rows,
        "expected": round(float(np.sum(scored.scores[c.SCORE])), 2) if rows else None,
        **{name: fold.get(name) for name in ("auc", "auc_low", "auc_high", "ece", "ece_floor")},
        "judged_on": fold.get("group"),
        "drift": card.get("drift", {}).get("status"),
        "missing": [] if card.get("model") else [one["code"] for one in card["warnings"]],
    }
