"""Forecasts at a day: what came before it counts alone, trees are followed where they help."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pytest

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.value import BgNbd, forecast_value, read_purchases, summarise
from zhiyin.understand.value.forecast import poisson_deviance
from zhiyin.understand.value.purchases import FEATURES, count_after, cut_purchases

BEGIN, AS_OF = datetime(2025, 1, 1), date(2026, 1, 1)


def shop(customers: int, *, seed: int = 1, days: int = 500, planted: bool = False) -> pa.Table:
    """Orders of customers who joined in the first 120 days; `planted`: a large first order tells
    that its customer will buy three times as often."""
    rng = np.random.default_rng(seed)
    born = rng.integers(0, 120, size=customers)
    keen = rng.uniform(size=customers) < 0.3
    rates = BgNbd(1.5, 60.0, 0.6, 3.0)
    seen = rates.simulate((days - born).astype(float), rng=rng)
    kept = (
        np.ones(len(seen.times), dtype=bool)
        if not planted
        else keen[seen.customers] | (rng.uniform(size=len(seen.times)) < 0.33)
    )
    who = np.concatenate([np.arange(customers), seen.customers[kept]])
    at = np.concatenate([born, born[seen.customers[kept]] + seen.times[kept]])
    value = rng.integers(1_000, 3_000, size=len(who))
    value[:customers] += np.where(keen, 20_000, 0)
    return pa.table(
        {
            "customer_id": [f"c{one:05d}" for one in who],
            "ordered_at": [BEGIN + timedelta(days=float(one)) for one in at],
            "amount_base_minor": value,
        }
    )


def test_a_cut_equals_the_summary_of_its_day():
    orders = shop(200)
    days = read_purchases(orders, AS_OF)
    for back in (0, 90):
        cut = cut_purchases(days, back)
        known = summarise(orders, AS_OF - timedelta(days=back), "day")
        assert days.customer_ids[cut.customers].tolist() == known.customer_ids.tolist()
        assert cut.frequency.tolist() == known.frequency.tolist()
        assert cut.recency.tolist() == known.recency.tolist()
        assert cut.age.tolist() == known.age.tolist()
        assert cut.monetary == pytest.approx(known.monetary)
        assert cut.features.shape == (len(known), len(FEATURES))


def test_what_came_after_a_cut_is_counted_once():
    orders = shop(200)
    days = read_purchases(orders, AS_OF)
    cut = cut_purchases(days, 90)
    counts, spend = count_after(days, cut.customers, back=90, length=90)
    now = cut_purchases(days, 0)
    known = dict(zip(now.customers.tolist(), now.frequency.tolist(), strict=True))
    then = zip(cut.customers.tolist(), cut.frequency.tolist(), strict=True)
    assert counts.tolist() == [known[who] - before for who, before in then]
    assert ((spend > 0) == (counts > 0)).all()


def test_gaps_are_measured_between_purchases():
    at = [BEGIN + timedelta(days=one) for one in (0, 10, 40)]
    orders = pa.table(
        {"customer_id": ["a"] * 3 + ["b"], "ordered_at": [*at, BEGIN],
         "amount_base_minor": [100, 200, 300, 400]}
    )  # fmt: skip
    cut = cut_purchases(read_purchases(orders, date(2025, 2, 20)), 0)
    found = dict(zip(FEATURES, cut.features[0].tolist(), strict=True))
    assert found["gap_mean"] == 20
    assert found["gap_variation"] == pytest.approx(0.5)
    assert found["gap_last"] == 30
    assert found["overdue"] == pytest.approx(9 / 20)
    assert found["purchases_30d"] == 1
    assert np.isnan(cut.features[1][FEATURES.index("gap_mean")])


def test_trees_find_what_the_models_cannot_see():
    orders = shop(3_000, planted=True)
    days = read_purchases(orders, AS_OF)
    made = forecast_value(days, horizon_days=120, rng=np.random.default_rng(0))
    until = read_purchases(orders, AS_OF + timedelta(days=120))
    cut = cut_purchases(until, 120)
    actual, spent = count_after(until, cut.customers, back=120, length=120)
    assert until.customer_ids[cut.customers].tolist() == made.customer_ids.tolist()
    assert made.purchases_weight == made.spend_weight == 0.5
    assert poisson_deviance(actual, made.purchases) < poisson_deviance(actual, made.base_purchases)
    assert poisson_deviance(spent, made.spend) < poisson_deviance(spent, made.base_spend)
    assert made.purchases.sum() == pytest.approx(actual.sum(), rel=0.15)
    assert ((made.p_alive >= 0) & (made.p_alive <= 1)).all()


def test_what_comes_after_the_day_changes_nothing():
    short, long = shop(600), shop(600)
    short = short.filter(pa.compute.less(short["ordered_at"], datetime(2026, 1, 1)))
    assert short.num_rows < long.num_rows
    made = [
        forecast_value(read_purchases(orders, AS_OF), horizon_days=90, rng=np.random.default_rng(0))
        for orders in (short, long)
    ]
    assert made[0].purchases.tolist() == made[1].purchases.tolist()
    assert made[0].spend.tolist() == made[1].spend.tolist()


def test_few_rows_are_left_to_the_models():
    made = forecast_value(
        read_purchases(shop(60), AS_OF), horizon_days=90, rng=np.random.default_rng(0)
    )
    assert made.purchases.tolist() == made.base_purchases.tolist()
    assert made.spend.tolist() == made.base_spend.tolist()


def test_too_little_and_a_horizon_out_of_range_are_said():
    days = read_purchases(shop(10), AS_OF)
    with pytest.raises(NotEnoughData, match="10 customers"):
        forecast_value(days, horizon_days=90, rng=np.random.default_rng(0))
    with pytest.raises(InvalidParameter, match="horizon_days is 0"):
        forecast_value(days, horizon_days=0, rng=np.random.default_rng(0))
    nobody = read_purchases(shop(10), date(2024, 1, 1))
    with pytest.raises(NotEnoughData, match="0 customers"):
        forecast_value(nobody, horizon_days=90, rng=np.random.default_rng(0))
