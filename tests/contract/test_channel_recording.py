"""The channel that tests use passes the same contract as the real ones."""

import pytest

from zhiyin.testing.channel import RecordingChannel
from zhiyin.testing.channel_contract import REFUSED, ChannelContract


class TestRecordingChannel(ChannelContract):
    @pytest.fixture(params=[(), ("lookup",), ("idempotency",), ("lookup", "idempotency")])
    def channel(self, request):
        return RecordingChannel(supports=request.param, refused=[REFUSED])

    @pytest.fixture
    def arrived(self, channel):
        return lambda: {
            one: [delivered.content for delivered in known]
            for one, known in channel.delivered.items()
        }
