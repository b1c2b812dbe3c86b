"""An order of rows that depends on what they hold, so that no result depends on how they came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zhiyin.core.arguments import check_whole
from zhiyin.core.errors import InvalidParameter

_STEPS = 2.0**30  # parts of a column's range that are told apart: far above rounding noise
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class Ordering:
    """A shuffled order of rows.

    Attributes
    ----------
    order
        (n,) indices: `values[order]` is the same whatever order `values` had; its first m rows
        are a random sample of m.
    firsts
        Positions within `order`, one for each distinct row.
    """

    order: np.ndarray
    firsts: np.ndarray


def order_rows(values: np.ndarray, *, seed: int = 0) -> Ordering:
    """Shuffle the rows of (n, d) finite values by a hash of what they hold.

    Raises
    ------
    InvalidParameter
        If the seed is negative.

    Notes
    -----
    Rows count as equal when they agree to 2^-30 of each column's range, so neither the unit nor
    the zero of a column matters. Equal rows are spread over the order one by one: a sample of the
    first m holds them in proportion. The hash is splitmix64 (Steele, Lea and Flood 2014).
    """
    if check_whole("seed", seed) < 0:
        raise InvalidParameter(
            f"seed is {seed}, it must not be negative", hint="any whole number from 0 on"
        )
    hashes = np.full(len(values), _mix(np.array([seed], dtype=np.uint64))[0], dtype=np.uint64)
    low, high = values.min(axis=0), values.max(axis=0)
    with np.errstate(over="ignore"):  # a range beyond the largest float reads as no range
        spread = high - low
    for column in np.flatnonzero((spread > 0) & np.isfinite(spread)).tolist():
        steps = np.rint((values[:, column] - low[column]) / spread[column] * _STEPS)
        hashes = _mix(hashes ^ steps.astype(np.uint64))
    order = np.argsort(hashes, kind="stable")
    ranked = hashes[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    if len(starts) == len(values):
        return Ordering(order, np.arange(len(values)))
    within = np.arange(len(values)) - np.repeat(starts, np.diff(np.r_[starts, len(values)]))
    again = np.argsort(_mix(ranked + within.astype(np.uint64) * _GOLDEN), kind="stable")
    place = np.empty(len(values), dtype=np.int64)
    place[again] = np.arange(len(values))
    return Ordering(order[again], np.sort(place[starts]))


def _mix(words: np.ndarray) -> np.ndarray:
    """One step of splitmix64: every bit of a word moves every bit of the result."""
    words = words + _GOLDEN
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
