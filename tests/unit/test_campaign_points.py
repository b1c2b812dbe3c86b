"""A campaign whose contents a decision point chooses: for those who get one, and as it governs."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from tests.unit.act.shop import ZONE, Shop
from tests.unit.test_campaigns import KEY, PEOPLE, A, B, Desk, _replan, campaign
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock
from zhiyin.core.errors import InvalidParameter, InvalidRule
from zhiyin.core.ledger import decision_requests, messages
from zhiyin.decide.live import NAMES, NUMBERS
from zhiyin.decide.points.check import parse
from zhiyin.govern.packed import JOINS, NAMESPACES, pack_kinship
from zhiyin.govern.people import Kinship
from zhiyin.points import Points
from zhiyin.reactions import copy_ledger
from zhiyin.store.online import OnlineStore
from zhiyin.store.vault import Keys, LocalVault
from zhiyin.testing.store import MemoryStore

RULES = [{"when": [["recency_days", ">", 0]], "then": "b"}]
POINT = {
    "key": "letters", "default": "a", "features": ["recency_days"],
    "actions": [{"name": one} for one in ("a", "b", "c")],
    "policy": {"name": "rules", "explore": 0.2, "settings": {"rules": RULES}},
    "reward": {"orders": True},
}  # fmt: skip
CHOSEN = {"variants": [A, B], "choose_by": "letters"}


@pytest.fixture
def desk(tmp_path):
    store = MemoryStore(zone=ZONE)
    made = Shop(store, LocalVault(Keys.make(), store.ledger))
    made.add(*PEOPLE)
    made.add("silent", consent=False)
    made.store.numbers, made.store.online = OnlineStore(tmp_path / "n"), OnlineStore(tmp_path / "o")
    people = sorted(map(made.party, PEOPLE))
    far = {one: float(n % 2) for n, one in enumerate(people)}
    made.store.numbers.publish(
        {
            f"{NUMBERS}.starts": np.arange(len(people) + 1, dtype=np.int64),
            f"{NUMBERS}.value": np.array([[far[one]] for one in people], np.float32),
            **pack_kinship(Kinship(()), people),
        },
        {c.AS_OF_ON: "2024-03-01", c.TURN_ID: "t", NAMES: ["recency_days"],
         NAMESPACES: ["user_id"], "people": [NUMBERS, JOINS]},
    )  # fmt: skip
    found = Desk(made)
    found.far = far
    found.points = Points(made.store, found.clock)
    found.points.put(parse(POINT), by="Ana")
    yield found
    store.close()


def asked(desk):
    with desk.shop.store.begin() as connection:
        return connection.execute(sa.select(decision_requests)).all()


def test_each_gets_what_the_policy_chooses_with_its_true_chance(desk):
    assert desk.started(**CHOSEN, holdout_share=0.2) == 61
    going = {row.party_id: row.variant for row in desk.rows() if row.state == "planned"}
    assert {row.party_id for row in asked(desk)} == going.keys()  # nobody else is a decision
    assert 35 <= len(going) < 60
    as_ruled = [going[one] == ("b" if desk.far[one] else "a") for one in going]
    assert 0.7 < np.mean(as_ruled) < 1  # 90 % of them, and the rest explores
    chances = {row.party_id: row.propensity for row in asked(desk)}
    for one, variant in going.items():
        ruled = variant == ("b" if desk.far[one] else "a")
        assert chances[one] == pytest.approx(0.9 if ruled else 0.1)
    rows = desk.shop.store.read("decisions").to_pyarrow().to_pylist()
    told = {row[c.PARTY_ID]: row[c.PROPENSITY] for row in rows if row[c.ARM] == "treat"}
    assert told == {one: pytest.approx(0.8 * chance) for one, chance in chances.items()}
    assert copy_ledger(desk.shop.store, FrozenClock(desk.clock.at + timedelta(minutes=2))) == len(
        going
    )
    rows = desk.shop.store.read("decisions").to_pyarrow().to_pylist()
    points = [row for row in rows if row[c.DECIDED_BY] == "point"]
    assert {row[c.PARTY_ID]: row[c.ACTION] for row in points} == going
    assert {row[c.CAMPAIGN_ID] for row in points} == {"point:letters"}
    assert {row[c.TURN_ID] for row in points} == {"zhiyin:spring@1"}
    assert {row[c.ELIGIBLE] for row in points} == {json.dumps(["a", "b"])}
    seen = {row[c.PARTY_ID]: json.loads(row[c.CONTEXT])["recency_days"] for row in points}
    assert seen == {one: desk.far[one] for one in going}


def test_planning_that_was_cut_short_chooses_alike(desk):
    desk.started(**CHOSEN)
    before = {row.message_id: row.variant for row in desk.rows()}
    with desk.shop.store.begin() as connection:
        some = sorted(before)[:30]
        connection.execute(messages.delete().where(messages.c.message_id.in_(some)))
        connection.execute(  # of some of them the answer was not kept either
            decision_requests.update()
            .where(decision_requests.c.decision_id < "d_8")
            .values(action=None)
        )
    _replan(desk)
    assert desk.campaigns.plan(KEY) == 30
    assert {row.message_id: row.variant for row in desk.rows()} == before
    assert len(asked(desk)) == 60


def test_who_cannot_be_paid_for_is_no_decision(desk):
    desk.started(**CHOSEN, cost="1", budget="20")
    assert desk.states()[("planned", None)] == 20
    assert len(asked(desk)) == 20


def test_the_kill_switch_gives_the_default(desk):
    desk.points.stop("letters", by="Bo")
    desk.started(**CHOSEN)
    assert Counter(row.variant for row in desk.rows()) == {"a": 60, None: 1}
    assert {row.reason for row in asked(desk)} == {"point_paused"}


def test_no_effect_is_told_of_contents_that_are_no_accident(desk):
    found = desk.campaigns.check(campaign(**CHOSEN, holdout_share=0.3))
    assert found.as_dict()["variants"] == {"letters": found.messages}
    assert "the decision point letters chooses" in found.text("en")
    assert "由决策点 letters 选择" in found.text("zh")
    desk.started(**CHOSEN, holdout_share=0.3)
    effect = desk.campaigns.shown(KEY)["effect"]
    assert [row["variant"] for row in effect] == ["all"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"choose_by": "lost"}, "no decision point 'lost'"),
        ({"variants": [A, B | {"name": "d"}]}, "has no action 'd'"),
        ({"variants": [B, B | {"name": "c"}]}, "default action 'a'"),
    ],
)
def test_what_the_point_cannot_choose_is_refused(desk, changes, said):
    with pytest.raises(InvalidRule, match=said):
        desk.create(**CHOSEN | changes)


def test_a_point_that_asks_a_person_chooses_no_campaign(desk):
    desk.create(**CHOSEN)
    desk.campaigns.start(KEY, by="Ana")
    asks = {"rules": [{"name": "far", "when": [["recency_days", ">", 0]]}]}
    desk.points.put(parse(POINT | {"review": asks}), by="Ana")
    with pytest.raises(InvalidRule, match="asks a person"):
        desk.campaigns.plan(KEY)
    assert desk.rows() == asked(desk) == []


@pytest.mark.parametrize(
    "changes",
    [{"variants": [A]}, {"variants": [A | {"share": 0.5}, B | {"share": 0.5}]}, {"channel": "sms"}],
)
def test_a_choice_that_is_none_is_refused(changes):
    with pytest.raises(InvalidParameter, match="choose_by"):
        campaign(**CHOSEN | changes)
