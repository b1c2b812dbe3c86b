"""Tables of people and items as callers have them: Arrow, pandas or Ibis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import ibis.expr.types as ir
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
    missing = [name for name in names if name not in column_names(table)]
    if missing:
        raise InvalidParameter(f"{what} have no column {missing[0]!r}", hint=hint)


def to_arrow(table: Interactions, names: Sequence[str]) -> pa.Table:
    """The columns `names` as an Arrow table."""
    if isinstance(table, pa.Table):
        return table.select(names)
    if isinstance(table, ir.Table):
        return table.select(names).to_pyarrow()
    return pa.Table.from_pandas(table[list(names)], preserve_index=False)
