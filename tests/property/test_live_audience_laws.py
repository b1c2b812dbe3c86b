"""Laws of live audiences: what is told is always what asking everybody anew would give."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.audience.audience_rows import (
    BOUNDARY,
    DAY,
    NAME,
    RULES,
    WHAT,
    ZONE,
    ZONES,
    behaviours,
    recencies,
    steps,
)
from zhiyin.app import Workspace
from zhiyin.audience import compile_many, parse
from zhiyin.audience import rule as r
from zhiyin.audience.ledger import add_audience, list_audiences, told_members
from zhiyin.audience.read import last_snapshot, tables_for
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, local_day, naive_utc
from zhiyin.core.config import validate_settings
from zhiyin.live_audiences import refresh_live
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.workspace import WorkspaceStore

PARTIES = st.sampled_from([f"p_{letter * 26}" for letter in "abcd"])
START = BOUNDARY.replace(tzinfo=UTC)
AGES = st.integers(-20 * 3600, 12 * 86_400)
PASSING = st.sampled_from([5, 61, 3600, 7 * 3600, 86_400, 3 * 86_400])
TEA = {"table": "order_lines", "where": [{"column": "category", "value": "tea"}]}
VIP = parse({"type": "behaviour", **TEA, "days": 3, "op": "ge", "value": 1})
NOT_BOUGHT = r.Sequence(
    r.Step("events", (r.Where("name", "eq", "cart"),)), r.Step("order_lines"), 2, False, 9
)
RULE = st.one_of(
    behaviours(), recencies(), RULES,
    st.builds(r.Sequence, steps(), steps(), st.integers(1, 4), st.booleans(), st.just(9)),
    st.just(r.And((r.Audience("vip"), NOT_BOUGHT))),
)  # fmt: skip

LINE = st.fixed_dictionaries(
    {"table": st.just("order_lines"), "party": PARTIES, "age": AGES, "line": st.integers(0, 3),
     "product": WHAT, "valid": AGES}
)  # fmt: skip
EVENT = st.fixed_dictionaries(
    {"table": st.just("events"), "party": PARTIES, "age": AGES, "name": NAME, "product": WHAT}
)
PERSON = st.fixed_dictionaries(
    {"table": st.just("customers"), "party": PARTIES, "age": AGES, "time_zone": ZONES}
)
PRODUCT = st.fixed_dictionaries(
    {"table": st.just("products"), "product": st.sampled_from(["p1", "p2"]), "age": AGES,
     "category": st.sampled_from(["tea", "cup"])}
)  # fmt: skip
MERGE = st.fixed_dictionaries({"table": st.just("merges"), "party": PARTIES, "into": PARTIES})
STEP = st.tuples(PASSING, st.lists(st.one_of(LINE, EVENT, PERSON, PRODUCT, MERGE), max_size=2))


class Shop:
    """A shop to which rows come one by one."""

    def __init__(self, shop: Workspace) -> None:
        self.shop, self.rows = shop, 0
        self.clock = FrozenClock(START)

    def append(self, one: dict) -> None:
        self.rows += 1
        at = self._ago(one.get("age", 0))
        loaded = {c.SOURCE: "s", c.LOAD_ID: f"l{self.rows}", c.LOADED_AT: naive_utc(self.clock.at)}
        revised = {c.REVISION: self.rows, c.VALID_AT: at, c.RECORDED_AT: at, c.OP: "upsert"}
        made = {
            "order_lines": lambda: revised | {
                c.LINE_ID: f"s:1:{one['line']}", c.ORDER_ID: "s:1", c.SOLD_AT: at,
                c.VALID_AT: self._ago(one["valid"]), c.PARTY_ID: one["party"], c.KIND: "item",
                c.QUANTITY: 1.0, c.CURRENCY: "CNY", c.PRODUCT_ID: one["product"],
                c.AMOUNT_MINOR: 100, c.AMOUNT_BASE_MINOR: 100, c.SUSPECT: False,
            },
            "events": lambda: {
                c.EVENT_ID: f"e{self.rows}", c.PARTY_ID: one["party"], c.OCCURRED_AT: at,
                c.RECEIVED_AT: at, c.KIND: "track", c.NAME: one["name"],
                c.PRODUCT_ID: one["product"],
            },
            "customers": lambda: revised | {
                c.PARTY_ID: one["party"], c.TIME_ZONE: one["time_zone"], c.UNDATED: False,
            },
            "products": lambda: revised | {
                c.PRODUCT_ID: one["product"], c.CATEGORY: one["category"],
            },
            "merges": lambda: {
                c.PARTY_ID: max(one["party"], one["into"]), c.RULE: "test",
                c.INTO: min(one["party"], one["into"]), c.AT: naive_utc(self.clock.at),
            },
        }[one["table"]]()  # fmt: skip
        if one["table"] == "merges" and one["party"] == one["into"]:
            return
        rows = made if one["table"] == "merges" else made | loaded
        self.shop.store.append(one["table"], _arrow(rows), app=f"t{self.rows}")

    def _ago(self, seconds: int) -> datetime:
        return naive_utc(self.clock.at - timedelta(seconds=seconds))

    def refresh(self) -> None:
        refresh_live(self.shop.store, self.shop.vault, self.clock)

    def told(self) -> dict[str, set[str]]:
        with reading(self.shop.store.ledger) as connection:
            return {
                one.name: told_members(connection, one.name) for one in list_audiences(connection)
            }

    def asked_anew(self) -> dict[str, set[str]]:
        store: WorkspaceStore = self.shop.store
        day = local_day(self.clock.at, ZONE)
        with reading(store.ledger) as connection:
            rules = {one.name: one.rule for one in list_audiences(connection)}
        compiled = compile_many(rules, audiences=rules)
        tables = tables_for(
            store, self.shop.vault, compiled.rules.values(), as_of=day + timedelta(days=1)
        )
        flags = compiled.flags(
            tables, as_of=self.clock.at, zone=ZONE, snapshot_on=last_snapshot(store, day)
        ).to_pyarrow()
        return {name: set(flags.filter(flags[name])[c.CUSTOMER_ID].to_pylist()) for name in rules}


def _arrow(row: dict) -> pa.Table:
    return pa.table({name: [value] for name, value in row.items() if value is not None})


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live") / "shop"
    values = {"name": "shop", "currency": "CNY", "zone": ZONE, "as_of": DAY.isoformat()}
    Workspace.create(folder, validate_settings(values, where="test")).close()
    return folder


@settings(max_examples=examples(3))
@given(st.lists(RULE, min_size=1, max_size=2), st.lists(STEP, min_size=2, max_size=4))
def test_what_is_told_is_what_asking_everybody_would_give(empty, rules, steps_):
    with (
        tempfile.TemporaryDirectory() as folder,
        Workspace.open(shutil.copytree(empty, Path(folder) / "shop"), write=True) as shop,
    ):
        mine = Shop(shop)
        with transaction(shop.store.ledger) as connection:
            named = {"vip": VIP} | {f"r{i}": rule for i, rule in enumerate(rules)}
            for name, rule in named.items():
                add_audience(
                    connection, name, rule, kind="live", by="test", now=naive_utc(mine.clock.at)
                )
        mine.append({"table": "products", "product": "p1", "age": 9 * 86_400, "category": "tea"})
        mine.refresh()
        for passed, rows in steps_:
            mine.clock.at += timedelta(seconds=passed)
            for one in rows:
                mine.append(one)
            mine.refresh()
            if rows or passed > 60:
                assert mine.told() == mine.asked_anew()
