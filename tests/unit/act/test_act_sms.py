"""Text messages: planned for phones alone, worded with a way out, and replies that hold."""

import base64
import hashlib
import hmac
from decimal import Decimal

import pytest
import sqlalchemy as sa

from tests.unit.act.shop import CAMPAIGN, LONG_AGO
from zhiyin.act import job
from zhiyin.act.costs import count_costs
from zhiyin.act.create.text_message import count_segments, read_text, write_text
from zhiyin.act.preview import example_emails
from zhiyin.act.replies import is_from_twilio, is_refusal, take_reply
from zhiyin.core.errors import DeliveryError
from zhiyin.core.ledger import consents, messages, reactions, suppressions
from zhiyin.govern.suppression import address_token
from zhiyin.testing.channel import RecordingChannel

AT = LONG_AGO.replace(year=2025)
CONTENT = {
    "template": "offer",
    "offer": {"kind": "coupon"},
    "products": [],
    "last_on": "2024-04-15",
}


@pytest.fixture
def texting(shop):
    shop.add("ana", phone="139-1234-5678")
    shop.add("bea", phone="no number")
    with shop.store.begin() as connection:
        connection.execute(consents.insert(), [
            {"consent_id": f"sms {key}", "party_id": shop.party(key), "purpose": "marketing",
             "channel": "sms", "granted": True, "at": LONG_AGO, "source": "s"}
            for key in ("ana", "bea")
        ])  # fmt: skip
    shop.decide("ana", "bea")
    return shop.with_settings(channel="twilio_sms", calling_code="86")


def deliver(shop, channel):
    return job.deliver(shop.context(channel), CAMPAIGN, progress=lambda *_: None)


def test_a_campaign_by_text_goes_to_phones_and_needs_no_sender_of_mails(texting):
    job.run(texting.context(), texting.settings.act)
    channel = RecordingChannel()
    assert deliver(texting, channel)["sent"] == 1
    (sent,) = (one for known in channel.delivered.values() for one in known)
    assert sent.recipient == "+8613912345678"
    assert read_text(sent.content).text.endswith("Reply STOP to opt out")
    assert texting.state("bea") == ("skipped", "no_address")
    with texting.store.begin() as connection:
        row = connection.execute(
            sa.select(messages).where(messages.c.party_id == texting.party("ana"))
        ).one()
    assert (row.channel, row.state) == ("sms", "sent")
    assert row.address_token == address_token(texting.vault, "sms", "+8613912345678")


def test_without_a_consent_for_texts_none_is_sent(shop):
    shop.add("ana", phone="+8613912345678")  # agreed to e-mail
    shop.decide("ana")
    other = shop.with_settings(channel="aliyun_sms")
    job.run(other.context(), other.settings.act)
    assert other.state("ana") == ("skipped", "consent_missing")


def test_mails_that_were_planned_are_not_sent_as_texts(texting, shop):
    mails = texting.with_settings(channel="smtp")
    job.run(mails.context(), mails.settings.act)
    channel = RecordingChannel()
    deliver(texting, channel)
    assert channel.attempts == []
    assert shop.state("ana") == ("planned", None)


def test_a_text_that_costs_too_much_is_not_sent(texting):
    job.run(texting.context(), texting.settings.act)
    long_name = texting.with_settings(sms_segments=1, sender_name="知音" * 10)
    shop_like = CONTENT | {"offer": {"name": "好" * 60}}
    assert count_segments(write_text(shop_like, shop="知音", language="zh").text) == 2
    channel = RecordingChannel()
    with long_name.store.begin() as connection:
        sealed = long_name.vault.seal([long_name.party("ana")], [shop_like])[0]
        connection.execute(messages.update().values(content=sealed))
    deliver(long_name, channel)
    assert long_name.state("ana") == ("failed", "too_long")
    assert channel.attempts == []


def row_of(shop, key):
    with shop.store.begin() as connection:
        query = sa.select(messages).where(messages.c.party_id == shop.party(key))
        return connection.execute(query).one()


def test_segments_and_cost_stand_with_the_message_and_sum_up(texting):
    priced = texting.with_settings(sms_cost=Decimal("0.045"), sender_name="知音茶铺")
    job.run(priced.context(), priced.settings.act)
    planned = row_of(priced, "ana")
    assert (planned.segments, planned.cost_micros) == (2, 90_000)  # Chinese in it: 70 and 67
    with priced.store.begin() as connection:
        assert count_costs(connection) == []  # planned costs nothing yet
    deliver(priced, RecordingChannel())
    with priced.store.begin() as connection:
        (found,) = count_costs(connection)
        assert count_costs(connection, "another") == []
    assert (found["messages"], found["segments"], found["cost"]) == (1, 2, "0.09")


def test_what_the_provider_refused_costs_nothing_and_what_it_took_costs_though_it_bounced(texting):
    priced = texting.with_settings(sms_cost=Decimal("0.01"))
    job.run(priced.context(), priced.settings.act)
    deliver(priced, RecordingChannel(errors={0: DeliveryError("refused")}))
    with priced.store.begin() as connection:
        assert count_costs(connection) == []
        connection.execute(messages.update().values(reason="bounced"))
        assert [one["cost"] for one in count_costs(connection)] == ["0.01"]


def test_a_budget_pays_for_segments_not_for_messages(shop):
    keys = ("ana", "bea", "cem", "dai")
    for number, key in enumerate(keys):
        shop.add(key, phone=f"+86139123456{number:02d}")
    with shop.store.begin() as connection:
        connection.execute(consents.insert(), [
            {"consent_id": f"sms {key}", "party_id": shop.party(key), "purpose": "marketing",
             "channel": "sms", "granted": True, "at": LONG_AGO, "source": "s"}
            for key in keys
        ])  # fmt: skip
    shop.decide(*keys)
    priced = shop.with_settings(
        channel="aliyun_sms", sms_cost=Decimal("0.05"), sender_name="知音茶铺"
    )
    decide = priced.settings.decide.model_copy(update={"budget_minor": 35, "contact_cost_minor": 1})
    priced.settings = priced.settings.model_copy(update={"decide": decide})
    job.run(priced.context(), priced.settings.act)
    states = [priced.state(key) for key in keys]
    assert states.count(("planned", None)) == 3  # two segments each: 0.30 of 0.35
    assert states.count(("skipped", "campaign_budget")) == 1
    tighter = decide.model_copy(update={"budget_minor": 20})  # cut after planning
    priced.settings = priced.settings.model_copy(update={"decide": tighter})
    assert job.plan(priced.context(), CAMPAIGN).ready == 2
    counts = deliver(priced, RecordingChannel())
    assert (counts["sent"], counts["skipped"]) == (2, {"campaign_budget": 2})


def test_a_preview_shows_the_text(texting):
    job.run(texting.context(), texting.settings.act)
    (example,) = example_emails(texting.context())
    assert example["text"].endswith("Reply STOP to opt out")


def test_the_text_begins_with_the_shop_and_ends_with_the_way_out():
    english = write_text(CONTENT, shop="Tea Shop", language="en", name="Ana").text
    chinese = write_text(CONTENT, shop="知音茶铺", language="zh").text
    assert english == (
        "Tea Shop: Hello Ana, Your personal coupon, until April 15, 2024. Reply STOP to opt out"
    )
    assert chinese.startswith("【知音茶铺】")
    assert chinese.endswith("拒收请回复R")


@pytest.mark.parametrize(("text", "segments"), [
    ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("€" * 80, 1), ("€" * 81, 2),
    ("好" * 70, 1), ("好" * 71, 2), ("好" * 134, 2), ("好" * 135, 3), ("😀" * 35, 1),
    ("😀" * 36, 2),
])  # fmt: skip
def test_segments_are_those_that_providers_charge(text, segments):
    assert count_segments(text) == segments


@pytest.mark.parametrize(("text", "refusal"), [
    ("R", True), (" td ", True), ("Stop!", True), ("退订", True), ("【退订】", True), ("", False),
    ("how do I return this?", False), ("请问营业到几点", False),
])  # fmt: skip
def test_a_reply_that_asks_for_no_more_is_understood(text, refusal):
    assert is_refusal(text) is refusal


def reply(shop, text="R", number="13912345678"):
    with shop.store.begin() as connection:
        return take_reply(
            connection, vault=shop.vault, number=number, text=text, at=AT, calling_code="86"
        )


def test_a_refusal_by_reply_suppresses_the_number_and_refuses_her_consent(texting):
    job.run(texting.context(), texting.settings.act)
    deliver(texting, RecordingChannel())
    assert [reply(texting), reply(texting)] == ["taken", "repeated"]
    assert reply(texting, "thanks") == "no_refusal"
    assert reply(texting, number="call me") == "no_number"
    with texting.store.begin() as connection:
        held = connection.execute(sa.select(suppressions)).one()
        said = connection.execute(sa.select(consents).where(~consents.c.granted)).one()
        kinds = connection.execute(sa.select(reactions.c.kind)).scalars().all()
    assert (held.token, held.channel, held.reason) == (
        address_token(texting.vault, "sms", "+8613912345678"), "sms", "unsubscribed",
    )  # fmt: skip
    assert (said.party_id, said.channel) == (texting.party("ana"), "sms")
    assert kinds == ["unsubscribe"]


def test_a_number_that_nobody_was_written_to_is_suppressed_all_the_same(shop):
    assert reply(shop) == "taken"


def test_twilio_signs_address_and_fields():
    url, fields = (
        "https://news.shop.example/v1/replies/twilio",
        {"From": "+8613912345678", "Body": "R"},
    )
    text = f"{url}BodyRFrom+8613912345678"
    made = base64.b64encode(hmac.new(b"12345", text.encode(), hashlib.sha1).digest()).decode()
    assert is_from_twilio(url, fields, made, secrets=["old", "12345"])
    assert not is_from_twilio(url, fields | {"Body": "x"}, made, secrets=["12345"])
    assert not is_from_twilio(url, fields, "", secrets=["12345"])


def test_the_published_example_of_twilio():
    fields = {
        "CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234",
        "From": "+14158675309", "To": "+18005551212",
    }  # fmt: skip
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    given = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert is_from_twilio(url, fields, given, secrets=["12345"])
