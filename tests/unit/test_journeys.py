"""Journeys in a workspace: people get what the graph says, once, whatever happens in between."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.unit.act.shop import opened
from tests.unit.test_live_audiences import track
from zhiyin.act.journeys import engine
from zhiyin.act.journeys.check import parse
from zhiyin.app import Workspace
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, naive_utc
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import InvalidParameter, InvalidRule, NotFound
from zhiyin.core.ledger import consents, journey_people, manual_tags, messages
from zhiyin.journeys import Journeys
from zhiyin.profile.definition import parse as tag_definition
from zhiyin.store.ledger import reading, transaction
from zhiyin.tags import Tags

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORDS = {"en": "Welcome", "zh": "欢迎"}
LETTER = {"type": "message", "template": "offer", "offer": WORDS}
WELCOME = {
    "key": "welcome",
    "entry": {"type": "event", "on": {"event": "Signed Up"}},
    "steps": {
        "hello": LETTER | {"next": "wait"},
        "wait": {"type": "wait", "on": {"event": "Paid"}, "days": 14, "otherwise": "back"},
        "back": LETTER,
    },
}
BIRTHDAY = {
    "key": "birthday", "reentry": "always",
    "entry": {"type": "date", "offset_days": -2},
    "steps": {"wish": LETTER | {"valid_hours": 48}},
}  # fmt: skip


@pytest.fixture
def shop(tmp_path):
    values = {"name": "shop", "currency": "EUR", "zone": "UTC", "demo": True,
              "act": {"cap_messages": 100}}  # fmt: skip
    Workspace.create(tmp_path / "shop", validate_settings(values, where="test")).close()
    with Workspace.open(tmp_path / "shop", write=True, clock=FrozenClock(NOW)) as made:
        yield made


def begin(shop, definition):
    """Publish a journey."""
    made = Journeys(shop)
    made.keep(parse(definition), by="test")
    made.publish(definition["key"], by="test")
    return made


def add(shop, *users, properties=None, **personal):
    """Customers with an address and a consent."""
    parties = shop.vault.party_ids("user_id", list(users))
    long_ago = naive_utc(NOW - timedelta(days=90))
    loaded = {c.SOURCE: "s", c.LOAD_ID: "l", c.LOADED_AT: long_ago}
    revision = {c.REVISION: 1, c.VALID_AT: long_ago, c.RECORDED_AT: long_ago, c.OP: "upsert"}
    fields = [{"email": f"{one}@shop.example"} | personal for one in users]
    blobs = shop.vault.seal(parties, fields)
    rows = [
        {c.PARTY_ID: party, c.LANGUAGE: "en", c.UNDATED: False, c.PERSONAL: blob,
         c.PROPERTIES: json.dumps(properties or {}), **revision, **loaded}
        for party, blob in zip(parties, blobs, strict=True)
    ]  # fmt: skip
    shop.store.append("customers", pa.Table.from_pylist(rows), app=f"people {users}")
    with transaction(shop.store.ledger) as connection:
        connection.execute(consents.insert(), [
            {"consent_id": party, "party_id": party, "purpose": "marketing", "channel": "email",
             "granted": True, "at": long_ago, "source": "s"} for party in parties
        ])  # fmt: skip
    return parties


def line_of(shop, party, product, order):
    """A line of an order, now."""
    at = naive_utc(shop.clock.now())
    row = {
        c.LINE_ID: f"s:{order}:1",
        c.ORDER_ID: f"s:{order}",
        c.PARTY_ID: party,
        c.PRODUCT_ID: product,
        c.KIND: "item",
        c.QUANTITY: 1.0,
        c.SOLD_AT: at,
        c.MONTH: f"{at:%Y-%m}",
        c.REVISION: 1,
        c.VALID_AT: at,
        c.RECORDED_AT: at,
        c.OP: "upsert",
        c.SUSPECT: False,
        c.CURRENCY: "EUR",
        c.SOURCE: "s",
        c.LOAD_ID: "l",
        c.LOADED_AT: at,
    }
    return row | dict.fromkeys((c.AMOUNT_MINOR, c.AMOUNT_BASE_MINOR), 0)


def buy(shop, party, product, order):
    """An order of one line, now."""
    row = line_of(shop, party, product, order)
    shop.store.append("order_lines", pa.Table.from_pylist([row]), app=f"order {order}")


def later(shop, **by):
    shop.clock.at += timedelta(**by)


def got(shop):
    """Messages by party: (state, reason), in the order of planning."""
    with reading(shop.store.ledger) as connection:
        rows = connection.execute(sa.select(messages).order_by(messages.c.planned_at)).all()
    found = {}
    for row in rows:
        found.setdefault(row.party_id, []).append((row.state, row.reason))
    return found


def why(shop):
    with reading(shop.store.ledger) as connection:
        rows = connection.execute(sa.select(journey_people.c.party_id, journey_people.c.reason))
        return dict(rows.all())


def test_an_event_brings_in_and_another_ends_the_wait(shop):
    ann, bob = add(shop, "ann", "bob")
    made = begin(shop, WELCOME)
    track(shop, "ann", "Signed Up")
    track(shop, "bob", "Signed Up")
    shop.compact()
    (done,) = made.tick(deliver=True)
    assert done.entered == 2
    later(shop, days=1)
    track(shop, "bob", "Paid")
    shop.compact()
    made.tick(deliver=True)
    later(shop, days=13)
    made.tick(deliver=True)
    assert got(shop) == {ann: [("sent", None)] * 2, bob: [("sent", None)]}
    assert why(shop) == {ann: "finished", bob: "finished"}
    assert made.tick() == []


def test_what_a_crash_left_on_its_way_is_settled_though_nothing_else_waits(shop):
    (ann,) = add(shop, "ann")
    made = begin(shop, WELCOME)
    track(shop, "ann", "Signed Up")
    shop.compact()
    made.tick()
    with transaction(shop.store.ledger) as connection:  # as a killed worker leaves it
        connection.execute(messages.update().values(state="sending"))
    made.tick(deliver=True)
    assert got(shop) == {ann: [("sent", None)]}  # the sink told that it has it not


def test_only_an_event_that_meets_the_conditions_brings_in_and_ends_the_wait(shop):
    (ann, _) = add(shop, "ann", "bob")
    gold = [{"column": "properties.plan", "value": "gold"}]
    much = [{"column": "properties.total", "op": "ge", "value": 50}]
    steps = {"wait": {"type": "wait", "on": {"event": "Paid", "where": much}, "days": 2,
                      "then": "thanks"}, "thanks": LETTER}  # fmt: skip
    entry = {"type": "event", "on": {"event": "Signed Up", "where": gold}}
    made = begin(shop, WELCOME | {"entry": entry, "steps": steps})
    track(shop, "ann", "Signed Up", plan="gold")
    track(shop, "bob", "Signed Up", plan="free")
    shop.compact()
    (done,) = made.tick()
    assert done.entered == 1
    later(shop, hours=1)
    track(shop, "ann", "Paid", total=20)
    shop.compact()
    made.tick(deliver=True)
    assert got(shop) == {}
    later(shop, hours=1)
    track(shop, "ann", "Paid", total=60)
    shop.compact()
    made.tick(deliver=True)
    assert got(shop) == {ann: [("sent", None)]}


def test_a_purchase_of_a_category_is_told_from_others(shop):
    (ann,) = add(shop, "ann")
    on = {"purchase": True, "where": [{"column": "category", "value": "Tea"}]}
    made = begin(shop, WELCOME | {"entry": {"type": "event", "on": on}})
    product = {c.REVISION: 1, c.VALID_AT: naive_utc(NOW), c.RECORDED_AT: naive_utc(NOW),
               c.OP: "upsert", c.SOURCE: "s", c.LOAD_ID: "l",
               c.LOADED_AT: naive_utc(NOW)}  # fmt: skip
    shop.store.append("products", pa.Table.from_pylist([
        product | {c.PRODUCT_ID: f"s:{one}", c.CATEGORY: one} for one in ("Tea", "Cups")
    ]), app="products")  # fmt: skip
    buy(shop, ann, "s:Cups", "o1")
    assert made.tick() == [] or why(shop) == {}
    buy(shop, ann, "s:Tea", "o2")
    (done,) = made.tick()
    assert (done.entered, why(shop)) == (1, {ann: None})


def test_a_step_sends_a_text_of_its_own_in_a_language_that_it_has(shop):
    ann, bob = add(shop, "ann", "bob")
    mail = {"type": "message", "zh": {"subject": "{{ shop }}", "text": "您好"}, "en": {
        "subject": "Hello from {{ shop }}", "text": "Dear {{ name }},\n\ncome in.",
        "link": "https://shop.example/a", "link_text": "In"}}  # fmt: skip
    made = begin(shop, WELCOME | {"steps": {"hello": mail}})
    track(shop, "ann", "Signed Up")
    shop.compact()
    made.tick(deliver=True)
    assert got(shop) == {ann: [("sent", None)]}
    (mail_file,) = (shop.folder / "outbox").glob("*.eml")
    letter = opened(mail_file.read_bytes())
    assert letter["Subject"] == "Hello from shop"
    assert "come in." in letter.get_body(["plain"]).get_content()
    assert "List-Unsubscribe" in letter
    again = begin(
        shop, WELCOME | {"steps": {"hello": mail | {"en": mail["en"] | {"text": "New."}}}}
    )
    track(shop, "bob", "Signed Up")
    shop.compact()
    again.tick(deliver=True)  # the text of her version, though a newer one is there
    assert got(shop)[bob] == [("sent", None)]


@pytest.mark.parametrize(
    ("letter", "error", "said"),
    [
        ({"subject": "", "text": "x"}, InvalidRule, "steps.hello.en"),
        ({"subject": "s", "text": "x", "link": "javascript:1"}, InvalidRule, "link"),
        ({"subject": "{{ price }}", "text": "x"}, InvalidParameter, "step hello in en"),
    ],
)
def test_a_text_that_cannot_be_sent_is_refused(shop, letter, error, said):
    with pytest.raises(error, match=said):
        begin(shop, WELCOME | {"steps": {"hello": {"type": "message", "en": letter}}})


def test_what_happened_before_the_window_enters_only_with_its_number(shop):
    (ann,) = add(shop, "ann")
    made = begin(shop, WELCOME)
    track(shop, "ann", "Signed Up", at=NOW - timedelta(days=2))
    shop.compact()
    (done,) = made.tick()
    assert (done.entered, done.late) == (0, 1)
    assert made.shown("welcome")["counts"][0]["n"] == 1
    since = (NOW - timedelta(days=5)).date()
    assert made.enter_past("welcome", since=since, count=None) == {"found": 1, "entered": 0}
    assert made.enter_past("welcome", since=since, count=1) == {"found": 1, "entered": 1}
    assert made.enter_past("welcome", since=since, count=1) == {"found": 1, "entered": 0}
    assert why(shop) == {ann: None}


def test_a_birthday_comes_once_a_year_also_after_an_outage(shop):
    (ann,) = add(shop, "ann", birthday="1990-03-05")
    (leap,) = add(shop, "leap", birthday="1988-02-29")
    made = begin(shop, BIRTHDAY)
    shop.clock.at = datetime(2026, 3, 4, 12, tzinfo=UTC)  # nobody ticked on the third
    for _ in range(2):
        made.tick(deliver=True)
    assert got(shop) == {ann: [("sent", None)]}
    shop.clock.at = datetime(2027, 2, 27, 12, tzinfo=UTC)  # 26 February is two days before
    made.tick(deliver=True)
    assert got(shop)[leap] == [("sent", None)]
    shop.clock.at = datetime(2027, 3, 20, 12, tzinfo=UTC)
    made.tick(deliver=True)
    assert got(shop)[ann] == [("sent", None), ("skipped", "late")]


def test_a_date_of_ones_own_that_comes_once_brings_in_on_its_day_alone(shop):
    (ann,) = add(shop, "ann", properties={"wedding": "2026-03-10"})
    (bob,) = add(shop, "bob", properties={"wedding": "2025-03-10"})  # a year ago
    add(shop, "cleo", properties={"wedding": "soon"})
    entry = {"type": "date", "field": "properties.wedding", "repeats": "once", "offset_days": -7}
    made = begin(shop, BIRTHDAY | {"key": "wedding", "entry": entry})
    later(shop, days=1)
    made.tick(deliver=True)
    assert got(shop) == {}
    later(shop, days=1)  # 3 March, a week before
    made.tick(deliver=True)
    assert got(shop) == {ann: [("sent", None)]}
    for _ in range(3):
        later(shop, days=365)
        made.tick(deliver=True)
    assert got(shop) == {ann: [("sent", None)]}
    assert bob not in why(shop)


def test_who_is_simulated_sees_every_step_and_nothing_is_kept(shop):
    ann, bob = add(shop, "ann", "bob")
    buy(shop, ann, "s:tea", "1")
    later(shop, minutes=1)
    bought = {"type": "behaviour", "table": "order_lines", "op": "ge", "value": 1}
    steps = {
        "rest": {"type": "delay", "days": 2, "next": "buyer"},
        "buyer": {"type": "split", "rule": bought, "then": "thanks", "otherwise": "wait"},
        "thanks": LETTER,
        "wait": {"type": "wait", "on": {"purchase": True}, "days": 3, "otherwise": "tell"},
        "tell": {"type": "webhook", "hook": "crm", "next": "best"},
        "best": {"type": "next_best_action", "reward": {"purchase": True},
                 "actions": {"write": {"next": "thanks"}, "rest": {}}},
    }  # fmt: skip
    trial = parse({"key": "trial", "entry": {"type": "api"}, "steps": steps})
    walks = Journeys(shop).simulate(trial, [ann, bob])
    told = {one: [(step.step, step.what) for step in walk] for one, walk in walks.items()}
    assert told[ann] == [
        ("rest", "waits"), ("buyer", "meets the rule"), ("thanks", "message"), ("", "finished"),
    ]  # fmt: skip
    assert told[bob][1:] == [
        ("buyer", "meets it not"), ("wait", "waits until the time is over"),
        ("tell", "crm is told"), ("best", "gets write or rest; shown: write"),
        ("thanks", "message"), ("", "finished"),
    ]  # fmt: skip
    assert (walks[bob][-1].at - shop.clock.at).days == 5
    assert (got(shop), why(shop)) == ({}, {})
    with pytest.raises(NotFound, match="customer 2"):
        Journeys(shop).simulate(trial, [ann, "nobody@shop.example"])


def test_after_a_pause_what_came_due_too_long_ago_is_skipped(shop):
    (ann,) = add(shop, "ann")
    made = begin(shop, WELCOME | {"entry": {"type": "api"}})
    assert made.enter("welcome", [ann, "nobody"]) == {"entered": 1, "refused": 0, "unknown": 1}
    made.pause("welcome", by="test")
    assert made.tick() == []
    later(shop, days=3)
    (stuck,) = made.stuck()
    assert (stuck["customer_id"], stuck["why"]) == (ann, "paused")
    with pytest.raises(InvalidParameter, match="not published"):
        made.enter("welcome", [ann])
    made.resume("welcome", by="test")
    made.tick(deliver=True)
    assert got(shop) == {ann: [("skipped", "late")]}
    made.end("welcome", by="test")
    assert why(shop) == {ann: "ended"}


def test_people_stay_on_their_version(shop):
    ann, bob = add(shop, "ann", "bob")
    made = begin(shop, WELCOME | {"entry": {"type": "api"}})
    made.enter("welcome", [ann])
    made.tick()
    second = {"key": "welcome", "entry": {"type": "api"}, "steps": {"bye": {"type": "exit"}}}
    assert made.keep(parse(second), by="test").version == 2
    made.publish("welcome", by="test")
    made.enter("welcome", [bob])
    made.tick()
    assert why(shop) == {ann: None, bob: "finished"}
    later(shop, days=15)
    made.tick()
    assert why(shop) == {ann: "finished", bob: "finished"}
    assert len(got(shop)[ann]) == 2


TAGGING = {
    "key": "vip", "entry": {"type": "api"}, "reentry": "always",
    "steps": {
        "mark": {"type": "tag", "name": "guest", "value": "gold", "days": 7, "next": "rest"},
        "rest": {"type": "delay", "days": 2, "next": "unmark"},
        "unmark": {"type": "tag", "name": "guest", "take": True},
    },
}  # fmt: skip


def guest(shop, **body):
    words = {"label": "Guest", "label_zh": "贵宾", "owner": "crm", "path": "service"}
    definition = tag_definition(words | {"body": {"kind": "manual"} | body})
    Tags(shop.store, shop.vault, shop.clock).create("guest", definition, by="test")


def entries(shop):
    t = manual_tags.c
    query = sa.select(t.party_id, t.given, t.value, t.start_on, t.end_on).order_by(t.entry_id)
    with reading(shop.store.ledger) as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_a_step_gives_a_tag_once_and_another_takes_it(shop, monkeypatch):
    guest(shop, values=["gold"])
    (ann,) = add(shop, "ann")
    made = begin(shop, TAGGING)
    assert made.enter("vip", [ann])["entered"] == 1
    move = engine.move
    monkeypatch.setattr(engine, "move", lambda *words, **named: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        made.tick()
    assert entries(shop) == []  # the tag and the step onwards are one transaction
    monkeypatch.setattr(engine, "move", move)
    made.tick()
    later(shop, days=2)
    made.tick()
    assert entries(shop) == [
        (ann, True, "gold", NOW.date(), NOW.date() + timedelta(days=6)),
        (ann, False, None, NOW.date() + timedelta(days=2), None),
    ]
    assert why(shop) == {ann: "finished"}


def test_a_journey_names_tags_and_audiences_that_there_are(shop):
    with pytest.raises(NotFound, match="no tag 'guest'"):
        begin(shop, TAGGING)
    guest(shop)
    with pytest.raises(InvalidRule, match="takes no value"):
        begin(shop, TAGGING)
    with pytest.raises(NotFound, match="no audience 'regulars'"):
        begin(shop, WELCOME | {"entry": {"type": "audience", "audience": "regulars"}})
