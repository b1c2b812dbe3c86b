# pyright: standard, reportAttributeAccessIssue=false
# (pyarrow has no types, and makes the functions of `compute` when it is imported)
"""Arrow rows of a lake table: their schema, and the check that every writer passes."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.schema import Table, Type

ARROW_TYPES: dict[Type, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us"),  # UTC without zone
    "date": pa.date32(),
    "binary": pa.binary(),
    "json": pa.string(),
}


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of `table`, in table order.

    Every field is nullable: columns added later must be, and `conform` refuses nulls in required
    columns before they are written.
    """
    return pa.schema([pa.field(column.name, ARROW_TYPES[column.type]) for column in table.columns])


def conform(table: Table, rows: pa.Table) -> pa.Table:
    """`rows` exactly as `table` stores them: all its columns, in its order, with its types.

    Missing nullable columns are filled with nulls. The month of a partitioned table is filled
    from its business time where it is missing. Times with a zone become UTC without zone; what is
    finer than a microsecond is cut off.

    Raises
    ------
    InvalidParameter
        If a column is unknown, a required one is missing or holds nulls, a column cannot be
        stored as its type, or a month is not that of the business time. No value is quoted: it
        may be personal.
    """
    unknown = sorted(set(rows.column_names) - set(table.names))
    if unknown:
        raise InvalidParameter(
            f"table {table.name} has no column {', '.join(unknown)}",
            hint=f"columns: {', '.join(table.names)}",
        )
    if len(set(rows.column_names)) < rows.num_columns:
        raise InvalidParameter(f"rows for {table.name} name a column twice")
    given = set(rows.column_names)
    missing = [
        column.name
        for column in table.columns
        if column.required and column.name not in given and column.name != table.partition
    ]
    if missing:
        raise InvalidParameter(
            f"rows for {table.name} lack the required column {', '.join(missing)}"
        )
    schema = arrow_schema(table)
    arrays: dict[str, pa.ChunkedArray] = {
        field.name: _cast(table, rows.column(field.name), field)
        for field in schema
        if field.name in given
    }
    if table.partition is not None and table.time is not None:
        arrays[table.partition] = _months(table, arrays, table.partition, table.time)
    for column in table.columns:
        array = arrays.setdefault(
            column.name, pa.chunked_array([pa.nulls(rows.num_rows, ARROW_TYPES[column.type])])
        )
        if column.required and array.null_count:
            raise InvalidParameter(
                f"column {column.name} of {table.name} is required and is null in "
                f"{array.null_count} of {rows.num_rows} rows"
            )
    return pa.table([arrays[field.name] for field in schema], schema=schema)


def _cast(table: Table, array: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    options = pc.CastOptions.safe(field.type)
    options.allow_time_truncate = pa.types.is_timestamp(field.type)
    try:
        return pc.cast(array, options=options)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        kind = "a value" if isinstance(error, pa.ArrowInvalid) else str(array.type)
        raise InvalidParameter(
            f"column {field.name} of {table.name} holds {kind} that cannot be stored as "
            f"{table.column(field.name).type}"
        ) from None  # Arrow's own message quotes the value


def _months(
    table: Table, arrays: dict[str, pa.ChunkedArray], partition: str, time: str
) -> pa.ChunkedArray:
    days = arrays[time].cast(pa.date32(), safe=False).combine_chunks().dictionary_encode()
    names = pc.strftime(days.dictionary, format="%Y-%m")  # few days, many rows
    months = pa.chunked_array([names.take(days.indices)])
    given = arrays.get(partition)
    if given is not None and given.null_count < len(given):
        wrong = pc.sum(pc.not_equal(given, months)).as_py() or 0
        if wrong or given.null_count:
            raise InvalidParameter(
                f"column {partition} of {table.name} is not the month of {time} (UTC) in "
                f"{wrong + given.null_count} of {len(given)} rows",
                hint=f"leave {partition} out: it is filled from {time}",
            )
    return months
