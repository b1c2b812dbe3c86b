"""Laws of RFM: order of rows, unit of money, and being better never lowers a score."""

from __future__ import annotations

import ibis
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from zhiyin.understand.segment.rfm import score_bins

VALUE = st.tuples(st.integers(1, 30), st.integers(1, 8), st.integers(-500, 500))
SIDES = (
    ("recency_days", "r_score", -1),
    ("frequency", "f_score", 1),
    ("monetary_minor", "m_score", 1),
)


def score(values: dict[str, tuple[int, int, int]], *, bins: int = 5) -> dict[str, dict]:
    table = pa.table(
        {
            "customer_id": pa.array(list(values), pa.string()),
            "recency_days": pa.array([v[0] for v in values.values()], pa.int64()),
            "frequency": pa.array([v[1] for v in values.values()], pa.int64()),
            "monetary_minor": pa.array([v[2] for v in values.values()], pa.int64()),
        }
    )
    found = score_bins(ibis.memtable(table), bins=bins).to_pyarrow().to_pylist()
    return {row["customer_id"]: row for row in found}


@settings(max_examples=30, deadline=None)
@given(st.lists(VALUE, min_size=1, max_size=40), st.integers(2, 10))
def test_better_is_never_scored_lower_and_equal_is_scored_equal(values, bins):
    found = score({f"c{i}": v for i, v in enumerate(values)}, bins=bins)
    for value, name, sign in SIDES:
        ordered = sorted((sign * row[value], row[name]) for row in found.values())
        assert [s for _, s in ordered] == sorted(s for _, s in ordered)
        assert len({(v, s) for v, s in ordered}) == len({v for v, _ in ordered})
        assert all(1 <= s <= bins for _, s in ordered)


@settings(max_examples=15, deadline=None)
@given(st.lists(VALUE, min_size=1, max_size=40))
def test_order_of_rows_and_unit_of_money_change_nothing(values):
    named = {f"c{i:02d}": v for i, v in enumerate(values)}
    turned = {k: (r, f, m * 100) for k, (r, f, m) in reversed(named.items())}
    one, two = score(named), score(turned)
    for customer, row in one.items():
        assert [row[n] for _, n, _ in SIDES] == [two[customer][n] for _, n, _ in SIDES]
