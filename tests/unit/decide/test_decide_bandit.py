"""Thompson sampling: the propensity that is logged is the one that was drawn by."""

from __future__ import annotations

from math import exp, lgamma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.bandit import best_probabilities, draw, propensities


def log_beta(a, b):
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def first_is_better(a, b, e, d):
    """P(X > Y), X ~ Beta(a, b), Y ~ Beta(e, d), whole numbers: Evan Miller, 2014, formula (5)."""
    terms = (
        log_beta(e + i, d + b) - log_beta(1 + i, b) - log_beta(e, d) for i in range(a)
    )  # fmt: skip
    return sum(exp(one) / (b + i) for i, one in enumerate(terms))


@pytest.mark.parametrize(
    ("won", "tried"),
    [((0, 0), (0, 0)), ((3, 1), (10, 10)), ((40, 55), (900, 900)), ((0, 2), (9, 3))],
)
def test_two_actions_agree_with_the_closed_form(won, tried):
    (a, e), (b, d) = [n + 1 for n in won], [n - w + 1 for w, n in zip(won, tried, strict=True)]
    made = best_probabilities(won, tried)
    assert made[0] == pytest.approx(first_is_better(a, b, e, d), abs=1e-3)


def test_many_actions_agree_with_draws():
    won, tried = np.array([3, 30, 12, 0, 7]), np.array([40, 400, 90, 5, 60])
    rng = np.random.default_rng(3)
    drawn = rng.beta(won + 1, tried - won + 1, size=(200_000, 5)).argmax(axis=1)
    shares = np.bincount(drawn, minlength=5) / drawn.size
    assert best_probabilities(won, tried) == pytest.approx(shares, abs=0.006)


def test_without_knowledge_all_are_alike_and_with_much_one_remains():
    assert propensities([0] * 4, [0] * 4, explore=0.05) == pytest.approx([0.25] * 4)
    sure = propensities([900, 100], [1_000, 1_000], explore=0.1)
    assert sure == pytest.approx([0.95, 0.05], abs=1e-6)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 500)), min_size=1, max_size=8),
    st.floats(0.01, 1),
)
def test_chances_sum_to_one_and_nobody_falls_below_the_share(counts, explore):
    made = propensities([won for won, _ in counts], [won + n for won, n in counts], explore=explore)
    assert made.sum() == pytest.approx(1)
    assert made.min() >= explore / len(counts) - 1e-12


def test_lots_fall_as_often_as_the_chances_say_and_never_on_nothing():
    chances = np.array([0.2, 0.0, 0.5, 0.3, 0.0])
    lots = (np.arange(10_000) + 0.5) / 10_000
    drawn = np.bincount([draw(chances, lot) for lot in lots], minlength=5) / lots.size
    assert drawn == pytest.approx(chances, abs=1e-3)
    assert draw(chances, 1 - 1e-17) == 3


@pytest.mark.parametrize(("won", "tried"), [([], []), ([1], [1, 2]), ([3], [2]), ([-1], [2])])
def test_counts_that_cannot_be_are_refused(won, tried):
    with pytest.raises(InvalidParameter):
        best_probabilities(won, tried)


def test_a_share_beyond_one_is_refused():
    with pytest.raises(InvalidParameter, match="explore"):
        propensities([0, 0], [1, 1], explore=1.5)
