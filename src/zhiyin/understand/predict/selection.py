"""Choose a model by what it would have said about later campaigns (time-ordered validation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from zhiyin.core.rng import Streams
from zhiyin.understand.predict.calibration import Platt, fit_platt
from zhiyin.understand.predict.candidates import Maker
from zhiyin.understand.predict.quality import auc

MIN_TRAIN_POSITIVES = 20
MIN_TEST_POSITIVES = 10
LEFT_OUT = 4  # groups that the calibrator is fitted on


@dataclass(frozen=True)
class Group:
    """Rows that share one day: a campaign, or a snapshot. Labels are known after `known_on`."""

    name: str
    kind: str
    start_on: date
    known_on: date  # last day of the label window
    features: np.ndarray
    labels: np.ndarray
    customers: np.ndarray | None = None  # ids of the rows, where slices need them


@dataclass(frozen=True)
class Fold:
    """Train on the groups whose labels were known before the test group's day."""

    train: tuple[int, ...]
    test: int


@dataclass(frozen=True)
class Choice:
    """The chosen candidate with what every candidate scored."""

    name: str
    calibrator: Platt
    folds: tuple[Fold, ...]
    scores: Mapping[str, tuple[float, ...]]  # AUC by fold
    means: Mapping[str, float]  # weighted by positives of the fold
    predicted: np.ndarray  # out-of-time predictions of the chosen one, uncalibrated
    observed: np.ndarray


def plan_folds(groups: Sequence[Group], *, kind: str) -> tuple[Fold, ...]:
    """Folds that end with a test group, earliest first.

    A group is tested if the groups known before it hold `MIN_TRAIN_POSITIVES` and it holds
    `MIN_TEST_POSITIVES`. Where at least two such groups are of `kind`, only these are tested:
    they are what the model will be used for.
    """
    folds = []
    for i, group in enumerate(groups):
        train = tuple(j for j, g in enumerate(groups) if g.known_on < group.start_on)
        positives = sum(int(groups[j].labels.sum()) for j in train)
        n = int(group.labels.sum())
        enough = positives >= MIN_TRAIN_POSITIVES and n >= MIN_TEST_POSITIVES
        if enough and n < len(group.labels):
            folds.append(Fold(train, i))
    same = [fold for fold in folds if groups[fold.test].kind == kind]
    return tuple(same if len(same) >= 2 else folds)


def choose(
    groups: Sequence[Group], candidates: Mapping[str, Maker], *, kind: str, streams: Streams
) -> Choice:
    """Fit every candidate on every fold and take the one with the best weighted mean AUC.

    Without a fold the first candidate is taken uncalibrated: say so to the reader. Ties go to the
    candidate named first.
    """
    folds = plan_folds(groups, kind=kind)
    predictions: dict[str, list[np.ndarray]] = {}
    for name, make in candidates.items():
        predictions[name] = [
            _fit_fold(groups, fold, make, rng=streams.generator(f"{name}/{fold.test}"))
            for fold in folds
        ]
    labels = [groups[fold.test].labels for fold in folds]
    scores = {
        name: tuple(auc(y, p) for y, p in zip(labels, parts, strict=True))
        for name, parts in predictions.items()
    }
    weights = np.array([y.sum() for y in labels], dtype=float)
    means = {
        name: float(np.average(s, weights=weights)) if s else 0.5 for name, s in scores.items()
    }
    best = max(means, key=lambda name: round(means[name], 6))
    observed = np.concatenate(labels) if labels else np.zeros(0)
    predicted = np.concatenate(predictions[best]) if labels else np.zeros(0)
    calibrator = calibrate(groups, candidates[best], kind=kind, streams=streams)
    return Choice(best, calibrator, folds, scores, means, predicted, observed)


def _fit_fold(
    groups: Sequence[Group], fold: Fold, make: Maker, *, rng: np.random.Generator
) -> np.ndarray:
    features, labels = stack(groups, fold.train)
    return make().fit(features, labels, rng=rng).predict(groups[fold.test].features)


def calibrate(groups: Sequence[Group], make: Maker, *, kind: str, streams: Streams) -> Platt:
    """Fit the calibrator on groups that were left out one at a time.

    A model of an early fold saw few responders and says too little; its scale is not that of the
    final model. Leaving out one ended group at a time keeps the training size, and groups of the
    same kind (where two can be tested) keep the base rate. The choice stays time-ordered: here only
    two numbers are fitted, and all labels are known before the day. The latest `LEFT_OUT` groups
    are used.
    """
    everyone = range(len(groups))
    able = [
        i
        for i in everyone
        if MIN_TEST_POSITIVES <= groups[i].labels.sum() < len(groups[i].labels)
        and sum(int(groups[j].labels.sum()) for j in everyone if j != i) >= MIN_TRAIN_POSITIVES
    ]
    same = [i for i in able if groups[i].kind == kind]
    used = (same if len(same) >= 2 else able)[-LEFT_OUT:]
    if not used:
        return Platt()
    folds = [Fold(tuple(j for j in everyone if j != i), i) for i in used]
    predicted = np.concatenate(
        [
            _fit_fold(groups, fold, make, rng=streams.generator(f"calibrate/{fold.test}"))
            for fold in folds
        ]
    )
    observed = np.concatenate([groups[i].labels for i in used]).astype(float)
    return fit_platt(predicted, observed, np.ones(len(observed)))


def recent_rate(groups: Sequence[Group], *, kind: str) -> float:
    """Response of the groups of `kind` (of all where there is none), the latest counting most.

    Each earlier group counts half as much a row as the next; half a responder and half another are
    added so that the rate stays inside (0, 1).
    """
    used = [g for g in groups if g.kind == kind] or list(groups)
    weights = [0.5 ** (len(used) - 1 - i) for i in range(len(used))]
    positives = sum(w * float(g.labels.sum()) for w, g in zip(weights, used, strict=True))
    rows = sum(w * len(g.labels) for w, g in zip(weights, used, strict=True))
    return (positives + 0.5) / (rows + 1)


def stack(groups: Sequence[Group], members: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of several groups, one below the other."""
    return (
        np.vstack([groups[j].features for j in members]),
        np.concatenate([groups[j].labels for j in members]),
    )
