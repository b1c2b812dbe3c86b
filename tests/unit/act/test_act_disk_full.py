"""A full disk while messages are planned and sent: a clear error, nothing lost, nothing twice."""

from __future__ import annotations

import errno
import os
from collections import Counter

import pytest
import sqlalchemy as sa

from tests.kill.test_messages_kill import CAMPAIGN, _context, _recipients
from tests.unit.act.shop import Shop
from zhiyin.act import job, ledger
from zhiyin.act.channels import sink
from zhiyin.act.channels.sink import SinkChannel, SinkServer
from zhiyin.cli_errors import explain_error
from zhiyin.core.errors import DiskFull
from zhiyin.testing.channel_contract import SENDER

PEOPLE = 120


class Disk:
    """Of the ledger: it can be made full, and get room again. SQLite itself says that it is."""

    def __init__(self, engine):
        self._engine, self._most = engine, 0
        sa.event.listen(engine, "begin", self._limit)

    def fill(self):
        with self._engine.connect() as connection:
            self._most = connection.exec_driver_sql("PRAGMA page_count").scalar()

    def make_room(self):
        self._most = 0

    def _limit(self, connection):
        most = self._most or 1_000_000_000
        connection.connection.cursor().execute(f"PRAGMA max_page_count = {most}")


@pytest.fixture
def outbox(tmp_path):
    with SinkServer(tmp_path / "outbox") as server:
        yield server


@pytest.fixture
def ctx(tmp_path, outbox):
    channel = SinkChannel(tmp_path / "outbox", sender=SENDER, port=outbox.port)
    made = _context(tmp_path, channel)
    shop = Shop(made.store, made.vault)
    keys = [f"c{n}" for n in range(PEOPLE)]
    shop.add(*keys)
    shop.decide(*keys)
    yield made
    channel.close()
    made.store.close()


@pytest.fixture
def disk(ctx):
    return Disk(ctx.store.ledger)


def counted(ctx):
    with ctx.store.begin() as connection:
        return ledger.count_messages(connection, [CAMPAIGN])


def test_what_cannot_be_planned_is_planned_when_there_is_room(ctx, disk, tmp_path):
    disk.fill()
    with pytest.raises(DiskFull, match="disk of the ledger is full"):
        job.run(ctx, ctx.settings.act)
    assert _recipients(tmp_path) == Counter()
    disk.make_room()
    job.run(ctx, ctx.settings.act)
    assert counted(ctx)["sent"] == PEOPLE
    assert set(_recipients(tmp_path).values()) == {1}


def test_what_was_sent_and_could_not_be_noted_is_not_sent_again(ctx, disk, tmp_path, monkeypatch):
    given, keep = Counter(), sink.keep

    def fills(folder, message_id, content):
        given[message_id] += 1
        if len(given) == 30:
            disk.fill()
        keep(folder, message_id, content)

    monkeypatch.setattr(sink, "keep", fills)
    full = 0
    for _ in range(20):  # a person tries again and again
        try:
            job.run(ctx, ctx.settings.act)
            break
        except DiskFull:
            full += 1
            if full == 3:
                disk.make_room()
    assert full == 3
    assert counted(ctx)["sent"] == PEOPLE
    assert set(given.values()) == {1}
    assert set(_recipients(tmp_path).values()) == {1}


def test_a_full_outbox_keeps_the_message_planned(ctx, tmp_path, monkeypatch):
    keep = sink.keep

    def full(folder, message_id, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sink, "keep", full)
    job.run(ctx, ctx.settings.act)
    assert counted(ctx)["sent"] == 0
    monkeypatch.setattr(sink, "keep", keep)
    job.run(ctx, ctx.settings.act)
    counts = counted(ctx)
    assert counts["sent"] + counts["open"] == PEOPLE
    assert set(_recipients(tmp_path).values()) <= {1}


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError("Generic LocalFileSystem error: No space left on device (os error 28)"),
        DiskFull(),
    ],
)
def test_the_command_line_says_that_the_disk_is_full(error):
    said = explain_error(error)
    assert said is not None
    assert "disk is full" in said
    assert "not done twice" in said
