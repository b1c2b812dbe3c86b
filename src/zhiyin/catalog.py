# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""The catalogue: what every table and column means, where its rows come from, how fresh they are.

It is made from `core/tables.py`, the lake and the ledger: a new table appears by itself.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

import ibis.expr.types as ir
import sqlalchemy as sa

from zhiyin.collect.classify import KINDS, classify
from zhiyin.collect.duplicates_job import run as run_duplicates
from zhiyin.core import columns as c
from zhiyin.core.context import Context
from zhiyin.core.ledger import loads
from zhiyin.core.meanings import column_meaning, table_meaning
from zhiyin.core.schema import Table
from zhiyin.core.tables import DUPLICATES, QUALITY, TABLES
from zhiyin.core.tables import table as definition_of
from zhiyin.store.ledger import reading
from zhiyin.store.workspace import WorkspaceStore

SAMPLE = 500
LANGUAGES = ("en", "zh")


def describe(store: WorkspaceStore, name: str = "") -> list[dict[str, Any]]:
    """Entries of the catalogue as JSON values, one per table, in the order of `core.tables`.

    Parameters
    ----------
    name
        One table, with the keys found in its `properties`; empty: every table, without them.

    Returns
    -------
    `table`, `kind`, `meaning` (by language), `writer`, `key`, `rows` (stored), `sources`,
    `newest_at` (ISO, business time or day), `loaded_at` (ISO, last load), `columns`, `keys`.

    Raises
    ------
    NotFound
        If there is no such table.
    """
    tables = [definition_of(name)] if name else list(TABLES.values())
    loaded = _last_loads(store)
    return [_entry(store, one, loaded.get(one.name), keys=bool(name)) for one in tables]


def _entry(
    store: WorkspaceStore, table: Table, loaded: datetime | None, *, keys: bool
) -> dict[str, Any]:
    stored = store.read_stored(table.name) if store.lake.open(table.name) is not None else None
    when = table.time or (c.AS_OF_ON if c.AS_OF_ON in table.names else None)
    facts: dict[str, Any] = {"rows": 0, "newest": None, "sources": []}
    if stored is not None:
        facts = _facts(stored, table, when)
    return {
        "table": table.name,
        "kind": table.kind,
        "meaning": {one: table_meaning(table, one) for one in LANGUAGES},
        "writer": table.writer,
        "key": list(table.key),
        "rows": facts["rows"],
        "sources": facts["sources"],
        "newest_at": _iso(facts["newest"]),
        "loaded_at": _iso(loaded),
        "columns": [
            {
                "column": one.name, "type": one.type, "unit": one.unit, "pii": one.pii,
                "required": one.required,
                "meaning": {spoken: column_meaning(table, one, spoken) for spoken in LANGUAGES},
            }
            for one in table.columns
        ],
        "keys": _keys(stored, table) if keys and stored is not None else [],
    }  # fmt: skip


def _facts(stored: ir.Table, table: Table, when: str | None) -> dict[str, Any]:
    sums: dict[str, Any] = {"rows": stored.count()}
    if when is not None:
        sums["newest"] = stored[when].max()
    found = {"newest": None, **stored.aggregate(**sums).to_pyarrow().to_pylist()[0]}
    sources: list[str] = []
    if c.SOURCE in table.names:
        rows = stored.select(c.SOURCE).distinct().order_by(c.SOURCE).to_pyarrow()
        sources = rows.column(c.SOURCE).to_pylist()
    return found | {"sources": sources}


def _keys(stored: ir.Table, table: Table) -> list[dict[str, Any]]:
    """JSON keys of `properties` in a sample, and of what looks personal, the kind."""
    if c.PROPERTIES not in table.names:
        return []
    rows = stored.filter(stored[c.PROPERTIES].notnull()).select(c.PROPERTIES).limit(SAMPLE)
    values: dict[str, list[str]] = {}
    for text in rows.to_pyarrow().column(c.PROPERTIES).to_pylist():
        held = json.loads(text)
        for key, value in held.items() if isinstance(held, dict) else ():
            values.setdefault(key, []).append("" if value is None else str(value))
    made = []
    for key, sample in sorted(values.items()):
        found = classify(key, sample)
        made.append({"key": key, "filled": len(sample), "looks": found.kind if found else None})
    return made


def _last_loads(store: WorkspaceStore) -> dict[str, datetime]:
    query = (
        sa.select(loads.c.table_name, sa.func.max(loads.c.finished_at))
        .where(loads.c.state == "done")
        .group_by(loads.c.table_name)
    )
    with reading(store.ledger) as connection:
        return {row[0]: row[1] for row in connection.execute(query) if row[1] is not None}


def _iso(moment: datetime | date | None) -> str | None:
    return None if moment is None else moment.isoformat()


_HEADS = {
    "en": ("table", "rows", "newest", "sources", "meaning"),
    "zh": ("数据表", "行数", "最新", "来源", "含义"),
}
_WORDS = {
    "en": {"written by": "written by", "looks like": "looks like", "keys": "Keys of properties:"},
    "zh": {"written by": "写入任务", "looks like": "疑似", "keys": "properties 中的键："},
}


def render(entries: list[dict[str, Any]], language: str = "en", *, columns: bool = False) -> str:
    """The catalogue for people: one line a table, or all about one table with `columns`."""
    spoken = "zh" if language == "zh" else "en"
    if not columns:
        lines = ["\t".join(_HEADS[spoken])]
        for one in entries:
            cells = (
                one["table"], f"{one['rows']:,}", (one["newest_at"] or "-")[:10],
                ", ".join(one["sources"]) or "-", one["meaning"][spoken],
            )  # fmt: skip
            lines.append("\t".join(cells))
        return "\n".join(lines).expandtabs(20)
    lines = []
    for one in entries:
        words = _WORDS[spoken]
        lines += [f"{one['table']}: {one['meaning'][spoken]}"]
        lines += [f"{words['written by']}: {one['writer']}; {one['rows']:,}; "
                  f"{', '.join(one['sources']) or '-'}; {one['newest_at'] or '-'}", ""]  # fmt: skip
        for column in one["columns"]:
            pii = "" if column["pii"] == "none" else f" [{column['pii']}]"
            unit = f" ({column['unit']})" if column["unit"] else ""
            head = f"  {column['column']:<24}{column['type']:<10}"
            lines.append(f"{head}{column['meaning'][spoken]}{unit}{pii}")
        if one["keys"]:
            lines += ["", words["keys"]]
        for key in one["keys"]:
            looks = KINDS[key["looks"]][spoken == "zh"] if key["looks"] else ""
            warning = f"  ← {words['looks like']} {looks}" if looks else ""
            lines.append(f"  {key['key']}{warning}")
    return "\n".join(lines)


def read_quality(store: WorkspaceStore, *, everything: bool = False) -> list[dict[str, Any]]:
    """Findings of the newest day in `quality`, the worst first; without `everything` only what
    is not fine."""
    rows = store.read(QUALITY.name)
    newest = rows.filter(rows[c.AS_OF_ON] == rows[c.AS_OF_ON].max())
    if not everything:
        newest = newest.filter(newest[c.STATUS] != "ok")
    found = newest.to_pyarrow().to_pylist()
    ranks = {"bad": 0, "warn": 1, "ok": 2}
    return sorted(found, key=lambda row: (ranks[row[c.STATUS]], *(row[n] for n in QUALITY.key)))


def find_duplicates(context: Context) -> list[dict[str, Any]]:
    """Look for duplicate customers, keep the suggestions, and give them, the best first."""
    run_duplicates(context)
    rows = context.store.read(DUPLICATES.name)
    mine = rows.filter(rows[c.AS_OF_ON] == context.as_of).select(*DUPLICATES.names)
    found = mine.to_pyarrow().to_pylist()
    return sorted(found, key=lambda row: (-row[c.SCORE], row[c.PARTY_ID], row[c.INTO]))
