"""Many requests, one flush: frames that wait together go to the disk together.

While one group is being flushed the next one gathers, so the more requests wait, the fewer
flushes each of them costs. Nobody is told "done" before his frame is on the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from zhiyin.core.clock import Clock
from zhiyin.core.errors import Busy, JournalError
from zhiyin.core.log import get_logger
from zhiyin.store.journal import SEGMENT_BYTES, SegmentWriter
from zhiyin.store.vault import SegmentKeys

SEAL_AFTER_S = 2.0
LINGER_S = 0.002
"""What a group waits for more to come: a flush costs as much for one frame as for many."""
POST_S = 0.05
"""What a payload that nobody waits for waits for a group to go with."""
MAX_WAITING_BYTES = 64 * 1024 * 1024
RETRY_S = 2
_Waiting = tuple[tuple[str, bytes], asyncio.Future[None] | None]
"""A frame, and who waits for it."""


class GroupCommit:
    """The journal of one server process, for coroutines.

    Parameters
    ----------
    folder, keys
        The workspace's journal and its segments' keys.
    seal_after_s
        A segment is given to the compactor when it is so old, or `segment_bytes` long.
    """

    def __init__(
        self,
        folder: Path,
        keys: SegmentKeys,
        *,
        clock: Clock,
        seal_after_s: float = SEAL_AFTER_S,
        segment_bytes: int = SEGMENT_BYTES,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._folder = folder
        self._keys = keys
        self._clock = clock
        self._seal_after_s = seal_after_s
        self._segment_bytes = segment_bytes
        self._max_waiting = max_waiting_bytes
        self._waiting: list[_Waiting] = []
        self._posted: list[_Waiting] = []
        self._post_timer: asyncio.TimerHandle | None = None
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="zhiyin-journal")
        self._writer: SegmentWriter | None = None
        self._failing = False

    async def append(self, kind: str, payload: bytes) -> None:
        """Return when the payload is on the disk.

        Raises
        ------
        Busy
            If too much waits already.
        JournalError
            If it could not be written; the same payload may be tried again.
        """
        if self._bytes + len(payload) > self._max_waiting:
            raise Busy("too many events wait for the disk", hint="send them again later")
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(((kind, payload), done))
        self._bytes += len(payload)
        self._begin()
        await done

    def post(self, kind: str, payload: bytes) -> None:
        """Leave a payload without waiting: it is on the disk within `POST_S` and a flush, or,
        where too much waits or the disk fails, it is lost with a line in the log.
        """
        if self._bytes + len(payload) > self._max_waiting:
            get_logger().error("too much waits for the disk: a %s is lost", kind)
            return
        self._posted.append(((kind, payload), None))
        self._bytes += len(payload)
        if self._post_timer is None:
            self._post_timer = asyncio.get_running_loop().call_later(POST_S, self._post_now)

    async def close(self) -> None:
        """Flush what waits and give the segment to the compactor."""
        self._post_now()
        while self._task is not None:
            await asyncio.wait([self._task])
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._seal)
        self._thread.shutdown()

    def _begin(self) -> None:
        if self._task is None:
            self._task = asyncio.ensure_future(self._flush())

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is None:  # also under a load that never pauses
            self._timer = loop.call_later(self._seal_after_s, self._seal_later)
        try:
            while self._waiting or (self._posted and self._post_timer is None):
                await asyncio.sleep(LINGER_S)
                group = [*self._waiting, *self._take_posted()]
                self._waiting = []
                error: JournalError | None = None
                try:
                    frames = [frame for frame, _ in group]
                    await loop.run_in_executor(self._thread, self._write, frames)
                except JournalError as failed:
                    error = failed
                self._settle(group, error)
        finally:
            self._task = None

    def _post_now(self) -> None:
        """Let go what was posted: with the group that is under way, or one of its own."""
        if self._post_timer is not None:
            self._post_timer.cancel()
            self._post_timer = None
        if self._posted:
            self._begin()

    def _take_posted(self) -> list[_Waiting]:
        """What nobody waits for goes with the next group, and makes none of its own so soon."""
        if self._post_timer is not None:
            self._post_timer.cancel()
            self._post_timer = None
        taken, self._posted = self._posted, []
        return taken

    def _settle(
        self,
        group: Sequence[_Waiting],
        error: JournalError | None,
    ) -> None:
        if error is not None and not self._failing:
            get_logger().error("%s", error)  # once, not for every request
        self._failing = error is not None
        for (_, payload), done in group:
            self._bytes -= len(payload)
            if done is None or done.done():  # nobody waits, or its client has gone
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(JournalError(error.message, hint=error.hint))

    def _seal_later(self) -> None:
        self._timer = None
        self._thread.submit(self._seal)

    def _write(self, frames: list[tuple[str, bytes]]) -> None:
        """In the journal's thread: one group into the segment, a new one where it needs one."""
        writer = self._writer
        if writer is not None and writer.size > self._segment_bytes:
            self._seal()
            writer = None
        if writer is None:
            writer = self._writer = SegmentWriter(self._folder, self._keys, clock=self._clock)
        try:
            writer.append(frames)
        except JournalError:
            self._writer = None
            raise

    def _seal(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
