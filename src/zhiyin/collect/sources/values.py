"""Values of databases and of JSON as texts, which the mapping reads as it reads a file's."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from uuid import UUID

import pyarrow as pa

from zhiyin.core.errors import InputError


def text_of(value: object) -> str | None:
    """One value as text: ISO 8601 times with their offset, exact decimals, JSON for lists.

    Raises
    ------
    InputError
        If it is bytes, which no column of ours holds.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, int | UUID):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    raise InputError(
        f"a value of type {type(value).__name__} cannot be read as text",
        hint="leave that column out of the mapping",
    )


def _float_text(value: float) -> str | None:
    if not math.isfinite(value):
        return None
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def text_table(rows: Sequence[Sequence[object]], names: Sequence[str]) -> pa.Table:
    """Rows of values as a table of texts with the headers `names`."""
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return pa.table(
        {
            name: pa.array([text_of(value) for value in column], pa.string())
            for name, column in zip(names, columns, strict=True)
        }
    )
