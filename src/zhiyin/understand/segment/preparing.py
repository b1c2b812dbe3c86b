"""A table of customers made fit for distances: filled, held within bounds, logged, standardised."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zhiyin.core.arguments import check_number, show
from zhiyin.core.errors import InvalidParameter, NotEnoughData

CATEGORIES = ("refuse", "one_hot")
_SKEWED = 1.0  # above this skewness a column is logged
_TAIL = 0.01  # share held at either end
_UNIT = 0.1  # quantile of the sizes that is the unit of the logarithm
_MOST_KINDS = 20  # a column with more kinds is an identifier or a text, no category
_AROUND = 0.05  # with more than this on either side of zero, a logarithm would stretch the middle
_FLAT = 1e-12
_MOST = 1e100
_IDENTIFIER = re.compile(r"(^|[_\s-])(?i:id|no|number|code)$|(?<=[a-z])I[dD]$")


@dataclass(frozen=True)
class Column:
    """What was done to one column, or why it was left out.

    `status`: `used`, `constant`, `missing` (throughout), `identifier`. `missing` is the share of
    values filled with `fill` (the median); values were held within `low`..`high`; where `unit` is
    not 0 a value v became sign(v) log(1 + |v| / unit); then `center` was taken off and the result
    divided by `spread`.
    """

    name: str
    status: str
    missing: float = 0.0
    fill: float = 0.0
    low: float = 0.0
    high: float = 0.0
    unit: float = 0.0
    center: float = 0.0
    spread: float = 1.0

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Values of this column, NaN where missing, as standardised ones."""
        return (self._shape(values) - self.center) / self.spread

    def _shape(self, values: np.ndarray) -> np.ndarray:
        held = np.clip(np.where(np.isnan(values), self.fill, values), self.low, self.high)
        return np.sign(held) * np.log1p(np.abs(held) / self.unit) if self.unit else held


@dataclass(frozen=True, eq=False)
class Prepared:
    """A table as a matrix of comparable columns.

    Attributes
    ----------
    values
        (n, d) standardised values of `names`: mean 0, standard deviation 1.
    raw
        (n, d) the same columns before, NaN where missing.
    names
        (d,) columns used; a category reads `column=value`.
    columns
        What was done to each column of the table, those left out included.
    """

    values: np.ndarray
    raw: np.ndarray
    names: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def left_out(self) -> dict[str, str]:
        """Columns that were not used, and why."""
        return {one.name: one.status for one in self.columns if one.status != "used"}

    def apply(self, table: pd.DataFrame | np.ndarray) -> np.ndarray:
        """(m, d) standardised values of other customers, with what was learned here.

        Raises
        ------
        InvalidParameter
            If a column is missing or no number; kinds of a category not seen here count as none.
        """
        frame = _as_frame(table, None)
        used = [one for one in self.columns if one.status == "used"]
        return np.column_stack([one.apply(_take(frame, one.name)) for one in used])


def _take(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column of numbers by name, or of one kind of a category."""
    category, _, kind = name.rpartition("=")
    if name not in frame.columns and category in frame.columns:
        return (frame[category].astype(str) == kind).to_numpy(np.float64)
    need_columns(frame, [name])
    numbers = _numbers(frame[name])
    if numbers is None:
        raise InvalidParameter(
            f"column {name} holds {frame[name].dtype}, no numbers", hint="it held numbers before"
        )
    return numbers


def prepare(
    table: pd.DataFrame | np.ndarray,
    *,
    columns: Sequence[str] | None = None,
    categories: str = "refuse",
    winsorise: float = _TAIL,
    log_skewed: bool = True,
) -> Prepared:
    """Make the columns of a table comparable.

    Parameters
    ----------
    table
        One row per customer. Numbers and booleans; infinite values count as missing.
    columns
        Columns to use; all where None.
    categories
        `refuse` columns of text or categories, or `one_hot`: a column of 0 and 1 for each of at
        most 20 kinds (missing: 0 in all).
    winsorise
        Share of values held at either end, in [0, 0.5); 0 holds none.
    log_skewed
        Whether columns with a skewness beyond 1 are logged; not those that lie around zero.

    Returns
    -------
    The matrix and what was done. Constant columns, those missing throughout, and columns of
    whole numbers that are all different and named like an identifier are left out, and said.

    Raises
    ------
    InvalidParameter
        If a column is text and `categories` is `refuse`, is unknown, or a parameter is out of
        range.
    NotEnoughData
        If the table is empty or no column varies.

    Notes
    -----
    The logarithm counts in units of the column's own 10 % quantile of sizes, so a change of
    currency changes nothing. What is learned of a column comes from its sorted values: the order
    of the rows changes no bit of the result.
    """
    frame = _as_frame(table, columns)
    _check(frame, categories, winsorise)
    wide = _spread_categories(frame, categories)
    learned, raws = [], []
    for name, values in wide.items():
        column = _learn(name, values, winsorise=winsorise, log_skewed=log_skewed)
        learned.append(column)
        if column.status == "used":
            raws.append(values)
    used = [one for one in learned if one.status == "used"]
    if not used:
        told = ", ".join(f"{one.name}: {one.status}" for one in learned[:5])
        raise NotEnoughData(
            f"no column tells customers apart ({told})",
            hint="give columns of numbers that differ between customers",
        )
    values = np.column_stack([one.apply(raw) for one, raw in zip(used, raws, strict=True)])
    names = tuple(one.name for one in used)
    return Prepared(values, np.column_stack(raws), names, tuple(learned))


def _as_frame(table: pd.DataFrame | np.ndarray, columns: Sequence[str] | None) -> pd.DataFrame:
    if isinstance(table, pd.DataFrame):
        frame = pd.DataFrame(table).rename(columns=str)
    elif isinstance(table, np.ndarray) and table.ndim == 2:
        frame = pd.DataFrame(table, columns=[f"x{i + 1}" for i in range(table.shape[1])])
    else:
        shape = f" of shape {table.shape}" if isinstance(table, np.ndarray) else ""
        raise InvalidParameter(
            f"a {type(table).__name__}{shape} is no table",
            hint="give a pandas DataFrame or a numpy array with one row per customer",
        )
    if twice := sorted({str(name) for name in frame.columns[frame.columns.duplicated()]}):
        raise InvalidParameter(f"columns named twice: {', '.join(twice)}", hint="rename them")
    if columns is None:
        return frame
    if isinstance(columns, str) or not isinstance(columns, Iterable):
        raise InvalidParameter(f"columns is {show(columns)}, not a list", hint='columns=["spend"]')
    wanted = [str(name) for name in columns]
    need_columns(frame, wanted)
    return frame[wanted]


def need_columns(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """InvalidParameter where the table lacks one of the columns; says which and what it has."""
    if not isinstance(table, pd.DataFrame):
        raise InvalidParameter(
            f"a {type(table).__name__} is no table", hint="give a pandas DataFrame"
        )
    odd = [name for name in columns if not isinstance(name, Hashable)]
    if odd:
        raise InvalidParameter(f"a column is {show(odd[0])}", hint="name it by a text")
    if unknown := [str(name) for name in columns if name not in table.columns]:
        raise InvalidParameter(
            f"the table has no column {', '.join(unknown)}",
            hint=f"it has {', '.join(map(str, table.columns[:20]))}; name yours by keyword",
        )


def read_times(column: pd.Series, name: str) -> pd.Series:
    """Times of a column; InvalidParameter where some are there but cannot be read."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return column
    at = pd.to_datetime(column, format="ISO8601", errors="coerce")
    if unread := int((at.isna() & column.notna()).sum()):
        raise InvalidParameter(
            f"{unread} values of {name} are no times",
            hint="write them as 2026-01-31 or 2026-01-31T18:00, or parse them with pandas first",
        )
    return at


def _check(frame: pd.DataFrame, categories: str, winsorise: float) -> None:
    if categories not in CATEGORIES:
        raise InvalidParameter(
            f"categories is {categories!r}", hint=f"use one of {', '.join(CATEGORIES)}"
        )
    if not 0 <= check_number("winsorise", winsorise) < 0.5:
        raise InvalidParameter(f"winsorise is {winsorise}, it must be within [0, 0.5)")
    if not len(frame) or not frame.shape[1]:
        raise NotEnoughData(
            f"the table has {len(frame)} rows and {frame.shape[1]} columns",
            hint="give one row per customer and at least one column of numbers",
        )


def _spread_categories(frame: pd.DataFrame, categories: str) -> dict[str, np.ndarray]:
    """Columns of numbers by name, NaN where missing; categories as columns of 0 and 1."""
    wide: dict[str, np.ndarray] = {}
    for name, column in frame.items():
        numbers = _numbers(column)
        if numbers is not None:
            wide[str(name)] = numbers
            continue
        kinds = sorted(column.dropna().astype(str).unique())
        if categories == "refuse" or len(kinds) > _MOST_KINDS:
            raise InvalidParameter(
                f"column {name} holds {len(kinds)} kinds of {column.dtype}, no numbers",
                hint="leave it out with `columns=`"
                + (", or use categories='one_hot'" if len(kinds) <= _MOST_KINDS else ""),
            )
        for kind in kinds:
            wide[f"{name}={kind}"] = (column.astype(str) == kind).to_numpy(np.float64)
    return wide


def _numbers(column: pd.Series) -> np.ndarray | None:
    """The column as float64 with NaN where missing or infinite; None where it is no number."""
    empty = column.isna().all()
    if not empty and not pd.api.types.is_numeric_dtype(column):
        if column.dtype != object:
            return None
        kinds = {type(value) for value in column.dropna()}
        if not all(issubclass(kind, int | float | np.number) for kind in kinds):
            return None
    elif pd.api.types.is_complex_dtype(column):
        return None
    if empty:
        return np.full(len(column), np.nan)
    values = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isinf(values), np.nan, values)


def _learn(name: str, values: np.ndarray, *, winsorise: float, log_skewed: bool) -> Column:
    known = np.sort(values[~np.isnan(values)])
    missing = 1 - len(known) / len(values)
    if len(known) and max(abs(known[0]), abs(known[-1])) > _MOST:
        raise InvalidParameter(
            f"column {name} holds values beyond {_MOST:g}",
            hint="no distance can be measured with them: correct them, or make them missing",
        )
    if not len(known):
        return Column(name, "missing", missing=1.0)
    if known[0] == known[-1]:
        return Column(name, "constant", missing=missing, fill=float(known[0]))
    if _is_identifier(name, known):
        return Column(name, "identifier", missing=missing)
    fill = float(np.median(known))
    low, high = (float(q) for q in np.quantile(known, [winsorise, 1 - winsorise]))
    if high <= low:  # almost all equal: hold nothing, or all would be equal
        low, high = float(known[0]), float(known[-1])
    held = Column(name, "used", missing=missing, fill=fill, low=low, high=high)
    ordered = np.sort(np.where(np.isnan(values), fill, values))
    moved = held.apply(ordered)
    unit = 0.0
    if log_skewed and _is_skewed(moved):
        sizes = np.sort(np.abs(moved[moved != 0]))
        unit = float(np.quantile(sizes, _UNIT))
    logged = Column(name, "used", missing, fill, low, high, unit)
    moved = logged.apply(ordered)
    center, spread = float(moved.mean()), float(moved.std())
    if spread <= _FLAT * max(abs(center), _FLAT):
        return Column(name, "constant", missing=missing, fill=fill)
    return Column(name, "used", missing, fill, low, high, unit, center, spread)


def _is_identifier(name: str, known: np.ndarray) -> bool:
    """Whole numbers, each once, under the name of an identifier."""
    each_once = len(known) > 1 and bool((np.diff(known) > 0).all())
    return each_once and bool((known % 1 == 0).all()) and _IDENTIFIER.search(name) is not None


def _is_skewed(values: np.ndarray) -> bool:
    """Skewness beyond 1, of more than two kinds of values that do not lie around zero."""
    below = float((values < 0).mean())
    if len(np.unique(values)) <= 2 or _AROUND < below < 1 - _AROUND:
        return False
    apart = values - values.mean()
    spread = apart.std()
    return bool(spread > 0 and abs((apart**3).mean() / spread**3) > _SKEWED)
