"""Choices that a rule sends to a person: which, what chances the others have, what is learned."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from tests.unit.decide.governed import ACTIONS, POINT, RULES, Governed
from tests.unit.decide.test_decide_learn import DAY, HOME, START, choice, outcome, run_at
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock
from zhiyin.core.decisions import REVIEWED, Decided, Place
from zhiyin.core.errors import InvalidParameter, InvalidRule, LeaseHeld
from zhiyin.core.rng import Lots
from zhiyin.decide import learn_job
from zhiyin.decide.candidates.judge_job import read_log, reader_of
from zhiyin.decide.points import ledger as points_ledger
from zhiyin.decide.points.check import parse
from zhiyin.decide.points.point_policy import make_policy, unpack_policy
from zhiyin.decide.points.served import Served
from zhiyin.decide.reviews import ledger
from zhiyin.decided import sent_of
from zhiyin.points import Points
from zhiyin.testing.store import MemoryStore

NAMES = [one.name for one in ACTIONS]
AT, NOW = datetime(2026, 4, 1, 9), datetime(2026, 4, 1, 10)


def served(*rules, **changes):
    point = parse(POINT | {"review": {"rules": list(rules)}} | changes)
    return Served(point, version=1, paused=False, policy=make_policy(point, None))


def drawn(one, numbers, n=600, size=1):
    lots, flags = Lots(), np.ones(3, bool)
    return [one.choose(np.array(numbers, float), flags, size, lots.of(f"d_{i}")) for i in range(n)]


def test_a_rule_about_numbers_sends_every_choice_of_whom_it_holds():
    one = served({"name": "loyal", "when": [["loyalty", ">=", 2]]})
    sent = drawn(one, [0, 2, 0], 40)
    assert {chosen.sent.rule for chosen in sent} == {"loyal"}
    assert {chosen.places[0].action for chosen in sent} == {"none"}
    assert {chosen.sent.action for chosen in sent} > {"none"}  # what was drawn is proposed
    assert all(chosen.sent is None for chosen in drawn(one, [0, 1, 0], 40))
    assert all(chosen.sent is None for chosen in drawn(one, [0, np.nan, 0], 40))


@pytest.mark.parametrize(
    "rule", [{"name": "r", "actions": ["reminder"]}, {"name": "r", "above_minor": 29}]
)
def test_a_rule_about_what_was_drawn_leaves_the_others_their_true_chances(rule):
    """Rules that explore half: none 2/3, reminder and coupon 1/6 each."""
    one = served(rule)
    about = [n for n in NAMES if n in rule.get("actions", ("reminder", "coupon"))]
    made = drawn(one, [0, 0, 0])
    sent = [chosen.sent.action for chosen in made if chosen.sent]
    assert set(sent) == set(about)
    assert len(sent) / len(made) == pytest.approx(len(about) / 6, abs=0.06)
    left = [name for name in NAMES if name not in about]
    truth = {"none": 2 / 3, "coupon": 1 / 6}
    whole = sum(truth[name] for name in left)
    for chosen in made:
        if chosen.sent is None:
            (place,) = chosen.places
            assert list(place.eligible) == left
            assert place.propensity == pytest.approx(truth[place.action] / whole)


def test_a_list_holds_nothing_that_a_person_would_have_to_decide():
    one = served({"name": "r", "actions": ["reminder"]})
    made = drawn(one, [0, 0, 0], 60, size=2)
    assert all(chosen.sent is None for chosen in made)
    assert {place.action for chosen in made for place in chosen.places} == {"none", "coupon"}


def test_low_confidence_is_sent_and_high_is_not():
    assert drawn(served({"name": "unsure", "below": 0.7}), [0, 0, 0], 1)[0].sent.rule == "unsure"
    assert drawn(served({"name": "unsure", "below": 0.6}), [0, 0, 0], 1)[0].sent is None


@pytest.mark.parametrize(
    "review",
    [
        {"rules": [{"name": "r", "actions": ["gift"]}]},
        {"rules": [{"name": "r", "when": [["x", ">", 1]]}]},
        {"rules": [{"name": "r", "below": 1.5}]},
        {"rules": [{"name": "r"}, {"name": "r"}]},
        {"rules": [{"name": "r"}], "hours": 0},
    ],
)
def test_rules_that_cannot_be_meant_are_refused(review):
    with pytest.raises(InvalidRule) as refused:
        parse(POINT | {"review": review})
    assert refused.value.where.startswith("$.review")


def sent(name="d_1", *, hours=24):
    us = int(AT.replace(tzinfo=UTC).timestamp()) * 1_000_000
    places = (Place("none", ("none", "coupon"), 1.0, explored=False),)
    return Decided(
        name, us, "home", places, "sent_to_person", version=1, party_id="p_1", names=("cart",),
        numbers=(5.0,), sent="large", until_us=us + hours * 3_600_000_000, proposed="coupon",
        chance=0.6,
    )  # fmt: skip


@pytest.fixture
def store():
    return MemoryStore(zone="UTC")


def test_a_case_is_put_once_taken_by_one_and_answered_by_her(store):
    later = NOW + timedelta(minutes=30)
    with store.begin() as connection:
        assert ledger.put(connection, [sent(), sent()]) == 1
        frames = [
            msgspec.msgpack.encode(one) for one in (sent(), Decided("d_9", 1, "home", (), "x"))
        ]
        assert [one.decision_id for one in sent_of(frames)] == ["d_1"]
        assert ledger.put(connection, sent_of(frames)) == 0  # as the compaction does once more
        case = ledger.find(connection, "d_1")
        assert (case.proposed, case.fallback, case.eligible) == (
            "coupon", "none", ["none", "coupon"],
        )  # fmt: skip
        ledger.take(connection, case, by="Ana", until=later, now=NOW)
        for what in (
            lambda: ledger.take(connection, case, by="Bo", until=later, now=NOW),
            lambda: ledger.answer(
                connection, case, "none", "other", note=None, by="Bo", now=NOW
            ),
        ):  # fmt: skip
            with pytest.raises(LeaseHeld):
                what()
        for action, reason in (("gift", "other"), ("none", "because")):
            with pytest.raises(InvalidParameter):
                ledger.answer(connection, case, action, reason, note=None, by="Ana", now=NOW)
        case = ledger.answer(
            connection, case, "none", "too_costly", note=None, by="Ana", now=NOW
        )  # fmt: skip
        assert (case.state, case.action, case.answered_by) == ("answered", "none", "Ana")
        assert ledger.answer(
            connection, case, "none", "too_costly", note=None, by="Ana", now=NOW
        ) == case  # fmt: skip
        with pytest.raises(InvalidParameter):
            ledger.answer(connection, case, "coupon", "agreed", note=None, by="Ana", now=NOW)


def test_after_the_deadline_the_default_stands(store):
    late = AT + timedelta(hours=25)
    with store.begin() as connection:
        ledger.put(connection, [sent(), sent("d_2", hours=48)])
        assert [one.decision_id for one in ledger.listed(connection, now=NOW)] == ["d_1", "d_2"]
        assert [one.decision_id for one in ledger.listed(connection, now=late)] == ["d_2"]
        case = ledger.find(connection, "d_1")
        assert case.state_at(late) == "expired"
        with pytest.raises(InvalidParameter, match="default action stands"):
            ledger.answer(connection, case, "none", "other", note=None, by="Ana", now=late)
        assert (ledger.expire(connection, now=late), ledger.expire(connection, now=late)) == (1, 0)
        assert [one.state for one in ledger.listed(connection, now=late, closed=True)] == [
            "expired"
        ]


def test_what_a_person_decided_is_learned_and_what_nobody_did_is_not(shop):
    shop.store = MemoryStore(zone="UTC")
    Points(shop.store, FrozenClock(START)).put(parse(HOME), by="Ana")
    waits = {c.REASON: "sent_to_person"}
    rows = [choice(n, "none", policy="default", **waits) for n in (1, 2)]
    shop.add("decisions", *rows, choice(3, "none", **{c.REASON: "by_policy"}))
    answered = {c.KIND: f"{REVIEWED}override", c.DECISION_ID: "d_1", c.ACTION: "coupon",
                c.VALUE_BASE_MINOR: None}  # fmt: skip
    shop.add("outcomes", outcome(8, at=START + timedelta(hours=3), **answered),
             outcome(9, **{c.DECISION_ID: "d_1", c.ACTION: "coupon"}))  # fmt: skip
    made = run_at(shop, DAY, learn_job)["points"]["home"]
    assert (made["choices"], made["mean_reward"]) == (2, 0.5)  # the answer itself is no reward
    with shop.store.begin() as connection:
        policy = unpack_policy(points_ledger.artifact_of(connection, "home", 2)).policy
    assert policy.beliefs.counts.tolist() == [1.0, 1.0]


def test_the_gate_judges_by_the_choices_that_no_person_made(shop):
    rules = [{"name": "r", "actions": ["coupon"]}]
    made = Governed(shop, review={"rules": rules}, policy=POINT["policy"] | {"explore": 0.8})
    made.serve(600)
    made.pass_days()
    with shop.store.begin() as connection:
        point = points_ledger.find(connection, "home")
    held = read_log(reader_of(shop.store, point, known_at=made.clock.now()), after=None)
    assert 400 < held.n < 480  # .8 / 3 are sent
    assert not held.eligible[:, NAMES.index("coupon")].any()
    assert set(held.log.propensities.round(6)) == {0.636364, 0.363636}
    number = made.attempt("rules", explore=0.1, settings={"rules": RULES["good"]})
    assert made.judge(number)["state"] == "passed"
