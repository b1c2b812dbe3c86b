# pyright: basic, reportOperatorIssue=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.
"""Job `audience`: who is in each stored audience on the day, and who entered or left."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.audience.compiler import compile_many
from zhiyin.audience.ledger import (
    LIVE,
    STATIC,
    Stored,
    last_evaluations,
    list_audiences,
    tell_changes,
)
from zhiyin.audience.read import last_snapshot, tables_for
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.context import Context
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import table as table_of
from zhiyin.core.values import JobReport

JOB = "audience"
TABLE = "audience_members"


def run(ctx: Context, config: object = None) -> JobReport:
    """Write `audience_members` of the day and the changes since the last one.

    All audiences are asked in one pass. A static one is asked when it has not been before. For a
    day before the last one that was told of, members are written and nobody enters or leaves;
    so it is with live ones, whose changes are told when they happen.
    Figures: the size of each audience, `entered`, `left`.
    """
    with ctx.store.begin() as connection:
        stored = list_audiences(connection)
        told = last_evaluations(connection)
    due = [one for one in stored if one.kind != STATIC or one.evaluated_on is None]
    if not due:
        return JobReport(JOB, figures={"audiences": len(stored)})
    rules = {one.name: one.rule for one in stored}
    compiled = compile_many({one.name: one.rule for one in due}, audiences=rules)
    tables = tables_for(ctx.store, ctx.vault, compiled.rules.values(), as_of=ctx.as_of)
    flags = compiled.flags(
        tables, as_of=ctx.as_of, zone=ctx.settings.zone,
        snapshot_on=last_snapshot(ctx.store, ctx.as_of),
    ).to_pyarrow()  # fmt: skip
    figures: dict[str, object] = {"audiences": len(stored), "entered": 0, "left": 0}
    written = 0
    for place, one in enumerate(due):
        ctx.progress(JOB, place / len(due))
        ids = flags.filter(flags[one.name])[c.CUSTOMER_ID].to_pylist()
        written += _write(ctx, one, ids)
        if one.kind != LIVE and told.get(one.name, ctx.as_of) <= ctx.as_of:
            with ctx.store.begin() as connection:
                now = naive_utc(ctx.clock.now())
                entered, left = tell_changes(connection, one, ids, as_of=ctx.as_of, now=now)
            figures["entered"] = int(figures["entered"]) + entered
            figures["left"] = int(figures["left"]) + left
        figures[f"size of {one.name}"] = len(ids)
    return JobReport(JOB, rows={TABLE: written}, figures=figures)


def _write(ctx: Context, stored: Stored, ids: list[str]) -> int:
    table = table_of(TABLE)
    people = pa.array(sorted(ids), pa.string())
    rows = pa.table({
        c.AS_OF_ON: pc.if_else(pc.is_valid(people), pa.scalar(ctx.as_of, pa.date32()), None),
        c.AUDIENCE: pa.array([stored.name] * len(ids), pa.string()),
        c.VERSION: pa.array([stored.version] * len(ids), pa.int64()),
        c.CUSTOMER_ID: people,
    }, schema=arrow_schema(table))  # fmt: skip
    return ctx.store.replace(TABLE, rows, scope={c.AS_OF_ON: ctx.as_of, c.AUDIENCE: stored.name})
