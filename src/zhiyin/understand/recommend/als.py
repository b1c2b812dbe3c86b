# pyright: standard, reportOptionalSubscript=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false
# (scipy types the shape of a sparse array as maybe None)
"""Matrix factorisation by alternating least squares, for counts that say how sure a taste is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from zhiyin.core.rng import Streams
from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.scorer import Scorer


@dataclass
class Als(Scorer):
    """A few hidden tastes of people and items, whose product tells what is taken.

    Parameters
    ----------
    factors
        How many hidden tastes.
    alpha
        A pair taken n times has the confidence 1 + alpha n.
    ridge
        Penalty on both sides.
    rounds
        Alternations.
    seed
        Seed of the random start.

    Notes
    -----
    Minimises sum_ui c_ui (p_ui - x_u . y_i)^2 + ridge (sum |x|^2 + sum |y|^2), p = 1 where taken,
    c = 1 + alpha n. New people are folded in: one solve with the items as they are. Source: Hu,
    Koren, Volinsky (2008), *Collaborative filtering for implicit feedback datasets*.
    """

    factors: int = 64
    alpha: float = 10.0
    ridge: float = 5.0
    rounds: int = 12
    seed: int = 0
    name: str = "als"
    items_: np.ndarray = field(init=False, repr=False)
    tastes_: np.ndarray = field(init=False, repr=False)
    counts_: sparse.csr_array = field(init=False, repr=False)

    def _learn(self, history: History) -> None:
        counts = history.matrix(history.amounts)
        rng = Streams(self.seed).generator("als")
        shape = (history.shape[1], self.factors)
        self.items_ = rng.normal(0, 0.1 / np.sqrt(self.factors), shape).astype(np.float32)
        by_item = sparse.csr_array(counts.T)
        for _ in range(self.rounds):
            people = self._solve(counts, self.items_)
            self.items_ = self._solve(by_item, people)

    def _read(self, history: History) -> None:
        self.counts_ = history.matrix(history.amounts)

    def score(self, codes: np.ndarray) -> np.ndarray:
        return self._solve(sparse.csr_array(self.counts_[codes]), self.items_) @ self.items_.T

    def _solve(self, counts: sparse.csr_array, fixed: np.ndarray) -> np.ndarray:
        """(n, factors): each row's best tastes, with the other side fixed; 0 for empty rows."""
        gram = fixed.T @ fixed + self.ridge * np.eye(self.factors, dtype=np.float32)
        found = np.zeros((counts.shape[0], self.factors), dtype=np.float32)
        for row in np.flatnonzero(np.diff(counts.indptr)):
            start, end = counts.indptr[row], counts.indptr[row + 1]
            taken = fixed[counts.indices[start:end]]
            sure = self.alpha * counts.data[start:end]
            left = gram + (taken.T * sure) @ taken
            found[row] = np.linalg.solve(left, taken.T @ (1 + sure))
        return found
