"""What counts as a purchase, and how purchases are coded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import ibis
import numpy as np
import pyarrow as pa
import pytest

from tests.unit.understand.recommend.conftest import UNTIL, purchases
from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend.history import read_history, split_history, truth_matrix

DAY = timedelta(days=1)
ROWS = [
    ("b", "milk", UNTIL - 3 * DAY),
    ("a", "milk", UNTIL - 10 * DAY),
    ("a", "milk", UNTIL - 2 * DAY),
    ("a", "bread", UNTIL - 2 * DAY),
    ("c", "rare", UNTIL - 5 * DAY),
]


def test_purchases_are_coded_in_order_of_ids():
    history = read_history(purchases(ROWS), until=UNTIL, min_buyers=1)
    assert history.customers.tolist() == ["a", "b", "c"]
    assert history.products.tolist() == ["bread", "milk", "rare"]
    pairs = history.pairs
    assert list(zip(pairs.customer, pairs.product, pairs.times, strict=True)) == [
        (0, 0, 1), (0, 1, 2), (1, 1, 1), (2, 2, 1),
    ]  # fmt: skip
    np.testing.assert_allclose(pairs.last_days, [2, 2, 3, 5])
    np.testing.assert_allclose(pairs.first_days, [2, 10, 3, 5])
    assert history.visits.tolist() == [2, 1, 1]


def test_a_product_needs_its_buyers_but_its_customer_stays_known():
    history = read_history(purchases(ROWS), until=UNTIL, min_buyers=2)
    assert history.products.tolist() == ["milk"]
    assert history.customers.tolist() == ["a", "b", "c"]
    assert history.seen.toarray().tolist() == [[1], [1], [0], [0]]


def test_later_rows_returns_and_rows_without_ids_are_left_out():
    rows = [*ROWS, ("d", "milk", UNTIL), (None, "milk", UNTIL - DAY), ("a", None, UNTIL - DAY)]
    rows.append(("e", "milk", UNTIL - DAY))
    table = purchases(rows, quantity=[1.0] * 8 + [-1.0])
    history = read_history(table, until=UNTIL, min_buyers=1)
    assert history.customers.tolist() == ["a", "b", "c"]
    assert len(history.customer) == 5


def test_arrow_pandas_and_ibis_give_the_same_history():
    table = purchases(ROWS)
    one = read_history(table, until=UNTIL, min_buyers=1)
    for other in (table.to_pandas(), ibis.memtable(table)):
        two = read_history(other, until=UNTIL, min_buyers=1)
        assert two.customers.tolist() == one.customers.tolist()
        np.testing.assert_array_equal(two.product, one.product)
        np.testing.assert_array_equal(two.age_days, one.age_days)


def test_an_aware_moment_is_taken_in_utc():
    aware = UNTIL.replace(tzinfo=UTC)
    assert read_history(purchases(ROWS), until=aware, min_buyers=1).until == UNTIL


def test_no_rows_give_an_empty_history():
    history = read_history(purchases([]), until=UNTIL)
    assert history.shape == (0, 0)
    assert history.codes(["a"]).tolist() == [0]
    assert history.seen.shape == (1, 0)


def test_unknown_customers_have_the_empty_row():
    history = read_history(purchases(ROWS), until=UNTIL, min_buyers=1)
    codes = history.codes(["zz", "b", "0"])
    assert codes.tolist() == [3, 1, 3]
    assert history.product_codes(["milk", "nothing"]).tolist() == [1, -1]


def test_a_missing_column_and_a_wrong_bound_are_named():
    with pytest.raises(InvalidParameter, match="sold_at"):
        read_history(pa.table({"customer_id": ["a"], "product_id": ["b"]}), until=UNTIL)
    with pytest.raises(InvalidParameter, match="min_buyers is 0"):
        read_history(purchases(ROWS), until=UNTIL, min_buyers=0)


def test_truth_holds_distinct_eligible_products_of_known_customers():
    later = purchases(
        [
            ("a", "rare", UNTIL),
            ("a", "rare", UNTIL + DAY),
            ("b", "unheard_of", UNTIL),
            ("stranger", "milk", UNTIL),
            ("b", "bread", UNTIL + 40 * DAY),
            ("c", "milk", UNTIL - DAY),
        ]
    )
    history = read_history(purchases(ROWS), until=UNTIL, min_buyers=1)
    open_end = truth_matrix(later, history).toarray()
    assert open_end.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 0, 0]]
    month = truth_matrix(later, history, before=UNTIL + 30 * DAY).toarray()
    assert month.sum() == 1


def test_split_history_is_the_history_of_the_earlier_day(shop):
    now = read_history(shop, until=UNTIL, min_buyers=5)
    past, later = split_history(now, days=30, min_buyers=5)
    then = read_history(shop, until=UNTIL - timedelta(days=30), min_buyers=5)
    assert past.products.tolist() == [p for p in then.products if p in set(now.products)]
    np.testing.assert_array_equal(past.pairs.times, then.pairs.times)
    np.testing.assert_allclose(past.pairs.last_days, then.pairs.last_days, atol=1e-3)
    np.testing.assert_array_equal(past.visits, then.visits)
    truth = truth_matrix(shop, past, before=UNTIL)
    np.testing.assert_array_equal(later.toarray(), truth.toarray())


def test_a_moment_is_one_visit_however_many_products():
    at = datetime(2026, 5, 1, 12)
    rows = [("a", f"p{i}", at) for i in range(6)]
    assert read_history(purchases(rows), until=UNTIL, min_buyers=1).visits.tolist() == [1]
