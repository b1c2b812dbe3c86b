"""The two baselines that every other model must beat."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.scorer import Scorer


@dataclass
class Popularity(Scorer):
    """Everyone gets what most customers have bought.

    Parameters
    ----------
    window_days
        Count only buyers of the last days; None: of the whole history.
    """

    window_days: float | None = None
    name: str = "popularity"
    buyers_: np.ndarray = field(init=False, repr=False)

    def _learn(self, history: History) -> None:
        self.buyers_ = recent_buyers(history, window_days=self.window_days).astype(np.float32)

    def score(self, codes: np.ndarray) -> np.ndarray:
        return np.repeat(self.buyers_[None, :], len(codes), axis=0)


@dataclass
class Frequency(Scorer):
    """A customer gets what she herself has bought most often (repeat purchases).

    Parameters
    ----------
    scale_days
        A purchase counts exp(-age / scale); None: every purchase counts 1.
    """

    scale_days: float | None = None
    name: str = "frequency"
    counts_: sparse.csr_array = field(init=False, repr=False)

    def _learn(self, history: History) -> None:
        """Nothing: what counts is what she did herself."""

    def _read(self, history: History) -> None:
        if self.scale_days is None:
            counts = history.amounts
        else:
            counts = history.pairs.decayed(history.age_days, scale_days=self.scale_days)
        self.counts_ = history.matrix(counts)

    def score(self, codes: np.ndarray) -> np.ndarray:
        return self.counts_[codes].toarray()


def recent_buyers(history: History, *, window_days: float | None) -> np.ndarray:
    """(I,) distinct buyers whose latest purchase of the product is within the window."""
    if window_days is None:
        return history.buyers
    recent = history.pairs.last_days <= window_days
    return np.bincount(history.pairs.product[recent], minlength=history.shape[1])
