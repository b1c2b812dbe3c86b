"""A journey's step whose action a decision point chooses: its policy learns from what came of it,
and whoever governs the point governs the step.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.unit.test_journeys import LETTER, add, begin, later, line_of, shop
from zhiyin.act.journeys.check import parse
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, run_moment
from zhiyin.core.context import Context
from zhiyin.core.errors import InvalidRule
from zhiyin.core.ledger import consents, decision_requests, messages
from zhiyin.core.rng import Streams
from zhiyin.decide import learn_job
from zhiyin.decide.live import NAMES, NUMBERS
from zhiyin.decide.log_job import LogReader
from zhiyin.decide.points import ledger
from zhiyin.decide.points.check import parse as parse_point
from zhiyin.govern.packed import JOINS, NAMESPACES, pack_kinship
from zhiyin.govern.people import Kinship
from zhiyin.journeys import Journeys
from zhiyin.points import Points
from zhiyin.reactions import copy_ledger
from zhiyin.reviews import Reviews
from zhiyin.store.ledger import reading, transaction

__all__ = ["shop"]

POINT = {
    "key": "win", "default": "rest", "features": ["recency_days"],
    "actions": [{"name": "rest"}, {"name": "write"}, {"name": "gift"}],
    "policy": {"name": "linear_thompson", "explore": 0.05},
    "reward": {"window_days": 7, "settle_days": 2},
}  # fmt: skip
STEP = {
    "type": "next_best_action", "point": "win", "reward": {"purchase": True}, "days": 7,
    "actions": {"write": {"next": "pause"}, "rest": {}},
}  # fmt: skip
PAUSE = {"type": "delay", "days": 1}
JOURNEY = {
    "key": "best", "entry": {"type": "api"}, "reentry": "always",
    "steps": {"choose": STEP, "pause": PAUSE},
}  # fmt: skip


def journey(**changes):
    return JOURNEY | {"steps": JOURNEY["steps"] | {"choose": STEP | changes}}


def know(shop, known):
    """Publish a number of customers, as `decide.online` does; the policy knows the scale."""
    people = sorted(known)
    values = np.array([known[one] for one in people], np.float32).reshape(-1, 1)
    arrays = {
        f"{NUMBERS}.starts": np.arange(len(people) + 1, dtype=np.int64), f"{NUMBERS}.value": values,
        **pack_kinship(Kinship(()), people),
    }  # fmt: skip
    about = {
        c.AS_OF_ON: "2026-03-01", c.TURN_ID: "t", NAMES: ["recency_days"], NAMESPACES: ["user_id"],
        "people": [NUMBERS, JOINS],
    }  # fmt: skip
    shop.store.numbers.publish(arrays, about)


def put(shop, monkeypatch, **changes):
    """The point, with a policy that sees recency on the scale of 0 and 1."""
    columns = {"recency_days": (0.5, 0.5)}
    usual = type("Known", (), {"columns": lambda _: columns})()
    monkeypatch.setattr("zhiyin.decide.numbers_job.read_numbers", lambda *_, **__: usual)
    monkeypatch.setattr("zhiyin.points.newest_day", lambda _: date(2026, 3, 1))
    points = Points(shop.store, shop.clock)
    points.put(parse_point(POINT | changes), by="Ana")
    return points


def asked(shop):
    with reading(shop.store.ledger) as connection:
        r = decision_requests
        return connection.execute(sa.select(r).order_by(r.c.party_id, r.c.asked_s)).all()


def logged(shop):
    rows = shop.store.read("decisions").to_pyarrow().to_pylist()
    return {row[c.DECISION_ID]: row for row in rows}


def copy(shop):
    return copy_ledger(shop.store, FrozenClock(shop.clock.now() + timedelta(minutes=2)))


def reader(shop):
    with reading(shop.store.ledger) as connection:
        point = ledger.find(connection, "win")
    return LogReader(shop.store, point, Kinship(()), shop.clock.now())


def learn(shop):
    day = shop.clock.now().date()
    ctx = Context(
        shop.settings, shop.store, shop.vault, FrozenClock(run_moment(day, "UTC")), Streams(7),
        day, "t_1", numbers=shop.store.numbers,
    )  # fmt: skip
    return learn_job.run(ctx, shop.settings.decide).figures["points"]["win"]


def test_the_policy_learns_who_needs_which_action_through_the_journey(shop, monkeypatch):
    """Planted: who was away for long buys when written to, who was here lately only when left."""
    parties = add(shop, *(f"u{n}" for n in range(360)))
    far = {one: float(n % 2) for n, one in enumerate(parties)}
    know(shop, far)
    put(shop, monkeypatch)
    made = begin(shop, JOURNEY)
    rng = np.random.default_rng(5)
    for wave in range(3):
        made.enter("best", parties[wave * 120 : wave * 120 + 120])
        made.tick()
        assert copy(shop) == 120
        if wave == 2:
            break
        later(shop, days=1)
        rates = {("write", 1.0): 0.7, ("write", 0.0): 0.05, ("rest", 1.0): 0.05, ("rest", 0.0): 0.5}
        lines = [
            line_of(shop, row.party_id, "s:tea", row.decision_id)
            for row in asked(shop)
            if row.reward is None and rng.random() < rates[row.action, far[row.party_id]]
        ]
        shop.store.append("order_lines", pa.Table.from_pylist(lines), app=f"orders {wave}")
        later(shop, days=8)
        made.tick()  # settles
        assert copy(shop) == len(lines)
        later(shop, days=2)
        assert (learn(shop)["status"], learn(shop)["status"]) == ("learned", "kept_newer")
    rows = asked(shop)
    last = [row for row in rows if row.party_id in parties[240:]]
    right = [row.action == ("write" if far[row.party_id] else "rest") for row in last]
    assert np.mean(right) > 0.85
    lake = logged(shop)
    assert {one: (row[c.ACTION], row[c.PROPENSITY]) for one, row in lake.items()} == {
        row.decision_id: (row.action, pytest.approx(row.propensity)) for row in rows
    }
    assert len({row[c.POLICY_VERSION] for row in lake.values()}) == 3
    some = lake[last[0].decision_id]
    assert json.loads(some[c.CONTEXT]) == {"recency_days": far[last[0].party_id]}
    assert (some[c.DECIDED_BY], some[c.CAMPAIGN_ID], some[c.VERSION]) == ("point", "point:win", 1)
    assert (some[c.VARIANT], some[c.PERSONALISED]) == ("best:choose", True)
    assert json.loads(some[c.ELIGIBLE]) == ["rest", "write"]  # the point's gift is not the step's
    log = reader(shop).choices()
    rewards = reader(shop).rewards(log)
    known = {row.decision_id: row.reward for row in rows if row.reward is not None}
    assert dict(zip(log[c.DECISION_ID], rewards[c.REWARD], strict=True)).items() >= known.items()
    assert {row.decided for row in rows} == {None}  # what stands in the lake is kept there alone


def test_a_stopped_point_gives_its_default_and_says_why(shop, monkeypatch):
    points = put(shop, monkeypatch)
    know(shop, {})
    made = begin(shop, JOURNEY)
    parties = add(shop, *(f"u{n}" for n in range(20)))
    points.stop("win", by="Bo")
    made.enter("best", parties[:10])
    made.tick()
    assert {(row.action, row.propensity, row.reason) for row in asked(shop)} == {
        ("rest", 1.0, "point_paused")
    }
    points.resume("win", by="Bo")
    made.enter("best", parties[10:])
    made.tick()
    assert {row.reason for row in asked(shop) if row.party_id in parties[10:]} <= {
        "by_policy", "explored",
    }  # fmt: skip
    copy(shop)
    lake = logged(shop).values()
    assert {row[c.POLICY] for row in lake if row[c.REASON] == "point_paused"} == {"default"}


def test_without_what_a_turn_publishes_there_is_the_default(shop, monkeypatch):
    put(shop, monkeypatch)
    made = begin(shop, JOURNEY)
    made.enter("best", add(shop, "ann"))
    made.tick()
    assert [(row.action, row.reason) for row in asked(shop)] == [("rest", "no_features")]


def test_who_refused_profiling_is_chosen_for_without_what_is_known_of_her(shop, monkeypatch):
    ann, bob = add(shop, "ann", "bob")
    know(shop, {ann: 1.0, bob: 1.0})
    put(shop, monkeypatch)
    refused = {"consent_id": "r", "party_id": ann, "purpose": "profiling", "channel": "*",
               "granted": False, "at": datetime(2026, 2, 1), "source": "s"}  # fmt: skip
    with transaction(shop.store.ledger) as connection:
        connection.execute(consents.insert(), [refused])
    made = begin(shop, JOURNEY)
    made.enter("best", [ann, bob])
    made.tick()
    copy(shop)
    lake = {row[c.PARTY_ID]: row for row in logged(shop).values()}
    assert json.loads(lake[ann][c.CONTEXT]) == {"recency_days": None}
    assert json.loads(lake[bob][c.CONTEXT]) == {"recency_days": 1.0}
    assert [lake[one][c.PERSONALISED] for one in (ann, bob)] == [False, True]


def test_the_holdout_and_the_conditions_of_the_point_hold_in_the_journey(shop, monkeypatch):
    parties = add(shop, *(f"u{n}" for n in range(60)))
    know(shop, {one: float(n % 2) for n, one in enumerate(parties)})
    needs = {"name": "write", "needs": [["recency_days", ">", 0.5]]}
    put(shop, monkeypatch, holdout=0.5, actions=[{"name": "rest"}, needs])
    made = begin(shop, JOURNEY)
    made.enter("best", parties)
    made.tick()
    copy(shop)
    lake = list(logged(shop).values())
    near = [row for row in lake if json.loads(row[c.CONTEXT])["recency_days"] == 0]
    assert {(row[c.ELIGIBLE], row[c.ACTION], row[c.PROPENSITY]) for row in near} == {
        ('["rest"]', "rest", 1.0)
    }
    free = [row for row in lake if row[c.ELIGIBLE] == '["rest", "write"]']
    assert len(free) == 30
    held = [row for row in lake if row[c.ARM] == "holdout"]
    assert 15 <= len(held) <= 45
    assert {row[c.ACTION] for row in held} == {"rest"}
    assert {round(row[c.PROPENSITY], 2) for row in free if row[c.ACTION] == "rest"} == {0.75}


def test_a_choice_that_a_person_makes_is_waited_for(shop, monkeypatch):
    ann, bob = add(shop, "ann", "bob")
    know(shop, {ann: 1.0, bob: 1.0})
    put(shop, monkeypatch, review={"rules": [{"name": "far", "when": [["recency_days", ">", 0]]}],
                                   "hours": 5})  # fmt: skip
    made = begin(shop, JOURNEY)
    made.enter("best", [ann, bob])
    made.tick()
    assert [(row.action, row.reason) for row in asked(shop)] == [(None, "sent_to_person")] * 2
    copy(shop)
    later(shop, hours=1)
    made.tick()
    assert [row.action for row in asked(shop)] == [None, None]
    desk = Reviews(shop.store, shop.vault, shop.clock)
    case = {one["customer_id"]: one for one in desk.listed()}[ann]
    desk.answer(case["decision_id"], "write", reason="known_better", by="Bo")
    made.tick()
    inside = {row["step"]: row["n"] for row in made.shown("best")["inside"]}
    assert inside == {"choose": 1, "pause": 1}
    later(shop, hours=5)
    made.tick()
    assert {row.party_id: row.action for row in asked(shop)} == {ann: "write", bob: "rest"}
    copy(shop)
    assert {row[c.REASON] for row in logged(shop).values()} == {"sent_to_person"}
    chosen = reader(shop).choices()
    assert dict(zip(chosen[c.PARTY_ID], chosen[c.POLICY], strict=True)) == {
        ann: "person", bob: "default",
    }  # fmt: skip


def test_an_answer_that_was_cut_short_is_given_alike(shop, monkeypatch):
    parties = add(shop, *(f"u{n}" for n in range(30)))
    know(shop, {one: float(n % 2) for n, one in enumerate(parties)})
    put(shop, monkeypatch)
    made = begin(shop, JOURNEY)
    made.enter("best", parties)
    decide = made._decide

    def die(key, step):
        decide(key, step)
        raise ZeroDivisionError

    monkeypatch.setattr(made, "_decide", die)
    with pytest.raises(ZeroDivisionError):
        made.tick()
    first = {row.decision_id: (row.action, row.propensity) for row in asked(shop)}
    again = Journeys(shop)
    with transaction(shop.store.ledger) as connection:  # as before the answer was kept
        connection.execute(decision_requests.update().values(action=None, decided=None))
    later(shop, seconds=5)
    again.tick()
    assert {row.decision_id: (row.action, row.propensity) for row in asked(shop)} == first
    assert len({action for action, _ in first.values()}) == 2
    assert sum(row["n"] for row in again.shown("best")["inside"]) == sum(
        action == "write" for action, _ in first.values()
    )


def test_stock_is_one_for_journeys_and_requests(shop, monkeypatch):
    parties = add(shop, *(f"u{n}" for n in range(12)))
    know(shop, dict.fromkeys(parties, 1.0))
    put(shop, monkeypatch, actions=[{"name": "rest"}, {"name": "write", "stock": 3}])
    made = begin(shop, JOURNEY)
    for part in (parties[:6], parties[6:]):
        made.enter("best", part)
        made.tick()
    given = Points(shop.store, shop.clock).shown("win")["given"]
    assert [row.action for row in asked(shop)].count("write") == given["write"] == 3


def test_a_message_that_a_point_led_to_names_the_decision_and_the_gate_goes_before(
    shop, monkeypatch
):
    (ann,) = add(shop, "ann")
    know(shop, {ann: 1.0})
    always = {"name": "rules", "settings": {"rules": [{"when": [], "then": "write"}]}, "explore": 0}
    put(shop, monkeypatch, policy=always)
    steps = {"choose": STEP | {"actions": {"write": {"next": "letter"}, "rest": {}}}}
    made = begin(shop, JOURNEY | {"steps": steps | {"letter": LETTER}})
    made.enter("best", [ann])
    made.tick()
    (row,) = asked(shop)
    assert row.action == "write"
    with reading(shop.store.ledger) as connection:
        led = connection.execute(sa.select(messages.c.party_id, messages.c.decision_id)).all()
    assert led == [(ann, row.decision_id)]
    letter = {"name": "write", "channel": "email"}  # the point's own gate knows no address of hers
    put(shop, monkeypatch, policy=always, actions=[{"name": "rest"}, letter])
    later(shop, hours=1)
    made.enter("best", [ann])
    made.tick()
    assert [row.action for row in asked(shop)] == ["write", "rest"]


def test_a_step_that_the_point_cannot_answer_is_refused(shop, monkeypatch):
    put(shop, monkeypatch)
    pause = {"next": "pause"}
    for changes, said in (
        ({"point": "lost"}, "no decision point 'lost'"),
        ({"actions": {"write": pause, "song": {}, "rest": {}}}, "has no action 'song'"),
        ({"actions": {"write": pause, "gift": {}}}, "default action 'rest'"),
        ({"days": 8}, "settles a choice after 9 days"),
        ({"explore": 0.2}, "says how much it explores"),
        ({"point": "No key"}, "no key of a decision point"),
    ):
        with pytest.raises(InvalidRule, match=said):
            Journeys(shop).keep(parse(journey(**changes)), by="test")


def test_a_step_without_a_reward_of_its_own_leaves_it_to_the_point(shop, monkeypatch):
    parties = add(shop, "ann")
    know(shop, {})
    put(shop, monkeypatch)
    made = begin(shop, journey(reward=None, days=30))
    made.enter("best", parties)
    made.tick()
    later(shop, days=40)
    made.tick()
    assert [row.reward for row in asked(shop)] == [None]
    assert made.tick() == []  # nothing is left to look at
