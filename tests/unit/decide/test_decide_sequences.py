"""Sequences of decisions, against a small table whose values are known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter, WrongPropensities
from zhiyin.decide.offpolicy import evaluate_sequences, make_sequences

# fresh, tired, gone; wait or contact: contacts earn, and tire
MOVES = np.array(
    [[[0.8, 0.1, 0.1], [0.3, 0.6, 0.1]], [[0.5, 0.4, 0.1], [0.1, 0.5, 0.4]]]
)  # (state, action, next)
EARNED = np.array([[0.0, 1.0], [0.0, 0.4]])
WORK = np.array([[0.5, 0.5], [0.4, 0.6]])
CAREFUL = np.array([[0.2, 0.8], [0.9, 0.1]])
DISCOUNT = 0.9


def value_of(policy):
    """Of starting fresh, by solving Bellman's equation."""
    moves = np.einsum("sa,sat->st", policy, MOVES[:, :, :2])
    return np.linalg.solve(np.eye(2) - DISCOUNT * moves, (policy * EARNED).sum(axis=1))[0]


def live(m, seed, *, longest=12):
    """`m` customers under the policy at work, until they are gone."""
    rng = np.random.default_rng(seed)
    rows = []
    state, there = np.zeros(m, int), np.arange(m)
    step = 0
    while there.size:
        action = (rng.random(there.size) < WORK[state, 1]).astype(int)
        earned = EARNED[state, action] * rng.exponential(size=there.size)
        rows.append((there, np.full(there.size, step), state, action, earned))
        chances = MOVES[state, action].cumsum(axis=1)
        state = (chances > rng.random((there.size, 1))).argmax(axis=1)
        there, state, step = there[state < 2], state[state < 2], step + 1
    who, step, state, action, earned = (np.concatenate(each) for each in zip(*rows, strict=True))
    tired = (state == 1).astype(float)
    return make_sequences(
        who, step, tired, action, earned, WORK[state, action], probabilities=WORK[state]
    )


def careful(states, actions):
    return CAREFUL[states[:, 0].astype(int)]


def work(states, actions):
    return WORK[states[:, 0].astype(int)]


def test_fitted_q_covers_the_true_value():
    truth = value_of(CAREFUL)
    found = [evaluate_sequences(live(400, s), careful, discount=DISCOUNT) for s in range(60)]
    assert sum(each.low <= truth <= each.high for each in found) >= 53
    assert np.mean([each.value for each in found]) == pytest.approx(truth, rel=0.02)
    assert {each.status for each in found} == {"ok"}


def test_weighting_covers_the_true_value_of_a_near_policy():
    near = 0.8 * WORK + 0.2 * CAREFUL
    truth = value_of(near)
    found = [
        evaluate_sequences(
            live(400, s), lambda x, _: near[x[:, 0].astype(int)], "pdwis", discount=DISCOUNT
        )
        for s in range(60)
    ]
    assert sum(each.low <= truth <= each.high for each in found) >= 53


def test_fitted_q_is_surer_than_weighting_where_sequences_are_long():
    log = live(400, 1)
    fitted, weighted = (
        evaluate_sequences(log, careful, method, discount=DISCOUNT) for method in ("fqe", "pdwis")
    )
    assert fitted.high - fitted.low < 0.8 * (weighted.high - weighted.low)
    assert weighted.ess < fitted.ess


def test_the_policy_at_work_is_worth_what_its_sequences_brought():
    log = live(300, 2)
    paid = log.log.rewards * DISCOUNT**log.step
    assert evaluate_sequences(log, work, "pdwis", discount=DISCOUNT).value == pytest.approx(
        paid.sum() / 300
    )


def test_per_decision_weights_by_hand():
    """Two customers, two steps, chances of one half; the policy always takes action 1.

    Weights: 2, 2 and 0 after the first step, so V = 3 + 5 / 1 = 8 without a discount.
    """
    log = make_sequences(
        ["a", "a", "b", "b"], [1, 2, 1, 2], [0, 0, 0, 0], [1, 1, 0, 1], [3, 5, 7, 11], [0.5] * 4
    )
    found = evaluate_sequences(log, np.tile([0.0, 1.0], (4, 1)), "pdwis")
    assert found.value == pytest.approx(8)
    half = evaluate_sequences(log, np.tile([0.0, 1.0], (4, 1)), "pdwis", discount=0.5)
    assert half.value == pytest.approx(5.5)


def test_the_order_of_rows_is_nothing():
    log = live(50, 3)
    turned = np.arange(log.log.n)[::-1]
    rows = log.log.take(turned)
    again = make_sequences(
        log.sequence[turned], log.step[turned], rows.contexts, rows.actions, rows.rewards,
        rows.propensities, probabilities=rows.probabilities,
    )  # fmt: skip
    for method in ("fqe", "pdwis"):
        assert evaluate_sequences(again, careful, method) == evaluate_sequences(
            log, careful, method
        )


def test_wrong_propensities_are_refused_here_too():
    log = live(400, 4)
    wrong = make_sequences(
        log.sequence, log.step, log.log.contexts, log.log.actions, log.log.rewards,
        np.full(log.log.n, 0.9),
    )  # fmt: skip
    with pytest.raises(WrongPropensities):
        evaluate_sequences(wrong, careful)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(InvalidParameter, match="twice"):
        make_sequences(["a", "a"], [1, 1], [0, 0], [0, 1], [0, 0], [0.5, 0.5])
    with pytest.raises(InvalidParameter, match="fqe or pdwis"):
        evaluate_sequences(live(5, 0), careful, "dr")
    with pytest.raises(InvalidParameter, match="discount"):
        evaluate_sequences(live(5, 0), careful, discount=0)
