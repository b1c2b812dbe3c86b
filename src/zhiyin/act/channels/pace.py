"""A channel that is not given more messages a second than its provider takes."""

from __future__ import annotations

from collections.abc import Callable

from zhiyin.core.clock import Clock
from zhiyin.core.protocols import Channel


class PacedChannel:
    """Another channel behind a token bucket that holds the messages of one second.

    Parameters
    ----------
    per_s
        Messages a second, more than 0.
    pause
        Waits as many seconds as it is given.
    """

    def __init__(
        self, channel: Channel, per_s: float, *, clock: Clock, pause: Callable[[float], object]
    ) -> None:
        self.name, self.supports = channel.name, channel.supports
        self._channel, self._per_s = channel, per_s
        self._clock, self._pause = clock, pause
        self._most = max(per_s, 1.0)
        self._tokens, self._seen = self._most, clock.monotonic()

    def send(self, message_id: str, recipient: str, content: bytes) -> str:
        """Wait for a token, then hand the message over."""
        now = self._clock.monotonic()
        self._tokens = min(self._tokens + (now - self._seen) * self._per_s, self._most) - 1
        self._seen = now
        if self._tokens < 0:
            self._pause(-self._tokens / self._per_s)
        return self._channel.send(message_id, recipient, content)

    def lookup(self, message_id: str) -> bool | None:
        """What the other channel knows."""
        return self._channel.lookup(message_id)

    def close(self) -> None:
        """Close the other channel."""
        self._channel.close()
