"""Who may get which action, several at once, and while stock lasts."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.decide.actions import Action, Catalogue, choose_in_stock, read_actions
from zhiyin.decide.policy import make
from zhiyin.decide.reasons import REASONS
from zhiyin.decide.slates import choose_slate

DAY = date(2026, 3, 10)
CATALOGUE = Catalogue(
    (
        Action("none"),
        Action("coupon", category="price", cost_minor=200, conflicts=frozenset({"gift"})),
        Action("sale", category="price", start_on=date(2026, 3, 11)),
        Action("gift", category="goods", stock=2, needs=(("orders", ">=", 3.0),)),
        Action("ring", category="goods", end_on=DAY, worth_minor=9_000),
        Action("gone", stock=0),
    ),
    caps={"price": 1, "goods": 2},
)
NAMES = CATALOGUE.names


def names_of(flags):
    return [name for name, flag in zip(NAMES, flags, strict=True) if flag]


def test_days_stock_and_conditions_say_who_may_get_what():
    facts = {"orders": np.array([5, 1, np.nan])}
    made = CATALOGUE.eligible(DAY, rows=3, facts=facts)
    assert names_of(made[0]) == ["none", "coupon", "gift", "ring"]
    assert names_of(made[1]) == names_of(made[2]) == ["none", "coupon", "ring"]
    later = CATALOGUE.eligible(date(2026, 3, 11), rows=3, facts=facts)
    assert names_of(later[1]) == ["none", "coupon", "sale"]
    gate = np.array([True, False, True, True, True, True])
    assert names_of(CATALOGUE.eligible(DAY, rows=3, facts=facts, permitted=gate)[1]) == [
        "none",
        "ring",
    ]


def test_conflicts_hold_both_ways_and_caps_count_what_is_held():
    held = np.zeros((4, len(NAMES)), bool)
    held[1, NAMES.index("gift")] = held[2, NAMES.index("coupon")] = True
    held[3, [NAMES.index("gift"), NAMES.index("ring")]] = True
    made = CATALOGUE.beside(held)
    assert made[0].all()
    assert names_of(made[1]) == ["none", "sale", "gift", "ring", "gone"]
    assert names_of(made[2]) == ["none", "ring", "gone"]
    assert names_of(made[3]) == ["none", "sale", "gone"]


@pytest.mark.parametrize(
    ("name", "facts", "held", "reason"),
    [
        ("coupon", {}, (), None),
        ("sale", {}, (), "action_not_begun"),
        ("gone", {}, (), "out_of_stock"),
        ("gift", {"orders": 2}, (), "action_not_for_her"),
        ("gift", {}, (), "action_not_for_her"),
        ("gift", {"orders": 3}, ("coupon",), "action_conflict"),
        ("coupon", {}, ("gift",), "action_conflict"),
        ("ring", {}, ("ring", "ring"), "category_full"),
    ],
)
def test_why_she_may_not_is_said_and_is_what_the_flags_say(name, facts, held, reason):
    assert CATALOGUE.why_not(name, DAY, facts=facts, held=held) == reason
    assert reason is None or len(REASONS[reason]) == 2
    if len(set(held)) == len(held):
        columns = {"orders": np.array([facts.get("orders", np.nan)], float)}
        flags = np.array([[one in held for one in NAMES]])
        made = CATALOGUE.eligible(DAY, rows=1, facts=columns, held=flags)
        assert made[0, NAMES.index(name)] == (reason is None)


def test_an_action_that_has_ended_says_so():
    assert CATALOGUE.why_not("ring", date(2026, 3, 11)) == "action_ended"
    with pytest.raises(NotFound, match="no action"):
        CATALOGUE.why_not("rings", DAY)


def test_stock_is_given_to_the_last_piece_and_propensities_stay_true():
    catalogue = Catalogue((Action("none"), Action("gift", stock=30), Action("card", stock=5)))
    policy = make("greedy", catalogue.names, explore=0.2)
    scores = np.tile([0.1, 0.9, 0.5], (100, 1))
    everything = np.ones((100, 3), bool)
    made = choose_in_stock(
        policy, scores, everything, catalogue=catalogue, rng=np.random.default_rng(2)
    )
    counts = np.bincount(made.choices.places, minlength=3)
    assert counts[1:].tolist() == [30, 5]
    assert [action.stock for action in made.left.actions] == [None, 0, 0]
    told = policy.probabilities(scores, made.eligible)
    rows = np.arange(100)
    np.testing.assert_allclose(made.choices.propensities, told[rows, made.choices.places])
    assert made.eligible[:, 0].all()
    assert 0 < made.eligible[:, 1].sum() < 100


def test_who_comes_after_the_last_piece_gets_nothing_where_nothing_is_left():
    catalogue = Catalogue((Action("gift", stock=3),))
    policy = make("thompson", catalogue.names)
    made = choose_in_stock(
        policy, np.zeros((8, 1)), np.ones((8, 1), bool), catalogue=catalogue,
        rng=np.random.default_rng(2),
    )  # fmt: skip
    assert sorted(made.choices.places.tolist()) == [-1] * 5 + [0] * 3
    assert (made.choices.propensities == 1).all()


def test_a_slate_has_different_actions_that_go_together():
    policy = make("greedy", NAMES, explore=0.3)
    scores, rng = [0.0, 0.9, 0.8, 0.7, 0.6, 0.5], np.random.default_rng(1)
    for _ in range(50):
        made = choose_slate(policy, scores, 4, catalogue=CATALOGUE, rng=rng)
        assert len(set(made.actions)) == len(made.actions)
        assert not {"coupon", "gift"} <= set(made.actions)
        assert not {"coupon", "sale"} <= set(made.actions)
        assert 0 < made.propensity <= 1
    two = choose_slate(policy, scores, 9, eligible=np.arange(6) < 2, rng=rng)
    assert sorted(two.actions) == ["coupon", "none"]
    assert two.choices[1].propensity == 1.0


def test_the_propensity_of_a_slate_is_how_often_it_is_drawn():
    policy, rng = make("greedy", ("a", "b", "c"), explore=0.6), np.random.default_rng(3)
    drawn = [choose_slate(policy, [3.0, 2.0, 1.0], 2, rng=rng) for _ in range(4_000)]
    told = {one.actions: one.propensity for one in drawn}
    assert len(told) == 6
    assert sum(told.values()) == pytest.approx(1)
    for actions, propensity in told.items():
        share = np.mean([one.actions == actions for one in drawn])
        assert share == pytest.approx(propensity, abs=0.03)


def test_actions_are_read_from_plain_values():
    told = {"name": "gift", "end_on": "2026-03-31", "needs": [["orders", ">", 1]], "stock": 3}
    assert read_actions([told])[0] == Action(
        "gift", end_on=date(2026, 3, 31), needs=(("orders", ">", 1.0),), stock=3
    )
    for wrong in ({"name": "gift", "price": 3}, {"name": "gift", "end_on": "31 March"}):
        with pytest.raises(InvalidParameter):
            read_actions([wrong])


@pytest.mark.parametrize(
    "make_wrong",
    [
        lambda: Action(""),
        lambda: Action("gift", stock=-1),
        lambda: Action("gift", start_on=DAY, end_on=date(2026, 3, 9)),
        lambda: Catalogue(()),
        lambda: Catalogue((Action("a"), Action("a"))),
        lambda: Catalogue((Action("a", conflicts=frozenset({"b"})),)),
        lambda: Catalogue((Action("a"),), caps={"price": 1}),
        lambda: CATALOGUE.eligible(DAY, rows=1),
        lambda: CATALOGUE.without({"gift": 3}),
        lambda: choose_slate(make("thompson", ("a",)), [0.0], 0, rng=np.random.default_rng(1)),
    ],
)
def test_what_cannot_be_meant_is_refused(make_wrong):
    with pytest.raises(InvalidParameter):
        make_wrong()
