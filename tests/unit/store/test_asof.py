"""Parties and the check that spares the search for last revisions."""

import ibis
import pyarrow as pa
import pytest

from zhiyin.core import columns as c
from zhiyin.core.parties import joined_parties, representatives
from zhiyin.core.tables import ORDERS
from zhiyin.store.asof import has_single_revisions


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], {}),
        ([("a", "a")], {}),
        ([("a", "b")], {"a": "b"}),
        ([("b", "a")], {"b": "a"}),
        ([("a", "b"), ("b", "c")], {"a": "c", "b": "c"}),
        ([("a", "c"), ("b", "c")], {"a": "c", "b": "c"}),
        ([("a", "b"), ("a", "c")], {"a": "b", "c": "b"}),  # two tops: the smaller id
        ([("a", "b"), ("b", "a")], {"b": "a"}),  # a cycle: the smallest id
        ([("a", "b"), ("c", "d")], {"a": "b", "c": "d"}),
    ],
)
def test_who_stands_for_whom(pairs, expected):
    assert representatives(pairs) == expected
    assert representatives(reversed(pairs)) == expected


def test_long_chains_have_one_end():
    chain = [(f"p{n:05}", f"p{n + 1:05}") for n in range(20_000)]
    assert set(representatives(chain).values()) == {"p20000"}


def test_all_parties_of_a_person():
    mapping = representatives([("a", "c"), ("b", "c"), ("x", "y")])
    assert joined_parties("a", mapping) == joined_parties("c", mapping) == ["a", "b", "c"]
    assert joined_parties("z", mapping) == ["z"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], True),
        ([("a", 1, "upsert"), ("b", 1, "upsert")], True),
        ([("a", 1, "upsert"), ("a", 2, "upsert")], False),
        ([("a", 1, "upsert"), ("b", 2, "upsert")], False),
        ([("a", 1, "upsert"), ("b", 1, "delete")], False),
        ([("a", 1, "upsert"), ("a", 1, "upsert")], False),
    ],
)
def test_single_revisions_are_told_from_others(rows, expected):
    schema = pa.schema([(c.ORDER_ID, pa.string()), (c.REVISION, pa.int64()), (c.OP, pa.string())])
    names = schema.names
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema)
    assert has_single_revisions(ibis.memtable(table), ORDERS) is expected
