"""What a newcomer hands in by mistake is named, with what to do; never an error of a library."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from zhiyin.core.errors import ZhiyinError
from zhiyin.understand.value import (
    BgNbd,
    GammaGamma,
    ParetoNbd,
    compare_conditional,
    compare_frequencies,
    estimate_clv,
    forecast_value,
    read_purchases,
    summarise,
    track_purchases,
)

DAY = date(2024, 6, 1)
MODEL, SPEND = BgNbd(0.6, 6.0, 0.7, 2.5), GammaGamma(6.0, 4.0, 15.0)
ONE = {"frequency": [2], "recency": [30], "age": [39], "monetary": [12.0]}
ORDERS = pd.DataFrame({
    "customer_id": ["a", "a"], "ordered_at": pd.to_datetime(["2024-01-01", "2024-02-01"]),
    "amount_base_minor": [100, 200],
})  # fmt: skip
DAYS = read_purchases(ORDERS, DAY)
RNG = np.random.default_rng(1)


def clv(model=MODEL, spend=SPEND, **change):
    return estimate_clv(model, spend, **(ONE | change))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: clv(months="12"), "months is '12', a text"),
        (lambda: clv(months=2.5), "months is 2.5, it must be a whole number"),
        (lambda: clv(monthly_discount=None), "monthly_discount is None"),
        (lambda: clv(margin="a quarter"), "margin is 'a quarter', a text"),
        (lambda: clv(unit="weeks"), "unit is 'weeks'.*week"),
        (lambda: clv(model="bgnbd"), "purchases is 'bgnbd', a text.*fit_bgnbd"),
        (lambda: clv(spend=None), "spend is None"),
        (lambda: BgNbd("0.6", 6.0, 0.7, 2.5), "r is '0.6', a text"),
        (lambda: MODEL.pmf(26, "5"), "most is '5', a text"),
        (lambda: ParetoNbd(0.6, 6.0, 0.7, 2.5).pmf(None, 5), "t is None"),
        (lambda: MODEL.expected_purchases([]), "t holds no length of time"),
        (lambda: forecast_value(DAYS, horizon_days="90", rng=RNG), "horizon_days is '90', a text"),
        (lambda: forecast_value(DAYS, horizon_days=90, rng=7), "rng is 7.*default_rng"),
        (lambda: forecast_value(ORDERS, horizon_days=90, rng=RNG), "read_purchases"),
        (lambda: compare_frequencies(None, [1, 2], [9.0, 9.0]), "model is None"),
        (lambda: compare_frequencies(MODEL, [1, 2], [9.0]), "frequency has 2, age has 1 values"),
        (lambda: compare_conditional([1, 2], [1.0], [1.0, 2.0]), "expected has 1"),
        (lambda: compare_conditional([1, -2], [1, 1], [1, 2]), "frequency -2 in row 1 is negative"),
        (lambda: compare_conditional([1], [1], [1], most="7"), "most is '7', a text"),
        (lambda: track_purchases(MODEL, [0.0], [1.0], until=9, step="1"), "step is '1', a text"),
        (lambda: track_purchases("bgnbd", [0.0], [1.0], until=9), "model is 'bgnbd'"),
        (lambda: summarise(ORDERS.to_dict("list"), DAY), "orders is of type dict, not a table"),
        (lambda: summarise(None, DAY), "orders is None, not a table"),
        (lambda: read_purchases(ORDERS.assign(customer_id=[["a"]] * 2), DAY), "ids are texts"),
    ],
)  # fmt: skip
def test_it_is_named_with_what_to_do(call, match):
    with pytest.raises(ZhiyinError, match=match) as error:
        call()
    assert error.value.hint
