"""A workspace in memory, just large enough for the job `measure`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, naive_utc, run_moment, start_of_day
from zhiyin.core.config import Settings, validate_settings
from zhiyin.core.context import Context
from zhiyin.core.rng import Streams
from zhiyin.core.tables import table as table_of
from zhiyin.testing.store import MemoryStore

TYPES = {
    "string": pa.string(), "json": pa.string(), "int64": pa.int64(), "float64": pa.float64(),
    "bool": pa.bool_(), "timestamp": pa.timestamp("us"), "date": pa.date32(),
    "binary": pa.binary(),
}  # fmt: skip


class Lake:
    """Rows by table, read through DuckDB as the store reads them."""

    def __init__(self, zone: str, engine: MemoryStore) -> None:
        self.zone = zone
        self.rows: dict[str, pa.Table] = {}
        self.engine = engine
        self.cache: dict[tuple, ibis.Table] = {}
        self.kept: list[pa.Table | None] = []
        self.reads: list[tuple[str, date | None]] = []

    def add(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Add rows; columns that are left out are null."""
        schema = pa.schema([(one.name, TYPES[one.type]) for one in table_of(name).columns])
        new = pa.Table.from_pylist(rows, schema=schema)
        self.rows[name] = pa.concat_tables([self.rows[name], new]) if name in self.rows else new

    def read(self, table: str, *, as_of: date | None = None) -> ibis.Table:
        self.reads.append((table, as_of))
        if table not in self.rows:
            self.add(table, [])
        rows = self.rows[table]
        key = (table, as_of, id(rows), id(self.rows.get("merges")))
        if key not in self.cache:
            self.kept += [rows, self.rows.get("merges")]  # so that no id is used again
            self.cache[key] = self._read(table, rows, as_of)
        return self.cache[key]

    def _read(self, table: str, rows: pa.Table, as_of: date | None) -> ibis.Table:
        described = table_of(table)
        time = described.time or (c.VALID_AT if described.revisions else None)
        if as_of is not None and time is not None:
            rows = rows.filter(pc.less(rows[time], pa.scalar(self._start(as_of))))
        if c.PARTY_ID in described.names and c.CUSTOMER_ID not in described.names:
            merged = self._merges(as_of)
            people = [merged.get(one, one) for one in rows[c.PARTY_ID].to_pylist()]
            rows = rows.append_column(c.CUSTOMER_ID, pa.array(people, pa.string()))
        return self.to_ibis(rows)

    def replace(self, table: str, rows: pa.Table, *, scope: Mapping[str, object]) -> int:
        old = self.rows.get(table)
        if old is not None:
            keep = [
                all(row[name] == value for name, value in scope.items()) is False
                for row in old.to_pylist()
            ]
            rows_kept = old.filter(pa.array(keep, pa.bool_()))
            self.rows[table] = pa.concat_tables([rows_kept, rows.cast(old.schema)])
        else:
            self.rows[table] = rows
        return rows.num_rows

    def append(self, table: str, rows: pa.Table, *, app: str, seq: int = 0) -> int:
        raise AssertionError("measure only replaces")

    def to_ibis(self, rows: pa.Table) -> ibis.Table:
        return self.engine.to_ibis(rows)

    def begin(self) -> AbstractContextManager:
        raise AssertionError("measure leaves the ledger alone")

    def _start(self, day: date) -> datetime:
        return naive_utc(start_of_day(day, self.zone))

    def _merges(self, as_of: date | None) -> dict[str, str]:
        if "merges" not in self.rows:
            return {}
        return {
            row[c.PARTY_ID]: row[c.INTO]
            for row in self.rows["merges"].to_pylist()
            if as_of is None or row[c.AT] < self._start(as_of)
        }


def make_settings(**sections: object) -> Settings:
    """Settings of a test shop in New York."""
    values = {
        "name": "test",
        "zone": "America/New_York",
        "currency": "USD",
        "measure": {"bootstrap": 100},
        **sections,
    }
    return validate_settings(values, where="test")


def make_context(lake: Lake, as_of: date, settings: Settings) -> Context:
    """The context of a turn on `as_of`."""
    return Context(
        settings, lake, SimpleNamespace(), FrozenClock(run_moment(as_of, settings.zone)),
        Streams(settings.seed), as_of, "turn",
    )  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[MemoryStore]:
    """One DuckDB for all tests of a module."""
    made = MemoryStore()
    yield made
    made.close()


@pytest.fixture
def lake(engine) -> Lake:
    """An empty workspace of a shop in New York."""
    return Lake("America/New_York", engine)


@pytest.fixture
def context():
    """`context(lake, as_of, **sections)` → the context of a turn."""
    return lambda lake, as_of, **sections: make_context(lake, as_of, make_settings(**sections))
