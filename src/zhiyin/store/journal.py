"""The journal: what was acknowledged and is not in the lake yet (laws 2 and 7).

A journal is a folder of segments. A segment is written by one process, which holds a lock on its
file, and holds frames:

    segment := MAGIC frame*
    frame   := MARK group (u32) left (u32) length (u32) crc32 of blob (u32) blob
    blob    := nonce (12) AES-256-GCM(kind (u8) payload)    bound to the segment and its place

`left` is how many frames of the group follow.

Every segment has a key of its own in `keys/segments`, wrapped by the master key: a segment whose
key was destroyed says nothing any more, in a backup neither. A group of frames is written by one
call and flushed by `fdatasync` before anybody is told that it is there. Where a process dies the
lock is free: its last group may be torn and is cut, the groups before it are whole; a damage that
can be in no last group is an error.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from zhiyin.core.clock import Clock
from zhiyin.core.errors import JournalError
from zhiyin.store.durable import sync_folder
from zhiyin.store.vault import SegmentKeys

MAGIC = b"ZYJRNL1\n"
MARK = b"\xf5ZF\n"
ENDING = ".zyj"
KINDS = ("event", "decision", "outcome")
SEGMENT_BYTES = 32 * 1024 * 1024
_HEAD = struct.Struct("<4sIIII")
_PLACE = struct.Struct("<Q")
_NONCE = 12
_TAGS = {kind: bytes([number]) for number, kind in enumerate(KINDS, start=1)}
_NAMES = dict(enumerate(KINDS, start=1))


@dataclass(frozen=True)
class Frame:
    """One acknowledged payload and its place in the segment, from 0."""

    kind: str
    number: int
    payload: bytes


@dataclass(frozen=True)
class Segment:
    """A finished segment: nobody writes it any more."""

    segment_id: str
    path: Path
    size: int


class SegmentWriter:
    """Appends groups of frames to one new segment; for one thread at a time.

    Raises
    ------
    JournalError
        If the folder cannot be written.
    """

    def __init__(self, folder: Path, keys: SegmentKeys, *, clock: Clock) -> None:
        stamp = int(clock.now().timestamp() * 1000)
        self.segment_id = f"{stamp:013d}-{os.urandom(8).hex()}"
        self.path = folder / f"{self.segment_id}{ENDING}"
        self.size = 0
        self.frames = 0
        self._groups = 0
        self._keys = keys
        self._file = -1
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._cipher = AESGCM(keys.make(self.segment_id))
            draft = self.path.with_suffix(".new")  # locked before others can see it
            self._file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write(MAGIC)
            os.fsync(self._file)
            draft.rename(self.path)
            sync_folder(folder)
        except OSError as error:
            self.abandon()
            raise _failed(folder, error) from error

    def append(self, frames: Sequence[tuple[str, bytes]]) -> None:
        """Write (kind, payload) pairs and flush them; when it returns they are on the disk.

        Raises
        ------
        JournalError
            If they could not be written: none of them counts as written, and the segment takes
            no more. Those of the group that reached the disk all the same may be read again:
            whoever sends them again is known by his message ids.
        """
        seal, place, start = self._cipher.encrypt, self.frames, self.segment_id.encode()
        parts: list[bytes] = []
        self._groups += 1
        left = len(frames)
        for number, (kind, payload) in enumerate(frames, start=place):
            nonce = os.urandom(_NONCE)
            bound = start + _PLACE.pack(number)
            blob = nonce + seal(nonce, _TAGS[kind] + payload, bound)
            left -= 1
            parts.append(_HEAD.pack(MARK, self._groups, left, len(blob), zlib.crc32(blob)))
            parts.append(blob)
        try:
            self._write(b"".join(parts))
            os.fdatasync(self._file)
        except OSError as error:
            self._cut_back()
            raise _failed(self.path.parent, error) from error
        self.frames += len(frames)

    def close(self) -> None:
        """Let others have the segment; one without frames is removed."""
        if self._file < 0:
            return
        os.close(self._file)
        self._file = -1
        if self.frames == 0:
            self.abandon()

    def abandon(self) -> None:
        """Remove a segment that holds nothing, and its key."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        for path in (self.path, self.path.with_suffix(".new")):
            with suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
        self._keys.destroy(self.segment_id)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        written = 0
        while written < len(view):
            written += os.write(self._file, view[written:])
        self.size += written

    def _cut_back(self) -> None:
        """After a failed write: a full disk leaves half a group, a failed flush who knows what.

        The segment is closed in either case: after a failed flush the kernel may have forgotten
        what it did not write.
        """
        with suppress(OSError):  # the frames of before are whole, reading finds their end
            self.close()


def finished_segments(folder: Path) -> list[Segment]:
    """Segments that no living process writes, oldest first."""
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.glob(f"*{ENDING}")):
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found.append(Segment(path.stem, path, os.fstat(file).st_size))
        except BlockingIOError:
            continue
        finally:
            os.close(file)
    return found


def open_segments(folder: Path) -> set[str]:
    """Ids of segments that a living process still writes."""
    if not folder.is_dir():
        return set()
    there = {path.stem for path in folder.glob(f"*{ENDING}")}
    return there - {segment.segment_id for segment in finished_segments(folder)}


def read_segment(path: Path, keys: SegmentKeys) -> Iterator[Frame]:
    """The frames of a finished segment, in order; a torn tail is left out.

    Raises
    ------
    JournalError
        If a frame that is not the last was changed or cannot be decrypted: nothing is skipped
        in silence.
    KeyDestroyed
        If the segment's key is gone.
    """
    segment_id, data = path.stem, path.read_bytes()
    if data[: len(MAGIC)] != MAGIC:
        if MAGIC.startswith(data[: len(MAGIC)]):
            return  # it died while it was made
        raise JournalError(
            f"segment {segment_id} is no journal segment of this version, or is damaged",
            hint="its file is kept; put it back from a backup, or move it out of the journal",
        )
    cipher = AESGCM(keys.get(segment_id))
    for number, blob in enumerate(_blobs(data, segment_id)):
        try:
            bound = segment_id.encode() + _PLACE.pack(number)
            clear = cipher.decrypt(blob[:_NONCE], blob[_NONCE:], bound)
        except InvalidTag as error:
            raise _damaged(segment_id, number) from error
        yield Frame(_NAMES[clear[0]], number, clear[1:])


def destroy_segment(path: Path, keys: SegmentKeys) -> None:
    """Destroy a segment's key, then its file."""
    keys.destroy(path.stem)
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def _blobs(data: bytes, segment_id: str) -> Iterator[bytes]:
    at, group, left = len(MAGIC), 0, 0
    while at < len(data):
        found = _frame_at(data, at)
        if found is None:
            last = group if left else group + 1  # the group that the bad frame is of
            if any(one > last for one in _groups_after(data, at)):
                raise _damaged(segment_id, at)
            return
        group, left, start, end = found
        yield data[start:end]
        at = end


def _frame_at(data: bytes, at: int) -> tuple[int, int, int, int] | None:
    """Group, frames left, begin and end of the blob of the whole frame at `at`; None: none."""
    start = at + _HEAD.size
    if start > len(data) or data[at : at + len(MARK)] != MARK:
        return None
    _, group, left, length, crc = _HEAD.unpack_from(data, at)
    end = start + length
    if end > len(data) or length <= _NONCE or zlib.crc32(data[start:end]) != crc:
        return None
    return group, left, start, end


def _groups_after(data: bytes, at: int) -> Iterator[int]:
    """Groups of the whole frames that lie somewhere after `at`."""
    while (at := data.find(MARK, at + 1)) >= 0:
        found = _frame_at(data, at)
        if found is not None:
            yield found[0]


def _damaged(segment_id: str, place: int) -> JournalError:
    return JournalError(
        f"segment {segment_id} of the journal is damaged at {place}",
        hint="its file is kept; put it back from a backup or a copy of the disk, then compact",
    )


def _failed(folder: Path, error: OSError) -> JournalError:
    return JournalError(
        f"the journal in {folder} cannot be written: {error.strerror}",
        hint="make room or mend the permissions; clients send their events again",
    )
