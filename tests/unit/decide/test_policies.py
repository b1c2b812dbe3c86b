"""What each policy promises beyond the contract."""

from __future__ import annotations

import numpy as np
import pytest

from zhiyin.core.errors import InputError, InvalidParameter, NotFound
from zhiyin.decide.policy import make, restore, version

ACTIONS = ("none", "coupon", "gift")


@pytest.fixture
def rng():
    return np.random.default_rng(9)


def learn_some(policy, *, scale=1.0, level=0.0, rows=120):
    rng = np.random.default_rng(10)
    seen = rng.normal(size=(rows, 3))
    names = [ACTIONS[place] for place in rng.integers(3, size=rows)]
    gain = np.array([(name == "gift") * x[0] + 0.3 * e for name, x, e in
                     zip(names, seen, rng.normal(size=rows), strict=True)])  # fmt: skip
    policy.update(seen, names, scale * gain + level)
    return policy, seen


@pytest.mark.parametrize("name", ["linucb", "linear_thompson"])
def test_rewards_in_cents_and_of_any_level_are_decided_on_as_rewards_in_millions(name):
    small, seen = learn_some(make(name, ACTIONS, width=3), scale=1e-2)
    large, _ = learn_some(make(name, ACTIONS, width=3), scale=1e6, level=9e6)
    np.testing.assert_allclose(small.probabilities(seen), large.probabilities(seen), atol=1e-6)


def test_thompson_is_sure_of_what_it_knows_and_tries_what_it_does_not():
    policy, _ = learn_some(make("linear_thompson", ACTIONS, width=3), rows=2_000)
    assert policy.probabilities(np.array([[2.0, 0, 0]]))[0, 2] > 0.99
    assert policy.probabilities(np.array([[-2.0, 0, 0]]))[0, 2] < 0.01
    fresh = make("linear_thompson", ACTIONS, width=3).probabilities(np.ones((1, 3)))
    np.testing.assert_allclose(fresh, 1 / 3, atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.5, 5_000.0])
def test_an_upper_bound_prefers_what_was_never_tried(level, rng):
    policy = make("linucb", ACTIONS, width=1)
    for name in ("none", "coupon"):
        policy.update(np.ones((20, 1)), [name] * 20, level + np.array([0.0, 1.0] * 10))
    assert policy.choose([1.0], rng=rng).action == "gift"


def test_rewards_that_are_all_alike_let_every_action_be_tried(rng):
    for paid in (0.0, 7.0):
        policy, tried = make("linucb", ACTIONS, width=1), set()
        for _ in range(6):
            choice = policy.choose([1.0], rng=rng)
            policy.update([1.0], choice.action, paid)
            tried.add(choice.action)
        assert tried == set(ACTIONS)


def test_an_action_never_tried_has_the_base_rate():
    chances = [
        make("logistic_thompson", ACTIONS, width=1, base_rate=rate, cost={"gift": 0.3})
        .probabilities(np.ones((1, 1)))[0, 2]
        for rate in (0.01, 0.5)
    ]  # fmt: skip
    assert chances[0] < 0.01 < chances[1]


def test_a_logistic_policy_weighs_worth_and_cost():
    worth, cost = {"gift": 30.0}, {"gift": 1.0, "coupon": 0.2}
    policy = make("logistic_thompson", ACTIONS, width=1, worth=worth, cost=cost)
    rates = {"none": 0.1, "coupon": 0.5, "gift": 0.1}
    for name, rate in rates.items():
        policy.update(np.ones((400, 1)), [name] * 400, (np.arange(400) < 400 * rate) * 1.0)
    assert policy.probabilities(np.ones((1, 1)))[0].argmax() == 2  # 2.0 against .3 and .1
    plain = make("logistic_thompson", ACTIONS, width=1)
    for name, rate in rates.items():
        plain.update(np.ones((400, 1)), [name] * 400, (np.arange(400) < 400 * rate) * 1.0)
    assert plain.probabilities(np.ones((1, 1)))[0].argmax() == 1
    with pytest.raises(InvalidParameter, match="0 or 1"):
        plain.update([1.0], "gift", 0.5)


@pytest.mark.parametrize("name", ["epsilon_greedy", "linucb", "linear_thompson", "thompson"])
def test_what_is_discounted_follows_a_change_of_taste(name):
    """The coupon pays for 3,000 outcomes, then the gift does."""
    settings = {} if name == "thompson" else {"width": 1}
    kept, faded = make(name, ACTIONS, **settings), make(name, ACTIONS, discount=0.99, **settings)
    one = np.ones((30, 1))
    for best in ["coupon"] * 100 + ["gift"] * 8:
        names = list(ACTIONS) * 10
        paid = np.array([float(given == best) for given in names])
        for policy in (kept, faded):
            policy.update(one, names, paid)
    assert faded.probabilities(one[:1])[0].argmax() == 2
    assert kept.probabilities(one[:1])[0].argmax() == 1


def test_single_outcomes_fade_as_those_at_once():
    seen = np.random.default_rng(3).normal(size=(400, 3))
    single, many = (make("linear_thompson", ACTIONS, width=3, discount=0.999) for _ in range(2))
    for x in seen:
        single.update(x, "gift", x[0])
    for part in np.split(seen, 40):
        many.update(part, ["gift"] * len(part), part[:, 0])
    assert single.beliefs.counts.sum() < 360
    np.testing.assert_allclose(single.beliefs.counts, many.beliefs.counts, rtol=0.02)


def test_actions_come_and_go_and_what_was_learned_stays():
    policy, seen = learn_some(make("linear_thompson", ACTIONS, width=3))
    moved = policy.over(("gift", "call", "none"))
    chances = policy.probabilities(seen, np.array([True, False, True]))
    again = moved.probabilities(seen, np.array([True, False, True]))
    np.testing.assert_allclose(again[:, [2, 0]], chances[:, [0, 2]], atol=1e-12)
    assert moved.beliefs.counts[1] == 0
    assert policy.actions == ACTIONS


def test_who_can_be_judged_by_its_log():
    assert not make("greedy", ACTIONS).explores
    assert not make("linucb", ACTIONS, width=2).explores
    assert make("linucb", ACTIONS, width=2, explore=0.05).explores
    assert make("linear_thompson", ACTIONS, width=2).explores


def test_the_first_rule_whose_action_is_eligible_holds(rng):
    rules = [
        {"when": [["days", ">=", 30], ["spent", "<", 10]], "then": "gift"},
        {"when": [["days", ">=", 30]], "then": "coupon"},
    ]
    policy = make(
        "rules", ACTIONS, features=["days", "spent"], rules=rules, default="none"
    )  # fmt: skip
    asked = np.array([[40, 5], [40, 50], [3, 5], [np.nan, 5]], float)
    assert policy.choose_many(asked, rng=rng).names() == ["gift", "coupon", "none", "none"]
    assert policy.choose(asked[0], ["none", "coupon"], rng=rng).action == "coupon"
    assert policy.choose(asked[2], ["coupon", "gift"], rng=rng).action == "coupon"
    wrong = [{"when": [["day", ">", 3]], "then": "gift"}]
    with pytest.raises(InvalidParameter, match="no condition"):
        make("rules", ACTIONS, features=["days"], rules=wrong, default="none")


def test_greedy_takes_what_is_worth_most_and_no_score_is_worse_than_any(rng):
    policy = make("greedy", ACTIONS, worth={"gift": 10}, cost={"gift": 4})
    asked = np.array([[0.1, 0.5, 0.3], [0.1, 0.5, 0.9], [np.nan, np.nan, 0.1], [np.nan] * 3])
    assert policy.choose_many(asked, rng=rng).names() == ["coupon", "gift", "gift", "none"]


def test_an_uplift_that_does_not_pay_leaves_people_alone(rng):
    policy = make("uplift_greedy", ACTIONS, worth=dict.fromkeys(ACTIONS, 100.0), cost={"gift": 9})
    asked = np.array([[0, 0.01, 0.2], [0, 0.01, 0.05], [0, -0.1, 0.09], [9, -0.1, -0.2]])
    assert policy.choose_many(asked, rng=rng).names() == ["gift", "coupon", "none", "none"]
    unknown = policy.choose([np.nan, np.nan, np.nan], rng=rng)
    assert unknown.action == "none"


def test_wrong_names_and_settings_say_what_is_known():
    with pytest.raises(NotFound, match="linucb"):
        make("linucbb", ACTIONS)
    with pytest.raises(InvalidParameter, match=r"needs .*width") as caught:
        make("linucb", ACTIONS)
    assert "alpha" in caught.value.hint
    with pytest.raises(InvalidParameter, match=r"does not know .*beta"):
        make("linucb", ACTIONS, width=3, beta=2)
    for wrong in ({"alpha": -1}, {"ridge": 0}, {"discount": 1.1}, {"explore": 2}, {"noise": 0}):
        with pytest.raises(InvalidParameter):
            make("linucb", ACTIONS, width=3, **wrong)
    for names in ((), ("a", "a")):
        with pytest.raises(InvalidParameter, match="different actions"):
            make("thompson", names)
    with pytest.raises(InvalidParameter, match="no action 'call'"):
        make("greedy", ACTIONS, cost={"call": 1})


def test_a_version_names_what_was_learned_and_is_restored():
    policy, seen = learn_some(make("linear_thompson", ACTIONS, width=3))
    again = restore(policy.to_artifact())
    assert version(again) == version(policy)
    again.update(seen[0], "gift", 1.0)
    assert version(again) != version(policy)
    newer = {**policy.to_artifact(), "format": 99}
    with pytest.raises(InputError, match="format 99"):
        restore(newer)
