"""What an action is expected to bring in a context, said about each decision by a model that has
not seen it (cross-fitting; Chernozhukov et al. 2018, *Econometrics Journal* 21:C1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from sklearn.ensemble import HistGradientBoostingRegressor

from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.offpolicy.log import DecisionLog, Floats, Ints

FOLDS = 5
SHRINKAGES = (10.0, 100.0, 1_000.0)
"""Decisions' worth of doubt that an action differs from the others; the best is taken."""
MOST_KINDS = 255  # that the trees take as categories

Fitter: TypeAlias = Callable[[Floats, Ints, Floats, int], Callable[[Floats], ArrayLike]]
"""(contexts, actions, rewards, k) → a function from contexts (m, d) to rewards (m, k)."""
RewardModel: TypeAlias = str | Fitter | ArrayLike
"""`linear`, `trees`, a fitter, or the expected rewards (n, k), made without the decisions."""


def predict_rewards(log: DecisionLog, model: RewardModel = "linear") -> Floats:
    """(n, k) expected reward of each action in each decision's context.

    `linear`: a ridge regression on the standardised context for all actions, and one per action
    on what it leaves, shrunk to nothing where the action was taken seldom; the shrinkage with the
    least error on decisions left out is taken. `trees`: gradient boosting on context and action,
    for effects that are not linear; some hundred times as dear.

    Decisions of one customer are left out together. Folds are by position, not drawn.

    Raises
    ------
    InvalidParameter
        If the model's name is unknown, or it gives another shape.
    """
    units = np.arange(log.n) if log.customers is None else log.customers
    folds = units % min(FOLDS, int(units.max()) + 1)
    if isinstance(model, str):
        if model not in ("linear", "trees"):
            raise InvalidParameter(f"the reward model is linear or trees, not {model!r}")
        return _linear(log, folds) if model == "linear" else _crossed(log, folds, fit_trees)
    if callable(model):
        return _crossed(log, folds, model)
    given = np.asarray(model, np.float64)
    if given.shape != (log.n, log.n_actions):
        raise InvalidParameter(
            f"expected rewards are of shape {(log.n, log.n_actions)}, not {given.shape}"
        )
    return given


def fit_trees(contexts: Floats, actions: Ints, rewards: Floats, k: int) -> Callable:
    """Gradient boosting on the context and the action, the action as a category."""
    kinds = [contexts.shape[1]] if k <= MOST_KINDS else None
    fitted = HistGradientBoostingRegressor(
        max_iter=60, learning_rate=0.1, max_leaf_nodes=15, categorical_features=kinds,
        random_state=0, early_stopping=False,
    ).fit(np.column_stack([contexts, actions]), rewards)  # fmt: skip

    def predict(new: Floats) -> Floats:
        made = np.empty((len(new), k))
        for a in range(k):
            made[:, a] = fitted.predict(np.column_stack([new, np.full(len(new), a)]))
        return made

    return predict


def _crossed(log: DecisionLog, folds: Ints, fit: Fitter) -> Floats:
    made = np.empty((log.n, log.n_actions))
    for fold in range(int(folds.max()) + 1):
        out = folds == fold
        learn = ~out if not out.all() else out
        predict = fit(log.contexts[learn], log.actions[learn], log.rewards[learn], log.n_actions)
        made[out] = np.asarray(predict(log.contexts[out]), np.float64)
    return made


def _linear(log: DecisionLog, folds: Ints) -> Floats:
    z = _standardised(log.contexts)
    count, k = int(folds.max()) + 1, log.n_actions
    grams, moments = _sums(z, log, folds, count)
    if count > 1:  # what the other folds say
        grams, moments = grams.sum(axis=0) - grams, moments.sum(axis=0) - moments
    eye = np.eye(z.shape[1])
    bare = eye.copy()
    bare[0, 0] = 1e-9  # the mean is not shrunk
    shared = np.linalg.solve(grams.sum(axis=1) + bare, moments.sum(axis=1)[..., None])[..., 0]
    left = moments - np.einsum("fkij,fj->fki", grams, shared)
    best, weights = np.inf, np.empty(0)
    for shrinkage in SHRINKAGES:
        own = np.linalg.solve(grams + shrinkage * eye, left[..., None])[..., 0]
        tried = shared[:, None, :] + own  # (folds, k, d + 1)
        said = np.einsum("nd,nd->n", z, tried[folds, log.actions])
        error = float(((log.rewards - said) ** 2).mean())
        if error < best:
            best, weights = error, tried
    made = np.empty((log.n, k))
    for fold in range(count):
        out = folds == fold
        made[out] = z[out] @ weights[fold].T
    return made


def _standardised(contexts: Floats) -> Floats:
    spread = contexts.std(axis=0)
    z = (contexts - contexts.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.column_stack([np.ones(len(z)), z])


def _sums(z: Floats, log: DecisionLog, folds: Ints, count: int) -> tuple[Floats, Floats]:
    """Z'Z (folds, k, d + 1, d + 1) and Z'r (folds, k, d + 1) of each fold and action."""
    k, width = log.n_actions, z.shape[1]
    cell = folds * k + log.actions
    order = np.argsort(cell, kind="stable")
    z, r = z[order], log.rewards[order]
    ends = np.cumsum(np.bincount(cell, minlength=count * k))
    grams = np.zeros((count * k, width, width))
    moments = np.zeros((count * k, width))
    start = 0
    for j, end in enumerate(ends):
        part = z[start:end]
        grams[j], moments[j] = part.T @ part, part.T @ r[start:end]
        start = end
    return grams.reshape(count, k, width, width), moments.reshape(count, k, width)
