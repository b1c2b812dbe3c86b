"""What rows share: a day, a shop, a household that a plain table repeats in each of its rows.

A plain table is often a join: columns of a customer beside columns of something that many rows have
in common. The latter give themselves away, since one of them nearly determines the others. How many
rows an occasion has, who they are and how often they respond tells what no column says alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zhiyin.understand.predict.encoding import LIMIT, Rates, split_parts
from zhiyin.understand.predict.table import Parsed

DETERMINED = 0.5  # share of a column's entropy that another takes away: both are of one occasion
LEAST_COLUMNS = 3  # fewer columns are the same thing said twice
LEAST_OCCASIONS = 20
LEAST_ROWS = 5  # a mean occasion's; smaller ones say too little
MOST_ROWS = 20_000  # that columns are compared on
MOST_COLUMNS = 60  # that are compared, and that means are made of
COMMON_LEVELS = 8  # of a category whose share is worth a column
SHRINKAGE = 5.0  # rows that the mean of all counts for beside an occasion's own


def find_shared(parsed: Parsed, *, rng: np.random.Generator) -> tuple[int, ...]:
    """Columns of `codes` that belong to what rows share, () where there is no such thing.

    They are the most columns that one column determines by half or more: its mutual information
    with them, less what chance gives (Miller-Madow), is at least half of their entropy. The target
    has no say.
    """
    n, q = parsed.codes.shape
    q = min(q, MOST_COLUMNS)
    rows = rng.choice(n, size=MOST_ROWS, replace=False) if n > MOST_ROWS else np.arange(n)
    codes = parsed.codes[rows, :q] + 1  # 0: never seen
    alone = np.array([_entropy(codes[:, j]) for j in range(q)])
    determined = np.eye(q, dtype=bool)
    for a in range(q):
        for b in range(a):
            pair = codes[:, a] * (parsed.levels[b] + 1) + codes[:, b]
            common = alone[a] + alone[b] - _entropy(pair)
            determined[a, b] = common >= DETERMINED * alone[b] > 0
            determined[b, a] = common >= DETERMINED * alone[a] > 0
    size = determined.sum(axis=1)
    if not q or size.max() < LEAST_COLUMNS:
        return ()
    anchor = max(range(q), key=lambda j: (size[j], alone[j]))
    shared = tuple(int(j) for j in np.flatnonzero(determined[anchor]))
    count = _Numbering.fit(parsed, shared).count
    return shared if LEAST_OCCASIONS <= count <= n / LEAST_ROWS else ()


def _entropy(codes: np.ndarray) -> float:
    """In nats, with Miller and Madow's correction for what few rows miss."""
    rows = np.unique(codes, return_counts=True)[1]
    share = rows / rows.sum()
    return float(-(share * np.log(share)).sum() + (len(rows) - 1) / (2 * rows.sum()))


@dataclass(frozen=True)
class _Numbering:
    """A number for each combination of levels; -1 for one never seen."""

    columns: tuple[int, ...]
    steps: tuple[tuple[int, np.ndarray], ...]  # levels of a column, combinations up to it
    count: int

    @classmethod
    def fit(cls, parsed: Parsed, columns: Sequence[int]) -> _Numbering:
        at, steps, count = np.zeros(len(parsed), dtype=np.int64), [], 1
        for j in columns:
            levels = parsed.levels[j] + 1
            seen, at = np.unique(at * levels + parsed.codes[:, j] + 1, return_inverse=True)
            steps.append((levels, seen))
            count = len(seen)
        return cls(tuple(columns), tuple(steps), count)

    def number(self, parsed: Parsed) -> np.ndarray:
        at = np.zeros(len(parsed), dtype=np.int64)
        for j, (levels, seen) in zip(self.columns, self.steps, strict=True):
            pair = at * levels + parsed.codes[:, j] + 1
            place = np.searchsorted(seen, pair).clip(0, len(seen) - 1)
            at = np.where((at >= 0) & (seen[place] == pair), place, -1)
        return at


class OccasionColumns:
    """Columns of a row's occasion: the number of its other rows, their rate, and their means.

    What a training row gets is made of other rows than itself, as it is for a later row; the rate
    is made of other parts of the training rows, so that no label comes back to its row.
    """

    def __init__(self, shared: Sequence[int]) -> None:
        self.shared = tuple(shared)

    def fit(
        self, parsed: Parsed, labels: np.ndarray, *, rng: np.random.Generator
    ) -> OccasionColumns:
        """Learn occasions, their means and rates from training rows."""
        self.numbering_ = _Numbering.fit(parsed, self.shared)
        at, count = self.numbering_.number(parsed), self.numbering_.count
        self.common_ = self._common(parsed)
        known = ~np.isnan(parsed.numbers)
        sums = np.where(known, parsed.numbers, 0).sum(axis=0)
        self.fill_ = sums / np.maximum(known.sum(axis=0), 1)
        own = self._described(parsed)
        self.mean_ = own.mean(axis=0)
        self.rows_ = np.append(np.bincount(at, minlength=count), 0).astype(float)
        self.sums_ = np.zeros((count + 1, own.shape[1]))  # the last is an occasion never seen
        for j, column in enumerate(own.T):
            self.sums_[:count, j] = np.bincount(at, weights=column, minlength=count)
        self.rates_ = Rates.fit(at, labels, levels=count)
        part = split_parts(len(labels), rng=rng)
        self.training_ = Rates.encode_training(at, labels, levels=count, part=part)
        made = _smoothed(self.transform_training(parsed))
        self.middle_, self.spread_ = made.mean(axis=0), made.std(axis=0)
        self.spread_[self.spread_ < 1e-9] = np.inf
        return self

    def transform(self, parsed: Parsed) -> np.ndarray:
        """(n, d) columns of any rows, for trees."""
        at = self.numbering_.number(parsed)
        return self._columns(self.rows_[at], self.sums_[at], self.rates_.encode(at))

    def transform_training(self, parsed: Parsed) -> np.ndarray:
        """(n, d) columns of the rows that were given to `fit`, for trees."""
        at = self.numbering_.number(parsed)
        others = self.sums_[at] - self._described(parsed)
        return self._columns(self.rows_[at] - 1, others, self.training_)

    def scale(self, columns: np.ndarray) -> np.ndarray:
        """Number (in logs) and rate in standard deviations, for models that add.

        The means are for trees: many weak columns make a small net worse.
        """
        return np.clip((_smoothed(columns) - self.middle_) / self.spread_, -LIMIT, LIMIT)

    def _columns(self, rows: np.ndarray, sums: np.ndarray, rated: np.ndarray) -> np.ndarray:
        means = (sums + SHRINKAGE * self.mean_) / (rows + SHRINKAGE)[:, None]
        return np.column_stack([rows, rated, means])

    def _common(self, parsed: Parsed) -> list[tuple[int, np.ndarray]]:
        """Columns outside the occasion and their commonest levels."""
        made = []
        for j, levels in enumerate(parsed.levels):
            if j in self.shared or parsed.of_numbers[j]:
                continue
            codes = parsed.codes[:, j]
            rows = np.bincount(codes[codes >= 0], minlength=levels)
            made.append((j, np.argsort(-rows, kind="stable")[:COMMON_LEVELS]))
        return made

    def _described(self, parsed: Parsed) -> np.ndarray:
        """(n, d) values whose means describe an occasion's rows: numbers, and levels as 0/1."""
        columns = list(np.where(np.isnan(parsed.numbers), self.fill_, parsed.numbers).T)
        for j, common in self.common_:
            columns.extend((parsed.codes[:, j] == level).astype(float) for level in common)
        return np.column_stack([np.zeros((len(parsed), 0)), *columns[:MOST_COLUMNS]])


def _smoothed(columns: np.ndarray) -> np.ndarray:
    return np.column_stack([np.log1p(columns[:, 0]), columns[:, 1]])
