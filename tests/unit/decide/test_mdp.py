"""Problems whose answer is known by hand, and what is learned of them from a log."""

from __future__ import annotations

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.decide.mdp.learning import fit_q, learn_q
from zhiyin.decide.mdp.model import Mdp, Steps, evaluate, iterate_policy, iterate_values, walk

STAY, GO = np.eye(2), np.array([[0.0, 1.0], [0.0, 1.0]])
PATIENT = Mdp(
    np.array([STAY, GO]), np.array([[1.0, 0.0], [3.0, 3.0]]), np.array([1.0, 0.0]), discount=0.9
)
"""Staying brings 1 each time; going brings nothing now and 3 for ever: 27 against 10."""


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def any_mdp(rng, states=7, actions=3, discount=0.8):
    moves = rng.dirichlet(np.full(states, 0.5), size=(actions, states))
    start = rng.dirichlet(np.ones(states))
    return Mdp(moves, rng.normal(size=(states, actions)), start, discount)


def test_the_best_policy_waits_for_what_is_worth_more():
    for solve in (iterate_values, iterate_policy):
        found = solve(PATIENT)
        assert found.policy[0] == 1
        assert found.values == pytest.approx([27, 30])
    assert PATIENT.worth(np.array([0, 0])) == pytest.approx(10)
    assert PATIENT.worth(np.array([[0.5, 0.5], [1, 0]])) == pytest.approx((0.5 + 13.5) / 0.55)


def test_both_ways_find_the_same_and_no_policy_is_better(rng):
    for _ in range(5):
        mdp = any_mdp(rng)
        by_values, by_policy = iterate_values(mdp), iterate_policy(mdp)
        np.testing.assert_array_equal(by_values.policy, by_policy.policy)
        np.testing.assert_allclose(by_values.values, by_policy.values, atol=1e-7)
        assert np.abs(by_values.values - by_policy.values).max() <= by_values.gap + 1e-9
        for _ in range(20):
            other = evaluate(mdp, rng.integers(3, size=7))
            assert (other <= by_policy.values + 1e-9).all()


def test_a_walk_moves_as_the_chances_say(rng):
    mdp = any_mdp(rng, states=3)
    policy = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.1, 0.1, 0.8]])
    steps = walk(mdp, policy, customers=4_000, periods=5, rng=rng)
    assert len(steps) == 20_000
    np.testing.assert_array_equal(steps.propensities, policy[steps.states, steps.actions])
    there = (steps.states == 0) & (steps.actions == 2)
    then = np.bincount(steps.next_states[there], minlength=3) / there.sum()
    np.testing.assert_allclose(then, mdp.transitions[2, 0], atol=0.04)
    first = np.bincount(steps.states[:4_000], minlength=3) / 4_000
    np.testing.assert_allclose(first, mdp.start, atol=0.03)


def test_what_is_learned_from_a_long_log_is_the_best_policy(rng):
    mdp = any_mdp(rng)
    steps = walk(mdp, np.full((7, 3), 1 / 3), customers=500, periods=60, rng=rng)
    given = {"states": 7, "actions": 3, "discount": mdp.discount}
    best = iterate_policy(mdp)
    for learned in (fit_q(steps, **given), learn_q(steps, rng=rng, **given)):
        assert mdp.worth(learned.policy) > mdp.start @ best.values - 0.05
        assert learned.counts.sum() == len(steps)
    plain = fit_q(steps, pessimism=0.0, **given)
    np.testing.assert_allclose(plain.values, mdp.action_values(best.values), atol=0.3)


def log(*rows):
    """Steps of state, action and reward, that end in state 1."""
    states, actions, rewards = np.array(rows).T
    ones = np.ones(len(rows))
    return Steps(states.astype(int), actions.astype(int), rewards, ones.astype(int), ones / 2)


def test_a_lucky_strike_is_not_believed():
    often = [(0, 0, 1.0 + 0.1 * (n % 3)) for n in range(60)]
    lucky = [(0, 1, 5.0)] * 3 + [(0, 1, -1.0)] * 3
    given = {"states": 2, "actions": 2, "discount": 0.5}
    steps = log(*often, *lucky)
    assert fit_q(steps, pessimism=0.0, **given).policy[0] == 1
    assert fit_q(steps, pessimism=2.0, **given).policy[0] == 0
    once = log(*often, (0, 1, 50.0))
    for made in (fit_q(once, **given), learn_q(once, rng=np.random.default_rng(1), **given)):
        assert made.policy[0] == 0
        assert made.values[0, 1] == -np.inf
        assert made.policy[1] == 0  # nothing is known of it


def test_a_state_that_is_rare_learns_from_those_like_it(rng):
    """Six states in a row whose action 1 pays more the further; the last is hardly in the log."""
    states = np.append(rng.integers(5, size=3_000), [5] * 12)
    actions = rng.integers(2, size=len(states))
    paid = actions * (states - 2.5) + rng.normal(size=len(states))
    ones = np.ones(len(states))
    steps = Steps(states, actions, paid, states, ones / 2)
    given = {"states": 6, "actions": 2, "discount": 0.0}
    truth = np.array([0.0, 2.5])
    near = fit_q(steps, kinds=np.arange(6)[:, None], pessimism=0.0, **given).values[5]
    alone = fit_q(steps, pessimism=0.0, **given).values[5]
    assert np.abs(near - truth).max() < min(0.25, np.abs(alone - truth).max())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Mdp(np.array([STAY, GO * 2]), PATIENT.rewards, PATIENT.start, 0.9),
        lambda: Mdp(PATIENT.transitions, PATIENT.rewards.T[:1], PATIENT.start, 0.9),
        lambda: Mdp(PATIENT.transitions, PATIENT.rewards, PATIENT.start, 1.0),
        lambda: Mdp(*list(vars(PATIENT).values())[:4], gains=np.ones((2, 2, 2))),
        lambda: evaluate(PATIENT, np.array([[0.5, 0.4], [1, 0]])),
        lambda: fit_q(log((0, 1, 1.0)), states=2, actions=2, discount=1.0),
        lambda: fit_q(log((0, 3, 1.0)), states=2, actions=2, discount=0.9),
        lambda: fit_q(log((0, 1, np.nan)), states=2, actions=2, discount=0.9),
        lambda: fit_q(log((0, 1, 1.0)), states=2, actions=2, discount=0.9, kinds=np.ones((3, 1))),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong):
    with pytest.raises(InvalidParameter):
        wrong()


def test_an_empty_log_teaches_nothing():
    nothing = np.array([], int)
    empty = Steps(nothing, nothing, nothing * 1.0, nothing, nothing * 1.0)
    with pytest.raises(NotEnoughData, match="no decision"):
        fit_q(empty, states=2, actions=2, discount=0.9)
