"""What people looked at and bought in the last days: the overlay of the online store.

A SQLite file that servers write a moment after an event is in the journal, and read with each
request. It is a window and no record: a row goes by age, and where the file is lost only lists of
visitors are poorer for a while. One row for each party and product: the newest wins.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

FILE = "recent.db"
KEEP_S = 7 * 86_400.0
"""How long a row is kept."""
_MOST = 100  # rows read of a person
_WAIT_S = 5.0
_SCHEMA = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA secure_delete = ON",
    "CREATE TABLE IF NOT EXISTS recent (party TEXT NOT NULL, product TEXT NOT NULL,"
    " bought INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (party, product, bought))"
    " WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS recent_at ON recent (at)",
)
_PUT = (
    "INSERT INTO recent (party, product, bought, at) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (party, product, bought) DO UPDATE SET at = max(at, excluded.at)"
)
_READ = "SELECT product, bought, at FROM recent WHERE party = ? ORDER BY at DESC, product LIMIT ?"


class Touched(NamedTuple):
    """A product that a party looked at, or bought; `at`: seconds since 1970."""

    party_id: str
    product_id: str
    bought: bool
    at: float


class RecentItems:
    """The overlay in the folder of the online store. A connection for each thread."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._local = threading.local()

    def put(self, rows: Iterable[Touched], *, now: float) -> None:
        """Keep rows, and let go what is older than `KEEP_S`; nothing where no folder is."""
        if not self._path.parent.is_dir():
            return
        connection = self._connection()
        with connection:
            connection.executemany(_PUT, ((r.party_id, r.product_id, r.bought, r.at) for r in rows))
            connection.execute("DELETE FROM recent WHERE at < ?", (now - KEEP_S,))

    def read(self, party_ids: Sequence[str]) -> list[Touched]:
        """The newest rows of the parties, newest first."""
        if getattr(self._local, "connection", None) is None and not self._path.exists():
            return []
        execute, found = self._connection().execute, list[Touched]()
        for party in party_ids:
            rows = execute(_READ, (party, _MOST)).fetchall()
            found += [Touched(party, product, bool(bought), at) for product, bought, at in rows]
        if len(party_ids) > 1:
            found.sort(key=lambda one: (-one.at, one.product_id))
        return found

    def erase(self, party_ids: Sequence[str]) -> int:
        """Remove the rows of the parties, also from the file's log; how many there were."""
        if not self._path.exists():
            return 0
        connection = self._connection()
        with connection:
            rows = ((one,) for one in party_ids)
            count = connection.executemany("DELETE FROM recent WHERE party = ?", rows).rowcount
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return count

    def close(self) -> None:
        """Close the connection of this thread."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _connection(self) -> sqlite3.Connection:
        held = getattr(self._local, "connection", None)
        if held is None:
            held = self._local.connection = sqlite3.connect(self._path, timeout=_WAIT_S)
            for statement in _SCHEMA:
                held.execute(statement)
            held.commit()
            self._path.chmod(0o600)
        return held
