"""Webhooks: signed so that receivers believe them, sent nowhere else, failures told apart."""

import base64
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.receiver import Answer, Receiver
from zhiyin.act.channels import CHANNELS, outgoing
from zhiyin.act.channels.outgoing import is_public, read_target
from zhiyin.act.channels.webhook import WebhookChannel, open_webhook, read_secret, sign
from zhiyin.collect.sources.config import HookSource
from zhiyin.collect.sources.signatures import verify
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import ActSettings
from zhiyin.core.errors import ChannelUnavailable, ConfigError, DeliveryError, NotAuthenticated
from zhiyin.testing.channel_contract import RECIPIENT, an_email

NEW, OLD = ("whsec_" + base64.b64encode(letter * 32).decode() for letter in (b"n", b"o"))
NOW = datetime(2024, 3, 12, 13, tzinfo=UTC)


@pytest.fixture
def serve():
    """A channel and its receiver, which gives the answers one after the other, then 200."""
    opened = []

    def start(*answers, secrets=(NEW,), timeout_s=10.0):
        left = list(answers)
        receiver = Receiver(lambda received: left.pop(0) if left else Answer())
        channel = WebhookChannel(
            read_target(receiver.url, private=True), secrets, timeout_s=timeout_s,
            clock=FrozenClock(NOW),
        )  # fmt: skip
        opened.extend((channel, receiver))
        return channel, receiver

    yield start
    for one in opened:
        one.close()


def send(channel, message_id="m_1"):
    return channel.send(message_id, RECIPIENT, an_email(message_id))


def test_the_published_example_of_the_standard():
    key = read_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = sign([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("known", [NEW, OLD])
def test_while_the_secret_changes_receivers_may_know_either(serve, known):
    channel, receiver = serve(secrets=(NEW, OLD))
    send(channel)
    (one,) = receiver.requests
    source = HookSource.model_construct(kind="webhook", signature="standard", topic_header="")
    found = verify(source, one.headers, one.body, secrets=[known], now=NOW)
    assert found.hook_id == "m_1"
    with pytest.raises(NotAuthenticated):
        verify(source, one.headers, one.body + b" ", secrets=[known], now=NOW)


@pytest.mark.parametrize(
    ("answer", "retryable", "in_doubt"),
    [
        (Answer(400), False, False),
        (Answer(409), False, False),
        (Answer(410), False, False),
        (Answer(408), True, False),
        (Answer(425), True, False),
        (Answer(429), True, False),
        (Answer(500), True, False),
        (Answer(503), True, False),
        (Answer(hang_up=True), False, True),
    ],
)
def test_an_answer_says_whether_to_come_again(serve, answer, retryable, in_doubt):
    channel, _ = serve(answer)
    with pytest.raises(DeliveryError) as caught:
        send(channel)
    assert (caught.value.retryable, caught.value.in_doubt) == (retryable, in_doubt)
    assert not isinstance(caught.value, ChannelUnavailable)
    assert RECIPIENT not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0),
        ("999999999", 86_400),
        ("9" * 400, 86_400),  # more than a float holds
        ("soon", None),
    ],
)
def test_a_receiver_may_ask_for_time(serve, header, seconds):
    channel, _ = serve(Answer(429, {"Retry-After": header}))
    with pytest.raises(DeliveryError) as caught:
        send(channel)
    assert caught.value.retry_after_s == seconds


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401])
def test_a_receiver_that_is_set_up_wrongly_costs_no_message(serve, status):
    channel, receiver = serve(Answer(status, {"Location": "http://127.0.0.1/elsewhere"}))
    with pytest.raises(ChannelUnavailable):
        send(channel)
    assert len(receiver.requests) == 1  # the redirect was not followed


def test_a_receiver_that_is_silent_is_in_doubt(serve):
    channel, _ = serve(timeout_s=0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        channel._target = replace(channel._target, port=silent.getsockname()[1])
        with pytest.raises(DeliveryError) as caught:
            send(channel)
    assert caught.value.in_doubt


def test_one_connection_serves_many_messages_and_is_opened_again(serve):
    channel, receiver = serve()
    for number in range(3):
        send(channel, f"m_{number}")
    assert receiver.connections == 1
    channel._line.sock.shutdown(socket.SHUT_RDWR)  # as an idle line that the receiver closed
    send(channel, "m_3")
    assert receiver.connections == 2
    assert [one.headers["webhook-id"] for one in receiver.requests] == ["m_0", "m_1", "m_2", "m_3"]


def test_nobody_there_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    target = read_target(f"http://127.0.0.1:{port}/", private=True)
    with pytest.raises(ChannelUnavailable):
        send(WebhookChannel(target, [NEW], timeout_s=5))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1",  # noqa: S104  # nothing is bound
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::",
        "ff02::1", "no address",
    ],
)  # fmt: skip
def test_addresses_within_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_outside_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"]])
def test_a_name_that_leads_within_is_not_connected_to(monkeypatch, addresses):
    def found(host, port, **options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    def refuse(*args, **options):
        raise AssertionError("it was connected to")

    monkeypatch.setattr(outgoing.socket, "getaddrinfo", found)
    monkeypatch.setattr(outgoing.socket, "create_connection", refuse)
    with pytest.raises(ChannelUnavailable, match="not public"):
        read_target("https://hooks.shop.example/").connect(1.0)


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch):
    """A name server that answers differently the second time leads nowhere."""
    asked, dialled = [], []

    def found(host, port, **options):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", port))]

    def dial(place, **options):
        dialled.append(place)
        raise ConnectionRefusedError

    monkeypatch.setattr(outgoing.socket, "getaddrinfo", found)
    monkeypatch.setattr(outgoing.socket, "create_connection", dial)
    with pytest.raises(ChannelUnavailable):
        read_target("https://hooks.shop.example/").connect(1.0)
    assert (asked, dialled) == (["hooks.shop.example"], [("8.8.8.8", 443)])


@pytest.mark.parametrize(
    "url",
    [
        "", "hooks.shop.example", "http://hooks.shop.example/", "file:///etc/passwd", "https://",
        "https://user:word@hooks.shop.example/", "https://hooks.shop.example:99999/",
        "https://hooks.shop.example/a b", "https://hooks.shop.example/\r\nHost: x",
    ],
)  # fmt: skip
def test_only_an_https_address_is_taken(url):
    with pytest.raises(ConfigError):
        read_target(url)


@pytest.mark.parametrize(
    "secret", ["", "hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%", NEW[6:]]
)
def test_a_weak_secret_is_refused_and_not_quoted(secret):
    with pytest.raises(ConfigError) as caught:
        read_secret(secret)
    assert not secret.removeprefix("whsec_") or secret not in str(caught.value)


def test_the_configured_channel_needs_an_address_and_a_secret(monkeypatch):
    assert CHANNELS.load("webhook") is open_webhook
    act = ActSettings(webhook_url="https://hooks.shop.example/zhiyin")
    with pytest.raises(ConfigError, match="no webhook"):
        open_webhook(act)
    monkeypatch.setenv("ZHIYIN_WEBHOOK_SECRET", NEW)
    with pytest.raises(ConfigError, match="no webhook"):
        open_webhook(ActSettings())
    assert open_webhook(act).supports == {"idempotency"}  # it has not connected
