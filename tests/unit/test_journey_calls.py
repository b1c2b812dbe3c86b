"""The webhook step: the shop's system is told once of each person, whatever goes wrong between."""

from __future__ import annotations

import base64

import pytest
import sqlalchemy as sa

from tests.receiver import Answer, Receiver
from tests.unit.test_journeys import NOW, add, begin, later, why
from zhiyin.act.journeys.check import parse
from zhiyin.app import Workspace
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import ChannelUnavailable, ConfigError, InvalidRule
from zhiyin.core.ledger import journey_calls
from zhiyin.journeys import Journeys
from zhiyin.store.ledger import reading

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
TELL = {
    "key": "tell", "entry": {"type": "api"}, "reentry": "always",
    "steps": {
        "crm": {"type": "webhook", "hook": "crm", "properties": {"deal": "won back", "n": 3}},
    },
}  # fmt: skip


@pytest.fixture
def answers():
    """What the system says, one after the other, then 200."""
    return []


@pytest.fixture
def crm(answers, monkeypatch):
    monkeypatch.setenv("ZHIYIN_WEBHOOK_SECRET", SECRET)
    receiver = Receiver(lambda received: answers.pop(0) if answers else Answer())
    yield receiver
    receiver.close()


@pytest.fixture
def shop(tmp_path, crm):
    act = {"hooks": {"crm": crm.url}, "webhook_private": True, "retry_tries": 2}
    values = {"name": "shop", "currency": "EUR", "zone": "UTC", "act": act}
    Workspace.create(tmp_path / "shop", validate_settings(values, where="test")).close()
    with Workspace.open(tmp_path / "shop", write=True, clock=FrozenClock(NOW)) as made:
        yield made


def states(shop):
    with reading(shop.store.ledger) as connection:
        rows = connection.execute(sa.select(journey_calls).order_by(journey_calls.c.party_id))
        return [(row.state, row.reason) for row in rows]


def test_a_system_is_told_who_is_where_and_nothing_personal(shop, crm):
    (ann,) = add(shop, "ann")
    made = begin(shop, TELL)
    made.enter("tell", [ann])
    made.tick()
    assert why(shop) == {ann: "finished"}
    assert (made.make_calls(), made.make_calls()) == (1, 0)
    (one,) = crm.requests
    assert one.data == {
        "journey": "tell", "version": 1, "step": "crm", "customer_id": ann,
        "properties": {"deal": "won back", "n": 3},
    }  # fmt: skip
    assert b"ann@" not in one.body
    assert one.headers["webhook-id"].startswith("m_")
    assert made.shown("tell")["calls"] == [{"step": "crm", "state": "sent", "reason": None, "n": 1}]
    later(shop, days=1)
    made.enter("tell", [ann])  # again: another occasion, another id
    made.tick()
    made.make_calls()
    assert len({one.headers["webhook-id"] for one in crm.requests}) == 2


def test_what_is_in_doubt_is_told_again_under_the_same_id(shop, crm, answers):
    made = begin(shop, TELL)
    made.enter("tell", add(shop, "ann"))
    made.tick()
    answers += [Answer(hang_up=True)]
    assert made.make_calls() == 0
    assert made.make_calls() == 0  # not before its time
    later(shop, hours=1)
    assert made.make_calls() == 1
    assert states(shop) == [("sent", None)]
    assert len({one.headers["webhook-id"] for one in crm.requests}) == 1 < len(crm.requests)


@pytest.mark.parametrize(
    ("said", "state"), [((400,), ("failed", "refused")), ((503, 503), ("failed", "gave_up"))]
)
def test_a_refusal_ends_it(shop, crm, answers, said, state):
    made = begin(shop, TELL)
    made.enter("tell", add(shop, "ann"))
    made.tick()
    for status in said:
        answers.append(Answer(status))
        made.make_calls()
        later(shop, hours=1)
    assert states(shop) == [state]
    assert made.make_calls() == 0


def test_a_system_that_is_silent_keeps_nobody_waiting(shop, crm, answers):
    made = begin(shop, TELL)
    made.enter("tell", add(shop, *(f"u{n}" for n in range(9))))
    made.tick()
    answers += [Answer(hang_up=True)] * 9
    assert made.make_calls() == 0
    assert states(shop) == [("planned", None)] * 9
    assert len(crm.requests) <= 4  # one more for an idle connection


def test_without_a_listener_calls_wait_until_they_are_too_old(shop, crm):
    made = begin(shop, TELL)
    made.enter("tell", add(shop, "ann"))
    made.tick()
    crm.close()
    with pytest.raises(ChannelUnavailable, match="cannot be reached"):
        made.make_calls()
    assert states(shop) == [("planned", None)]
    later(shop, hours=25)
    assert made.make_calls() == 0
    assert states(shop) == [("skipped", "late")]


def test_after_an_outage_and_at_the_end_nothing_old_is_told(shop, crm):
    ann, bob = add(shop, "ann", "bob")
    made = begin(shop, TELL)
    made.enter("tell", [ann])
    later(shop, days=2)
    made.enter("tell", [bob])
    made.tick()
    made.end("tell", by="test")
    assert sorted(states(shop)) == [("skipped", "journey_ended"), ("skipped", "late")]
    assert (made.make_calls(), crm.requests) == (0, [])


def test_only_systems_of_the_settings_are_told(shop, monkeypatch):
    steps = {"crm": TELL["steps"]["crm"] | {"hook": "elsewhere"}}
    with pytest.raises(InvalidRule, match="no system is called 'elsewhere'"):
        Journeys(shop).keep(parse(TELL | {"steps": steps}), by="test")
    long = {"crm": TELL["steps"]["crm"] | {"properties": {"x": "y" * 3_000}}}
    with pytest.raises(InvalidRule, match="too much"):
        parse(TELL | {"steps": long})
    made = begin(shop, TELL)
    made.enter("tell", add(shop, "ann"))
    made.tick()
    monkeypatch.delenv("ZHIYIN_WEBHOOK_SECRET")
    with pytest.raises(ConfigError):
        made.make_calls()


def test_a_killed_process_tells_the_rest(shop, crm, monkeypatch):
    made = begin(shop, TELL)
    made.enter("tell", add(shop, "ann", "bob", "cleo"))
    made.tick()
    real = type(shop.store).begin
    times = iter(range(100))

    def dies(store):
        if next(times) == 2:  # the outcome of the first call is not written
            raise KeyboardInterrupt
        return real(store)

    monkeypatch.setattr(type(shop.store), "begin", dies)
    with pytest.raises(KeyboardInterrupt):
        made.make_calls()
    monkeypatch.undo()
    monkeypatch.setenv("ZHIYIN_WEBHOOK_SECRET", SECRET)
    later(shop, minutes=1)
    made.make_calls()
    assert states(shop) == [("sent", None)] * 3
    assert len({one.headers["webhook-id"] for one in crm.requests}) == 3
