"""Features for models from a parsed table; everything is learned from training rows alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zhiyin.understand.predict.scaling import logit
from zhiyin.understand.predict.table import Parsed

KNOTS = (0.2, 0.4, 0.6, 0.8)  # in ranks, where a spline may bend
RANKS = 200  # quantiles that ranks are read from
ONE_HOT = (40, 10, 3)  # levels up to which each common level is a column of its own
MANY = 12  # levels from which a tree gets a rate of other rows, and the count
MOST_COLUMNS = 600  # of common levels together; more of them lower the bound above
MOST_BENDS = 80  # columns of numbers; more of them stay straight
COMMON = 10  # rows from which a level is common
SMOOTHING = 20.0  # rows that the mean response counts for beside a level's own
PARTS = 5
LIMIT = 4.0  # standard deviations


@dataclass(frozen=True)
class Rates:
    """Log-odds of each level, shrunk towards the mean; source: Micci-Barreca (2001).

    A training row is encoded by rates of the other parts of the training rows: its own label
    never comes back to it.
    """

    values: np.ndarray  # (levels + 1,), the last is for a level never seen

    @classmethod
    def fit(cls, codes: np.ndarray, labels: np.ndarray, *, levels: int) -> Rates:
        """Learn from (n,) codes and labels."""
        return cls(_log_odds(codes, labels, levels))

    def encode(self, codes: np.ndarray) -> np.ndarray:
        """Log-odds of each row's level."""
        return self.values[codes]

    @staticmethod
    def encode_training(
        codes: np.ndarray, labels: np.ndarray, *, levels: int, part: np.ndarray
    ) -> np.ndarray:
        """Log-odds of each training row's level, from rows of other parts."""
        made = np.empty(len(codes))
        for k in range(PARTS):
            other = part != k
            made[~other] = _log_odds(codes[other], labels[other], levels)[codes[~other]]
        return made


def _log_odds(codes: np.ndarray, labels: np.ndarray, levels: int) -> np.ndarray:
    seen = codes >= 0
    mean = float(labels.mean()) if len(labels) else 0.5
    rows = np.bincount(codes[seen], minlength=levels)
    positives = np.bincount(codes[seen], weights=labels[seen], minlength=levels)
    share = (positives + SMOOTHING * mean) / (rows + SMOOTHING)
    return logit(np.append(share, mean).clip(1e-4, 1 - 1e-4))


def split_parts(n: int, *, rng: np.random.Generator) -> np.ndarray:
    """A part in 0..`PARTS` - 1 for each of n rows, of nearly equal sizes, by chance."""
    return rng.permutation(np.arange(n) % PARTS)


class SmoothColumns:
    """Columns for models that add: splines of ranks, common levels, shrunk rates, missing marks."""

    def fit(self, parsed: Parsed, labels: np.ndarray, *, rng: np.random.Generator) -> SmoothColumns:
        """Learn ranks, common levels and rates from training rows."""
        p = parsed.numbers.shape[1]
        self.grids_ = [_grid(parsed.numbers[:, j], bends=p <= MOST_BENDS) for j in range(p)]
        gaps = np.isnan(parsed.numbers)
        self.marked_ = np.flatnonzero((gaps.sum(0) >= COMMON) & ((~gaps).sum(0) >= COMMON))
        self.common_, self.rates_ = {}, {}
        most = next(
            (b for b in ONE_HOT if sum(k for k in parsed.levels if k <= b) <= MOST_COLUMNS), 0
        )
        for j, levels in enumerate(parsed.levels):
            codes = parsed.codes[:, j]
            if levels <= most:
                rows = np.bincount(codes[codes >= 0], minlength=levels)
                self.common_[j] = np.flatnonzero((rows >= COMMON) & (rows <= len(codes) - COMMON))
            else:
                self.rates_[j] = Rates.fit(codes, labels, levels=levels)
        part = split_parts(len(labels), rng=rng)
        self.training_ = {
            j: Rates.encode_training(parsed.codes[:, j], labels, levels=parsed.levels[j], part=part)
            for j in self.rates_
        }
        made = self._columns(parsed, self.training_)
        self.mean_ = made.mean(0)
        return self

    def transform(self, parsed: Parsed) -> np.ndarray:
        """(n, d) columns of any rows."""
        rated = {j: rates.encode(parsed.codes[:, j]) for j, rates in self.rates_.items()}
        return self._columns(parsed, rated) - self.mean_

    def transform_training(self, parsed: Parsed) -> np.ndarray:
        """(n, d) columns of the rows that were given to `fit`."""
        return self._columns(parsed, self.training_) - self.mean_

    def _columns(self, parsed: Parsed, rated: dict[int, np.ndarray]) -> np.ndarray:
        columns = []
        for j, grid in enumerate(self.grids_):
            columns.extend(grid.columns(parsed.numbers[:, j]))
        columns.extend(np.isnan(parsed.numbers[:, j]).astype(float) for j in self.marked_)
        for j, common in self.common_.items():
            columns.extend((parsed.codes[:, j] == level).astype(float) for level in common)
        columns.extend(rated.values())
        return np.column_stack(columns) if columns else np.zeros((len(parsed), 1))


@dataclass(frozen=True)
class _Grid:
    quantiles: np.ndarray
    middle: float
    spread: float
    bends: bool

    def columns(self, value: np.ndarray) -> list[np.ndarray]:
        known = ~np.isnan(value)
        scaled = np.where(known, (_signed_log(value) - self.middle) / self.spread, 0.0)
        scaled = np.clip(scaled, -LIMIT, LIMIT)
        if not self.bends:
            return [scaled]
        rank = np.where(known, _rank(value, self.quantiles), 0.5)
        return [scaled, 3 * (rank - 0.5), *(3 * np.maximum(rank - knot, 0) for knot in KNOTS)]


def _signed_log(value: np.ndarray) -> np.ndarray:
    return np.sign(value) * np.log1p(np.abs(value))


def _rank(value: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Middle of the quantiles that a value lies between, in [0, 1]; ties share a rank."""
    steps = np.linspace(0, 1, len(quantiles))
    low = np.interp(value, quantiles, steps)
    high = 1 - np.interp(-value, -quantiles[::-1], steps)
    return (low + high) / 2


def _grid(value: np.ndarray, *, bends: bool) -> _Grid:
    known = value[~np.isnan(value)]
    if not len(known):
        return _Grid(np.zeros(2), 0.0, np.inf, bends=False)
    logs = _signed_log(known)
    spread = float(logs.std())
    quantiles = np.quantile(known, np.linspace(0, 1, RANKS + 1))
    bends = bends and len(np.unique(known)) > 2
    return _Grid(quantiles, float(logs.mean()), spread if spread > 1e-9 else np.inf, bends)


class SplitColumns:
    """Columns for trees: numbers as they are, levels as shrunk rates and counts."""

    def fit(self, parsed: Parsed, labels: np.ndarray, *, rng: np.random.Generator) -> SplitColumns:
        """Learn rates and counts of levels from training rows."""
        used = [
            j
            for j, levels in enumerate(parsed.levels)
            if not (parsed.of_numbers[j] and levels <= COMMON)
        ]
        part = split_parts(len(labels), rng=rng)
        self.rates_, self.training_, self.counts_ = {}, {}, {}
        for j in used:
            codes, levels = parsed.codes[:, j], parsed.levels[j]
            self.rates_[j] = Rates.fit(codes, labels, levels=levels)
            if levels >= MANY:
                self.training_[j] = Rates.encode_training(codes, labels, levels=levels, part=part)
            else:
                self.training_[j] = self.rates_[j].encode(codes)
            if levels >= MANY:
                seen = np.bincount(codes[codes >= 0], minlength=levels)
                self.counts_[j] = np.append(seen, 0).astype(float)
        return self

    def transform(self, parsed: Parsed) -> np.ndarray:
        """(n, d) columns of any rows, NaN where a number is missing."""
        return self._columns(
            parsed, [rates.encode(parsed.codes[:, j]) for j, rates in self.rates_.items()]
        )

    def transform_training(self, parsed: Parsed) -> np.ndarray:
        """(n, d) columns of the rows that were given to `fit`."""
        return self._columns(parsed, list(self.training_.values()))

    def _columns(self, parsed: Parsed, rated: list[np.ndarray]) -> np.ndarray:
        counted = [counts[parsed.codes[:, j]] for j, counts in self.counts_.items()]
        columns = [parsed.numbers, *rated, *counted]
        made = np.column_stack(columns)
        return made if made.shape[1] else np.zeros((len(parsed), 1))
