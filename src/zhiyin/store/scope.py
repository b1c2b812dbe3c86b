"""The part of a table that one rewrite replaces, as a predicate that may stay in the Delta log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.schema import Table


def scope_predicate(table: Table, rows: pa.Table, scope: Mapping[str, object]) -> str:
    """`column = value AND …` for `scope`; empty where the scope is the whole table.

    Parameters
    ----------
    rows
        The rows that will be written, conformed to `table`.
    scope
        Text, whole numbers, days, booleans or None by column.

    Raises
    ------
    InvalidParameter
        If a column identifies a person (the log keeps the values), a value is of another type, or
        a row is outside the scope.
    """
    for column in scope:
        if table.column(column).pii != "none":
            raise InvalidParameter(
                f"the scope of {table.name} names {column}, which identifies a person",
                hint="scopes stay in the Delta log: use days, tasks, campaigns",
            )
    predicate = " AND ".join(_equals(column, value) for column, value in scope.items())
    for column, value in scope.items():
        _check_inside(table.name, rows, column, value)
    return predicate


def _equals(column: str, value: object) -> str:
    name = '"' + column.replace('"', '""') + '"'
    if value is None:
        return f"{name} IS NULL"
    if isinstance(value, bool):
        return f"{name} = {str(value).lower()}"
    if isinstance(value, int):
        return f"{name} = {value}"
    if isinstance(value, date) and type(value) is date:
        return f"{name} = '{value.isoformat()}'"
    if isinstance(value, str):
        return f"{name} = '" + value.replace("'", "''") + "'"
    raise InvalidParameter(
        f"a scope holds text, whole numbers, days or booleans, not {type(value)}"
    )


def _check_inside(name: str, rows: pa.Table, column: str, value: object) -> None:
    array = rows.column(column)
    if value is None:
        outside = len(array) - array.null_count
    else:
        try:
            wanted = pa.scalar(value, type=array.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InvalidParameter(
                f"the scope of {name} compares {column} ({array.type}) with {value!r}"
            ) from error
        same = pc.call_function("equal", [array, wanted])
        outside = len(array) - same.to_pylist().count(True)
    if outside:
        raise InvalidParameter(
            f"{outside} of {len(array)} rows for {name} are outside the scope: {column} is not "
            f"{value!r}"
        )
