"""DuckDB as the engine: reads the active Parquet files of a Delta table, natively.

One in-memory database per process; each thread has its own connection to it.
"""

from __future__ import annotations

import gc
import hashlib
import os
import shutil
import tempfile
import threading
import weakref
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import ibis
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from ibis.backends.duckdb import Backend as IbisBackend
from ibis.expr import operations as ops

from zhiyin.core.config import Settings
from zhiyin.store.engines.duckdb_sql import Compiler
from zhiyin.store.engines.files import active_files

_DUCK_TYPES = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "integer": "INTEGER",
    "date": "DATE",
    "boolean": "BOOLEAN",
}
_GIB = 2**30
_HERE = ops.Namespace()
# An expression is thousands of small objects that live until it is compiled. With Python's 700
# the collector walks through all that the process holds for most of them: a tenth of a turn.
_OBJECTS_BEFORE_COLLECTION = 50_000


_MADE_READY = (
    *(ops.InMemoryTable, ops.ScalarUDF, ops.AggUDF, ops.GeoSpatialUnOp, ops.GeoSpatialBinOp),
)  # before a statement of them runs, Ibis tells DuckDB of what they need


class Backend(IbisBackend):
    """Ibis's DuckDB, which keeps a table by two statements and asks for nothing it knows."""

    compiler = Compiler()

    def compile(self, expr: ibis.Expr, /, *, pretty: bool = False, **more: Any) -> str:
        """The statement; only where a person reads it are selects fused, which costs a third."""
        ibis.options.sql.fuse_selects = pretty
        return super().compile(expr, pretty=pretty, **more)

    def _run_pre_execute_hooks(self, expr: ibis.Expr) -> None:
        if expr.op().find(_MADE_READY):
            super()._run_pre_execute_hooks(expr)

    def _create_cached_table(self, name: str, expr: ibis.Table) -> ibis.Table:
        schema, name_of = expr.schema(), self.compiler.type_mapper.to_string
        columns = ", ".join(f"{_identifier(n)} {name_of(kind)}" for n, kind in schema.items())
        kept = _identifier(name)  # typed: the engine adds whole numbers into wider ones
        self._run_pre_execute_hooks(expr)
        self.con.execute(f"CREATE TEMP TABLE {kept} ({columns})")
        self.con.execute(f"INSERT INTO {kept} {self.compile(expr)}")
        return _table(self, name, schema)


class DuckDBEngine:
    """Tables of an in-memory DuckDB over Delta tables and Arrow rows.

    Parameters
    ----------
    threads
        Threads of one query; default: the machine's cores, at most 8.
    memory_bytes
        Memory before DuckDB spills to disk; default: 40 % of the machine's, 0.5 to 16 GiB.
    """

    name = "duckdb"

    def __init__(self, *, threads: int | None = None, memory_bytes: int | None = None) -> None:
        self._folder = tempfile.mkdtemp(prefix="zhiyin-engine-")
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        memory = memory_bytes or min(
            max(int(psutil.virtual_memory().total * 0.4), _GIB // 2), 16 * _GIB
        )
        self._root = duckdb.connect(
            ":memory:",
            config={
                "threads": threads or min(os.cpu_count() or 2, 8),
                "memory_limit": f"{memory // 2**20}MiB",
                "temp_directory": os.path.join(self._folder, "spill"),
            },
        )
        self._root.execute("SET parquet_metadata_cache = true")  # Delta's files never change
        self._local = threading.local()
        self._lock = threading.Lock()
        self._views: dict[str, ibis.Schema] = {}
        self._schemas: dict[pa.Schema, ibis.Schema] = {}  # of rows given to `from_arrow`
        self._numbers = count()

    @property
    def backend(self) -> Backend:
        """The Ibis backend of this thread."""
        if not hasattr(self._local, "backend"):
            with self._lock:
                self._local.backend = Backend.from_connection(self._root.cursor())
        return self._local.backend

    def from_delta(self, table: DeltaTable) -> ibis.Table:
        """The rows of a Delta table at the version of its handle: the one reader.

        An empty Parquet file with the whole schema goes first: it names and types every column,
        also where there are no data files or none of them has a column added later.

        Raises
        ------
        WorkspaceError
            If the table has a feature that makes its files unreadable as plain Parquet, or a
            partitioned table lies under a folder named `key=value`.
        """
        schema, partitions, files = active_files(table)
        text = f"{table.table_uri}|{table.version()}|{table.metadata().id}|{schema}"
        name = "zy_" + hashlib.sha256(text.encode()).hexdigest()[:24]
        backend = self.backend
        with self._lock:
            stub = self._stub_path(name, partitions)
            if not stub.exists():  # new, or a cleaner of temporary files took it
                stub.parent.mkdir(parents=True, exist_ok=True)
                body = pa.schema([field for field in schema if field.name not in partitions])
                pq.write_table(body.empty_table(), stub)
            if name not in self._views:
                self._create_view(name, table, schema, partitions, [str(stub), *files])
                self._views[name] = backend.get_schema(name)
        return _table(backend, name, self._views[name])

    def from_arrow(self, rows: pa.Table) -> ibis.Table:
        """`rows` as a table of this engine, without a copy; let go with the expression."""
        name = f"zy_rows_{next(self._numbers)}"
        backend = self.backend
        backend.con.register(name, rows)
        if rows.schema not in self._schemas:
            self._schemas[rows.schema] = backend.get_schema(name)
        table = _table(backend, name, self._schemas[rows.schema])
        weakref.finalize(table.op(), _let_go, backend.con, name)
        return table

    def _stub_path(self, name: str, partitions: list[str]) -> Path:
        folders = [f"{part}=__HIVE_DEFAULT_PARTITION__" for part in partitions]
        return Path(self._folder, name, *folders, "schema.parquet")

    def _create_view(
        self,
        name: str,
        table: DeltaTable,
        schema: pa.Schema,
        partitions: list[str],
        files: list[str],
    ) -> None:
        options = "union_by_name=true, hive_partitioning=" + ("true" if partitions else "false")
        if partitions:
            kinds = {field.name: str(field.type.type) for field in table.schema().fields}  # pyright: ignore[reportAttributeAccessIssue]  # partitions are of primitive types
            types = ", ".join(f"{_quote(one)}: {_DUCK_TYPES[kinds[one]]}" for one in partitions)
            options += f", hive_types={{{types}}}"
        columns = ", ".join(_identifier(column) for column in schema.names)
        paths = ", ".join(_quote(file) for file in files)
        self._root.execute(
            f"CREATE OR REPLACE VIEW {_identifier(name)} AS "
            f"SELECT {columns} FROM read_parquet([{paths}], {options})"
        )


@cache
def process_engine() -> DuckDBEngine:
    """The one DuckDB of this process, whose garbage is collected less often from now on."""
    first, *others = gc.get_threshold()
    if first:  # 0: somebody has switched it off
        gc.set_threshold(max(first, _OBJECTS_BEFORE_COLLECTION), *others)
    return DuckDBEngine()


def open_engine(settings: Settings) -> DuckDBEngine:
    """The engine of a workspace whose settings say `engine = "duckdb"`."""
    return process_engine()


def _table(backend: Backend, name: str, schema: ibis.Schema) -> ibis.Table:
    """What `backend.table` gives, without asking DuckDB for a schema that is known."""
    return ops.DatabaseTable(name, schema=schema, source=backend, namespace=_HERE).to_expr()


def _let_go(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    try:
        connection.unregister(name)
    except duckdb.Error:  # the connection went first, and the rows with it
        return


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
