"""`MemoryStore`: the store without files, for tests and notebooks.

It keeps Arrow tables and computes what was visible on a day row by row, in plain Python: slow,
easy to check, and written apart from the real store, so that each tests the other. Only the engine
that queries run on is the same.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import cache, cached_property
from itertools import count
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import sqlalchemy as sa
from ibis.expr import operations as ops

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.ledger import metadata
from zhiyin.core.parties import representatives
from zhiyin.core.rows import arrow_schema, conform
from zhiyin.core.schema import Table
from zhiyin.core.tables import MERGES
from zhiyin.core.tables import table as definition_of
from zhiyin.store.engines.duckdb import Backend

Row = dict[str, Any]
_schemas: dict[pa.Schema, ibis.Schema] = {}  # what the engine makes of the columns of Arrow rows
_stores = count()


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    """One DuckDB for all stores of a process, each with a database in it: quicker by far."""
    return duckdb.connect(":memory:", config={"threads": 2})


@cache
def _empty_ledger() -> bytes:
    """A SQLite database with the ledger's tables."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    metadata.create_all(engine)
    with engine.connect() as connection:
        made: bytes = connection.connection.driver_connection.serialize()  # pyright: ignore[reportOptionalMemberAccess]
    engine.dispose()
    return made


class MemoryStore:
    """Implements `core.protocols.Store` in memory.

    Parameters
    ----------
    zone
        The workspace's time zone.
    """

    def __init__(self, *, zone: str = "UTC") -> None:
        self.zone = zone
        self.backend = Backend.from_connection(_engine().cursor())
        self._database = f"store_{next(_stores)}"
        self.backend.attach(":memory:", name=self._database)
        self._detach = weakref.finalize(self, _detach, self.backend, self._database)
        self._rows: dict[str, pa.Table] = {}
        self._done: dict[tuple[str, str], int] = {}
        self._sizes: dict[str, list[int | None]] = {}  # rows after each append; None: a rewrite
        self._read: dict[tuple[object, ...], ibis.Table] = {}
        self._numbers = count()

    @cached_property
    def ledger(self) -> sa.Engine:
        """The ledger's tables in memory, made where a test asks for them."""
        engine = sa.create_engine(
            "sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False}
        )
        with engine.connect() as connection:
            connection.connection.driver_connection.deserialize(_empty_ledger())  # pyright: ignore[reportOptionalMemberAccess]
        return engine

    def read(self, table: str, *, as_of: date | None = None) -> ibis.Table:
        """The rows of `table` that were visible before the local day `as_of` (None: all)."""
        if isinstance(as_of, datetime):
            raise InvalidParameter("as_of is a local day, not a moment")
        definition = definition_of(table)
        before = None if as_of is None else naive_utc(start_of_day(as_of, self.zone))
        key = (table, self._version(table), self._version(MERGES.name), before)
        if key not in self._read:
            self._read[key] = self._as_read(definition, self._visible(definition, before), before)
        return self._read[key]

    def _as_read(self, table: Table, rows: list[Row], before: datetime | None) -> ibis.Table:
        schema = arrow_schema(table)
        if c.PARTY_ID in table.names and c.CUSTOMER_ID not in table.names:
            schema = schema.append(pa.field(c.CUSTOMER_ID, pa.string()))
            merges = [row for row in self._visible(MERGES, before) if row[c.UNDONE_AT] is None]
            chiefs = representatives((row[c.PARTY_ID], row[c.INTO]) for row in merges)
            for row in rows:
                row[c.CUSTOMER_ID] = chiefs.get(row[c.PARTY_ID], row[c.PARTY_ID])
        return self.to_ibis(pa.Table.from_pylist(rows, schema=schema))

    def settled(self, tables: Iterable[str], *, days: Sequence[date]) -> bool:
        """Whether what each of the days saw of the tables is in what the last of them sees."""

        def seen(name: str, day: date) -> set[str]:
            return {repr(row) for row in self.read(name, as_of=day).to_pyarrow().to_pylist()}

        return all(seen(name, day) <= seen(name, max(days)) for name in tables for day in days)

    def added(
        self, table: str, *, since: int | None = None, as_of: date | None = None
    ) -> tuple[int, ibis.Table | None]:
        """The version of `table`, and the rows added after `since` where none was rewritten."""
        sizes, version = self._sizes.get(table, []), self._version(table)
        if since is None or None in sizes[since + 1 :]:
            return version, None
        definition = definition_of(table)
        before = None if as_of is None else naive_utc(start_of_day(as_of, self.zone))
        first = 0 if since < 0 else sizes[since] or 0
        rows = _before(self._stored(definition).slice(first).to_pylist(), definition, before)
        return version, self._as_read(definition, rows, before)

    def append(self, table: str, rows: pa.Table, *, app: str, seq: int = 0) -> int:
        """Append `rows` exactly once per (`app`, `seq`); the number of rows written."""
        definition = definition_of(table)
        if seq < 0:
            raise InvalidParameter(f"seq must not be negative, not {seq}")
        if seq <= self._done.get((table, app), -1):
            return 0
        body = conform(definition, rows)
        self._rows[table] = pa.concat_tables([self._stored(definition), body])
        self._done[table, app] = seq
        self._sizes.setdefault(table, []).append(self._rows[table].num_rows)
        return body.num_rows

    def replace(self, table: str, rows: pa.Table, *, scope: Mapping[str, object]) -> int:
        """Make `rows` the only rows of `table` whose columns equal `scope`."""
        definition = definition_of(table)
        body = conform(definition, rows)
        if any(definition.column(name).pii != "none" for name in scope):
            raise InvalidParameter(f"the scope of {table} names a column that identifies a person")
        if not all(_inside(row, scope) for row in body.to_pylist()):
            raise InvalidParameter(f"rows for {table} are outside the scope")
        kept = [row for row in self._stored(definition).to_pylist() if not _inside(row, scope)]
        others = pa.Table.from_pylist(kept, schema=arrow_schema(definition))
        self._rows[table] = pa.concat_tables([others, body])
        self._sizes.setdefault(table, []).append(None)
        return body.num_rows

    def to_ibis(self, rows: pa.Table) -> ibis.Table:
        """`rows` as a table of the same engine: a copy, as DuckDB joins Arrow's rows badly."""
        name = f"rows_{next(self._numbers)}"
        where = ops.Namespace(catalog=self._database, database="main")
        self.backend.con.from_arrow(rows).create(f"{self._database}.{name}")
        if rows.schema not in _schemas:
            _schemas[rows.schema] = self.backend.get_schema(
                name, catalog=self._database, database="main"
            )
        return ops.DatabaseTable(
            name, schema=_schemas[rows.schema], source=self.backend, namespace=where
        ).to_expr()

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A ledger transaction: commits at the end of the block, rolls back on an error."""
        with self.ledger.begin() as connection:
            yield connection

    def close(self) -> None:
        """Give back the connections."""
        if "ledger" in self.__dict__:
            self.ledger.dispose()
        self._detach()

    def _version(self, table: str) -> int:
        return len(self._sizes.get(table, [])) - 1

    def _stored(self, table: Table) -> pa.Table:
        return self._rows.get(table.name, arrow_schema(table).empty_table())

    def _visible(self, table: Table, before: datetime | None) -> list[Row]:
        rows = _before(self._stored(table).to_pylist(), table, before)
        if table.name == MERGES.name:
            return _settle(rows, table, before)
        if not table.revisions:
            return rows
        last: dict[tuple[object, ...], Row] = {}
        for row in sorted(
            rows, key=lambda row: (row[c.VALID_AT], row[c.REVISION], row[c.RECORDED_AT])
        ):
            last[tuple(row[name] for name in table.key)] = row
        return [row for row in last.values() if row[c.OP] != "delete"]


def _detach(backend: ibis.BaseBackend, database: str) -> None:
    backend.detach(database)
    backend.disconnect()


def _before(rows: list[Row], table: Table, before: datetime | None) -> list[Row]:
    times = [table.time] if table.time else []
    times += [c.VALID_AT] if table.revisions else []
    if before is None:
        return rows
    return [row for row in rows if all(row[name] < before for name in times)]


def _settle(rows: list[Row], table: Table, before: datetime | None) -> list[Row]:
    """One row per merge, undone where a later row of the same key says so."""
    settled: dict[tuple[object, ...], Row] = {}
    for row in rows:
        undone = row[c.UNDONE_AT]
        if undone is not None and before is not None and undone >= before:
            undone = None
        known = settled.setdefault(
            tuple(row[name] for name in table.key), {**row, c.UNDONE_AT: None}
        )
        for name, value in {**row, c.UNDONE_AT: undone}.items():
            values = [one for one in (known[name], value) if one is not None]
            if values:
                known[name] = max(values) if name == c.UNDONE_AT else min(values)
    return list(settled.values())


def _inside(row: Row, scope: Mapping[str, object]) -> bool:
    return all(row[name] == value for name, value in scope.items())
