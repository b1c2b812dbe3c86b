# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Writing a prepared file: its rows, and what follows from them, each exactly once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.collect import identity, ledger, lines
from zhiyin.collect.mapping import CONSENTS, GRANTED, PURPOSE, TEXT_VERSION, USER_ID
from zhiyin.collect.merge_guards import limits_of
from zhiyin.collect.prepare import Prepared, first_seen, seen_identifiers, shape_rows
from zhiyin.collect.revise import Held, compare, look_at
from zhiyin.collect.shape import lake_rows, month_of
from zhiyin.core import columns as c
from zhiyin.core.config import Settings
from zhiyin.core.protocols import Progress, Store, Vault
from zhiyin.core.tables import TABLES
from zhiyin.govern.identifiers import strength

PLACE = "zhiyin_place"  # of a refused line in its order, kept with its content
SLICE = 200_000  # rows an append writes: bounds the memory of the writer
_FACTS = frozenset({"orders", "order_lines", "contracts", "touches", "texts"})


@dataclass(frozen=True)
class Load:
    """One load under way."""

    store: Store
    vault: Vault
    settings: Settings
    prepared: Prepared
    table: str
    load_id: str
    progress: Progress
    done: Mapping = field(default_factory=dict)  # how far the load came before it was cut off

    @property
    def source(self) -> str:
        """Name of the source."""
        return self.prepared.terms.mapping.source

    @property
    def now(self) -> datetime:
        """When the load began, naive UTC; the same when it is resumed."""
        return self.prepared.terms.now


@dataclass(frozen=True)
class Written:
    """Rows written by table; accepted rows that the lake held already; rows whose personal fields
    were not kept, since they name no customer."""

    rows: dict[str, int]
    unchanged: int
    lost: int


def write_load(load: Load) -> Written:
    """Write everything that `load` brings. Rows that clash with earlier loads become refused."""
    held = None if load.table == CONSENTS else look_at(load.store, TABLES[load.table])
    if held is None:
        added = _write_consents(load)
        made = Written({CONSENTS: added}, int(load.prepared.accept.sum()) - added, 0)
    else:
        count, unchanged, lost = _write_rows(load, held)
        made = Written({load.table: count}, unchanged, lost)
    made.rows.update({name: count for name, count in _write_rest(load, held).items() if count})
    return made


def _write_rows(load: Load, held: Held) -> tuple[int, int, int]:
    """Append new and changed rows; (written, unchanged, rows with personal fields lost)."""
    prepared, table = load.prepared, TABLES[load.table]
    count = prepared.checked.count
    done = load.done if load.done.get("slice") == SLICE else {}
    made = {name: done.get(name, 0) for name in ("slices", "written", "unchanged", "lost")}
    clashes: list[int] = list(done.get("clashes", ()))
    _refuse(prepared, clashes)
    for seq, start in enumerate(range(0, count, SLICE)):
        if seq < made["slices"]:
            continue  # committed before the load was cut off
        load.progress("write", 0.3 + 0.5 * start / max(count, 1))
        rows = start + np.flatnonzero(prepared.accept[start : start + SLICE])
        if not len(rows):
            continue
        shaped, missed = shape_rows(prepared, rows, vault=load.vault, load_id=load.load_id)
        if load.table == "order_lines":
            shaped = _with_returns(load, shaped, held)
        compared = compare(
            held, shaped, vault=load.vault, load_id=load.load_id,
            policy=prepared.terms.mapping.policy,
        )  # fmt: skip
        clash = rows[compared.conflict].tolist()
        _refuse(prepared, clash)
        fresh = compared.rows.filter(pa.array(compared.write))
        if fresh.num_rows:
            load.store.append(table.name, fresh, app=f"{load.load_id}:{table.name}", seq=seq)
        clashes += clash
        made["slices"] = seq + 1
        made["written"] += fresh.num_rows + compared.mine
        made["unchanged"] += len(rows) - len(clash) - fresh.num_rows - compared.mine
        made["lost"] += missed
        with load.store.begin() as connection:
            ledger.note_progress(
                connection, load.load_id, {**made, "slice": SLICE, "clashes": clashes}
            )
    return made["written"], made["unchanged"], made["lost"]


def _refuse(prepared: Prepared, places: Sequence[int]) -> None:
    """Refuse rows that clash with what an earlier load brought."""
    if places:
        clash = np.zeros(prepared.checked.count, bool)
        clash[list(places)] = True
        prepared.checked.problems.flag(
            clash, "conflicting_duplicate", "an earlier load has this key and differs"
        )
        prepared.accept[clash] = False


def _with_returns(load: Load, rows: pa.Table, held: Held) -> pa.Table:
    """Link returns to lines sold before, in the file and in the lake."""
    back = pc.equal(rows.column(c.KIND), "return")
    if not pc.any(back).as_py():
        return rows
    names = [c.LINE_ID, c.PARTY_ID, c.PRODUCT_ID, c.SOLD_AT, c.KIND]
    checked = load.prepared.checked
    mine = {n: checked.columns[n] for n in names if n in checked.columns}
    mine[c.PARTY_ID] = load.prepared.people.party
    if c.PRODUCT_ID not in mine:
        return rows
    sold = pa.table({n: mine[n] for n in names}).filter(pa.array(load.prepared.accept))
    if not held.empty:
        people = pc.unique(rows.column(c.PARTY_ID).filter(back)).drop_null()
        earlier = held.rows.filter(held.rows[c.LOAD_ID] != load.load_id).semi_join(
            load.store.to_ibis(pa.table({c.PARTY_ID: people})), c.PARTY_ID
        )
        sold = pa.concat_tables([sold, earlier.select(*names).to_pyarrow().cast(sold.schema)])
    found = lines.link_returns(rows, sold)
    return rows.set_column(rows.schema.get_field_index(c.RETURNS_LINE_ID), c.RETURNS_LINE_ID, found)


def _write_rest(load: Load, held: Held | None) -> dict[str, int]:
    """Everything that follows from the rows: orders, quarantine, identities, new customers."""
    load.progress("orders", 0.85)
    lines_held = held if load.table == "order_lines" else None
    made = {"orders": 0 if lines_held is None else _write_orders(load, lines_held)}
    load.progress("quarantine", 0.9)
    made["quarantine"] = _write_quarantine(load)
    if load.prepared.people.known.empty:
        return made
    known = seen_identifiers(load.prepared)
    made["identities"], fresh = identity.record_identities(
        load.store, load.vault, known, source=load.source, load_id=load.load_id, now=load.now
    )
    if load.table in _FACTS:
        made["customers"] = _write_new_customers(load, known)
    if len(fresh) and any(strength(one) for one in known[c.NAMESPACE].unique()):
        limits = limits_of(load.settings.identity)
        made["merges"], made["identity_conflicts"] = identity.join_records(
            load.store, app=load.load_id, limits=limits, fresh=fresh
        )
    return made


def _write_orders(load: Load, held: Held) -> int:
    """Orders of the lines, unless the source brings its own."""
    if load.prepared.checked.raw.name == ledger.TRACKED:
        return 0  # loaded as orders, before their lines
    with load.store.begin() as connection:
        if ledger.has_load_of(connection, "orders", load.source):
            return 0
    prepared = load.prepared
    rows = np.flatnonzero(prepared.accept)
    if not len(rows):
        return 0
    schema = TABLES["orders"]
    every = _all_lines(load, rows, held)
    derived = lines.derive_orders(
        every, mapping=prepared.terms.mapping, base_currency=load.settings.currency
    )
    columns = {name: derived.column(name) for name in derived.column_names}
    columns[c.VALID_AT] = columns[c.ORDERED_AT]
    made = lake_rows(
        columns, schema, derived.num_rows, revision=1, op="upsert", recorded_at=load.now,
        source=load.source, load_id=load.load_id, loaded_at=load.now,
    )  # fmt: skip
    made = month_of(made, schema)
    compared = compare(look_at(load.store, schema), made, vault=load.vault, load_id=load.load_id)
    fresh = compared.rows.filter(pa.array(compared.write))
    if fresh.num_rows:
        load.store.append("orders", fresh, app=f"{load.load_id}:orders")
    return fresh.num_rows


_ORDER_NAMES = (
    c.LINE_ID, c.ORDER_ID, c.PARTY_ID, c.SOLD_AT, c.STORE_ID, c.KIND, c.CURRENCY, *lines.MINOR,
    *lines.BASE,
)  # fmt: skip


def _all_lines(load: Load, rows: np.ndarray, held: Held) -> pa.Table:
    """The accepted lines and, of their orders, the lines that earlier loads brought."""
    prepared, take = load.prepared, pa.array(rows)
    made = dict(prepared.checked.columns) | {c.PARTY_ID: prepared.people.party}
    made.setdefault(c.STORE_ID, pa.nulls(prepared.checked.count, pa.string()))
    mine = pa.table({name: made[name] for name in _ORDER_NAMES})
    mine = mine if len(rows) == mine.num_rows else mine.take(take)
    if held.empty:
        return mine
    other = held.rows.filter(held.rows[c.LOAD_ID] != load.load_id)
    orders = load.store.to_ibis(pa.table({c.ORDER_ID: pc.unique(mine.column(c.ORDER_ID))}))
    found = other.semi_join(orders, c.ORDER_ID).select(*_ORDER_NAMES).to_pyarrow()
    found = found.filter(
        pc.invert(pc.is_in(found.column(c.LINE_ID), value_set=mine.column(c.LINE_ID)))
    )
    return pa.concat_tables([mine, found.cast(mine.schema)]).sort_by(
        [(c.SOLD_AT, "ascending"), (c.LINE_ID, "ascending")]
    )


def _write_quarantine(load: Load) -> int:
    prepared, checked = load.prepared, load.prepared.checked
    places = np.flatnonzero(~(prepared.accept | prepared.repeated))
    raw = checked.raw
    if not len(places) and not raw.refused:
        return 0
    kinds = [checked.problems.kinds[i] for i in checked.problems.index[places].tolist()]
    named = raw.rows.take(pa.array(places))
    if load.table == "order_lines" and c.LINE_ID not in prepared.terms.mapping.columns:
        own = checked.columns[c.LINE_ID].take(pa.array(places))  # so that it keeps its place
        named = named.append_column(PLACE, pc.replace_substring_regex(own, "^.*:", ""))
    contents = [
        json.dumps(row, ensure_ascii=False, default=str).encode() for row in named.to_pylist()
    ]
    people = prepared.people.party.take(pa.array(places)).to_pylist()
    numbers = raw.line_no[places].tolist()
    sealed = load.vault.seal_with(load.load_id, [*contents, *(r.content for r in raw.refused)])
    columns = {
        c.LINE_NO: [*numbers, *(r.line_no for r in raw.refused)],
        c.REASON: [*(k[0] for k in kinds), *(r.reason for r in raw.refused)],
        c.MESSAGE: [*(k[1] for k in kinds), *(r.message for r in raw.refused)],
        c.PARTY_IDS: [
            *(json.dumps([p] if p else []) for p in people),
            *("[]" for _ in raw.refused),
        ],
        c.CONTENT: sealed,
    }
    table = TABLES["quarantine"]
    rows = lake_rows(
        {name: pa.array(values) for name, values in columns.items()}, table, len(sealed),
        source=load.source, load_id=load.load_id, table=load.table, key_id=load.load_id,
        quarantined_at=load.now,
    )  # fmt: skip
    load.store.append("quarantine", rows, app=f"{load.load_id}:quarantine")
    return rows.num_rows


def _write_new_customers(load: Load, known: pd.DataFrame) -> int:
    """A customer without attributes for each party that the lake has none for: it keeps her
    original identifier, encrypted, and holds from the day she was first seen."""
    first = first_seen(load.prepared)
    if first.empty:
        return 0
    held = load.store.read("customers").select(c.PARTY_ID).to_pyarrow()
    there = set(held.column(c.PARTY_ID).to_pylist())
    seen = dict(zip(map(str, first.index), first.to_numpy().astype("datetime64[us]"), strict=True))
    people = sorted(seen.keys() - there)
    if not people:
        return 0
    names = {load.prepared.terms.mapping.user_namespace: USER_ID}
    fields: dict[str, dict[str, str]] = {}
    for namespace, value, party in zip(
        known[c.NAMESPACE], known["value"], known[c.PARTY_ID], strict=True
    ):
        fields.setdefault(party, {})[names.get(namespace) or namespace] = value
    people = [party for party in people if party in fields]
    columns = {
        c.PARTY_ID: pa.array(people, pa.string()),
        c.VALID_AT: pa.array(np.asarray([seen[party] for party in people])),
        c.PERSONAL: pa.array(load.vault.seal(people, [fields[p] for p in people]), pa.binary()),
    }
    rows = lake_rows(
        columns, TABLES["customers"], len(people), revision=1, op="upsert", recorded_at=load.now,
        undated=False, source=load.source, load_id=load.load_id, loaded_at=load.now,
    )  # fmt: skip
    load.store.append("customers", rows, app=f"{load.load_id}:customers")
    return rows.num_rows


def _write_consents(load: Load) -> int:
    prepared = load.prepared
    take = pa.array(np.flatnonzero(prepared.accept))
    columns = {name: v.take(take).to_pylist() for name, v in prepared.checked.columns.items()}
    empty = [None] * len(take)
    parts = zip(
        prepared.people.party.take(take).to_pylist(),
        *(columns.get(n, empty) for n in (PURPOSE, c.CHANNEL, GRANTED, c.AT, TEXT_VERSION)),
        columns.get(c.SOURCE, empty),
        strict=True,
    )
    made: dict[str, dict] = {}
    for party, purpose, channel, granted, at, version, source in parts:
        row = {
            "party_id": party, "purpose": purpose or "marketing", "channel": channel or "*",
            "granted": granted, "at": at, "source": source or load.source,
            "text_version": version,
        }  # fmt: skip
        key = hashlib.sha256(json.dumps(row, default=str, sort_keys=True).encode()).hexdigest()
        made[key] = {"consent_id": key, **row}
    with load.store.begin() as connection:
        return ledger.add_consents(connection, list(made.values()))
