"""Subscription messages of a mini-programme: a real HTTP server with the documented shapes."""

from datetime import UTC, datetime

import pytest

from tests.receiver import Answer
from tests.wechat_server import SECRET, WechatServer, say
from zhiyin.act.channels.outgoing import read_target
from zhiyin.act.channels.wechat import WechatChannel, open_wechat
from zhiyin.act.channels.wechat_api import WechatApi, of_wechat
from zhiyin.act.create.text_message import TextMessage
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import ActSettings
from zhiyin.core.errors import ChannelUnavailable, ConfigError, DeliveryError, InvalidParameter
from zhiyin.testing.channel_contract import ChannelContract

NOW = datetime(2024, 3, 12, 13, tzinfo=UTC)
ANA, REFUSED = "oABCD_abcdefghijklmnopqrstu1", "oREFUSED_bcdefghijklmnopqrstu"
PARAMS = ("thing1=offer", "date2=day")


def text_of(offer, **more):
    params = {"shop": "知音", "offer": offer, "day": "2024年5月1日", "language": "zh"} | more
    return TextMessage(offer, params).content()


class Platform(WechatServer):
    def usual(self, name, values):
        assert name == "send"
        assert values["template_id"] == "TPL"
        return {"errcode": 43101 if values["touser"] == REFUSED else 0, "errmsg": "ok"}


@pytest.fixture
def server():
    with Platform() as made:
        yield made


def open_at(server, params=PARAMS, **more):
    api = WechatApi(
        read_target(server.url, private=True), of_wechat("wx1", SECRET), clock=FrozenClock(NOW)
    )
    return WechatChannel(api, template="TPL", params=params, **more)


@pytest.fixture
def channel(server):
    return open_at(server)


class TestWechatChannel(ChannelContract):
    recipient, refused = ANA, REFUSED

    def someone(self, number):
        return f"o{number:027d}"

    def content(self, message_id, recipient=ANA):
        return text_of(message_id)

    @pytest.fixture
    def arrived(self, server):
        def found():
            kept = {}
            for values in server.named("send"):
                if values["touser"] != REFUSED:
                    offer = values["data"]["thing1"]["value"]
                    kept.setdefault(offer, []).append(text_of(offer))
            return kept

        return found


def test_keywords_are_filled_and_cut_to_what_each_takes(server):
    params = ("thing1=offer", "name3=name", "date2=day", "phrase4=shop")
    channel = open_at(server, params, page="pages/offer", version="trial")
    long = "春" * 30
    channel.send("m_1", ANA, text_of(long, name="欧阳" * 8, shop="知音茶铺旗舰店"))
    (asked,) = server.named("send")
    values = {key: one["value"] for key, one in asked["data"].items()}
    assert {key: len(value) for key, value in values.items() if key != "date2"} == {
        "thing1": 20, "name3": 10, "phrase4": 5,
    }  # fmt: skip
    assert values["date2"] == "2024年5月1日"
    assert (asked["page"], asked["miniprogram_state"], asked["lang"]) == (
        "pages/offer", "trial", "zh_CN",
    )  # fmt: skip


def test_an_empty_keyword_is_not_sent_for_the_platform_would_refuse_it(channel, server):
    with pytest.raises(DeliveryError) as caught:
        channel.send("m_1", ANA, text_of("x", day=""))
    assert not caught.value.retryable
    assert server.calls == []


def test_who_refused_is_told_from_what_was_refused(channel, server):
    with pytest.raises(DeliveryError) as caught:
        channel.send("m_1", REFUSED, text_of("x"))
    assert caught.value.no_authorisation
    server.queued = [say({"errcode": 47003, "errmsg": "argument invalid! data.thing1.value"})]
    with pytest.raises(DeliveryError) as caught:
        channel.send("m_1", ANA, text_of("x"))
    assert not caught.value.no_authorisation
    assert not caught.value.retryable


@pytest.mark.parametrize(("answer", "expected"), [
    (say({"errcode": -1, "errmsg": "system error"}), (True, False, False)),
    (say({"errcode": 45009, "errmsg": "reach max api daily quota limit"}), (True, False, False)),
    (say({"errcode": 43108, "errmsg": "concurrent"}), (True, False, False)),
    (say({"errcode": 40003, "errmsg": "invalid openid"}), (False, False, True)),
    (Answer(500, body=b"oops"), (False, True, False)),
    (Answer(hang_up=True), (False, True, False)),
])  # fmt: skip
def test_an_error_says_what_became_of_the_message(channel, server, answer, expected):
    server.queued = [answer]
    with pytest.raises(DeliveryError) as caught:
        channel.send("m_1", ANA, text_of("x"))
    error = caught.value
    assert (error.retryable, error.in_doubt, error.no_such_address) == expected
    assert ANA not in str(error)


@pytest.mark.parametrize("code", [40037, 41030, 48001, 40013])
def test_a_wrong_template_or_page_costs_no_message_a_try(channel, server, code):
    server.queued = [say({"errcode": code, "errmsg": "no"})]
    with pytest.raises(ChannelUnavailable):
        channel.send("m_1", ANA, text_of("x"))


def test_what_is_no_openid_never_leaves(channel, server):
    with pytest.raises(InvalidParameter):
        channel.send("m_1", "ana@shop.example", text_of("x"))
    assert server.tokens == 0


def test_without_its_settings_it_says_which_are_missing(monkeypatch):
    monkeypatch.setenv("ZHIYIN_WECHAT_SECRET", SECRET)
    act = ActSettings(channel="wechat_subscribe", wechat_app_id="wx1")
    with pytest.raises(ConfigError) as caught:
        open_wechat(act)
    assert "wechat_template" in caught.value.hint
    made = act.model_copy(update={"wechat_template": "TPL"})
    assert open_wechat(made).name == "wechat_subscribe"
