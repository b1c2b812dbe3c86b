"""Requests that wait together are flushed together, and none is told "done" before it is."""

import asyncio
import os
import resource
import signal

import pytest

from zhiyin.api.group_commit import GroupCommit
from zhiyin.core.clock import SystemClock
from zhiyin.core.errors import Busy, JournalError
from zhiyin.store.journal import finished_segments, open_segments, read_segment
from zhiyin.store.vault import Keys, SegmentKeys


@pytest.fixture
def keys(tmp_path):
    return SegmentKeys(Keys.make(), tmp_path / "keys")


def read(folder, keys):
    return [f.payload for s in finished_segments(folder) for f in read_segment(s.path, keys)]


def test_what_was_acknowledged_can_be_read(tmp_path, keys):
    async def work():
        journal = GroupCommit(tmp_path / "j", keys, clock=SystemClock())
        await asyncio.gather(*(journal.append("event", b"%d" % i) for i in range(50)))
        await journal.close()

    asyncio.run(work())
    assert sorted(read(tmp_path / "j", keys), key=int) == [b"%d" % i for i in range(50)]


def test_too_much_waiting_is_refused_and_nothing_of_it_kept(tmp_path, keys):
    async def work():
        journal = GroupCommit(tmp_path / "j", keys, clock=SystemClock(), max_waiting_bytes=100)
        first = asyncio.ensure_future(journal.append("event", bytes(90)))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await journal.append("event", bytes(20))
        await first
        await journal.append("event", bytes(20))
        await journal.close()

    asyncio.run(work())
    assert [len(payload) for payload in read(tmp_path / "j", keys)] == [90, 20]


def test_a_segment_is_given_away_when_it_is_old_or_long(tmp_path, keys):
    async def work():
        journal = GroupCommit(tmp_path / "j", keys, clock=SystemClock(), segment_bytes=500)
        for _ in range(3):
            await journal.append("event", bytes(600))
        assert len(finished_segments(tmp_path / "j")) == 2
        await journal.close()
        young = GroupCommit(tmp_path / "k", keys, clock=SystemClock(), seal_after_s=0.01)
        await young.append("event", b"x")
        while open_segments(tmp_path / "k"):
            await asyncio.sleep(0.01)
        assert len(finished_segments(tmp_path / "k")) == 1
        await young.close()

    asyncio.run(work())


def test_after_a_full_disk_it_goes_on_when_there_is_room(tmp_path, keys):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    async def work():
        journal = GroupCommit(tmp_path / "j", keys, clock=SystemClock())
        await journal.append("event", b"before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limit[1]))
        with pytest.raises(JournalError, match="cannot be written"):
            await journal.append("event", os.urandom(9_000))
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        await journal.append("event", b"after")
        await journal.close()

    try:
        asyncio.run(work())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert sorted(read(tmp_path / "j", keys)) == [b"after", b"before"]


def test_what_nobody_waits_for_is_written_by_itself_with_others_and_at_the_end(tmp_path, keys):
    async def work():
        journal = GroupCommit(tmp_path / "j", keys, clock=SystemClock(), seal_after_s=0.01)
        journal.post("decision", b"alone")
        while not read(tmp_path / "j", keys):
            await asyncio.sleep(0.01)
        journal.post("decision", b"beside")
        await journal.append("event", b"waited for")
        while len(read(tmp_path / "j", keys)) < 3:
            await asyncio.sleep(0.01)
        journal.post("decision", b"last")
        await journal.close()

    asyncio.run(work())
    assert read(tmp_path / "j", keys) == [b"alone", b"waited for", b"beside", b"last"]


def test_where_too_much_waits_what_nobody_waits_for_is_let_go(tmp_path, keys):
    async def work():
        journal = GroupCommit(tmp_path / "j", keys, clock=SystemClock(), max_waiting_bytes=100)
        journal.post("decision", bytes(90))
        journal.post("decision", bytes(20))
        await journal.close()

    asyncio.run(work())
    assert [len(payload) for payload in read(tmp_path / "j", keys)] == [90]
