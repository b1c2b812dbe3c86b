"""Mass messages by 企业微信: a real HTTP server with the documented shapes."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.receiver import Answer
from tests.wechat_server import SECRET, TOKEN_S, WecomServer, say
from zhiyin.act.channels.outgoing import read_target
from zhiyin.act.channels.wechat_api import WechatApi, of_wecom
from zhiyin.act.channels.wecom import MOST, WecomChannel, open_wecom
from zhiyin.act.create.text_message import TextMessage
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import ActSettings
from zhiyin.core.errors import (
    ChannelUnavailable,
    ConfigError,
    DeliveryError,
    InvalidParameter,
)
from zhiyin.testing.channel_contract import ChannelContract

NOW = datetime(2024, 3, 12, 13, tzinfo=UTC)
ANA, BEA, REFUSED = "wmANA0000000000000000000000001", "wmBEA", "wmREFUSED000000000000000000"


def text_of(text):
    return TextMessage(text, {}).content()


@pytest.fixture
def server():
    with WecomServer() as made:
        made.refused = {REFUSED}
        yield made


@pytest.fixture
def clock():
    return FrozenClock(NOW)


def open_at(server, clock, secret=SECRET, member="zhang"):
    target = read_target(server.url, private=True)
    return WecomChannel(WechatApi(target, of_wecom("ww1", secret), clock=clock), member=member)


@pytest.fixture
def channel(server, clock):
    return open_at(server, clock)


class TestWecomChannel(ChannelContract):
    recipient, refused = ANA, REFUSED

    def someone(self, number):
        return f"wm{number:08d}"

    def content(self, message_id, recipient=ANA):
        return text_of(message_id)

    @pytest.fixture
    def arrived(self, server):
        def found():
            kept = {}
            for made in server.made.values():
                text = made["text"]["content"]
                kept.setdefault(text, []).append(text_of(text))
            return kept

        return found


def test_one_call_is_for_all_and_names_who_confirms(channel, server):
    made = channel.send_all([ANA, REFUSED, BEA], text_of("spring"), member="li")
    assert (made.provider_id, made.left_out) == ("msg1", {REFUSED})
    (asked,) = server.named("add_msg_template")
    assert asked == {
        "chat_type": "single", "external_userid": [ANA, REFUSED, BEA], "sender": "li",
        "text": {"content": "spring"},
    }  # fmt: skip


def test_without_a_member_the_platform_chooses(channel, server):
    channel.send_all([ANA], text_of("spring"), member="")
    assert "sender" not in server.named("add_msg_template")[0]


def test_outcomes_are_read_page_by_page_of_every_member(channel, server):
    server.contacts = {"li": (BEA,), "zhang": (ANA, BEA, "wmC", "wmD")}
    channel.send_all([ANA, BEA, "wmC", "wmD", "wmE"], text_of("x"), member="")
    server.statuses = {("msg1", ANA): 1, ("msg1", BEA): 2, ("msg1", "wmC"): 3}
    found = {one.recipient: one for one in channel.outcomes("msg1", member="")}
    assert {who: one.state for who, one in found.items()} == {
        ANA: "sent", BEA: "not_a_contact", "wmC": "provider_limit", "wmD": "waiting",
    }  # fmt: skip
    assert found[ANA].at == datetime.fromtimestamp(1_710_300_000, UTC)


def test_what_one_member_sent_was_sent_whatever_another_could_not(channel, server):
    server.contacts = {"li": (ANA,), "zhang": (ANA,)}
    channel.send_all([ANA], text_of("x"), member="")
    answers = [2, 1]
    server._row = lambda msgid, member, who: {
        "external_userid": who, "userid": member, "status": answers.pop(0), "send_time": 5,
    }  # fmt: skip
    assert [one.state for one in channel.outcomes("msg1", member="")] == ["sent"]


def test_a_token_is_kept_and_asked_for_before_it_ends(channel, server, clock):
    for _ in range(3):
        channel.send("m_1", ANA, text_of("x"))
    assert server.tokens == 1
    clock.at += timedelta(seconds=TOKEN_S - 60)
    channel.send("m_1", ANA, text_of("x"))
    assert server.tokens == 2


def test_a_token_that_ended_early_is_asked_for_again_and_nothing_goes_twice(channel, server):
    channel.send("m_1", ANA, text_of("one"))
    server.tokens += 1  # somebody else asked: ours is worth nothing
    channel.send("m_2", ANA, text_of("two"))
    assert [made["text"]["content"] for made in server.made.values()] == ["one", "two"]


@pytest.mark.parametrize(("answer", "expected"), [
    (say({"errcode": -1, "errmsg": "system busy"}), (True, False)),
    (say({"errcode": 45009, "errmsg": "api freq out of limit"}), (True, False)),
    (say({"errcode": 45033, "errmsg": "concurrent"}), (True, False)),
    (say({"errcode": 84061, "errmsg": "not external contact"}), (False, False)),
    (say({"errcode": 40058, "errmsg": "invalid"}), (False, False)),
    (Answer(429, body=b"slow down"), (True, False)),
    (Answer(502, body=b"<html>"), (False, True)),
    (Answer(hang_up=True), (False, True)),
])  # fmt: skip
def test_an_error_says_what_became_of_the_message(channel, server, answer, expected):
    server.queued = [answer]
    with pytest.raises(DeliveryError) as caught:
        channel.send("m_1", ANA, text_of("x"))
    assert (caught.value.retryable, caught.value.in_doubt) == expected
    assert not isinstance(caught.value, ChannelUnavailable)
    assert ANA not in str(caught.value)


@pytest.mark.parametrize("code", [40003, 48002, 60011, 60020, 84074])
def test_an_account_that_may_not_send_costs_no_message_a_try(channel, server, code):
    server.queued = [say({"errcode": code, "errmsg": "no"})]
    with pytest.raises(ChannelUnavailable):
        channel.send("m_1", ANA, text_of("x"))


def test_a_wrong_secret_hands_nothing_over_and_stays_unsaid(server, clock):
    with pytest.raises(ChannelUnavailable) as caught:
        open_at(server, clock, secret="another-secret").send("m_1", ANA, text_of("x"))
    assert "another-secret" not in f"{caught.value} {caught.value.hint}"
    assert server.calls == []


def test_a_token_that_does_not_come_is_no_doubt(server, clock):
    channel = open_at(server, clock)
    server.token_answer = {"errcode": 0, "errmsg": "ok"}
    with pytest.raises(ChannelUnavailable):
        channel.send("m_1", ANA, text_of("x"))


@pytest.mark.parametrize("recipients", [[], ["wm 企业"], [""], [ANA] * (MOST + 1)])
def test_what_can_be_no_call_is_refused_here(channel, server, recipients):
    with pytest.raises(InvalidParameter):
        channel.send_all(recipients, text_of("x"), member="")
    assert server.calls == []


def test_without_its_variables_it_says_which_are_missing(monkeypatch):
    monkeypatch.delenv("ZHIYIN_WECOM_SECRET", raising=False)
    with pytest.raises(ConfigError) as caught:
        open_wecom(ActSettings(channel="wecom"))
    assert "ZHIYIN_WECOM_SECRET" in caught.value.hint
    monkeypatch.setenv("ZHIYIN_WECOM_CORPID", "ww1")
    monkeypatch.setenv("ZHIYIN_WECOM_SECRET", SECRET)
    assert open_wecom(ActSettings(channel="wecom")).name == "wecom"


def test_what_is_stopped_is_named_to_the_platform_and_a_refusal_is_told(channel, server):
    made = channel.send_all([ANA], text_of("hello"), member="zhang")
    channel.stop(made.provider_id)
    channel.stop(made.provider_id)
    assert server.named("cancel_groupmsg_send") == [{"msgid": made.provider_id}] * 2
    server.queued = [say({"errcode": 41093}), say({"errcode": 48002})]
    with pytest.raises(DeliveryError, match="41093"):
        channel.stop(made.provider_id)
    with pytest.raises(ChannelUnavailable):
        channel.stop(made.provider_id)
