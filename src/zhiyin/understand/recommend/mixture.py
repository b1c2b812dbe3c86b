"""`auto`: several models, tuned and weighed on a check set made from the training data."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from zhiyin.core.rng import Streams
from zhiyin.understand.recommend.baselines import Popularity
from zhiyin.understand.recommend.content import Content, Described
from zhiyin.understand.recommend.ease import Ease
from zhiyin.understand.recommend.graph import Spectral, Walks
from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.scorer import Scorer, top_k
from zhiyin.understand.recommend.transitions import Transitions
from zhiyin.understand.recommend.validation import Held, gain, hold_out, order_matters

_POOL = 100  # best products of each model, of which weights are chosen
_STEPS = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5)
_LEAST_GAIN = 1e-4
_LEAST_WORTH = 2e-3
_LEAST_PEOPLE = 300  # of a state, to have weights of its own
_FADES = (0.3, 0.6, 1.0)


@dataclass(frozen=True)
class Trial:
    """A model to try: its start, and values of parameters in the order they are tried."""

    start: Any  # a Scorer that is a dataclass, which no type can say
    grid: Sequence[tuple[str, Sequence[float]]]
    small: Mapping[str, float] = field(default_factory=dict)
    """Parameters that make the search cheap, put back for the chosen model."""


def list_trials(*, ordered: bool, seed: int) -> list[Trial]:
    """What `auto` tries."""
    fades = [("fade", _FADES)] if ordered else []
    ends = ("target", (0.2, 0.35, 0.65))
    trials = [
        Trial(Popularity(), []),
        Trial(
            Walks(),
            [ends, ("source", (0.3, 0.7)), ("people", (0.25, 0.75)), *fades],
        ),
        Trial(
            Spectral(seed=seed),
            [("damping", (0.5,)), ("slope", (0.0, 0.5, 2.0)), ("target", (-0.25, 0.25)), *fades],
        ),
        Trial(
            Ease(ridge=8.0, fade=0.0, max_side=6000),
            [("ridge", (2.0, 32.0)), *fades],
            {"max_side": 3000},
        ),
    ]
    # poorer alone, but what they find differs: the linear filter and the ideal low pass of GF-CF
    trials.append(Trial(Walks(name="linear"), fades))
    low_pass = Spectral(damping=0.5, slope=0.0, target=0.5, name="low_pass", seed=seed)
    trials.append(Trial(low_pass, fades))
    if ordered:
        damped = [("source", (0.5, 0.8)), ("target", (0.0, 0.4))]
        near = [("gap", (0.25, 1.0)), ("back", (0.25, 0.75)), ("fade", (0.5, 2.0))]
        trials.append(Trial(Transitions(), [*damped, *near]))
    return trials


@dataclass
class Mixture(Scorer):
    """A weighted sum of models, whose parameters and weights were chosen on a check set.

    Parameters
    ----------
    seed
        Seed of everything that is drawn.
    described
        What is known of items; makes `Content` one of the models.

    Attributes
    ----------
    parts_
        The models, fitted on the whole history.
    weights_
        (2, parts) weights of people with few products and with many.
    bound_
        So many products are few.
    card_
        What was chosen and how good each model was on the check set; JSON values.

    Notes
    -----
    score(u, j) = sum_m w_m f_m(u, j) / |f_m(u, .)|, where |.| is the Euclidean norm over products.
    The check set: what up to 3,000 people took last, where the order of rows tells something;
    otherwise a fifth of their products, drawn at random. Parameters are searched one after the
    other, weights by coordinates, both for the mean of nDCG@10 and nDCG@50. People with few
    products and with many get weights of their own where that is better by two standard errors.
    The chosen models are fitted again on everything.
    """

    seed: int = 0
    described: Described | None = field(default=None, repr=False)
    name: str = "auto"
    parts_: list[Scorer] = field(init=False, repr=False)
    weights_: np.ndarray = field(init=False, repr=False)
    bound_: int = field(init=False, default=0)
    card_: dict[str, Any] = field(init=False, repr=False)

    def _learn(self, history: History) -> None:
        rng = Streams(self.seed).generator("recommend")
        kind = "last" if order_matters(history, rng) else "random"
        folds = hold_out(history, kind, rng)
        if not folds:
            self.parts_, self.weights_ = [Popularity().fit(history)], np.ones((2, 1))
            self.card_ = {"status": "too_little_history", "check": None}
            return
        trials = list_trials(ordered=kind == "last", seed=self.seed)
        if self.described is not None:
            trials.append(Trial(Content(self.described), []))
        tuned = [tune(trial, folds) for trial in trials]
        pool = Pool.gather([scores for _, scores in tuned], folds)
        self._weigh(pool, folds)
        used = np.flatnonzero(self.weights_.any(axis=0))
        self._describe([model for model, _ in tuned], pool, kind)
        self.weights_ = self.weights_[:, used]
        self.parts_ = [tuned[place][0].fit(history) for place in used]

    def _read(self, history: History) -> None:
        if history is not self.learned_:
            self.parts_ = [part.look_at(history) for part in self.parts_]

    def score(self, codes: np.ndarray) -> np.ndarray:
        owned = np.diff(self.history_.seen.indptr)[codes]
        weights = self.weights_[(owned > self.bound_).astype(np.int64)]
        weights = np.where(owned[:, None] > 0, weights, 0.0).astype(np.float32)
        total = np.zeros((len(codes), self.history_.shape[1]), dtype=np.float32)
        for place, part in enumerate(self.parts_):
            scores = part.score(codes)
            total += scores * (weights[:, place] / norms(scores))[:, None]
        return total

    def describe(self) -> dict[str, Any]:
        """What was chosen, and how good each model was on the check set; JSON values."""
        return self.card_

    def contributions(self, code: int, product: int) -> np.ndarray:
        owned = len(self.history_.seen[[code]].indices)
        weights = self.weights_[int(owned > self.bound_)]
        total = np.zeros(owned)
        for weight, part in zip(weights, self.parts_, strict=True):
            if weight > 0 and owned:
                size = float(norms(part.score(np.array([code])))[0])
                total += weight / size * part.contributions(code, product)
        return total

    def _weigh(self, pool: Pool, folds: Sequence[Held]) -> None:
        owned = np.concatenate([np.diff(one.past.seen.indptr)[one.codes] for one in folds])
        common = pool.search(np.ones(len(owned), dtype=bool))
        self.weights_ = np.stack([common, common])
        self.bound_ = int(np.median(owned))
        base = pool.quality(common)
        for state, mask in enumerate((owned <= self.bound_, owned > self.bound_)):
            if mask.sum() < _LEAST_PEOPLE:
                continue
            own = pool.search(mask, start=common)
            gain = (pool.quality(own) - base)[mask]
            if gain.mean() > 2 * gain.std() / np.sqrt(len(gain)):
                self.weights_[state] = own

    def _describe(self, models: list[Scorer], pool: Pool, kind: str) -> None:
        alone = np.eye(len(models))
        self.card_ = {
            "status": "ok",
            "check": kind,
            "people": len(pool.counts),
            "few_products": self.bound_,
            "models": {
                model.name: {
                    "quality": round(float(pool.quality(alone[place]).mean()), 5),
                    "weights": [round(float(w), 3) for w in self.weights_[:, place]],
                    "parameters": parameters(model),
                }
                for place, model in enumerate(models)
            },
            "quality": round(float(pool.quality(self.weights_[0]).mean()), 5),
        }


@dataclass(frozen=True, eq=False)
class Pool:
    """The best products of each model and the true ones, with every model's scores of them.

    Attributes
    ----------
    scores
        (parts, n, m) float32, scaled; minus infinity where there is none.
    place, counts
        Column of each entry of the truth, and (n,) how many entries each person has.
    """

    scores: np.ndarray
    place: np.ndarray
    counts: np.ndarray

    @classmethod
    def gather(cls, scores: list[list[np.ndarray]], folds: Sequence[Held]) -> Pool:
        """From each model's (n, I) scores of each fold."""
        lists, place = [], []
        for fold, held in enumerate(folds):
            here = [one[fold] for one in scores]
            scale = [1 / norms(np.where(np.isneginf(one), 0, one)) for one in here]
            best = [top_k(one, min(_POOL, one.shape[1]))[0] for one in here]
            for row in range(len(held.codes)):
                true = held.truth.indices[held.truth.indptr[row] : held.truth.indptr[row + 1]]
                chosen = np.unique(np.concatenate([*(one[row] for one in best), true]))
                lists.append(
                    np.stack([s[row, chosen] * f[row] for s, f in zip(here, scale, strict=True)])
                )
                place.append(np.searchsorted(chosen, true))
        width = max(one.shape[1] for one in lists)
        pooled = np.full((len(scores), len(lists), width), -np.inf, dtype=np.float32)
        for row, one in enumerate(lists):
            pooled[:, row, : one.shape[1]] = one
        counts = np.array([len(one) for one in place])
        return cls(pooled, np.concatenate(place), counts)

    def quality(self, weights: np.ndarray) -> np.ndarray:
        """(n,) quality of each person's list under (parts,) weights."""
        used = np.flatnonzero(weights)
        if not len(used):
            return np.zeros(self.scores.shape[1])
        total = np.tensordot(weights[used].astype(np.float32), self.scores[used], axes=1)
        rows = np.repeat(np.arange(len(self.counts)), self.counts)
        wanted = total[rows, self.place]
        ranks = (total[rows] >= wanted[:, None]).sum(axis=1) - 1
        return gain(ranks, self.counts)

    def search(self, mask: np.ndarray, *, start: np.ndarray | None = None) -> np.ndarray:
        """Weights that are best for the people of `mask`, by coordinates."""
        parts = len(self.scores)
        if start is None:
            alone = [self.quality(one)[mask].mean() for one in np.eye(parts)]
            start = np.array([float(part == np.argmax(alone)) for part in range(parts)])
        best: np.ndarray = start
        value = float(self.quality(start)[mask].mean())
        for _ in range(3):
            before = value
            for part in range(parts):
                for step in _STEPS:
                    tried = best.copy()
                    tried[part] = step
                    if not tried.any() or step == best[part]:
                        continue
                    got = float(self.quality(tried)[mask].mean())
                    if got > value * (1 + _LEAST_GAIN):
                        best, value = tried, got
            if value <= before * (1 + _LEAST_GAIN):
                break
        for part in np.argsort(best, kind="stable"):  # what hardly helps only costs
            tried = best.copy()
            tried[part] = 0.0
            if tried.any() and self.quality(tried)[mask].mean() > value * (1 - _LEAST_WORTH):
                best = tried
        return best


def tune(trial: Trial, folds: Sequence[Held]) -> tuple[Scorer, list[np.ndarray]]:
    """The model with the best parameters of its grid, and its masked scores of each fold."""
    start = replace(trial.start, **trial.small)
    models = [copy.copy(start).fit(held.past) for held in folds]
    scores, value = _judge(models, folds)
    for name, choices in trial.grid:
        for choice in choices:
            if choice == getattr(models[0], name):
                continue
            tried = [model.varied(**{name: choice}) for model in models]
            got, quality = _judge(tried, folds)
            if quality > value:
                models, scores, value = tried, got, quality
    if trial.small:
        kept = {name: getattr(trial.start, name) for name in trial.small}
        models = [model.varied(**kept) for model in models]
        scores, _ = _judge(models, folds)
    return models[0], scores


def _judge(models: Sequence[Scorer], folds: Sequence[Held]) -> tuple[list[np.ndarray], float]:
    scores = [held.masked(model) for model, held in zip(models, folds, strict=True)]
    found = [held.quality(one) for one, held in zip(scores, folds, strict=True)]
    return scores, float(np.concatenate(found).mean())


def norms(scores: np.ndarray) -> np.ndarray:
    """(n,) Euclidean norm of each row; 1 where it is 0."""
    found = np.sqrt(np.einsum("ij,ij->i", scores, scores))
    return np.where(found > 0, found, 1.0).astype(np.float32)


def parameters(model: Scorer) -> dict[str, float | int | None]:
    """A model's numeric parameters."""
    return {
        name: value
        for name, value in vars(model).items()
        if not name.endswith("_") and isinstance(value, int | float)
    }
