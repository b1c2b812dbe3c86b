"""Decision points: what can be written, what is kept, what a change keeps of the policy."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest
import sqlalchemy as sa

from zhiyin.core.clock import FrozenClock, naive_utc
from zhiyin.core.errors import InvalidRule, NotFound
from zhiyin.core.ledger import audit
from zhiyin.core.rng import Lots
from zhiyin.decide.points import ledger
from zhiyin.decide.points.check import parse
from zhiyin.decide.points.definition import dump
from zhiyin.decide.points.numbers import check_name, windows_of
from zhiyin.decide.points.point_policy import (
    carry_over,
    make_policy,
    unpack_policy,
    usual_scaling,
)
from zhiyin.decide.points.served import Served
from zhiyin.decide.policy import version
from zhiyin.points import Points
from zhiyin.store.ledger import reading
from zhiyin.testing.store import MemoryStore

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOME = {
    "key": "home",
    "default": "none",
    "context": {"cart_value": {"middle": 50, "width": 30}},
    "actions": [{"name": "none"}, {"name": "coupon", "cost_minor": 200}, {"name": "gift"}],
}
TOML = """
key = "home"
default = "none"
[context.cart_value]
middle = 50
width = 30
[[actions]]
name = "none"
[[actions]]
name = "coupon"
cost_minor = 200
[[actions]]
name = "gift"
"""


def home(**changes):
    return parse(HOME | changes)


@pytest.fixture
def points():
    return Points(MemoryStore(zone="UTC"), FrozenClock(NOW))


def test_a_point_is_the_same_in_toml_in_json_and_when_it_is_kept():
    assert parse(TOML, toml=True) == parse(HOME) == parse(dump(home()))


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"key": "Home Page"}, "$.key"),
        ({"default": "nothing"}, "$.default"),
        ({"actions": []}, "$.actions"),
        ({"actions": [{"name": "none"}, {"name": "none"}]}, "$.actions"),
        ({"actions": [{"name": "none", "channel": "email"}]}, "$.default"),
        ({"actions": [{"name": "none", "needs": [["cart", ">", 1]]}]}, "$.actions[0].needs"),
        ({"actions": [{"name": "none", "stock": -1}]}, "$.actions"),
        ({"features": ["recency"]}, "$.features"),
        ({"features": ["seen.200h"]}, "$.features"),
        ({"features": ["recency_days"] * 2}, "$.features"),
        ({"context": {"recency_days": {}}}, "$.context.recency_days"),
        ({"context": {"x": {"width": 0}}}, "$.context.x"),
        ({"policy": {"name": "magic"}}, "$.policy.name"),
        ({"policy": {"settings": {"alpah": 1}}}, "$.policy"),
        ({"policy": {"name": "greedy"}}, "$.actions"),
        ({"policy": {"name": "thompson"}, "reward": {"kind": "margin"}}, "$.reward.kind"),
        ({"reward": {"window_days": 0}}, "$.reward"),
        ({"deadline_ms": 0}, "$.deadline_ms"),
        ({"k": 99}, "$.k"),
        ({"aktions": []}, "$"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(changes, where):
    with pytest.raises(InvalidRule) as refused:
        parse(HOME | changes)
    assert refused.value.where == where


def test_names_of_numbers():
    known = ["recency_days", "score.churn", "score.response:shop:k1", "seen.24h", "bought.168h"]
    assert [check_name(one) for one in known] == [""] * 5
    assert all(check_name(one) for one in ("seen.0h", "bought.h", "score.", "customer_id"))
    assert [(one.place, one.bought, one.hours) for one in windows_of(known)] == [
        (3, False, 24), (4, True, 168),
    ]  # fmt: skip


def test_a_change_is_a_version_that_keeps_what_was_learned_and_the_kill_switch(points):
    assert points.put(home(), by="Ana").version == 1
    assert points.put(home(), by="Ana").version == 1
    points.pause("home", by="Bo")
    more = [*HOME["actions"], {"name": "call"}]
    made = points.put(home(actions=more), by="Ana")
    assert (made.version, made.state) == (2, "paused")
    assert points.resume("home", by="Bo").state == "active"
    shown = points.shown("home")
    assert [one["state"] for one in shown["policies"]] == ["retired", "current"]
    assert shown["policies"][1]["parent"] == 1
    with reading(points._store.ledger) as connection:
        done = connection.scalars(sa.select(audit.c.action).order_by(audit.c.entry_id)).all()
    assert done == [
        "decision.put", "policy.add", "decision.pause", "decision.put", "policy.add",
        "decision.resume",
    ]  # fmt: skip
    with pytest.raises(NotFound):
        points.pause("cellar", by="Bo")


def test_numbers_of_customers_wait_for_a_turn_that_knows_what_is_usual(points):
    points.put(home(features=["recency_days"]), by="Ana")
    assert points.listed()[0]["policy_version"] is None


def test_a_policy_is_carried_over_to_the_last_bit_where_it_sees_the_same():
    old = make_policy(home(), usual_scaling(home(), {}))
    rng = np.random.default_rng(7)
    numbers = rng.normal(50, 30, (300, 1))
    old.policy.update(old.contexts(numbers), ["coupon", "gift", "none"] * 100, rng.random(300))
    held = unpack_policy(old.pack())
    assert held.version == version(old.policy) != old.version
    point = home(actions=[*HOME["actions"], {"name": "call"}], policy={"explore": 0.5})
    made = carry_over(held, make_policy(point, usual_scaling(point, {})))
    assert made.policy.explore == 0.5
    allowed = np.array([True, True, True, False])
    context = old.contexts(numbers[:5])
    before = old.policy.probabilities(context)
    after = made.policy.probabilities(context, np.tile(allowed, (5, 1)))
    assert np.allclose(after[:, :3], 0.5 / 3 + 0.5 * (before - 0.02 / 3) / 0.98, atol=1e-12)
    other = home(context={"cart_value": {}, "pages": {}})
    assert carry_over(held, make_policy(other, usual_scaling(other, {}))) is None


def test_policies_see_the_numbers_as_they_need_them():
    greedy = home(
        features=["score.churn"], policy={"name": "greedy"},
        actions=[{"name": "none"}, {"name": "coupon", "score": "score.churn"}],
    )  # fmt: skip
    made = make_policy(greedy, None)
    assert made.context(np.array([0.3, 99.0])).tolist()[1] == 0.3
    assert np.isnan(made.contexts(np.array([[0.3, 99.0]]))[0, 0])
    ruled = home(policy={"name": "rules", "settings": {
        "rules": [{"when": [["cart_value", ">", 80]], "then": "gift"}]}})  # fmt: skip
    rules = make_policy(ruled, None)
    lot = Lots()
    chosen = [rules.policy.choose(rules.context(np.array([x])), rng=lot.of(str(n))).action
              for n, x in enumerate([100.0] * 40 + [np.nan] * 40)]  # fmt: skip
    assert chosen[:40].count("gift") > 35
    assert chosen[40:].count("none") > 35


def test_stock_and_days_are_counted_down():
    point = home(actions=[{"name": "none"}, {"name": "gift", "stock": 3},
                          {"name": "sale", "start_on": "2026-03-02"}])  # fmt: skip
    served = Served(point, version=1, paused=False, policy=None, given={"gift": 1})
    may = lambda day, **taken: served.eligible(day, served.blank(), taken=taken).tolist()  # noqa: E731 - short
    assert may(date(2026, 3, 1)) == [True, True, False]
    assert may(date(2026, 3, 2), gift=1) == [True, True, True]
    assert may(date(2026, 3, 1), gift=2) == [True, False, False]


def test_what_was_given_is_counted_for_actions_with_a_stock(points):
    points.put(home(actions=[{"name": "none"}, {"name": "gift", "stock": 9}]), by="Ana")
    for _ in range(2):
        with points._store.begin() as connection:
            ledger.count_given(connection, {("home", 1, "gift"): 2, ("home", 1, "none"): 5,
                                            ("gone", 1, "gift"): 1})  # fmt: skip
    assert points.shown("home")["given"] == {"gift": 4}


def test_only_one_of_two_who_learn_at_once_is_kept(points):
    stored = points.put(home(), by="Ana")
    made = make_policy(home(), usual_scaling(home(), {}))
    more = {"learned_until": None, "figures": {}, "words": "", "by": "Bo", "now": naive_utc(NOW)}
    with points._store.begin() as connection:
        assert ledger.add_policy(connection, stored, made, parent=1, **more).number == 2
    with pytest.raises(Exception, match="meanwhile"), points._store.begin() as connection:
        ledger.add_policy(connection, stored, made, parent=1, **more)


def test_the_lot_of_an_id_is_always_the_same_and_uniform():
    lots = Lots()
    first = lots.of("d_1").random(3).tolist()
    drawn = np.array([lots.of(f"d_{n}").random() for n in range(4_000)])
    assert lots.of("d_1").random(3).tolist() == first
    assert np.histogram(drawn, 10, (0, 1))[0] == pytest.approx(np.full(10, 400), abs=90)


@pytest.mark.parametrize("how", ["<", "<=", ">", ">=", "==", "!="])
def test_no_condition_of_an_action_holds_for_a_number_that_is_not_known(how):
    point = parse({
        "key": "home", "default": "none", "features": ["recency_days"],
        "actions": [{"name": "none"}, {"name": "gift", "needs": [["recency_days", how, 3]]}],
    })  # fmt: skip
    served = Served(point, version=1, paused=False, policy=None)
    day = date(2026, 3, 1)
    assert served.eligible(day, served.blank(), taken={}).tolist() == [True, False]
    known = {"<": 2.0, "<=": 3.0, ">": 4.0, ">=": 3.0, "==": 3.0, "!=": 2.0}[how]
    assert served.eligible(day, np.array([known]), taken={}).tolist() == [True, True]
