"""What a provider does not take for now comes back later, not at once, and not for ever."""

from datetime import timedelta
from itertools import pairwise

import pytest

from tests.unit.act.shop import CAMPAIGN, DAY, ZONE
from zhiyin.act import job
from zhiyin.act.channels.pace import PacedChannel
from zhiyin.act.retry import FIRST_S, LONGEST_S, next_wait_s
from zhiyin.core.clock import FrozenClock, run_moment
from zhiyin.core.errors import ChannelUnavailable, DeliveryError
from zhiyin.core.ledger import messages
from zhiyin.core.rng import Streams
from zhiyin.testing.channel import RecordingChannel
from zhiyin.testing.channel_contract import REFUSED, ChannelContract


def busy(**options):
    """A provider that takes nothing for now."""
    error = DeliveryError("full", retryable=True, **options)
    return RecordingChannel(errors=dict.fromkeys(range(99), error))


def deliver(shop, channel, after_s=0.0):
    """Deliver so many seconds after the run."""
    clock = FrozenClock(run_moment(DAY, ZONE) + timedelta(seconds=after_s))
    ctx = shop.context(channel, clock=clock)
    return job.deliver(ctx, CAMPAIGN, progress=lambda what, share: None, as_of=DAY)


def plan(shop, *keys):
    shop.add(*keys)
    shop.decide(*keys)
    job.run(shop.context(), shop.settings.act)


def test_a_message_that_was_put_off_waits_before_it_is_tried_again(shop):
    plan(shop, "ana")
    deliver(shop, busy())
    soon, good = RecordingChannel(), RecordingChannel()
    assert deliver(shop, soon, FIRST_S / 2 - 1)["open"] == 1
    assert soon.attempts == []
    assert deliver(shop, good, FIRST_S)["sent"] == 1
    assert len(good.attempts) == 1


def test_a_provider_that_asks_for_time_gets_it(shop):
    plan(shop, "ana")
    deliver(shop, busy(retry_after_s=7_200))
    soon = RecordingChannel()
    deliver(shop, soon, 7_199)
    assert soon.attempts == []
    assert deliver(shop, RecordingChannel(), 7_200)["sent"] == 1


def test_after_the_last_try_it_has_failed_with_its_reason(shop):
    shop = shop.with_settings(retry_tries=3)
    plan(shop, "ana")
    tried = [busy() for _ in range(4)]
    counts = [deliver(shop, one, number * 3_600) for number, one in enumerate(tried)]
    assert [one["open"] for one in counts] == [1, 1, 0, 0]
    assert counts[-1]["failed"] == 1
    assert shop.state("ana") == ("failed", "gave_up")
    assert [len(one.attempts) for one in tried] == [1, 1, 1, 0]


def test_a_provider_that_is_down_costs_no_message_a_try(shop):
    shop = shop.with_settings(retry_tries=1)
    plan(shop, "ana")
    down = RecordingChannel(errors={0: ChannelUnavailable("down")})
    assert deliver(shop, down)["open"] == 1
    assert deliver(shop, RecordingChannel())["sent"] == 1


def test_transactional_messages_go_before_marketing(shop):
    keys = [f"c{number:02d}" for number in range(60)]  # more than a batch
    plan(shop, *keys)
    urgent = [shop.party(key) for key in keys[::7]]
    with shop.store.begin() as connection:
        found = messages.c.party_id.in_(urgent)
        connection.execute(messages.update().where(found).values(priority=0))
        ids = connection.execute(messages.select().where(found)).all()
    channel = RecordingChannel()
    assert deliver(shop, channel)["sent"] == 60
    assert set(channel.attempts[: len(urgent)]) == {row.message_id for row in ids}
    assert len(set(channel.attempts)) == 60


def test_waits_grow_to_a_limit_and_differ():
    rng = Streams(7).generator("test")
    for tries in range(1, 40):
        whole = min(FIRST_S * 2 ** (tries - 1), LONGEST_S)
        waits = [next_wait_s(tries, asked_s=None, rng=rng) for _ in range(50)]
        assert whole / 2 <= min(waits) < max(waits) <= whole
    assert next_wait_s(1, asked_s=9_999.0, rng=rng) == 9_999.0


@pytest.mark.parametrize("per_s", [0.5, 2.0, 10.0])
def test_a_provider_gets_no_more_a_second_than_it_takes(per_s):
    clock, at = FrozenClock(run_moment(DAY, ZONE)), []
    begin = clock.monotonic()

    class Timed(RecordingChannel):
        def send(self, *message):
            at.append(clock.monotonic() - begin)
            return super().send(*message)

    def pause(seconds):
        clock.at += timedelta(seconds=seconds)

    channel = PacedChannel(Timed(), per_s, clock=clock, pause=pause)
    for number in range(41):
        channel.send(f"m_{number}", "ana@shop.example", b"")
    free = max(per_s, 1.0)  # one second's messages are there at the start
    assert at[-1] == pytest.approx((41 - free) / per_s, abs=1e-3)
    gaps = [one - before for before, one in pairwise(at)][int(free) :]
    assert min(gaps) == pytest.approx(1 / per_s, abs=1e-3)


class TestPacedChannel(ChannelContract):
    @pytest.fixture
    def inner(self):
        return RecordingChannel(refused=[REFUSED])

    @pytest.fixture
    def channel(self, inner):
        clock = FrozenClock(run_moment(DAY, ZONE))
        return PacedChannel(inner, 5.0, clock=clock, pause=lambda seconds: None)

    @pytest.fixture
    def arrived(self, inner):
        return lambda: {
            one: [delivered.content for delivered in known]
            for one, known in inner.delivered.items()
        }
