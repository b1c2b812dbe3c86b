# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""The turn's first step: what facts are visible before the day, and what they add up to."""

from __future__ import annotations

from zhiyin.collect.ledger import list_reconciliations
from zhiyin.core import columns as c
from zhiyin.core.context import Context
from zhiyin.core.values import JobReport

JOB = "collect.facts"
COUNTED = (
    "orders", "order_lines", "contracts", "touches", "texts", "spend", "customers", "products",
    "stores", "offers", "campaigns",
)  # fmt: skip


def run(ctx: Context, config: object = None) -> JobReport:
    """Count the visible rows of every fact table and add up revenue before `as_of`.

    Figures: `visible` (rows by table), `net_minor`, `rows_without_customer_share`,
    `revenue_without_customer_share` ([0, 1]; 0 without lines), `suspects`, `first_sold_at`,
    `last_sold_at` (ISO, UTC), `quarantined` (rows, all loads).
    """
    visible: dict[str, int] = {}
    for place, name in enumerate(COUNTED):
        ctx.progress(JOB, place / (len(COUNTED) + 1))
        visible[name] = int(ctx.store.read(name, as_of=ctx.as_of).count().to_pyarrow().as_py())
    lines = ctx.store.read("order_lines", as_of=ctx.as_of)
    nobody = lines[c.PARTY_ID].isnull()
    amount = lines[c.AMOUNT_BASE_MINOR]
    sums = lines.aggregate(
        net=amount.sum(),
        without=nobody.sum(),
        net_without=nobody.ifelse(amount, 0).sum(),
        suspects=lines[c.SUSPECT].sum(),
        first=lines[c.SOLD_AT].min(),
        last=lines[c.SOLD_AT].max(),
    )
    found = sums.to_pyarrow().to_pylist()[0]
    with ctx.store.begin() as connection:
        loads = list_reconciliations(connection)
    count, net = visible["order_lines"], int(found["net"] or 0)
    figures = {
        "visible": visible,
        "net_minor": net,
        "rows_without_customer_share": int(found["without"] or 0) / count if count else 0.0,
        "revenue_without_customer_share": int(found["net_without"] or 0) / net if net else 0.0,
        "suspects": int(found["suspects"] or 0),
        "first_sold_at": found["first"].isoformat() if found["first"] else None,
        "last_sold_at": found["last"].isoformat() if found["last"] else None,
        "quarantined": sum(load.get("quarantined", 0) for load in loads),
    }
    ctx.progress(JOB, 1.0)
    return JobReport(JOB, rows={}, figures=figures)
