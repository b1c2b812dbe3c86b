"""The store of one workspace: its lake, its ledger, its engine. Implements `protocols.Store`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from deltalake import DeltaTable

from zhiyin.core import columns as c
from zhiyin.core.errors import NotFound, WorkspaceError
from zhiyin.core.protocols import Engine
from zhiyin.core.rows import arrow_schema
from zhiyin.core.schema import Table
from zhiyin.core.tables import MERGES, TABLES
from zhiyin.store.asof import (
    boundary_of,
    has_single_revisions,
    representatives_of,
    representatives_table,
    visible_rows,
    with_customers,
)
from zhiyin.store.engines.duckdb import process_engine
from zhiyin.store.lake import ABSENT, Lake
from zhiyin.store.ledger import ledger_url, open_ledger, transaction
from zhiyin.store.online import NUMBERS, ONLINE, OnlineStore

MOST_ADDED = 2_000_000  # rows held in memory; more than a day adds is read anew as a whole


class WorkspaceStore:
    """Reads and writes of one workspace.

    Parameters
    ----------
    lake, ledger, engine
        Where rows, state and sums live.
    zone
        The workspace's time zone: its days begin at 00:00 there.
    pins
        Delta version by table that reads see; other tables are read at their newest.
    write
        Without it, `append` and `replace` refuse.
    online, numbers
        What requests for recommendations, and for decisions, look up; None: in the folder beside
        the lake's.
    """

    def __init__(
        self,
        lake: Lake,
        ledger: sa.Engine,
        *,
        zone: str,
        engine: Engine | None = None,
        pins: Mapping[str, int] | None = None,
        write: bool = True,
        online: OnlineStore | None = None,
        numbers: OnlineStore | None = None,
    ) -> None:
        self.lake = lake
        self.online = online or OnlineStore(lake.folder.parent / ONLINE)
        self.numbers = numbers or OnlineStore(lake.folder.parent / ONLINE / NUMBERS)
        self.ledger = ledger
        self.zone = zone
        self.engine = engine or process_engine()
        self.pins = dict(pins or {})
        self.write = write
        self._pinned: dict[str, DeltaTable] = {}  # a version never changes: opened once
        self._single: dict[tuple[str, int], bool] = {}
        self._mappings: dict[tuple[int, datetime | None], dict[str, str]] = {}

    def read(self, table: str, *, as_of: date | None = None) -> ibis.Table:
        """The rows of `table` that were visible before the local day `as_of` (None: all).

        Columns are those of `core.tables`, in order, with `customer_id` at the end where there is
        a `party_id`. A row is visible when its business time, and `valid_at` in a table of
        revisions, are before the day's 00:00.

        Raises
        ------
        NotFound
            If there is no such table.
        InvalidParameter
            If `as_of` is a moment instead of a day.
        WorkspaceError
            If the pinned version is gone.
        """
        before = boundary_of(as_of, self.zone)
        definition = self._definition(table)
        rows, version = self._stored(definition)
        single = definition.revisions and self._has_single_revisions(definition, rows, version)
        rows = visible_rows(rows, definition, before=before, single=single)
        return with_customers(rows, mapping=self._mapping_table(before, definition))

    def settled(self, tables: Iterable[str], *, days: Sequence[date]) -> bool:
        """Whether what each of the days saw of the tables is what the last of them sees, less
        the rows of later times. Cheap: a pass over the keys of each table, once per version.
        """
        mappings = [self._mapping(boundary_of(day, self.zone)) for day in days]
        if any(mapping != mappings[0] for mapping in mappings):
            return False
        definitions = [self._definition(name) for name in tables]
        return all(
            self._has_single_revisions(table, *self._stored(table))
            for table in definitions
            if table.revisions
        )

    def added(
        self, table: str, *, since: int | None = None, as_of: date | None = None
    ) -> tuple[int, ibis.Table | None]:
        """The version that reads see, and the rows added after `since`; see `protocols.Store`."""
        definition = self._definition(table)
        handle = self._open(table)
        if handle is None:
            rows = arrow_schema(definition).empty_table()
            return ABSENT, None if since is None else self._seen(definition, rows, as_of)
        files = None if since is None else self.lake.added_files(handle, since=since)
        if files is None or _count(files) > MOST_ADDED:
            return handle.version(), None
        return handle.version(), self._seen(definition, _read_files(files, definition), as_of)

    def _seen(self, table: Table, rows: pa.Table, as_of: date | None) -> ibis.Table:
        before = boundary_of(as_of, self.zone)
        seen = visible_rows(self.engine.from_arrow(rows), table, before=before, single=True)
        return with_customers(seen, mapping=self._mapping_table(before, table))

    def read_stored(self, table: str) -> ibis.Table:
        """All rows of `table` as stored: every revision, nothing left out, no `customer_id`."""
        return self._stored(self._definition(table))[0]

    def representatives(self, *, as_of: date | None = None) -> dict[str, str]:
        """Party → representative, for parties merged before `as_of` (None: ever)."""
        return self._mapping(boundary_of(as_of, self.zone))

    def append(self, table: str, rows: pa.Table, *, app: str, seq: int = 0) -> int:
        """Append `rows` exactly once per (`app`, `seq`); see `Lake.append`."""
        self._require_write()
        return self.lake.append(self._definition(table).name, rows, app=app, seq=seq)

    def replace(self, table: str, rows: pa.Table, *, scope: Mapping[str, object]) -> int:
        """Make `rows` the only rows of `scope`; see `Lake.replace`."""
        self._require_write()
        return self.lake.replace(self._definition(table).name, rows, scope=scope)

    def to_ibis(self, rows: pa.Table) -> ibis.Table:
        """`rows` as a table of the same engine, without a copy."""
        return self.engine.from_arrow(rows)

    def begin(self) -> AbstractContextManager[sa.Connection]:
        """A ledger transaction; it takes the write lock, so seal and read the lake before it."""
        return transaction(self.ledger)

    def appended(self, table: str, *, since: int, column: str) -> set[str] | None:
        """Values of a column in rows that came after version `since`; see `Lake.appended`."""
        return self.lake.appended(self._definition(table).name, since=since, column=column)

    def versions(self) -> dict[str, int]:
        """The version of every table that reads see now (-1: not there yet), for `pinned`."""
        return {**self.lake.versions(), **self.pins}

    def pinned(self, versions: Mapping[str, int]) -> WorkspaceStore:
        """This store with reads of the named tables at these Delta versions.

        Name the input tables of a turn; what the turn itself writes is read at its newest.
        """
        for name in versions:
            self._definition(name)
        pins = {**self.pins, **versions}
        made = WorkspaceStore(
            self.lake, self.ledger, zone=self.zone, engine=self.engine, pins=pins,
            write=self.write, online=self.online, numbers=self.numbers,
        )  # fmt: skip
        made._single, made._mappings = self._single, self._mappings  # of versions: true in both
        return made

    def close(self) -> None:
        """Give back the ledger's connections."""
        self.ledger.dispose()
        self.online.recent.close()

    def _require_write(self) -> None:
        if not self.write:
            raise WorkspaceError(
                "this workspace was opened to be read only",
                hint="open it with zhiyin.open(folder, write=True)",
            )

    def _definition(self, name: str) -> Table:
        if name not in self.lake.tables:
            raise NotFound(
                f"there is no table {name!r}", hint=f"tables: {', '.join(self.lake.tables)}"
            )
        return self.lake.tables[name]

    def _stored(self, table: Table) -> tuple[ibis.Table, int]:
        """All stored rows in the columns of this code, and their Delta version."""
        handle = self._open(table.name)
        if handle is None:
            return self.engine.from_arrow(arrow_schema(table).empty_table()), ABSENT
        rows = self.engine.from_delta(handle)
        lacking = [field for field in arrow_schema(table) if field.name not in rows.columns]
        if lacking:  # a version from before a column was added
            empty = ibis.Schema.from_pyarrow(pa.schema(lacking))
            rows = rows.mutate(**{name: ibis.null(kind) for name, kind in empty.items()})
        names = list(table.names)
        return rows if list(rows.columns) == names else rows.select(*names), handle.version()

    def _open(self, name: str) -> DeltaTable | None:
        if name in self._pinned:
            return self._pinned[name]
        handle = self.lake.open(name, version=self.pins.get(name))
        if handle is not None and name in self.pins:
            self._pinned[name] = handle
        return handle

    def _has_single_revisions(self, table: Table, rows: ibis.Table, version: int) -> bool:
        key = (table.name, version)
        if key not in self._single:
            self._single[key] = has_single_revisions(rows, table)
        return self._single[key]

    def _mapping(self, before: datetime | None) -> dict[str, str]:
        rows, version = self._stored(self.lake.tables.get(MERGES.name, MERGES))
        if version == ABSENT:
            return {}
        if (version, before) not in self._mappings:
            settled = visible_rows(rows, MERGES, before=before)
            self._mappings[version, before] = representatives_of(settled.to_pyarrow())
        return self._mappings[version, before]

    def _mapping_table(self, before: datetime | None, table: Table) -> ibis.Table | None:
        if c.PARTY_ID not in table.names or c.CUSTOMER_ID in table.names:
            return None
        mapping = self._mapping(before)
        return self.engine.from_arrow(representatives_table(mapping)) if mapping else None


def _count(files: Iterable[Path]) -> int:
    return sum(pq.read_metadata(file).num_rows for file in files)


def _read_files(files: Iterable[Path], table: Table) -> pa.Table:
    """Rows of data files; the partition, which they lack, and columns added since are null."""
    parts = [arrow_schema(table).empty_table()]
    for file in files:
        rows = pq.ParquetFile(file).read()
        columns = [
            rows[field.name].cast(field.type)
            if field.name in rows.column_names
            else pa.nulls(rows.num_rows, field.type)
            for field in arrow_schema(table)
        ]
        parts.append(pa.table(columns, names=table.names))
    return pa.concat_tables(parts, promote_options="permissive")


def open_store(
    folder: Path, *, zone: str, ledger: str = "", engine: Engine | None = None, write: bool = True
) -> WorkspaceStore:
    """The store of the workspace in `folder`; makes or migrates its ledger.

    Parameters
    ----------
    ledger
        Address of the ledger; empty: `ledger.db` in the folder.
    engine
        Runs the sums; None: the DuckDB of this process.
    write
        Without it the lake cannot be changed.

    Raises
    ------
    SchemaTooNew
        If a newer Zhiyin wrote the ledger (a table: when it is first opened).
    """
    state = open_ledger(ledger_url(folder, ledger))
    lake = Lake(folder / "lake", tables=TABLES)
    return WorkspaceStore(lake, state, zone=zone, engine=engine, write=write)
