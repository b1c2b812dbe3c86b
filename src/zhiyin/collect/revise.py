# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Rows of a load against what the lake holds: new, unchanged, the next revision, or in conflict."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.core import columns as c
from zhiyin.core.protocols import Store, Vault
from zhiyin.core.rows import arrow_schema
from zhiyin.core.schema import Table

DELETE = "delete"
_UNCOMPARED = frozenset(
    {c.REVISION, c.VALID_AT, c.RECORDED_AT, c.OP, c.MONTH, c.PERSONAL, c.LOAD_ID, c.LOADED_AT}
)


@dataclass(frozen=True)
class Compared:
    """Rows against the lake: `write` (n,) bool: new or changed; `conflict`: known and different.

    `rows` are the rows with revision and valid time set; `mine` of those that need not be written
    were written by this load before it was cut off.
    """

    rows: pa.Table
    write: np.ndarray
    conflict: np.ndarray
    mine: int = 0


@dataclass(frozen=True)
class Held:
    """What the lake held in a table before a load: looked at once, for all its slices."""

    table: Table
    store: Store
    rows: ibis.Table

    @cached_property
    def empty(self) -> bool:
        """Whether there was nothing."""
        return self.rows.limit(1).count().to_pyarrow().as_py() == 0


def look_at(store: Store, table: Table) -> Held:
    """What `store` holds in `table` now."""
    return Held(table, store, store.read(table.name))


def compare(
    held: Held, rows: pa.Table, *, vault: Vault, load_id: str, policy: str = "overwrite"
) -> Compared:
    """Compare `rows` with what the lake held under the same keys.

    In a table of revisions a changed row becomes the next revision, valid no earlier than the one
    before; in any other table a different row under a known key is a conflict. A row with the op
    `delete` ends its key, if that is known.

    Parameters
    ----------
    policy
        Of known keys in a table of revisions: `overwrite` takes the row as it is, `fill` takes it
        only where the lake has nothing, `skip` leaves them alone (deletions too).
    """
    count, table = rows.num_rows, held.table
    current = _current(held, rows)
    nothing = np.zeros(count, bool)
    deleted = _equals(rows, c.OP, DELETE) if table.revisions else nothing
    if current is None:
        return Compared(rows, ~deleted, nothing)
    keys = list(table.key)
    new = _comparable(rows, keys)
    old = _comparable(current, keys)
    old["_at"] = np.arange(len(old))
    place = new[keys].merge(old[[*keys, "_at"]], on=keys, how="left")["_at"].to_numpy()
    known = ~np.isnan(place)
    if not known.any():
        return Compared(rows, ~deleted, nothing)
    at = np.where(known, place, 0).astype(np.int64)
    mine = known & _equals(current, c.LOAD_ID, load_id)[at]
    if policy == "fill" and table.revisions:
        rows = fill_blanks(rows, current, known & ~deleted & ~mine, at, table=table, vault=vault)
    if deleted.any():
        rows = _as_before(rows, current, known & deleted, at)
    same = known & ~deleted & _same(rows, current, at, table)
    same &= _same_personal(vault, rows, current, at, same)
    same |= mine | (deleted & ~known)
    if policy == "skip" and table.revisions:
        same |= known
    if not table.revisions:
        return Compared(rows, ~known, known & ~same, int(mine.sum()))
    before = current.take(pa.array(at))
    revision = np.where(known, before.column(c.REVISION).to_numpy() + 1, 1)
    valid = rows.column(c.VALID_AT).to_numpy()
    earliest = before.column(c.VALID_AT).to_numpy().astype(valid.dtype)
    valid = np.where(known, np.maximum(valid, earliest), valid)
    rows = _put(rows, c.REVISION, pa.array(revision, pa.int64()))
    rows = _put(rows, c.VALID_AT, pa.array(valid, pa.timestamp("us")))
    return Compared(rows, ~same, nothing, int((mine & same).sum()))


def fill_blanks(
    rows: pa.Table,
    current: pa.Table,
    where: np.ndarray,
    at: np.ndarray,
    *,
    table: Table,
    vault: Vault,
) -> pa.Table:
    """`rows` with what the lake has where it has something: only its blanks are filled.

    Money is filled only in the currency that the row in the lake has.
    """
    before = current.take(pa.array(at))
    mask = pa.array(where)
    money = np.ones(rows.num_rows, bool)
    if c.CURRENCY in table.names:
        held, new = before.column(c.CURRENCY), rows.column(c.CURRENCY)
        money = pc.fill_null(pc.equal(held, new), True).to_numpy().astype(bool)
    for name in table.names:
        if name in _UNCOMPARED or name in table.key or name == c.SOURCE:
            continue
        mine = rows.column(name)
        if name.endswith("_minor"):
            mine = pc.if_else(pa.array(money), mine, None)
        rows = _put(rows, name, pc.if_else(mask, pc.coalesce(before.column(name), mine),
                                           rows.column(name)))  # fmt: skip
    if c.PERSONAL not in table.names:
        return rows
    places = np.flatnonzero(where)
    take = pa.array(places)
    people = rows.column(c.PARTY_ID).take(take).to_pylist()
    blobs = before.column(c.PERSONAL).take(take).to_pylist()
    old = vault.unseal(people, blobs)
    new = vault.unseal(people, rows.column(c.PERSONAL).take(take).to_pylist())
    both = [{**(n or {}), **(o or {})} for n, o in zip(new, old, strict=True)]
    fresh = [None if one == (o or {}) else one for one, o in zip(both, old, strict=True)]
    sealed = vault.seal([p or "" for p in people], fresh)
    made = rows.column(c.PERSONAL).to_pylist()
    for place, blob, kept in zip(places.tolist(), sealed, blobs, strict=True):
        made[place] = kept if blob is None else blob
    return _put(rows, c.PERSONAL, pa.array(made, pa.binary()))


def _as_before(rows: pa.Table, current: pa.Table, where: np.ndarray, at: np.ndarray) -> pa.Table:
    """`rows` that end a key hold what it last held, so that only its end is new."""
    before = current.take(pa.array(at))
    own = {c.RECORDED_AT, c.OP, c.LOAD_ID, c.LOADED_AT, c.VALID_AT}
    for name in rows.column_names:
        if name not in own:
            rows = _put(rows, name, pc.if_else(pa.array(where), before.column(name),
                                               rows.column(name)))  # fmt: skip
    return rows


def _put(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, values)


def _current(held: Held, rows: pa.Table) -> pa.Table | None:
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
