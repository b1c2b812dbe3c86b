"""BG/NBD against Fader, Hardie and Lee (2005) and CLVTools on CDNOW, and its formulas against 2F1.

Published: r .243, alpha 4.414, a .793, b 2.426, LL -9582.4, 1.226 purchases expected of customer 1;
CLVTools 0.12 prints .2425945, 4.4136019, .7929199, 2.4258881 and -9582.429 after 1e-8 steps.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import hyp2f1

from tests.golden.cdnow import read_calibration, shared_data
from zhiyin.understand.value import BgNbd, fit_bgnbd

PUBLISHED = BgNbd(0.243, 4.414, 0.793, 2.426)


@shared_data
def test_cdnow_gives_the_published_model():
    model = fit_bgnbd(*read_calibration())
    assert model.log_likelihood == pytest.approx(-9582.429, abs=0.001)
    assert list(model.parameters.values()) == pytest.approx(
        [0.2426, 4.4136, 0.7929, 2.4259], abs=5e-5
    )
    assert model.status == "ok"
    assert model.standard_errors["r"] == pytest.approx(0.01256, abs=5e-6)


def test_customer_one_expects_what_the_paper_prints():
    expected = PUBLISHED.conditional_expected_purchases(39, 2, 30.43, 38.86)
    assert expected[0] == pytest.approx(1.226, abs=5e-4)


def test_expectation_equals_the_papers_closed_form():
    r, alpha, a, b = PUBLISHED.parameters.values()
    for t in (0.5, 10.0, 39.0, 400.0):
        inner = (alpha / (alpha + t)) ** r * hyp2f1(r, b, a + b - 1, t / (alpha + t))
        closed = (a + b - 1) / (a - 1) * (1 - inner)
        assert PUBLISHED.expected_purchases(t)[0] == pytest.approx(closed, rel=1e-9)


@pytest.mark.parametrize(
    ("x", "tx", "age"), [(0, 0, 38.86), (1, 1.71, 38.86), (26, 30.86, 31.0), (120, 20.0, 39.0)]
)
def test_conditional_expectation_equals_the_papers_closed_form(x, tx, age):
    r, alpha, a, b = PUBLISHED.parameters.values()
    t = 39.0
    inner = ((alpha + age) / (alpha + age + t)) ** (r + x)
    inner *= hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + age + t))
    gone = a / (b + x - 1) * ((alpha + age) / (alpha + tx)) ** (r + x) if x else 0.0
    closed = (a + b + x - 1) / (a - 1) * (1 - inner) / (1 + gone)
    ours = PUBLISHED.conditional_expected_purchases(t, x, tx, age)[0]
    assert ours == pytest.approx(closed, rel=1e-7)
    assert PUBLISHED.p_alive(x, tx, age)[0] == pytest.approx(1 / (1 + gone), rel=1e-12)


def test_probabilities_of_counts_sum_to_one_and_to_the_expectation():
    chance = PUBLISHED.pmf(39.0, 4000)
    assert chance.sum() == pytest.approx(1, abs=1e-9)
    expected = PUBLISHED.expected_purchases(39.0)[0]
    assert chance @ np.arange(4001) == pytest.approx(expected, rel=1e-7)
