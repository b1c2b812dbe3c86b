"""How fast a source may send, and a clock that notices when it is set."""

from __future__ import annotations

from zhiyin.core.clock import Clock
from zhiyin.core.errors import Busy, TooFast
from zhiyin.core.log import get_logger

BURST_S = 10.0
JUMP_US = 300 * 1_000_000
SETTLE_S = 60.0


class Rates:
    """A token bucket for each write key: `BURST_S` seconds of events at most at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def spend(self, write_key: str, events: int, *, per_s: int) -> None:
        """Take `events` from the bucket.

        A request of more events than the bucket holds passes when the bucket is full, and
        leaves it in debt.

        Raises
        ------
        TooFast
            If too few are left.
        """
        if per_s <= 0:
            return
        now = self._clock.monotonic()
        size = per_s * BURST_S
        left, since = self._left.get(write_key, (size, now))
        left = min(size, left + (now - since) * per_s)
        if left < min(events, size):
            wait = int((min(events, size) - left) / per_s) + 1
            raise TooFast(
                f"this source may send {per_s} events a second",
                hint="send slower, or use a key made with a higher --events-per-s",
                retry_after_s=wait,
            )
        self._left[write_key] = (left - events, now)


class SteadyClock:
    """The machine's clock, watched by one that nobody can set.

    Where the two come apart by more than five minutes somebody set the clock. Until it is set
    back or has been steady for a minute, events are not taken: their times would be wrong for
    good, and their senders keep them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_us = self._difference()
        self._suspect: tuple[int, float] | None = None

    def now_us(self) -> int:
        """Microseconds since 1970, UTC.

        Raises
        ------
        Busy
            If the clock jumped a moment ago.
        """
        difference = self._difference()
        if abs(difference - self._ahead_us) > JUMP_US:
            self._wait_until_steady(difference)
        else:
            self._suspect = None
        self._ahead_us = difference
        return difference + int(self._clock.monotonic() * 1_000_000)

    def _difference(self) -> int:
        return int((self._clock.now().timestamp() - self._clock.monotonic()) * 1_000_000)

    def _wait_until_steady(self, difference: int) -> None:
        now = self._clock.monotonic()
        if self._suspect is None or abs(difference - self._suspect[0]) > JUMP_US:
            self._suspect = (difference, now)
            moved = (difference - self._ahead_us) // 1_000_000
            get_logger().error("the clock was set by %d s; events wait until it is steady", moved)
        if now - self._suspect[1] < SETTLE_S:
            raise Busy(
                "the server's clock was set a moment ago", hint="check its time", retry_after_s=10
            )
        self._suspect = None
