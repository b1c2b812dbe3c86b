"""The lake: one Delta table per table of `core.tables`, in a folder.

Appends are exactly once per (app, seq), rewrites are idempotent, every commit is flushed to the
disk before it is reported, and the Delta log holds no personal data: statistics are kept for
chosen columns only, and predicates name no person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Field,
    Transaction,
    WriterProperties,
)
from deltalake import Schema as DeltaSchema
from deltalake import write_deltalake as write_delta
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from zhiyin.core import columns as c
from zhiyin.core.errors import ConcurrentWrite, InvalidParameter, SchemaTooNew, WorkspaceError
from zhiyin.core.features import FEATURES
from zhiyin.core.rows import arrow_schema, conform
from zhiyin.core.schema import Table
from zhiyin.core.tables import TABLES
from zhiyin.store.durable import sync_commit
from zhiyin.store.engines.duckdb import process_engine
from zhiyin.store.engines.files import active_files, local_root
from zhiyin.store.migrations_lake import MIGRATIONS, Migration, plan_migrations
from zhiyin.store.scope import scope_predicate

VERSION_KEY = "zhiyin.schema_version"
STATISTICS_KEY = "delta.dataSkippingStatsColumns"
VERSION_APP = "zhiyin:schema_version"  # the same number, written with a migration's rows
ATTEMPTS = 8
KEEP_HOURS = 7 * 24
ABSENT = -1  # the version of a table that was not there yet
_STATISTICS = (c.VALID_AT, c.REVISION, c.OP, c.AS_OF_ON, c.CAMPAIGN_ID, c.KIND)
_UNLIKE = (c.PERSONAL, c.EVENT_ID, c.ITEM_EVENT_ID)  # no value twice: a dictionary only costs
_REAL = tuple(feature.name for feature in FEATURES if feature.type == "float64")  # hardly any twice
_WRITER = WriterProperties(
    compression="ZSTD",
    column_properties={
        name: ColumnProperties(dictionary_enabled=False) for name in (*_UNLIKE, *_REAL)
    },
)


class Lake:
    """Delta tables in a folder.

    Parameters
    ----------
    folder
        Where the tables are; made when first written.
    tables
        Their definitions.
    migrations
        Numbered changes; see `store.migrations_lake`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tables: Mapping[str, Table] = TABLES,
        migrations: Iterable[Migration] = MIGRATIONS,
    ) -> None:
        if set(str(Path(folder).absolute())) & set("[]%"):  # delta-rs takes them for patterns
            raise WorkspaceError(
                f"the path of a workspace may hold none of [ ] %: {folder}",
                hint="move it to another folder",
            )
        self.folder = Path(folder).absolute()
        self.tables = dict(tables)
        self.migrations = tuple(migrations)
        self._checked: set[str] = set()

    def path(self, name: str) -> Path:
        """The folder of a table."""
        return self.folder / self._table(name).name

    def open(self, name: str, *, version: int | None = None) -> DeltaTable | None:
        """A fresh handle on a table (at `version`); None where it was not there yet.

        The first call brings the stored schema to this code's.

        Raises
        ------
        SchemaTooNew
            If a newer Zhiyin wrote it.
        WorkspaceError
            If its columns clash with this code's, or the version is gone.
        """
        if version == ABSENT or not (self.path(name) / "_delta_log").is_dir():
            return None
        if name not in self._checked:
            self._bring_up(self._table(name), DeltaTable(self.path(name)))
            self._checked.add(name)
        try:
            return DeltaTable(self.path(name), version=version)
        except TableNotFoundError:
            return None  # its folder was made, its first commit is not there yet
        except DeltaError as error:
            raise WorkspaceError(
                f"table {name} cannot be read at version {version}",
                hint="an erasure removes old versions; start a new turn with --again",
            ) from error

    def holds(self, name: str, version: int) -> bool:
        """Whether a version of a table can still be read: an erasure removes the old ones."""
        try:
            handle = self.open(name, version=version)
        except WorkspaceError:
            return False
        return handle is None or all(Path(file).exists() for file in active_files(handle)[2])

    def added_files(self, handle: DeltaTable, *, since: int) -> list[Path] | None:
        """The data files that came after version `since` of the table of `handle`.

        None where a file of then is gone (rows were rewritten, erased or compacted), or where the
        version is.
        """
        try:
            before = self.open(local_root(handle).name, version=since)
        except WorkspaceError:
            return None
        then = set() if before is None else set(active_files(before)[2])
        now = set(active_files(handle)[2])
        return None if then - now else sorted(Path(file) for file in now - then)

    def versions(self) -> dict[str, int]:
        """The newest Delta version of every table; -1 where a table is not there yet."""
        handles = {name: self.open(name) for name in self.tables}
        return {
            name: ABSENT if handle is None else handle.version() for name, handle in handles.items()
        }

    def appended(self, name: str, *, since: int, column: str) -> set[str] | None:
        """The values of a text column in rows that were appended after version `since`.

        None where that is not all that changed: rows were rewritten or removed, or the version
        can no longer be read.
        """
        handle = self.open(name)
        if handle is None or handle.version() == since:
            return set()
        files = self.added_files(handle, since=since)
        if files is None:
            return None
        found: set[str] = set()
        for file in files:
            values = pq.ParquetFile(file).read(columns=[column]).column(0)
            found.update(value for value in values.unique().to_pylist() if value is not None)
        return found

    def append(self, name: str, rows: pa.Table, *, app: str, seq: int = 0) -> int:
        """Append `rows` unless (`app`, `seq`) or a later one of `app` was; rows written.

        `app` goes into the Delta log as it is: it may hold no personal data. Within one `app`
        numbers must rise, and one process at a time may write it.

        Raises
        ------
        InvalidParameter
            If the rows do not fit the table, or `seq` is negative.
        ConcurrentWrite
            If other writers committed first, again and again.
        """
        if seq < 0:
            raise InvalidParameter(f"seq must not be negative, not {seq}")
        known = self.open(name)
        if known is not None and _is_done(known, app, seq):
            return 0
        body = conform(self._table(name), rows)

        def write(handle: DeltaTable) -> bool:
            if _is_done(handle, app, seq):
                return False
            marks = CommitProperties(app_transactions=[Transaction(app, seq)])
            write_delta(
                handle,
                self._fit(handle, body),
                mode="append",
                writer_properties=_WRITER,
                commit_properties=marks,
            )
            return True

        return body.num_rows if self._commit(name, write) else 0

    def replace(self, name: str, rows: pa.Table, *, scope: Mapping[str, object]) -> int:
        """Make `rows` the only ones whose columns equal `scope`; rows written.

        `rows` may be empty. An empty `scope` is the whole table. Two writers of one table must
        hold the lease `lake`.

        Raises
        ------
        InvalidParameter
            If a row is outside the scope, or the scope names a person: the Delta log keeps it.
        ConcurrentWrite
            If other writers committed first, again and again.
        """
        table = self._table(name)
        body = conform(table, rows)
        predicate = scope_predicate(table, body, scope)

        def write(handle: DeltaTable) -> bool:
            write_delta(
                handle,
                self._fit(handle, body),
                mode="overwrite",
                predicate=predicate or None,
                writer_properties=_WRITER,
            )
            return True

        self._commit(name, write)
        return body.num_rows

    def merge(
        self, name: str, source: pa.Table, *, on: str, set_to: Mapping[str, str] | None
    ) -> None:
        """Update (`set_to`: column → expression), or delete (None), the rows `t` that match `s`.

        `source` may hold personal data: unlike a literal predicate it leaves nothing in the log.
        Does nothing where the table is not there yet.
        """

        def write(handle: DeltaTable) -> bool:
            merger = handle.merge(
                source,
                predicate=on,
                source_alias="s",
                target_alias="t",
                writer_properties=_WRITER,
                streamed_exec=True,  # otherwise the log keeps the range of the source's values
            )
            if set_to is None:
                merger.when_matched_delete().execute()
            else:
                merger.when_matched_update(updates=dict(set_to)).execute()
            return True

        if self.open(name) is not None:
            self._commit(name, write)

    def compact(self, name: str) -> None:
        """Join a table's small files. The caller holds the lease `lake`."""

        def write(handle: DeltaTable) -> bool:
            handle.optimize.compact(writer_properties=_WRITER)
            return True

        if self.open(name) is not None:
            self._commit(name, write)

    def vacuum(self, name: str, *, keep_hours: int = KEEP_HOURS) -> int:
        """Delete files that no version of the last `keep_hours` needs, and orphans; how many."""
        handle = self.open(name)
        if handle is None:
            return 0
        return len(
            handle.vacuum(
                retention_hours=keep_hours,
                dry_run=False,
                enforce_retention_duration=False,
                full=True,
            )
        )

    def _table(self, name: str) -> Table:
        if name not in self.tables:
            raise InvalidParameter(f"there is no table {name!r}")
        return self.tables[name]

    def _commit(self, name: str, write: Callable[[DeltaTable], bool]) -> bool:
        """Run `write` on a fresh handle until no other writer comes in between; then flush."""
        for _ in range(ATTEMPTS):
            handle = self.open(name) or self._create(self._table(name))
            before = handle.version()
            try:
                written = write(handle)
            except CommitFailedError:
                continue
            for version in range(before + 1, handle.version() + 1):
                sync_commit(self.path(name), version)
            return written
        raise ConcurrentWrite(
            f"table {name}: other writers committed first {ATTEMPTS} times", hint="run it again"
        )

    def _create(self, table: Table) -> DeltaTable:
        path = self.path(table.name)
        path.mkdir(parents=True, exist_ok=True)
        try:
            handle = DeltaTable.create(
                path,
                schema=arrow_schema(table),
                mode="ignore",
                partition_by=[table.partition] if table.partition else None,
                configuration={
                    VERSION_KEY: str(table.schema_version),
                    STATISTICS_KEY: ",".join(statistics_columns(table)),
                },
                raise_if_key_not_exists=False,
            )
        except DeltaError:  # another process made it in this moment
            handle = DeltaTable(path)
        sync_commit(path, 0)
        self._checked.add(table.name)
        return handle

    def _bring_up(self, table: Table, handle: DeltaTable) -> None:
        stored = int((handle.metadata().configuration or {}).get(VERSION_KEY) or 1)
        if stored > table.schema_version:
            raise SchemaTooNew(
                f"table {table.name} has schema version {stored}, this Zhiyin knows "
                f"{table.schema_version}",
                hint="open the workspace with a newer Zhiyin: pip install -U zhiyin",
            )
        stored = max(stored, handle.transaction_version(VERSION_APP) or 0)
        for migration in plan_migrations(
            table.name, stored=stored, wanted=table.schema_version, migrations=self.migrations
        ):
            handle = self._migrate(table, handle, migration)
        if (handle.metadata().configuration or {}).get(VERSION_KEY) != str(table.schema_version):
            handle.alter.set_table_properties(
                {VERSION_KEY: str(table.schema_version)}, raise_if_not_exists=False
            )
            sync_commit(self.path(table.name), handle.version())
        self._add_columns(table, DeltaTable(self.path(table.name)))

    def _migrate(self, table: Table, handle: DeltaTable, migration: Migration) -> DeltaTable:
        rows = _widen(migration.change(process_engine().from_delta(handle)).to_pyarrow())
        write_delta(
            handle,
            rows,
            mode="overwrite",
            schema_mode="overwrite",
            writer_properties=_WRITER,
            commit_properties=CommitProperties(
                app_transactions=[Transaction(VERSION_APP, migration.number)]
            ),
        )
        sync_commit(self.path(table.name), handle.version())
        return DeltaTable(self.path(table.name))

    def _add_columns(self, table: Table, handle: DeltaTable) -> None:
        stored = _stored_schema(handle)
        wanted = arrow_schema(table)
        for field in wanted:
            if field.name in stored.names and stored.field(field.name).type != field.type:
                raise WorkspaceError(
                    f"column {field.name} of {table.name} is stored as "
                    f"{stored.field(field.name).type}, this Zhiyin wants {field.type}",
                    hint="a change of type needs a migration in store/migrations_lake",
                )
        added = [field for field in wanted if field.name not in stored.names]
        required = [field.name for field in added if table.column(field.name).required]
        if required and handle.file_uris():
            raise WorkspaceError(
                f"table {table.name} lacks the required column {', '.join(required)}",
                hint="a new required column needs a migration in store/migrations_lake",
            )
        if added:
            fields: list[Field] = list(DeltaSchema.from_arrow(pa.schema(added)).fields)
            handle.alter.add_columns(fields)
            sync_commit(self.path(table.name), handle.version())

    def _fit(self, handle: DeltaTable, body: pa.Table) -> pa.Table:
        """`body` in the stored order, nulls in columns that this code no longer knows."""
        stored = _stored_schema(handle)
        arrays = [
            body.column(field.name)
            if field.name in body.column_names
            else pa.nulls(body.num_rows, field.type)
            for field in stored
        ]
        return pa.table(arrays, names=stored.names)


def statistics_columns(table: Table) -> list[str]:
    """Columns whose smallest and largest values the Delta log may keep: none is personal."""
    wanted = (table.time, *_STATISTICS, *table.scope)
    return [
        column.name
        for column in table.columns
        if column.name in wanted and column.pii == "none" and column.name != table.partition
    ] or [next(column.name for column in table.columns if column.pii == "none")]


def _stored_schema(handle: DeltaTable) -> pa.Schema:
    schema = pa.schema(handle.schema().to_arrow())  # pyright: ignore[reportArgumentType]  # has the Arrow C schema protocol
    names = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    return pa.schema([pa.field(one.name, names.get(one.type, one.type)) for one in schema])


def _widen(rows: pa.Table) -> pa.Table:
    """`rows` with the widths that `core.rows` stores: engines give narrower numbers."""
    widths = {pa.types.is_integer: pa.int64(), pa.types.is_floating: pa.float64()}
    fields = [
        field.with_type(
            next((kind for test, kind in widths.items() if test(field.type)), field.type)
        )
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))


def _is_done(handle: DeltaTable, app: str, seq: int) -> bool:
    done = handle.transaction_version(app)
    return done is not None and seq <= done
