"""Six ways from a randomised (or weighted) experiment to E[y(1) - y(0) | x].

Sources: S, T and X: Künzel, Sekhon, Bickel, Yu 2019 (PNAS 116:4156). R: Nie and Wager 2021
(Biometrika 108:299). DR: Kennedy 2023 (Electronic Journal of Statistics 17:3008). Class
transformation: Jaśkowski and Jaroszewicz 2012 (ICML workshop); for numbers its transformed
outcome, Athey and Imbens 2015. All take the encoded (n, d) features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from zhiyin.measure.uplift.bases import (
    EFFECT_PENALTY,
    OUTCOME_PENALTY,
    Base,
    Kind,
    base_from_artifact,
    fit_linear,
    fit_trees,
)

Learner = Literal["s", "t", "x", "r", "dr", "class"]
FOLDS = 5


@dataclass(frozen=True)
class Sample:
    """Rows to learn from: encoded `x` (n, d), `t` in {0, 1}, outcome `y`, P(t = 1 | x) `e`.

    `fold` in 0..`FOLDS` - 1: outcomes of a row are predicted by models that did not see its fold.
    """

    x: np.ndarray
    t: np.ndarray
    y: np.ndarray
    e: np.ndarray
    fold: np.ndarray
    binary: bool

    def take(self, rows: np.ndarray) -> Sample:
        """The chosen rows."""
        return Sample(
            self.x[rows], self.t[rows], self.y[rows], self.e[rows], self.fold[rows], self.binary
        )

    @property
    def effect_scale(self) -> float:
        """Ridge of effects on the scale of the outcome: `EFFECT_PENALTY` on that of log-odds.

        A coefficient of b log-odds is about b var(y) of a 0/1 outcome, so a ridge of noise over
        prior variance is `EFFECT_PENALTY` / var(y); a number is scaled to unit variance before.
        """
        return EFFECT_PENALTY / max(float(self.y.var()), 1e-6) if self.binary else EFFECT_PENALTY


@dataclass(frozen=True)
class Learned:
    """A fitted learner: its parts by name, and the share treated that they are centred on."""

    learner: Learner
    parts: Mapping[str, Base]
    share: float

    def baseline(self, x: np.ndarray) -> np.ndarray:
        """E[y(0) | x]."""
        if self.learner == "s":
            return self.parts["joint"].predict(self._with_arm(x, 0.0))
        return self.parts["control"].predict(x)

    def uplift(self, x: np.ndarray) -> np.ndarray:
        """E[y(1) - y(0) | x]."""
        if self.learner == "s":
            joint = self.parts["joint"]
            treated, held = self._with_arm(x, 1.0), self._with_arm(x, 0.0)
            return joint.predict(treated) - joint.predict(held)
        if self.learner == "t":
            return self.parts["treated"].predict(x) - self.parts["control"].predict(x)
        if self.learner == "x":
            of_held = self.parts["effect_held"].predict(x)
            return self.share * of_held + (1 - self.share) * self.parts["effect_treated"].predict(x)
        if "class" in self.parts:
            return 2 * self.parts["class"].predict(x) - 1
        return self.parts["effect"].predict(x)

    def _with_arm(self, x: np.ndarray, arm: float) -> np.ndarray:
        return join_arm(x, np.full(len(x), arm), self.share)

    def to_artifact(self) -> dict[str, Any]:
        """Plain arrays and values."""
        parts = {name: base.to_artifact() for name, base in self.parts.items()}
        return {"learner": self.learner, "parts": parts, "share": self.share}

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Learned:
        """What `to_artifact` gave."""
        parts = {name: base_from_artifact(base) for name, base in artifact["parts"].items()}
        return cls(artifact["learner"], parts, float(artifact["share"]))


def join_arm(x: np.ndarray, t: np.ndarray, share: float) -> np.ndarray:
    """Features, the centred arm, and their products."""
    arm = (t - share)[:, None]
    return np.hstack([x, arm, x * arm])


def learn(sample: Sample, learner: Learner, base: Kind) -> Learned:
    """Fit one learner on one kind of base."""
    return Learned(learner, _FITS[learner](sample, base), float(sample.e.mean()))


def _outcome(sample: Sample, base: Kind, rows: np.ndarray) -> Base:
    x, y = sample.x[rows], sample.y[rows]
    if base == "linear":
        return fit_linear(x, y, penalty=OUTCOME_PENALTY, logit=sample.binary)
    return fit_trees(x, y, logit=sample.binary)


def _effect(
    sample: Sample, base: Kind, target: np.ndarray, weights: np.ndarray, noise: float = 1.0
) -> Base:
    if base == "linear":
        penalty = sample.effect_scale * noise
        return fit_linear(sample.x, target, penalty=penalty, logit=False, weights=weights)
    return fit_trees(sample.x, target, logit=False, weights=weights, trees=40, leaf_share=0.02)


def _fit_s(sample: Sample, base: Kind) -> dict[str, Base]:
    d, share = sample.x.shape[1], float(sample.e.mean())
    joined = join_arm(sample.x, sample.t, share)
    if base == "trees":  # products tell a tree nothing new, and dilute its choice of splits
        bare = joined.copy()
        bare[:, d + 1 :] = 0
        return {"joint": fit_trees(bare, sample.y, logit=sample.binary)}
    penalty = np.concatenate([np.full(d, OUTCOME_PENALTY), [1e-8], np.full(d, EFFECT_PENALTY)])
    return {"joint": fit_linear(joined, sample.y, penalty=penalty, logit=sample.binary)}


def _fit_t(sample: Sample, base: Kind) -> dict[str, Base]:
    treated = sample.t == 1
    return {
        "treated": _outcome(sample, base, treated),
        "control": _outcome(sample, base, ~treated),
    }


def _fit_x(sample: Sample, base: Kind) -> dict[str, Base]:
    treated = sample.t == 1
    parts = _fit_t(sample, base)
    gained = (sample.y - parts["control"].predict(sample.x))[treated]
    missed = (parts["treated"].predict(sample.x) - sample.y)[~treated]
    one, other = sample.take(treated), sample.take(~treated)
    return {
        "control": parts["control"],
        "effect_treated": _effect(one, base, gained, np.ones(len(gained))),
        "effect_held": _effect(other, base, missed, np.ones(len(missed))),
    }


def _fit_r(sample: Sample, base: Kind) -> dict[str, Base]:
    held, treated = predict_outcomes(sample)
    residual = sample.t - sample.e
    middle = sample.e * treated + (1 - sample.e) * held
    effect = _effect(sample, base, (sample.y - middle) / residual, residual**2)
    return {"effect": effect, "control": _outcome(sample, base, sample.t == 0)}


def _fit_dr(sample: Sample, base: Kind) -> dict[str, Base]:
    noise = float(np.mean(1 / (sample.e * (1 - sample.e))))
    effect = _effect(sample, base, score_effects(sample), np.ones(len(sample.y)), noise)
    return {"effect": effect, "control": _outcome(sample, base, sample.t == 0)}


def _fit_class(sample: Sample, base: Kind) -> dict[str, Base]:
    control = _outcome(sample, base, sample.t == 0)
    likely = np.where(sample.t == 1, sample.e, 1 - sample.e)
    noise = float(np.mean(1 / (sample.e * (1 - sample.e))))
    if not sample.binary:
        target = sample.y * (sample.t - sample.e) / (sample.e * (1 - sample.e))
        effect = _effect(sample, base, target, np.ones(len(target)), noise)
        return {"effect": effect, "control": control}
    same = (sample.y == sample.t).astype(float)
    weights = 0.5 / likely
    if base == "trees":
        fitted = fit_trees(sample.x, same, logit=True, weights=weights, trees=40, leaf_share=0.02)
        return {"class": fitted, "control": control}
    penalty = EFFECT_PENALTY / 4 / max(float(sample.y.var()), 1e-3) ** 2  # uplift is 2 P - 1
    fitted = fit_linear(sample.x, same, penalty=penalty, logit=True, weights=weights)
    return {"class": fitted, "control": control}


def predict_outcomes(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """E[y(0) | x] and E[y(1) | x] of each row, by models that did not see its fold.

    Always ridge regressions: what they miss costs `r` and `dr` width, not truth, and trees would
    be fitted ten times.
    """
    made = np.empty((2, len(sample.y)))
    for fold in np.unique(sample.fold):
        asked = sample.fold == fold
        for arm in (0, 1):
            fitted = _outcome(sample, "linear", ~asked & (sample.t == arm))
            made[arm, asked] = fitted.predict(sample.x[asked])
    return made[0], made[1]


def score_effects(sample: Sample) -> np.ndarray:
    """Doubly robust score of each row, whose mean given x is the effect."""
    held, treated = predict_outcomes(sample)
    done = sample.t * (sample.y - treated) / sample.e
    left = (1 - sample.t) * (sample.y - held) / (1 - sample.e)
    return treated - held + done - left


_FITS: Mapping[Learner, Callable[[Sample, Kind], dict[str, Base]]] = {
    "s": _fit_s, "t": _fit_t, "x": _fit_x, "r": _fit_r, "dr": _fit_dr, "class": _fit_class,
}  # fmt: skip
