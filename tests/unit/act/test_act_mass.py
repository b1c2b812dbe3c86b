"""Mass messages by 企业微信: grouped for members, confirmed later, never made twice."""

import json
from datetime import UTC, timedelta

import pytest
import sqlalchemy as sa

from tests.unit.act.shop import CAMPAIGN, LOADING, LONG_AGO, REVISION
from tests.wechat_server import SECRET, SENT_S, WecomServer, say
from zhiyin.act import job
from zhiyin.act.channels.outgoing import read_target
from zhiyin.act.channels.wechat_api import WechatApi, of_wecom
from zhiyin.act.channels.wecom import WecomChannel
from zhiyin.act.mass_job import take_confirmations
from zhiyin.act.mass_ledger import list_mass_sends
from zhiyin.core import columns as c
from zhiyin.core.errors import ChannelUnavailable
from zhiyin.core.ledger import consents, mass_sends, messages, reactions
from zhiyin.govern.facts import gate_terms
from zhiyin.govern.gate import Consent, Contact, Facts, check
from zhiyin.govern.suppression import identify
from zhiyin.testing.contract_store import put

SPACE = "external_userid"


class Crash(BaseException):
    """The machine stops."""


def add(shop, key, *, member="", external=None):
    """A contact of a member, who agreed to be written to so."""
    party, external = shop.party(key), external or f"wm{key}"
    (blob,) = shop.vault.seal([party], [{SPACE: external}])
    said = json.dumps({"follow_userid": member}) if member else None
    put(shop.store, "customers", {
        c.PARTY_ID: party, c.LANGUAGE: "zh", c.UNDATED: False, c.PERSONAL: blob,
        c.PROPERTIES: said, **REVISION,
    }, app=f"customer {key}")  # fmt: skip
    put(shop.store, "identities", {
        c.IDENTITY_ID: identify(shop.vault, SPACE, external), c.NAMESPACE: SPACE,
        c.PARTY_ID: party, c.VALID_AT: LONG_AGO, **LOADING,
    }, app=f"identity {key}")  # fmt: skip
    with shop.store.begin() as connection:
        connection.execute(consents.insert().values(
            consent_id=f"wecom {key}", party_id=party, purpose="marketing", channel="wecom",
            granted=True, at=LONG_AGO, source="s",
        ))  # fmt: skip


@pytest.fixture
def server():
    with WecomServer() as made:
        yield made


@pytest.fixture
def wecom(shop):
    for key, member in (("ana", "li"), ("bea", "li"), ("cem", "wang"), ("dai", "")):
        add(shop, key, member=member)
    shop.add("eve")  # an e-mail address and no contact of anybody
    shop.decide("ana", "bea", "cem", "dai", "eve")
    made = shop.with_settings(channel="wecom", wecom_member="boss")
    job.run(made.context(), made.settings.act)
    return made


def open_at(server, shop):
    api = WechatApi(
        read_target(server.url, private=True), of_wecom("ww1", SECRET), clock=shop.context().clock
    )
    return WecomChannel(api, member=shop.settings.act.wecom_member)


def deliver(shop, channel, later=timedelta(0)):
    ctx = shop.context(channel)
    ctx.clock.at += later
    return job.deliver(ctx, CAMPAIGN, progress=lambda *_: None)


def row_of(shop, key):
    with shop.store.begin() as connection:
        query = sa.select(messages).where(messages.c.party_id == shop.party(key))
        return connection.execute(query).one()


def test_those_who_get_the_same_from_the_same_member_are_one_call(wecom, server):
    counts = deliver(wecom, open_at(server, wecom))
    asked = server.named("add_msg_template")
    assert {one["sender"]: sorted(one["external_userid"]) for one in asked} == {
        "li": ["wmana", "wmbea"], "wang": ["wmcem"], "boss": ["wmdai"],
    }  # fmt: skip
    assert all("告诉我" in one["text"]["content"] for one in asked)
    assert counts["sent"] == 4
    assert counts["skipped"] == {"no_address": 1}
    assert wecom.state("ana") == ("sent", "unconfirmed")


def test_the_same_customers_are_not_asked_for_again(wecom, server):
    for _ in range(2):
        deliver(wecom, open_at(server, wecom))
    assert len(server.made) == 3


def test_whom_the_platform_leaves_out_has_failed(wecom, server):
    server.refused = {"wmbea", "wmcem"}
    deliver(wecom, open_at(server, wecom))
    states = [wecom.state(key) for key in ("ana", "bea", "cem")]
    assert states == [("sent", "unconfirmed"), ("failed", "refused"), ("failed", "refused")]


def test_what_members_did_is_taken_in_when_they_did_it(wecom, server):
    channel = open_at(server, wecom)
    deliver(wecom, channel)
    ids = {one: msgid for msgid, made in server.made.items() for one in made["external_userid"]}
    server.statuses = {(ids["wmana"], "wmana"): 1, (ids["wmbea"], "wmbea"): 2,
                       (ids["wmcem"], "wmcem"): 3}  # fmt: skip
    found = take_confirmations(wecom.context(), channel)
    assert found == {"sent": 1, "not_a_contact": 1, "provider_limit": 1, "waiting": 1}
    assert [wecom.state(key) for key in ("ana", "bea", "cem", "dai")] == [
        ("sent", None), ("failed", "not_a_contact"), ("failed", "provider_limit"),
        ("sent", "unconfirmed"),
    ]  # fmt: skip
    let_go = row_of(wecom, "ana").sent_at.replace(tzinfo=UTC)
    assert let_go.timestamp() == SENT_S  # when the member let it go, not when it was made
    with wecom.store.begin() as connection:
        kinds = connection.execute(sa.select(reactions.c.party_id, reactions.c.kind)).all()
        parts = {one["member"]: one["parts"] for one in list_mass_sends(connection)}
    assert [tuple(one) for one in kinds] == [(wecom.party("ana"), "delivered")]
    assert parts["boss"] == [{"state": "sent", "reason": "unconfirmed", "n": 1}]
    again = take_confirmations(wecom.context(), channel)
    assert again == {"waiting": 1}  # only what is open is asked for
    assert take_confirmations(wecom.context(), channel, every=timedelta(minutes=5)) == {}


def test_a_platform_that_does_not_tell_changes_nothing(wecom, server):
    channel = open_at(server, wecom)
    deliver(wecom, channel)
    server.queued = [say({"errcode": -1}), say({"errcode": -1}), say({"errcode": -1})]
    assert take_confirmations(wecom.context(), channel) == {"untold": 3}
    assert wecom.state("ana") == ("sent", "unconfirmed")


def test_a_call_without_an_answer_is_found_among_the_platforms_messages(wecom, server):
    """The platform made the message, and the line broke: it must not be made again."""
    channel = open_at(server, wecom)
    server.lost, server.refused = {"li"}, {"wmbea"}
    assert deliver(wecom, channel)["unknown"] == 2
    assert wecom.state("ana") == ("unknown", "no_answer")
    counts = deliver(wecom, channel, later=timedelta(minutes=1))
    assert wecom.state("ana") == ("sent", "unconfirmed")
    assert wecom.state("bea") == ("failed", "refused")  # the platform had left her out
    assert counts["unknown"] == 0
    assert sum(made["sender"] == "li" for made in server.made.values()) == 1


def test_a_crash_before_the_call_is_planned_again_when_the_platform_has_nothing(wecom, server):
    channel = open_at(server, wecom)
    channel.send_all = _raise  # the process is gone before the platform hears of it
    with pytest.raises(Crash):
        deliver(wecom, channel)
    assert wecom.state("ana")[0] == "sending"
    deliver(wecom, open_at(server, wecom), later=timedelta(minutes=1))
    in_doubt = [key for key in ("ana", "bea", "cem", "dai") if wecom.state(key)[0] == "unknown"]
    assert len(in_doubt) in (1, 2)  # the group that was under way; the others surely were not
    made = len(server.made)
    assert made == 2
    with wecom.store.begin() as connection:  # the two that were made since are not strange
        assert len(connection.execute(sa.select(mass_sends)).all()) == 3
    deliver(wecom, open_at(server, wecom), later=timedelta(minutes=11))
    assert {wecom.state(key) for key in ("ana", "bea", "cem", "dai")} == {("sent", "unconfirmed")}
    assert len(server.made) == made + 1


def test_a_strange_message_of_that_time_leaves_it_to_a_person(wecom, server):
    channel = open_at(server, wecom)
    channel.send_all = _raise
    with pytest.raises(Crash):
        deliver(wecom, channel)
    server.made["by-hand"] = {"text": {"content": "by hand"}, "external_userid": [], "sender": ""}
    deliver(wecom, open_at(server, wecom), later=timedelta(hours=1))
    states = {wecom.state(key)[0] for key in ("ana", "bea", "cem", "dai")}
    assert "unknown" in states


def test_an_account_that_may_not_send_stops_the_delivery_and_loses_nothing(wecom, server):
    server.token_answer = {"errcode": 60020, "errmsg": "not allow to access from your ip"}
    with pytest.raises(ChannelUnavailable):
        deliver(wecom, open_at(server, wecom))
    assert {wecom.state(key) for key in ("ana", "bea", "cem", "dai")} == {("planned", None)}


@pytest.mark.parametrize(("days", "allowed"), [
    ([0.5], False), ([2], True), ([2, 9, 16, 30], False), ([2, 9, 16, 32], True),
])  # fmt: skip
def test_a_workspace_cannot_loosen_what_the_platform_allows(shop, days, allowed):
    act = shop.with_settings(
        channel="wecom", caps=("wecom:100/1d",), cap_messages=100, fatigue_messages=0
    ).settings.act  # fmt: skip
    terms = gate_terms(act, zone="UTC", channel="wecom")
    now = shop.context().clock.now()
    yes = Consent("p", "marketing", "wecom", True, now - timedelta(days=90))
    facts = Facts(
        "wecom", "marketing", now, 12, True, [yes],
        contacts=[Contact(now - timedelta(days=one), "wecom", "x") for one in days],
    )  # fmt: skip
    verdict = check(facts, terms.limits)
    assert verdict.allowed is allowed
    assert allowed or verdict.reason == "channel_cap"


def _raise(*_, **__):
    raise Crash
