"""Laws of collecting: money is exact, the order of rows does not matter, loading is idempotent."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.collect.fakes import MortalStore, naive, rows_of
from zhiyin.collect import money
from zhiyin.collect.files import raw_from_table
from zhiyin.collect.load import load_raw
from zhiyin.collect.personal import mask, normalise_email, normalise_phone
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import Settings
from zhiyin.store.vault import Keys, LocalVault

AMOUNTS = st.decimals(min_value=-(10**9), max_value=10**9, places=5)
SETTINGS = Settings(name="shop", currency="USD", zone="UTC")


@given(st.lists(AMOUNTS, min_size=1, max_size=30), st.sampled_from([0, 2, 3, 4]))
def test_minor_units_equal_decimal_arithmetic(values, exponent):
    column = pa.chunked_array([pa.array([format(v, "f") for v in values])])
    minor, right = money.minor_units(money.numbers(column), np.full(len(values), exponent))
    unit = Decimal(1).scaleb(-exponent)
    wanted = [int(v.quantize(unit, rounding=ROUND_HALF_EVEN).scaleb(exponent)) for v in values]
    assert right.all()
    assert minor.tolist() == wanted


@given(st.lists(st.tuples(st.integers(-999, 999), AMOUNTS), min_size=1, max_size=30))
def test_products_and_sums_are_exact(pairs):
    left = money.numbers(pa.chunked_array([pa.array([q for q, _ in pairs])]))
    right = money.numbers(pa.chunked_array([pa.array([format(p, "f") for _, p in pairs])]))
    for made, wanted in (
        (money.multiply(left, right), [q * p for q, p in pairs]),
        (money.add(left, right), [q + p for q, p in pairs]),
    ):
        assert [made.values[code] for code in made.codes] == wanted


@given(st.floats(-1e6, 1e6).map(lambda v: round(v, 2)))
def test_a_float_of_cents_is_that_many_cents(value):
    read = money.numbers(pa.chunked_array([pa.array([value])]))
    assert money.minor_units(read, np.array([2]))[0][0] == round(value * 100)


@given(st.integers(-(10**9), 10**9), st.sampled_from(["0.0067", "1.1", "7.2345", "1"]))
def test_conversion_turns_with_the_sign(minor, rate):
    value = Decimal(rate)
    there = money.convert(minor, value, exponent=2, base_exponent=2)
    assert money.convert(-minor, value, exponent=2, base_exponent=2) == -there
    assert abs(Decimal(there) - minor * value) <= Decimal("0.5")


@given(st.emails())
def test_normalising_an_email_twice_changes_nothing(address):
    once = normalise_email(address)
    assert once is None or normalise_email(once) == once


@given(st.from_regex(r"\+?[0-9 ()-]{6,16}", fullmatch=True), st.sampled_from(["", "86", "1"]))
def test_normalising_a_phone_twice_changes_nothing(number, code):
    once = normalise_phone(number, calling_code=code)
    assert once is None or normalise_phone(once, calling_code=code) in (once, None) or not code


@given(st.text(max_size=80))
def test_masking_twice_changes_nothing(text):
    assert mask(mask(text)) == mask(text)


ROWS = st.lists(
    st.tuples(
        st.integers(1, 4),  # order
        st.sampled_from(["ann", "bob", None]),
        st.sampled_from(["A", "B", None]),
        st.integers(-2, 3),
        st.sampled_from(["1.00", "0.335", "x", "", "2"]),
    ),
    min_size=1,
    max_size=12,
)


def _load(store, rows, order):
    names = ("order_id", "user_id", "product_id", "quantity", "price")
    columns = {n: [rows[i][k] for i in order] for k, n in enumerate(names)}
    table = pa.table({n: pa.array([None if v is None else str(v) for v in vs], pa.string())
                      for n, vs in columns.items()})  # fmt: skip
    table = table.append_column("line_id", pa.array([str(i) for i in order]))
    table = table.append_column("sold_at", pa.array(["2026-01-05 10:00"] * len(rows)))
    raw = raw_from_table(table, name="f", digest=str(order))
    vault = LocalVault(Keys.make(demo=True), store.ledger)
    clock = FrozenClock(naive(2026, 3, 1))
    return load_raw(store, vault, SETTINGS, clock, raw, "order_lines")


def _content(store, table):
    drop = {"load_id", "line_no", "personal", "content", "key_id"}
    rows = [{k: v for k, v in row.items() if k not in drop} for row in rows_of(store, table)]
    return sorted(rows, key=repr)


@settings(max_examples=examples(3), deadline=None)
@given(ROWS, st.randoms())
def test_the_order_of_keyed_rows_does_not_matter_and_loading_again_adds_nothing(rows, chance):
    order = list(range(len(rows)))
    one, other = MortalStore(), MortalStore()
    first = _load(one, rows, order)
    assert first.read == first.loaded + first.quarantined == len(rows)
    shuffled = order.copy()
    chance.shuffle(shuffled)
    second = _load(other, rows, shuffled)
    assert second.total == first.total
    for table in ("order_lines", "orders", "quarantine"):
        assert _content(one, table) == _content(other, table), table
    before = len(rows_of(one, "order_lines"))
    again = _load(one, rows, shuffled)
    assert len(rows_of(one, "order_lines")) == before
    assert again.already or again.unchanged == first.loaded
