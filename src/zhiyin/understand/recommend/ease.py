# pyright: standard, reportOptionalSubscript=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false
# (scipy types the shape of a sparse array as maybe None, and leaves LAPACK out)
"""EASE: the closed-form linear item model, solved on the smaller side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from scipy import linalg, sparse

from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.scorer import Additive, blocks

_KEEP_CELLS = 64_000_000  # A X is kept where it takes at most 256 MB
_DENSE_FROM = 0.04  # density from which a dense product beats the sparse one, on one thread
_MIRROR_ROWS = 256


@dataclass
class Ease(Additive):
    """Every product is predicted from a customer's other products by ridge regression.

    Parameters
    ----------
    ridge
        Ridge penalty as a multiple of the mean squared norm of a customer's row, > 0.
    scale_days
        A bought product has the weight exp(-days since its last purchase / scale).
    fade
        Where given, products weigh 1 in learning, and (1 + s) ** -fade in scoring, s = 0 for the
        customer's latest product, 1 for the one before …; `scale_days` is not used.
    max_side
        Largest matrix that is inverted. Where customers and products are both more, the model is
        exact for the `max_side` products with the most buyers and says nothing of the others.

    Notes
    -----
    B = I - P diag(1 / diag P), P = (X'X + lambda I)^-1, scores X B; B has a zero diagonal.
    Source: Steck (2019), *Embarrassingly shallow autoencoders for sparse data*. With fewer
    customers than products, Woodbury's identity needs only the customers' Gram matrix:
    P = (I - X' A X) / lambda with A = (X X' + lambda I)^-1. In float32 by Cholesky.
    """

    ridge: float = 4.0
    scale_days: float = 365.0
    fade: float | None = None
    max_side: int = 6000
    name: str = "ease"
    reading: ClassVar = frozenset({"fade"})
    basis_: sparse.csr_array = field(init=False, repr=False)
    by_customers_: bool = field(init=False)
    inverse_: np.ndarray = field(init=False, repr=False)
    solved_: np.ndarray | None = field(init=False, repr=False, default=None)
    scale_: np.ndarray = field(init=False, repr=False)
    head_: np.ndarray | None = field(init=False, repr=False, default=None)
    filled_: np.ndarray = field(init=False, repr=False)
    place_: np.ndarray = field(init=False, repr=False)
    penalty_: np.float32 = field(init=False)

    def _learn(self, history: History) -> None:
        self._set_basis(history)
        self._solve(_gram(self.basis_, by_rows=self.by_customers_))

    def _read(self, history: History) -> None:
        self.rows_ = history.matrix(self._weigh(history, learning=False))
        self.place_ = np.full(self.rows_.shape[0], -1, dtype=np.int64)
        if history is self.learned_ and not self.fade:  # she weighs as she did in learning
            self.place_[self.filled_] = np.arange(len(self.filled_))

    def fit_path(self, history: History, ridges: Sequence[float]) -> Iterator[Ease]:
        """The same model once for each penalty; what they share is computed once."""
        self._set_basis(history)
        gram = _gram(self.basis_, by_rows=self.by_customers_)
        for ridge in ridges:
            model = replace(self, ridge=ridge)
            model.learned_ = model.history_ = history
            model.basis_, model.by_customers_ = self.basis_, self.by_customers_
            model.filled_, model.head_ = self.filled_, self.head_
            model._solve(gram.copy())
            model._read(history)
            yield model

    def score(self, codes: np.ndarray) -> np.ndarray:
        rows = self.rows_[codes]
        if self.head_ is not None:
            scores = np.zeros(rows.shape, dtype=np.float32)
            scores[:, self.head_] = self._score(codes, rows[:, self.head_])
            return scores
        return self._score(codes, rows)

    def _score(self, codes: np.ndarray, rows: sparse.csr_array) -> np.ndarray:
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
        if self.head_ is None:
            return self._evidence(targets)
        place = np.searchsorted(self.head_, targets)
        place = np.minimum(place, len(self.head_) - 1)
        known = np.flatnonzero(self.head_[place] == targets)
        weights = np.zeros((self.learned_.shape[1], len(targets)), dtype=np.float32)
        weights[self.head_[:, None], known] = self._evidence(place[known])
        return weights

    def _evidence(self, targets: np.ndarray) -> np.ndarray:
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
        start, end = self.rows_.indptr[code], self.rows_.indptr[code + 1]
        return self.rows_.indices[start:end], self.rows_.data[start:end]

    def _weigh(self, history: History, *, learning: bool) -> np.ndarray:
        if self.fade is None:
            return np.exp(-history.pairs.last_days.astype(np.float64) / self.scale_days)
        if learning:
            return np.ones(len(history.pairs.customer))
        return history.faded(self.fade)

    def _set_basis(self, history: History) -> None:
        if self.ridge < 0:
            raise InvalidParameter(f"ridge is {self.ridge}, it must not be negative")
        weights = history.matrix(self._weigh(history, learning=True))
        filled = np.flatnonzero(np.diff(weights.indptr))
        items = history.shape[1]
        self.head_ = None
        if len(filled) > self.max_side and items > self.max_side:
            order = np.argsort(-history.buyers, kind="stable")[: self.max_side]
            self.head_ = np.sort(order)
            weights = weights[:, self.head_]
        self.basis_, self.filled_ = weights[filled], filled
        self.by_customers_ = self.basis_.shape[0] < self.basis_.shape[1]

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


def _gram(rows: sparse.csr_array, *, by_rows: bool) -> np.ndarray:
    """X X' (`by_rows`) or X'X, dense float32, in bounded blocks."""
    side, other = rows.shape if by_rows else rows.shape[::-1]
    total = np.zeros((side, side), dtype=np.float32)
    if rows.nnz > _DENSE_FROM * side * other:
        cut = rows.tocsc() if by_rows else rows
        for part in blocks(other, side):
            block = (cut[:, part] if by_rows else cut[part].T.tocsc()).toarray()
            total += block @ block.T
        return total
    left = rows if by_rows else rows.T.tocsr()
    right = left.T.tocsr()
    for part in blocks(side, side):
        (left[part] @ right).toarray(out=total[part])
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
