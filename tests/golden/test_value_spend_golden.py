"""Gamma-Gamma and counted purchases against Fader, Hardie and Lee (2005, JMR) on CDNOW.

Published: p 6.25, q 3.74, v 15.44 on 946 repeaters; customer 1 has x 2, tx 30.43, T 38.86, 22.35
dollars a purchase (file `cdnow_customers_summary_with_transactions.csv` of Lifetimes 0.11.3).
"""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from tests.golden.cdnow import FILE, read_calibration, read_orders, shared_data
from zhiyin.understand.value import (
    BgNbd,
    GammaGamma,
    estimate_clv,
    fit_gamma_gamma,
    summarise,
)

COLUMNS = {"customer": "customer", "ordered": "day", "amount": "amount"}


@shared_data
def test_cdnow_is_counted_as_published():
    found = summarise(read_orders(), date(1997, 10, 1), "week", **COLUMNS)
    for ours, theirs in zip(
        (found.frequency, found.recency, found.age), read_calibration(), strict=True
    ):
        assert ours == pytest.approx(theirs, abs=1e-12)
    kept = pd.read_csv(FILE / "cdnow_customers_summary_with_transactions.csv")
    assert len(found) == len(kept) == 2357
    assert found.frequency.sum() == kept["x"].sum() == 2457
    assert found.monetary == pytest.approx(kept["zbar"].to_numpy(), abs=0.00501)
    assert found.age == pytest.approx(kept["T"].to_numpy(), abs=0.00501)


@shared_data
def test_cdnow_gives_the_published_spend_model():
    found = summarise(read_orders(), date(1997, 10, 1), "week", **COLUMNS)
    model = fit_gamma_gamma(found.frequency, found.monetary)
    assert [round(value, 2) for value in model.parameters.values()] == [6.25, 3.74, 15.44]
    assert model.log_likelihood == pytest.approx(-4055.92, abs=0.01)
    assert model.fit is not None
    assert model.fit.customers == 946


def test_expected_spend_is_the_papers_weighted_mean():
    model = GammaGamma(6.25, 3.74, 15.44)
    p, q, v = model.parameters.values()
    population = p * v / (q - 1)
    assert model.mean_spend == pytest.approx(population)
    share = (q - 1) / (p * 4 + q - 1)
    expected = share * population + (1 - share) * 60.0
    assert model.expected_spend(4, 60.0)[0] == pytest.approx(expected)
    assert model.expected_spend(0, 0.0)[0] == pytest.approx(population)


def test_value_is_the_sum_of_discounted_months():
    purchases, spend = BgNbd(0.243, 4.414, 0.793, 2.426), GammaGamma(6.25, 3.74, 15.44)
    history = {"frequency": 2, "recency": 30.43, "age": 38.86}
    month = 365.25 / 12 / 7
    until = [
        float(purchases.conditional_expected_purchases(k * month, **history)[0]) for k in range(4)
    ]
    parts = [(until[k] - until[k - 1]) / 1.02**k for k in (1, 2, 3)]
    expected = 0.3 * sum(parts) * float(spend.expected_spend(2, 22.35)[0])
    ours = estimate_clv(
        purchases, spend, **history, monetary=22.35, months=3, monthly_discount=0.02, margin=0.3
    )
    assert ours == pytest.approx([expected], rel=1e-12)
