"""RFM: what is measured, how ties are binned, which segment a customer is in."""

from __future__ import annotations

import json
from datetime import date, datetime
from itertools import product

import ibis
import pyarrow as pa
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.rows import conform
from zhiyin.core.tables import MEMBERSHIPS
from zhiyin.understand.segment.rfm import (
    SEGMENTS,
    measure_rfm,
    name_segments,
    score_bins,
    score_rfm,
    segment_of,
)
from zhiyin.understand.segment.rows import rfm_insights, rfm_memberships

AS_OF = date(2026, 6, 1)
ORDERS = [
    ("a", "1", datetime(2026, 5, 31, 23, 59), 500),
    ("a", "2", datetime(2026, 5, 1), 700),
    ("a", "2", datetime(2026, 5, 1), -200),
    ("b", "3", datetime(2026, 1, 1), 900),
    ("b", "4", datetime(2026, 6, 1), 9_999),
    (None, "5", datetime(2026, 5, 30), 100),
]


def orders(rows: list[tuple[str | None, str, datetime, int]]) -> ibis.Table:
    return ibis.memtable(
        pa.table(
            {
                "customer_id": pa.array([r[0] for r in rows], pa.string()),
                "order_id": pa.array([r[1] for r in rows], pa.string()),
                "ordered_at": pa.array([r[2] for r in rows], pa.timestamp("us")),
                "amount_base_minor": pa.array([r[3] for r in rows], pa.int64()),
            }
        )
    )


def measured(values: list[tuple[int, int, int]]) -> ibis.Table:
    return ibis.memtable(
        pa.table(
            {
                "customer_id": [f"c{i:03d}" for i in range(len(values))],
                "recency_days": pa.array([v[0] for v in values], pa.int64()),
                "frequency": pa.array([v[1] for v in values], pa.int64()),
                "monetary_minor": pa.array([v[2] for v in values], pa.int64()),
            }
        )
    )


def rows_of(table: ibis.Table) -> list[dict]:
    return table.order_by("customer_id").to_pyarrow().to_pylist()


def test_orders_of_the_day_and_without_customer_are_ignored():
    found = rows_of(measure_rfm(orders(ORDERS), as_of=AS_OF))
    assert found == [
        {"customer_id": "a", "recency_days": 1, "frequency": 2, "monetary_minor": 1000},
        {"customer_id": "b", "recency_days": 151, "frequency": 1, "monetary_minor": 900},
    ]


def test_the_day_begins_in_the_zone_of_the_shop():
    at_three = [("a", "1", datetime(2026, 6, 1, 3), 100)]  # 31 May, 23:00 in New York
    assert rows_of(measure_rfm(orders(at_three), as_of=AS_OF)) == []
    found = rows_of(measure_rfm(orders(at_three), as_of=AS_OF, zone="America/New_York"))
    assert found[0]["recency_days"] == 1


def test_ties_share_a_bin():
    found = rows_of(score_bins(measured([(10, 1, 5)] * 6 + [(2, 1, 9)] * 4)))
    assert {r["f_score"] for r in found} == {3}  # all equal: the middle
    assert {r["r_score"] for r in found[:6]} == {2}
    assert {r["r_score"] for r in found[6:]} == {5}
    assert {r["m_score"] for r in found[6:]} == {5}


def test_bins_are_equal_where_nothing_ties():
    found = rows_of(score_bins(measured([(i, i, i) for i in range(1, 101)])))
    for score in ("r_score", "f_score", "m_score"):
        assert sorted(r[score] for r in found) == [s for s in (1, 2, 3, 4, 5) for _ in range(20)]
    assert found[0]["r_score"] == 5
    assert found[0]["f_score"] == 1


def test_bins_outside_their_range_are_refused():
    for bins in (1, 11):
        with pytest.raises(InvalidParameter, match=f"bins is {bins}"):
            score_rfm(orders(ORDERS), as_of=AS_OF, bins=bins)


def test_every_triple_is_in_exactly_one_segment():
    for triple in product(range(1, 6), repeat=3):
        assert [s.name for s in SEGMENTS if s.holds(*triple)] == [segment_of(*triple).name]


def test_ibis_and_python_name_the_same_segment():
    triples = list(product(range(1, 6), repeat=3))
    table = pa.table(
        {
            "customer_id": [f"{r}{f}{m}" for r, f, m in triples],
            "r_score": [t[0] for t in triples],
            "f_score": [t[1] for t in triples],
            "m_score": [t[2] for t in triples],
        }
    )
    for row in name_segments(ibis.memtable(table)).to_pyarrow().to_pylist():
        triple = (row["r_score"], row["f_score"], row["m_score"])
        assert row["segment"] == segment_of(*triple).name


def test_a_triple_outside_the_scores_is_refused():
    with pytest.raises(InvalidParameter, match="0, 3, 3"):
        segment_of(0, 3, 3)


def test_memberships_and_insights_are_rows_of_their_tables():
    values = [(i % 37 + 1, i % 11 + 1, (i * 91) % 1000) for i in range(200)]
    named = name_segments(score_bins(measured(values))).to_pyarrow()
    members = conform(MEMBERSHIPS, rfm_memberships(named, as_of=AS_OF))
    assert members.num_rows == 200
    first = members.to_pylist()[0]
    scores = json.loads(first["properties"])
    expected = 100 * scores["r_score"] + 10 * scores["f_score"] + scores["m_score"]
    assert first["score"] == expected
    insights = rfm_insights(named)
    assert sum(body["customers"] for _, body in insights) == 200
    assert abs(sum(body["revenue_share"] for _, body in insights) - 1) < 0.001
    assert all(key.startswith("rfm:") for key, _ in insights)
    for _, body in insights:
        assert body["name"]["en"]
        assert body["words"]["zh"]
        json.dumps(body, allow_nan=False)


def test_no_orders_give_no_rows():
    named = name_segments(score_rfm(orders([]), as_of=AS_OF)).to_pyarrow()
    assert rfm_memberships(named, as_of=AS_OF).num_rows == 0
    assert rfm_insights(named) == []
