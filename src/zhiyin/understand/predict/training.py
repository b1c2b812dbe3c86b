"""From chosen candidate to fitted, calibrated model with scores, reasons and a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.features import Feature
from zhiyin.core.protocols import Model
from zhiyin.core.rng import Streams
from zhiyin.understand.predict.artifact import version_of
from zhiyin.understand.predict.calibration import Platt, anchor_level
from zhiyin.understand.predict.candidates import candidates, load_model
from zhiyin.understand.predict.quality import (
    auc_interval,
    best_first,
    brier,
    calibration_error,
    calibration_floor,
)
from zhiyin.understand.predict.reasons import base_values, describe, effects, strongest
from zhiyin.understand.predict.selection import (
    Choice,
    Group,
    calibrate,
    choose,
    recent_rate,
    stack,
)

BOOTSTRAP = 400


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
class Scored:
    """What a task gives: rows of table `scores`, the model card and the artifact.

    `status` is `ok` or says why there is no model; then `scores` is empty and `artifact` None.
    """

    scores: pa.Table
    card: dict[str, Any]
    artifact: dict[str, Any] | None
    status: str


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
    groups: Sequence[Group], *, kind: str, names: Sequence[str], streams: Streams
) -> tuple[Fitted, Choice]:
    """Choose by time-ordered validation, then fit the chosen candidate on all groups."""
    makers = candidates()
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
    expected_profit: np.ndarray | None,
) -> tuple[pa.Table, list[dict]]:
    """Rows of table `scores` for customers in the order of their ids, and the global effects."""
    probability = np.round(fitted.predict(features), 9)
    rank = np.empty(len(probability), dtype=np.int64)
    rank[best_first(probability, customer_ids)] = np.arange(1, len(probability) + 1)
    made = effects(fitted.predict, features, fitted.base)
    n = len(probability)
    profit = [None] * n if expected_profit is None else np.round(expected_profit, 4).tolist()
    version = version_of(fitted.to_artifact())
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


def validation_report(
    groups: Sequence[Group], choice: Choice, *, kind: str, anchored: bool, streams: Streams
) -> dict[str, Any]:
    """What time-ordered validation said, for the card.

    Calibration is judged on the last fold with a calibrator fitted on groups known before it; with
    fewer than two folds it is not judged. `anchored` says whether the level is moved towards the
    recent rate, as the caller does.
    """
    folds = [
        {
            "group": groups[fold.test].name,
            "train": [groups[j].name for j in fold.train],
            "rows": len(groups[fold.test].labels),
            "positives": int(groups[fold.test].labels.sum()),
        }
        for fold in choice.folds
    ]
    report: dict[str, Any] = {
        "folds": folds,
        "candidates": {
            name: {"auc": _number(choice.means[name]), "by_fold": [_number(s) for s in scores]}
            for name, scores in choice.scores.items()
        },
    }
    if not choice.folds:
        return report
    fold = choice.folds[-1]
    rng = streams.generator("validation")
    observed = groups[fold.test].labels.astype(float)
    predicted = choice.predicted[len(choice.predicted) - len(observed) :]
    interval = auc_interval(observed, predicted, samples=BOOTSTRAP, rng=rng)
    report["last_fold"] = {
        "group": groups[fold.test].name,
        "auc": _number(interval.value),
        "auc_low": _number(interval.low),
        "auc_high": _number(interval.high),
        "n": interval.n,
        "status": interval.status,
    }
    if len(choice.folds) >= 2:
        before = [groups[j] for j in fold.train]
        calibrator = calibrate(before, candidates()[choice.name], kind=kind, streams=streams)
        if anchored:
            rate = recent_rate(before, kind=kind)
            calibrator = anchor_level(calibrator, predicted, rate=rate)
        p = calibrator.apply(predicted)
        report["last_fold"] |= {
            "brier": _number(brier(observed, p)),
            "ece": _number(calibration_error(observed, p)),
            "ece_floor": _number(calibration_floor(p, rng=rng)),
        }
    return report


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)


def no_model(*, task: str, subject: str, as_of: date, status: str, warning: str) -> Scored:
    """The result where there is too little to learn from."""
    card = {
        "task": task,
        "subject": subject,
        "as_of_on": as_of.isoformat(),
        "status": status,
        "warnings": [{"code": status, "message": warning}],
    }
    return Scored(SCORES_SCHEMA.empty_table(), card, None, status)


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
