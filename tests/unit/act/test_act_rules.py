"""The gate's rules with a ledger and a lake behind them, at planning and at sending."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.unit.act.shop import CAMPAIGN, DAY, LOADING, ZONE, with_channel
from zhiyin.act import job
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.ledger import messages
from zhiyin.govern.holdout import EVERYTHING, place_of
from zhiyin.testing.channel import RecordingChannel
from zhiyin.testing.contract_store import put


def plan(shop, *keys, turn="t1"):
    shop.decide(*keys)
    job.run(shop.context(turn=turn), shop.settings.act)
    return {key: shop.state(key) for key in keys}


def send(shop):
    ctx = with_channel(shop.context(), RecordingChannel())
    job.deliver(ctx, CAMPAIGN, progress=lambda what, share: None, as_of=DAY)


def reached(shop, key, *days, campaign="s:old"):
    """Messages that were sent to her so many days ago."""
    rows = [
        {"message_id": f"{key}{day}{campaign}", "campaign_id": campaign, "turn_id": "t0",
         "party_id": shop.party(key), "customer_id": shop.party(key), "channel": "email",
         "language": "en", "state": "sent", "planned_at": before(day), "sent_at": before(day)}
        for day in days
    ]  # fmt: skip
    with shop.store.begin() as connection:
        connection.execute(messages.insert(), rows)


def before(days):
    return naive_utc(start_of_day(DAY - timedelta(days=days), ZONE))


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"birthday": "2008-03-12"}, ("skipped", "minor")),  # 16 on the day
        ({"birth_date": "2006-03-13"}, ("skipped", "minor")),  # 18 tomorrow
        ({"生日": "2006年3月12日"}, ("planned", None)),  # 18 today
        ({"birthday": "03-12"}, ("planned", None)),  # no year
        ({"age": "16-24"}, ("skipped", "minor")),
        ({"age": 17, "birthday": "1990-01-01"}, ("skipped", "minor")),
    ],
)
def test_a_minor_gets_no_marketing(shop, fields, state):
    shop.add("kid", **fields)
    assert plan(shop, "kid") == {"kid": state}


def test_the_age_for_marketing_is_a_setting(shop):
    shop.add("kid", birthday="2008-03-12")
    assert plan(shop.with_settings(minimum_age=14), "kid")["kid"] == ("planned", None)


@pytest.mark.parametrize(
    ("group", "stopped"),
    [("tag:pregnant", True), ("tag:pregnant=yes", True), ("tag:pregnant=no", False),
     ("segment:rfm:ill", True), ("segment:rfm:well", False), ("audience:clinic", True)],
)  # fmt: skip
def test_sensitive_groups_are_left_out(shop, group, stopped):
    shop.add("ann", "bea")
    who = {c.AS_OF_ON: DAY, c.CUSTOMER_ID: shop.party("ann")}
    put(shop.store, "tags", {**who, c.TAG: "pregnant", c.VALUE: "yes", c.KIND: "rule",
                             c.VERSION: 1})  # fmt: skip
    put(shop.store, "memberships", {**who, c.SCHEME: "rfm", c.SEGMENT: "ill"})
    put(shop.store, "audience_members", {**who, c.AUDIENCE: "clinic", c.VERSION: 1})
    states = plan(shop.with_settings(sensitive=(group,)), "ann", "bea")
    assert states["ann"] == (("skipped", "sensitive") if stopped else ("planned", None))
    assert states["bea"] == ("planned", None)


def test_two_customers_at_one_address_get_one_message(shop):
    shop.add("ann", "bea", email="home@shop.example")
    shop.add("cai")
    states = plan(shop, "ann", "bea", "cai")
    assert {states["ann"], states["bea"]} == {
        ("planned", None), ("skipped", "duplicate_address"),
    }  # fmt: skip
    assert states["cai"] == ("planned", None)


def test_a_campaign_stops_at_its_budget_when_planned_and_when_sent(shop):
    keys = ("ann", "bea", "cai", "dan")
    shop.add(*keys)
    decide = shop.settings.decide.model_copy(update={"budget_minor": 100})
    poor = shop.with_settings()
    poor.settings = shop.settings.model_copy(update={"decide": decide})
    states = plan(poor, *keys)
    assert sorted(reason or "" for _, reason in states.values()) == [
        "", "", "campaign_budget", "campaign_budget",
    ]  # fmt: skip
    poor.settings = shop.settings.model_copy(
        update={"decide": decide.model_copy(update={"budget_minor": 50})}
    )
    send(poor)
    assert sorted(state for state, _ in shop.states().values()) == ["sent", *["skipped"] * 3]


def test_caps_of_channel_and_campaign_are_counted_apart(shop):
    shop.add("ann", "bea", "cai")
    capped = shop.with_settings(caps=("email:1/7d", "campaign:1/30d"))
    reached(shop, "ann", 2)
    assert plan(capped, "ann", "bea", "cai")["ann"] == ("skipped", "channel_cap")
    reached(shop, "bea", 9, campaign=CAMPAIGN)  # by another step, after it was planned
    send(capped)
    with shop.store.begin() as connection:
        made = sa.select(messages.c.state, messages.c.reason).where(messages.c.turn_id == "t1")
        found = sorted(map(tuple, connection.execute(made)))
    assert found == [("sent", None), ("skipped", "campaign_cap"), ("skipped", "channel_cap")]


def test_who_leaves_messages_unanswered_gets_a_pause_until_she_answers(shop):
    shop.add("ann", "bea")
    for key in ("ann", "bea"):
        reached(shop, key, 35, 40, 45)
    put(shop.store, "touches", {
        c.TOUCH_ID: "o", c.PARTY_ID: shop.party("bea"), c.KIND: "click", c.CAMPAIGN_ID: "s:old",
        c.OCCURRED_AT: before(39), c.MONTH: "2024-02", **LOADING,
    })  # fmt: skip
    tired = shop.with_settings(fatigue_messages=3)
    assert plan(tired, "ann", "bea") == {"ann": ("skipped", "fatigue"), "bea": ("planned", None)}


def test_the_global_holdout_gets_nothing_and_stays_the_same(shop):
    keys = [f"k{number}" for number in range(12)]
    shop.add(*keys)
    held = {key for key in keys if place_of(shop.vault.salt, EVERYTHING, shop.party(key)) < 0.5}
    states = plan(shop.with_settings(global_holdout_share=0.5), *keys)
    assert {key for key in keys if states[key] == ("skipped", "global_holdout")} == held
    assert {key for key in keys if states[key] == ("planned", None)} == {*keys} - held


def test_the_ledger_keeps_no_address_in_the_clear_to_find_duplicates(shop):
    shop.add("ann")
    plan(shop, "ann")
    with shop.store.begin() as connection:
        (token,) = connection.execute(sa.select(messages.c.address_token)).scalars()
    assert len(token) == 64
    assert "shop.example" not in token
