"""Which outcomes a decision is credited with, when its reward is known, and what it cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from zhiyin.core.errors import InputError, InvalidParameter
from zhiyin.decide.policy import make, warm_start
from zhiyin.decide.rewards import Reward, join_rewards

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
DECIDED = [("d1", "ann", 0, "coupon"), ("d2", "ann", 5, "none"), ("d3", "ben", 0, "gift")]


def days(number):
    return START + timedelta(days=number)


def decided(rows=DECIDED, cost=30):
    return pd.DataFrame(
        [(one, who, days(at), action, cost) for one, who, at, action in rows],
        columns=["decision_id", "customer_id", "decided_at", "action", "cost_minor"],
    )


def outcomes(*rows):
    columns = ["customer_id", "occurred_at", "received_at", "margin_minor", "later_value_minor"]
    made = pd.DataFrame(
        [(who, days(at), days(got), margin, later) for who, at, got, margin, later in rows],
        columns=columns,
    )
    return made.astype({"margin_minor": float, "later_value_minor": float})


def told(given, seen, day, **settings):
    return join_rewards(given, seen, reward=Reward(**settings), known_at=days(day))


def test_nothing_is_learned_before_the_window_and_the_days_to_arrive_are_over():
    seen = outcomes(("ann", 1, 1, 100, 0))
    early = told(decided(), seen, 15, window_days=14, settle_days=2)
    assert early["status"].tolist() == ["open"] * 3
    assert early["reward"].isna().all()
    assert early["outcomes"].tolist() == [1, 0, 0]
    then = told(decided(), seen, 16, window_days=14, settle_days=2)
    assert then["status"].tolist() == ["settled", "open", "settled"]
    assert then["reward"].tolist()[0::2] == [1, 0]


def test_an_outcome_counts_once_for_the_last_decision_or_for_every_one():
    seen = outcomes(("ann", 6, 6, 100, 0), ("ann", 4.9, 5, 7, 0), ("cat", 1, 1, 1, 0))
    last = told(decided(), seen, 40, kind="margin")
    assert last["reward"].tolist() == [7 - 30, 100, -30]
    every = told(decided(), seen, 40, kind="margin", credit="every")
    assert every["reward"].tolist() == [107 - 30, 100, -30]


def test_the_window_begins_with_the_decision_and_ends_before_its_last_moment():
    seen = outcomes(("ben", -0.1, 0, 1, 0), ("ben", 0, 0, 10, 0), ("ben", 14, 14, 100, 0))
    assert told(decided(), seen, 40, kind="margin")["reward"].tolist()[2] == 10 - 30


def test_a_late_outcome_counts_once_it_is_there_and_is_counted_as_late():
    seen = outcomes(("ben", 13, 30, 100, 0))
    before, after = (told(decided(), seen, day, kind="margin") for day in (20, 31))
    assert before["reward"][2] == -30
    assert before["late"][2] == 0
    assert (after["reward"][2], after["late"][2]) == (70, 1)


def test_an_amount_that_is_missing_is_no_reward_of_zero():
    seen = outcomes(("ben", 1, 1, np.nan, 0), ("ben", 2, 2, 50, 0))
    made = told(decided(), seen, 40, kind="margin")
    assert made["status"].tolist() == ["settled", "settled", "unknown"]
    assert np.isnan(made["reward"][2])
    assert told(decided(), seen, 40)["reward"].tolist() == [0, 0, 1]


def test_later_value_counts_its_share_and_doing_nothing_costs_nothing():
    seen = outcomes(("ann", 6, 6, 100, 400), ("ben", 1, 1, 10, 400))
    made = told(decided(), seen, 40, kind="margin", later_share=0.25)
    assert made["reward"].tolist() == [-30, 200, 10 + 100 - 30]


def test_each_contact_before_makes_another_one_dearer():
    rows = [("a", "ann", 0, "x"), ("b", "ann", 3, "none"), ("c", "ann", 6, "x"),
            ("d", "ann", 9, "x"), ("e", "ben", 9, "x"), ("f", "ann", 9.5, "none")]  # fmt: skip
    made = told(
        decided(rows, cost=0), outcomes(), 60, kind="margin", fatigue_minor=5, fatigue_days=7
    )
    assert made["reward"].tolist() == [0, 0, -5, -5, 0, 0]


def test_order_and_index_of_the_decisions_are_kept():
    given = decided().iloc[::-1].set_axis([7, 8, 9])
    made = told(given, outcomes(("ann", 6, 6, 1, 0)), 60)
    assert made["decision_id"].tolist() == ["d3", "d2", "d1"]
    assert made["reward"].tolist() == [0, 1, 0]
    assert made.index.tolist() == [7, 8, 9]
    empty = told(given[:0], outcomes(), 60, kind="margin", fatigue_minor=1)
    assert len(empty) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Reward(kind="clicks"),
        lambda: Reward(window_days=-3),
        lambda: Reward(later_share=-1),
        lambda: join_rewards(
            decided(), outcomes(), reward=Reward(), known_at=START.replace(tzinfo=None)
        ),
        lambda: told(pd.concat([decided(), decided()]), outcomes(), 9),
        lambda: told(decided().drop(columns="action"), outcomes(), 9),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong):
    with pytest.raises((InvalidParameter, InputError)):
        wrong()


def test_a_log_is_learned_before_the_first_choice_but_for_what_is_not_known():
    seen = np.ones((5, 1))
    names = ["coupon", "none", "gift", "coupon", "gone"]
    paid = np.array([1.0, 0.0, np.nan, 1.0, 1.0])
    policy = make("linear_thompson", ("none", "coupon", "gift"), width=1)
    made = warm_start(policy, seen, names, paid, strength=0.5)
    assert (made.learned, made.without_reward, made.other_actions) == (3, 1, 1)
    assert policy.beliefs.counts.tolist() == [0.5, 1.0, 0.0]
    aged = make("linear_thompson", ("none", "coupon", "gift"), width=1)
    warm_start(aged, seen, names, paid, ages_days=np.array([0, 0, 0, 30, 0]), half_life_days=30)
    assert aged.beliefs.counts.tolist() == [1.0, 1.5, 0.0]
    for wrong in ({"strength": 0}, {"half_life_days": 3}):
        with pytest.raises(InvalidParameter):
            warm_start(policy, seen, names, paid, **wrong)
