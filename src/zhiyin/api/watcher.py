"""From acknowledged events to the overlay of the online store, a moment later.

It costs a thread of each server and no request waits for it. Where it cannot keep up, or the file
cannot be written, what visitors looked at does not count for their lists; no event is lost.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor

from zhiyin.collect.live import sightings
from zhiyin.collect.received import Received
from zhiyin.collect.tracking import Reader
from zhiyin.core.clock import Clock
from zhiyin.core.errors import SchemaTooNew
from zhiyin.core.log import get_logger
from zhiyin.core.protocols import Vault
from zhiyin.store.online import OnlineStore
from zhiyin.store.recent import Touched

GATHER_S = 0.1
"""What a group waits for more to come."""
MOST_WAITING = 5_000
"""Requests; what comes beyond is passed over."""


class Watcher:
    """Tells the overlay which products the events of one server are about."""

    def __init__(
        self, online: OnlineStore, vault: Vault, *, clock: Clock, numbers: OnlineStore | None = None
    ) -> None:
        self._online = online
        self._looked_up = [one for one in (online, numbers) if one is not None]
        self._vault = vault
        self._clock = clock
        self._reader = Reader()
        self._waiting: list[Received] = []
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="zhiyin-watcher")

    def tell(self, received: Received) -> None:
        """Look at a request later."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(received)
        if self._task is None:
            self._task = asyncio.ensure_future(self._work())

    async def settled(self) -> None:
        """Return when nothing waits."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Write what waits."""
        await self.settled()
        run = asyncio.get_running_loop().run_in_executor
        await run(self._thread, self._online.recent.close)
        self._thread.shutdown()

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                await asyncio.sleep(GATHER_S)
                group, self._waiting = self._waiting, []
                await loop.run_in_executor(self._thread, self._write, group)
        finally:
            self._task = None

    def _write(self, group: list[Received]) -> None:
        try:
            if not any(one.number() for one in self._looked_up):  # nobody asks here
                return
            rows = [row for received in group for row in self._rows(received)]
            if rows:
                self._online.recent.put(rows, now=self._clock.now().timestamp())
        except (sqlite3.Error, OSError, SchemaTooNew) as error:
            get_logger().error("what visitors look at is not kept: %s", type(error).__name__)

    def _rows(self, received: Received) -> list[Touched]:
        return [
            Touched(party, one.product_id, one.bought, one.at)
            for one in sightings(self._reader, received)
            for namespace, value in one.ids
            for party in self._vault.party_ids(namespace, [value])
        ]
