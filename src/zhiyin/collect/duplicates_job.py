# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""Suggestions of duplicate customers: decrypted in memory, kept as party ids, score and rule."""

from __future__ import annotations

import pyarrow as pa

from zhiyin.collect.duplicates import Suggestion, find_duplicates, person_of
from zhiyin.core import columns as c
from zhiyin.core.context import Context
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import DUPLICATES
from zhiyin.core.values import JobReport

JOB = "collect.duplicates"
_STEP = 20_000


def run(ctx: Context, config: object = None) -> JobReport:
    """Compare all customers before the day and write `duplicates`.

    Parties that are one customer already are not suggested. Figures: `people` (with a name),
    `suggestions`.
    """
    rows = ctx.store.read("customers", as_of=ctx.as_of)
    held = rows.select(c.PARTY_ID, c.CUSTOMER_ID, c.CITY, c.PERSONAL).order_by(c.PARTY_ID)
    table = held.to_pyarrow()
    people, customer = [], {}
    for start in range(0, table.num_rows, _STEP):
        ctx.progress(JOB, 0.8 * start / table.num_rows)
        part = table.slice(start, _STEP).to_pylist()
        opened = ctx.vault.unseal(
            [row[c.PARTY_ID] for row in part], [row[c.PERSONAL] for row in part]
        )
        for row, personal in zip(part, opened, strict=True):
            customer[row[c.PARTY_ID]] = row[c.CUSTOMER_ID]
            one = person_of(row[c.PARTY_ID], personal or {}, city=row[c.CITY] or "")
            if one is not None:
                people.append(one)
    found = [one for one in find_duplicates(people) if customer[one.party_id] != customer[one.into]]
    count = ctx.store.replace(DUPLICATES.name, _rows(found, ctx), scope={c.AS_OF_ON: ctx.as_of})
    ctx.progress(JOB, 1.0)
    figures = {"people": len(people), "suggestions": len(found)}
    return JobReport(JOB, rows={DUPLICATES.name: count}, figures=figures)


def _rows(found: list[Suggestion], ctx: Context) -> pa.Table:
    rows = [
        {
            c.AS_OF_ON: ctx.as_of, c.PARTY_ID: one.party_id, c.INTO: one.into,
            c.SCORE: one.score, c.RULE: one.rule,
        }
        for one in found
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=arrow_schema(DUPLICATES))
