# pyright: standard, reportOptionalSubscript=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false
# (scipy types the shape of a sparse array as maybe None, and leaves LAPACK out)
"""EASE: the closed-form linear item model, solved on the smaller side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from scipy import linalg, sparse

from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.recommender import Recommender, blocks

_KEEP_CELLS = 64_000_000  # A X is kept where it takes at most 256 MB
_DENSE_FROM = 0.04  # density from which a dense product beats the sparse one, on one thread
_MIRROR_ROWS = 256


@dataclass
class Ease(Recommender):
    """Every product is predicted from a customer's other products by ridge regression.

    Parameters
    ----------
    ridge
        Ridge penalty as a multiple of the mean squared norm of a customer's row, > 0.
    scale_days
        A bought product has the weight exp(-days since its last purchase / scale).
    max_side
        Largest matrix that is inverted. Where customers and products are both more, an even
        sample of `max_side` customers is what the model learns from; all can be scored.

    Notes
    -----
    B = I - P diag(1 / diag P), P = (X'X + lambda I)^-1, scores X B; B has a zero diagonal.
    Source: Steck (2019), *Embarrassingly shallow autoencoders for sparse data*. With fewer
    customers than products, Woodbury's identity needs only the customers' Gram matrix:
    P = (I - X' A X) / lambda with A = (X X' + lambda I)^-1. In float32 by Cholesky.
    """

    ridge: float = 4.0
    scale_days: float = 365.0
    max_side: int = 6000
    name: str = "ease"
    weights_: sparse.csr_array = field(init=False, repr=False)
    basis_: sparse.csr_array = field(init=False, repr=False)
    by_customers_: bool = field(init=False)
    inverse_: np.ndarray = field(init=False, repr=False)
    solved_: np.ndarray | None = field(init=False, repr=False, default=None)
    scale_: np.ndarray = field(init=False, repr=False)
    place_: np.ndarray = field(init=False, repr=False)
    penalty_: np.float32 = field(init=False)
    history_: History = field(init=False, repr=False)

    def fit(self, history: History) -> Self:
        self._read(history)
        self._solve(_gram(self.basis_, by_rows=self.by_customers_))
        return self

    def fit_path(self, history: History, ridges: Sequence[float]) -> Iterator[Ease]:
        """The same model once for each penalty; what they share is computed once."""
        self._read(history)
        gram = _gram(self.basis_, by_rows=self.by_customers_)
        for ridge in ridges:
            model = replace(self, ridge=ridge)
            model.history_, model.weights_ = history, self.weights_
            model.basis_, model.by_customers_ = self.basis_, self.by_customers_
            model.place_ = self.place_
            model._solve(gram.copy())
            yield model

    @property
    def history(self) -> History:
        return self.history_

    def score(self, codes: np.ndarray) -> np.ndarray:
        rows = self.weights_[codes]
        own = rows.toarray()
        if not self.by_customers_:
            return own - (rows @ self.inverse_) / self.scale_
        return own - self._residual(codes, rows, own) / self.scale_

    def _residual(self, codes: np.ndarray, rows: sparse.csr_array, own: np.ndarray) -> np.ndarray:
        """x - x X' A X; for a customer the model learned from it is lambda x her row of A X."""
        if self.solved_ is None:
            mixed = (rows @ self.basis_.T).toarray() @ self.inverse_
            return own - _times(mixed, self.basis_)
        place = self.place_[codes]
        inside = place >= 0
        left = np.empty_like(own)
        left[inside] = self.penalty_ * self.solved_[place[inside]]
        if not inside.all():
            mixed = (rows[~inside] @ self.basis_.T).toarray()
            left[~inside] = own[~inside] - mixed @ self.solved_
        return left

    def evidence(self, targets: np.ndarray) -> np.ndarray:
        """(I, len(targets)) float32 weights B: how much each product speaks for each target."""
        if not self.by_customers_:
            weights = -self.inverse_[:, targets] / self.scale_[targets]
        elif self.solved_ is not None:
            weights = (self.basis_.T @ self.solved_[:, targets]) / self.scale_[targets]
        else:
            columns = self.basis_.tocsc()[:, targets].toarray()
            weights = (self.basis_.T @ (self.inverse_ @ columns)) / self.scale_[targets]
        weights[targets, np.arange(len(targets))] = 0
        return weights

    def own_weights(self, code: int) -> tuple[np.ndarray, np.ndarray]:
        """Products that a customer has bought, and the weight each has for her."""
        start, end = self.weights_.indptr[code], self.weights_.indptr[code + 1]
        return self.weights_.indices[start:end], self.weights_.data[start:end]

    def _read(self, history: History) -> None:
        self.history_ = history
        last = history.pairs.last_days.astype(np.float64)
        self.weights_ = history.matrix(np.exp(-last / self.scale_days))
        chosen = _sample_rows(self.weights_, history.shape, self.max_side)
        self.basis_ = self.weights_[chosen]
        self.place_ = np.full(self.weights_.shape[0], -1, dtype=np.int64)
        self.place_[chosen] = np.arange(len(chosen))
        self.by_customers_ = self.basis_.shape[0] < history.shape[1]

    def _solve(self, gram: np.ndarray) -> None:
        side, items = self.basis_.shape
        mass = float((self.basis_.data.astype(np.float64) ** 2).sum())
        self.penalty_ = np.float32(max(self.ridge * mass / max(side, 1), 1e-3))
        gram[np.diag_indices_from(gram)] += self.penalty_
        self.inverse_ = _invert(gram)
        if not self.by_customers_:
            self.scale_ = np.diag(self.inverse_).copy()
            return
        if side * items <= _KEEP_CELLS:
            self.solved_ = np.empty((side, items), dtype=np.float32)
        drawn = np.empty(items)  # x_j' A x_j
        columns = self.basis_.tocsc()
        for part in blocks(items, side):
            block = columns[:, part]
            solved = _times(self.inverse_, block)
            drawn[part] = block.multiply(solved).sum(axis=0)
            if self.solved_ is not None:
                self.solved_[:, part] = solved
        self.scale_ = np.maximum(1 - drawn, 1e-6).astype(np.float32)  # lambda x diag P


def _sample_rows(weights: sparse.csr_array, shape: tuple[int, int], max_side: int) -> np.ndarray:
    """Rows with an entry; an even sample of them where both sides are longer than allowed."""
    filled = np.flatnonzero(np.diff(weights.indptr))
    if len(filled) > max_side and shape[1] > max_side:
        filled = filled[np.linspace(0, len(filled) - 1, max_side).astype(np.int64)]
    return filled


def _gram(rows: sparse.csr_array, *, by_rows: bool) -> np.ndarray:
    """X X' (`by_rows`) or X'X, dense float32, summed over bounded blocks."""
    side, other = rows.shape if by_rows else rows.shape[::-1]
    total = np.zeros((side, side), dtype=np.float32)
    cut = rows.tocsc() if by_rows else rows
    dense = rows.nnz > _DENSE_FROM * side * other
    for part in blocks(other, side):
        block = cut[:, part] if by_rows else cut[part].T.tocsc()
        if dense:
            block = block.toarray()
            total += block @ block.T
        else:
            total += (block @ block.T).toarray()
    return total


def _times(left: np.ndarray, right: sparse.csr_array) -> np.ndarray:
    """Dense (n, m) times sparse (m, I), by whichever product is quicker."""
    if right.nnz < _DENSE_FROM * right.shape[0] * right.shape[1]:
        return np.ascontiguousarray((right.T.tocsr() @ left.T).T)
    out = np.empty((left.shape[0], right.shape[1]), dtype=np.float32)
    columns = right.tocsc()
    for part in blocks(right.shape[1], right.shape[0]):
        out[:, part] = left @ columns[:, part].toarray()
    return out


def _invert(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a symmetric positive definite float32 matrix, by Cholesky, in its place."""
    if not matrix.size:
        return matrix
    factor, failed = linalg.lapack.spotrf(matrix.T, lower=True, clean=False, overwrite_a=True)
    inverse, status = linalg.lapack.spotri(factor, lower=True, overwrite_c=True)
    if failed or status:  # cannot happen with a positive penalty; said rather than ignored
        raise np.linalg.LinAlgError(f"spotrf returned {failed}, spotri {status}")
    for start in range(0, len(inverse), _MIRROR_ROWS):
        end = start + _MIRROR_ROWS
        inverse[start:end, end:] = inverse[end:, start:end].T
        corner = inverse[start:end, start:end]
        corner[:] = np.tril(corner) + np.tril(corner, -1).T
    return np.ascontiguousarray(inverse.T)
