"""Calls for shop staff: on the home store's list, gated when taken, answered in one transaction."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.unit.act.shop import DAY, LONG_AGO, REVISION, ZONE, Shop
from zhiyin.act import job
from zhiyin.act.campaigns.definition import parse_definition
from zhiyin.act.campaigns.ledger import find_campaign
from zhiyin.act.tasks import ledger
from zhiyin.act.tasks.answers import answer_task
from zhiyin.audiences import Audiences
from zhiyin.campaigns import Campaigns
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, run_moment
from zhiyin.core.errors import InvalidParameter, LeaseHeld, NotFound
from zhiyin.core.ledger import audit, consents, messages, reactions, suppressions, tasks
from zhiyin.store.vault import Keys, LocalVault
from zhiyin.tasks import Tasks, tasks_of
from zhiyin.testing.contract_store import put
from zhiyin.testing.store import MemoryStore

NOON = run_moment(DAY, ZONE) + timedelta(hours=3)
FOR_ALL = {"type": "trait", "field": "language", "op": "in", "value": ["en", "zh"]}
KEY = "calls"
TEXT = {
    "en": {"subject": "Spring", "text": "Hello {{ name }}, {{ shop }} speaking."},
    "zh": {"subject": "春季", "text": "{{ name }}您好，这里是{{ shop }}。"},
}
OFFER = {"offer_en": "10% off", "offer_zh": "九折"}


class Desk:
    def __init__(self, shop):
        self.shop = shop
        self.clock = FrozenClock(NOON)
        self._lines = 0

    @property
    def campaigns(self):
        ctx = self.shop.context(clock=self.clock)
        return Campaigns(ctx, Audiences(self.shop.store, self.shop.vault, self.clock, DAY))

    def tasks(self, only=None) -> Tasks:
        shop = self.shop
        return tasks_of(shop.store, shop.vault, shop.settings, self.clock, only=only)

    def add(self, *keys, **personal):
        numbers = {key: f"+1312555{number:04d}" for number, key in enumerate(keys, 100)}
        for key in keys:
            self.shop.add(key, **{"phone": numbers[key], "first_name": key.title()} | personal)
        self.agree(*keys)

    def agree(self, *keys, granted=True, days=0):
        rows = [
            {"consent_id": f"{key}|call|{granted}|{days}", "party_id": self.shop.party(key),
             "purpose": "marketing", "channel": "call", "granted": granted,
             "at": LONG_AGO + timedelta(days=days), "source": "s"}
            for key in keys
        ]  # fmt: skip
        with self.shop.store.begin() as connection:
            connection.execute(consents.insert(), rows)

    def bought(self, key, *stores):
        """One order in each of the stores, one a day."""
        rows = []
        for number, store in enumerate(stores):
            at = LONG_AGO + timedelta(days=number)
            self._lines += 1
            rows.append(
                {c.LINE_ID: f"s:o{self._lines}:1", c.ORDER_ID: f"s:o{self._lines}",
                 c.PARTY_ID: self.shop.party(key), c.SOLD_AT: at, c.MONTH: f"{at:%Y-%m}",
                 c.STORE_ID: store, c.KIND: "item", c.QUANTITY: 1.0, c.CURRENCY: "USD",
                 c.SUSPECT: False, **REVISION}
            )  # fmt: skip
        put(self.shop.store, "order_lines", *rows, app=f"lines {self._lines}")

    def start(self, key=KEY, **changes):
        task = OFFER | changes.pop("task", {})
        made = {"key": key, "rule": FOR_ALL, "channel": "task", "task": task,
                "variants": [{"name": "a", **TEXT}]} | changes  # fmt: skip
        self.campaigns.create(parse_definition(made), by="Ana")
        self.campaigns.start(key, by="Ana")
        self.campaigns.plan(key)
        return self.put(key)

    def put(self, key=KEY):
        ctx = self.shop.context(clock=self.clock)
        return job.deliver(ctx, f"zhiyin:{key}", progress=lambda *_: None)

    def rows(self, table):
        with self.shop.store.begin() as connection:
            return connection.execute(sa.select(table)).all()

    def states(self):
        return Counter((row.state, row.reason) for row in self.rows(messages))

    def of(self, key):
        party = self.shop.party(key)
        return next(row for row in self.rows(tasks) if row.party_id == party).message_id


@pytest.fixture
def desk():
    store = MemoryStore(zone=ZONE)
    yield Desk(Shop(store, LocalVault(Keys.make(), store.ledger)))
    store.close()


def test_a_call_stands_on_the_list_of_the_store_where_she_buys_most(desk):
    desk.add("often", "equal", "none")
    desk.shop.add("no", consent=True, phone="+13125550199")
    desk.bought("often", "s:north", "s:north", "s:south")
    desk.bought("equal", "s:north", "s:south")
    counts = desk.start()
    assert (counts["open"], counts["skipped"]) == (3, {"consent_missing": 1})
    found = {one["name"]: one["store_id"] for one in desk.tasks().listed(names=True)}
    assert found == {"Often": "s:north", "Equal": "s:south", "None": ""}
    assert [one["name"] for one in desk.tasks().listed(store_id="", names=True)] == ["None"]
    assert [one["store"] for one in desk.tasks().listed(store_id="")] == ["the central office"]


def test_a_campaign_may_ask_for_the_last_store(desk):
    desk.add("often")
    desk.bought("often", "s:north", "s:north", "s:south")
    desk.start(task={"store": "last"})
    assert [one["store_id"] for one in desk.tasks().listed()] == ["s:south"]


def test_putting_again_adds_nothing(desk):
    desk.add("a", "b")
    desk.start()
    before = desk.rows(tasks)
    desk.put()
    assert desk.rows(tasks) == before
    assert desk.states() == {("planned", None): 2}


def test_it_says_what_to_say_in_her_language_and_what_to_offer_in_the_reader_s(desk):
    desk.add("li", language="zh")
    desk.start()
    (one,) = desk.tasks().listed(names=True, language="en")
    assert one["say"]["text"] == "Li您好，这里是Shop & Söhne。"
    assert one["offer"] == "10% off"
    assert one["until"].startswith((DAY + timedelta(days=7)).isoformat())
    (other,) = desk.tasks().listed(names=False, language="zh")
    assert other["offer"] == "九折"
    assert not {"name", "phone", "note"} & set(other)
    assert "Li" not in json.dumps(other, ensure_ascii=False)


def test_the_number_is_shown_to_who_took_it_and_to_nobody_else(desk):
    desk.add("a")
    desk.start()
    assert [one["phone"] for one in desk.tasks().listed(names=True, by="Bo")] == [""]
    taken = desk.tasks().take(desk.of("a"), by="Bo")
    assert (taken["phone"], taken["state"], taken["taken_by"]) == ("+13125550100", "taken", "Bo")
    assert [one["phone"] for one in desk.tasks().listed(names=True, by="Cy")] == [""]
    assert [one["phone"] for one in desk.tasks().listed(names=True, by="Bo")] == ["+13125550100"]
    assert desk.states() == {("sending", None): 1}
    with pytest.raises(LeaseHeld):
        desk.tasks().take(desk.of("a"), by="Cy")
    with pytest.raises(LeaseHeld):
        desk.tasks().answer(desk.of("a"), "done", by="Cy")
    desk.clock.at += timedelta(minutes=31)
    assert desk.tasks().take(desk.of("a"), by="Cy")["taken_by"] == "Cy"


def test_who_was_reached_was_sent_it_and_the_campaign_is_done(desk):
    desk.add("a")
    desk.start()
    desk.tasks().take(desk.of("a"), by="Bo")
    done = desk.tasks().answer(desk.of("a"), "done", by="Bo", note="comes on Friday")
    assert (done["state"], done["answered_by"]) == ("done", "Bo")
    assert desk.states() == {("sent", None): 1}
    (reaction,) = desk.rows(reactions)
    assert (reaction.kind, reaction.detail) == ("reached", "task")
    assert desk.put()["sent"] == 1
    assert desk.campaigns.shown(KEY)["state"] == "done"
    assert desk.tasks().listed() == []
    (shown,) = desk.tasks().listed(closed=True, names=True)
    assert shown["note"] == "comes on Friday"
    assert b"Friday" not in desk.rows(tasks)[0].note
    said = [(row.actor, row.action) for row in desk.rows(audit)]
    assert said[-3:] == [("Bo", "task.taken"), ("Bo", "task.done"), ("delivery", "campaign.done")]
    assert desk.shop.party("a") not in str([row.detail for row in desk.rows(audit)])


def test_the_same_answer_twice_is_one(desk):
    desk.add("a")
    desk.start()
    for _ in range(2):
        desk.tasks().answer(desk.of("a"), "done", by="Bo")
    assert len(desk.rows(reactions)) == 1
    with pytest.raises(InvalidParameter, match="done already"):
        desk.tasks().answer(desk.of("a"), "refused", by="Bo")


def test_of_two_answers_at_once_one_counts(desk):
    """As on a server whose transactions do not exclude each other: both have read it as open."""
    desk.add("a")
    desk.start()
    with desk.shop.store.begin() as connection:
        held = find_campaign(connection, KEY)
        task = ledger.find_task(connection, desk.of("a"))
        said = {"note": None, "at": NOON, "zone": ZONE}
        answer_task(connection, task, held, "missed", by="Bo", **said)
        with pytest.raises(LeaseHeld):
            answer_task(connection, task, held, "refused", by="Cy", **said)
    assert [row.kind for row in desk.rows(reactions)] == ["not_reached"]


def test_who_was_not_reached_comes_back_tomorrow_until_it_was_tried_enough(desk):
    desk.add("a")
    desk.start(task={"tries": 2})
    desk.tasks().take(desk.of("a"), by="Bo")
    assert desk.tasks().answer(desk.of("a"), "missed", by="Bo")["state"] == "open"
    assert desk.tasks().listed() == []
    with pytest.raises(InvalidParameter, match="today already"):
        desk.tasks().take(desk.of("a"), by="Bo")
    with pytest.raises(InvalidParameter, match="today already"):
        desk.tasks().answer(desk.of("a"), "missed", by="Bo")
    assert desk.states() == {("planned", None): 1}
    desk.clock.at += timedelta(days=1)
    assert [one["tries"] for one in desk.tasks().listed()] == [1]
    assert desk.tasks().answer(desk.of("a"), "missed", by="Bo")["state"] == "missed"
    assert desk.states() == {("failed", "not_reached"): 1}
    assert [row.kind for row in desk.rows(reactions)] == ["not_reached", "not_reached"]


def test_a_refusal_is_a_withdrawal_and_holds_at_once(desk):
    desk.add("a")
    desk.start()
    desk.tasks().take(desk.of("a"), by="Bo")
    desk.tasks().answer(desk.of("a"), "refused", by="Bo")
    (line,) = [row for row in desk.rows(consents) if row.source == "task"]
    assert (line.purpose, line.channel, line.granted) == ("marketing", "call", False)
    assert [(row.channel, row.reason) for row in desk.rows(suppressions)] == [
        ("call", "unsubscribed")
    ]
    assert [row.kind for row in desk.rows(reactions)] == ["unsubscribe"]
    assert desk.states() == {("sent", None): 1}
    assert desk.start("more")["skipped"] == {"suppressed": 1}
    assert desk.campaigns.shown(KEY)["ends"]["unsubscribes"] == 1


def test_a_consent_withdrawn_since_takes_the_call_off_the_list(desk):
    desk.add("a")
    desk.start()
    desk.agree("a", granted=False, days=1)
    with pytest.raises(InvalidParameter, match="off the list"):
        desk.tasks().take(desk.of("a"), by="Bo")
    assert desk.states() == {("skipped", "consent_refused"): 1}
    (task,) = desk.tasks().listed(closed=True)
    assert (task["state"], task["reason_words"]) == ("withdrawn", "refused to be contacted so")


def test_at_night_nobody_is_called_and_the_call_stays(desk):
    desk.add("a")
    desk.clock.at = run_moment(DAY, ZONE) + timedelta(hours=14)  # 23:00
    desk.start()
    assert len(desk.tasks().listed()) == 1
    with pytest.raises(InvalidParameter, match="stays on the list"):
        desk.tasks().take(desk.of("a"), by="Bo")
    assert desk.states() == {("planned", None): 1}
    desk.clock.at += timedelta(hours=12)
    assert desk.tasks().take(desk.of("a"), by="Bo")["phone"]


def test_caps_count_calls_that_were_made_and_not_lists(desk):
    desk.shop = desk.shop.with_settings(caps=("call:1/7d",))
    desk.add("a")
    desk.start()
    desk.start("second")
    both = [row.message_id for row in desk.rows(tasks)]
    assert len(both) == 2
    desk.tasks().take(both[0], by="Bo")
    with pytest.raises(InvalidParameter, match="stays on the list"):
        desk.tasks().take(both[1], by="Bo")
    assert desk.tasks().take(both[0], by="Bo")["state"] == "taken"


def test_what_nobody_called_in_time_is_over_and_what_was_not_answered_is_in_doubt(desk):
    desk.add("a", "b", "d")
    desk.start(task={"days": 2})
    desk.tasks().take(desk.of("b"), by="Bo")
    desk.tasks().answer(desk.of("d"), "missed", by="Bo")
    desk.clock.at += timedelta(days=2)
    assert desk.tasks().listed() == []
    desk.put()
    assert desk.states() == {
        ("skipped", "not_called"): 1, ("unknown", "no_answer"): 1, ("failed", "not_reached"): 1,
    }  # fmt: skip
    assert {row.state for row in desk.rows(tasks)} == {"expired"}
    assert desk.campaigns.shown(KEY)["state"] == "done"


def test_a_pause_hides_the_calls_and_a_cancellation_takes_them_off(desk):
    desk.add("a", "b")
    desk.start()
    desk.tasks().take(desk.of("b"), by="Bo")
    desk.campaigns.pause(KEY, by="Ana")
    assert desk.tasks().listed() == []
    with pytest.raises(InvalidParameter, match="paused"):
        desk.tasks().take(desk.of("a"), by="Bo")
    desk.campaigns.resume(KEY, by="Ana")
    assert len(desk.tasks().listed()) == 2
    desk.campaigns.cancel(KEY, by="Ana")
    assert {row.state for row in desk.rows(tasks)} == {"withdrawn", "taken"}
    desk.tasks().answer(desk.of("b"), "done", by="Bo")
    assert desk.states() == {("skipped", "cancelled"): 1, ("sent", None): 1}


def test_who_works_for_one_store_sees_and_answers_its_calls_alone(desk):
    desk.add("a", "b")
    desk.bought("a", "s:north")
    desk.bought("b", "s:south")
    desk.start()
    north = desk.tasks(only="s:north")
    for store in (None, "s:south", "s:north"):
        assert [one["store_id"] for one in north.listed(store_id=store)] == ["s:north"]
    with pytest.raises(NotFound):
        north.shown(desk.of("b"))
    with pytest.raises(NotFound):
        north.take(desk.of("b"), by="Bo")
    with pytest.raises(NotFound):
        north.answer(desk.of("b"), "done", by="Bo")
    assert north.take(desk.of("a"), by="Bo")["phone"]


def derived(desk, key):
    party = desk.shop.party(key)
    reasons = [{"feature": "recency_days", "value": 45, "effect": 0.7},
               {"feature": "orders_count", "value": 3, "effect": -0.2}]  # fmt: skip
    shared = {c.AS_OF_ON: DAY, c.CUSTOMER_ID: party, c.SCORE: 0.83, c.RANK: 1, c.MODEL: "m"}
    score = {c.TASK: "churn", c.SUBJECT: "", c.MODEL_VERSION: "1", c.REASONS: json.dumps(reasons)}
    product = {c.PRODUCT_ID: "s:5", c.REASON: "{}"}
    store = desk.shop.store
    store.replace("scores", pa.Table.from_pylist([shared | score]), scope={c.AS_OF_ON: DAY})
    store.replace(
        "recommendations", pa.Table.from_pylist([shared | product]), scope={c.AS_OF_ON: DAY}
    )


def test_it_says_why_in_both_languages_and_which_products(desk):
    desk.add("a")
    derived(desk, "a")
    desk.start()
    (en,), (zh,) = (desk.tasks().listed(language=one) for one in ("en", "zh"))
    assert en["why"] == ["stays away: 83.0%", "days since the last order: 45"]
    assert zh["why"] == ["流失（不再购买）：83.0%", "距上次下单天数: 45"]
    assert en["products"] == ["豆腐"]


def test_nothing_is_chosen_for_who_refused_personalised_content(desk):
    desk.add("a")
    derived(desk, "a")
    desk.start(name="Spring calls")
    desk.shop.consent("a", granted=False, purpose="personalisation")
    (one,) = desk.tasks().listed(names=True)
    assert (one["why"], one["products"]) == (["for the campaign “Spring calls”"], [])


def test_a_message_of_who_was_erased_is_put_on_no_list(desk):
    desk.add("a")
    made = parse_definition({"key": KEY, "rule": FOR_ALL, "channel": "task",
                             "variants": [{"name": "a", **TEXT}]})  # fmt: skip
    desk.campaigns.create(made, by="Ana")
    desk.campaigns.start(KEY, by="Ana")
    desk.campaigns.plan(KEY)
    with desk.shop.store.begin() as connection:
        connection.execute(messages.update().values(content=None))
    desk.put()
    assert desk.states() == {("skipped", "erased"): 1}
    assert desk.rows(tasks) == []
