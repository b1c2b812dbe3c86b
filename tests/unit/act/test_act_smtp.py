"""SMTP's failures, told apart by what they mean for the message."""

import contextlib
import socket
import threading

import pytest

from zhiyin.act.channels import CHANNELS
from zhiyin.act.channels.sink import HOST, SinkChannel, SinkServer, keep
from zhiyin.act.channels.smtp import SmtpChannel, open_smtp
from zhiyin.core.config import ActSettings
from zhiyin.core.errors import ChannelUnavailable, ConfigError, DeliveryError
from zhiyin.testing.channel_contract import RECIPIENT, SENDER, an_email

HANG_UP = None  # instead of an answer


class ScriptedServer:
    """Answers each command of each connection as the script says, 250 where it says nothing."""

    def __init__(self, *scripts: dict, greeting: str = "220 hello"):
        self._scripts, self._greeting = list(scripts), greeting
        self.connections = 0
        self.commands: list[str] = []
        self._socket = socket.create_server((HOST, 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes a waiting accept
        self._socket.close()
        self._thread.join(10)

    def _serve(self):
        for script in self._scripts:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with line, line.makefile("rwb") as file:
                self._talk(file, script)

    def _talk(self, file, script):
        def say(answer):
            file.write(answer.encode() + b"\r\n")
            file.flush()

        say(self._greeting)
        while command := file.readline():
            self.commands.append(command.decode().strip())
            verb = command[:4].decode().upper().strip()
            if verb == "DATA" and "DATA" not in script:
                say("354 go on")
                while file.readline() != b".\r\n":
                    pass
                verb = "BODY"
            answer = script.get(verb, "221 bye" if verb == "QUIT" else "250 fine")
            if answer is HANG_UP:
                return
            say(answer)
            if verb == "QUIT":
                return


@pytest.fixture
def serve():
    servers, channels = [], []

    def start(*scripts, **options):
        servers.append(ScriptedServer(*scripts))
        channels.append(SmtpChannel(HOST, servers[-1].port, sender=SENDER, timeout_s=10, **options))
        return channels[-1], servers[-1]

    yield start
    for channel in channels:
        channel.close()
    for server in servers:
        server.close()


def send(channel):
    return channel.send("m_1", RECIPIENT, an_email("m_1"))


@pytest.mark.parametrize(
    ("script", "retryable", "in_doubt"),
    [
        ({"RCPT": "550 5.1.1 nobody"}, False, False),
        ({"RCPT": "451 4.7.1 greylisted"}, True, False),
        ({"DATA": "554 no"}, False, False),
        ({"DATA": "421 closing"}, True, False),
        ({"BODY": "554 5.7.1 spam"}, False, False),
        ({"BODY": "452 4.3.1 full"}, True, False),
        ({"BODY": HANG_UP}, False, True),
        ({"DATA": HANG_UP}, True, False),
        ({"RCPT": HANG_UP}, True, False),
    ],
)
def test_an_error_says_whether_the_message_may_have_arrived(serve, script, retryable, in_doubt):
    channel, _ = serve(script)
    with pytest.raises(DeliveryError) as caught:
        send(channel)
    assert (caught.value.retryable, caught.value.in_doubt) == (retryable, in_doubt)
    assert RECIPIENT not in str(caught.value)


@pytest.mark.parametrize(("answer", "nobody"), [
    ("550 5.1.1 nobody here", True), ("550 5.7.1 not wanted", False), ("550 no", False),
    ("450 4.1.1 5.1.1 look again", False),
])  # fmt: skip
def test_an_address_that_nobody_has_is_told_from_other_refusals(serve, answer, nobody):
    channel, _ = serve({"RCPT": answer})
    with pytest.raises(DeliveryError) as caught:
        send(channel)
    assert caught.value.no_such_address is nobody


TOGETHER = {"EHLO": "250-hello\r\n250 PIPELINING"}


@pytest.mark.parametrize(("script", "retryable"), [
    ({"RCPT": "450 4.2.0 later", "DATA": "503 no"}, True), ({"DATA": "554 no"}, False),
])  # fmt: skip
def test_a_server_that_takes_commands_together_is_believed_by_each_answer(serve, script, retryable):
    channel, _ = serve(TOGETHER | script)
    with pytest.raises(DeliveryError) as caught:
        send(channel)
    assert (caught.value.retryable, caught.value.in_doubt) == (retryable, False)


def test_no_content_goes_to_a_server_that_took_no_recipient(serve):
    channel, server = serve(TOGETHER | {"RCPT": "550 5.1.1 nobody", "DATA": "354 go on"}, TOGETHER)
    with pytest.raises(DeliveryError):
        send(channel)
    send(channel)
    assert server.connections == 2


def test_bounces_go_to_an_address_that_names_the_message(serve):
    channel, server = serve({}, bounces="bounces@shop.example")
    channel.send("m_1", RECIPIENT, an_email("m_1"))
    assert "MAIL FROM:<bounces+m_1@shop.example>" in server.commands


def test_one_connection_serves_many_messages(serve):
    channel, server = serve({}, {})
    for _ in range(3):
        send(channel)
    assert server.connections == 1


def test_an_idle_line_that_was_closed_is_opened_again(serve):
    channel, server = serve({"BODY": "250 fine"}, {})
    send(channel)
    channel._smtp.sock.shutdown(socket.SHUT_RDWR)
    assert send(channel)
    assert server.connections == 2


def test_a_server_that_is_not_there_is_unavailable():
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    channel = SmtpChannel(HOST, port, sender=SENDER, timeout_s=5)
    with pytest.raises(ChannelUnavailable):
        send(channel)


def test_a_sender_that_is_not_taken_fails_no_message(serve):
    channel, _ = serve({"MAIL": "550 not you"})
    with pytest.raises(ChannelUnavailable, match="sender"):
        send(channel)


def test_a_password_is_not_sent_over_an_open_line(serve, monkeypatch):
    channel, _ = serve({}, user="shop", password="secret")
    monkeypatch.setattr("zhiyin.act.channels.smtp._is_this_machine", lambda host: False)
    with pytest.raises(ChannelUnavailable, match="password was not sent"):
        send(channel)


def test_a_receipt_is_kept_without_addresses(serve):
    channel, _ = serve({"BODY": f"250 queued for <{RECIPIENT}> as 7"})
    assert send(channel) == "queued for [address] as 7"


def test_the_configured_channel_needs_a_server_and_a_sender():
    opened = CHANNELS.load("smtp")
    assert opened is open_smtp
    with pytest.raises(ConfigError):
        open_smtp(ActSettings(smtp_host="mail.example"))
    act = ActSettings(smtp_host="mail.example", sender_address=SENDER)
    assert open_smtp(act).name == "smtp"  # it has not connected


def test_the_sink_answers_only_for_what_it_keeps(tmp_path, monkeypatch):
    def full(folder, message_id, content):
        raise OSError(28, "No space left on device")

    channel = SinkChannel(tmp_path, sender=SENDER)
    monkeypatch.setattr("zhiyin.act.channels.sink.keep", full)
    with pytest.raises(DeliveryError) as caught:
        send(channel)
    assert caught.value.retryable
    assert channel.lookup("m_1") is False
    channel.close()


def test_the_sink_takes_no_mail_but_ours(tmp_path):
    with SinkServer(tmp_path) as server:
        channel = SmtpChannel(HOST, server.port, sender=SENDER)
        for content in (b"Subject: x\r\n\r\nx\r\n", b"X-Zhiyin-Message-Id: ../../x\r\n\r\nx\r\n"):
            with pytest.raises(DeliveryError):
                channel.send("m_1", RECIPIENT, content)
        channel.close()
    assert list(tmp_path.iterdir()) == []


def test_what_the_sink_has_is_not_overwritten(tmp_path):
    keep(tmp_path, "m_1", b"first")
    keep(tmp_path, "m_1", b"second")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"first"]
