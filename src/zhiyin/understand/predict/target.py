"""The target of a plain table: which of its two values is the one to predict."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zhiyin.core.errors import InvalidParameter, NotEnoughData, NotFound
from zhiyin.understand.predict.table import read_words

YES = frozenset({"yes", "y", "true", "t", "1", "1.0", "positive", "pos", "是", "有", "真"})
NO = frozenset({"no", "n", "false", "f", "0", "0.0", "negative", "neg", "否", "无", "假"})
SHOWN = 5  # names in a message


@dataclass(frozen=True)
class Target:
    """Labels (1 = `positive`) of the rows where the target is known, and which rows these are."""

    labels: np.ndarray
    known: np.ndarray
    positive: str
    negative: str


def check_table(table: pd.DataFrame) -> None:
    """See that `table` is a table with rows whose columns have names of their own.

    Raises
    ------
    InvalidParameter
        If it is no pandas DataFrame, or two columns have one name.
    NotEnoughData
        If it has no row or no column.
    """
    if not isinstance(table, pd.DataFrame):
        raise InvalidParameter(
            f"table is a {type(table).__name__}, not a pandas DataFrame",
            hint="read it with pandas.read_csv, or call its to_pandas()",
        )
    if table.shape[0] == 0 or table.shape[1] == 0:
        raise NotEnoughData(
            f"the table is empty: {table.shape[0]} rows, {table.shape[1]} columns",
            hint="pass a table with one row a customer",
        )
    if table.columns.nlevels > 1:
        raise InvalidParameter(
            f"column names have {table.columns.nlevels} levels",
            hint="give each column one name: table.columns = ['_'.join(c) for c in table.columns]",
        )
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise InvalidParameter(
            f"two columns are called {twice[0]!r}",
            hint="rename or drop one: table.loc[:, ~table.columns.duplicated()]",
        )


def check_columns(table: pd.DataFrame, target: Hashable) -> None:
    """See that there is something to predict from.

    Raises
    ------
    NotEnoughData
        If the table has no column but the target.
    """
    if all(name == target for name in table.columns):
        raise NotEnoughData(
            f"the table has no column but the target {target!r}: there is nothing to predict from",
            hint="add columns that say what was known of each customer before the outcome",
        )


def read_target(table: pd.DataFrame, target: Hashable, *, positive: object = None) -> Target:
    """Labels of column `target`.

    Parameters
    ----------
    table
        A table that `check_table` accepts.
    target
        Name of the column to predict; it has two values, and may be missing in some rows.
    positive
        The value to predict; None takes yes over no, true over false, the larger of two numbers,
        what is not denied ("churned" over "not churned"), and otherwise the rarer value.

    Raises
    ------
    NotFound
        If there is no such column.
    InvalidParameter
        If the target has not two values, or `positive` is none of them.
    """
    if not isinstance(target, Hashable) or target not in table.columns:
        names = ", ".join(map(repr, table.columns[:SHOWN]))
        more = f" and {table.shape[1] - SHOWN} more" if table.shape[1] > SHOWN else ""
        raise NotFound(f"the table has no column {target!r}", hint=f"it has {names}{more}")
    words = read_words(table[target])
    known = words != ""
    values, counts = np.unique(words[known].astype(str), return_counts=True)
    found = [str(value) for value in values]
    if len(found) < 2:
        what = f"only the value {found[0]!r}" if len(found) else "no value"
        raise InvalidParameter(
            f"target {target!r} has {what}: there is nothing to tell apart",
            hint="a target needs rows of two classes, such as yes and no",
        )
    if len(found) > 2:
        raise InvalidParameter(
            f"target {target!r} has {len(found)} different values",
            hint="make two classes of it first, for example table[name] > value",
        )
    chosen = _positive(found, counts) if positive is None else str(positive).strip()
    if chosen not in found:
        raise InvalidParameter(
            f"target {target!r} is never {positive!r}", hint=f"it is {found[0]!r} or {found[1]!r}"
        )
    other = found[0] if found[1] == chosen else found[1]
    return Target((words[known] == chosen).astype(np.int64), known, chosen, other)


def _positive(found: list[str], counts: np.ndarray) -> str:
    """The value that a person would want to predict."""
    low = [word.lower() for word in found]
    try:
        return found[int(np.argmax([float(word) for word in low]))]
    except ValueError:
        pass  # words
    for i in (0, 1):
        other = re.escape(low[1 - i])
        denied = low[i] in NO or re.match(rf"(not|non|no|un)[\s_-]*{other}$", low[i])
        if low[1 - i] in YES or denied:
            return found[1 - i]
    return found[0] if counts[0] < counts[1] else found[1]


def check_seed(seed: int) -> None:
    """See that `seed` can start a generator.

    Raises
    ------
    InvalidParameter
        If it is no whole number in 0..4294967295.
    """
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or not 0 <= seed < 2**32:
        raise InvalidParameter(f"seed is {seed!r}", hint="a whole number from 0 to 4294967295")


def check_folds(labels: np.ndarray, folds: int) -> None:
    """See that each fold can be trained and tested.

    Raises
    ------
    InvalidParameter
        If `folds` is not in 2..50.
    NotEnoughData
        If a class has fewer rows than folds, or there are fewer than 20 rows in all.
    """
    if isinstance(folds, bool) or not isinstance(folds, int | np.integer) or not 2 <= folds <= 50:
        raise InvalidParameter(
            f"folds is {folds!r}", hint="a whole number from 2 to 50; 5 is usual"
        )
    if len(labels) < 20:
        raise NotEnoughData(
            f"{len(labels)} rows with a known target are too few to judge a model",
            hint="20 rows are the least, some hundred of the rarer class give a useful answer",
        )
    rarer = int(min(labels.sum(), len(labels) - labels.sum()))
    if rarer < max(folds, 4):
        raise NotEnoughData(
            f"the rarer class has {rarer} rows, {folds} folds need at least {max(folds, 4)}",
            hint="ask for fewer folds, or bring more rows of that class",
        )
