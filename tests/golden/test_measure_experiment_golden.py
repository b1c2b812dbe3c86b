"""Two-arm comparisons against GrowthBook's published test vectors and SciPy.

Vectors: growthbook/growthbook, `packages/stats/tests/frequentist/test_tests.py` (MIT), to five
decimals: 3,407 users with mean 0.41 and deviation 3.9 against 3,461 with 0.7 and 6.2.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare, ttest_ind

from zhiyin.measure.experiment import (
    ArmStatistics,
    check_sample_ratio,
    compare_means,
    estimate_lift,
    summarize_arm,
)


def _arm(mean: float, deviation: float, n: int) -> ArmStatistics:
    return ArmStatistics(n, mean * n, deviation**2 * (n - 1) + n * mean**2)


CONTROL, TREATMENT = _arm(0.41, 3.9, 3407), _arm(0.7, 6.2, 3461)


def test_growthbook_absolute_welch_vector():
    result = compare_means(CONTROL, TREATMENT)
    estimate = result.estimate
    assert (estimate.value, estimate.low, estimate.high, result.p_value) == pytest.approx(
        (0.29, 0.04538, 0.53462, 0.02016), abs=5e-6
    )


def test_growthbook_relative_welch_vector():
    result = estimate_lift(CONTROL, TREATMENT)
    estimate = result.estimate
    assert (estimate.value, estimate.low, estimate.high, result.p_value) == pytest.approx(
        (0.70732, -0.03526, 1.44989, 0.06191), abs=5e-6
    )


def test_welch_equals_scipy_on_rows():
    rng = np.random.default_rng(2)
    control, treatment = rng.normal(10, 3, 80), rng.normal(11, 6, 50)
    ours = compare_means(summarize_arm(control), summarize_arm(treatment))
    theirs = ttest_ind(treatment, control, equal_var=False)
    interval = theirs.confidence_interval()
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (ours.estimate.low, ours.estimate.high) == pytest.approx((interval.low, interval.high))


def test_sample_ratio_equals_scipy():
    ours = check_sample_ratio({"a": 5200, "b": 4800, "c": 110}, {"a": 50, "b": 49, "c": 1})
    expected = np.array([0.5, 0.49, 0.01]) * 10110
    assert ours.p_value == pytest.approx(chisquare([5200, 4800, 110], expected).pvalue, rel=1e-9)
