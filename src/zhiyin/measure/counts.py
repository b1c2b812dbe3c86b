"""Scores and what came of them, as counts per distinct score: all that ranking metrics need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.status import MIN_UNITS, NO_NEGATIVES, NO_POSITIVES, NO_UNITS, OK, TOO_FEW_UNITS

RESAMPLE_GROUPS = 2_000
"""Bootstraps work on at most this many groups of equal size; point estimates on all."""

BLOCK_CELLS = 1_000_000
"""Resamples are made in blocks of about this many cells, to bound memory."""


@dataclass(frozen=True, eq=False)
class ScoreCounts:
    """Sufficient statistics of a scored population: (g,) arrays, highest score first.

    `scores` are strictly decreasing, `units` are customers with that score (>= 1), `positives`
    those of them who responded. Nothing is lost for any metric of this package: within one score
    the order is unknown by definition, so every metric takes its expected value over a random
    order of ties, which is a straight line between groups. An engine can count at any size.
    """

    scores: NDArray[np.float64]
    units: NDArray[np.int64]
    positives: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Number of customers."""
        return int(self.units.sum())

    @property
    def n_positives(self) -> int:
        """Number of those who responded."""
        return int(self.positives.sum())

    @property
    def n_negatives(self) -> int:
        """Number of those who did not."""
        return self.n - self.n_positives

    @property
    def status(self) -> str:
        """`ok`, or why numbers on this population are missing or rough."""
        if self.n == 0:
            return NO_UNITS
        if self.n_positives == 0:
            return NO_POSITIVES
        if self.n_negatives == 0:
            return NO_NEGATIVES
        return OK if min(self.n_positives, self.n_negatives) >= MIN_UNITS else TOO_FEW_UNITS

    @property
    def measurable(self) -> bool:
        """Whether both outcomes occur."""
        return self.n_positives > 0 and self.n_negatives > 0


def count_scores(scores: ArrayLike, labels: ArrayLike) -> ScoreCounts:
    """Count units and positives per distinct score.

    Parameters
    ----------
    scores
        (n,) finite numbers, higher = more likely to respond.
    labels
        (n,) 0/1 or bool: whether the customer responded.

    Raises
    ------
    InvalidParameter
        If lengths differ, a score is not finite or a label is not 0 or 1.
    """
    score = np.asarray(scores, dtype=np.float64)
    label = np.asarray(labels)
    if score.ndim != 1 or label.shape != score.shape:
        raise InvalidParameter(f"scores {score.shape} and labels {label.shape} must be (n,)")
    if not np.isfinite(score).all():
        raise InvalidParameter("a score is not a finite number", hint="leave such rows out")
    if not np.isin(label, (0, 1)).all():
        raise InvalidParameter("a label is neither 0 nor 1")
    distinct, group = np.unique(-score, return_inverse=True)
    units = np.bincount(group, minlength=len(distinct)).astype(np.int64)
    positives = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(positives, group, label.astype(np.int64))
    return ScoreCounts(0.0 - distinct, units, positives)


def merge_counts(one: ScoreCounts, other: ScoreCounts) -> ScoreCounts:
    """The counts of both populations together; equals counting their pooled rows."""
    return from_groups(
        np.concatenate([one.scores, other.scores]),
        np.concatenate([one.units, other.units]),
        np.concatenate([one.positives, other.positives]),
    )


def from_groups(scores: ArrayLike, units: ArrayLike, positives: ArrayLike) -> ScoreCounts:
    """Counts from (g,) groups in any order, as an engine sums them; equal scores are joined.

    Raises
    ------
    InvalidParameter
        If a group has more positives than units, or negative counts.
    """
    score = np.asarray(scores, dtype=np.float64)
    unit = np.asarray(units, dtype=np.int64)
    positive = np.asarray(positives, dtype=np.int64)
    if (positive < 0).any() or (positive > unit).any():
        raise InvalidParameter("a group has more positives than units, or fewer than none")
    distinct, group = np.unique(-score, return_inverse=True)
    summed = np.zeros((2, len(distinct)), dtype=np.int64)
    np.add.at(summed[0], group, unit)
    np.add.at(summed[1], group, positive)
    kept = summed[0] > 0
    return ScoreCounts(0.0 - distinct[kept], summed[0][kept], summed[1][kept])


def cumulate(values: NDArray) -> NDArray:
    """Running sums along the last axis, with a leading 0."""
    first = np.zeros((*values.shape[:-1], 1), dtype=values.dtype)
    return np.concatenate([first, np.cumsum(values, axis=-1)], axis=-1)


def check_probabilities(counts: ScoreCounts) -> None:
    """Raise `InvalidParameter` unless every score is in [0, 1]."""
    if len(counts.scores) and (counts.scores[0] > 1 or counts.scores[-1] < 0):
        raise InvalidParameter(
            "a score is outside [0, 1]: it is no probability", hint="calibrate the model first"
        )


def read_off(reach: NDArray, values: NDArray, sizes: NDArray) -> NDArray[np.float64]:
    """`values` (b, g + 1) at each of `sizes` (k,) along their own rising `reach`: (b, k).

    Straight lines between groups, as `numpy.interp` draws them, but for many rows at once.
    """
    row = np.arange(len(reach))
    columns = []
    for size in sizes:
        group = np.maximum((reach < size).sum(axis=1) - 1, 0)
        start, step = reach[row, group], reach[row, group + 1] - reach[row, group]
        part = np.divide(size - start, step, out=np.zeros(len(reach)), where=step > 0)
        columns.append(values[row, group] + part * (values[row, group + 1] - values[row, group]))
    return np.stack(columns, axis=1)


def resample(
    counts: ScoreCounts, rng: np.random.Generator, *, samples: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]]:
    """Bootstrap populations: blocks of (scores (g,), units (b, g), positives (b, g)).

    Customers are drawn with replacement, which for counts is one multinomial draw per sample.
    """
    coarse = coarsen(counts)
    cells = np.concatenate([coarse.positives, coarse.units - coarse.positives])
    groups, block = len(coarse.scores), max(1, BLOCK_CELLS // max(1, len(cells)))
    for start in range(0, samples, block):
        size = min(block, samples - start)
        drawn = rng.multinomial(coarse.n, cells / cells.sum(), size=size)
        positives = drawn[:, :groups]
        yield coarse.scores, positives + drawn[:, groups:], positives


def coarsen(counts: ScoreCounts, groups: int = RESAMPLE_GROUPS) -> ScoreCounts:
    """At most `groups` groups of nearly equal size, each with its mean score."""
    if len(counts.scores) <= groups:
        return counts
    middle = np.cumsum(counts.units) - counts.units / 2
    part = np.minimum((middle * groups / counts.n).astype(np.int64), groups - 1)
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    units = np.add.reduceat(counts.units, starts)
    positives = np.add.reduceat(counts.positives, starts)
    scores = np.add.reduceat(counts.scores * counts.units, starts) / units
    return ScoreCounts(scores, units, positives)
