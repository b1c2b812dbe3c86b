"""kill -9 while messages go out: each arrives at most once, none to whom the gate stops (law 3)."""

import os
import random
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.commands import PROCESSES
from tests.unit.act.shop import CAMPAIGN, DAY, ZONE, Shop, opened, settings_of
from zhiyin.act import job, ledger
from zhiyin.act.channels import sink
from zhiyin.act.channels.sink import HOST, SUFFIX, SinkChannel, SinkServer
from zhiyin.act.channels.smtp import SmtpChannel
from zhiyin.act.delivery import BLIND_BATCH
from zhiyin.core.clock import FrozenClock, run_moment
from zhiyin.core.context import Context
from zhiyin.core.rng import Streams
from zhiyin.store.vault import open_vault
from zhiyin.store.workspace import open_store
from zhiyin.testing.channel_contract import SENDER

PEOPLE = 200
REFUSED = 20
KILLS = 6 if "TORTURE_SEED" in os.environ else 3
PATIENCE_S = 60


class Watch:
    """Counts what the sink is given, and wakes the killer after some more of it."""

    def __init__(self) -> None:
        self.given: Counter = Counter()
        self._keep = sink.keep
        self._left = -1
        self._due = threading.Event()

    def after(self, messages: int) -> threading.Event:
        """Set as the sink begins to keep the given message from now."""
        self._due.clear()
        self._left = messages
        return self._due

    def keep(self, folder, message_id, content):
        self.given[message_id] += 1
        self._left -= 1
        if self._left == 0:
            self._due.set()
        self._keep(folder, message_id, content)


@pytest.fixture
def watch(monkeypatch):
    made = Watch()
    monkeypatch.setattr(sink, "keep", made.keep)
    return made


@pytest.fixture
def shop(tmp_path):
    ctx = _context(tmp_path)
    made = Shop(ctx.store, ctx.vault)
    keys = [f"c{n}" for n in range(PEOPLE)]
    refused = [f"r{n}" for n in range(REFUSED)]
    made.add(*keys)
    made.add(*refused, consent=False)
    made.decide(*keys, *refused)
    yield made
    ctx.store.close()


def _context(folder: Path, channel=None) -> Context:
    store = open_store(folder, zone=ZONE)
    vault = open_vault(folder / "keys", store.ledger)
    clock = FrozenClock(run_moment(DAY, ZONE))
    return Context(settings_of(), store, vault, clock, Streams(7), DAY, "t1", channel)


def _turn(folder: str, port: int, kind: str) -> None:
    """The job `act` of one turn, from wherever an earlier process left it."""
    outbox = Path(folder) / "outbox"
    if kind == "sink":
        channel = SinkChannel(outbox, sender=SENDER, port=port)
    else:
        channel = SmtpChannel(HOST, port, sender=SENDER)
    ctx = _context(Path(folder), channel)
    job.run(ctx, ctx.settings.act)
    channel.close()


def _start(folder: Path, port: int, kind: str):
    process = PROCESSES.Process(target=_turn, args=(str(folder), port, kind))
    process.start()
    return process


def _kill_often(folder: Path, kind: str, watch: Watch, *, kills: int) -> int:
    """Run the turn until it is done, killed up to `kills` times before; how often it was."""
    chance = random.Random(os.urandom(8))
    killed = 0
    with SinkServer(folder / "outbox") as server:
        while killed < kills:
            due = watch.after(chance.randint(1, 2 * PEOPLE // kills))
            process = _start(folder, server.port, kind)
            while process.is_alive() and not due.wait(0.05):
                pass
            process.join(chance.choice([0, 0.001, 0.02]))
            if not process.is_alive():
                break
            process.kill()
            process.join()
            killed += 1
        for _ in range(2):  # the second finds nothing to do
            process = _start(folder, server.port, kind)
            process.join(PATIENCE_S)
            assert process.exitcode == 0
    return killed


def _count(shop: Shop) -> dict:
    with shop.store.begin() as connection:
        counts = ledger.count_messages(connection, [CAMPAIGN])
    done = counts["sent"] + counts["unknown"] + counts["failed"] + sum(counts["skipped"].values())
    assert done + counts["open"] == counts["planned"] == PEOPLE + REFUSED
    assert counts["skipped"] == {"consent_refused": REFUSED}
    return counts


def _recipients(folder: Path) -> Counter:
    files = list((folder / "outbox").iterdir())
    assert all(path.name.endswith(SUFFIX) for path in files)
    return Counter(opened(path.read_bytes())["To"] for path in files)


def test_each_message_arrives_once_where_the_channel_can_look_up(tmp_path, shop, watch):
    killed = _kill_often(tmp_path, "sink", watch, kills=KILLS)
    assert killed > 0
    counts = _count(shop)
    assert (counts["sent"], counts["unknown"], counts["open"]) == (PEOPLE, 0, 0)
    assert _recipients(tmp_path) == {f"c{n}@shop.example": 1 for n in range(PEOPLE)}
    # given twice at most what was on its way at each kill: nothing is resent blindly
    assert sum(watch.given.values()) <= PEOPLE + killed


def test_no_message_is_given_twice_where_the_channel_cannot_tell(tmp_path, shop, watch):
    killed = _kill_often(tmp_path, "smtp", watch, kills=2)
    assert killed > 0
    counts = _count(shop)
    assert counts["sent"] + counts["unknown"] == PEOPLE
    assert counts["unknown"] <= killed * BLIND_BATCH
    assert set(watch.given.values()) == {1}
    assert set(_recipients(tmp_path)) <= {f"c{n}@shop.example" for n in range(PEOPLE)}
