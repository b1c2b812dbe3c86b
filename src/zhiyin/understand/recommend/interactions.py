"""Tables of people and items as callers have them: Arrow, pandas or Ibis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from zhiyin.core.errors import InvalidParameter

if TYPE_CHECKING:
    import pandas as pd

Interactions: TypeAlias = "pa.Table | pd.DataFrame | ir.Table"
"""A row is what somebody did with an item; who reads it says which columns it needs."""


def column_names(table: Interactions) -> list[str]:
    """Names of the columns, in order."""
    return list(table.column_names if isinstance(table, pa.Table) else table.columns)


def require_columns(table: Interactions, names: Sequence[str], *, what: str, hint: str) -> None:
    """Raise `InvalidParameter` where this is no table, or lacks one of the columns `names`."""
    if not hasattr(table, "columns"):
        raise InvalidParameter(
            f"{what} are no table but of type {type(table).__name__}",
            hint="hand in an Arrow, pandas or Ibis table, say pandas.DataFrame(rows)",
        )
    held = column_names(table)
    missing = [name for name in names if name not in held]
    if missing:
        raise InvalidParameter(f"{what} have no column {missing[0]!r}", hint=hint)
    twice = [name for name in names if held.count(name) > 1]
    if twice:
        raise InvalidParameter(
            f"{what} have two columns {twice[0]!r}", hint="rename or drop one of them"
        )


def to_arrow(table: Interactions, names: Sequence[str]) -> pa.Table:
    """The columns `names` as an Arrow table."""
    if isinstance(table, pa.Table):
        return table.select(names)
    if isinstance(table, ir.Table):
        return table.select(names).to_pyarrow()
    return pa.table({name: _column(table, name) for name in names})


def _column(table: pd.DataFrame, name: str) -> pa.Array | pa.ChunkedArray:
    try:
        return pa.Array.from_pandas(table[name])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise InvalidParameter(
            f"column {name!r} holds values of several types, or of one that no table has",
            hint=f"make them one type first, say table[{name!r}].astype(str)",
        ) from error


def id_texts(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column of ids as texts.

    Raises
    ------
    InvalidParameter
        If it holds lists or structures.
    """
    try:
        return table[name].cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidParameter(
            f"column {name!r} is of type {table[name].type}, and ids are texts or numbers",
            hint="one id a row: pandas.DataFrame.explode makes rows of lists",
        ) from error


def as_ids(texts: Sequence[str] | np.ndarray, kind: pa.DataType, *, what: str) -> pa.Array:
    """Ids in the type that they have in a table.

    Raises
    ------
    InvalidParameter
        If one cannot be of this type.
    """
    made = pa.array(texts, pa.string())
    if pa.types.is_null(kind):
        return made
    try:
        return made.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidParameter(
            f"the ids that were learned are of type {kind}, and one of {what} is not",
            hint="hand in ids of the same type, or make those of the table texts before fit: "
            "astype(str)",
        ) from error


def floats_of(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column of numbers, float64, null where there is none.

    Raises
    ------
    InvalidParameter
        If it holds what is no number.
    """
    try:
        return table[name].cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidParameter(
            f"column {name!r} is of type {table[name].type}, and holds what is no number",
            hint=f"make numbers of it first: pandas.to_numeric(table[{name!r}])",
        ) from error
