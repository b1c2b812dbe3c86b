"""Conditions on named numbers, as data: `["days_since_order", ">=", 30]`."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.errors import InvalidParameter

COMPARE = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
Condition = tuple[str, str, float]


def read_conditions(given: Iterable[Sequence[Any]], names: Iterable[str]) -> tuple[Condition, ...]:
    """The conditions, checked.

    Raises
    ------
    InvalidParameter
        If one is not a name of `names`, an operator and a number.
    """
    made, known = [], list(names)
    for one in given:
        if len(one) != 3 or one[0] not in known or one[1] not in COMPARE:
            raise InvalidParameter(
                f"no condition can be {list(one)!r}",
                hint=f"names: {', '.join(known)}; operators: {' '.join(COMPARE)}",
            )
        made.append((str(one[0]), str(one[1]), float(one[2])))
    return tuple(made)


def all_hold(
    conditions: Iterable[Condition], columns: Mapping[str, NDArray[np.float64]], rows: int
) -> NDArray[np.bool_]:
    """Whether all hold, for each row; none holds for a number that is not known."""
    made = np.ones(rows, bool)
    for name, compare, number in conditions:
        numbers = np.asarray(columns[name], np.float64)
        made &= COMPARE[compare](numbers, number) & ~np.isnan(numbers)
    return made
