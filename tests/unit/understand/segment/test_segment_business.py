"""RFM of any table: quantiles as in the lake, thresholds of the business, proposals from data."""

from __future__ import annotations

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.segment import (
    Thresholds,
    measure_orders,
    name_scores,
    propose_thresholds,
    score_quantiles,
    score_thresholds,
)
from zhiyin.understand.segment.rfm import name_segments, score_bins

BOUNDS = Thresholds((30, 60, 90, 180), (2, 3, 5, 10), (100, 300, 800, 2000))


def customers(rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    return pd.DataFrame(
        {
            "recency_days": rng.integers(1, 400, rows),
            "frequency": rng.poisson(2, rows) + 1,
            "monetary": rng.lognormal(6, 1, rows).astype(int),
        }
    )


def test_quantile_scores_and_names_are_those_of_the_lake():
    table = customers()
    in_lake = table.rename(columns={"monetary": "monetary_minor"}).assign(
        customer_id=[f"{i:04d}" for i in range(300)]
    )
    lake = ibis.memtable(pa.Table.from_pandas(in_lake))
    named = name_segments(score_bins(lake)).order_by("customer_id")
    theirs = named.to_pyarrow().to_pydict()
    ours = score_quantiles(table)
    for name in ours.columns:
        assert ours[name].tolist() == theirs[name]
    assert name_scores(ours).tolist() == theirs["segment"]


def test_thresholds_score_at_their_bounds():
    table = pd.DataFrame(
        [(30, 1, 99), (31, 2, 100), (180, 9, 1999), (181, 10, 2000)],
        columns=["recency_days", "frequency", "monetary"],
    )
    assert score_thresholds(table, BOUNDS).to_numpy().tolist() == [
        [5, 1, 1], [4, 2, 2], [2, 4, 4], [1, 5, 5],
    ]  # fmt: skip
    alone = score_thresholds(table.iloc[[2]], BOUNDS)
    assert alone.to_numpy().tolist() == [[2, 4, 4]]


def test_proposed_bounds_are_round_rising_and_divide_customers():
    proposed = propose_thresholds(customers())
    assert proposed.recency_days == (90, 180, 270, 365)
    assert all(bound == int(bound) for bound in proposed.frequency + proposed.monetary)
    scored = score_thresholds(customers(), proposed)
    assert all(scored[name].nunique() == 5 for name in scored.columns)


def test_recency_follows_the_shops_own_gaps():
    table = customers().assign(gap_days=np.linspace(5, 16, 300))
    assert propose_thresholds(table).recency_days == (10, 14, 21, 30)
    jeweller = table.assign(gap_days=np.linspace(300, 2000, 300))
    assert propose_thresholds(jeweller).recency_days[0] >= 1000


def test_one_value_for_everyone_still_gives_bounds():
    table = pd.DataFrame({"recency_days": [3] * 9, "frequency": [1] * 9, "monetary": [0] * 9})
    proposed = propose_thresholds(table)
    assert proposed.frequency == (2, 3, 4, 5)
    assert set(score_thresholds(table, proposed)["f_score"]) == {1}


def test_orders_become_recency_frequency_and_money():
    lines = pd.DataFrame(
        {
            "who": ["a", "a", "a", "b", None, "a"],
            "bill": [1, 1, 2, 3, 4, 5],
            "day": pd.to_datetime(
                ["2026-01-01", "2026-01-01", "2026-01-11", "2026-01-19 18:00", "2026-01-02",
                 "2026-01-20"], format="ISO8601",
            ),
            "paid": [10, 5, 20, 7, 99, 1000],
        }
    )  # fmt: skip
    made = measure_orders(
        lines, as_of=date(2026, 1, 20), customer="who", ordered_at="day", amount="paid",
        order="bill",
    )  # fmt: skip
    assert made.loc["a"].tolist() == [9, 2, 35, 10]
    assert made.loc["b", "recency_days"] == 1
    assert np.isnan(made.loc["b", "gap_days"])
    aware = lines.assign(day=lines["day"].dt.tz_localize("Asia/Shanghai"))
    names = {"customer": "who", "ordered_at": "day", "amount": "paid", "order": "bill"}
    pd.testing.assert_frame_equal(measure_orders(aware, as_of=date(2026, 1, 20), **names), made)


def test_bad_input_is_said():
    with pytest.raises(InvalidParameter, match="thresholds of frequency are"):
        Thresholds((30, 60, 90, 180), (2, 2, 3, 4), (1, 2, 3, 4))
    with pytest.raises(InvalidParameter, match="thresholds of recency_days"):
        Thresholds((30, 60), (1, 2, 3, 4), (1, 2, 3, 4))
    with pytest.raises(InvalidParameter, match="monetary is missing for 300 customers"):
        score_quantiles(customers().assign(monetary=np.nan))
    with pytest.raises(InvalidParameter, match="column frequency is str"):
        score_quantiles(customers().assign(frequency="often"))
    with pytest.raises(InvalidParameter, match="bins is 11"):
        score_quantiles(customers(), bins=11)
    with pytest.raises(InvalidParameter, match="scores run from 1 to 10"):
        name_scores(score_quantiles(customers(), bins=10))
    with pytest.raises(NotEnoughData, match="no customers"):
        score_thresholds(customers(0), BOUNDS)
    orders = pd.DataFrame(
        {"customer_id": ["a"], "ordered_at": ["2021-01-01"], "amount_base_minor": [1]}
    )
    with pytest.raises(NotEnoughData, match="no order of a known customer is before 2020-01-01"):
        measure_orders(orders, as_of=date(2020, 1, 1))
    with pytest.raises(InvalidParameter, match="1 values of ordered_at are no times"):
        measure_orders(orders.assign(ordered_at="31.1.2026"), as_of=date(2020, 1, 1))
