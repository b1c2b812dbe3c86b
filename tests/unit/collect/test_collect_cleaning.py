"""Cleaning rules: what they change, what they leave, and that cleaning twice changes nothing."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.collect.fakes import rows_of
from zhiyin.collect.cleaning import CLEANERS, clean_column
from zhiyin.collect.mapping import parse_mapping
from zhiyin.core import columns as c
from zhiyin.core.errors import InputError


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("trim", "\u3000 ann\u200b ", "ann"),
        ("nfkc", "ＡＢＣ１２３", "ABC123"),
        ("squeeze", " a \n b\t c ", "a b c"),
        ("title", "NEW YORK o'neil", "New York O'neil"),
        ("blank", " N/A ", None),
        ("blank", "暂无", None),
        ("blank", "nala", "nala"),
        ("digits", "No. １２-3", "123"),
        ("plain", '="00123"', "00123"),
        ("plain", "'00123", "00123"),
        ("email", " Ann@Example.COM ", "ann@example.com"),
        ("email", "ann", None),
        ("phone", "138 0013 8000", "+8613800138000"),
        ("phone", "+44 20 7946 0958", "+442079460958"),
        ("phone", "020 7946 0958", "02079460958"),
        ("phone", "call me", None),
        ("date", "2024年3月1日", "2024-03-01"),
        ("date", "2024/3/1 10:00", "2024-03-01"),
        ("date", "20240301", "2024-03-01"),
        ("date", "2024-02-30", None),
        ("date", "01/02/2024", None),
        ("currency", "￥", "CNY"),
        ("currency", "hk$", "HKD"),
        ("currency", "usd", "USD"),
        ("currency", "money", None),
        ("number", "¥1,234.50", "1234.50"),
        ("number", "(12.00)", "-12.00"),
        ("number", "1.2.3", None),
        ("number", "free", None),
    ],
)
def test_a_rule_cleans(rule, before, after):
    assert CLEANERS[rule](before) == after


@given(st.sampled_from(sorted(set(CLEANERS) - {"plain"})), st.text(max_size=20))
def test_cleaning_twice_changes_nothing_more(rule, text):
    once = CLEANERS[rule](text)
    assert once is None or rule == "nfkc" or CLEANERS[rule](once) == once


def test_rules_run_in_order_and_leave_typed_columns_alone():
    texts = pa.chunked_array([["  ＡＮＮ ", None, "-"]])
    assert clean_column(texts, ["nfkc", "trim", "blank", "lower"]).to_pylist() == [
        "ann", None, None,
    ]  # fmt: skip
    numbers = pa.chunked_array([[1, 2]])
    assert clean_column(numbers, ["trim"]) is numbers


def test_a_mapping_cleans_what_it_reads(load, store):
    mapping = {
        "source": "s",
        "columns": {
            "order_id": {"column": "no", "clean": ["plain"]},
            "ordered_at": {"column": "day", "clean": ["date"]},
            "amount": {"column": "sum", "clean": ["number"]},
            "currency": {"column": "cur", "clean": ["currency"]},
            "channel": {"column": "via", "clean": ["blank"]},
        },
    }
    text = 'no,day,sum,cur,via\n\'007,2026年1月5日,"$1,200.50",us$,n/a\n'
    assert load("orders", text, mapping=mapping).loaded == 1
    (row,) = rows_of(store, "orders")
    assert (row[c.ORDER_ID], row[c.AMOUNT_MINOR], row[c.CURRENCY]) == ("s:007", 120_050, "USD")
    assert row[c.CHANNEL] is None


def test_a_rule_that_does_not_exist_is_told():
    values = {"source": "s", "columns": {"order_id": {"column": "no", "clean": ["polish"]}}}
    with pytest.raises(InputError, match="polish"):
        parse_mapping(values, where="test")
