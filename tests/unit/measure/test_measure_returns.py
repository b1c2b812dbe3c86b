"""What an order cost and what the money brought, also where that cannot be said."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zhiyin.core.values import Estimate
from zhiyin.measure.experiment import Adjusted, Moments
from zhiyin.measure.increment import estimate_increment
from zhiyin.measure.returns import price_orders, return_on_cost


def test_the_price_of_an_order_is_the_interval_turned_round():
    found = price_orders(Estimate(50, 25, 100, 900), 1000)
    assert (found.value, found.low, found.high) == (20, 10, 40)


def test_where_no_order_may_have_come_no_price_is_too_high():
    found = price_orders(Estimate(50, -10, 100, 900), 1000)
    assert (found.value, found.low) == (20, 10)
    assert math.isnan(found.high)
    none = price_orders(Estimate(-50, -60, -40, 900), 1000)
    assert math.isnan(none.value)
    assert none.status == "not_measured"


def test_an_unknown_cost_is_not_zero():
    assert price_orders(Estimate(50, 25, 100, 900), None).status == "cost_unknown"
    assert return_on_cost(Estimate(50, 25, 100, 900), None, margin_rate=0.2).status == (
        "cost_unknown"
    )


def test_a_return_of_nought_earns_the_cost_back():
    found = return_on_cost(Estimate(4000, 2000, 8000, 900), 1000, margin_rate=0.25)
    assert (found.value, found.low, found.high) == (0, -0.5, 1)


def test_spend_before_narrows_the_interval_by_what_it_explains():
    """With a correlation of .8 the variance falls by .64 (Deng et al. 2013)."""
    rng = np.random.default_rng(11)
    arms = []
    for customers, effect in ((9000, 60), (1000, 0)):
        before = rng.normal(1000, 300, customers)
        now = 1000 + effect + 0.8 * (before - 1000) + rng.normal(0, 180, customers)
        rows = np.column_stack([now, before])
        products = tuple(map(tuple, (rows.T @ rows).tolist()))
        arms.append(Adjusted(Moments(customers, tuple(rows.sum(axis=0).tolist()), products)))
    found = estimate_increment(*arms, holdout_share=0.1)
    plain = estimate_increment(*(arm.plain for arm in arms), holdout_share=0.1)
    assert found.variance_reduction == pytest.approx(0.64, abs=0.03)
    assert found.difference.low <= 60 <= found.difference.high
    assert found.detectable == pytest.approx(0.6 * plain.detectable, rel=0.05)
    assert found.total.value == pytest.approx(9000 * found.difference.value)
    assert plain.variance_reduction is None
