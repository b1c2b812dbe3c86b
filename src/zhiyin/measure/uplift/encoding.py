"""Features of a plain table as standardised numbers; everything is learned from the fitted rows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from zhiyin.core.errors import InvalidParameter

MOST_LEVELS = 40  # of a category; rarer ones share what is left
COMMON = 10  # rows from which a level, or being missing, is a column of its own
SKEWED = 1.0  # sample skewness from which a number is taken as its signed logarithm
LIMIT = 4.0  # standard deviations


@dataclass(frozen=True)
class Column:
    """How one column is read: a number (`levels` empty) or the levels of a category."""

    name: Hashable
    levels: tuple[str, ...] = ()
    log: bool = False
    middle: float = 0.0
    spread: float = 1.0
    marked: bool = False  # a column says whether the number is missing

    @property
    def width(self) -> int:
        """Encoded columns."""
        return len(self.levels) or 1 + self.marked


@dataclass(frozen=True)
class Encoding:
    """Columns of raw rows as an (n, d) matrix: numbers scaled, categories as centred 0/1."""

    columns: tuple[Column, ...]
    means: tuple[float, ...]

    @property
    def width(self) -> int:
        """Encoded columns, at least 1: a table that tells nothing is a column of zeros."""
        return max(1, len(self.means))

    @property
    def names(self) -> tuple[str, ...]:
        """The raw column behind each encoded one."""
        return tuple(str(column.name) for column in self.columns for _ in range(column.width))

    def encode(self, features: pd.DataFrame) -> np.ndarray:
        """(n, d) numbers without gaps; a level that was never seen is none of the known ones.

        Raises
        ------
        InvalidParameter
            If a column that was learned is not there.
        """
        for column in self.columns:
            if column.name not in features.columns:
                raise InvalidParameter(
                    f"the features have no column {column.name!r}", hint="the model was fitted with"
                )
        parts = [part for column in self.columns for part in _encode(column, features)]
        if not parts:
            return np.zeros((len(features), 1))
        return np.column_stack(parts) - np.array(self.means)

    def to_artifact(self) -> dict[str, Any]:
        """JSON values."""
        return {"columns": [asdict(one) for one in self.columns], "means": list(self.means)}

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Encoding:
        """What `to_artifact` gave."""
        columns = [Column(**{**one, "levels": tuple(one["levels"])}) for one in artifact["columns"]]
        return cls(tuple(columns), tuple(artifact["means"]))


def fit_encoding(features: pd.DataFrame) -> Encoding:
    """Learn from (n, p) raw rows: numbers, truth values and times are numbers, the rest categories.

    Skewed numbers are taken as signed logarithms, so that money does not pull by its largest
    values; all are clipped at four standard deviations. Columns with one value tell nothing and
    are left out.

    Raises
    ------
    InvalidParameter
        If `features` is no table, or names a column twice.
    """
    if not isinstance(features, pd.DataFrame):
        raise InvalidParameter(
            f"features are a DataFrame, not {type(features).__name__}",
            hint="pandas.DataFrame(array) names the columns by number",
        )
    if not features.columns.is_unique:
        raise InvalidParameter("two columns of the features have the same name")
    found = [_learn(name, features[name]) for name in features.columns]
    columns = tuple(column for column in found if column is not None)
    parts = [part for column in columns for part in _encode(column, features)]
    return Encoding(columns, tuple(float(part.mean()) for part in parts))


def _learn(name: Hashable, values: pd.Series) -> Column | None:
    if not _is_number(values):
        codes, words = _words(values)
        counts: dict[str, int] = {}
        for word, rows in zip(
            words, np.bincount(codes % len(words), minlength=len(words)), strict=True
        ):
            counts[word] = counts.get(word, 0) + int(rows)
        counts = {word: rows for word, rows in counts.items() if rows}
        common = [word for word, rows in counts.items() if rows >= COMMON]
        kept = sorted(common, key=lambda word: (-counts[word], word))[:MOST_LEVELS]
        if len(counts) == len(kept):
            kept = kept[1:]  # the others say it: the most frequent is what they are compared with
        return Column(name, tuple(sorted(kept))) if kept else None
    number = _numbers(values)
    known = number[~np.isnan(number)]
    marked = COMMON <= len(known) <= len(number) - COMMON
    if len(known) == 0 or known.std() <= 1e-12 * max(1.0, float(np.abs(known).max())):
        return Column(name, marked=True, spread=float("inf")) if marked else None
    log = abs(float(np.mean((known - known.mean()) ** 3))) > SKEWED * float(known.std()) ** 3
    log = log and len(np.unique(known)) > 2
    seen = _signed_log(known) if log else known
    return Column(name, (), bool(log), float(seen.mean()), float(seen.std()), marked)


def _encode(column: Column, features: pd.DataFrame) -> list[np.ndarray]:
    values = features[column.name]
    if column.levels:
        codes, words = _words(values)
        return [
            np.array([word == level for word in words], dtype=float)[codes]
            for level in column.levels
        ]
    number = _numbers(values)
    known = ~np.isnan(number)
    seen = _signed_log(number) if column.log else number
    scaled = np.where(known, (seen - column.middle) / column.spread, 0.0)
    parts = [np.clip(scaled, -LIMIT, LIMIT)]
    return [*parts, (~known).astype(float)] if column.marked else parts


def _is_number(values: pd.Series) -> bool:
    kind = values.dtype
    return pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_datetime64_any_dtype(kind)


def _numbers(values: pd.Series) -> np.ndarray:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        moments = pd.to_datetime(values, utc=True).dt.tz_localize(None)
        days = moments.to_numpy(dtype="datetime64[s]")
        return np.where(np.isnat(days), np.nan, days.astype(np.int64) / 86_400)
    number = pd.to_numeric(values, errors="coerce").astype("Float64")
    plain = number.to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(plain), plain, np.nan)


def _words(values: pd.Series) -> tuple[np.ndarray, list[str]]:
    """A code for each row and the trimmed text of each code; what is missing is ""."""
    plain = values.astype(object)
    try:
        codes, found = pd.factorize(plain)
    except TypeError:  # lists and other values that cannot be compared
        codes, found = pd.factorize(plain.map(str, na_action="ignore"))
    return codes, [*(str(value).strip() for value in found), ""]  # a missing value has code -1


def _signed_log(value: np.ndarray) -> np.ndarray:
    return np.sign(value) * np.log1p(np.abs(value))
