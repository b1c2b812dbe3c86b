"""The real store passes the contract, and reads what a turn pinned."""

from datetime import date, timedelta

import pyarrow as pa
import pytest

from zhiyin.core import columns as c
from zhiyin.core.errors import NotFound, WorkspaceError
from zhiyin.core.tables import TABLES
from zhiyin.store.workspace import open_store
from zhiyin.testing.contract_store import (
    DAY,
    MIDNIGHT,
    ZONE,
    StoreContract,
    merge,
    order,
    put,
    rows_of,
    touch,
)


@pytest.fixture
def store(tmp_path):
    made = open_store(tmp_path, zone=ZONE)
    yield made
    made.close()


class TestWorkspaceStore(StoreContract):
    pass


def test_a_pinned_store_reads_the_versions_of_its_turn(store):
    put(store, "touches", touch(1, MIDNIGHT))
    pins = {name: store.versions()[name] for name in ("touches", "orders", "merges")}
    put(store, "touches", touch(2, MIDNIGHT), app="b")
    put(store, "orders", order("o:1", MIDNIGHT))
    put(store, "merges", merge("p_a", "p_b", MIDNIGHT - timedelta(days=1)))
    turn = store.pinned(pins)
    assert [row[c.TOUCH_ID] for row in rows_of(turn, "touches")] == ["t:1"]
    assert [row[c.CUSTOMER_ID] for row in rows_of(turn, "touches")] == ["p_a"]
    assert rows_of(turn, "orders") == []  # the table was not there yet
    assert {name: turn.versions()[name] for name in pins} == pins
    assert len(rows_of(store, "touches")) == 2


def test_a_pinned_store_reads_its_own_derived_rows(store):
    turn = store.pinned({"touches": -1})
    row = {c.AS_OF_ON: DAY, c.CUSTOMER_ID: "p_a", c.TAG: "x", c.KIND: "rule", c.VERSION: 1}
    turn.replace("tags", pa.Table.from_pylist([row]), scope={c.AS_OF_ON: DAY})
    assert len(rows_of(turn, "tags")) == 1


def test_versions_name_every_table_and_unwritten_ones_are_minus_one(store):
    assert store.versions() == dict.fromkeys(TABLES, -1)
    put(store, "touches", touch(1, MIDNIGHT))
    assert store.versions()["touches"] >= 1


def test_a_version_that_an_erasure_removed_is_an_error_with_a_hint(store):
    put(store, "touches", touch(1, MIDNIGHT))
    with pytest.raises(WorkspaceError, match="version 99") as caught:
        store.pinned({"touches": 99}).read("touches")
    assert "--again" in caught.value.hint


def test_pins_name_tables(store):
    with pytest.raises(NotFound):
        store.pinned({"nothing": 1})


def test_revisions_are_found_after_a_table_had_only_single_ones(store):
    at = MIDNIGHT - timedelta(days=3)
    put(store, "orders", order("o:1", at, amount_base_minor=1))
    assert len(rows_of(store, "orders")) == 1  # remembered for this version only
    put(store, "orders", order("o:1", at, revision=2, amount_base_minor=2), app="b")
    assert [row[c.AMOUNT_BASE_MINOR] for row in rows_of(store, "orders")] == [2]


def test_two_stores_see_each_other(tmp_path):
    one, other = open_store(tmp_path, zone=ZONE), open_store(tmp_path, zone=ZONE)
    put(one, "touches", touch(1, MIDNIGHT - timedelta(days=70)))
    assert len(rows_of(other, "touches")) == 1
    put(other, "touches", touch(2, MIDNIGHT - timedelta(days=70)), app="b")
    assert len(rows_of(one, "touches", as_of=date(2024, 1, 2))) == 2
    one.close()
    other.close()
