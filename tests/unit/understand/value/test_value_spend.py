"""Spend, counted purchases and value: what is refused, what is found again."""

from __future__ import annotations

from datetime import date, datetime

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from zhiyin.core.errors import InputError, InvalidParameter, NotEnoughData
from zhiyin.understand.value import (
    BgNbd,
    GammaGamma,
    ParetoNbd,
    estimate_clv,
    fit_gamma_gamma,
    summarise,
)

TRUTH = GammaGamma(5.0, 4.0, 30.0)
AS_OF = date(2026, 3, 1)
ORDERS = [
    ("a", datetime(2026, 1, 1, 9), 500),
    ("a", datetime(2026, 1, 1, 18), 300),
    ("a", datetime(2026, 1, 15, 12), 700),
    ("a", datetime(2026, 2, 28, 23), 900),
    ("a", datetime(2026, 3, 1), 9_999),
    ("b", datetime(2026, 2, 28, 1), 400),
    ("b", datetime(2026, 2, 28, 2), -100),
    ("c", datetime(2026, 1, 10), 1_000),
    ("c", datetime(2026, 1, 20), -1_000),
    (None, datetime(2026, 1, 20), 70),
]


def orders() -> pa.Table:
    who, at, amount = zip(*ORDERS, strict=True)
    return pa.table({"customer_id": who, "ordered_at": at, "amount_base_minor": amount})


@pytest.mark.parametrize("kind", [lambda t: t, lambda t: t.to_pandas(), ibis.memtable])
def test_purchases_are_counted_by_day_and_returns_are_none(kind):
    found = summarise(kind(orders()), AS_OF, "day")
    assert found.customer_ids.tolist() == ["a", "b", "c"]
    assert found.frequency.tolist() == [2, 0, 0]
    assert found.recency.tolist() == [58, 0, 0]
    assert found.age.tolist() == [58, 0, 49]
    assert found.monetary.tolist() == [800, 0, 0]
    assert found.first_spend.tolist() == [800, 300, 1000]
    assert found.to_pandas().shape == (3, 6)


def test_a_day_begins_at_midnight_of_the_zone():
    late = pa.table(
        {"customer_id": ["a", "a"], "amount_base_minor": [1, 1],
         "ordered_at": [datetime(2026, 1, 1, 15, 30), datetime(2026, 1, 1, 16, 30)]}
    )  # fmt: skip
    assert summarise(late, AS_OF).frequency.tolist() == [0]
    assert summarise(late, AS_OF, zone="Asia/Shanghai").frequency.tolist() == [1]


def test_orders_after_the_day_change_nothing():
    later = pa.table(
        {"customer_id": ["a", "z"], "amount_base_minor": [1, 1],
         "ordered_at": [datetime(2026, 3, 1), datetime(2027, 3, 1)]}
    )  # fmt: skip
    both = pa.concat_tables([orders(), later.select(orders().column_names)])
    before, after = summarise(orders(), AS_OF), summarise(both, AS_OF)
    pd.testing.assert_frame_equal(before.to_pandas(), after.to_pandas())


def test_unknown_units_and_columns_are_refused():
    with pytest.raises(InvalidParameter, match="'fortnight'") as unit:
        summarise(orders(), AS_OF, "fortnight")
    assert "week" in unit.value.hint
    with pytest.raises(InputError, match="no column 'paid'"):
        summarise(orders(), AS_OF, amount="paid")
    words = orders().to_pandas().astype({"ordered_at": str})
    with pytest.raises(InputError, match="'ordered_at' is string, not a time") as told:
        summarise(words, AS_OF)
    assert "to_datetime" in told.value.hint


def test_aware_times_are_the_same_moments():
    frame = orders().to_pandas()
    aware = frame.assign(ordered_at=frame["ordered_at"].dt.tz_localize("UTC"))
    shifted = aware.assign(ordered_at=aware["ordered_at"].dt.tz_convert("Asia/Shanghai"))
    known = summarise(frame, AS_OF).to_pandas()
    pd.testing.assert_frame_equal(summarise(shifted, AS_OF).to_pandas(), known)


def test_parameters_of_simulated_spend_are_found_within_three_errors():
    rng = np.random.default_rng(3)
    x = rng.poisson(3.0, 8_000)
    z = TRUTH.simulate(x, rng=rng)
    model = fit_gamma_gamma(x, z)
    assert model.status == "ok"
    for name, value in TRUTH.parameters.items():
        gap = abs(model.parameters[name] - value)
        assert gap < 3 * model.standard_errors[name], name
    assert model.log_likelihood_of(x, z).sum() == pytest.approx(model.log_likelihood, rel=1e-10)
    assert z[x > 0].mean() == pytest.approx(TRUTH.mean_spend, rel=0.02)


def test_order_doubling_and_the_unit_of_money_do_what_they_must():
    rng = np.random.default_rng(8)
    x = rng.poisson(2.0, 500)
    z = TRUTH.simulate(x, rng=rng)
    model = fit_gamma_gamma(x, z)
    order = rng.permutation(500)
    assert fit_gamma_gamma(x[order], z[order]).parameters == model.parameters
    doubled = fit_gamma_gamma(np.tile(x, 2), np.tile(z, 2))
    assert doubled.log_likelihood == pytest.approx(2 * model.log_likelihood)
    assert doubled.standard_errors["q"] == pytest.approx(model.standard_errors["q"] / np.sqrt(2))
    cents = fit_gamma_gamma(x, z * 100)
    assert cents.v == pytest.approx(model.v * 100, rel=1e-5)
    assert cents.mean_spend == pytest.approx(model.mean_spend * 100, rel=1e-6)


@pytest.mark.parametrize(
    ("frequency", "monetary", "sentence"),
    [
        ([1, 2], [3.0], "frequency has shape"),
        ([1, 2], [3.0, 0.0], "monetary 0 in row 1 is not above 0"),
        ([1, 2], [3.0, -4.0], "monetary -4 in row 1 is not above 0"),
        ([1, 2], [3.0, np.nan], "monetary nan in row 1 is missing"),
        ([1, -2], [3.0, 1.0], "frequency -2 in row 1 is negative"),
    ],
)
def test_impossible_spend_is_refused_with_a_hint(frequency, monetary, sentence):
    with pytest.raises(InvalidParameter, match=sentence) as refused:
        fit_gamma_gamma(frequency, monetary)
    assert refused.value.hint


def test_too_few_repeaters_are_said():
    with pytest.raises(NotEnoughData, match="4 customers bought again"):
        fit_gamma_gamma([1, 2, 3, 1, 0, 0], [9.0, 8.0, 7.0, 9.0, np.nan, 0.0])


def test_a_mean_that_does_not_exist_is_infinite():
    assert GammaGamma(6.0, 0.9, 15.0).mean_spend == np.inf


HISTORY = {"frequency": [2, 0], "recency": [30.0, 0.0], "age": [38.0, 38.0], "monetary": [22.0, 0]}


@pytest.mark.parametrize(
    "model", [BgNbd(0.243, 4.414, 0.793, 2.426), ParetoNbd(0.553, 10.578, 0.606, 11.669)]
)
def test_value_grows_with_time_and_margin_and_falls_with_the_discount(model):
    def value(**settings):
        return estimate_clv(model, TRUTH, **HISTORY, **settings)

    year = value(months=12)
    assert (value(months=24) > year).all()
    assert (value(months=12, monthly_discount=0.05) < year).all()
    assert value(months=12, margin=0.25) == pytest.approx(year / 4)
    days = {**HISTORY, "recency": [210.0, 0.0], "age": [266.0, 266.0]}
    slow = type(model)(*_in_days(model))
    assert estimate_clv(slow, TRUTH, **days, unit="day") == pytest.approx(year, rel=1e-9)


def _in_days(model) -> list[float]:
    rates = {"alpha", "beta"}
    return [value * (7 if name in rates else 1) for name, value in model.parameters.items()]


@pytest.mark.parametrize(
    "settings", [{"months": 0}, {"monthly_discount": 1.2}, {"margin": 30}, {"margin": 0}]
)
def test_settings_of_value_out_of_range_are_refused(settings):
    model = BgNbd(0.243, 4.414, 0.793, 2.426)
    with pytest.raises(InvalidParameter, match=next(iter(settings))):
        estimate_clv(model, TRUTH, **HISTORY, **settings)
