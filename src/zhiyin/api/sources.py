"""Write keys as a server process sees them: a copy of the ledger's, renewed every few seconds."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from zhiyin.collect.write_keys import WriteKey, list_write_keys
from zhiyin.core.clock import Clock
from zhiyin.core.errors import Busy
from zhiyin.core.log import get_logger
from zhiyin.store.ledger import reading

FRESH_S = 5.0
UNKNOWN_S = 1.0
"""A key that is not in the copy makes it read again, at most so often."""


class Sources:
    """The write keys in force; a key that was revoked is refused within `FRESH_S`."""

    def __init__(self, ledger: sa.Engine, *, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._known: dict[str, WriteKey] | None = None
        self._read_s = 0.0
        self._reading: asyncio.Task[None] | None = None

    async def find(self, write_key: str) -> WriteKey | None:
        """The key's source; None if there is none in force.

        Raises
        ------
        Busy
            If the ledger was never read and cannot be now.
        """
        age = self._clock.monotonic() - self._read_s
        if self._known is None or (write_key not in self._known and age > UNKNOWN_S):
            await self._renew()
        elif age > FRESH_S and self._reading is None:
            self._reading = asyncio.ensure_future(self._read())  # the copy serves meanwhile
        if self._known is None:
            raise Busy("the sources cannot be read now", hint="look at the ledger", retry_after_s=2)
        return self._known.get(write_key)

    async def _renew(self) -> None:
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read())
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        try:
            self._known = await asyncio.to_thread(self._load)
        except SQLAlchemyError as error:
            get_logger().error("the sources cannot be read: %s", type(error).__name__)
        finally:
            self._read_s = self._clock.monotonic()
            self._reading = None

    def _load(self) -> dict[str, WriteKey]:
        with reading(self._ledger) as connection:
            return {one.write_key: one for one in list_write_keys(connection)}
