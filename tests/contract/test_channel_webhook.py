"""The webhook channel posts to a real HTTP server, which recognises repeats by `webhook-id`."""

import pytest

from tests.receiver import Answer, Receiver
from zhiyin.act.channels.outgoing import read_target
from zhiyin.act.channels.webhook import WebhookChannel
from zhiyin.testing.channel_contract import REFUSED, ChannelContract


class TestWebhookChannel(ChannelContract):
    @pytest.fixture
    def receiver(self):
        def answer(received):
            return Answer(422 if received.data["recipient"] == REFUSED else 204)

        with Receiver(answer) as made:
            yield made

    @pytest.fixture
    def channel(self, receiver):
        made = WebhookChannel(read_target(receiver.url, private=True), ["whsec_" + "c2hv" * 8])
        yield made
        made.close()

    @pytest.fixture
    def arrived(self, receiver):
        return lambda: {
            one.headers["webhook-id"]: [one.content]
            for one in receiver.requests
            if one.data["recipient"] != REFUSED
        }
