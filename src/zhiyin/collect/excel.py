"""Workbooks (.xlsx, .xlsm and the old .xls) become tables of texts, as they were typed.

Read by python-calamine: values only, formulas are never evaluated (their last shown result is
taken). A number of more than 15 digits was rounded by Excel: its row is refused, since an order
id or a phone number would be another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

from zhiyin.collect.guards import check_archive, check_columns
from zhiyin.core.errors import InputError

_EXACT = 10**15


def read_sheet(path: Path, *, sheet: str = "") -> tuple[list[list[object]], int]:
    """The cells of one sheet, and the number of its first row (1 = top of the sheet).

    Parameters
    ----------
    sheet
        Its name; empty: the only visible sheet that has rows.

    Raises
    ------
    InputError
        If the workbook is damaged, encrypted or a zip bomb, or several sheets could be meant.
    """
    with path.open("rb") as stream:
        packed = stream.read(4) == b"PK\x03\x04"
    if packed:
        check_archive(path)
    try:
        with CalamineWorkbook.from_path(str(path)) as book:
            shown = [s.name for s in book.sheets_metadata if s.visible == SheetVisibleEnum.Visible]
            if sheet and sheet not in book.sheet_names:
                raise InputError(
                    f"{path.name} has no sheet {sheet!r}",
                    hint=f"sheets: {', '.join(book.sheet_names)}",
                )
            filled = []
            for name in [sheet] if sheet else shown:
                made = book.get_sheet_by_name(name)
                if made.height:
                    filled.append((name, made))
            if len(filled) > 1:
                names = ", ".join(name for name, _ in filled)
                raise InputError(
                    f"{path.name} has several sheets", hint=f"name one with --sheet: {names}"
                )
            if not filled:
                raise InputError(f"{path.name} has no rows", hint="export it again")
            found = filled[0][1]
            check_columns(found.width, path.name)
            return found.to_python(skip_empty_area=True), (found.start or (0, 0))[0] + 1
    except CalamineError as error:
        raise InputError(
            f"{path.name} is not a workbook that can be read",
            hint="save it without a password, or as CSV UTF-8",
        ) from error


def columns_of(
    rows: Sequence[Sequence[object]], headers: Sequence[str]
) -> tuple[pa.Table, np.ndarray]:
    """Rows under `headers` as texts, and (n,) bool: a number in it was rounded by Excel."""
    rounded = np.zeros(len(rows), bool)
    arrays = []
    for place in range(len(headers)):
        values = [row[place] for row in rows]
        texts = [one if type(one) is str else _text(one) for one in values]
        arrays.append(pa.array(texts, pa.string()))
        big = [i for i, one in enumerate(values) if _is_rounded(one)]
        rounded[big] = True
    return pa.table(arrays, names=list(headers)), rounded


def _is_rounded(value: object) -> bool:
    return type(value) in (int, float) and abs(value) >= _EXACT  # pyright: ignore[reportArgumentType]


def _text(value: object) -> str | None:
    """How a cell is written: whole numbers without `.0`, times as ISO 8601."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value.total_seconds())
    return str(value)
