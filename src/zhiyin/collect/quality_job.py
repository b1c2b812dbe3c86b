# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""The turn's look at its data: findings by table and source, written to `quality`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime

import pyarrow as pa

from zhiyin.collect import findings as find
from zhiyin.collect import quality as q
from zhiyin.collect.findings import Finding
from zhiyin.collect.ledger import list_reconciliations
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.context import Context
from zhiyin.core.protocols import Store
from zhiyin.core.rows import arrow_schema
from zhiyin.core.schema import Table
from zhiyin.core.tables import QUALITY, TABLES
from zhiyin.core.values import JobReport

JOB = "collect.quality"
RANK = {"bad": 0, "warn": 1, "ok": 2}


def run(ctx: Context, config: object = None) -> JobReport:
    """Look at every table that sources fill, as of the day; write `quality`.

    Figures: `ok`, `warn`, `bad` (findings). Notes: what is bad, in English.
    """
    until = naive_utc(start_of_day(ctx.as_of, ctx.settings.zone))
    with ctx.store.begin() as connection:
        loads = [one for one in list_reconciliations(connection) if "read" in one]
    found = find.judge_loads(loads, month=f"{ctx.as_of:%Y-%m}")
    judged = [
        table
        for table in TABLES.values()
        if q.is_judged(table) and ctx.store.added(table.name)[0] >= 0  # others are not there yet
    ]
    for place, table in enumerate(judged):
        ctx.progress(JOB, place / len(judged))
        found += look_at(ctx.store, table, as_of=ctx.as_of, until=until)
    rows = to_rows(found, as_of=ctx.as_of)
    count = ctx.store.replace(QUALITY.name, rows, scope={c.AS_OF_ON: ctx.as_of})
    statuses = Counter(one.status for one in found)
    notes = tuple(one.words("en") for one in sort(found) if one.status == "bad")
    figures = {status: statuses.get(status, 0) for status in ("ok", "warn", "bad")}
    ctx.progress(JOB, 1.0)
    return JobReport(JOB, rows={QUALITY.name: count}, figures=figures, notes=notes[:20])


def look_at(store: Store, table: Table, *, as_of: date, until: datetime) -> list[Finding]:
    """Every finding about one table. A table without rows makes none."""
    rows = store.read(table.name, as_of=as_of)
    dated = table.time is not None and table.kind == "fact"
    totals = q.count_all(rows, table).to_pyarrow().to_pylist() if dated else []
    if dated and not totals:
        return []
    window = q.window_of(rows, table, until=until)
    counts = q.count_window(window, table).to_pyarrow().to_pylist()
    found = find.judge_counts(table, counts)
    if dated:
        found += find.judge_freshness(table, totals, counts, until=until)
        found += find.judge_volume(table, counts)
    if counts and (q.number_columns(table) or q.word_columns(table)):
        values = q.count_values(window, table).to_pyarrow().to_pylist()
        found += find.judge_outliers(table, values)
        found += find.judge_drift(table, values)
    return found


def sort(found: Sequence[Finding]) -> list[Finding]:
    """The worst first, then by table, source, column and metric."""
    return sorted(
        found, key=lambda one: (RANK[one.status], one.table, one.source, one.column, one.metric)
    )


def to_rows(found: Sequence[Finding], *, as_of: date) -> pa.Table:
    """Findings as rows of `quality`, the worst first; one per key."""
    best = {(one.table, one.source, one.column, one.metric): one for one in reversed(sort(found))}
    rows = [
        {
            c.AS_OF_ON: as_of, c.TABLE: one.table, c.SOURCE: one.source, c.COLUMN: one.column,
            c.METRIC: one.metric, c.VALUE: one.value, c.THRESHOLD: one.threshold,
            c.STATUS: one.status, c.N: one.n, c.WORDS_EN: one.words("en"),
            c.WORDS_ZH: one.words("zh"),
        }
        for one in sort(list(best.values()))
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=arrow_schema(QUALITY))
