# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Checked rows become rows of the lake, and rows of the lake become revisions."""

from __future__ import annotations

import json
from collections.abc import Mapping as Mapping_
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.collect import times
from zhiyin.collect.classify import classify
from zhiyin.collect.lines import codes_of, combine_codes
from zhiyin.collect.mapping import Mapping
from zhiyin.collect.personal import looks_personal
from zhiyin.collect.values import Checked, as_text
from zhiyin.core import columns as c
from zhiyin.core.rows import arrow_schema
from zhiyin.core.schema import Table
from zhiyin.core.tables import TABLES

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the lake keeps naive UTC
_OF_PEOPLE = frozenset({"customers", "orders", "order_lines", "contracts", "touches", "texts"})
_SAMPLE, _LOOKED_AT = 1000, 1000  # values, and characters of each


@dataclass(frozen=True)
class Headers:
    """Headers of the file that no rule reads, by where they go."""

    properties: tuple[str, ...]
    personal: tuple[str, ...]
    dropped: tuple[str, ...]
    doubtful: tuple[str, ...] = ()  # properties by the mapping's word that look personal


def sort_headers(checked: Checked, mapping: Mapping) -> Headers:
    """Where the other headers go: personal-looking ones are encrypted, or dropped where the
    table has no place for them; the rest become properties."""
    used = {h for rule in mapping.columns.values() for h in rule.headers} | set(mapping.ignore)
    used |= {mapping.delete} - {""}
    names = [] if checked.table not in TABLES else TABLES[checked.table].names
    properties, personal, dropped = list(mapping.properties), list(mapping.personal), []
    rows = checked.raw.rows
    for header in rows.column_names:
        if header in used or header in properties or header in personal:
            continue
        if looks_personal(header, _sample(rows, header), of_people=checked.table in _OF_PEOPLE):
            (personal if c.PERSONAL in names else dropped).append(header)
        else:
            (properties if c.PROPERTIES in names else dropped).append(header)
    doubtful = [
        f"{header} ({found.kind})"
        for header in mapping.properties
        if (found := classify(header, _sample(rows, header))) is not None
    ]
    return Headers(tuple(properties), tuple(personal), tuple(dropped), tuple(doubtful))


def _sample(rows: pa.Table, header: str) -> list[str]:
    sample = as_text(rows.column(header).slice(0, _SAMPLE)).drop_null()
    return pc.utf8_slice_codeunits(sample, 0, _LOOKED_AT).to_pylist()


def properties_of(
    rows: pa.Table, headers: Sequence[str], multiple: Mapping_[str, str] | None = None
) -> pa.Array:
    """One JSON object per row from `headers`, null where all are empty; headers of `multiple`
    give a list, split at their mark."""
    if not headers:
        return pa.nulls(rows.num_rows, pa.string())
    texts = [as_text(rows.column(header)) for header in headers]
    codes = combine_codes([codes_of(text) for text in texts])
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    values = zip(*(text.take(pa.array(first)).to_pylist() for text in texts), strict=True)
    made = []
    for value in values:
        fields: dict[str, object] = {
            h: v for h, v in zip(headers, value, strict=True) if v is not None
        }
        for header, mark in (multiple or {}).items():
            if isinstance(text := fields.get(header), str):
                fields[header] = [one.strip() for one in text.split(mark) if one.strip()]
        made.append(json.dumps(fields, ensure_ascii=False, sort_keys=True) if fields else None)
    return pa.array(made, pa.string()).take(pa.array(inverse[: rows.num_rows]))


def lake_rows(
    columns: dict[str, pa.Array], schema: Table, count: int, /, **constants: object
) -> pa.Table:
    """A table with the lake's schema: `columns`, `constants` on every row, else null."""
    arrays = []
    for one in arrow_schema(schema):
        if one.name in columns:
            column = columns[one.name]
            column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
            arrays.append(column if column.type == one.type else column.cast(one.type))
        elif one.name in constants:
            arrays.append(pa.repeat(pa.scalar(constants[one.name], one.type), count))
        else:
            arrays.append(pa.nulls(count, one.type))
    return pa.table(arrays, schema=arrow_schema(schema))


def month_of(rows: pa.Table, table: Table) -> pa.Table:
    """`rows` with the month (UTC) of their business time."""
    if table.partition is None or table.time is None:
        return rows
    values = times.months(rows.column(table.time).to_numpy()).cast(pa.string())
    return rows.set_column(rows.schema.get_field_index(c.MONTH), c.MONTH, values)
