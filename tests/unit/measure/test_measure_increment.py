"""Did the campaign bring anything: verdicts a marketer may act on, and when they are withheld."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.experiment import (
    ArmStatistics,
    check_sample_ratio,
    compare_means,
    estimate_lift,
    find_detectable,
    summarize_arm,
    summarize_share,
)
from zhiyin.measure.increment import estimate_increment


def _arms(effect: float, *, treated: int = 900, held_out: int = 100):
    rng = np.random.default_rng(5)
    return (
        summarize_arm(rng.normal(1000 + effect, 300, treated)),
        summarize_arm(rng.normal(1000, 300, held_out)),
    )


@pytest.mark.parametrize(
    ("effect", "verdict"),
    [(400, "brought_more"), (-400, "brought_less"), (0, "cannot_tell_yet")],
)
def test_verdict_says_what_the_interval_allows(effect, verdict):
    increment = estimate_increment(*_arms(effect), holdout_share=0.1)
    assert increment.verdict == verdict
    assert increment.difference.low <= effect <= increment.difference.high
    assert increment.total.value == pytest.approx(increment.difference.value * 900)


def test_detectable_effect_is_found_four_times_in_five():
    treated, held_out = _arms(0)
    detectable = estimate_increment(treated, held_out, holdout_share=0.1).detectable
    rng, found = np.random.default_rng(6), 0
    for _ in range(1000):
        again = estimate_increment(
            summarize_arm(rng.normal(detectable, 300, 900)),
            summarize_arm(rng.normal(0, 300, 100)),
            holdout_share=0.1,
        )
        found += again.verdict == "brought_more"
    assert found / 1000 == pytest.approx(0.8, abs=0.05)


def test_arms_of_unplanned_size_withhold_the_verdict():
    increment = estimate_increment(*_arms(400, treated=900, held_out=200), holdout_share=0.1)
    assert increment.verdict == "cannot_tell_yet"
    assert increment.sample_ratio.status == "sample_ratio_mismatch"
    assert increment.difference.status == increment.lift.status == "sample_ratio_mismatch"


def test_a_tiny_holdout_withholds_the_verdict():
    increment = estimate_increment(*_arms(4000, treated=45, held_out=5), holdout_share=0.1)
    assert increment.difference.status == "too_few_units"
    assert increment.verdict == "cannot_tell_yet"


def test_an_empty_arm_is_a_status():
    increment = estimate_increment(
        summarize_arm([5, 6, 7]), ArmStatistics(0, 0, 0), holdout_share=0.1
    )
    assert increment.difference.status == "no_units"
    assert math.isnan(increment.difference.value)
    assert math.isnan(increment.detectable)


def test_nobody_buying_is_no_variance_and_no_baseline():
    nothing = estimate_increment(
        summarize_share(0, 900), summarize_share(0, 100), holdout_share=0.1
    )
    assert nothing.difference.value == 0
    assert nothing.difference.status == "zero_variance"
    assert nothing.lift.status == "zero_baseline"
    assert nothing.verdict == "cannot_tell_yet"


def test_shares_are_means_of_zeros_and_ones():
    assert summarize_share(3, 10) == summarize_arm([1] * 3 + [0] * 7)
    assert summarize_arm(np.array([True, False])) == ArmStatistics(2, 1, 1)
    with pytest.raises(InvalidParameter):
        summarize_share(11, 10)


def test_large_money_keeps_a_small_variance():
    # ten trillion minor units each: a float sum of squares would lose the spread of 1
    arm = summarize_arm(np.array([10**13, 10**13 + 2], dtype=np.int64))
    assert arm.variance == 2.0


def test_lift_divides_by_the_size_of_a_negative_baseline():
    lift = estimate_lift(summarize_arm([-12, -8] * 20), summarize_arm([-6, -4] * 20))
    assert lift.estimate.value == pytest.approx(0.5)


def test_one_customer_in_an_arm_gives_a_number_without_an_interval():
    estimate = compare_means(summarize_arm([1.0]), summarize_arm([2.0, 4.0])).estimate
    assert (estimate.value, estimate.status) == (2.0, "too_few_units")
    assert math.isnan(estimate.low)


def test_sample_ratio_of_no_customers_and_bad_plans():
    assert check_sample_ratio({"a": 0, "b": 0}, {"a": 1, "b": 1}).status == "no_units"
    assert check_sample_ratio({"a": 480, "b": 520}, {"a": 1, "b": 1}).status == "ok"
    with pytest.raises(InvalidParameter):
        check_sample_ratio({"a": 1}, {"b": 1})
    with pytest.raises(InvalidParameter):
        check_sample_ratio({"a": 1, "b": 1}, {"a": 1, "b": 0})


def test_detectable_effect_of_the_textbook():
    # two arms of 64, deviation 1: 80 % power at an effect of one half (Cohen 1988)
    detectable = find_detectable((2 / 64) ** 0.5, degrees_of_freedom=126)
    assert detectable == pytest.approx(0.5, abs=0.003)


def test_negative_sizes_are_refused():
    with pytest.raises(InvalidParameter):
        ArmStatistics(-1, 0, 0)
    with pytest.raises(InvalidParameter):
        ArmStatistics(1, 0, -1)
