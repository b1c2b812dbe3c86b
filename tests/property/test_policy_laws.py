"""Laws of policies: the order of actions or outcomes and the unit of money change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from zhiyin.decide.policy import make

NAMES = ("a", "b", "c", "d")
LEARNED = ("epsilon_greedy", "linucb", "linear_thompson", "logistic_thompson")


def outcomes(seed, rows=80):
    rng = np.random.default_rng(seed)
    seen = np.column_stack([rng.normal(size=(rows, 2)), np.ones(rows)])
    places = rng.integers(len(NAMES), size=rows)
    paid = (rng.random(rows) < 0.2 + 0.6 * (places == 1) * (seen[:, 0] > 0)).astype(float)
    return seen, [NAMES[place] for place in places], paid


def taught(name, actions, seed, *, order=None, scale=1.0):
    seen, done, paid = outcomes(seed)
    rows = np.arange(len(seen)) if order is None else order
    policy = make(name, actions, width=3, explore=0.05)
    policy.update(seen[rows], [done[row] for row in rows], scale * paid[rows])
    return policy, seen


@pytest.mark.parametrize("name", LEARNED)
@given(st.permutations(NAMES), st.integers(0, 10**6))
@settings(max_examples=examples(8), deadline=None)
def test_the_order_of_actions_changes_nothing(name, shuffled, seed):
    first, seen = taught(name, NAMES, seed)
    second, _ = taught(name, tuple(shuffled), seed)
    moved = [shuffled.index(one) for one in NAMES]
    eligible = np.random.default_rng(seed).random((len(seen), len(NAMES))) < 0.7
    back = np.empty_like(eligible)
    back[:, moved] = eligible
    made, again = first.probabilities(seen, eligible), second.probabilities(seen, back)
    np.testing.assert_allclose(made, again[:, moved], atol=1e-9)


@pytest.mark.parametrize("name", LEARNED)
@given(st.integers(0, 10**6))
@settings(max_examples=examples(8), deadline=None)
def test_the_order_of_outcomes_changes_nothing(name, seed):
    first, seen = taught(name, NAMES, seed)
    order = np.random.default_rng(seed).permutation(len(seen))
    second, _ = taught(name, NAMES, seed, order=order)
    np.testing.assert_allclose(first.probabilities(seen), second.probabilities(seen), atol=1e-6)


@pytest.mark.parametrize("name", LEARNED[:3])
@given(st.integers(0, 10**6), st.floats(1e-3, 1e6))
@settings(max_examples=examples(8), deadline=None)
def test_the_unit_of_money_changes_nothing(name, seed, scale):
    first, seen = taught(name, NAMES, seed)
    second, _ = taught(name, NAMES, seed, scale=scale)
    np.testing.assert_allclose(first.probabilities(seen), second.probabilities(seen), atol=1e-6)
