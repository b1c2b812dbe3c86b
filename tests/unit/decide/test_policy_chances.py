"""Thompson sampling: the propensity that is logged is the one that was drawn by."""

from __future__ import annotations

from math import exp, lgamma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, ndtr

from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.policy.chances import (
    best_of_normals,
    best_of_rates,
    best_probabilities,
    draw,
    draw_many,
    propensities,
)


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


@pytest.mark.parametrize(
    ("means", "spreads"),
    [((0.3, 0.25), (0.01, 0.02)), ((0.3, 0.25), (1.0, 0.001)), ((5e5, 4e5), (2e5, 9e4))],
)
def test_two_normals_agree_with_the_closed_form(means, spreads):
    first = ndtr((means[0] - means[1]) / np.hypot(*spreads))
    made = best_of_normals(np.array(means), np.array(spreads))
    assert made == pytest.approx([first, 1 - first], abs=5e-3)


def test_wide_and_narrow_beliefs_agree_with_draws():
    rng = np.random.default_rng(4)
    for scale in (0.1, 1.0, 2.5):
        means, spreads = rng.normal(size=30) * 0.3, 0.2 * np.exp(rng.normal(size=30) * scale)
        drawn = (means + spreads * rng.normal(size=(200_000, 30))).argmax(axis=1)
        shares = np.bincount(drawn, minlength=30) / drawn.size
        assert best_of_normals(means, spreads) == pytest.approx(shares, abs=6e-3)


def test_rows_of_normals_are_as_each_by_itself_and_forbidden_ones_have_no_chance():
    rng = np.random.default_rng(5)
    means, spreads = rng.normal(size=(40, 6)) * 100, np.exp(rng.normal(size=(40, 6)) * 3)
    means[rng.random((40, 6)) < 0.4] = -np.inf
    means[7], spreads[8] = -np.inf, 0.0
    made = best_of_normals(means, spreads)
    assert (made[np.isneginf(means)] == 0).all()
    for row, chances in enumerate(made):
        assert best_of_normals(means[row], spreads[row]) == pytest.approx(chances, abs=1e-9)
    assert made.sum(axis=1) == pytest.approx(np.isfinite(means).any(axis=1).astype(float))


def test_what_is_sure_and_equal_is_divided_evenly():
    made = best_of_normals(np.array([2e6, 2e6, 1e6]), np.zeros(3))
    assert made == pytest.approx([0.5, 0.5, 0.0], abs=1e-9)


def test_worth_of_rates_agrees_with_draws():
    rng = np.random.default_rng(6)
    means, spreads = np.array([[-2.0, -1.0, 0.5, 1.0]]), np.array([[0.8, 0.3, 1.5, 0.1]])
    worth, cost = np.array([9.0, 4.0, 1.0, 1.0]), np.array([0.3, 0.5, 0.0, 0.1])
    allowed = np.array([[True, True, True, True]])
    made = best_of_rates(means, spreads, worth=worth, cost=cost, allowed=allowed)[0]
    drawn = worth * expit(means + spreads * rng.normal(size=(200_000, 4))) - cost
    shares = np.bincount(drawn.argmax(axis=1), minlength=4) / len(drawn)
    assert made == pytest.approx(shares, abs=6e-3)
    allowed[0, :2] = False
    made = best_of_rates(means, spreads, worth=worth, cost=cost, allowed=allowed)[0]
    assert made[:2].tolist() == [0, 0]
    assert made.sum() == pytest.approx(1)


def test_many_draws_are_as_each_by_itself():
    chances = np.array([[0.2, 0.0, 0.8, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0] * 4])
    lots = np.array([0.2, 1 - 1e-17, 0.5])
    assert draw_many(chances, lots).tolist() == [2, 1, -1]
    assert [draw(chances[row], lots[row]) for row in range(2)] == [2, 1]
