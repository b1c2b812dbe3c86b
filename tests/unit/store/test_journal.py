"""The journal: what was flushed is read back whole; what was torn is cut; damage is an error."""

import os
import resource
import signal
import subprocess
import sys
import textwrap

import pytest

from zhiyin.core.clock import SystemClock
from zhiyin.core.errors import JournalError, KeyDestroyed
from zhiyin.store.journal import (
    MAGIC,
    MARK,
    SegmentWriter,
    destroy_segment,
    finished_segments,
    read_segment,
)
from zhiyin.store.vault import Keys, SegmentKeys

SECRET = b"lea@example.org"


@pytest.fixture
def keys(tmp_path):
    return SegmentKeys(Keys.make(), tmp_path / "keys")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journal"


def write(folder, keys, groups):
    """A finished segment with groups of payloads."""
    writer = SegmentWriter(folder, keys, clock=SystemClock())
    for group in groups:
        writer.append([("event", payload) for payload in group])
    writer.close()
    return finished_segments(folder)[-1].path


def payloads(path, keys):
    """What a segment gives back."""
    return [frame.payload for frame in read_segment(path, keys)]


def test_frames_come_back_in_order_with_their_kind(folder, keys):
    writer = SegmentWriter(folder, keys, clock=SystemClock())
    writer.append([("event", b"a"), ("decision", b"b")])
    writer.append([("outcome", b"")])
    writer.close()
    frames = list(read_segment(finished_segments(folder)[0].path, keys))
    assert [(f.kind, f.number, f.payload) for f in frames] == [
        ("event", 0, b"a"),
        ("decision", 1, b"b"),
        ("outcome", 2, b""),
    ]


def test_nothing_lies_in_plain_text(folder, keys):
    path = write(folder, keys, [[SECRET]])
    assert SECRET not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0


def test_a_segment_under_way_is_not_finished(folder, keys):
    writer = SegmentWriter(folder, keys, clock=SystemClock())
    writer.append([("event", b"a")])
    assert finished_segments(folder) == []
    writer.close()
    assert len(finished_segments(folder)) == 1


def test_a_segment_without_frames_leaves_nothing(folder, keys, tmp_path):
    SegmentWriter(folder, keys, clock=SystemClock()).close()
    assert list(folder.iterdir()) == []
    assert list((tmp_path / "keys").iterdir()) == []


@pytest.mark.parametrize("cut", [1, 7, 19, 21, 40])
def test_a_torn_tail_is_cut_and_all_before_it_kept(folder, keys, cut):
    path = write(folder, keys, [[b"first"], [b"second" * 10]])
    data = path.read_bytes()
    start = data.rfind(MARK)
    path.write_bytes(data[: start + cut])
    assert payloads(path, keys) == [b"first"]


def test_a_tail_of_zeros_is_cut(folder, keys):
    path = write(folder, keys, [[b"first"]])
    path.write_bytes(path.read_bytes() + bytes(500))
    assert payloads(path, keys) == [b"first"]


def test_a_hole_in_the_last_group_is_a_torn_tail(folder, keys):
    path = write(folder, keys, [[b"first"], [b"second", b"third"]])
    data = bytearray(path.read_bytes())
    hole = data.find(MARK, data.find(MARK) + 1)
    data[hole : hole + 30] = bytes(30)
    path.write_bytes(data)
    assert payloads(path, keys) == [b"first"]


def test_damage_before_the_last_group_is_an_error_not_a_loss(folder, keys):
    path = write(folder, keys, [[b"first"], [b"second"], [b"third"], [b"fourth"]])
    data = bytearray(path.read_bytes())
    data[len(MAGIC) + 25] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalError, match="damaged"):
        payloads(path, keys)


def test_a_frame_moved_to_another_place_is_refused(folder, keys):
    path = write(folder, keys, [[b"first!"], [b"second"]])
    data = path.read_bytes()
    second = data.rfind(MARK)
    path.write_bytes(data[: len(MAGIC)] + data[second:] + data[len(MAGIC) : second])
    with pytest.raises(JournalError):
        payloads(path, keys)


def test_a_file_of_another_kind_is_refused(folder, keys):
    path = write(folder, keys, [[b"first"]])
    path.write_bytes(b"something else")
    with pytest.raises(JournalError, match="no journal segment"):
        payloads(path, keys)


def test_a_destroyed_segment_cannot_be_read_from_a_copy(folder, keys):
    path = write(folder, keys, [[SECRET]])
    copy = path.read_bytes()
    destroy_segment(path, keys)
    assert not path.exists()
    path.write_bytes(copy)
    with pytest.raises(KeyDestroyed):
        payloads(path, keys)


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path, keys):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be written"):
        SegmentWriter(tmp_path / "file" / "journal", keys, clock=SystemClock())


def test_a_full_disk_keeps_what_was_flushed(folder, keys):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    writer = SegmentWriter(folder, keys, clock=SystemClock())
    writer.append([("event", b"kept")])
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limit[1]))
        with pytest.raises(JournalError, match="cannot be written"):
            writer.append([("event", os.urandom(8_000))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert payloads(finished_segments(folder)[0].path, keys) == [b"kept"]


def test_a_writer_that_was_killed_leaves_a_finished_segment(folder, tmp_path):
    code = """
        import os, signal, sys
        from pathlib import Path
        from zhiyin.core.clock import SystemClock
        from zhiyin.store.journal import SegmentWriter
        from zhiyin.store.vault import Keys, SegmentKeys
        keys = SegmentKeys(Keys(*[bytes(32)] * 4), Path(sys.argv[2]))
        writer = SegmentWriter(Path(sys.argv[1]), keys, clock=SystemClock())
        writer.append([("event", b"acknowledged")])
        os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(folder), str(tmp_path / "keys")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    keys = SegmentKeys(Keys(*[bytes(32)] * 4), tmp_path / "keys")
    assert payloads(finished_segments(folder)[0].path, keys) == [b"acknowledged"]
