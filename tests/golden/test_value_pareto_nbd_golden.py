"""Pareto/NBD against Fader, Hardie and Lee (2005) on CDNOW, and its integral against 2F1.

Published: r .553, alpha 10.578, s .606, beta 11.669, LL -9595.0.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaln, hyp2f1

from tests.golden.cdnow import read_calibration, shared_data
from zhiyin.understand.value import ParetoNbd, fit_pareto_nbd

PUBLISHED = ParetoNbd(0.553, 10.578, 0.606, 11.669)


@shared_data
def test_cdnow_gives_the_published_model():
    model = fit_pareto_nbd(*read_calibration())
    assert model.log_likelihood == pytest.approx(-9594.976, abs=0.001)
    assert [round(value, 3) for value in model.parameters.values()] == [
        0.553,
        10.578,
        0.606,
        11.669,
    ]
    assert model.status == "ok"


@pytest.mark.parametrize("model", [PUBLISHED, ParetoNbd(0.553, 7.0, 0.606, 11.669)])
@pytest.mark.parametrize(
    ("x", "tx", "age"), [(0, 0, 38.86), (2, 30.43, 38.86), (26, 30.86, 31.0), (40, 20.0, 39.0)]
)
def test_likelihood_and_p_alive_equal_the_closed_form(model, x, tx, age):
    """Equations 15-17 of Fader and Hardie's note, for alpha above and below beta."""
    r, alpha, s, beta = model.parameters.values()
    total = r + s + x
    large, gap = max(alpha, beta), abs(alpha - beta)
    second = s + 1 if alpha >= beta else r + x

    def scaled(t: float) -> float:
        ratio = ((large + tx) / (large + t)) ** total
        return ratio * hyp2f1(total, second, total + 1, gap / (large + t))

    a0 = (scaled(tx) - scaled(age)) / (large + tx) ** total
    still = 1 / ((alpha + age) ** (r + x) * (beta + age) ** s)
    front = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
    closed = front + np.log(still + s / total * a0)
    assert model.log_likelihood_of(x, tx, age)[0] == pytest.approx(closed, rel=1e-10)
    alive = 1 / (1 + s / total * a0 / still)
    assert model.p_alive(x, tx, age)[0] == pytest.approx(alive, rel=1e-8)
    late = (beta + age) / (beta + age + 39)
    mean = (r + x) * (beta + age) / ((alpha + age) * (s - 1)) * (1 - late ** (s - 1)) * alive
    ours = model.conditional_expected_purchases(39, x, tx, age)[0]
    assert ours == pytest.approx(mean, rel=1e-8)


def test_expectation_passes_through_a_shape_of_one():
    around = [
        ParetoNbd(0.5, 10.0, s, 12.0).expected_purchases(39)[0] for s in (1 - 1e-7, 1, 1 + 1e-7)
    ]
    assert around == pytest.approx([0.5 * 12 / 10 * np.log(1 + 39 / 12)] * 3, rel=1e-6)
    assert around[0] > around[1] > around[2]


def test_probabilities_of_counts_sum_to_one_and_to_the_expectation():
    chance = PUBLISHED.pmf(39.0, 2000)
    assert chance.sum() == pytest.approx(1, abs=1e-9)
    expected = PUBLISHED.expected_purchases(39.0)[0]
    assert chance @ np.arange(2001) == pytest.approx(expected, rel=1e-9)
