"""What every model of recommending can do: score customers, rank products for them."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from zhiyin.core.arguments import check_number, check_whole
from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend.history import History

_BLOCK_CELLS = 12_000_000  # customers x products scored at once: 48 MB of float32
FILL = np.float32(1e-12)
"""Largest score of a place that was filled by popularity: below every model's own."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The best products of each customer.

    Attributes
    ----------
    products
        (n, k) int64 product codes, best first; -1 where there is none left.
    scores
        (n, k) float32; 0 where there is no product, and at most 1e-12 where the place was
        filled by popularity.
    """

    products: np.ndarray
    scores: np.ndarray

    @classmethod
    def empty(cls, n: int, k: int) -> Self:
        """`n` lists of length `k` without a product."""
        return cls(np.full((n, k), -1, dtype=np.int64), np.zeros((n, k), dtype=np.float32))


class Scorer(ABC):
    """A model fitted on a `History` that scores every product for a customer.

    Scores at or below zero mean *nothing speaks for it*: such places are filled by popularity,
    so a customer without a history gets the most bought products. Ties go to the smaller id.

    Attributes
    ----------
    learned_
        What the model was fitted on.
    history_
        Whom it scores: `learned_`, or what `look_at` was given.
    """

    name: str
    reading: ClassVar[frozenset[str]] = frozenset()  # parameters that learning does not use
    learned_: History
    history_: History

    def fit(self, history: History) -> Self:
        """Learn from `history`; returns itself.

        Raises
        ------
        InvalidParameter
            If a parameter is no number where it must be one, or out of range.
        """
        _check_parameters(self)
        self.learned_ = self.history_ = history
        self._learn(history)
        self._read(history)
        return self

    def look_at(self, history: History) -> Self:
        """The same fitted model for other people, or for more that they did since.

        `history` has the products of the one that was learned from, in the same order.
        """
        other = copy.copy(self)
        other.history_ = history
        other._read(history)
        return other

    def varied(self, **changes: float) -> Self:
        """The same model with other parameters, learned again only where that is needed."""
        other = copy.copy(self)
        for name, value in changes.items():
            setattr(other, name, value)
        if not changes.keys() <= self.reading:
            other._learn(self.learned_)
        other._read(self.history_)
        return other

    @abstractmethod
    def _learn(self, history: History) -> None:
        """Set what is true of products."""

    def _read(self, history: History) -> None:  # noqa: B027 (most baselines need nothing)
        """Set what `score` needs of the people in `history`."""

    @abstractmethod
    def score(self, codes: np.ndarray) -> np.ndarray:
        """(n, I) float32 scores for customers by their code in the history."""

    def contributions(self, code: int, product: int) -> np.ndarray:
        """How much each product of hers, in the order of `history.seen`, adds to one score; 0 where
        the model does not go by single products.
        """
        return np.zeros(len(self.history_.seen[[code]].indices))

    @property
    def history(self) -> History:
        """Whose customers are scored."""
        return self.history_

    def recommend(
        self, customer_ids: Sequence[str] | np.ndarray, *, k: int = 10, exclude_seen: bool = False
    ) -> Ranking:
        """The `k` best products for each customer.

        Parameters
        ----------
        customer_ids
            Ids; unknown ones get the most bought products.
        k
            Length of the lists, >= 1.
        exclude_seen
            Leave out what the customer has bought before.

        Raises
        ------
        InvalidParameter
            If `k` is below 1.
        """
        return self.recommend_codes(
            self.history.codes(customer_ids), k=k, exclude_seen=exclude_seen
        )

    def recommend_codes(self, codes: np.ndarray, *, k: int, exclude_seen: bool) -> Ranking:
        """As `recommend`, for customers by code."""
        return self._rank(codes, k=k, exclude=(exclude_seen,))[0]

    def recommend_both(self, codes: np.ndarray, *, k: int) -> tuple[Ranking, Ranking]:
        """The best of all products and the best of those not bought before, scored once."""
        everything, new = self._rank(codes, k=k, exclude=(False, True))
        return everything, new

    def _rank(self, codes: np.ndarray, *, k: int, exclude: tuple[bool, ...]) -> list[Ranking]:
        k, items = check_whole("k", k, least=1), self.history.shape[1]
        made = [Ranking.empty(len(codes), k) for _ in exclude]
        if not items:
            return made
        buyers = self.learned_.buyers
        fill = FILL * (buyers / max(int(buyers.max()), 1)).astype(np.float32)
        depth = min(k, items)
        for part in blocks(len(codes), items):
            block = self.score(codes[part])
            block = np.where(block > 0, block, fill)
            for ranking, exclude_seen in zip(made, exclude, strict=True):
                if exclude_seen:
                    mask_seen(block, self.history, codes[part])
                best, value = top_k(block, depth)
                gone = np.isneginf(value)
                ranking.products[part, :depth] = np.where(gone, -1, best)
                ranking.scores[part, :depth] = np.where(gone, 0, value)
        return made


class Additive(Scorer):
    """A model whose score is a sum over what she has: weight in her row times evidence.

    Attributes
    ----------
    rows_
        (people, I) the weights.
    """

    rows_: sparse.csr_array

    @abstractmethod
    def evidence(self, targets: np.ndarray) -> np.ndarray:
        """(I, len(targets)) how much each product speaks for each target; 0 for itself."""

    def contributions(self, code: int, product: int) -> np.ndarray:
        owned = self.history_.seen[[code]].indices
        if not len(owned):
            return np.zeros(0)
        start = self.rows_.indptr[code]
        amounts = self.rows_.data[start : start + len(owned)]
        return amounts * self.evidence(np.array([product]))[owned, 0]


class Faded(Additive):
    """One in which her product with s later ones weighs (1 + s) ** -fade."""

    fade: float

    def _read(self, history: History) -> None:
        self.rows_ = history.matrix(history.faded(self.fade))


def _check_parameters(model: Scorer) -> None:
    """See that what is set by hand is of the type that its field says."""
    for one in fields(model) if is_dataclass(model) else ():
        value, kind = getattr(model, one.name, None), str(one.type)
        if not one.init or (value is None and kind.endswith("None")):
            continue
        if kind.startswith("int"):
            check_whole(one.name, value, least=0 if one.name == "seed" else 1)
        elif kind.startswith("float"):
            number = check_number(one.name, value)
            if one.name.endswith("_days") and number <= 0:
                raise InvalidParameter(f"{one.name} is {number}, it must be above 0")


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of `rows` small enough that rows x columns stays within bounded memory."""
    step = max(1, _BLOCK_CELLS // max(columns, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def mask_seen(scores: np.ndarray, history: History, codes: np.ndarray) -> None:
    """Set the scores of what each customer has bought to minus infinity, in place."""
    seen = history.seen[codes]
    rows = np.repeat(np.arange(len(codes)), np.diff(seen.indptr))
    scores[rows, seen.indices] = -np.inf


def top_k(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and values of the `k` largest of each row, best first; ties to the smaller column.

    Parameters
    ----------
    scores
        (n, m) float, without NaN; k <= m.
    """
    kth = np.partition(scores, scores.shape[1] - k, axis=1)[:, -k]
    columns = np.empty((len(scores), k), dtype=np.int64)
    for row, (values, least) in enumerate(zip(scores, kth, strict=True)):
        above = np.flatnonzero(values >= least)  # includes every tie at the edge
        columns[row] = above[np.argsort(-values[above], kind="stable")[:k]]
    return columns, np.take_along_axis(scores, columns, axis=1)
