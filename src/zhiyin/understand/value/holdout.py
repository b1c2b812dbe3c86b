"""Expected against actual: the figures behind the three plots of a model of purchases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from zhiyin.core.arguments import check_whole
from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.value.history import (
    as_numbers,
    check_alike,
    check_counts,
    check_model,
    check_positive,
)


class PurchaseModel(Protocol):
    """What both models of purchases do for these figures."""

    def expected_purchases(self, t: ArrayLike) -> np.ndarray:
        """Expected repeat purchases of a new customer in the first `t`, (n,)."""
        ...

    def pmf(self, t: float, most: int) -> np.ndarray:
        """P(X(t) = 0), ..., P(X(t) = most), (most + 1,)."""
        ...


@dataclass(frozen=True, eq=False)
class Tracking:
    """Repeat purchases of all customers until the end of each period, expected and actual.

    `times` are the ends of the periods; `expected` and `actual` are cumulative, `incremental` of
    each what the period added.
    """

    times: np.ndarray
    expected: np.ndarray
    actual: np.ndarray

    @property
    def incremental_expected(self) -> np.ndarray:
        """Expected repeat purchases within each period."""
        return np.diff(self.expected, prepend=0.0)

    @property
    def incremental_actual(self) -> np.ndarray:
        """Actual repeat purchases within each period."""
        return np.diff(self.actual, prepend=0.0)


@dataclass(frozen=True, eq=False)
class Groups:
    """Customers by their number of repeat purchases; the last group holds that many or more.

    `expected` and `actual` are customers (`compare_frequencies`) or mean purchases in the holdout
    (`compare_conditional`); NaN where a group is empty.
    """

    purchases: np.ndarray
    customers: np.ndarray
    expected: np.ndarray
    actual: np.ndarray


def track_purchases(
    model: PurchaseModel, born: ArrayLike, repeats: ArrayLike, *, until: float, step: float = 1.0
) -> Tracking:
    """Follow a cohort through calendar time.

    Parameters
    ----------
    born
        (n,) calendar time of each customer's first purchase.
    repeats
        (m,) calendar time of each repeat purchase, of any customer.
    until, step
        Where to end, and the length of a period, in the same unit.

    Raises
    ------
    InvalidParameter
        If `until` or `step` is not above 0.
    """
    check_model("model", model, "expected_purchases")
    starts, counts = np.unique(as_numbers("born", born), return_counts=True)
    bought = np.sort(as_numbers("repeats", repeats)) if np.size(repeats) else np.zeros(0)
    check_positive("until", until)
    times = np.arange(1, int(np.floor(until / check_positive("step", step) + 1e-9)) + 1) * step
    expected = [
        float(model.expected_purchases(np.maximum(time - starts, 0)) @ counts) for time in times
    ]
    actual = np.searchsorted(bought, times, side="right").astype(np.float64)
    return Tracking(times, np.array(expected), actual)


def compare_frequencies(
    model: PurchaseModel, frequency: ArrayLike, age: ArrayLike, *, most: int = 7
) -> Groups:
    """How many customers bought again 0, 1, ..., `most` or more times, and how many should have.

    Parameters
    ----------
    frequency, age
        (n,) repeat purchases and time since the first.
    most
        The last group, >= 1.
    """
    check_model("model", model, "pmf")
    x, ages = _groups(frequency, most), as_numbers("age", age)
    check_alike(frequency=x, age=ages)
    expected = np.zeros(most + 1)
    for value, count in zip(*np.unique(ages, return_counts=True), strict=True):
        chance = model.pmf(float(value), most - 1)
        expected[:-1] += count * chance
        expected[-1] += count * max(1 - float(chance.sum()), 0.0)
    actual = np.bincount(x, minlength=most + 1).astype(np.float64)
    return Groups(np.arange(most + 1), actual.astype(np.int64), expected, actual)


def compare_conditional(
    frequency: ArrayLike, expected: ArrayLike, actual: ArrayLike, *, most: int = 7
) -> Groups:
    """Mean purchases in the holdout by purchases before it, expected and actual.

    Parameters
    ----------
    frequency
        (n,) repeat purchases before the holdout.
    expected, actual
        (n,) purchases in the holdout: what any model told, and what was.
    most
        The last group, >= 1.
    """
    x = _groups(frequency, most)
    told, seen = as_numbers("expected", expected), as_numbers("actual", actual)
    check_alike(frequency=x, expected=told, actual=seen)
    size = np.bincount(x, minlength=most + 1)
    safe = np.where(size > 0, size, np.nan)
    return Groups(
        purchases=np.arange(most + 1),
        customers=size,
        expected=np.bincount(x, weights=told, minlength=most + 1) / safe,
        actual=np.bincount(x, weights=seen, minlength=most + 1) / safe,
    )


def _groups(frequency: ArrayLike, most: int) -> np.ndarray:
    if check_whole("most", most) < 1:
        raise InvalidParameter(f"most is {most}", hint="the last group is 1 or more purchases")
    counts = as_numbers("frequency", frequency)
    check_counts(counts)
    return np.minimum(counts, most).astype(np.int64)
