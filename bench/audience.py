"""Audiences over a million people and ten million events: many at once, one, and one person.

`python -m bench.audience [--people N] [--events N]`; one thread, CPU seconds.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis

from bench.audience_data import AS_OF, ZONE, write_shop
from bench.audience_rules import audiences, sql_of
from bench.harness import at_least, at_most, emit
from zhiyin.audience import Facts, Rule, compile, compile_many, evaluate
from zhiyin.core import columns as c

TABLES = ("customers", "features", "tags", "products", "events", "order_lines")
STATE = "audience_state"
EVENTS_OF_ONE = 500


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process, all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def open_shop(folder: Path) -> tuple[ibis.BaseBackend, dict[str, ibis.Table]]:
    """The tables in one thread with bounded memory."""
    backend = ibis.duckdb.connect(":memory:", threads=1, memory_limit="4GB")
    tables = {}
    for name in TABLES:
        path = folder / f"{name}.parquet"
        backend.con.execute(f"CREATE VIEW {name} AS FROM read_parquet('{path}')")
        tables[name] = backend.table(name)
    return backend, tables


def one_person() -> float:
    """Milliseconds of the processor to judge one customer by the slowest of the audiences."""
    at = datetime(2024, 6, 1, 3, tzinfo=UTC)
    naive = at.replace(tzinfo=None)
    names = ("Product Viewed", "Product Added", "Page Viewed")
    rows = [
        {c.CUSTOMER_ID: "a", c.OCCURRED_AT: naive - timedelta(hours=5 * n), c.KIND: "track",
         c.NAME: names[n % 3], c.PRODUCT_ID: f"p{n % 20}"}
        for n in range(EVENTS_OF_ONE)
    ]  # fmt: skip
    lines = [
        {c.CUSTOMER_ID: "a", c.SOLD_AT: naive - timedelta(days=4 * n), c.KIND: "item",
         c.PRODUCT_ID: f"p{n % 20}", c.AMOUNT_BASE_MINOR: 900}
        for n in range(50)
    ]  # fmt: skip
    people = [{c.CUSTOMER_ID: "a", c.CITY: "city 1", c.LANGUAGE: "zh", c.BIRTHDAY: "1990-06-02"}]
    products = {f"p{n}": {c.CATEGORY: f"category {n}"} for n in range(20)}
    facts = Facts("a", {"events": rows, "order_lines": lines, "customers": people}, products)
    worst = 0.0
    for rule in audiences().values():
        evaluate(rule, facts, at=at, zone=ZONE)
        times = [cpu_seconds(lambda r=rule: evaluate(r, facts, at=at, zone=ZONE)) for _ in range(5)]
        worst = max(worst, statistics.median(times))
    return worst * 1000


def select_all(
    backend: ibis.BaseBackend, tables: dict[str, ibis.Table]
) -> tuple[dict[str, object], dict[str, int]]:
    """A hundred audiences in one query, then each by its own; figures and sizes."""
    rules = audiences()
    compiled, at = compile_many(rules), {"as_of": AS_OF, "zone": ZONE}
    sizes: dict[str, int] = {}
    writing = cpu_seconds(lambda: compiled.sql(tables, **at))
    many = cpu_seconds(lambda: sizes.update(compiled.sizes(tables, **at)))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    by_hand: dict[str, int] = {}

    def plain() -> None:
        for key, rule in rules.items():
            query = f"SELECT count(DISTINCT customer_id) FROM ({sql_of(rule)})"  # noqa: S608  ours
            by_hand[key] = backend.con.execute(query).fetchone()[0]

    hand = cpu_seconds(plain)
    return {
        "audiences": len(rules),
        "hundred_cpu_s": round(many, 2),
        "of_which_expression_s": round(writing, 2),
        "hundred_plain_sql_cpu_s": round(hand, 2),
        "plain_sql_over_ours": round(hand / many, 2),
        "sizes_differing": sum(sizes[key] != by_hand[key] for key in rules),
        "peak_memory_gib": round(memory, 2),
    }, sizes


def select_one(backend: ibis.BaseBackend, tables: dict[str, ibis.Table]) -> dict[str, object]:
    """The first ten audiences one by one: from a kept state, and from the rows."""
    rules, at = audiences(), {"as_of": AS_OF, "zone": ZONE}
    compiled = compile_many(rules)
    kept = cpu_seconds(
        lambda: backend.create_table(STATE, compiled.state(tables, **at, everyone=True))
    )
    state = backend.table(STATE)

    def from_state(rule: Rule) -> object:
        return compile(rule).of_state(state, **at)["audience"].sum().to_pyarrow()

    ten = list(rules.values())[:10]
    single = [cpu_seconds(lambda r=rule: from_state(r)) for rule in ten]
    alone = [cpu_seconds(lambda r=rule: compile(r).size(tables, **at)) for rule in ten]
    return {
        "state_cpu_s": round(kept, 2),
        "one_from_state_cpu_s": round(max(single), 3),
        "one_from_rows_cpu_s": round(max(alone), 2),
    }


def main() -> None:
    """Make the shop, select a hundred audiences in both ways, then one, then judge one person."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=10_000_000)
    arguments, _ = parser.parse_known_args()
    people, events, lines = arguments.people, arguments.events, arguments.events // 5
    with tempfile.TemporaryDirectory() as name:
        write_shop(Path(name), people=people, events=events, lines=lines, seed=7)
        backend, tables = open_shop(Path(name))
        many, sizes = select_all(backend, tables)
        one = select_one(backend, tables)
    emit(
        "audience",
        data="synthetic shop, seeded; 100 audiences as of 2024-06-01, one thread",
        rows={"customers": people, "events": events, "order_lines": lines},
        figures={
            **many,
            "empty_audiences": sum(not size for size in sizes.values()),
            "median_audience": round(statistics.median(sizes.values())),
            "largest_audience": max(sizes.values()),
            **one,
            "one_person_ms": round(one_person(), 3),
            "one_person_rows": EVENTS_OF_ONE + 50,
        },
        goals={
            "hundred_cpu_s": at_most(60),
            "plain_sql_over_ours": at_least(1),
            "sizes_differing": at_most(0),
            "one_from_state_cpu_s": at_most(1),
            "one_person_ms": at_most(10),
            "peak_memory_gib": at_most(6),
        },
    )


if __name__ == "__main__":
    main()
