"""Planned campaigns by text message, by a member of staff, in a mini-programme and by webhook."""

import base64
import json
from collections import Counter
from datetime import UTC, timedelta
from decimal import Decimal
from urllib.parse import parse_qs

import pytest
import sqlalchemy as sa

from tests.receiver import Answer, Receiver
from tests.unit.act.shop import LONG_AGO, ZONE, Shop, opened
from tests.unit.act.test_act_authorisations import add as add_user
from tests.unit.act.test_act_authorisations import grant, left
from tests.unit.act.test_act_mass import add as add_contact
from tests.unit.test_campaigns import AT, KEY, Desk, campaign
from tests.wechat_server import SECRET, WechatServer, WecomServer, say
from zhiyin.act.campaigns.ledger import CANCELLED, find_waiting
from zhiyin.act.channels.outgoing import read_target
from zhiyin.act.channels.sms import Account, SmsChannel
from zhiyin.act.channels.webhook import WebhookChannel
from zhiyin.act.channels.wechat import WechatChannel
from zhiyin.act.channels.wechat_api import WechatApi, of_wechat, of_wecom
from zhiyin.act.channels.wecom import WecomChannel
from zhiyin.act.mass_job import take_back
from zhiyin.act.preview import example_emails
from zhiyin.act.ways_job import ways_of
from zhiyin.core.clock import naive_utc
from zhiyin.core.errors import ConfigError, InvalidParameter
from zhiyin.core.ledger import consents, messages
from zhiyin.store.vault import Keys, LocalVault
from zhiyin.testing.store import MemoryStore

TEMPLATE = "TPL"
EVERYBODY = {"type": "trait", "field": "language", "op": "in", "value": ["en", "zh"]}
TEXT = {"name": "a", "en": {"text": "Spring is here, {{ name }}"}}


class WechatUsers(WechatServer):
    """A mini-programme's server that takes every message."""

    def usual(self, name, values):
        return {"errcode": 0, "errmsg": "ok", "msgid": 1}


@pytest.fixture
def shop():
    store = MemoryStore(zone=ZONE)
    yield Shop(store, LocalVault(Keys.make(), store.ledger))
    store.close()


def by_text(shop, *keys, **settings):
    """A desk of people with phones who agreed to texts."""
    for n, key in enumerate(keys):
        shop.add(key, phone=f"+86139000000{n:02}", first_name=key.title())
    agree(shop, "sms", *keys)
    given = {"channels": ("twilio_sms",), "sms_cost": Decimal("0.045"), "sender_name": "Tea"}
    return Desk(shop, **(given | settings))


def agree(shop, channel, *keys):
    if not keys:
        return
    with shop.store.begin() as connection:
        connection.execute(consents.insert(), [
            {"consent_id": f"{channel} {key}", "party_id": shop.party(key),
             "purpose": "marketing", "channel": channel, "granted": True, "at": LONG_AGO,
             "source": "s"} for key in keys
        ])  # fmt: skip


def texts(desk, **changes):
    given = {"channel": "sms", "rule": EVERYBODY, "variants": [TEXT]}
    return given | changes


@pytest.fixture
def provider():
    """A provider of text messages that takes everything."""
    said = json.dumps({"sid": "SM1"}).encode()
    with Receiver(lambda _: Answer(201, body=said)) as made:
        yield made


def twilio(provider, clock):
    account = Account("AC1", "secret", "+15550001")
    return SmsChannel("twilio_sms", read_target(provider.url, private=True), account, clock=clock)


def test_a_campaign_by_text_says_what_it_costs_and_arrives_with_a_way_out(shop, provider):
    desk = by_text(shop, "ana", "bea", "cem")
    shop.add("dai")  # an e-mail address and no phone
    found = desk.campaigns.check(campaign(**texts(desk)))
    assert found.messages == found.segments == 3
    assert found.cost == Decimal("0.135")
    assert {one.reason: one.stopped for one in found.sizes if one.stopped} == {"no_address": 1}
    assert "3  segments" in found.text("en")
    assert "计费短信" in found.text("zh")
    desk.started(**texts(desk))
    desk.channel = twilio(provider, desk.clock)
    assert desk.deliver()["sent"] == 3
    bodies = [parse_qs(one.body.decode())["Body"][0] for one in provider.requests]
    assert sorted(bodies) == [
        f"Tea: Spring is here, {name} Reply STOP to opt out" for name in ("Ana", "Bea", "Cem")
    ]
    assert Counter((one.segments, one.cost_micros) for one in desk.rows() if one.segments) == {
        (1, 45_000): 3
    }
    assert desk.campaigns.shown(KEY)["state"] == "done"


def test_a_preview_of_a_text_is_the_text(shop):
    desk = by_text(shop, "ana")
    desk.started(**texts(desk, variants=[{"name": "a", "en": {"text": "Look in"}}]))
    (shown,) = example_emails(desk.shop.context(turn="", clock=desk.clock), limit=1)
    desk.deliver()
    (sent,) = (one for held in desk.channel.delivered.values() for one in held)
    assert (
        json.loads(sent.content)["text"] == shown["text"] == ("Tea: Look in Reply STOP to opt out")
    )


def test_a_budget_is_spent_by_segments_and_not_by_who_is_held_out(shop):
    keys = [f"c{n}" for n in range(40)]
    desk = by_text(shop, *keys)
    half = texts(desk, holdout_share=0.5, budget="0.27")
    found = desk.campaigns.check(campaign(**half))
    assert found.messages == 6
    assert found.cost == Decimal("0.27")
    desk.started(**half)
    assert desk.states()[("planned", None)] == 6
    assert desk.states()[("skipped", "held_out")] == found.held_out > 0


def test_who_makes_a_text_too_long_is_skipped_and_a_long_text_is_refused(shop):
    desk = by_text(shop, "ana", "bea", sms_segments=1)
    shop.add("eve", phone="+8613900000099", first_name="E" * 60)
    agree(shop, "sms", "eve")
    words = {"name": "a", "en": {"text": "Spring " * 14 + "{{ name }}"}}
    found = desk.campaigns.check(campaign(**texts(desk, variants=[words])))
    assert found.messages == 2
    assert {one.reason: one.stopped for one in found.sizes if one.stopped} == {"too_long": 1}
    long = campaign(**texts(desk, variants=[{"name": "a", "en": {"text": "Spring " * 30}}]))
    with pytest.raises(InvalidParameter, match="costs 2 messages"):
        desk.campaigns.check(long)


def test_templates_of_a_provider_are_filled_for_each_variant(shop):
    desk = by_text(shop, "ana", channels=("aliyun_sms",))
    own = {"text": "{{ name }}，春茶上市。拒收请回复R", "template": "SMS_2",
           "data": {"who": "{% if name %}{{ name }}{% else %}您{% endif %}"}}  # fmt: skip
    desk.started(**texts(desk, variants=[{"name": "a", "zh": own}]))
    with Receiver(lambda _: Answer(body=b'{"Code": "OK", "BizId": "1"}')) as server:
        account = Account("k", "s", "知音茶铺", "SMS_1", ("offer",))
        desk.channel = SmsChannel(
            "aliyun_sms", read_target(server.url, private=True), account, clock=desk.clock
        )
        assert desk.deliver()["sent"] == 1
        asked = parse_qs(server.requests[0].path.partition("?")[2])
    assert asked["TemplateCode"] == ["SMS_2"]
    assert json.loads(asked["TemplateParam"][0]) == {"who": "Ana"}


@pytest.mark.parametrize(("settings", "changes", "said"), [
    ({"channels": ()}, {}, "no channel"),
    ({"channels": ("aliyun_sms",)}, {}, "templates"),
    ({"sms_cost": Decimal(0)}, {"budget": "5"}, "costs"),
    ({}, {"variants": [{"name": "a", "en": {"subject": "x", "text": "y"}}]}, "has none"),
    ({}, {"variants": [{"name": "a", "en": {"data": {"a": "b"}}}]}, "needs it"),
    ({}, {"member": "li"}, "nobody confirms"),
    ({}, {"variants": [{"name": "a", "en": {"text": "x", "template": "T"}}]}, "no more"),
])  # fmt: skip
def test_a_text_that_cannot_be_sent_is_refused_with_what_to_do(shop, settings, changes, said):
    desk = by_text(shop, "ana", **({"demo": False} | settings))
    desk.shop.settings = desk.shop.settings.model_copy(update={"demo": False})
    with pytest.raises((InvalidParameter, ConfigError), match=said) as caught:
        desk.campaigns.check(campaign(**texts(desk, **changes)))
    assert caught.value.hint


@pytest.fixture
def wecom(shop):
    for key, member in (("ana", "li"), ("bea", "li"), ("cem", "")):
        add_contact(shop, key, member=member)
    return Desk(shop, channels=("wecom",), wecom_member="boss")


def by_member(**changes):
    given = {"name": "a", "zh": {"text": "{{ shop }}春茶上市"}}
    return {"channel": "wecom", "rule": EVERYBODY, "variants": [given]} | changes


def test_members_confirm_a_planned_campaign_and_the_checklist_says_who(wecom):
    found = wecom.campaigns.check(campaign(**by_member(member="wang")))
    assert found.members == {"li": 2, "wang": 1}
    assert "to be confirmed by wang" in found.text("en")
    assert "由成员 li 确认" in found.text("zh")
    wecom.started(**by_member(member="wang"))
    with WecomServer() as server:
        api = WechatApi(
            read_target(server.url, private=True), of_wecom("ww1", SECRET), clock=wecom.clock
        )
        wecom.channel = WecomChannel(api, member="boss")
        wecom.deliver()
        asked = server.named("add_msg_template")
    assert {one["sender"]: sorted(one["external_userid"]) for one in asked} == {
        "li": ["wmana", "wmbea"], "wang": ["wmcem"],
    }  # fmt: skip
    assert {one["text"]["content"] for one in asked} == {
        "Shop & Söhne春茶上市\n如不想再收到此类消息，请告诉我。"
    }
    assert wecom.states() == {("sent", "unconfirmed"): 3}


def test_a_cancelled_campaign_is_stopped_at_the_platform_and_what_was_let_go_stays_sent(wecom):
    wecom.started(**by_member())
    with WecomServer() as server:
        api = WechatApi(
            read_target(server.url, private=True), of_wecom("ww1", SECRET), clock=wecom.clock
        )
        wecom.channel = WecomChannel(api, member="boss")
        wecom.deliver()
        assert wecom.campaigns.shown(KEY)["state"] == "done"
        ctx = wecom.shop.context(clock=wecom.clock)
        assert take_back(ctx, wecom.channel) == {}  # nobody cancelled it
        ids = {one: key for key, made in server.made.items() for one in made["external_userid"]}
        server.statuses = {(ids["wmana"], "wmana"): 1}  # Li was quicker
        assert wecom.campaigns.cancel(KEY, by="Ana").state == CANCELLED
        server.queued = [say({"errcode": -1})]  # once the platform is busy
        assert take_back(ctx, wecom.channel)["untold"] == 1
        assert take_back(ctx, wecom.channel)["cancelled"] in (1, 2)
        assert sorted(server.stopped) == sorted(server.made)
    assert wecom.states() == {("sent", None): 1, ("skipped", "cancelled"): 2}
    with pytest.raises(InvalidParameter, match="cancelled"):
        wecom.campaigns.cancel(KEY, by="Ana")


def test_a_call_without_an_answer_keeps_the_campaign_until_the_platform_can_tell(wecom):
    wecom.started(**by_member())
    with WecomServer() as server:
        api = WechatApi(
            read_target(server.url, private=True), of_wecom("ww1", SECRET), clock=wecom.clock
        )
        wecom.channel = WecomChannel(api, member="boss")
        server.lost = {"li"}
        assert wecom.deliver()["unknown"] == 2
        assert (waiting(wecom), wecom.campaigns.shown(KEY)["state"]) == ([], "running")
        wecom.clock.at += timedelta(minutes=11)
        assert waiting(wecom) == [KEY]
        wecom.deliver()
        assert len(server.made) == 2
    assert wecom.states() == {("sent", "unconfirmed"): 3}
    assert wecom.campaigns.shown(KEY)["state"] == "done"


def waiting(desk):
    with desk.shop.store.begin() as connection:
        return [one.key for one in find_waiting(connection, now=naive_utc(desk.clock.now()))]


def test_a_campaign_that_is_done_and_confirmed_cannot_be_cancelled(shop):
    desk = by_text(shop, "ana")
    desk.started(**texts(desk))
    desk.deliver()
    with pytest.raises(InvalidParameter, match="done and cannot be cancelled"):
        desk.campaigns.cancel(KEY, by="Ana")


def test_what_a_member_sends_names_nobody(wecom):
    words = {"name": "a", "zh": {"text": "{{ name }}您好"}}
    with pytest.raises(InvalidParameter, match="variant a in zh") as caught:
        wecom.campaigns.check(campaign(**by_member(variants=[words])))
    assert "the same for all" in caught.value.hint


@pytest.fixture
def chat(shop):
    for key in ("ana", "bea", "cem"):
        add_user(shop, key)
    grant(shop, "ana", times=2)
    grant(shop, "bea")
    return Desk(shop, channels=("wechat_subscribe",), wechat_app_id="wx1", wechat_template=TEMPLATE)


def in_programme(**changes):
    words = {"data": {"thing1": "{{ shop }}春茶", "date2": "2024年4月30日"}, "page": "pages/tea"}
    given = {"channel": "wechat_subscribe", "rule": EVERYBODY,
             "variants": [{"name": "a", "zh": words}]}  # fmt: skip
    return given | changes


def test_a_mini_programmes_campaign_fills_its_template_and_spends_one_each(chat):
    chat.started(**in_programme())
    assert chat.states() == {("planned", None): 2, ("skipped", "no_authorisation"): 1}
    with WechatUsers() as server:
        api = WechatApi(
            read_target(server.url, private=True), of_wechat("wx1", SECRET), clock=chat.clock
        )
        chat.channel = WechatChannel(api, template=TEMPLATE, params=["thing1=offer"])
        assert chat.deliver()["sent"] == 2
        sent = server.named("send")
    assert {one["touser"] for one in sent} == {"oana", "obea"}
    assert sent[0]["data"] == {
        "thing1": {"value": "Shop & Söhne春茶"}, "date2": {"value": "2024年4月30日"},
    }  # fmt: skip
    assert (sent[0]["page"], sent[0]["template_id"]) == ("pages/tea", TEMPLATE)
    assert (left(chat.shop, "ana"), left(chat.shop, "bea")) == (1, 0)


def test_what_is_planned_is_no_stock_for_another_campaign(chat):
    """Bea allowed one message: two campaigns may not both promise it to themselves."""
    chat.started(**in_programme())
    other = campaign(**in_programme(key="other"))
    assert chat.campaigns.check(other).messages == 1  # Ana has one more
    chat.campaigns.create(other, by="Ana")
    chat.campaigns.start("other", by="Ana")
    chat.campaigns.plan("other")
    chat.campaigns.cancel(KEY, by="Ana")
    again = campaign(**in_programme(key="third"))
    assert chat.campaigns.check(again).messages == 2  # Ana has one left of two, Bea hers again


def test_another_template_of_a_campaign_has_a_stock_of_its_own(chat):
    grant(chat.shop, "cem", template="ANOTHER")
    words = {"data": {"thing1": "春茶"}, "template": "ANOTHER"}
    found = chat.campaigns.check(campaign(**in_programme(variants=[{"name": "a", "zh": words}])))
    assert found.messages == 1


@pytest.mark.parametrize(("words", "said"), [
    ({"data": {"thing1": "茶" * 21}}, "thing1 takes 20 characters"),
    ({"data": {"thing1": "{{ name }}"}}, "thing1 is empty"),
    ({"text": "x"}, "data: a text for wechat_subscribe needs it"),
])  # fmt: skip
def test_what_the_platform_would_refuse_is_refused_before(chat, words, said):
    with pytest.raises(InvalidParameter, match=said):
        chat.campaigns.check(campaign(**in_programme(variants=[{"name": "a", "zh": words}])))


@pytest.mark.parametrize("reaches", ["email", "sms"])
def test_a_webhook_is_told_what_the_medium_would_be_sent(shop, reaches):
    desk = by_text(shop, "ana", channels=("webhook",))
    words = {"text": "Look in"} | ({"subject": "Hi"} if reaches == "email" else {})
    desk.started(channel="webhook", webhook={"reaches": reaches}, rule=EVERYBODY,
                 variants=[{"name": "a", "en": words}])  # fmt: skip
    (row,) = desk.rows()
    assert (row.channel, row.via) == (reaches, "webhook")
    secret = "whsec_" + base64.b64encode(b"n" * 32).decode()
    with Receiver(lambda _: Answer()) as server:
        desk.channel = WebhookChannel(
            read_target(server.url, private=True), [secret], clock=desk.clock
        )
        assert desk.deliver()["sent"] == 1
        desk.channel.close()
        (got,) = server.requests
    if reaches == "sms":
        assert got.data | {"message_id": ""} == {
            "message_id": "", "channel": "sms", "recipient": "+8613900000000",
            "text": "Tea: Look in Reply STOP to opt out", "params": {"language": "en"},
        }  # fmt: skip
    else:
        assert got.data["recipient"] == "ana@shop.example"
        assert opened(got.content)["Subject"] == "Hi"


def test_a_text_waits_for_the_morning_where_she_is(shop):
    desk = by_text(shop, "ana")
    desk.clock.at = AT.replace(hour=5)  # midnight in New York
    found = desk.campaigns.check(campaign(**texts(desk)))
    assert found.due == ("2024-03-12T12:00+00:00",) * 2
    desk.started(**texts(desk))
    assert desk.deliver()["sent"] == 0
    desk.clock.at += timedelta(hours=8)
    assert desk.deliver()["sent"] == 1


def test_nobody_who_gets_a_message_is_no_moment(shop):
    desk = by_text(shop)
    shop.add("dai")
    found = desk.campaigns.check(campaign(**texts(desk)))
    assert found.messages == 0
    assert "nobody gets a message" in found.text("en")
    assert "没有人" in found.text("zh")


def test_ways_of_a_campaign_are_its_mediums(shop):
    desk = by_text(shop, "ana")
    desk.started(**texts(desk))
    ctx = desk.shop.context(clock=desk.clock)
    assert [one.asked for one in ways_of(ctx, f"zhiyin:{KEY}")] == ["sms"]
    with desk.shop.store.begin() as connection:
        kept = connection.execute(sa.select(messages.c.planned_at)).scalar_one()
    assert kept.replace(tzinfo=UTC) == AT
