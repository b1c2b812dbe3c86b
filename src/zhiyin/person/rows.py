# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""Rows of the lake and the ledger that are about one person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from functools import reduce
from operator import or_
from typing import Any

import sqlalchemy as sa

from zhiyin.core import columns as c
from zhiyin.core import ledger
from zhiyin.core.generation import PEOPLE, Generation, Texts
from zhiyin.core.schema import Table
from zhiyin.core.tables import TABLES
from zhiyin.decide.live import NAMES, NUMBERS
from zhiyin.person.find import Person
from zhiyin.store.ledger import reading
from zhiyin.store.workspace import WorkspaceStore

Row = dict[str, Any]
NAMING = (c.PARTY_ID, c.CUSTOMER_ID, c.INTO)


def names_people(table: Table) -> bool:
    """Whether rows of the table are about a person."""
    return bool({*NAMING, c.PARTY_IDS} & set(table.names))


def person_tables() -> list[Table]:
    """The lake tables whose rows are about people."""
    return [table for table in TABLES.values() if names_people(table)]


def read_person(store: WorkspaceStore, table: str, person: Person) -> list[Row]:
    """Every stored row of `table` that names the person, all revisions, in the order of the key."""
    definition = TABLES[table]
    if store.lake.open(table) is None:
        return []
    rows = store.read_stored(table)
    parties = list(person.parties)
    tests = [rows[name].isin(parties) for name in NAMING if name in definition.names]
    if c.PARTY_IDS in definition.names:
        tests += [rows[c.PARTY_IDS].contains(one) for one in parties]
    order = [name for name in (*definition.key, c.REVISION) if name in definition.names]
    return rows.filter(reduce(or_, tests)).order_by(order).to_pyarrow().to_pylist()


def read_day(store: WorkspaceStore, table: str, person: Person, day: date) -> list[Row]:
    """Rows of a derived table about the person on one day, in the order of the key."""
    definition = TABLES[table]
    if store.lake.open(table) is None:
        return []
    rows = store.read_stored(table)
    mine = rows.filter(rows[c.CUSTOMER_ID].isin(list(person.parties)) & (rows[c.AS_OF_ON] == day))
    return mine.order_by(list(definition.key)).to_pyarrow().to_pylist()


def last_day(store: WorkspaceStore) -> date | None:
    """The newest day that has features; None where no turn has run."""
    if store.lake.open("features") is None:
        return None
    return store.read_stored("features")[c.AS_OF_ON].max().to_pyarrow().as_py()


def read_ledger(store: WorkspaceStore, table: sa.Table, person: Person) -> list[Row]:
    """Rows of a ledger table that name a party of the person, or an entry of hers."""
    if table is ledger.journey_places:
        people = ledger.journey_people.c
        entries = sa.select(people.entry_id).where(people.party_id.in_(person.parties))
        wanted = table.c.entry_id.in_(entries)
    else:
        names = [table.c[name] for name in (c.PARTY_ID, c.CUSTOMER_ID) if name in table.c]
        wanted = reduce(or_, [name.in_(person.parties) for name in names])
    query = sa.select(table).where(wanted).order_by(*table.primary_key.columns)
    with reading(store.ledger) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def read_online(store: WorkspaceStore, person: Person) -> list[Row]:
    """What the online store has of the person, entry by entry."""
    recent = store.online.recent.read(person.parties)
    made: list[Row] = [
        {"group": "recent", c.PRODUCT_ID: one.product_id, "bought": one.bought, "at": one.at}
        for one in recent
    ]
    for held in (store.online.generation(), store.numbers.generation()):
        if held is not None:
            made += _entries(held, person)
    return made


def _entries(held: Generation, person: Person) -> list[Row]:
    made: list[Row] = []
    ids = Texts(held, "item.id") if "item.id.ends" in held.arrays else []
    for row in sorted({held.row_of(one) for one in person.parties} - {-1}):
        for group in held.about[PEOPLE]:
            arrays = held.people(group, row)
            if group == NUMBERS:
                named = zip(held.about[NAMES], arrays["value"][0].tolist(), strict=True)
                made += [{"group": group, c.NAME: name, c.VALUE: x} for name, x in named if x == x]
                continue
            for values in zip(*(array.tolist() for array in arrays.values()), strict=True):
                entry = {"group": group, **dict(zip(arrays, values, strict=True))}
                if "item" in entry:
                    entry[c.PRODUCT_ID] = ids[entry.pop("item")].decode()
                made.append({key: _text(value) for key, value in entry.items()})
    return made


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def read_jobs(store: WorkspaceStore, person: Person) -> list[Row]:
    """Jobs whose arguments or result name a party of the person."""
    with reading(store.ledger) as connection:
        rows = connection.execute(sa.select(ledger.jobs).order_by(ledger.jobs.c.job_id)).mappings()
        return [dict(row) for row in rows if _mentions(row, person.parties)]


def _mentions(row: Any, parties: Sequence[str]) -> bool:
    text = json.dumps([row["arguments"], row["result"], row["error"]])
    return any(party in text for party in parties)


def read_names(store: WorkspaceStore, table: str, key: str, ids: Sequence[str]) -> dict[str, str]:
    """Id → name for products, campaigns or offers; ids without a name are left out."""
    wanted = sorted({one for one in ids if one})
    if not wanted:
        return {}
    rows = store.read(table)
    named = rows.filter(rows[key].isin(wanted) & rows[c.NAME].notnull())
    found = named.select(key, c.NAME).distinct().to_pyarrow().to_pylist()
    return {row[key]: row[c.NAME] for row in sorted(found, key=lambda row: (row[key], row[c.NAME]))}


def workspace_settings(store: WorkspaceStore) -> dict[str, Any]:
    """The settings that the last turn ran with; empty where none has run."""
    query = sa.select(ledger.turns.c.config).order_by(ledger.turns.c.started_at.desc()).limit(1)
    with reading(store.ledger) as connection:
        return dict(connection.execute(query).scalar_one_or_none() or {})
