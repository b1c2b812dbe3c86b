"""The next-best-action step: it learns what works, logs how it chose, and writes to nobody who may
not be written to.
"""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.unit.test_journeys import LETTER, NOW, add, begin, buy, later, line_of, shop, why
from tests.unit.test_live_audiences import track
from zhiyin.act.journeys.check import parse
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock
from zhiyin.core.decisions import of_turns
from zhiyin.core.errors import InvalidRule
from zhiyin.core.ledger import decision_requests, messages
from zhiyin.reactions import copy_ledger
from zhiyin.store.ledger import reading, transaction

__all__ = ["shop"]

CHOICE = {
    "type": "next_best_action", "reward": {"purchase": True}, "days": 7, "explore": 0.1,
    "actions": {"write": {"next": "letter"}, "rest": {}},
}  # fmt: skip
BEST = {
    "key": "best", "entry": {"type": "api"}, "reentry": "always",
    "steps": {"choose": CHOICE, "letter": LETTER},
}  # fmt: skip


def with_choice(**changes):
    return BEST | {"steps": BEST["steps"] | {"choose": CHOICE | changes}}


def asked(shop):
    with reading(shop.store.ledger) as connection:
        return connection.execute(
            sa.select(decision_requests).order_by(decision_requests.c.party_id)
        ).all()


def written_to(shop):
    with reading(shop.store.ledger) as connection:
        return set(connection.scalars(sa.select(messages.c.party_id)))


def test_who_is_chosen_for_the_letter_gets_it_and_the_lake_knows_why(shop):
    made = begin(shop, BEST)
    made.enter("best", add(shop, *(f"u{n}" for n in range(40))))
    made.tick()
    rows = asked(shop)
    chosen = {row.party_id for row in rows if row.action == "write"}
    with reading(shop.store.ledger) as connection:
        led = set(connection.scalars(sa.select(messages.c.decision_id)))
    assert led == {row.decision_id for row in rows if row.action == "write"}
    assert written_to(shop) == chosen
    assert 5 <= len(chosen) <= 35  # a coin, 40 times
    assert {(row.propensity, row.explored) for row in rows} == {(0.5, False)}
    assert made.tick() == []
    assert copy_ledger(shop.store, FrozenClock(NOW + timedelta(minutes=2))) == 40
    assert copy_ledger(shop.store, FrozenClock(NOW + timedelta(minutes=2))) == 0
    lake = shop.store.read("decisions").to_pyarrow().to_pylist()
    assert {row[c.DECISION_ID]: (row[c.ACTION], row[c.PROPENSITY]) for row in lake} == {
        row.decision_id: (row.action, row.propensity) for row in rows
    }
    assert {row[c.ELIGIBLE] for row in lake} == {json.dumps(["write", "rest"])}
    assert of_turns(shop.store.read("decisions")).to_pyarrow().num_rows == 0


def test_what_earns_more_is_chosen_more_often(shop):
    parties = add(shop, *(f"u{n}" for n in range(240)))
    made = begin(shop, BEST)
    rng = np.random.default_rng(5)
    for week in range(3):
        made.enter("best", parties[week * 80 : week * 80 + 80])
        made.tick()
        later(shop, days=1)
        lines = [
            line_of(shop, row.party_id, "s:tea", row.decision_id)
            for row in asked(shop)
            if row.reward is None and rng.random() < {"write": 0.5, "rest": 0.1}[row.action]
        ]
        shop.store.append("order_lines", pa.Table.from_pylist(lines), app=f"orders {week}")
        later(shop, days=8)
        made.tick()  # settles
    counted = {row["action"]: row for row in made.shown("best")["choices"]["choose"]}
    assert sum(one["known"] for one in counted.values()) == 240
    rates = {name: one["rewarded"] / one["known"] for name, one in counted.items()}
    assert rates["write"] == pytest.approx(0.5, abs=0.15)
    assert rates["rest"] == pytest.approx(0.1, abs=0.15)
    last = [row for row in asked(shop) if row.party_id in parties[160:]]
    assert np.mean([row.action == "write" for row in last]) > 0.85
    assert all(0.05 <= row.propensity <= 0.95 + 1e-9 for row in last)


def test_a_purchase_outside_the_window_is_no_reward(shop):
    ann, bob, cleo = add(shop, "ann", "bob", "cleo")
    made = begin(shop, BEST)
    made.enter("best", [ann, bob, cleo])
    buy(shop, cleo, "s:tea", "before")
    later(shop, seconds=1)
    made.tick()
    later(shop, days=7)
    buy(shop, ann, "s:tea", "in")
    later(shop, seconds=1)
    buy(shop, bob, "s:tea", "after")
    made.tick()
    assert [row.reward for row in asked(shop)] == [None] * 3
    later(shop, days=1, hours=1)
    made.tick()
    assert {row.party_id: row.reward for row in asked(shop)} == {ann: 1, bob: 0, cleo: 0}


def test_who_may_not_be_written_to_chooses_among_the_rest(shop):
    (ann,) = add(shop, "ann")
    made = begin(shop, with_choice(actions={"write": {"next": "letter"}, "rest": {}, "more": {}}))
    track(shop, "dan", "Seen")  # known, without address and consent
    shop.compact()
    made.enter("best", [ann, *shop.vault.party_ids("user_id", ["dan"])])
    made.tick()
    by = {tuple(row.eligible): row.propensity for row in asked(shop)}
    assert by == pytest.approx({("write", "rest", "more"): 1 / 3, ("rest", "more"): 0.5})


def test_an_action_with_a_rule_is_for_those_who_meet_it_and_nobody_is_lost(shop):
    ann, bob = add(shop, "ann", "bob")
    buy(shop, ann, "s:tea", "1")
    later(shop, seconds=5)
    bought = {"type": "behaviour", "table": "order_lines", "op": "ge", "value": 1}
    step = CHOICE | {
        "actions": {"write": {"next": "letter", "rule": bought}, "rest": {"rule": bought}}
    }
    made = begin(
        shop, BEST | {"steps": {"choose": step | {"otherwise": "letter"}, "letter": LETTER}}
    )
    made.enter("best", [ann, bob])
    made.tick()
    assert [row.party_id for row in asked(shop)] == [ann]
    assert bob in written_to(shop)
    shown = made.shown("best")
    assert {"version": 1, "step": "choose", "what": "no_action", "n": 1} in shown["counts"]


def test_an_answer_that_was_cut_short_is_given_alike(shop, monkeypatch):
    made = begin(shop, BEST)
    made.enter("best", add(shop, *(f"u{n}" for n in range(12))))
    monkeypatch.setattr(made, "_decide", lambda key, step: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        made.tick()
    before = {row.decision_id: row.eligible for row in asked(shop)}
    assert len(before) == 12
    monkeypatch.undo()
    made.tick()
    after = asked(shop)
    assert {row.decision_id: row.eligible for row in after} == before
    assert written_to(shop) == {row.party_id for row in after if row.action == "write"}
    first = {row.decision_id: row.action for row in after}
    with transaction(shop.store.ledger) as connection:
        connection.execute(decision_requests.update().values(action=None))
    made._decide("best", "choose")
    assert {row.decision_id: row.action for row in asked(shop)} == first


def test_the_goal_is_the_reward_where_the_step_names_none(shop):
    (ann,) = add(shop, "ann")
    step = {name: value for name, value in CHOICE.items() if name != "reward"}
    rest = {"type": "delay", "days": 30}
    made = begin(shop, BEST | {
        "goal": {"purchase": True},
        "steps": {"choose": step | {"actions": {"a": {"next": "wait"}, "b": {"next": "wait"}}},
                  "wait": rest},
    })  # fmt: skip
    made.enter("best", [ann])
    made.tick()
    later(shop, days=1)
    buy(shop, ann, "s:tea", "1")
    made.tick()
    assert why(shop) == {ann: "goal"}
    later(shop, days=9)
    made.tick()
    assert [row.reward for row in asked(shop)] == [1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"actions": {"a": {}}}, "no choice"),
        ({"actions": {"A b": {}, "c": {}}}, "no name of an action"),
        ({"actions": {"a": {"next": "nowhere"}, "b": {}}}, "no step"),
        ({"explore": 0}, "share of 0"),
        ({"days": 0}, "0 cannot stand"),
        ({"reward": None}, "what its reward is"),
        ({"reward": {"purchase": True, "event": "x"}}, "neither"),
    ],
)
def test_a_step_that_cannot_be_meant_is_refused(changes, said):
    with pytest.raises(InvalidRule, match=said):
        parse(with_choice(**changes))
