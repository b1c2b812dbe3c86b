# pyright: standard, reportOptionalSubscript=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false
# (scipy types the shape of a sparse array as maybe None)
"""A check set made from the training data: what models and their weights are chosen on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from zhiyin.understand.recommend.history import History, indicator, keep_rows
from zhiyin.understand.recommend.scorer import Scorer, blocks
from zhiyin.understand.recommend.transitions import Transitions

_MOST_PEOPLE = 3000
_MOST_CELLS = 36_000_000  # people x products of one model's scores: 144 MB
_PART, _PART_PEOPLE = 0.12, 250  # most people of a fold: the rest must stay as dense as it is
_FOLDS = 6
_SEVERAL_BELOW = 40_000_000  # people x products up to which several folds are affordable
_RANDOM_SHARE = 0.2
_DEPTHS = (10, 50)
_SURE = 2.5  # standard errors


@dataclass(frozen=True, eq=False)
class Held:
    """Some people's purchases, held out.

    Attributes
    ----------
    past
        The history without them; codes and products stay.
    codes
        (n,) the people.
    truth
        (n, I) 0/1, what was held out.
    kind
        `last` (her latest purchase) or `random` (a fifth of her products).
    """

    past: History
    codes: np.ndarray
    truth: sparse.csr_array
    kind: str

    def masked(self, model: Scorer) -> np.ndarray:
        """(n, I) float32 scores of these people; minus infinity for what they have already."""
        scores = np.empty(self.truth.shape, dtype=np.float32)
        for part in blocks(len(self.codes), scores.shape[1]):
            scores[part] = model.score(self.codes[part])
        seen = self.past.seen[self.codes]
        rows = np.repeat(np.arange(len(self.codes)), np.diff(seen.indptr))
        scores[rows, seen.indices] = -np.inf
        return scores

    def quality(self, scores: np.ndarray) -> np.ndarray:
        """(n,) mean of nDCG@10 and nDCG@50 of each person."""
        return gain(rank_truth(scores, self.truth), np.diff(self.truth.indptr))


def gain(ranks: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(n,) mean of nDCG@10 and nDCG@50 of each person, 0 for one without anything true.

    `ranks` are those of true items (0 is best), person by person; `counts` (n,) how many each has.
    """
    rows = np.repeat(np.arange(len(counts)), counts)
    total = np.zeros(len(counts))
    for depth in _DEPTHS:
        worth = np.where(ranks < depth, 1 / np.log2(ranks + 2.0), 0.0)
        ideal = np.r_[1.0, np.cumsum(1 / np.log2(np.arange(2.0, depth + 2)))]  # [0]: of nobody
        found = np.bincount(rows, worth, minlength=len(counts))
        total += np.where(counts > 0, found / ideal[np.minimum(counts, depth)], 0.0)
    return total / len(_DEPTHS)


def rank_truth(scores: np.ndarray, truth: sparse.csr_array) -> np.ndarray:
    """Rank of each entry of `truth` among its row of scores, ties at their worst."""
    ranks = np.empty(truth.nnz, dtype=np.int64)
    for row, values in enumerate(scores):
        start, end = truth.indptr[row], truth.indptr[row + 1]
        wanted = values[truth.indices[start:end]]
        ranks[start:end] = (values[None, :] >= wanted[:, None]).sum(axis=1) - 1
    return ranks


def hold_out(history: History, kind: str, rng: np.random.Generator) -> list[Held]:
    """Hold out what some people took last (`last`), or a random part (`random`).

    Returns
    -------
    Several folds where the data are small, each of other people: few at a time, so that what is
    left is as dense as what the chosen model will be fitted on. Empty where nobody has three
    products.
    """
    pairs = history.pairs
    owned = np.bincount(pairs.customer, minlength=history.shape[0])
    able = owned >= 3
    if kind == "last":
        able &= np.bincount(pairs.customer[history.steps > 0], minlength=history.shape[0]) > 0
    people = rng.permutation(np.flatnonzero(able))
    most = min(_MOST_PEOPLE, max(_MOST_CELLS // max(history.shape[1], 1), 50))
    size = min(most, max(int(_PART * len(people)), _PART_PEOPLE))
    folds = _FOLDS if history.shape[0] * history.shape[1] <= _SEVERAL_BELOW else 1
    starts = range(0, min(len(people), size * folds, most), size)
    drawn = rng.random(len(pairs.customer))
    return [_hold(history, np.sort(people[at : at + size]), kind, drawn) for at in starts]


def _hold(history: History, codes: np.ndarray, kind: str, drawn: np.ndarray) -> Held:
    pairs = history.pairs
    asked = np.zeros(history.shape[0], dtype=bool)
    asked[codes] = True
    if kind == "last":
        held = asked[pairs.customer] & (history.steps == 0)
    else:
        least = np.full(history.shape[0], 2.0)
        np.minimum.at(least, pairs.customer, drawn)
        chosen = (drawn < _RANDOM_SHARE) | (drawn == least[pairs.customer])
        held = asked[pairs.customer] & chosen
    past = keep_rows(history, ~np.repeat(held, pairs.times))
    held &= past.buyers[pairs.product] > 0  # nothing can be said of the others
    row = np.searchsorted(codes, pairs.customer[held])
    truth = indicator(row, pairs.product[held], (len(codes), history.shape[1]))
    truth.sort_indices()
    return Held(past, codes, truth, kind)


def order_matters(history: History, rng: np.random.Generator) -> bool:
    """Whether the order of people's purchases helps to tell what they take last.

    Notes
    -----
    What up to 3,000 people took last is predicted from what came before it, by transitions in the
    order there is and in a shuffled one. True where the first is better by 2.5 standard errors;
    where order is chance, that happens once in 160 times.
    """
    if history.clock == "none":
        return False
    folds = hold_out(history, "last", rng)
    if not folds:
        return False
    gains = []
    for held in folds:
        pairs = held.past.pairs
        shuffled = replace(
            held.past, customer=pairs.customer, product=pairs.product, amount=None, rating=None,
            age_days=rng.random(len(pairs.customer), dtype=np.float32),
        )  # fmt: skip
        model = Transitions(window=5)
        ordered = held.quality(held.masked(model.fit(held.past)))
        gains.append(ordered - held.quality(held.masked(model.fit(shuffled))))
    gained = np.concatenate(gains)
    error = float(gained.std()) / np.sqrt(len(gained))
    return bool(gained.mean() > _SURE * max(error, 1e-12))
