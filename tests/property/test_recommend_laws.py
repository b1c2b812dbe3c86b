"""Laws of recommending: order, repeats and the future of rows change nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from zhiyin.understand.recommend.batch import recommend_batch
from zhiyin.understand.recommend.history import read_history

UNTIL = datetime(2026, 6, 1)
ROW = st.tuples(st.integers(0, 12), st.integers(0, 9), st.integers(-20, 100))


def table(rows: list[tuple[int, int, int]]) -> pa.Table:
    return pa.table(
        {
            "customer_id": pa.array([f"c{u}" for u, _, _ in rows], pa.string()),
            "product_id": pa.array([f"p{i}" for _, i, _ in rows], pa.string()),
            "sold_at": pa.array(
                [UNTIL - timedelta(days=d) for _, _, d in rows], pa.timestamp("us")
            ),
        }
    )


def lists(rows: list[tuple[int, int, int]]) -> list[dict]:
    found = recommend_batch(
        table(rows), as_of=UNTIL.date(), until=UNTIL, top=4, min_new=2, min_buyers=2
    )
    return found.rows.to_pylist()


@settings(max_examples=25, deadline=None)
@given(st.lists(ROW, max_size=80), st.randoms(use_true_random=False))
def test_order_repeats_and_later_rows_change_nothing(rows, random):
    shuffled = [*rows, *rows[: len(rows) // 2]]
    random.shuffle(shuffled)
    before = [row for row in shuffled if row[2] > 0]
    assert lists(rows) == lists(shuffled) == lists(before)


@settings(max_examples=50, deadline=None)
@given(st.lists(ROW, max_size=80), st.integers(1, 4))
def test_every_purchase_is_counted_once(rows, min_buyers):
    history = read_history(table(rows), until=UNTIL, min_buyers=min_buyers)
    known = {row for row in rows if row[2] > 0}
    buyers = {p: {u for u, q, _ in known if q == p} for _, p, _ in known}
    eligible = {p for p, who in buyers.items() if len(who) >= min_buyers}
    assert set(history.products) == {f"p{p}" for p in eligible}
    assert int(history.pairs.times.sum()) == len({r for r in known if r[1] in eligible})
    assert history.visits.sum() == len({(u, d) for u, _, d in known})
    counted = dict(zip(history.products, history.buyers, strict=True))
    assert counted == {f"p{p}": len(buyers[p]) for p in eligible}
    assert (np.diff(history.seen.indptr)[:-1] <= len(eligible)).all()
