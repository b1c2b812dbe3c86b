"""Cohorts worked out by hand, and a retention that was planted in a made-up shop."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from math import sqrt

import ibis
import numpy as np
import pyarrow as pa
import pytest

from zhiyin.core.rng import Streams
from zhiyin.measure.indicators.cohorts import read_cohorts, sum_cohorts
from zhiyin.measure.indicators.messages import IS_ORDER
from zhiyin.measure.indicators.sums import Span
from zhiyin.measure.intervals import critical_z

SPAN = Span(date(2026, 1, 1), date(2026, 4, 11), "Asia/Shanghai")
KEPT, AVERAGE = 0.4, 2_000


def orders(rows: list[tuple[str, datetime, int, int]]) -> ibis.Table:
    names = ("customer_id", "ordered_at", "revenue_minor_sum", IS_ORDER)
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    return ibis.memtable(pa.table({name: pa.array(one) for name, one in columns.items()}))


def cells_of(rows: list[tuple[str, datetime, int, int]]) -> dict:
    found = sum_cohorts(orders(rows), span=SPAN).to_pyarrow().to_pylist()
    cells = read_cohorts(found, until=SPAN.until)
    return {(cell.cohort, cell.months): cell for cell in cells}


def test_cohorts_by_hand():
    february = datetime(2026, 1, 31, 17)  # 1 February in Shanghai
    made = cells_of([
        ("a", datetime(2026, 1, 5), 100, 1), ("a", february, 50, 1), ("a", february, 30, 1),
        ("b", datetime(2026, 1, 9), 300, 1), ("b", datetime(2026, 4, 2), 90, 1),
        ("c", february, 70, 1), ("c", datetime(2026, 2, 9), -20, 0),  # a return of long ago
    ])  # fmt: skip
    first, second = date(2026, 1, 1), date(2026, 2, 1)
    assert [made[first, n].retention.value for n in range(4)] == [1, 0.5, 0, 0.5]
    assert [made[first, n].value.value for n in range(4)] == [200, 40, 0, 45]
    assert (made[second, 0].customers, made[second, 0].value.value) == (1, 50)
    assert {key for key in made if key[0] == second} == {(second, n) for n in range(3)}
    half = made[first, 0].value.high - 200
    assert half == pytest.approx(critical_z(0.95) * sqrt((100**2 + 100**2) / 1 / 2))
    assert made[first, 0].value.status == "too_few_units"


def test_the_month_that_is_not_over_says_so():
    many = [(f"p{n}", datetime(2026, 1, 5), 100 + n, 1) for n in range(20)]
    many += [(f"p{n}", datetime(2026, 4, 2), 90, 1) for n in range(9)]
    made = cells_of(many)
    found = {months: made[date(2026, 1, 1), months].retention for months in (1, 3)}
    assert (found[1].status, found[3].status) == ("ok", "window_open")


def test_a_planted_retention_is_found_again():
    """Each of 20 shops keeps 40 % a month: intervals of 95 % hold it in about 38 of 40 cells."""
    rng = Streams(5).generator("cohorts")
    held = worth = cells = 0
    for shop in range(20):
        rows = []
        for who in range(300):
            rows.append((f"{shop}-{who}", datetime(2026, 1, 2) + timedelta(hours=who), 500, 1))
            for month in (2, 3):
                if rng.random() < KEPT:
                    paid = int(rng.gamma(2.0, AVERAGE / 2))
                    rows.append((f"{shop}-{who}", datetime(2026, month, 9), paid, 1))
        made = cells_of(rows)
        for months in (1, 2):
            cell = made[date(2026, 1, 1), months]
            cells += 1
            held += cell.retention.low <= KEPT <= cell.retention.high
            worth += cell.value.low <= KEPT * AVERAGE <= cell.value.high
    assert cells == 40
    assert min(held, worth) >= np.floor(0.875 * cells)
