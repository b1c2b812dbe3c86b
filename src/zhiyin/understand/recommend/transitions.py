# pyright: standard, reportOptionalSubscript=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false
# (scipy types the shape of a sparse array as maybe None)
"""What people take after what: the order of purchases as a signal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from scipy import sparse

from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.scorer import Faded

_MOST_ENTRIES = 24_000_000


@dataclass
class Transitions(Faded):
    """Products that others took after the latest of hers.

    Parameters
    ----------
    gap
        j taken g steps after i counts g ** -gap.
    back
        Weight of the opposite order: j taken before i.
    source, target
        How strongly popular products of hers, and popular recommended ones, are damped.
    fade
        (1 + s) ** -fade is the weight of her product with s later ones.
    window
        Pairs further apart than so many purchases are not counted.

    Notes
    -----
    score(u, j) = d_j^-target  sum_i (1 + s_ui)^-fade  d_i^-source  T_ij, with
    T_ij = sum over people of g^-gap (i before j) + back g^-gap (j before i). `gap` large, `back`
    0, `source` 1 and `fade` large is a Markov chain of the first order; small ones are a softened
    chain of high order, which needs far less data.
    """

    gap: float = 0.5
    back: float = 0.5
    source: float = 0.6
    target: float = 0.2
    fade: float = 1.0
    window: int = 50
    name: str = "transitions"
    reading: ClassVar = frozenset({"fade"})
    follows_: sparse.csr_array = field(init=False, repr=False)

    def _learn(self, history: History) -> None:
        products = np.maximum(history.buyers, 1).astype(np.float64)
        follows = _count_pairs(history, gap=self.gap, back=self.back, window=self.window)
        follows = sparse.diags_array(products**-self.source) @ follows
        follows = sparse.csr_array(follows @ sparse.diags_array(products**-self.target))
        self.follows_ = follows.astype(np.float32)

    def score(self, codes: np.ndarray) -> np.ndarray:
        return (self.rows_[codes] @ self.follows_).toarray()

    def evidence(self, targets: np.ndarray) -> np.ndarray:
        """(I, len(targets)) how much each product speaks for each target; 0 for itself."""
        weights = self.follows_[:, targets].toarray()
        weights[targets, np.arange(len(targets))] = 0
        return weights


def _count_pairs(history: History, *, gap: float, back: float, window: int) -> sparse.csr_array:
    """(I, I) how often, and how closely, each product was followed by each other one."""
    pairs, steps = history.pairs, history.steps
    items = history.shape[1]
    order = np.lexsort((-steps, pairs.customer))
    who, what, step = pairs.customer[order], pairs.product[order], steps[order]
    counts = sparse.csr_array((items, items), dtype=np.float32)
    window = max(1, min(window, _MOST_ENTRIES // max(len(order), 1)))
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for lag in range(1, window + 1):
        same = np.flatnonzero(who[lag:] == who[:-lag])
        if not len(same):
            break
        distance = step[same] - step[same + lag]
        near = np.maximum(distance, 1).astype(np.float32) ** np.float32(-gap)
        one, two = what[same], what[same + lag]
        tie = distance == 0
        parts.append((one, two, near))
        parts.append((two, one, near * np.where(tie, 1.0, back).astype(np.float32)))
    if not parts:
        return counts
    row, column, value = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sparse.csr_array((value, (row, column)), shape=(items, items))
