"""Read a plain table as a person would: which columns are numbers, categories, dates, identifiers.

What a column is and which levels it has is learned from the rows given to `fit_reader` alone, never
from the target, and not from names either: a renamed column is read alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

BLANK = frozenset({
    "", "?", "-", "--", ".", "na", "n/a", "#n/a", "nan", "nat", "none", "null", "<na>", "\\n",
})  # fmt: skip
"""Words that stand for a missing value, in lower case."""
MOSTLY = 0.98  # of the known values must read alike
MIN_IDENTIFIER_ROWS = 30
UNIFORM = 0.1  # largest distance of an identifier's values from a uniform distribution
REPEATS = 20  # rows per distinct value from which a number is read as a category too
MAX_LEVELS = 1000
EPOCH_S = (6e8, 4e9)  # seconds since 1970 that look like a time: 1989 to 2096
DAY_NS = 86_400e9
_GROUPED = re.compile(r"^[-+]?[$€£¥￥]?\s*[-+]?\d{1,3}(,\d{3})+(\.\d+)?$")
_SIGNS = re.compile(r"[$€£¥￥,\s]|%$")
_NUMBER = re.compile(r"^[-+]?[$€£¥￥]?\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*%?$", re.IGNORECASE)
_DAY_FIRST = re.compile(r"^(1[3-9]|2\d|3[01])[/.]")
_DATE = re.compile(
    r"^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ]\d{1,2}:\d{2}.*)?$|^\d{1,2}[/.]\d{1,2}[/.]\d{4}$"
)


@dataclass(frozen=True)
class Reading:
    """How a column was read.

    `kind` is `number`, `category`, `date`, `identifier` or `constant`; the last two tell a model
    nothing and are left out. `missing` is a share.
    """

    name: Hashable
    kind: str
    distinct: int
    missing: float


@dataclass(frozen=True)
class Parsed:
    """A table as arrays: `numbers` (n, p) with NaN, `codes` (n, q) of levels.

    A level of `codes` is in [0, `levels[j]`); a missing value is a level of its own where the
    reader saw one, and -1 is a value that the reader never saw. `of_numbers` says which columns of
    `codes` are numbers that repeat, read a second time as categories.
    """

    numbers: np.ndarray
    codes: np.ndarray
    levels: tuple[int, ...]
    of_numbers: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, chosen: np.ndarray) -> Parsed:
        """The chosen rows, by number."""
        return Parsed(self.numbers[chosen], self.codes[chosen], self.levels, self.of_numbers)


@dataclass(frozen=True)
class _Plan:
    position: int
    reading: Reading
    timed: bool = False
    day_first: bool = False
    levels: Mapping[Any, int] = field(default_factory=dict)
    missing_level: int = -1


@dataclass(frozen=True)
class Reader:
    """What was learned from the rows of a table; `read` turns any rows of it into arrays."""

    plans: tuple[_Plan, ...]

    @property
    def readings(self) -> tuple[Reading, ...]:
        """How each column was read, in the order of the table."""
        return tuple(plan.reading for plan in self.plans)

    def read(self, frame: pd.DataFrame) -> Parsed:
        """Numbers and levels of the rows of `frame`, which has the columns that were learned."""
        numbers: list[np.ndarray] = []
        codes: list[np.ndarray] = []
        levels: list[int] = []
        of_numbers: list[bool] = []
        for plan in self.plans:
            column = frame.iloc[:, plan.position]
            kind = plan.reading.kind
            if kind == "date":
                times = read_times(column, day_first=plan.day_first)
                numbers.extend(_date_parts(times, timed=plan.timed))
            elif kind == "number":
                value = read_numbers(column)
                numbers.append(value)
                if plan.levels:
                    codes.append(_code_numbers(value, plan))
            elif kind == "category":
                codes.append(_code_words(column, plan))
            if plan.levels:
                levels.append(len(plan.levels) + (plan.missing_level >= 0))
                of_numbers.append(kind == "number")
        n = len(frame)
        return Parsed(
            np.column_stack(numbers) if numbers else np.empty((n, 0)),
            np.column_stack(codes) if codes else np.empty((n, 0), dtype=np.int64),
            tuple(levels),
            tuple(of_numbers),
        )


def fit_reader(frame: pd.DataFrame) -> Reader:
    """Learn from the rows of `frame` what each of its columns is."""
    return Reader(tuple(_plan(frame.iloc[:, j], j) for j in range(frame.shape[1])))


def _plan(column: pd.Series, position: int) -> _Plan:
    name, n = column.name, max(len(column), 1)
    if is_time(column):
        times = read_times(column)
        known = times[~np.isnan(times)]
        kind = "date" if len(np.unique(known)) > 1 else "constant"
        reading = Reading(name, kind, len(np.unique(known)), 1 - len(known) / n)
        first = column.dtype == object or isinstance(column.dtype, pd.StringDtype)
        day_first = first and has_day_first(_distinct_words(column)[1])
        return _Plan(position, reading, timed=bool(np.any(known % 1)), day_first=day_first)
    if is_number(column):
        value = read_numbers(column)
        known = value[~np.isnan(value)]
        distinct = np.unique(known)
        missing = 1 - len(known) / n
        if len(distinct) == 0 or (len(distinct) == 1 and missing == 0):
            return _Plan(position, Reading(name, "constant", len(distinct), missing))
        if _is_numbering(known, distinct):
            return _Plan(position, Reading(name, "identifier", len(distinct), missing))
        reading = Reading(name, "number", len(distinct), missing)
        repeats = 2 < len(distinct) <= MAX_LEVELS and len(known) >= REPEATS * len(distinct)
        levels = {float(v): i for i, v in enumerate(distinct)} if repeats else {}
        end = len(levels) if repeats and missing else -1
        return _Plan(position, reading, levels=levels, missing_level=end)
    words = read_words(column)
    known = words[words != ""]
    distinct = sorted(set(known.tolist()))
    missing = 1 - len(known) / n
    if len(distinct) == 0 or (len(distinct) == 1 and missing == 0):
        return _Plan(position, Reading(name, "constant", len(distinct), missing))
    if len(known) >= MIN_IDENTIFIER_ROWS and len(distinct) > 0.9 * len(known):
        return _Plan(position, Reading(name, "identifier", len(distinct), missing))
    levels = {word: i for i, word in enumerate(distinct)}
    end = len(levels) if missing else -1
    reading = Reading(name, "category", len(distinct), missing)
    return _Plan(position, reading, levels=levels, missing_level=end)


def _is_numbering(known: np.ndarray, distinct: np.ndarray) -> bool:
    """Whole numbers that never repeat and fill their range evenly: no quantity looks like that."""
    if len(known) < MIN_IDENTIFIER_ROWS or len(distinct) < len(known) or np.any(known % 1):
        return False
    place = (distinct - distinct[0]) / (distinct[-1] - distinct[0])
    return float(np.abs(place - np.linspace(0, 1, len(place))).max()) <= UNIFORM


def is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers, truth values or durations, be it as text."""
    kind = column.dtype
    if pd.api.types.is_bool_dtype(kind) or pd.api.types.is_timedelta64_dtype(kind):
        return True
    if pd.api.types.is_numeric_dtype(kind):
        return not pd.api.types.is_complex_dtype(kind)
    return _share_of_words(column, lambda word: bool(_NUMBER.match(word) or _GROUPED.match(word)))


def is_time(column: pd.Series) -> bool:
    """Whether a column holds days or times: by its type, as text, or as seconds since 1970."""
    kind = column.dtype
    if pd.api.types.is_datetime64_any_dtype(kind) or isinstance(kind, pd.PeriodDtype):
        return True
    if pd.api.types.is_integer_dtype(kind):
        value = read_numbers(column)
        known = value[~np.isnan(value)]
        return len(known) > 0 and any(
            known.min() >= EPOCH_S[0] * unit and known.max() <= EPOCH_S[1] * unit
            for unit in (1, 1000)
        )
    if pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_timedelta64_dtype(kind):
        return False
    return _share_of_words(column, lambda word: bool(_DATE.match(word)))


def _share_of_words(column: pd.Series, fits: Callable[[str], bool]) -> bool:
    codes, words = _distinct_words(column)
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    total = sum(int(k) for word, k in zip(words, counts, strict=True) if word)
    good = sum(int(k) for word, k in zip(words, counts, strict=True) if word and fits(word))
    return total > 0 and good >= MOSTLY * total


def read_words(column: pd.Series) -> np.ndarray:
    """Trimmed text of each row, "" where it is missing."""
    codes, words = _distinct_words(column)
    return np.array([*words, ""], dtype=object)[codes]


def _distinct_words(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """A code for each row (-1: missing) and the trimmed word of each code."""
    plain = column.astype(object)
    try:
        codes, found = pd.factorize(plain)
    except TypeError:  # lists and other values that cannot be compared
        codes, found = pd.factorize(plain.map(str, na_action="ignore"))
    words = [str(value).strip() for value in found]
    return codes, ["" if word.lower() in BLANK else word for word in words]


def read_numbers(column: pd.Series) -> np.ndarray:
    """Numbers of a column, NaN where there is none; durations in days, percentages as written."""
    kind = column.dtype
    if pd.api.types.is_timedelta64_dtype(kind):
        return (column / pd.Timedelta(days=1)).to_numpy(dtype=float, na_value=np.nan)
    if pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
        value = column.astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    else:
        codes, words = _distinct_words(column)
        found = np.array([*(_number(word) for word in words), np.nan])
        value = found[codes]
    return np.where(np.isfinite(value), value, np.nan)


def _number(word: str) -> float:
    fits = _NUMBER.match(word) or _GROUPED.match(word)
    return float(_SIGNS.sub("", word)) if fits else float("nan")


def read_times(column: pd.Series, *, day_first: bool | None = None) -> np.ndarray:
    """Days since 1970 (UTC, with fractions), NaN where there is none.

    `day_first` reads 3/4/2024 as the third of April; None looks for a day above 12 to know.
    """
    kind = column.dtype
    if isinstance(kind, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    if pd.api.types.is_integer_dtype(kind):
        value = read_numbers(column)
        return value / np.where(value <= EPOCH_S[1], 86_400, 86_400_000)
    if not pd.api.types.is_datetime64_any_dtype(kind):
        codes, words = _distinct_words(column)
        first = has_day_first(words) if day_first is None else day_first
        times = _moments([*words, ""], day_first=first).iloc[codes]
    else:
        times = pd.to_datetime(column, utc=True)
    moments = times.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")
    days = moments.astype(np.int64) / DAY_NS
    return np.where(np.isnat(moments), np.nan, days)


def has_day_first(words: list[str]) -> bool:
    """Whether any of the words is a day such as 31/01/2024."""
    return any(_DAY_FIRST.match(word) for word in words)


def _moments(words: list[str], *, day_first: bool) -> pd.Series:
    """A time for each word, NaT where it is none; a year that stands first is never a day."""
    plain = pd.Series([word if _DATE.match(word) else "" for word in words], dtype=object)
    year_first = plain.str.match(r"\d{4}").to_numpy(dtype=bool)
    parts = [
        pd.to_datetime(plain[rows], errors="coerce", utc=True, format="mixed", dayfirst=first)
        for rows, first in ((year_first, False), (~year_first, day_first))
    ]
    return pd.concat([part.astype("datetime64[ns, UTC]") for part in parts]).sort_index()


def _date_parts(days: np.ndarray, *, timed: bool) -> list[np.ndarray]:
    """The day itself, day of the year, of the month and of the week, and the hour if any."""
    known = ~np.isnan(days)
    day = np.floor(np.where(known, days, 0)).astype("datetime64[D]")
    year, month = day.astype("datetime64[Y]"), day.astype("datetime64[M]")
    parts = [
        days,
        (day - year.astype("datetime64[D]")).astype(float),
        (day - month.astype("datetime64[D]")).astype(float),
        (day.astype(np.int64) + 3) % 7.0,
        *([days % 1 * 24] if timed else []),
    ]
    return [np.where(known, part, np.nan) for part in parts]


def _code_words(column: pd.Series, plan: _Plan) -> np.ndarray:
    codes, words = _distinct_words(column)
    known = [plan.levels.get(word, -1) if word else plan.missing_level for word in words]
    return np.array([*known, plan.missing_level], dtype=np.int64)[codes]


def _code_numbers(value: np.ndarray, plan: _Plan) -> np.ndarray:
    values = np.array(list(plan.levels), dtype=float)
    place = np.searchsorted(values, value).clip(0, len(values) - 1)
    found = np.where(values[place] == value, place, -1)
    return np.where(np.isnan(value), plan.missing_level, found)
