"""The demonstration's sink and plain SMTP are channels; both talk real SMTP to a real server."""

import pytest

from zhiyin.act.channels.sink import (
    HOST,
    JSON,
    SUFFIX,
    FileSink,
    SinkChannel,
    SinkServer,
    remove_kept,
)
from zhiyin.act.channels.smtp import SmtpChannel
from zhiyin.act.create.text_message import TextMessage
from zhiyin.testing.channel_contract import REFUSED, SENDER, ChannelContract


async def _refuse(self, server, session, envelope, address, options):
    if address == REFUSED:
        return "550 5.1.1 nobody here"
    envelope.rcpt_tos.append(address)
    return "250 OK"


@pytest.fixture(autouse=True)
def _refusing(monkeypatch):
    monkeypatch.setattr("zhiyin.act.channels.sink.Keeper.handle_RCPT", _refuse, raising=False)


def kept_in(folder):
    return {path.name.removesuffix(SUFFIX): [path.read_bytes()] for path in folder.iterdir()}


class TestSinkChannel(ChannelContract):
    @pytest.fixture
    def channel(self, tmp_path):
        made = SinkChannel(tmp_path / "outbox", sender=SENDER)
        yield made
        made.close()

    @pytest.fixture
    def arrived(self, channel, tmp_path):
        return lambda: kept_in(tmp_path / "outbox")


class TestFileSink(ChannelContract):
    """Where a demonstration keeps what is no e-mail."""

    recipient, refused = "+8613912345678", "no one"

    def someone(self, number):
        return f"+86139000{number:05d}"

    def content(self, message_id, recipient=""):
        return TextMessage(f"春 {message_id}", {}).content()

    @pytest.fixture
    def channel(self, tmp_path):
        return FileSink(tmp_path / "outbox")

    @pytest.fixture
    def arrived(self, tmp_path):
        return lambda: {
            one.stem: [one.read_bytes()] for one in (tmp_path / "outbox").glob(f"*{JSON}")
        }

    def test_an_erasure_finds_what_it_kept(self, channel, arrived, tmp_path):
        channel.send("m_1", self.recipient, self.content("m_1"))
        assert remove_kept(tmp_path / "outbox", ["m_1", "m_2"]) == 1
        assert arrived() == {}


class TestSmtpChannel(ChannelContract):
    """Its server keeps every copy it is given."""

    @pytest.fixture
    def copies(self):
        return {}

    @pytest.fixture
    def channel(self, tmp_path, copies, monkeypatch):
        def keep(folder, message_id, content):
            copies.setdefault(message_id, []).append(content)

        monkeypatch.setattr("zhiyin.act.channels.sink.keep", keep)
        with SinkServer(tmp_path) as server:
            made = SmtpChannel(HOST, server.port, sender=SENDER, timeout_s=10)
            yield made
            made.close()

    @pytest.fixture
    def arrived(self, copies):
        return lambda: copies
