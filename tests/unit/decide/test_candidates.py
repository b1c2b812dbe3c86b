"""Candidates: what the gate lets through, what it refuses and why, and who may approve."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tests.unit.decide.conftest import Shop
from tests.unit.decide.governed import POINT, RULES, START, Governed
from tests.unit.decide.test_decide_learn import run_at
from zhiyin.core import columns as c
from zhiyin.core.errors import (
    InvalidParameter,
    InvalidRule,
    NotEnoughData,
    PermissionDenied,
)
from zhiyin.core.ledger import audit
from zhiyin.decide import learn_job
from zhiyin.decide.candidates.judge_job import WRONG_WORDS
from zhiyin.decide.points import ledger
from zhiyin.decide.points.check import parse
from zhiyin.decide.points.point_policy import make_policy, unpack_policy
from zhiyin.store.ledger import reading


@pytest.fixture(scope="module")
def log():
    """900 choices of rules that explore, and what came of them."""
    return Governed(Shop()).serve(900)


@pytest.fixture
def governed(shop, log):
    made = Governed(shop)
    made.add(*log)
    made.number = 900
    made.pass_days()
    return made


def try_rules(governed, which, *, by="Ana", explore=0.1):
    return governed.attempt("rules", settings={"rules": RULES[which]}, explore=explore, by=by)


def codes(found):
    return [one["code"] for one in found["verdict"]["reasons"]]


def audited(governed):
    with reading(governed.shop.store.ledger) as connection:
        return connection.scalars(sa.select(audit.c.action).order_by(audit.c.entry_id)).all()


def test_a_better_policy_passes_with_its_gain_and_begins_when_another_person_says_so(governed):
    found = governed.judge(try_rules(governed, "good"))
    value = governed.value_of
    theirs = 2 / 3 * value("none") + (value("reminder") + value("coupon")) / 6
    ours = (0.9 + 0.1 / 3) * value("reminder") + (value("none") + value("coupon")) / 30
    gain = found["verdict"]["gain"]
    assert found["state"] == "passed"
    assert 0 < gain["low"] < ours - theirs < gain["high"]
    with pytest.raises(PermissionDenied):
        governed.candidates.approve("home", 2, by="Ana")
    begun = governed.candidates.approve("home", 2, by="Bo")
    assert (begun["state"], begun["share"], begun["answered_by"]) == ("ramping", 0.3, "Bo")
    assert audited(governed)[-4:] == ["policy.add", "policy.judge", "policy.approve", "ramp.start"]
    other = try_rules(governed, "good", explore=0.2)
    governed.judge(other)
    with pytest.raises(InvalidParameter, match="taking over"):
        governed.candidates.approve("home", other, by="Bo")
    assert governed.candidates.withdraw("home", 2, by="Ana", why="x")["state"] == "withdrawn"


def test_a_worse_policy_is_refused_in_words_until_there_is_something_new(governed):
    number = try_rules(governed, "bad")
    found = governed.judge(number)
    assert (found["state"], codes(found)) == ("refused", ["not_better"])
    assert all(found["verdict"]["reasons"][0][one] for one in ("en", "zh"))
    with pytest.raises(InvalidParameter, match="nothing was settled since"):
        governed.judge(number)
    with pytest.raises(InvalidParameter, match="refused and cannot be approved"):
        governed.candidates.approve("home", number, by="Bo")
    governed.serve(50)
    governed.pass_days()
    again = governed.judge(number)["verdict"]
    assert (again["looks"], again["level"], again["n"]) == (2, 0.975, 950)


def test_what_is_not_settled_is_not_judged(shop):
    young = Governed(shop)
    young.serve(30)
    with pytest.raises(NotEnoughData):
        young.judge(try_rules(young, "good"))


def test_a_log_without_true_propensities_judges_nobody_and_says_why(shop):
    made = Governed(shop)
    made.serve(600, spoil=lambda row: row | {c.PROPENSITY: 0.9})
    made.pass_days()
    found = made.judge(try_rules(made, "good"))
    assert (found["state"], codes(found)) == ("refused", ["wrong_propensities.miscalibrated"])
    assert "were due" in found["verdict"]["reasons"][0]["detail"]
    assert found["verdict"]["reasons"][0]["zh"] == WRONG_WORDS["miscalibrated"][1]


def test_a_policy_that_never_explored_gives_no_other_one_a_chance(shop):
    made = Governed(shop, policy=POINT["policy"] | {"explore": 0.0})
    made.serve(300)
    made.pass_days()
    found = made.judge(try_rules(made, "good"))
    assert codes(found) == ["no_overlap"]


@pytest.mark.parametrize(
    ("limit", "held"),
    [
        ({"of": "cost", "at_most": 25}, False),  # a reminder costs 30, for nearly all
        ({"of": "cost", "at_most": 30}, True),
        ({"of": "contacts", "at_most": 0}, True),  # no action of this point is a message
        ({"of": "left", "at_most": 0.05}, True),  # nobody ever did
        ({"of": "left", "at_most": 1e-6}, False),  # and that they never would is not shown
        ({"of": "cost", "at_most": 25, "when": [["loyalty", ">", 1]]}, False),
        ({"of": "cost", "at_most": 99, "when": [["loyalty", ">", 9]]}, False),  # about nobody
    ],
)
def test_limits_hold_for_all_and_for_groups(governed, limit, held):
    governed.points.put(parse(POINT | {"limits": [{"name": "most"} | limit]}), by="Ana")
    found = governed.judge(try_rules(governed, "good"))
    assert found["verdict"]["limits"][0]["held"] is held
    assert codes(found) == ([] if held else ["limit"])


def test_without_approval_one_that_passes_begins_and_the_others_can_be_declined(governed):
    number = try_rules(governed, "good")
    governed.judge(number)
    assert governed.candidates.decline("home", number, by="Bo", why="no")["state"] == "declined"
    governed.points.put(parse(POINT | {"approval": False}), by="Ana")
    begun = governed.judge(try_rules(governed, "good"))
    assert (begun["state"], begun["answered_by"]) == ("ramping", None)


def test_one_that_learns_is_judged_by_what_it_has_not_learned(governed):
    number = governed.attempt("linear_thompson", explore=0.1)
    assert governed.candidates.listed("home")[number - 1]["figures"]["choices"] == 450
    found = governed.judge(number)
    assert found["verdict"]["n"] == 450
    assert found["state"] == "passed"


def test_one_from_a_file_is_judged_by_what_is_settled_later_unless_it_says_until_when(governed):
    rules = {"name": "rules", "explore": 0.1, "settings": {"rules": RULES["good"]}}
    content = make_policy(parse(POINT | {"policy": rules}), None).pack()
    late = governed.judging.try_file("home", content, by="Ana")
    with pytest.raises(NotEnoughData):
        governed.judge(late.number)
    told = governed.judging.try_file("home", content, by="Ana", learned_until=START)
    assert governed.judge(told.number)["state"] == "passed"
    other = make_policy(parse(POINT | {"context": {"x": {}}, "policy": {"name": "linucb"}}), None)
    with pytest.raises(InvalidParameter, match="other numbers"):
        governed.judging.try_file("home", other.pack(), by="Ana")


def test_settings_that_are_wrong_and_another_point_are_refused(governed):
    with pytest.raises(InvalidRule):
        governed.attempt("magic")
    with pytest.raises(InvalidRule):
        governed.attempt("linucb", settings={"alpah": 1})
    with pytest.raises(InvalidParameter, match="share"):
        governed.attempt("linucb", learn=1.0)


def test_a_definition_that_asks_for_another_policy_makes_a_candidate_not_a_change(governed):
    asked = POINT | {"policy": {"name": "linear_thompson", "explore": 0.1}}
    governed.points.put(parse(asked), by="Ana")
    day = governed.clock.now().date()
    assert run_at(governed.shop, day, learn_job)["points"]["home"]["candidate"] == 2
    assert "candidate" not in run_at(governed.shop, day, learn_job)["points"]["home"]
    first, second = governed.candidates.listed("home")
    assert (first["state"], second["state"], second["made_by"]) == ("current", "candidate", "Ana")
    assert second["figures"]["choices"] == 450
    assert governed.judge(2)["state"] == "passed"
    governed.points.put(parse(asked), by="Ana", at_once=True)
    assert [one["state"] for one in governed.candidates.listed("home")] == [
        "retired", "passed", "current",
    ]  # fmt: skip
    with governed.shop.store.begin() as connection:
        policy = unpack_policy(ledger.artifact_of(connection, "home", 3)).policy
    assert policy.name == "linear_thompson"


def test_candidates_of_a_point_that_now_sees_something_else_are_taken_back(governed):
    number = try_rules(governed, "good")
    more = [*POINT["actions"], {"name": "call"}]
    governed.points.put(parse(POINT | {"actions": more}), by="Bo")
    assert governed.candidates.listed("home")[number - 1]["state"] == "withdrawn"
    with pytest.raises(InvalidParameter):
        governed.judge(number)


def test_choices_that_could_have_been_of_an_action_that_is_gone_are_left_out(governed):
    fewer = POINT["actions"][:2]
    governed.points.put(parse(POINT | {"actions": fewer}), by="Ana")
    with pytest.raises(NotEnoughData):
        governed.judge(try_rules(governed, "good"))
