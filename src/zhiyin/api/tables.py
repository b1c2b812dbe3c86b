# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""Tables of the lake as JSON, without personal data: encrypted columns and artifacts stay out."""

from __future__ import annotations

import json
import math
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import Query, Request

from zhiyin.api.access import Route, workspace_of
from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.schema import Column, Table
from zhiyin.core.tables import MERGES, TABLES, table
from zhiyin.store.workspace import WorkspaceStore

MAX_ROWS = 1000
MAX_OFFSET = 1_000_000
_RESERVED = ("as_of", "limit", "offset")


def shown_columns(definition: Table) -> list[Column]:
    """Columns that the API shows: nothing encrypted, no bytes."""
    return [one for one in definition.columns if one.pii != "encrypted" and one.type != "binary"]


def list_tables() -> list[dict[str, Any]]:
    """Every table with its meaning and the columns that are shown."""
    return [
        {
            "name": one.name,
            "kind": one.kind,
            "meaning": one.meaning,
            "key": list(one.key),
            "columns": [
                {"name": col.name, "type": col.type, "meaning": col.meaning, "unit": col.unit}
                for col in shown_columns(one)
            ],
        }
        for one in TABLES.values()
    ]


def read_table(
    request: Request,
    name: str,
    as_of: date | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_ROWS)] = 100,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> dict[str, Any]:
    """Rows of a table, visible before `as_of`, ordered by its key. Any further parameter is a
    column and the value it must equal: `?as_of_on=2017-10-30&tag=new`."""
    definition = table(name)
    store = workspace_of(request).store
    pinned = store.pinned(snapshot_of(store, name))
    rows = pinned.read(name, as_of=as_of)
    shown = [one.name for one in shown_columns(definition)]
    if c.PARTY_ID in shown and c.CUSTOMER_ID not in shown:
        shown.append(c.CUSTOMER_ID)
    for column, text in _filters(request, definition, shown):
        rows = rows.filter(rows[column] == text)
    keys = [one for one in definition.key if one in shown] or shown[:1]
    order = [*keys, c.REVISION] if definition.revisions else keys
    page = rows.select(*shown).order_by(order).limit(limit + 1, offset=offset)
    found = page.to_pyarrow().to_pylist()
    more = len(found) > limit
    return {
        "table": name,
        "as_of": as_of.isoformat() if as_of else None,
        "version": pinned.pins[name],
        "offset": offset,
        "next_offset": offset + limit if more else None,
        "rows": [{key: as_json(value) for key, value in row.items()} for row in found[:limit]],
    }


def snapshot_of(store: WorkspaceStore, *names: str) -> dict[str, int]:
    """The newest version of each table now, and of the merges, for `store.pinned`."""
    found: dict[str, int] = {}
    for name in {*names, MERGES.name}:
        handle = store.lake.open(name)
        found[name] = -1 if handle is None else handle.version()
    return found


def _filters(
    request: Request, definition: Table, shown: list[str]
) -> list[tuple[str, str | int | float | bool | date | datetime]]:
    made = []
    for name, text in request.query_params.multi_items():
        if name in _RESERVED:
            continue
        if name not in shown:
            raise NotFound(
                f"table {definition.name} has no column {name!r} to filter by",
                hint=f"columns: {', '.join(shown)}",
            )
        kind = "string" if name == c.CUSTOMER_ID else definition.column(name).type
        made.append((name, _value(name, kind, text)))
    return made


def _value(name: str, kind: str, text: str) -> str | int | float | bool | date | datetime:
    readers = {
        "int64": int, "float64": float, "date": date.fromisoformat,
        "timestamp": datetime.fromisoformat, "bool": {"true": True, "false": False}.__getitem__,
    }  # fmt: skip
    try:
        return readers[kind](text) if kind in readers else text
    except (ValueError, KeyError) as error:
        raise InvalidParameter(f"{name} is compared with a value that is no {kind}") from error


def as_json(value: object) -> object:
    """A cell as JSON: times in ISO 8601 (UTC), no numbers that JSON lacks."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        raise InvalidParameter("bytes are never shown")
    return value if isinstance(value, str | int | float | None) else json.loads(json.dumps(value))


ROUTES = (
    Route("GET", "/v1/tables", "table:read", list_tables),
    Route("GET", "/v1/tables/{name}", "table:read", read_table),
)
