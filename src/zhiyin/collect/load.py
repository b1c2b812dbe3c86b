# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Load a file into the lake: exactly once, resumable, nothing silently dropped.

A load's id is the hash of the file's content, the mapping and the table. Rows are appended by
slices of the file, each once per (load, table, slice), and the ledger notes how far it came: a
load that was cut off goes on behind its last slice, and the same file again changes nothing. A
changed row of a table of revisions becomes its next revision, unless the policy says otherwise.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.collect import ledger, money
from zhiyin.collect.files import Raw, read_raw
from zhiyin.collect.mapping import Mapping, check_mapping, default_mapping, targets
from zhiyin.collect.prepare import Prepared, make_terms, prepare, with_static
from zhiyin.collect.reconcile import LoadReport, Problem, reconcile
from zhiyin.collect.write import Load, Written, write_load
from zhiyin.core import columns as c
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.config import Settings
from zhiyin.core.protocols import Progress, Store, Vault

SHOWN = 100


def load_file(
    store: Store,
    vault: Vault,
    settings: Settings,
    clock: Clock,
    path: Path,
    table: str,
    mapping: Mapping | None = None,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> LoadReport:
    """Load the file `path` into `table`.

    Parameters
    ----------
    mapping
        How the file reads; None: its headers are our column names.
    dry_run
        Check every row and write nothing.

    Returns
    -------
    What was loaded and refused, by month, with the first 100 problems.

    Raises
    ------
    InputError
        If the file or the mapping cannot be read as a whole.
    NotFound
        If no file is loaded into `table`.
    """
    targets(table)
    read = read_raw(
        path,
        encoding=mapping.encoding if mapping else "",
        delimiter=mapping.delimiter if mapping else "",
        sheet=mapping.sheet if mapping else "",
    )
    return load_raw(
        store, vault, settings, clock, read, table, mapping, dry_run=dry_run, progress=progress
    )


def load_raw(
    store: Store,
    vault: Vault,
    settings: Settings,
    clock: Clock,
    raw: Raw,
    table: str,
    mapping: Mapping | None = None,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> LoadReport:
    """Load rows that are in memory; otherwise as `load_file`."""
    headers = raw.rows.column_names
    mapping = mapping or default_mapping(table, headers)
    check_mapping(mapping, table, headers)
    mapping = with_static(mapping, settings, table)
    rates, state = read_rates(store, settings.currency)
    load_id = load_id_of(raw, mapping, table)
    with store.begin() as connection:
        begun = ledger.find_load(connection, load_id)
        if begun is not None and begun["state"] == "done" and not dry_run:
            report = LoadReport.from_json(begun["reconciliation"])
            if not report.rates or report.rates == state:
                return replace(report, already=True)
            load_id = load_id_of(raw, mapping, table, state)  # rates came since: try again
            begun = ledger.find_load(connection, load_id)
            if begun is not None and begun["state"] == "done":
                return replace(LoadReport.from_json(begun["reconciliation"]), already=True)
        now = begun["started_at"] if begun is not None else naive_utc(clock.now())
        if begun is None and not dry_run:
            ledger.begin_load(
                connection, load_id, table=table, source=mapping.source, file=raw.name,
                started_at=now,
            )  # fmt: skip
    say = progress or _quiet
    say("check", 0.1)
    lines = mapping.from_orders and table == "order_lines"
    look = partial(_orders_of, store) if lines else None
    terms = make_terms(settings, mapping, now=now, rates=rates, orders_of=look)
    prepared = prepare(raw, table, terms=terms, settings=settings, vault=vault)
    done = (begun["reconciliation"] or {}) if begun is not None and not dry_run else {}
    load = Load(store, vault, settings, prepared, table, load_id, say, done=done)
    report = _run(load, state=state, dry_run=dry_run)
    if not dry_run:
        with store.begin() as connection:
            ledger.finish_load(
                connection, load_id, rows=(report.read, report.loaded, report.quarantined),
                reconciliation=report.to_json(), finished_at=naive_utc(clock.now()),
            )  # fmt: skip
    say("done", 1.0)
    return report


def _orders_of(store: Store, ids: pa.Array) -> pa.Table:
    """The customer and time of the orders `ids` that the lake holds."""
    wanted = store.to_ibis(pa.table({c.ORDER_ID: ids.cast(pa.string())}))
    found = store.read("orders").semi_join(wanted, c.ORDER_ID)
    return found.select(c.ORDER_ID, c.PARTY_ID, c.ORDERED_AT).to_pyarrow()


def _quiet(what: str, share: float) -> None:
    return None


def load_id_of(raw: Raw, mapping: Mapping, table: str, rates: str = "") -> str:
    """The id of a load: a hash of what is loaded, and how."""
    said = mapping.model_dump_json(exclude_defaults=True)  # keys added later change no id
    parts = [raw.digest, said, table, *([rates] if rates else [])]
    return "l_" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def read_rates(store: Store, base: str) -> tuple[money.Rates, str]:
    """The rates of the lake and a hash of them."""
    held = store.read("rates").select(c.CURRENCY, c.RATE_ON, c.RATE).to_pyarrow().to_pylist()
    rows = sorted((row[c.CURRENCY], row[c.RATE_ON], row[c.RATE]) for row in held)
    state = hashlib.sha256(json.dumps(rows, default=str).encode()).hexdigest()[:16]
    return money.make_rates(base, rows), state


def _run(load: Load, *, state: str, dry_run: bool) -> LoadReport:
    prepared, checked = load.prepared, load.prepared.checked
    written = Written({}, 0, 0) if dry_run else write_load(load)
    notes = list(prepared.notes)
    if written.lost:
        notes.append(f"personal fields of {written.lost} rows without a customer are not kept")
    loaded = prepared.accept | prepared.repeated
    months, total = reconcile(
        checked, prepared.people.party, loaded=loaded, repeated=prepared.repeated,
        zone=load.settings.zone,
    )  # fmt: skip
    problems, reasons = _list_problems(prepared, loaded)
    suspects = checked.columns.get(c.SUSPECT)
    if suspects is not None:
        suspects = pc.sum(suspects.filter(pa.array(prepared.accept))).as_py()
    return LoadReport(
        load_id=load.load_id, table=load.table, source=load.source, file=checked.raw.name,
        currency=load.settings.currency, read=total.read, loaded=total.loaded,
        quarantined=total.quarantined, repeated=int(prepared.repeated.sum()),
        unchanged=written.unchanged, suspects=suspects or 0, written=written.rows,
        reasons=reasons, months=months, total=total, problems=problems, notes=tuple(notes),
        dry_run=dry_run, rates=state if "no_rate" in reasons else "",
        headers=tuple(checked.raw.rows.column_names) if reasons else (),
        mapping=prepared.terms.mapping.model_dump(exclude_defaults=True) if reasons else {},
    )  # fmt: skip


def _list_problems(
    prepared: Prepared, loaded: np.ndarray
) -> tuple[tuple[Problem, ...], dict[str, int]]:
    checked = prepared.checked
    kinds, mapping = checked.problems.kinds, prepared.terms.mapping
    places = np.flatnonzero(~loaded)
    header = {name: ", ".join(rule.headers) for name, rule in mapping.columns.items()}
    found = []
    for place in places[:SHOWN].tolist():
        code, message, column = kinds[checked.problems.index[place]]
        line = int(checked.raw.line_no[place])
        found.append(Problem(line, code, message, header.get(column) or column))
    found += [Problem(r.line_no, r.reason, r.message) for r in checked.raw.refused[:SHOWN]]
    codes = [kinds[index][0] for index in checked.problems.index[places].tolist()]
    counts = pd.Series([*codes, *(r.reason for r in checked.raw.refused)], dtype=object)
    reasons = {str(k): int(v) for k, v in counts.value_counts().sort_index().items()}
    return tuple(sorted(found, key=lambda one: one.line_no)[:SHOWN]), reasons
