"""Let models compete on a plain table and blend what they say.

Everything happens on training rows: they are parted into inner folds, each contender is fitted on
all but one and speaks about the one left out. What they said there chooses the blend, its
calibration and the threshold. A later row is scored by the mean of the models of all inner folds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.model_selection import StratifiedKFold

from zhiyin.core.extras import lightgbm_or_none
from zhiyin.core.protocols import Model
from zhiyin.core.rng import Streams
from zhiyin.understand.predict.calibration import fit_platt
from zhiyin.understand.predict.candidates import Maker
from zhiyin.understand.predict.encoding import SmoothColumns, SplitColumns
from zhiyin.understand.predict.forest import Forest
from zhiyin.understand.predict.linear import KernelSvm, Logistic
from zhiyin.understand.predict.network import Network
from zhiyin.understand.predict.occasions import OccasionColumns, find_shared
from zhiyin.understand.predict.quality import auc, best_threshold, log_loss
from zhiyin.understand.predict.scaling import sigmoid
from zhiyin.understand.predict.stacking import Stack, fit_stack, judge_stack, to_margins
from zhiyin.understand.predict.table import Parsed
from zhiyin.understand.predict.trees import Boosting, LightGbm, Tree

INNER = 5
INNER_LARGE = 3
LARGE = 60_000  # rows from which three inner folds are enough
CLOSE = 1.02  # log-loss, as a ratio to the best, up to which a contender always stays
USEFUL = 0.1  # share of the weight in the blend of the first inner fold that lets others stay
SURE = 1.645  # standard errors that a gain by what rows share must be above 0
LEAST_ROWS = 1_000  # fewer training rows say too little to send a contender away early


@dataclass(frozen=True)
class Contender:
    """A maker of models, the columns it reads, and the most rows that it is fitted on."""

    make: Maker
    smooth: bool
    most_rows: int = 1_000_000


@dataclass(frozen=True)
class Score:
    """What a contender got on inner folds: `folds` of them, fewer where it left the race."""

    auc: float
    log_loss: float
    folds: int


@dataclass(frozen=True)
class _Member:
    smooth: bool
    models: tuple[Model, ...]  # one an inner fold


@dataclass(frozen=True)
class Blended:
    """The fitted winner with what was learned of it inside."""

    name: str
    weights: Mapping[str, float]
    scores: Mapping[str, Score]
    threshold: float  # probability from which choosing gives the best F1
    stack: Stack
    members: tuple[_Member, ...]
    columns: tuple[_Columns, ...]  # one an inner fold

    def predict(self, parsed: Parsed) -> np.ndarray:
        """Calibrated P(label = 1) of each row."""
        margins = np.zeros((len(parsed), len(self.members)))
        for k, columns in enumerate(self.columns):
            features = columns.transform(parsed)
            for j, member in enumerate(self.members):
                margins[:, j] += to_margins(member.models[k].predict(features[member.smooth]))
        return self.stack.apply(margins / len(self.columns))


def contenders() -> dict[str, Contender]:
    """Those who compete on a plain table; LightGBM where it loads, else scikit-learn's boosting."""
    if lightgbm_or_none() is not None:
        name, boost = "lightgbm", partial(LightGbm, row_share=0.7, column_share=0.3)
    else:
        name, boost = "boosting", partial(Boosting, column_share=0.3)
    return {
        "logistic": Contender(
            partial(Logistic, strength=0.3, prepared=True), smooth=True, most_rows=100_000
        ),
        "logistic_strict": Contender(
            partial(Logistic, strength=0.03, prepared=True), smooth=True, most_rows=100_000
        ),
        name: Contender(partial(boost, trees=300, rate=0.03, leaves=8), smooth=False),
        f"{name}_deep": Contender(partial(boost, trees=300, rate=0.04, leaves=15), smooth=False),
        "forest": Contender(partial(Forest, trees=50), smooth=False, most_rows=10_000),
        "network": Contender(partial(Network, members=2), smooth=True, most_rows=40_000),
        "svm": Contender(KernelSvm, smooth=True, most_rows=4_000),
        "tree": Contender(partial(Tree, depth=5, leaf_share=0.02), smooth=False),
    }


def compete(parsed: Parsed, labels: np.ndarray, *, streams: Streams) -> Blended:
    """Fit, compare and blend contenders on training rows.

    After the first inner fold only those race on who are close to the best there or have a weight
    in its blend: a weaker model that errs elsewhere is worth its time, one that errs alike is not.
    The winner is the blend, or the best single contender where the blend is not better on inner
    folds that its weights were not fitted on.
    """
    fold = inner_folds(labels, streams=streams)
    count = int(fold.max()) + 1
    racing = contenders()
    margins = {name: np.full(len(labels), np.nan) for name in racing}
    models: dict[str, list[Model]] = {name: [] for name in racing}
    shared = _useful_shared(parsed, labels, fold, streams=streams)
    learned = []
    for k in range(count):
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        rows, rng = parsed.rows(train), streams.generator(f"columns/{k}")
        columns = _Columns.fit(rows, labels[train], shared=shared, rng=rng)
        learned.append(columns)
        seen, left_out = columns.transform_training(rows), columns.transform(parsed.rows(test))
        for name, contender in racing.items():
            rng = streams.generator(f"{name}/{k}")
            rows = _sample(labels[train], contender.most_rows, rng=rng)
            features = seen[contender.smooth][rows]
            model = contender.make().fit(features, labels[train][rows], rng=rng)
            models[name].append(model)
            margins[name][test] = to_margins(model.predict(left_out[contender.smooth]))
        if k == 0 and len(train) >= LEAST_ROWS:
            racing = _keep(racing, margins, labels, test)
    scores = _scores(margins, labels, fold)
    names = list(racing)
    stacked = np.column_stack([margins[name] for name in names])
    stack, name = _choose(names, stacked, labels, fold)
    used = [j for j in range(len(names)) if stack.weights[j] > 0]
    weights = {names[j]: float(stack.weights[j]) for j in used}
    threshold = best_threshold(labels, stack.apply(stacked))
    members = tuple(_Member(racing[n].smooth, tuple(models[n])) for n in weights)
    final = Stack(stack.weights[used], stack.intercept)
    return Blended(name, weights, scores, threshold, final, members, tuple(learned))


def inner_folds(labels: np.ndarray, *, streams: Streams) -> np.ndarray:
    """The inner fold of each training row, classes in equal shares."""
    count = INNER if len(labels) < LARGE else INNER_LARGE
    rarer = int(min(labels.sum(), len(labels) - labels.sum()))
    seed = int(streams.generator("inner").integers(2**31 - 1))
    plan = StratifiedKFold(min(count, rarer), shuffle=True, random_state=seed)
    fold = np.empty(len(labels), dtype=np.int64)
    for k, (_, test) in enumerate(plan.split(np.zeros((len(labels), 1)), labels)):
        fold[test] = k
    return fold


@dataclass(frozen=True)
class _Columns:
    """What was learned to make columns: True for models that add, False for trees."""

    smooth: SmoothColumns
    split: SplitColumns
    occasions: OccasionColumns | None

    @classmethod
    def fit(
        cls, rows: Parsed, labels: np.ndarray, *, shared: tuple[int, ...], rng: np.random.Generator
    ) -> _Columns:
        smooth = SmoothColumns().fit(rows, labels, rng=rng)
        split = SplitColumns().fit(rows, labels, rng=rng)
        occasions = OccasionColumns(shared).fit(rows, labels, rng=rng) if shared else None
        return cls(smooth, split, occasions)

    def transform(self, rows: Parsed) -> dict[bool, np.ndarray]:
        made = {True: self.smooth.transform(rows), False: self.split.transform(rows)}
        more = None if self.occasions is None else self.occasions.transform(rows)
        return self._with(made, more)

    def transform_training(self, rows: Parsed) -> dict[bool, np.ndarray]:
        made = {
            True: self.smooth.transform_training(rows),
            False: self.split.transform_training(rows),
        }
        more = None if self.occasions is None else self.occasions.transform_training(rows)
        return self._with(made, more)

    def _with(
        self, made: dict[bool, np.ndarray], more: np.ndarray | None
    ) -> dict[bool, np.ndarray]:
        if self.occasions is None or more is None:
            return made
        scaled = self.occasions.scale(more)
        return {True: np.hstack([made[True], scaled]), False: np.hstack([made[False], more])}


def _useful_shared(
    parsed: Parsed, labels: np.ndarray, fold: np.ndarray, *, streams: Streams
) -> tuple[int, ...]:
    """Columns of what rows share, if logistic regression says more with them of the first fold.

    More: by log-loss of the rows left out, and by what chance would give one time in twenty.
    """
    shared = find_shared(parsed, rng=streams.generator("shared"))
    if not shared:
        return ()
    train, test = np.flatnonzero(fold != 0), np.flatnonzero(fold == 0)
    rng = streams.generator("shared/0")
    judge = contenders()["logistic"]
    train = train[_sample(labels[train], judge.most_rows, rng=rng)]
    rows, known = parsed.rows(train), labels[train]
    columns = _Columns.fit(rows, known, shared=shared, rng=rng)
    seen, left_out = (
        columns.transform_training(rows)[True],
        columns.transform(parsed.rows(test))[True],
    )
    losses = []
    for d in (columns.smooth.mean_.size, seen.shape[1]):
        said = judge.make().fit(seen[:, :d], known, rng=rng).predict(left_out[:, :d])
        truth = labels[test].astype(float)
        p = fit_platt(said, truth, np.ones(len(test))).apply(said).clip(1e-9, 1 - 1e-9)
        losses.append(-np.where(truth == 1, np.log(p), np.log1p(-p)))
    gain = losses[0] - losses[1]
    sure = gain.mean() > SURE * gain.std() / np.sqrt(len(gain))
    return shared if sure else ()


def _sample(labels: np.ndarray, most: int, *, rng: np.random.Generator) -> np.ndarray:
    """Row numbers: all, or `most` of them by chance, with both classes in their shares."""
    if len(labels) <= most:
        return np.arange(len(labels))
    chosen = [
        rng.choice(rows, size=max(1, round(most * len(rows) / len(labels))), replace=False)
        for rows in (np.flatnonzero(labels == 1), np.flatnonzero(labels == 0))
    ]
    return np.sort(np.concatenate(chosen))


def _calibrated_loss(margin: np.ndarray, labels: np.ndarray) -> float:
    platt = fit_platt(sigmoid(margin), labels.astype(float), np.ones(len(labels)))
    return log_loss(labels, platt.apply(sigmoid(margin)))


def _keep(
    racing: Mapping[str, Contender],
    margins: Mapping[str, np.ndarray],
    labels: np.ndarray,
    test: np.ndarray,
) -> dict[str, Contender]:
    losses = {name: _calibrated_loss(margins[name][test], labels[test]) for name in racing}
    weights = fit_stack(np.column_stack([margins[n][test] for n in racing]), labels[test]).weights
    useful = dict(zip(racing, weights >= USEFUL * weights.sum(), strict=True))
    bound = CLOSE * min(losses.values())
    return {n: one for n, one in racing.items() if useful[n] or losses[n] <= bound}


def _scores(
    margins: Mapping[str, np.ndarray], labels: np.ndarray, fold: np.ndarray
) -> dict[str, Score]:
    """AUC and log-loss of each contender, comparable also where one left the race early.

    Such a one gets the figure of the best who stayed, plus their difference on the folds that both
    spoke about.
    """
    made: dict[str, Score] = {}
    whole = {n: m for n, m in margins.items() if not np.isnan(m).any()}
    every = {n: _figures(m, labels, fold) for n, m in whole.items()}
    best = min(every, key=lambda n: every[n][1])
    for name, margin in margins.items():
        rows = ~np.isnan(margin)
        own = _figures(margin[rows], labels[rows], fold[rows])
        if name not in whole:
            there = _figures(margins[best][rows], labels[rows], fold[rows])
            own = (own[0] - there[0] + every[best][0], own[1] - there[1] + every[best][1])
        made[name] = Score(*own, folds=len(np.unique(fold[rows])))
    return made


def _figures(margin: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> tuple[float, float]:
    """Mean AUC of the folds and calibrated log-loss."""
    found = [auc(labels[fold == k], margin[fold == k]) for k in np.unique(fold)]
    return float(np.mean(found)), _calibrated_loss(margin, labels)


def _choose(
    names: list[str], margins: np.ndarray, labels: np.ndarray, fold: np.ndarray
) -> tuple[Stack, str]:
    """The blend, or the one contender that is better, by log-loss on inner folds left out."""
    blend = judge_stack(margins, labels, fold)
    single = [judge_stack(margins[:, [j]], labels, fold) for j in range(len(names))]
    best = int(np.argmin(single))
    if blend < single[best] or len(names) == 1:
        stack = fit_stack(margins, labels)
        used = int((stack.weights > 0).sum())
        return stack, "blend" if used > 1 else names[int(np.argmax(stack.weights))]
    alone = fit_stack(margins[:, [best]], labels)
    weights = np.zeros(len(names))
    weights[best] = alone.weights[0]
    return Stack(weights, alone.intercept), names[best]
