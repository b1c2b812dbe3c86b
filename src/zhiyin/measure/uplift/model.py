"""Fit an uplift model on an experiment, choose the learner by evidence, save it without pickles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.core.rng import Streams
from zhiyin.measure.intervals import critical_z
from zhiyin.measure.status import MIN_UNITS, OK
from zhiyin.measure.uplift.bases import Kind
from zhiyin.measure.uplift.curves import Trial, make_trial, qini_slopes
from zhiyin.measure.uplift.encoding import Encoding, fit_encoding
from zhiyin.measure.uplift.learners import FOLDS, Learned, Learner, Sample, learn

LEARNERS: Final[tuple[Learner, ...]] = ("s", "t", "x", "r", "dr", "class")
CANDIDATES: Final[tuple[tuple[Learner, Kind], ...]] = (
    ("s", "linear"), ("t", "linear"), ("dr", "linear"), ("s", "trees"), ("dr", "trees"),
)  # fmt: skip
"""What `auto` tries. The first stays unless another is better beyond doubt."""
DOUBT = 0.05  # chance, of all challengers together, that one no better takes the first's place
VERSION = 1


@dataclass(frozen=True)
class Evidence:
    """Cross-fitted Qini of one candidate, and how much better it is than the first: [low, high]."""

    learner: Learner
    base: Kind
    qini: float
    gain: float
    low: float
    high: float


@dataclass(frozen=True)
class UpliftModel:
    """What a contact changes for a customer: fitted by `fit`.

    `evidence` is empty where the learner was given, or where there was too little to choose by;
    `scale` is what outcomes were divided by.
    """

    learned: Learned
    base: Kind
    encoding: Encoding
    scale: float
    evidence: tuple[Evidence, ...] = ()

    @property
    def learner(self) -> Learner:
        """Which of `LEARNERS` it is."""
        return self.learned.learner

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """(n,) uplift of each row: outcome with the contact less outcome without.

        Raises
        ------
        InvalidParameter
            If a column that was learned is missing.
        """
        return self.learned.uplift(self.encoding.encode(features)) * self.scale

    def predict_baseline(self, features: pd.DataFrame) -> np.ndarray:
        """(n,) expected outcome of each row without the contact."""
        return self.learned.baseline(self.encoding.encode(features)) * self.scale

    def to_artifact(self) -> dict[str, Any]:
        """Plain arrays and JSON values; no pickle."""
        return {
            "model": "uplift",
            "version": VERSION,
            "learned": self.learned.to_artifact(),
            "base": self.base,
            "encoding": self.encoding.to_artifact(),
            "scale": self.scale,
            "evidence": [vars(one) for one in self.evidence],
        }

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> UpliftModel:
        """What `to_artifact` gave.

        Raises
        ------
        InvalidParameter
            If it is of another kind or a newer version.
        """
        if artifact.get("model") != "uplift" or artifact.get("version", 0) > VERSION:
            raise InvalidParameter(
                "this is no uplift model that this version can read", hint="fit it again"
            )
        return cls(
            Learned.from_artifact(artifact["learned"]), artifact["base"],
            Encoding.from_artifact(artifact["encoding"]), float(artifact["scale"]),
            tuple(Evidence(**one) for one in artifact["evidence"]),
        )  # fmt: skip


def fit(
    features: pd.DataFrame,
    treated: ArrayLike,
    outcome: ArrayLike,
    *,
    learner: Learner | Literal["auto"] = "auto",
    base: Kind = "linear",
    propensity: ArrayLike | None = None,
    seed: int = 0,
) -> UpliftModel:
    """Learn what a contact changes, from customers of whom some were held out.

    Parameters
    ----------
    features
        (n, p) raw columns known before the contact; categories and gaps may stay.
    treated, outcome
        Arm (1 treated, 0 held out) and outcome (0/1, or a number such as revenue) of each row.
    learner
        `s`, `t`, `x`, `r`, `dr`, `class`, or `auto`: chosen by cross-fitting within these rows.
    base
        `linear` (ridge, logistic for 0/1) or `trees` (boosting); `auto` tries both.
    propensity
        P(treated | features) where arms were not drawn alike; one number or (n,). None takes the
        share treated. Only `r`, `dr` and `class` use differing ones; `auto` then tries `dr` alone.
    seed
        Draws the folds.

    Raises
    ------
    InvalidParameter
        If arguments do not fit together or an option is unknown.
    NotEnoughData
        If an arm has fewer than ten rows.

    Examples
    --------
    >>> model = fit(features, treated, visited)
    >>> qini(model.predict(later), later_treated, later_visited)
    """
    if learner not in (*LEARNERS, "auto") or base not in ("linear", "trees"):
        raise InvalidParameter(
            f"there is no learner {learner!r} on {base!r}",
            hint=f"learners: {', '.join(LEARNERS)}, auto; bases: linear, trees",
        )
    encoding, sample, scale = _prepare(features, treated, outcome, propensity, seed)
    if learner != "auto":
        return UpliftModel(learn(sample, learner, base), base, encoding, scale)
    candidates = CANDIDATES
    if np.ptp(sample.e) > 0:
        candidates = tuple(one for one in CANDIDATES if one[0] == "dr")
    chosen, evidence = _choose(features, sample, candidates, seed=seed)
    fitted = learn(sample, *chosen)
    return UpliftModel(fitted, chosen[1], encoding, scale, evidence)


def crossfit(
    features: pd.DataFrame,
    treated: ArrayLike,
    outcome: ArrayLike,
    *,
    learner: Learner = "s",
    base: Kind = "linear",
    propensity: ArrayLike | None = None,
    seed: int = 0,
) -> np.ndarray:
    """(n,) uplift of each row by a model that did not see it: to judge without a second sample.

    Arguments and errors are those of `fit`; encoding too is learned without the rows predicted.
    """
    _, sample, scale = _prepare(features, treated, outcome, propensity, seed)
    fold = _draw_folds(sample, seed=seed, name="judged")
    return _crossfit(features, sample, fold, [(learner, base)])[0] * scale


def _prepare(
    features: pd.DataFrame,
    treated: ArrayLike,
    outcome: ArrayLike,
    propensity: ArrayLike | None,
    seed: int,
) -> tuple[Encoding, Sample, float]:
    trial = make_trial(treated, outcome, propensity=propensity)
    encoding = fit_encoding(features)
    if len(features) != len(trial.y):
        raise InvalidParameter(f"{len(features)} rows do not go with {len(trial.y)} outcomes")
    smallest = int(min((trial.t == 0).sum(), (trial.t == 1).sum()))
    if smallest < MIN_UNITS:
        raise NotEnoughData(
            f"an arm has {smallest} customers", hint=f"uplift needs {MIN_UNITS} in each at least"
        )
    share = float(trial.t.mean()) if propensity is None else np.asarray(propensity, dtype=float)
    e = np.broadcast_to(share, trial.y.shape).astype(float)
    binary = bool(np.isin(trial.y, (0, 1)).all())
    scale = 1.0 if binary else float(trial.y.std()) or 1.0
    x = encoding.encode(features)
    sample = Sample(x, trial.t, trial.y / scale, e, np.zeros(len(x), dtype=np.int64), binary)
    fold = _draw_folds(sample, seed=seed, name="nuisance")
    return encoding, replace(sample, fold=fold), scale


def _draw_folds(sample: Sample, *, seed: int, name: str) -> np.ndarray:
    """A fold for each row, arms and responders spread evenly."""
    rng = Streams(seed).generator(f"uplift/folds/{name}")
    fold = np.empty(len(sample.y), dtype=np.int64)
    kinds = sample.t * 2 + (sample.y != 0)
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        fold[rng.permutation(rows)] = np.arange(len(rows)) % FOLDS
    return fold


def _crossfit(
    features: pd.DataFrame,
    sample: Sample,
    fold: np.ndarray,
    candidates: Sequence[tuple[Learner, Kind]],
) -> np.ndarray:
    """(candidates, n) uplift by models that saw neither the row nor, in encoding, its fold."""
    made = np.empty((len(candidates), len(sample.y)))
    for k in range(FOLDS):
        kept, asked = fold != k, fold == k
        encoding = fit_encoding(features[kept])
        inner = replace(sample.take(kept), x=encoding.encode(features[kept]))
        x = encoding.encode(features[asked])
        for place, candidate in enumerate(candidates):
            made[place, asked] = learn(inner, *candidate).uplift(x)
    return made


def _choose(
    features: pd.DataFrame,
    sample: Sample,
    candidates: Sequence[tuple[Learner, Kind]],
    *,
    seed: int,
) -> tuple[tuple[Learner, Kind], tuple[Evidence, ...]]:
    """The first candidate, or the best of those that beat it beyond doubt."""
    likely = np.where(sample.t == 1, sample.e, 1 - sample.e)
    trial = Trial(sample.t, sample.y, 1 / likely)
    if trial.status != OK or _smallest(sample) < FOLDS * MIN_UNITS:
        return candidates[0], ()
    values, slopes = np.zeros(len(candidates)), np.zeros((len(candidates), len(sample.y)))
    fold = _draw_folds(sample, seed=seed, name="judged")
    made = _crossfit(features, sample, fold, candidates)
    for k in range(FOLDS):  # predictions of different models are not ranked together
        rows = fold == k
        part = Trial(trial.t[rows], trial.y[rows], trial.w[rows])
        for place in range(len(candidates)):
            value, slope = qini_slopes(made[place, rows], part)
            values[place] += value / FOLDS
            slopes[place, rows] += slope / FOLDS
    z = critical_z(1 - 2 * DOUBT / max(len(candidates) - 1, 1))  # one-sided
    evidence, best = [], 0
    for place, (learner, base) in enumerate(candidates):
        gain = float(values[place] - values[0])
        half = z * float(np.sqrt(((slopes[place] - slopes[0]) ** 2).sum()))
        evidence.append(
            Evidence(learner, base, float(values[place]), gain, gain - half, gain + half)
        )
        if gain - half > 0 and values[place] > values[best]:
            best = place
    return candidates[best], tuple(evidence)


def _smallest(sample: Sample) -> int:
    """Responders, or rows without response, of the arm that has fewest."""
    counts = np.bincount((sample.t * 2 + (sample.y != 0)).astype(np.int64), minlength=4)
    return int(counts.min() if sample.binary else min(counts[1], counts[3]))
