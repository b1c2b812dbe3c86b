"""Customers with features whose contacts have consequences: learned from a log, and by living."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.decide.mdp.fitted import fit_linear_q
from zhiyin.decide.mdp.gradient import live, train
from zhiyin.decide.mdp.model import Mdp, Steps, iterate_policy, walk
from zhiyin.decide.policy import make
from zhiyin.decide.policy.weighted import LinearScores, Softmax

N = 300
ACTIONS = ("none", "contact")


@dataclass
class Seen:
    features: np.ndarray
    eligible: np.ndarray


@dataclass
class Lived:
    rewards: np.ndarray
    observation: Seen


class Tiring:
    """A contact brings 1 to who is rested, and costs 3 a period later: it is seen who is tired."""

    def __init__(self, seed: int, *, cost: float = 3.0, closed: float = 0.0) -> None:
        self.rng, self.cost = np.random.default_rng(seed), cost
        self.tired, self.closed = np.zeros(N), self.rng.random(N) < closed

    def observe(self) -> Seen:
        eligible = np.ones((N, 2), bool)
        eligible[self.closed, 1] = False
        return Seen(np.column_stack([self.tired, np.ones(N)]), eligible)

    def step(self, actions: np.ndarray) -> Lived:
        assert not actions[self.closed].any()
        rewards = actions - self.cost * self.tired + self.rng.normal(0, 0.5, N)
        self.tired = actions.astype(float)
        return Lived(rewards, self.observe())


def plain(features: np.ndarray) -> np.ndarray:
    return features


def chance_to_contact(policy) -> np.ndarray:
    """Of who is rested and who is tired."""
    return policy.probabilities(np.array([[0.0, 1.0], [1.0, 1.0]]))[:, 1]


def learn(discount: float, **settings) -> Softmax:
    world = {"cost": 3.0} | settings.pop("world", {})
    return train(
        Softmax(ACTIONS, width=2), lambda life: Tiring(life, **world), plain,
        lives=40, periods=10, discount=discount, rng=np.random.default_rng(5), rate=0.3, **settings,
    ).policy  # fmt: skip


def test_who_lives_learns_that_a_contact_costs_later():
    assert chance_to_contact(learn(0.9)).max() < 0.1
    assert chance_to_contact(learn(0.0)).min() > 0.9
    assert chance_to_contact(learn(0.9, world={"cost": 0.2})).min() > 0.9


def test_who_may_not_be_contacted_is_not_and_others_learn_all_the_same():
    assert chance_to_contact(learn(0.0, world={"closed": 0.5})).min() > 0.9


def test_held_to_what_it_began_with_it_stays_near():
    free, held = chance_to_contact(learn(0.0)), chance_to_contact(learn(0.0, stay=5.0))
    assert (abs(held - 0.5) < 0.3 * abs(free - 0.5)).all()


def test_more_entropy_is_less_sure():
    assert chance_to_contact(learn(0.0, entropy=1.0)).max() < chance_to_contact(learn(0.0)).min()


def test_the_same_chances_teach_the_same_and_what_it_began_with_stays():
    first = Softmax(ACTIONS, width=2)
    made = [
        train(first, Tiring, plain, lives=3, periods=4, discount=0.9, rng=np.random.default_rng(1))
        for _ in range(2)
    ]
    np.testing.assert_array_equal(made[0].policy.weights, made[1].policy.weights)
    assert made[0].policy.weights.any()
    assert not first.weights.any()
    assert len(made[0].earned) == 3


def test_a_life_is_told_as_it_was():
    told = live(Softmax(ACTIONS, width=2), Tiring(1), plain, periods=4,
                rng=np.random.default_rng(1))  # fmt: skip
    np.testing.assert_array_equal(told.contexts[1:, :, 0], told.actions)
    assert told.rewards.shape == (4, N)


def test_impossible_ways_to_learn_are_refused():
    for wrong in ({"lives": 0}, {"periods": 0}, {"discount": 1.0}, {"trace": 2.0}, {"rate": 0.0}):
        given = {"lives": 1, "periods": 1, "discount": 0.9, "rng": np.random.default_rng(1)}
        with pytest.raises(InvalidParameter):
            train(Softmax(ACTIONS, width=2), Tiring, plain, **given | wrong)


# --- from a log


def one_hot(states: np.ndarray, size: int) -> np.ndarray:
    return np.column_stack([np.eye(size)[states], np.ones(len(states))])


def tabular(rng, states=6, actions=3) -> Mdp:
    moves = rng.dirichlet(np.full(states, 0.5), size=(actions, states))
    return Mdp(moves, rng.normal(size=(states, actions)), np.full(states, 1 / states), 0.8)


def as_contexts(steps: Steps, size: int) -> Steps:
    return Steps(
        one_hot(steps.states, size), steps.actions, steps.rewards, one_hot(steps.next_states, size),
        steps.propensities,
    )  # fmt: skip


def test_a_long_log_teaches_the_best_policy():
    rng = np.random.default_rng(4)
    mdp = tabular(rng)
    steps = walk(mdp, np.full((6, 3), 1 / 3), customers=500, periods=40, rng=rng)
    found = fit_linear_q(as_contexts(steps, 6), actions=3, discount=0.8, pessimism=0.0, ridge=1.0)
    best = iterate_policy(mdp)
    told = found.values(one_hot(np.arange(6), 6))
    np.testing.assert_allclose(told, mdp.action_values(best.values), atol=0.3)
    policy = found.policy(("a", "b", "c"))
    chosen = policy.choose_many(one_hot(np.arange(6), 6), rng=rng).places
    assert mdp.worth(chosen) > mdp.start @ best.values - 0.05
    assert found.counts.sum() == len(steps)


def rare(lucky: float) -> Steps:
    """The action 1 was taken 10 times of 2,010, and brought `lucky`; the action 0 brings 1."""
    rng = np.random.default_rng(6)
    actions = np.repeat([0, 1], [2_000, 10])
    rewards = np.where(actions == 0, 1.0, lucky) + rng.normal(0, 2, len(actions))
    ones = np.ones((len(actions), 1))
    return Steps(ones, actions, rewards, ones, np.full(len(actions), 0.5))


def test_what_was_hardly_tried_is_not_believed():
    choose = [
        fit_linear_q(rare(2.0), actions=2, discount=0.0, ridge=1.0, pessimism=doubt)
        .policy(ACTIONS).choose([1.0], rng=np.random.default_rng(1)).action
        for doubt in (0.0, 3.0)
    ]  # fmt: skip
    assert choose == ["contact", "none"]
    drawn = fit_linear_q(rare(2.0), actions=2, discount=0.0, ridge=1e6, pessimism=0.0)
    assert np.ptp(drawn.values(np.ones((1, 1)))) < 0.01


def test_what_may_not_be_done_next_is_not_counted_on():
    steps = rare(50.0)
    only = np.tile([True, False], (len(steps), 1))
    free, bound = (
        fit_linear_q(steps, actions=2, discount=0.5, ridge=1.0, pessimism=0.0, next_eligible=one)
        for one in (None, only)
    )
    one = np.ones((1, 1))
    assert bound.values(one)[0, 0] == pytest.approx(2.0, abs=0.8)
    assert free.values(one)[0, 0] > 20


def test_values_and_policy_agree_and_the_policy_is_one_of_a_name():
    found = fit_linear_q(rare(2.0), actions=2, discount=0.5)
    policy = found.policy(ACTIONS, explore=0.1)
    assert isinstance(policy, LinearScores)
    ranked = policy._scores(np.ones((1, 1)))[0]
    assert np.ptp(ranked) == pytest.approx(np.ptp(found.values(np.ones((1, 1)))[0]))
    assert make("linear_scores", ACTIONS, width=1).weighing(found.own).name == "linear_scores"


def test_logs_that_cannot_be_learned_are_refused_in_words():
    steps = rare(2.0)
    with pytest.raises(NotEnoughData, match="no decision"):
        fit_linear_q(Steps(*(getattr(steps, n)[:0] for n in steps.__dataclass_fields__)),
                     actions=2, discount=0.5)  # fmt: skip
    for change, words in (
        ({"states": np.full((2_010, 1), np.nan)}, "unknown number"),
        ({"states": np.ones(2_010)}, "contexts before and after"),
        ({"actions": np.full(2_010, 2)}, "numbers below 2"),
        ({"rewards": np.full(2_010, np.nan)}, "reward is not known"),
    ):
        given = {name: getattr(steps, name) for name in steps.__dataclass_fields__} | change
        with pytest.raises(InvalidParameter, match=words):
            fit_linear_q(Steps(**given), actions=2, discount=0.5)
    for wrong in ({"discount": 1.0}, {"discount": 0.5, "next_eligible": np.ones((3, 2), bool)}):
        with pytest.raises(InvalidParameter):
            fit_linear_q(steps, actions=2, **wrong)
    with pytest.raises(InvalidParameter, match="weights are"):
        make("softmax", ACTIONS, width=3).weighing(np.zeros(3))
    with pytest.raises(InvalidParameter, match="doubts are"):
        make("linear_scores", ACTIONS, width=3).doubting(np.zeros(3))
