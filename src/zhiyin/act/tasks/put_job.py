# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""Puts the calls of a campaign on the lists of the home stores, and takes off what is over."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import ibis
import pyarrow as pa
import sqlalchemy as sa

from zhiyin.act import ledger as sent
from zhiyin.act.campaigns.closing_job import close
from zhiyin.act.campaigns.handed import Calls
from zhiyin.act.campaigns.ledger import CANCELLED, RUNNING, Campaign
from zhiyin.act.create.content import describe_products
from zhiyin.act.reasons import NOT_CALLED, NOT_REACHED
from zhiyin.act.tasks import ledger
from zhiyin.act.tasks.home import home_stores
from zhiyin.core import columns as c
from zhiyin.core.clock import local_day, naive_utc, start_of_day
from zhiyin.core.context import Context
from zhiyin.core.errors import InvalidParameter

CHUNK = 2_000
FORMAT = 1
_MOST_REASONS = 2
_CHECKS = "check."  # recommendations that only measure reads


def put_on_lists(ctx: Context, held: Campaign) -> dict[str, Any]:
    """Put what is due on the lists, take off what is over; `count_messages` of the campaign.

    Doing it again changes nothing: a message has one task.

    Raises
    ------
    InvalidParameter
        If the campaign does not run.
    """
    if held.state not in (RUNNING, CANCELLED):
        raise InvalidParameter(
            f"the campaign {held.key!r} is {held.state}: nothing of it is put on a list",
            hint=f"zhiyin campaign show {held.key}",
        )
    due = naive_utc(ctx.clock.now())
    after = (-1, "")
    while True:
        with ctx.store.begin() as connection:
            rows = sent.read_messages(
                connection, held.campaign_id, states=[sent.PLANNED, sent.SENDING], after=after,
                due_at=due, limit=CHUNK,
            )  # fmt: skip
            known = ledger.read_tasks(connection, [row.message_id for row in rows])
        if not rows:
            break
        ctx.progress("sending", 0.5)
        _expire(ctx, [row for row in rows if row.message_id in known], known)
        fresh = [row for row in rows if row.message_id not in known and row.state == sent.PLANNED]
        if held.state == RUNNING:
            _skip_erased(ctx, [row for row in fresh if row.content is None])
            _put(ctx, held, [row for row in fresh if row.content is not None])
        after = (rows[-1].priority, rows[-1].message_id)
    return close(ctx, held)


def _put(ctx: Context, held: Campaign, rows: Sequence[sa.Row[Any]]) -> None:
    if not rows:
        return
    calls, now = held.definition.task, ctx.clock.now()
    day = local_day(now, ctx.settings.zone) + timedelta(days=calls.days)
    over = naive_utc(start_of_day(day, ctx.settings.zone))
    customers = sorted({row.customer_id for row in rows})
    as_of = held.as_of_on or ctx.as_of
    stores = _stores(ctx, customers, as_of=as_of, calls=calls)
    why = _scores(ctx, customers, as_of=as_of)
    offered = _products(ctx, customers, as_of=as_of, most=calls.products)
    contents = [
        {"format": FORMAT, "scores": why.get(row.customer_id, []),
         "products": offered.get(row.customer_id, [])}
        for row in rows
    ]  # fmt: skip
    sealed = ctx.vault.seal([row.party_id for row in rows], contents)
    made = [
        {
            "message_id": row.message_id, "party_id": row.party_id, "campaign": held.key,
            "store_id": stores.get(row.customer_id, ledger.CENTRAL), "state": ledger.OPEN,
            "put_at": naive_utc(now), "until": over, "content": blob,
        }
        for row, blob in zip(rows, sealed, strict=True)
    ]  # fmt: skip
    with ctx.store.begin() as connection:
        ledger.add_tasks(connection, made)


def _skip_erased(ctx: Context, rows: Sequence[sa.Row[Any]]) -> None:
    erased = [sent.Outcome(row.message_id, sent.SKIPPED, "erased") for row in rows]
    with ctx.store.begin() as connection:
        sent.settle_messages(connection, erased, before=sent.PLANNED)


def _expire(ctx: Context, rows: Sequence[sa.Row[Any]], known: Mapping[str, ledger.Task]) -> None:
    """What nobody called in time is over; what somebody took and never answered is in doubt."""
    now = naive_utc(ctx.clock.now())
    with ctx.store.begin() as connection:
        for row in rows:
            task = known[row.message_id]
            if task.held_by(now) is not None:
                continue
            outcome = (sent.SKIPPED, NOT_CALLED) if not task.tries else (sent.FAILED, NOT_REACHED)
            if row.state == sent.SENDING:
                outcome = (sent.UNKNOWN, "no_answer")
            state, reason = outcome
            ledger.change_task(connection, task, state=ledger.EXPIRED)
            ledger.change_message(
                connection, row.message_id, states=[row.state], state=state, reason=reason
            )


def _stores(ctx: Context, customers: Sequence[str], *, as_of: date, calls: Calls) -> dict[str, str]:
    lines = ctx.store.read("order_lines", as_of=as_of).semi_join(
        _ids(ctx, customers), c.CUSTOMER_ID
    )
    found = home_stores(lines, prefer=calls.store).to_pyarrow().to_pylist()
    return {row[c.CUSTOMER_ID]: row[c.STORE_ID] for row in found}


def _scores(
    ctx: Context, customers: Sequence[str], *, as_of: date
) -> dict[str, list[dict[str, Any]]]:
    """Of each customer the score in which she stands highest, with its strongest reasons."""
    rows = _newest(ctx, "scores", customers, as_of=as_of)
    best: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda one: (one[c.RANK], one[c.TASK], one[c.SUBJECT])):
        reasons = [one for one in json.loads(row[c.REASONS] or "[]") if one.get("effect", 0) > 0]
        if reasons and row[c.CUSTOMER_ID] not in best:
            best[row[c.CUSTOMER_ID]] = {
                "task": row[c.TASK], "subject": row[c.SUBJECT], "score": row[c.SCORE],
                "reasons": reasons[:_MOST_REASONS],
            }  # fmt: skip
    return {customer: [one] for customer, one in best.items()}


def _products(
    ctx: Context, customers: Sequence[str], *, as_of: date, most: int
) -> dict[str, list[dict[str, str]]]:
    """The products that are recommended to each customer, best first, as a message shows them."""
    if not most:
        return {}
    rows = [
        row
        for row in _newest(ctx, "recommendations", customers, as_of=as_of)
        if row[c.RANK] <= most and not row[c.MODEL].startswith(_CHECKS)
    ]
    wanted = sorted({row[c.PRODUCT_ID] for row in rows})
    ids = ctx.store.to_ibis(pa.table({c.PRODUCT_ID: pa.array(wanted, pa.string())}))
    products = ctx.store.read("products", as_of=as_of).semi_join(ids, c.PRODUCT_ID)
    known = {row[c.PRODUCT_ID]: row for row in products.to_pyarrow().to_pylist()}
    of: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda one: (one[c.CUSTOMER_ID], one[c.RANK])):
        of.setdefault(row[c.CUSTOMER_ID], []).append(row[c.PRODUCT_ID])
    return {customer: describe_products(held, known) for customer, held in of.items()}


def _newest(
    ctx: Context, table: str, customers: Sequence[str], *, as_of: date
) -> list[dict[str, Any]]:
    """Rows of the customers on the newest day that was computed by then."""
    rows = ctx.store.read(table)
    rows = rows.filter(rows[c.AS_OF_ON] <= ibis.literal(as_of))
    day = rows[c.AS_OF_ON].max().to_pyarrow().as_py()
    if day is None:
        return []
    mine = rows.filter(rows[c.AS_OF_ON] == ibis.literal(day))
    return mine.semi_join(_ids(ctx, customers), c.CUSTOMER_ID).to_pyarrow().to_pylist()


def _ids(ctx: Context, customers: Sequence[str]) -> ibis.Table:
    return ctx.store.to_ibis(pa.table({c.CUSTOMER_ID: pa.array(list(customers), pa.string())}))
