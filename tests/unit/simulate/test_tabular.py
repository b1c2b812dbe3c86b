"""The tabular shop: what pays now costs later, and a log is enough to learn it."""

from __future__ import annotations

import numpy as np
import pytest

from zhiyin.decide.mdp.learning import fit_q
from zhiyin.decide.mdp.model import iterate_policy, walk
from zhiyin.simulate.tabular import TabularConfig, tabular_shop, usual_chances


@pytest.fixture(scope="module")
def shop():
    return tabular_shop()


def test_who_thinks_of_today_alone_gets_little_of_what_can_be_had(shop):
    mdp = shop.mdp
    best = mdp.worth(iterate_policy(mdp).policy)
    assert 0 < mdp.worth(usual_chances(shop)) < mdp.worth(mdp.rewards.argmax(axis=1)) < 0.6 * best


def test_the_best_policy_leaves_the_tired_alone_and_contacts_the_rested(shop):
    contact = iterate_policy(shop.mdp).policy > 0
    tired = shop.states[:, 2]
    assert contact[tired == 0].any()
    assert not contact[tired == 3].any()


def test_who_has_left_is_gone(shop):
    assert shop.states[-1].tolist() == [0, 0, 0, 1]
    assert not shop.mdp.rewards[-1, 0]
    assert (shop.mdp.transitions[:, -1, -1] == 1).all()


def test_a_log_of_20_000_decisions_teaches_most_of_it(shop):
    mdp = shop.mdp
    steps = walk(
        mdp, usual_chances(shop), customers=2_000, periods=10, rng=np.random.default_rng(3)
    )
    learned = fit_q(
        steps, states=len(shop.states), actions=len(shop.actions), discount=mdp.discount,
        kinds=shop.states,
    )  # fmt: skip
    assert mdp.worth(learned.policy) > 0.85 * mdp.worth(iterate_policy(mdp).policy)


def test_without_fatigue_today_is_all_that_counts():
    tireless = tabular_shop(TabularConfig(fatigue=1, grows=0.0, fades=0.0, cooling=1.0))
    best, myopic = iterate_policy(tireless.mdp).policy, tireless.mdp.rewards.argmax(axis=1)
    np.testing.assert_array_equal(best[:-1], myopic[:-1])
