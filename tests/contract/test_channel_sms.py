"""Providers of text messages: a real HTTP server checks each signature in its own way."""

import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.receiver import Answer, Receiver
from zhiyin.act.channels.outgoing import read_target
from zhiyin.act.channels.sms import Account, SmsChannel, open_sms, sign_acs3, sign_tc3
from zhiyin.act.create.text_message import TextMessage
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import ActSettings
from zhiyin.core.errors import ChannelUnavailable, DeliveryError
from zhiyin.testing.channel_contract import ChannelContract

NOW = datetime(2024, 3, 12, 13, tzinfo=UTC)
KEY, SECRET = "key-id", "a secret"
NUMBER, REFUSED = "+8613912345678", "+8613900000000"
ACCOUNT = Account(KEY, SECRET, "知音", "SMS_1", ("offer", "day"), "1400006666")


def text_of(offer):
    return TextMessage(f"Shop: {offer}", {"offer": offer, "day": "1 May"}).content()


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256)


def of_aliyun(received):
    """The number and what it says, after the signature was made again from what arrived."""
    said = received.headers["authorization"]
    names = re.search("SignedHeaders=([^,]*)", said)[1].split(";")
    lines = [f"{name}:{received.headers[name]}" for name in names]
    digest = hashlib.sha256(received.body).hexdigest()
    query = "&".join(sorted(urlsplit(received.path).query.split("&")))
    whole = "\n".join(["POST", "/", query, *lines, "", ";".join(names), digest])
    made = mac(SECRET.encode(), "ACS3-HMAC-SHA256\n" + hashlib.sha256(whole.encode()).hexdigest())
    assert said.endswith(f"Signature={made.hexdigest()}")
    assert received.headers["x-acs-content-sha256"] == digest
    fields = dict(pair.split("=") for pair in query.split("&"))
    assert unquote(fields["SignName"]) == "知音"
    return fields["PhoneNumbers"], json.loads(unquote(fields["TemplateParam"]))["offer"]


def of_tencent(received):
    stamp, kind = received.headers["x-tc-timestamp"], received.headers["content-type"]
    lines = ["POST", "/", "", f"content-type:{kind}", f"host:{received.headers['host']}", ""]
    digest = hashlib.sha256(received.body).hexdigest()
    whole = "\n".join([*lines, "content-type;host", digest])
    hashed = hashlib.sha256(whole.encode()).hexdigest()
    key = b"TC3" + SECRET.encode()
    for part in ("2024-03-12", "sms", "tc3_request"):
        key = mac(key, part).digest()
    made = mac(key, f"TC3-HMAC-SHA256\n{stamp}\n2024-03-12/sms/tc3_request\n{hashed}")
    assert received.headers["authorization"].endswith(f"Signature={made.hexdigest()}")
    values = json.loads(received.body)
    assert (values["SmsSdkAppId"], values["TemplateId"]) == ("1400006666", "SMS_1")
    return values["PhoneNumberSet"][0], values["TemplateParamSet"][0]


def of_twilio(received):
    login = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
    assert received.headers["authorization"] == f"Basic {login}"
    assert received.path == f"/2010-04-01/Accounts/{KEY}/Messages.json"
    values = parse_qs(received.body.decode())
    return values["To"][0], values["Body"][0].removeprefix("Shop: ")


def say(status, values):
    return Answer(status, {"Content-Type": "application/json"}, body=json.dumps(values).encode())


READERS = {"aliyun_sms": of_aliyun, "tencent_sms": of_tencent, "twilio_sms": of_twilio}
TAKEN = {
    "aliyun_sms": say(200, {"Code": "OK", "Message": "OK", "BizId": "9006197469364984"}),
    "tencent_sms": say(200, {"Response": {"SendStatusSet": [
        {"SerialNo": "5000:1", "Code": "Ok"}]}}),
    "twilio_sms": say(201, {"sid": "SM0123", "status": "queued"}),
}  # fmt: skip
NOBODY = {
    "aliyun_sms": say(200, {"Code": "isv.MOBILE_NUMBER_ILLEGAL", "Message": "no"}),
    "tencent_sms": say(200, {"Response": {"SendStatusSet": [
        {"SerialNo": "", "Code": "InvalidParameterValue.IncorrectPhoneNumber"}]}}),
    "twilio_sms": say(400, {"code": 21211, "message": "invalid", "status": 400}),
}  # fmt: skip


class TestSmsChannel(ChannelContract):
    recipient, refused = NUMBER, REFUSED

    def someone(self, number):
        return f"+86139{number:08d}" if number else NUMBER

    def content(self, message_id, recipient=NUMBER):
        return text_of(message_id)

    @pytest.fixture(params=READERS)
    def provider(self, request):
        return request.param

    @pytest.fixture
    def receiver(self, provider):
        def answer(received):
            number, _ = READERS[provider](received)
            return NOBODY[provider] if number.endswith(REFUSED[-11:]) else TAKEN[provider]

        with Receiver(answer) as made:
            yield made

    @pytest.fixture
    def channel(self, provider, receiver):
        return open_at(provider, receiver)

    @pytest.fixture
    def arrived(self, provider, receiver):
        def found():
            kept = {}
            for one in receiver.requests:
                number, offer = READERS[provider](one)
                if not number.endswith(REFUSED[-11:]):
                    kept.setdefault(offer, []).append(text_of(offer))
            return kept

        return found


def open_at(provider, receiver):
    target = read_target(receiver.url, private=True)
    return SmsChannel(provider, target, ACCOUNT, clock=FrozenClock(NOW))


@pytest.mark.parametrize(("provider", "answer", "expected"), [
    ("aliyun_sms", say(200, {"Code": "isv.BUSINESS_LIMIT_CONTROL"}), (True, False, False)),
    ("aliyun_sms", say(503, {"Code": "ServiceUnavailable"}), (True, False, False)),
    ("aliyun_sms", say(200, {"Code": "isv.MOBILE_NUMBER_ILLEGAL"}), (False, False, True)),
    ("tencent_sms", say(200, {"Response": {"SendStatusSet": [
        {"Code": "LimitExceeded.PhoneNumberDailyLimit"}]}}), (True, False, False)),
    ("twilio_sms", say(400, {"code": 21610}), (False, False, False)),
    ("twilio_sms", say(429, {"code": 20429}), (True, False, False)),
    ("twilio_sms", Answer(hang_up=True), (False, True, False)),
    ("twilio_sms", Answer(200, body=b"<html>"), (False, True, False)),
])  # fmt: skip
def test_an_error_says_what_became_of_the_message(provider, answer, expected):
    with Receiver(lambda _: answer) as receiver, pytest.raises(DeliveryError) as caught:
        open_at(provider, receiver).send("m_1", NUMBER, text_of("x"))
    error = caught.value
    assert (error.retryable, error.in_doubt, error.no_such_address) == expected
    assert NUMBER[3:] not in str(error)


@pytest.mark.parametrize(("provider", "answer"), [
    ("aliyun_sms", say(400, {"Code": "SignatureDoesNotMatch"})),
    ("aliyun_sms", say(200, {"Code": "isv.AMOUNT_NOT_ENOUGH"})),
    ("tencent_sms", say(200, {"Response": {"Error": {"Code": "AuthFailure.SignatureFailure"}}})),
    ("twilio_sms", say(401, {"code": 20003})),
])  # fmt: skip
def test_an_account_that_may_not_send_costs_no_message_a_try(provider, answer):
    with Receiver(lambda _: answer) as receiver, pytest.raises(ChannelUnavailable) as caught:
        open_at(provider, receiver).send("m_1", NUMBER, text_of("x"))
    assert SECRET not in str(caught.value)


def test_the_published_example_of_aliyun():
    image = "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com", "x-acs-action": "RunInstances",
        "x-acs-date": "2023-10-26T10:22:32Z", "x-acs-version": "2014-05-26",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
    }  # fmt: skip
    made = sign_acs3(
        "YourAccessKeyId", "YourAccessKeySecret",
        {"ImageId": image, "RegionId": "cn-shanghai"}, headers, b"",
    )  # fmt: skip
    expected = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    assert made.headers["Authorization"].endswith(f"Signature={expected}")


def test_the_published_example_of_tencent():
    body = (
        rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'
    )
    made = sign_tc3(
        "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE", "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE", "cvm",
        "cvm.tencentcloudapi.com", body, 1551113065,
    )  # fmt: skip
    expected = "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"
    assert made["Authorization"].endswith(f"Signature={expected}")


@pytest.mark.parametrize(("url", "told"), [
    ("https://news.shop.example/", ["https://news.shop.example/v1/receipts/twilio"]),
    ("https://example.invalid", None), ("http://localhost:8000", None),
])  # fmt: skip
def test_twilio_is_told_where_receipts_go_if_that_is_public(monkeypatch, url, told):
    monkeypatch.setenv("ZHIYIN_SMS_KEY", KEY)
    monkeypatch.setenv("ZHIYIN_SMS_SECRET", SECRET)
    settings = ActSettings(channel="twilio_sms", sms_sender="+15550001111", public_url=url)
    with Receiver(lambda _: TAKEN["twilio_sms"]) as receiver:
        channel = open_sms(settings)
        channel._target = read_target(receiver.url, private=True)
        channel.send("m_1", NUMBER, text_of("x"))
        assert parse_qs(receiver.requests[0].body.decode()).get("StatusCallback") == told
