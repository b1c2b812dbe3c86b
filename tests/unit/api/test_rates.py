"""How fast a source may send, and what happens when somebody sets the server's clock."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from zhiyin.api.rates import SETTLE_S, Rates, SteadyClock
from zhiyin.core.errors import Busy, TooFast

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class TwoClocks:
    """A wall clock that can be set, and seconds that only pass."""

    wall: datetime = NOON
    seconds: float = field(default=1_000.0)

    def now(self):
        return self.wall

    def monotonic(self):
        return self.seconds

    def go_on(self, seconds):
        self.wall += timedelta(seconds=seconds)
        self.seconds += seconds


@pytest.fixture
def clock():
    return TwoClocks()


def test_a_source_may_send_a_burst_and_then_its_rate(clock):
    rates = Rates(clock)
    rates.spend("k", 100, per_s=10)
    with pytest.raises(TooFast) as told:
        rates.spend("k", 20, per_s=10)
    assert told.value.retry_after_s == 3
    clock.go_on(3)
    rates.spend("k", 20, per_s=10)


def test_a_source_does_not_pay_for_another(clock):
    rates = Rates(clock)
    rates.spend("a", 100, per_s=10)
    rates.spend("b", 100, per_s=10)


def test_a_batch_larger_than_the_burst_passes_when_it_is_full(clock):
    rates = Rates(clock)
    rates.spend("k", 500, per_s=10)
    with pytest.raises(TooFast):
        rates.spend("k", 1, per_s=10)
    clock.go_on(51)
    rates.spend("k", 1, per_s=10)


def test_no_limit_is_no_limit(clock):
    rates = Rates(clock)
    for _ in range(10):
        rates.spend("k", 1_000_000, per_s=0)


def test_the_time_is_the_walls(clock):
    steady = SteadyClock(clock)
    clock.go_on(5)
    assert steady.now_us() == int((NOON.timestamp() + 5) * 1_000_000)


def test_small_corrections_of_the_clock_are_followed(clock):
    steady = SteadyClock(clock)
    clock.wall += timedelta(seconds=60)
    assert steady.now_us() == int((NOON.timestamp() + 60) * 1_000_000)


@pytest.mark.parametrize("hours", [-5, 7])
def test_after_a_jump_events_wait_until_the_clock_is_steady(clock, hours):
    steady = SteadyClock(clock)
    clock.wall += timedelta(hours=hours)
    with pytest.raises(Busy, match="clock was set"):
        steady.now_us()
    clock.go_on(SETTLE_S / 2)
    with pytest.raises(Busy):
        steady.now_us()
    clock.go_on(SETTLE_S)
    assert steady.now_us() == int(clock.wall.timestamp() * 1_000_000)


def test_a_clock_that_is_set_back_serves_at_once(clock):
    steady = SteadyClock(clock)
    clock.wall += timedelta(hours=3)
    with pytest.raises(Busy):
        steady.now_us()
    clock.wall -= timedelta(hours=3)
    clock.go_on(1)
    assert steady.now_us() == int((NOON.timestamp() + 1) * 1_000_000)
