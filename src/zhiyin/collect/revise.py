# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Rows of a load against what the lake holds: new, unchanged, the next revision, or in conflict."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.core import columns as c
from zhiyin.core.protocols import Store, Vault
from zhiyin.core.rows import arrow_schema
from zhiyin.core.schema import Table

_UNCOMPARED = frozenset(
    {c.REVISION, c.VALID_AT, c.RECORDED_AT, c.OP, c.MONTH, c.PERSONAL, c.LOAD_ID, c.LOADED_AT}
)


@dataclass(frozen=True)
class Compared:
    """Rows against the lake: `write` (n,) bool: new or changed; `conflict`: known and different.

    `rows` are the rows with revision and valid time set.
    """

    rows: pa.Table
    write: np.ndarray
    conflict: np.ndarray


@dataclass(frozen=True)
class Held:
    """What the lake held in a table before a load: looked at once, for all its slices."""

    table: Table
    store: Store
    rows: ibis.Table
    empty: bool


def look_at(store: Store, table: Table) -> Held:
    """What `store` holds in `table` now."""
    rows = store.read(table.name)
    return Held(table, store, rows, empty=rows.limit(1).count().to_pyarrow().as_py() == 0)


def compare(held: Held, rows: pa.Table, *, vault: Vault, load_id: str) -> Compared:
    """Compare `rows` with what the lake held under the same keys.

    In a table of revisions a changed row becomes the next revision, valid no earlier than the one
    before; in any other table a different row under a known key is a conflict.
    """
    count, table = rows.num_rows, held.table
    current = _current(held, rows)
    nothing = np.zeros(count, bool)
    if current is None:
        return Compared(rows, np.ones(count, bool), nothing)
    keys = list(table.key)
    new = _comparable(rows, keys)
    old = _comparable(current, keys)
    old["_at"] = np.arange(len(old))
    place = new[keys].merge(old[[*keys, "_at"]], on=keys, how="left")["_at"].to_numpy()
    known = ~np.isnan(place)
    if not known.any():
        return Compared(rows, np.ones(count, bool), nothing)
    at = np.where(known, place, 0).astype(np.int64)
    same = known & _same(rows, current, at, table)
    same &= _same_personal(vault, rows, current, at, same)
    mine = _equals(current, c.LOAD_ID, load_id)[at]
    same |= known & mine
    if not table.revisions:
        return Compared(rows, ~known, known & ~same)
    before = current.take(pa.array(at))
    revision = np.where(known, before.column(c.REVISION).to_numpy() + 1, 1)
    valid = rows.column(c.VALID_AT).to_numpy()
    earliest = before.column(c.VALID_AT).to_numpy().astype(valid.dtype)
    valid = np.where(known, np.maximum(valid, earliest), valid)
    rows = _put(rows, c.REVISION, pa.array(revision, pa.int64()))
    rows = _put(rows, c.VALID_AT, pa.array(valid, pa.timestamp("us")))
    return Compared(rows, ~same, nothing)


def _put(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, values)


def _current(held: Held, rows: pa.Table) -> pa.Table | None:
    if held.empty:
        return None
    schema = arrow_schema(held.table)
    first = held.table.key[0]
    keys = pa.table({first: pc.unique(rows.column(first))})
    found = held.rows.semi_join(held.store.to_ibis(keys), first).select(*held.table.names)
    current = found.to_pyarrow().cast(schema)
    return current if current.num_rows else None


def _comparable(rows: pa.Table, keys: list[str]) -> pd.DataFrame:
    texts = {key: rows.column(key).cast(pa.string()).fill_null("") for key in keys}
    return pd.DataFrame({key: column.to_pandas() for key, column in texts.items()})


def _equals(rows: pa.Table, name: str, value: str) -> np.ndarray:
    return pc.equal(rows.column(name), value).fill_null(False).to_numpy().astype(bool)


def _same(rows: pa.Table, current: pa.Table, at: np.ndarray, table: Table) -> np.ndarray:
    """(n,) bool: all compared columns are equal, null equal to null."""
    same = np.ones(rows.num_rows, bool)
    take = pa.array(at)
    for name in table.names:
        if name in _UNCOMPARED:
            continue
        left, right = rows.column(name), current.column(name).take(take)
        equal = pc.or_kleene(
            pc.fill_null(pc.equal(left, right), False),
            pc.and_(pc.is_null(left), pc.is_null(right)),
        )
        same &= equal.to_numpy().astype(bool)
    return same


def _same_personal(
    vault: Vault, rows: pa.Table, current: pa.Table, at: np.ndarray, same: np.ndarray
) -> np.ndarray:
    """(n,) bool: personal fields are equal; looked at only where the rest is."""
    made = np.ones(rows.num_rows, bool)
    if c.PERSONAL not in rows.column_names:
        return made
    some = pc.is_valid(rows.column(c.PERSONAL)).to_numpy()
    some |= pc.is_valid(current.column(c.PERSONAL)).to_numpy()[at]
    places = np.flatnonzero(same & some)
    if not len(places):
        return made
    take = pa.array(places)
    people = rows.column(c.PARTY_ID).take(take).to_pylist()
    new = vault.unseal(people, rows.column(c.PERSONAL).take(take).to_pylist())
    held = current.column(c.PERSONAL).take(pa.array(at[places])).to_pylist()
    old = vault.unseal(people, held)
    made[places] = [a == b for a, b in zip(new, old, strict=True)]
    return made
