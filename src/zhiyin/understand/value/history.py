"""Purchase histories checked and folded: what the models of value learn from and predict on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from zhiyin.core.arguments import check_number, show
from zhiyin.core.errors import InvalidParameter, NotEnoughData

MIN_CUSTOMERS = 20
MIN_REPEATERS = 5
_SLACK = 1e-9  # of the age: recency and age are often rounded


@dataclass(frozen=True, eq=False)
class Histories:
    """Checked purchase histories of customers, one row each.

    Attributes
    ----------
    frequency
        (n,) repeat purchases, whole numbers >= 0.
    recency
        (n,) time from the first to the last purchase; 0 where there was no repeat.
    age
        (n,) time from the first purchase to the end of what was seen, in the same unit.
    weights
        (n,) how many customers a row stands for.
    """

    frequency: np.ndarray
    recency: np.ndarray
    age: np.ndarray
    weights: np.ndarray

    @property
    def customers(self) -> float:
        """How many customers there are."""
        return float(self.weights.sum())

    def fold(self) -> Histories:
        """Equal histories as one row, sorted: no result depends on the order of rows."""
        rows = np.column_stack([self.frequency, self.recency, self.age])
        found, place = np.unique(rows, axis=0, return_inverse=True)
        weights = np.bincount(place.ravel(), weights=self.weights, minlength=len(found))
        return Histories(found[:, 0], found[:, 1], found[:, 2], weights)

    def rescale(self, unit: float) -> Histories:
        """Times divided by `unit`."""
        return Histories(self.frequency, self.recency / unit, self.age / unit, self.weights)


def check_histories(frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> Histories:
    """Histories with every value inside what the models can mean.

    Raises
    ------
    InvalidParameter
        For lengths that differ, missing or infinite values, negative or broken frequencies,
        recency above age, recency without a repeat and a repeat without recency.
    """
    x = as_numbers("frequency", frequency)
    tx = as_numbers("recency", recency)
    end = as_numbers("age", age)
    if not len(x) == len(tx) == len(end):
        raise InvalidParameter(
            f"frequency has {len(x)} rows, recency {len(tx)}, age {len(end)}",
            hint="give one value of each for every customer, in the same order",
        )
    check_counts(x)
    _refuse(tx < 0, tx, "recency", "is negative", "recency is the time from first to last purchase")
    _refuse(end < 0, end, "age", "is negative", "age is the time since the first purchase")
    _refuse(
        tx > end * (1 + _SLACK) + _SLACK, tx, "recency", "is larger than age",
        "recency runs from the first to the LAST PURCHASE, age from the first purchase to the end"
        " of the period, both in one unit",
    )  # fmt: skip
    _refuse(
        (x == 0) & (tx > 0), tx, "recency", "stands beside frequency 0",
        "frequency counts REPEAT purchases: a customer with one purchase has frequency 0 and"
        " recency 0",
    )  # fmt: skip
    _refuse(
        (x > 0) & (tx == 0), x, "frequency", "stands beside recency 0",
        "count purchases of one day as one, or give recency in a finer unit",
    )  # fmt: skip
    return Histories(x, np.minimum(tx, end), end, np.ones(len(x)))


def check_sample(histories: Histories) -> Histories:
    """Folded histories that are enough to fit four parameters on.

    Raises
    ------
    NotEnoughData
        With fewer than 20 customers, fewer than 5 with a repeat, or no time seen.
    """
    count = int(histories.customers)
    if count < MIN_CUSTOMERS:
        raise NotEnoughData(
            f"{count} customers are too few to fit a model of purchases",
            hint=f"give at least {MIN_CUSTOMERS} customers; a few hundred make good intervals",
        )
    repeaters = int(histories.weights[histories.frequency > 0].sum())
    if repeaters < MIN_REPEATERS:
        raise NotEnoughData(
            f"{repeaters} of {count} customers bought again: nothing to learn from",
            hint=f"at least {MIN_REPEATERS} repeaters are needed; frequency counts purchases"
            " after the first; take a longer period",
        )
    return histories.fold()


def as_numbers(name: str, values: ArrayLike) -> np.ndarray:
    """(n,) float64 of finite values; a single number becomes one row.

    Raises
    ------
    InvalidParameter
        If they are no numbers, have two dimensions, or some are missing or infinite.
    """
    try:
        made = np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise InvalidParameter(
            f"{name} holds values that are not numbers", hint="convert or drop them first"
        ) from error
    if made.ndim != 1:
        raise InvalidParameter(
            f"{name} has shape {made.shape}", hint="give one value per customer, as one column"
        )
    _refuse(
        ~np.isfinite(made), made, name, "is missing or infinite",
        "drop customers without a purchase, or fill the value",
    )  # fmt: skip
    return made


def check_positive(name: str, value: float) -> float:
    """The value, where it is a number above 0.

    Raises
    ------
    InvalidParameter
        Otherwise.
    """
    number = check_number(name, value)
    if number <= 0:
        raise InvalidParameter(f"{name} is {value}", hint="it must be a number above 0")
    return number


def check_model(name: str, model: object, *methods: str) -> None:
    """See that a model was handed in where one is used.

    Raises
    ------
    InvalidParameter
        If it lacks one of the methods.
    """
    if any(not callable(getattr(model, one, None)) for one in methods):
        raise InvalidParameter(
            f"{name} is {show(model)}", hint="hand in a model: what fit_bgnbd(…) gives, say"
        )


def check_alike(**columns: np.ndarray) -> None:
    """See that columns are of one length.

    Raises
    ------
    InvalidParameter
        If they are not.
    """
    sizes = {name: len(column) for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} has {size}" for name, size in sizes.items())
        raise InvalidParameter(f"{told} values", hint="give one value of each a customer")


def check_times(t: ArrayLike) -> np.ndarray:
    """(n,) lengths of time to look ahead, >= 0.

    Raises
    ------
    InvalidParameter
        If one is negative or missing.
    """
    times = as_numbers("t", t)
    if not len(times):
        raise InvalidParameter("t holds no length of time", hint="give a number, or some")
    _refuse(times < 0, times, "t", "is negative", "t is a length of time to look ahead")
    return times


def check_counts(x: np.ndarray) -> None:
    """See that frequencies are whole numbers >= 0.

    Raises
    ------
    InvalidParameter
        If one is not.
    """
    hint = "frequency counts repeat purchases: 0, 1, 2 …"
    _refuse(x < 0, x, "frequency", "is negative", hint)
    _refuse(x != np.floor(x), x, "frequency", "is no whole number", hint)


def _refuse(bad: np.ndarray, values: np.ndarray, name: str, what: str, hint: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        more = f" (and {int(bad.sum()) - 1} more rows)" if bad.sum() > 1 else ""
        raise InvalidParameter(f"{name} {values[row]:g} in row {row} {what}{more}", hint=hint)
