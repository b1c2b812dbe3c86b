"""The robot of DingTalk: a real HTTP server checks the signature in its own way."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.receiver import Answer, Receiver
from zhiyin.act.channels.dingtalk import DingtalkChannel, open_dingtalk
from zhiyin.act.channels.outgoing import read_target
from zhiyin.act.create.text_message import TextMessage
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import ActSettings
from zhiyin.core.errors import ChannelUnavailable, ConfigError, DeliveryError
from zhiyin.testing.channel_contract import ChannelContract

NOW = datetime(2024, 3, 12, 13, tzinfo=UTC)
TOKEN, SECRET, BAD = "a-token", "SECa-secret", "a bad word"


def text_of(text, **params):
    return TextMessage(text, params).content()


def say(code):
    return Answer(200, body=json.dumps({"errcode": code, "errmsg": "said"}).encode())


def read(received):
    """The message, after its signature was made again."""
    query = parse_qs(urlsplit(received.path).query)
    stamp = query["timestamp"][0]
    made = hmac.new(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), hashlib.sha256).digest()
    assert query["sign"] == [base64.b64encode(made).decode()]
    assert query["access_token"] == [TOKEN]
    assert int(stamp) == NOW.timestamp() * 1000
    return json.loads(received.body)


@pytest.fixture
def receiver():
    def answer(received):
        return say(430102 if BAD in read(received)["text"]["content"] else 0)

    with Receiver(answer) as made:
        yield made


def open_at(receiver, clock=None):
    target = read_target(receiver.url, private=True)
    return DingtalkChannel(target, TOKEN, SECRET, clock=clock or FrozenClock(NOW))


@pytest.fixture
def channel(receiver):
    return open_at(receiver)


class TestDingtalkChannel(ChannelContract):
    recipient, refused = "group", "another"

    def someone(self, number):
        return "group"

    def content(self, message_id, recipient="group"):
        return text_of(BAD if recipient == "another" else message_id)

    @pytest.fixture
    def arrived(self, receiver):
        def found():
            kept = {}
            for one in receiver.requests:
                text = read(one)["text"]["content"]
                if text != BAD:
                    kept.setdefault(text, []).append(text_of(text))
            return kept

        return found


def test_with_a_title_it_is_markdown():
    with Receiver(lambda _: say(0)) as receiver:
        open_at(receiver).send("a_1", "", text_of("- one", title="shop: 1"))
        assert read(receiver.requests[0]) == {
            "msgtype": "markdown", "markdown": {"title": "shop: 1", "text": "- one"},
        }  # fmt: skip


def test_the_twenty_first_within_a_minute_waits_for_it_would_shut_the_robot_up(receiver):
    class Ticking(FrozenClock):
        seconds = 0.0

        def monotonic(self):
            return self.seconds

    clock = Ticking(NOW)
    channel = open_at(receiver, clock)
    for number in range(20):
        clock.seconds = number * 2.0
        channel.send(f"a_{number}", "", text_of("x"))
    with pytest.raises(DeliveryError) as caught:
        channel.send("a_20", "", text_of("x"))
    assert (caught.value.retryable, caught.value.retry_after_s) == (True, 22.0)
    assert len(receiver.requests) == 20
    clock.seconds = 60.0
    channel.send("a_20", "", text_of("x"))


@pytest.mark.parametrize(("answer", "expected"), [
    (say(-1), (True, False, None)), (say(130101), (True, False, 600.0)),
    (say(410100), (True, False, 600.0)), (Answer(429, body=b"no"), (True, False, 600.0)),
    (say(400105), (False, False, None)), (Answer(502, body=b"<html>"), (False, True, None)),
    (Answer(hang_up=True), (False, True, None)),
])  # fmt: skip
def test_an_error_says_what_became_of_the_message(answer, expected):
    with Receiver(lambda _: answer) as receiver, pytest.raises(DeliveryError) as caught:
        open_at(receiver).send("a_1", "", text_of("x"))
    error = caught.value
    assert (error.retryable, error.in_doubt, error.retry_after_s) == expected


@pytest.mark.parametrize("code", [310000, 300005, 400101, 400013])
def test_a_robot_that_may_not_speak_says_where_to_look_and_not_its_secret(code):
    with Receiver(lambda _: say(code)) as receiver, pytest.raises(ChannelUnavailable) as caught:
        open_at(receiver).send("a_1", "", text_of("x"))
    assert "ZHIYIN_DINGTALK_SECRET" in caught.value.hint
    assert SECRET not in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_without_its_variables_it_says_which_are_missing(monkeypatch):
    monkeypatch.delenv("ZHIYIN_DINGTALK_SECRET", raising=False)
    with pytest.raises(ConfigError) as caught:
        open_dingtalk(ActSettings())
    assert "ZHIYIN_DINGTALK_TOKEN" in caught.value.hint
