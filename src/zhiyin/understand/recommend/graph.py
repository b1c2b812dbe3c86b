# pyright: standard, reportOptionalSubscript=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false
# (scipy types the shape of a sparse array as maybe None)
"""Closed-form filters on the graph of customers and products: walks, and its main directions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from scipy import linalg, sparse

from zhiyin.core.rng import Streams
from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.scorer import Faded, blocks


@dataclass
class Walks(Faded):
    """Products that people who share hers have bought: a normalised walk of three steps.

    Parameters
    ----------
    source, people, target
        How strongly a popular product of hers, a busy customer, and a popular recommended product
        are damped; 0: not at all.
    fade
        (1 + s) ** -fade is the weight of her product with s later ones.

    Notes
    -----
    score(u, j) = d_j^-target  sum_i w_ui d_i^-source  sum_v x_vi d_v^-people x_vj, with d the
    number of buyers or of products. `source` = `target` = 1/2 and `people` = 0 is the cosine;
    all 1/2 is the linear graph filter; `people` = `source` = 1 is RP3beta. Sources: Paudel et al.
    (2017); Shen et al. (2021), *How powerful is graph convolution for recommendation?* (GF-CF);
    Fu et al. (2022), *Revisiting neighborhood-based link prediction* (the exponents).
    """

    source: float = 0.5
    people: float = 0.5
    target: float = 0.5
    fade: float = 0.0
    name: str = "walks"
    reading: ClassVar = frozenset({"fade"})
    forth_: sparse.csr_array = field(init=False, repr=False)
    back_: sparse.csr_array = field(init=False, repr=False)

    def _learn(self, history: History) -> None:
        seen = history.seen
        products = np.maximum(history.buyers, 1).astype(np.float64)
        people = np.maximum(np.diff(seen.indptr), 1).astype(np.float64)
        into = sparse.diags_array(products**-self.source) @ seen.T
        self.forth_ = sparse.csr_array(into @ sparse.diags_array(people**-self.people))
        self.forth_ = self.forth_.astype(np.float32)
        onto = seen @ sparse.diags_array(products**-self.target)
        self.back_ = sparse.csr_array(onto).astype(np.float32)

    def score(self, codes: np.ndarray) -> np.ndarray:
        scores = np.empty((len(codes), self.back_.shape[1]), dtype=np.float32)
        for part in blocks(len(codes), max(self.back_.shape)):
            scores[part] = ((self.rows_[codes[part]] @ self.forth_) @ self.back_).toarray()
        return scores

    def evidence(self, targets: np.ndarray) -> np.ndarray:
        """(I, len(targets)) how much each product speaks for each target; 0 for itself."""
        weights = (self.forth_ @ self.back_[:, targets]).toarray()
        weights[targets, np.arange(len(targets))] = 0
        return weights


@dataclass
class Spectral(Faded):
    """What is left of a customer's products in the main directions of all purchases.

    Parameters
    ----------
    directions
        How many; at most a quarter of the smaller side.
    damping
        Exponent that damps popular products and busy customers before the directions are found.
    slope
        A direction counts (its singular value / the largest) ** slope; 0: all alike (an ideal low
        pass), 1: main ones more.
    target
        Scores are multiplied by (buyers of the product) ** target.
    fade
        As in `Walks`.
    seed
        Seed of the random start.

    Notes
    -----
    With R = D_u^-damping X D_i^-damping = U S V': scores = X D_i^-damping V (S / s1)^slope V'
    D_i^target. `damping` 1/2, `slope` 0, `target` 1/2 is the low-pass term of GF-CF (Shen et al.
    2021). V by randomised subspace iteration (Halko et al. 2011).
    """

    directions: int = 256
    damping: float = 0.25
    slope: float = 1.0
    target: float = 0.0
    fade: float = 0.0
    seed: int = 0
    name: str = "spectral"
    reading: ClassVar = frozenset({"fade", "slope", "target"})
    basis_: np.ndarray = field(init=False, repr=False)
    values_: np.ndarray = field(init=False, repr=False)

    def _learn(self, history: History) -> None:
        key = ("directions", self.directions, self.damping, self.seed)
        if key not in history.memo:
            history.memo[key] = self._find(history)
        self.basis_, self.values_ = history.memo[key]

    def _find(self, history: History) -> tuple[np.ndarray, np.ndarray]:
        seen = history.seen
        products = np.maximum(history.buyers, 1).astype(np.float64)
        people = np.maximum(np.diff(seen.indptr), 1).astype(np.float64)
        damped = sparse.diags_array(people**-self.damping) @ seen
        damped = sparse.csr_array(damped @ sparse.diags_array(products**-self.damping))
        width = min(self.directions, min(seen.shape) // 4)
        return find_directions(damped.astype(np.float32), max(width, 1), seed=self.seed)

    def score(self, codes: np.ndarray) -> np.ndarray:
        into, onto = self._ends()
        return (self.rows_[codes] @ into) @ onto.T

    def evidence(self, targets: np.ndarray) -> np.ndarray:
        """(I, len(targets)) how much each product speaks for each target; 0 for itself."""
        into, onto = self._ends()
        weights = into @ onto[targets].T
        weights[targets, np.arange(len(targets))] = 0
        return weights

    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        products = np.maximum(self.learned_.buyers, 1).astype(np.float64)
        shape = (self.values_ / max(float(self.values_.max(initial=0)), 1e-9)) ** self.slope
        into = (products**-self.damping)[:, None] * self.basis_ * shape
        onto = (products**self.target)[:, None] * self.basis_
        return into.astype(np.float32), onto.astype(np.float32)


def find_directions(
    matrix: sparse.csr_array, width: int, *, seed: int, rounds: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    """(I, width) right singular vectors, and their singular values, largest first."""
    items = matrix.shape[1]
    if not matrix.nnz:
        return np.zeros((items, width), dtype=np.float32), np.zeros(width, dtype=np.float32)
    extra = min(width + 16, *matrix.shape)
    rng = Streams(seed).generator("directions")
    start = rng.standard_normal((items, extra)).astype(np.float32)
    across = sparse.csr_array(matrix.T)
    for _ in range(rounds):
        start = _orthonormal(across @ (matrix @ start))
    left = matrix @ start
    values, turn = linalg.eigh((left.T @ left).astype(np.float64))
    best = np.argsort(-values)[:width]
    basis = start @ turn[:, best].astype(np.float32)
    sign = np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(basis.shape[1])])
    values = np.sqrt(np.maximum(values[best], 0)).astype(np.float32)
    return basis * np.where(sign == 0, 1, sign), values


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    return linalg.qr(columns, mode="economic", overwrite_a=True, check_finite=False)[0]
