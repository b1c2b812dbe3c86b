"""Series that the user loads: a price of gold, the weather, what competitors ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from zhiyin.core.errors import InputError, InvalidParameter

DAY = "day"


def read_external(path: str | Path) -> pa.Table:
    """A CSV file with a column `day` (YYYY-MM-DD) and one column of numbers for each series.

    Raises
    ------
    InputError
        If it is no such file.
    """
    try:
        table = pa_csv.read_csv(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{Path(path).name} cannot be read as CSV: {error}") from error
    if DAY not in table.column_names or not pa.types.is_date(table[DAY].type):
        raise InputError(
            f"{Path(path).name} has no column `day` of days", hint="write days as 2026-01-31"
        )
    return table


def align_external(
    table: Any,
    start: date,
    days: int,
    *,
    lags: Mapping[str, Sequence[int]] | None = None,
) -> tuple[tuple[str, ...], np.ndarray]:
    """Loaded numbers by day, as regressors.

    Parameters
    ----------
    table
        Arrow table, DataFrame or mapping with `day` and columns of numbers.
    start, days
        The days that are wanted: those of the series and those ahead.
    lags
        Column → days by which it moves sales later, e.g. `{"gold": (0, 7)}`; None: all at once.

    Returns
    -------
    Names (`gold`, `gold_7_days_before`), and (days, names). A day that is missing has the last
    number before it (days before the first one, the first): what is ahead is held at what is known,
    and a lag at least as long as the horizon needs no guess.

    Raises
    ------
    InvalidParameter
        If a column is missing or has no number.
    """
    columns = table.to_pydict() if isinstance(table, pa.Table) else table
    known = list(columns.keys())
    if DAY not in known:
        raise InvalidParameter("the table has no column `day`")
    at = np.array([(_as_date(day) - start).days for day in columns[DAY]], dtype=np.int64)
    order = np.argsort(at, kind="stable")
    wanted = lags if lags is not None else {name: (0,) for name in known if name != DAY}
    names, made = [], []
    for name, after in wanted.items():
        if name not in known:
            raise InvalidParameter(f"the table has no column {name!r}")
        numbers = np.array([np.nan if one is None else float(one) for one in columns[name]])[order]
        seen = ~np.isnan(numbers)
        if not seen.any():
            raise InvalidParameter(f"column {name!r} has no number")
        when, numbers = at[order][seen], numbers[seen]
        for lag in after:
            if lag < 0:
                raise InvalidParameter(f"a lag is days before, not {lag}")
            place = np.searchsorted(when, np.arange(days) - lag, side="right") - 1
            names.append(name if lag == 0 else f"{name}_{lag}_days_before")
            made.append(numbers[np.maximum(place, 0)])
    return tuple(names), np.array(made).reshape(len(made), days).T


def _as_date(day: object) -> date:
    if isinstance(day, datetime):
        return day.date()
    if isinstance(day, date):
        return day
    return date.fromisoformat(str(day)[:10])
