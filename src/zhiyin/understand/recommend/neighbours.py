# pyright: standard, reportOptionalSubscript=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false
# (scipy types the shape of a sparse array as maybe None)
"""Neighbourhood models: items like hers, people like her."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy import sparse

from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.scorer import Additive, Scorer, blocks, top_k

Similarity = Literal["cosine", "pearson", "adjusted_cosine"]
SIMILARITIES = ("cosine", "pearson", "adjusted_cosine")


@dataclass
class ItemItem(Additive):
    """Products bought by the same customers as hers.

    Parameters
    ----------
    neighbours
        How many most similar products are kept for each product.
    shrinkage
        Added to the product of norms: similarities that rest on few buyers are drawn to 0.
    similarity
        `cosine`, `pearson` (values less their mean for the product) or `adjusted_cosine` (less
        their mean for the person). Values are ratings where there are some, otherwise 1 for a
        product that was bought; for these the mean counts all that were not, too.

    Notes
    -----
    sim(i, j) = v_i . v_j / (|v_i| |v_j| + shrinkage), sim(i, i) = 0; for bought or not and the
    cosine that is |buyers of both| / (sqrt(|buyers i| |buyers j|) + shrinkage). score(u, j) = sum
    of sim(i, j) r_ui over the products i that u bought, r_ui = 1 or her rating less her mean.
    Sources: Sarwar et al. (2001), *Item-based collaborative filtering*; Deshpande and Karypis
    (2004), *Item-based top-N recommendation algorithms*.
    """

    neighbours: int = 200
    shrinkage: float = 10.0
    similarity: Similarity = "cosine"
    name: str = "item_item"
    weights_: sparse.csr_array = field(init=False, repr=False)

    def _learn(self, history: History) -> None:
        values, offset = centre(history, self.similarity, by_person=False)
        self.weights_ = nearest(sparse.csr_array(values.T), offset, self.neighbours, self.shrinkage)

    def _read(self, history: History) -> None:
        self.rows_ = told(history)

    def score(self, codes: np.ndarray) -> np.ndarray:
        return (self.rows_[codes] @ self.weights_.T).toarray()

    def similar(self, product: int, *, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Codes and similarities of the `k` products most like `product`, best first."""
        row = self.weights_[[product]].toarray()
        best, value = top_k(row, min(k, row.shape[1]))
        return best[0][value[0] > 0], value[0][value[0] > 0]

    def evidence(self, targets: np.ndarray) -> np.ndarray:
        """(I, len(targets)) how much each product speaks for each target."""
        return self.weights_[targets].toarray().T


@dataclass
class UserUser(Scorer):
    """Products bought by the people most like her.

    Parameters
    ----------
    neighbours
        How many people; each counts by how like her she is.
    shrinkage, similarity
        As in `ItemItem`, with people and products changing places: `pearson` takes values less
        their mean for the person, `adjusted_cosine` less their mean for the product.

    Notes
    -----
    score(u, j) = sum of sim(u, v) r_vj over the nearest people v. Source: Resnick et al. (1994),
    *GroupLens*.
    """

    neighbours: int = 100
    shrinkage: float = 10.0
    similarity: Similarity = "cosine"
    name: str = "user_user"
    values_: sparse.csr_array = field(init=False, repr=False)
    told_: sparse.csr_array = field(init=False, repr=False)
    norms_: np.ndarray = field(init=False, repr=False)
    asked_: sparse.csr_array = field(init=False, repr=False)

    def _learn(self, history: History) -> None:
        values, _ = centre(history, self.similarity, by_person=True)
        self.values_, self.told_ = values[:-1], told(history)[:-1]
        self.norms_ = _norms(self.values_)

    def _read(self, history: History) -> None:
        self.asked_ = centre(history, self.similarity, by_person=True)[0]

    def score(self, codes: np.ndarray) -> np.ndarray:
        people, items = self.values_.shape
        scores = np.zeros((len(codes), items), dtype=np.float32)
        keep = min(self.neighbours, people)
        for part in blocks(len(codes), max(people, items)):
            rows = sparse.csr_array(self.asked_[codes[part]])
            near = (rows @ self.values_.T).toarray()
            near /= _norms(rows)[:, None] * self.norms_[None, :] + np.float32(self.shrinkage)
            if self.history_ is self.learned_:  # she is not her own neighbour
                known = np.flatnonzero(codes[part] < people)
                near[known, codes[part][known]] = 0
            if keep:
                best, value = top_k(near, keep)
                there = value.ravel() > 0
                row = np.repeat(np.arange(len(near)), keep)[there]
                place = (row, best.ravel()[there])
                weights = sparse.csr_array((value.ravel()[there], place), shape=near.shape)
                scores[part] = (weights @ self.told_).toarray()
        return scores


def told(history: History) -> sparse.csr_array:
    """(U + 1, I) what each person said: her rating less her mean, or 1 where there is none.

    One rating, or equal ones, say only that she took the product: 1 too.
    """
    if history.rating is None:
        return history.seen
    values = history.ratings
    mean = _mean(values, history.pairs.customer, history.shape[0])
    spread = np.abs(values - mean[history.pairs.customer])
    said = np.bincount(history.pairs.customer, spread, minlength=history.shape[0]) > 1e-6
    return history.matrix(
        np.where(said[history.pairs.customer], values - mean[history.pairs.customer], 1.0)
    )


def centre(
    history: History, similarity: Similarity, *, by_person: bool
) -> tuple[sparse.csr_array, np.ndarray | None]:
    """(U + 1, I) values whose cosines are the similarity; (I,) mean of implicit columns or None."""
    if similarity not in SIMILARITIES:
        raise InvalidParameter(
            f"there is no similarity {similarity!r}", hint=f"one of {', '.join(SIMILARITIES)}"
        )
    people, items = history.shape
    pairs = history.pairs
    if history.rating is None:
        if similarity == "cosine":
            return history.seen, None
        if similarity == "pearson" and not by_person:
            return history.seen, history.buyers / max(people, 1)
        owned = np.bincount(pairs.customer, minlength=people)  # 1 less the share she has
        side = 1 - owned / max(items, 1)
        if by_person and similarity == "adjusted_cosine":
            side = 1 - history.buyers / max(people, 1)
            return history.matrix(np.maximum(side[pairs.product], 1e-3)), None
        return history.matrix(np.maximum(side[pairs.customer], 1e-3)), None
    values = history.ratings
    if similarity == "cosine":
        return history.matrix(values), None
    per_person = (similarity == "adjusted_cosine") != by_person
    key, size = (pairs.customer, people) if per_person else (pairs.product, items)
    return history.matrix(values - _mean(values, key, size)[key]), None


def _mean(values: np.ndarray, key: np.ndarray, size: int) -> np.ndarray:
    count = np.bincount(key, minlength=size)
    return np.bincount(key, values, minlength=size) / np.maximum(count, 1)


def _norms(rows: sparse.csr_array) -> np.ndarray:
    squares = np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
    return np.sqrt(squares).astype(np.float32)


def nearest(
    rows: sparse.csr_array, mean: np.ndarray | None, neighbours: int, shrinkage: float
) -> sparse.csr_array:
    """(I, I) the largest positive similarities of each row of (I, U) values, less `mean`.

    Row by row: what her buyers have is summed by product, which no product of sparse matrices does
    as quickly.
    """
    items, people = rows.shape[0], max(rows.shape[1] - 1, 1)
    squares = np.asarray(rows.multiply(rows).sum(axis=1)).ravel().astype(np.float64)
    if mean is not None:
        squares = squares - people * mean**2
    norms = np.sqrt(np.maximum(squares, 1e-6)).astype(np.float32)
    similar, scale = np.empty(items, np.float32), np.empty(items, np.float32)
    mixed = _Mixed(rows)
    keep = min(neighbours, items)
    columns, values = np.zeros((items, keep), np.int32), np.zeros((items, keep), np.float32)
    for row in range(items):
        similar[:] = mixed.products(row)
        if mean is not None:
            similar -= people * mean[row] * mean
        np.multiply(norms, norms[row], out=scale)
        scale += np.float32(shrinkage)
        similar /= scale
        similar[row] = 0
        least = np.partition(similar, items - keep)[-keep]
        above = np.flatnonzero(similar >= least)  # includes every tie at the edge
        columns[row] = above[np.argsort(-similar[above], kind="stable")[:keep]]
        values[row] = similar[columns[row]]
    kept = values > 0
    place = (np.repeat(np.arange(items), keep)[kept.ravel()], columns[kept])
    return sparse.csr_array((values[kept], place), shape=(items, items))


class _Mixed:
    """Dot products of one row with all rows of a sparse matrix."""

    def __init__(self, rows: sparse.csr_array) -> None:
        columns = sparse.csr_array(rows.T)
        self._rows, self._starts = rows, columns.indptr.tolist()
        self._items = columns.indices.astype(np.intp)
        self._values = None if (rows.data == 1).all() else columns.data.astype(np.float64)

    def products(self, row: int) -> np.ndarray:
        """(I,) float64 or, where all values are 1, int64."""
        rows, starts = self._rows, self._starts
        mine = slice(rows.indptr[row], rows.indptr[row + 1])
        spans = [slice(starts[one], starts[one + 1]) for one in rows.indices[mine].tolist()]
        if not spans:
            return np.zeros(rows.shape[0])
        items = np.concatenate([self._items[span] for span in spans])
        if self._values is None:
            return np.bincount(items, minlength=rows.shape[0])
        values = [
            self._values[span] * value
            for span, value in zip(spans, rows.data[mine].tolist(), strict=True)
        ]
        return np.bincount(items, np.concatenate(values), minlength=rows.shape[0])
