"""What the tests of collect share: a store that can be killed, and a way to look into it."""

from __future__ import annotations

from datetime import UTC, datetime

from zhiyin.core.tables import TABLES
from zhiyin.store.engines.duckdb import process_engine
from zhiyin.testing.store import MemoryStore

ENGINE = process_engine()  # one for all stores: opening it is slow


class Killed(Exception):
    """The process ends here."""


class MortalStore(MemoryStore):
    """A store whose append number `die_at`, or ledger transaction `die_at_begin`, never happens."""

    def __init__(self, *, die_at: int | None = None):
        super().__init__(zone="America/New_York")
        self.die_at, self.appends = die_at, 0
        self.die_at_begin, self.begins = None, 0

    def to_ibis(self, rows):
        return ENGINE.from_arrow(rows)

    def begin(self):
        self.begins += 1
        if self.begins == self.die_at_begin:
            raise Killed
        return super().begin()

    def append(self, table, rows, *, app, seq=0):
        self.appends += 1
        if self.appends == self.die_at:
            raise Killed
        return super().append(table, rows, app=app, seq=seq)


def rows_of(store, table):
    """What is visible of a table now, by business time."""
    return store.read(table).to_pyarrow().to_pylist()


def stored(store, table):
    """Every row as it was written, in order."""
    return store._stored(TABLES[table]).to_pylist()


def naive(*parts):
    """A moment as the lake keeps it: UTC without zone."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)
