"""Law 1: rows with business time on or after the day never change what the day sees."""

from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from zhiyin.core import columns as c
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import MERGES, ORDERS
from zhiyin.core.tables import table as definition_of
from zhiyin.store.asof import (
    boundary_of,
    has_single_revisions,
    representatives_of,
    representatives_table,
    visible_rows,
    with_customers,
)
from zhiyin.store.engines.duckdb import DuckDBEngine
from zhiyin.testing.contract_store import DAY, MIDNIGHT, ZONE, Row, merge, order
from zhiyin.testing.store import MemoryStore

PARTIES = ["p_a", "p_b", "p_c", "p_d"]
HOURS = st.integers(-72, 72).map(lambda hours: MIDNIGHT + timedelta(hours=hours))


@st.composite
def orders(draw) -> Row:
    return order(
        draw(st.sampled_from(["o:1", "o:2", "o:3"])),
        draw(HOURS),
        revision=draw(st.integers(1, 3)),
        valid=draw(HOURS),
        op=draw(st.sampled_from(["upsert", "upsert", "delete"])),
        party_id=draw(st.sampled_from([*PARTIES, None])),
        amount_base_minor=draw(st.integers(0, 99)),
        recorded_at=MIDNIGHT + timedelta(days=9, microseconds=draw(st.integers(0, 10**9))),
    )


@st.composite
def merges(draw) -> Row:
    at = draw(HOURS)
    later = draw(st.none() | st.integers(0, 96))
    return merge(
        draw(st.sampled_from(PARTIES)),
        draw(st.sampled_from(PARTIES)),
        at,
        undone=None if later is None else at + timedelta(hours=later),
    )


@pytest.fixture(scope="module")
def engine():
    return DuckDBEngine(threads=1, memory_bytes=2**29)


def _table(name: str, rows: list[Row]) -> pa.Table:
    definition = definition_of(name)
    full = [dict.fromkeys(definition.names) | {c.MONTH: "2024-03"} | row for row in rows]
    return pa.Table.from_pylist(full, schema=arrow_schema(definition))


def _seen(engine, order_rows: list[Row], merge_rows: list[Row], day) -> list[Row]:
    """What the real store's functions show of the day."""
    before = boundary_of(day, ZONE)
    stored = engine.from_arrow(_table("orders", order_rows))
    single = has_single_revisions(stored, ORDERS)
    settled = visible_rows(engine.from_arrow(_table("merges", merge_rows)), MERGES, before=before)
    mapping = engine.from_arrow(representatives_table(representatives_of(settled.to_pyarrow())))
    rows = visible_rows(stored, ORDERS, before=before, single=single)
    return sorted(with_customers(rows, mapping=mapping).to_pyarrow().to_pylist(), key=str)


def _is_future(row: Row) -> bool:
    times = [row[name] for name in (c.ORDERED_AT, c.VALID_AT, c.AT) if name in row]
    return any(moment >= MIDNIGHT for moment in times)


@settings(max_examples=examples(6), deadline=None)
@given(st.lists(orders(), max_size=8), st.lists(merges(), max_size=4))
def test_what_happens_on_or_after_the_day_does_not_change_it(engine, order_rows, merge_rows):
    past_orders = [row for row in order_rows if not _is_future(row)]
    past_merges = [
        row
        | {c.UNDONE_AT: None if (row[c.UNDONE_AT] or MIDNIGHT) >= MIDNIGHT else row[c.UNDONE_AT]}
        for row in merge_rows
        if not _is_future(row)
    ]
    assert _seen(engine, order_rows, merge_rows, DAY) == _seen(
        engine, past_orders, past_merges, DAY
    )


@settings(max_examples=examples(6), deadline=None)
@given(st.lists(orders(), max_size=8), st.lists(merges(), max_size=4), st.booleans())
def test_the_engine_and_plain_python_see_the_same(engine, order_rows, merge_rows, everything):
    """The oracle is `MemoryStore`, which was written apart."""
    memory = MemoryStore(zone=ZONE)
    memory._rows = {"orders": _table("orders", order_rows), "merges": _table("merges", merge_rows)}
    day = None if everything else DAY
    expected = sorted(memory.read("orders", as_of=day).to_pyarrow().to_pylist(), key=str)
    assert _seen(engine, order_rows, merge_rows, day) == expected
    memory.close()
