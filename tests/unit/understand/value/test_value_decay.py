"""A model of value is looked back on: what it expected beside what came."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from zhiyin.understand.value import BgNbd, read_purchases
from zhiyin.understand.value.decay import (
    MIN_DAYS,
    compare_sums,
    compare_tenths,
    correlate,
    measure_decay,
)
from zhiyin.understand.value.forecast import learn_value

BEGIN, AS_OF, LENGTH = datetime(2025, 1, 1), date(2026, 1, 1), 90


@pytest.fixture(scope="module")
def orders():
    rng = np.random.default_rng(3)
    joined = rng.integers(0, 200, size=400)
    seen = BgNbd(1.2, 40.0, 0.6, 2.5).simulate(365.0 - joined, rng=rng)
    who = np.concatenate([np.arange(400), seen.customers])
    at = np.concatenate([joined, joined[seen.customers] + seen.times])
    return pa.table({
        "customer_id": [f"c{one:03d}" for one in who],
        "ordered_at": [BEGIN + timedelta(days=float(one)) for one in at],
        "amount_base_minor": rng.integers(1_000, 5_000, size=len(who)),
    })  # fmt: skip


@pytest.fixture(scope="module")
def days(orders):
    return read_purchases(orders, AS_OF)


@pytest.fixture(scope="module")
def model(days):
    return learn_value(days, back=LENGTH, horizon_days=LENGTH, seed=1)[0]


def test_a_model_that_holds_is_within_its_bounds(model, days):
    found = measure_decay(model, days, length=LENGTH)
    assert (found["status"], found["out_of_bounds"]) == ("ok", [])
    assert (found["since"], found["until"]) == ("2025-10-03", "2026-01-01")
    told = found["purchases"]
    assert told["low"] < 1 < told["high"]
    assert found["correlation"]["low"] > 0.2
    tenths = found["tenths"]
    assert sum(one["customers"] for one in tenths) == found["customers"]
    assert tenths[0]["actual"] > tenths[-1]["actual"]
    total = sum(one["customers"] * one["actual"] for one in tenths)
    assert total == pytest.approx(told["actual"])


def test_a_shop_that_loses_its_customers_is_out_of_bounds_and_said_in_both_languages(model, days):
    kept = (days.back > LENGTH) | (days.customers % 3 == 0)
    rows = {name: getattr(days, name)[kept] for name in ("customers", "back", "value")}
    found = measure_decay(model, replace(days, **rows), length=LENGTH)
    assert found["status"] == "decayed"
    assert {"purchases", "spend"} <= set(found["out_of_bounds"])
    assert found["purchases"]["high"] < 0.75
    assert "no longer tells the number of purchases and the spend" in found["words"]["en"]
    assert "购买次数和消费金额的判断已失准" in found["words"]["zh"]


def test_a_shop_where_nobody_comes_back_has_decayed_too(model, days):
    kept = days.back > LENGTH
    rows = {name: getattr(days, name)[kept] for name in ("customers", "back", "value")}
    found = measure_decay(model, replace(days, **rows), length=LENGTH)
    assert (found["status"], found["correlation"]) == ("decayed", None)
    assert found["purchases"]["actual"] == 0


def test_too_few_days_or_purchases_tell_nothing(model, days):
    assert measure_decay(model, days, length=MIN_DAYS - 1)["status"] == "not_yet"
    few = days.customers < 5
    rows = {name: getattr(days, name)[few] for name in ("customers", "back", "value")}
    found = measure_decay(model, replace(days, **rows), length=LENGTH)
    assert found["status"] == "too_few_outcomes"
    assert "purchases" not in found


def test_the_interval_of_a_ratio_covers_it_nineteen_times_in_twenty():
    rng = np.random.default_rng(5)
    expected = rng.gamma(1.0, 2.0, size=300)
    found = [compare_sums(expected, rng.poisson(1.2 * expected)) for _ in range(400)]
    assert np.mean([one.low < 1.2 < one.high for one in found]) == pytest.approx(0.95, abs=0.03)


def test_correlation_and_tenths_of_few_customers():
    few = np.array([1.0, 2.0, 3.0])
    assert correlate(few, few) is None
    assert [one["customers"] for one in compare_tenths(few, few)] == [1, 1, 1]
    found = correlate(np.arange(10.0), np.arange(10.0) ** 2)
    assert found.value == pytest.approx(0.9627, abs=1e-3)
    assert found.low < found.value < found.high
