"""What time-ordered validation says of a model: figures with intervals, and of slices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zhiyin.core.rng import Streams
from zhiyin.understand.predict.calibration import anchor_level
from zhiyin.understand.predict.candidates import Maker
from zhiyin.understand.predict.figures import SHARES, judge
from zhiyin.understand.predict.quality import (
    auc_delong,
    auc_interval,
    best_first,
    best_threshold,
    calibration_floor,
    captured,
)
from zhiyin.understand.predict.selection import (
    MIN_TEST_POSITIVES,
    Choice,
    Group,
    calibrate,
    recent_rate,
)

BOOTSTRAP = 400
MOST_VALUES = 8
SLICED = ("tenure_days", "orders_count", "revenue_minor")
IMBALANCE = (
    "classes keep their shares: models minimise log-loss, the threshold of F1 follows the rate"
)


def validation_report(
    groups: Sequence[Group],
    choice: Choice,
    *,
    kind: str,
    anchored: bool,
    streams: Streams,
    makers: Mapping[str, Maker],
    names: Sequence[str] = (),
    attributes: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """What time-ordered validation said, for the card.

    Calibration is judged on the last fold with a calibrator fitted on groups known before it; with
    fewer than two folds only the ranking is judged. `anchored` says whether the level is moved
    towards the recent rate, as the caller does. With the `names` of the features there are slices,
    and with `attributes` (name to customer to value: what a workspace protects) slices by these,
    which no model learns from.
    """
    report: dict[str, Any] = {
        "folds": [
            {
                "group": groups[fold.test].name,
                "train": [groups[j].name for j in fold.train],
                "rows": len(groups[fold.test].labels),
                "positives": int(groups[fold.test].labels.sum()),
            }
            for fold in choice.folds
        ],
        "candidates": {
            name: {"auc": _number(choice.means[name]), "by_fold": [_number(s) for s in scores]}
            for name, scores in choice.scores.items()
        },
        "imbalance": IMBALANCE,
    }
    if not choice.folds:
        return report
    fold = choice.folds[-1]
    rng = streams.generator("validation")
    group = groups[fold.test]
    observed = group.labels.astype(float)
    predicted = choice.predicted[len(choice.predicted) - len(observed) :]
    interval = auc_interval(observed, predicted, samples=BOOTSTRAP, rng=rng)
    report["last_fold"] = {
        "group": group.name,
        "auc": _number(interval.value),
        "auc_low": _number(interval.low),
        "auc_high": _number(interval.high),
        "n": interval.n,
        "status": interval.status,
    }
    if len(choice.folds) < 2:
        return report
    before = [groups[j] for j in fold.train]
    calibrator = calibrate(before, makers[choice.name], kind=kind, streams=streams)
    if anchored:
        calibrator = anchor_level(calibrator, predicted, rate=recent_rate(before, kind=kind))
    p = calibrator.apply(predicted)
    earlier = len(choice.predicted) - len(observed)
    threshold = best_threshold(
        choice.observed[:earlier], calibrator.apply(choice.predicted[:earlier])
    )
    report["last_fold"] |= _judged(group.labels, p, threshold, rng=rng)
    if names:
        report["slices"] = [
            *slice_figures(group, p, names),
            *slice_by_attribute(group, p, attributes or {}),
        ]
    return report


def _judged(
    labels: np.ndarray, p: np.ndarray, threshold: float, *, rng: np.random.Generator
) -> dict[str, Any]:
    """Probability figures of one fold; AUC stands beside them already."""
    floor = calibration_floor(p, rng=rng)
    one_fold = np.zeros(len(labels), dtype=np.int64)
    values, intervals = judge(labels, p, p >= threshold, one_fold, rng=rng)
    kept = ("ap", "log_loss", "brier", "ece", "f1", "lift")
    order = best_first(p, np.arange(len(p)))
    return {
        **{name: _number(values[name]) for name in kept},
        "intervals": {
            name: [_number(intervals[name].low), _number(intervals[name].high)] for name in kept
        },
        "ece_floor": _number(floor),
        "base_rate": _number(float(labels.mean())),
        "threshold": _number(threshold),
        "gains": [_number(captured(labels, order, share=share)) for share in SHARES],
    }


def slice_figures(group: Group, p: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Whether the model holds for the low, middle and high third of a few features.

    Each slice has its bounds, rows, positives, observed and predicted rate, and an AUC with
    DeLong's interval where both classes have `MIN_TEST_POSITIVES` rows (otherwise `too_few`).
    """
    made: list[dict[str, Any]] = []
    for name in SLICED:
        if name not in names:
            continue
        value = group.features[:, list(names).index(name)]
        edges = np.nanquantile(value, [1 / 3, 2 / 3])
        third = np.where(np.isnan(value), -1, np.searchsorted(edges, value, side="left"))
        for k, word in enumerate(("low", "middle", "high")):
            rows = third == k
            if rows.any():
                bounds = {"from": _number(value[rows].min()), "to": _number(value[rows].max())}
                made.append(
                    {
                        "feature": name,
                        "slice": word,
                        **bounds,
                        **_slice(group.labels[rows], p[rows]),
                    }
                )
    return made


def slice_by_attribute(
    group: Group, p: np.ndarray, attributes: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """The same figures for the `MOST_VALUES` commonest values of each attribute, unknown last."""
    made: list[dict[str, Any]] = []
    for name, of_customer in sorted(attributes.items()):
        who = [] if group.customers is None else group.customers
        value = np.array([of_customer.get(one, "") for one in who], dtype=object)
        counted = Counter(value.tolist())
        common = sorted((v for v in counted if v), key=lambda v: (-counted[v], v))[:MOST_VALUES]
        for word in [*common, *([""] if "" in counted else [])]:
            rows = value == word
            part = _slice(group.labels[rows], p[rows])
            made.append({"attribute": name, "slice": word or "unknown", **part})
    return made


def _slice(labels: np.ndarray, p: np.ndarray) -> dict[str, Any]:
    positives = int(labels.sum())
    made: dict[str, Any] = {
        "rows": len(labels),
        "positives": positives,
        "observed": _number(labels.mean()),
        "predicted": _number(p.mean()),
    }
    if min(positives, len(labels) - positives) < MIN_TEST_POSITIVES:
        return made | {"status": "too_few"}
    found = auc_delong(labels, p)
    return made | {
        "status": found.status,
        "auc": _number(found.value),
        "auc_low": _number(found.low),
        "auc_high": _number(found.high),
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)
