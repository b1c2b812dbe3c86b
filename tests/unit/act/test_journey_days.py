"""Sixty days of journeys: everybody gets what the graph says, whatever the ticks were like."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import ibis
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.act.shop import ZONE, Shop
from zhiyin.act.journeys import engine, ledger
from zhiyin.act.journeys.check import parse
from zhiyin.act.journeys.desk import Desk
from zhiyin.act.journeys.engine import Candidate
from zhiyin.act.journeys.graph import Graph
from zhiyin.act.journeys.tick import has_work, position_of, tick
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.ledger import membership_changes, messages
from zhiyin.store.vault import Keys, LocalVault
from zhiyin.testing.contract_store import LOADED, put
from zhiyin.testing.store import MemoryStore

BEGIN = datetime(2024, 3, 12, 16, tzinfo=UTC)  # noon in New York
LETTER = {"type": "message", "template": "offer", "offer": {"en": "Hello", "zh": "您好"}}
WELCOME = {
    "key": "welcome", "entry": {"type": "event", "on": {"event": "Signed Up"}},
    "goal": {"event": "Left"},
    "steps": {
        "hello": LETTER | {"next": "buys"},
        "buys": {"type": "wait", "on": {"event": "Paid"}, "days": 14, "otherwise": "back"},
        "back": LETTER,
    },
}  # fmt: skip
THREE = {
    "key": "three", "entry": {"type": "api"}, "reentry": "always",
    "steps": {
        "one": LETTER | {"next": "rest"},
        "rest": {"type": "delay", "days": 2, "next": "two"},
        "two": LETTER | {"next": "wait"},
        "wait": {"type": "wait", "on": {"event": "Paid"}, "days": 3, "otherwise": "three"},
        "three": LETTER,
    },
}  # fmt: skip


class Days:
    """A shop in memory, one published journey, and a clock."""

    def __init__(self, shop, definition):
        self.shop, self.at = shop, BEGIN
        self.written, self.inside, self.members = 0, set(), {}
        made = parse(definition)
        held = Graph(made.key, 1, made, {})
        position = position_of(held, shop.store, BEGIN.date())
        with shop.store.begin() as connection:
            ledger.keep(connection, made, by="t", now=naive_utc(BEGIN))
            ledger.publish(connection, made.key, position=position, by="t", now=naive_utc(BEGIN))
        self.key = made.key

    def give_tag(self, connection, step, parties):
        """No journey here gives one."""
        raise AssertionError(step)

    def graphs(self):
        with self.shop.store.begin() as connection:
            return ledger.running(connection, {})

    def does(self, who, name, *, hours=0):
        self.written += 1
        at = naive_utc(self.at - timedelta(hours=hours))
        put(self.shop.store, "events", {
            c.EVENT_ID: f"e{self.written}", c.PARTY_ID: self.shop.party(who), c.OCCURRED_AT: at,
            c.MONTH: f"{at:%Y-%m}", c.RECEIVED_AT: at, c.KIND: "track", c.NAME: name,
            c.SOURCE: "s", c.LOAD_ID: "l", c.LOADED_AT: LOADED,
        }, app=f"event {self.written}")  # fmt: skip

    def tick(self):
        now_s = int(self.at.timestamp())
        desk = Desk(
            self.shop.store, self.shop.vault, self.shop.settings, now_s,
            lambda rule, who: self.inside & set(who or self.inside),
            lambda name: ibis.memtable({name: []}), self.give_tag, self.members,
        )  # fmt: skip
        for graph in self.graphs():
            if has_work(self.shop.store, graph, now_s, zone=ZONE):
                tick(desk, graph)

    def got(self):
        """Key → how many planned, how many skipped as late."""
        with self.shop.store.begin() as connection:
            rows = connection.execute(sa.select(messages)).all()
        found = {}
        for row in rows:
            counts = found.setdefault(row.party_id, [0, 0])
            counts[row.state == "skipped"] += 1
            assert row.reason in (None, "late")
        return found


@pytest.fixture
def roomy(shop):
    return shop.with_settings(cap_messages=1_000)


def test_sixty_days_of_a_welcome(roomy):
    names = ["buyer", "silent", "goer", "import"]
    roomy.add(*names)
    days = Days(roomy, WELCOME)
    days.does("import", "Signed Up", hours=30)
    for who in names[:3]:
        days.does(who, "Signed Up")
    for day in range(60):
        days.tick()
        days.at += timedelta(days=1)
        if day == 5:
            days.does("buyer", "Paid")
        if day == 8:
            days.does("goer", "Left")
        if day == 40:
            days.does("silent", "Signed Up")  # once in a life
    party = roomy.party
    assert days.got() == {party("buyer"): [1, 0], party("silent"): [2, 0], party("goer"): [1, 0]}
    with roomy.store.begin() as connection:
        left = {row.reason: row.n for row in ledger.read_people(connection, "welcome")}
        late = [(row.what, row.n) for row in ledger.read_counts(connection, "welcome")]
    assert (left, late) == ({"finished": 2, "goal": 1}, [("late", 1)])


def test_a_purchase_during_an_outage_still_ends_the_wait(roomy):
    roomy.add("ann")
    days = Days(roomy, WELCOME)
    days.does("ann", "Signed Up")
    days.at += timedelta(hours=1)
    days.does("ann", "Paid")  # nobody ticked between the two
    days.tick()
    days.at += timedelta(days=20)
    days.tick()
    assert days.got() == {roomy.party("ann"): [1, 0]}


def test_a_tick_that_is_killed_plans_nothing_twice(roomy, monkeypatch):
    roomy.add("ann", "bob")
    days = Days(roomy, WELCOME)
    days.does("ann", "Signed Up")
    days.does("bob", "Signed Up")

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(engine, "move", die)  # after the rows of messages, before the movement
        with pytest.raises(KeyboardInterrupt):
            days.tick()
    assert days.got() == {}
    days.tick()
    days.tick()
    assert days.got() == {roomy.party("ann"): [1, 0], roomy.party("bob"): [1, 0]}


def test_at_night_she_waits_for_the_morning(roomy):
    roomy.add("ann")
    days = Days(roomy, WELCOME)
    days.at = BEGIN + timedelta(hours=11)  # 23:00 in New York
    days.does("ann", "Signed Up")
    days.tick()
    assert days.got() == {}
    days.at += timedelta(hours=10)
    days.tick()
    assert days.got() == {roomy.party("ann"): [1, 0]}


def test_two_records_of_one_person_get_one_message(roomy):
    roomy.add("ann", "anna")
    days = Days(roomy, THREE)
    (graph,) = days.graphs()
    at_s = int(days.at.timestamp())
    made = [Candidate(roomy.party(one), "o", at_s) for one in ("ann", "anna")]
    with roomy.store.begin() as connection:
        assert engine.enter(connection, graph, made) == 2
    roomy.merge("anna", "ann")
    days.tick()
    with roomy.store.begin() as connection:
        found = {row.reason: row.n for row in ledger.read_people(connection, "three")}
    assert (days.got(), found) == ({roomy.party("ann"): [1, 0]}, {None: 1, "merged": 1})


SPLIT = {
    "steps": {
        "who": {"type": "split", "rule": {"type": "tag", "tag": "vip"}, "then": "hello"},
        "hello": LETTER,
    },
}  # fmt: skip


def test_a_schedule_asks_on_its_days_and_a_split_by_rule_when_she_comes(roomy):
    roomy.add("ann", "bob")
    rule = {"type": "tag", "tag": "any"}
    entry = {"type": "schedule", "rule": rule, "every_days": 7, "hour": 12}
    days = Days(roomy, {"key": "weekly", "entry": entry, "reentry": "always", **SPLIT})
    days.inside = {roomy.party("ann")}
    for _ in range(15 * 2):  # twice a day: 12 March, 19 March, 26 March
        days.tick()
        days.at += timedelta(hours=12)
    assert days.got() == {roomy.party("ann"): [3, 0]}


def test_a_change_of_an_audience_brings_in_and_leads_out(roomy):
    roomy.add("ann", "bob")
    entry = {"type": "audience", "audience": "new"}
    rest = {"rest": {"type": "delay", "days": 2, "next": "hello"}, "hello": LETTER}
    days = Days(roomy, {"key": "new", "entry": entry, "leave": {"audience": "new"}, "steps": rest})

    def change(who, *, entered, hours=0):
        with roomy.store.begin() as connection:
            connection.execute(membership_changes.insert().values(
                audience="new", version=1, customer_id=roomy.party(who), entered=entered,
                as_of_on=days.at.date(), at=naive_utc(days.at - timedelta(hours=hours)),
            ))  # fmt: skip

    for who in ("ann", "bob"):
        change(who, entered=True)
    change("late", entered=True, hours=30)
    days.tick()
    days.at += timedelta(days=1)
    change("bob", entered=False)
    for _ in range(3):
        days.tick()
        days.at += timedelta(days=1)
    assert days.got() == {roomy.party("ann"): [1, 0]}
    with roomy.store.begin() as connection:
        left = {row.reason: row.n for row in ledger.read_people(connection, "new")}
    assert left == {"finished": 1, "audience": 1}


WHAT = st.one_of(
    st.integers(-30, 100).map(lambda hours: ("clock", hours)),
    st.sampled_from([("pause", 0), ("resume", 0), ("enter", 0), ("tick", 0), ("pays", 0)]),
)


@settings(max_examples=6, deadline=None)
@given(st.lists(WHAT, max_size=12))
def test_nobody_gets_a_step_twice(happened):
    store = MemoryStore(zone=ZONE)
    shop = Shop(store, LocalVault(Keys.make(), store.ledger)).with_settings(cap_messages=1_000)
    shop.add("ann")
    days, ann, entered, paused = Days(shop, THREE), shop.party("ann"), 0, False
    moves = SimpleNamespace(pause=ledger.pause, resume=ledger.resume)
    for what, hours in [("enter", 0), *happened, ("resume", 0), ("clock", 24 * 30), ("tick", 0)]:
        days.at += timedelta(hours=hours)
        if what == "enter" and not paused:
            (graph,) = days.graphs()
            entered += 1
            at_s = int(days.at.timestamp())
            with store.begin() as connection:
                engine.enter(connection, graph, [Candidate(ann, f"o{entered}", at_s)])
        elif what in ("pause", "resume") and paused == (what == "resume"):
            paused = what == "pause"
            with store.begin() as connection:
                getattr(moves, what)(connection, "three", by="t", now=naive_utc(days.at))
        elif what == "pays":
            days.does("ann", "Paid")
        elif what in ("tick", "clock"):
            days.tick()
    with store.begin() as connection:
        (people,) = ledger.read_people(connection, "three")
    planned, skipped = days.got()[ann]
    assert people.reason == "finished"
    assert 2 * people.n <= planned + skipped <= 3 * people.n
    store.close()
