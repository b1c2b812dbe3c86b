# pyright: reportMissingImports=false
# (an optional part: type checks run without it too)
"""Spark as the engine: the same expressions over the same Parquet files, on one machine or many.

Spark is started when the first table is read. It needs the extra `spark`.
"""

from __future__ import annotations

import hashlib
import threading
import weakref
from functools import cache
from itertools import count

import ibis
import pyarrow as pa
from deltalake import DeltaTable

from zhiyin.core.config import Settings, SparkSettings
from zhiyin.core.extras import load_extra
from zhiyin.store.engines.files import active_files, local_root


class SparkEngine:
    """Temporary views of a Spark session over Delta tables and Arrow rows.

    Parameters
    ----------
    settings
        The section `[spark]`. One process has one Spark: what concerns its start (`master`,
        `driver_memory`, most of `conf`) is taken from the first engine that is used.

    Raises
    ------
    MissingExtra
        If pyspark is not installed.
    """

    name = "spark"

    def __init__(self, settings: SparkSettings | None = None) -> None:
        load_extra("pyspark", "spark")
        self.settings = settings or SparkSettings()
        self._lock = threading.Lock()
        self._backend = None
        self._numbers = count()

    @property
    def backend(self):
        """The Ibis backend, one for all threads; starts Spark on first use."""
        with self._lock:
            if self._backend is None:
                module = load_extra("zhiyin.store.engines.spark_backend", "spark")
                self._backend = module.open_backend(self.settings)
            return self._backend

    def from_delta(self, table: DeltaTable) -> ibis.Table:
        """The rows of a Delta table at the version of its handle; see `DuckDBEngine.from_delta`.

        Raises
        ------
        WorkspaceError
            If the table has a feature that makes its files unreadable as plain Parquet.
        """
        schema, partitions, files = active_files(table)
        text = f"{table.table_uri}|{table.version()}|{table.metadata().id}|{schema}"
        name = "zy_" + hashlib.sha256(text.encode()).hexdigest()[:24]
        root = str(local_root(table)) if partitions else None
        return self.backend.view_files(name, schema, files, root=root)

    def from_arrow(self, rows: pa.Table) -> ibis.Table:
        """`rows` as a table of this engine; let go with the expression."""
        name = f"zy_rows_{next(self._numbers)}"
        backend = self.backend
        table = backend.view_rows(name, rows)
        weakref.finalize(table.op(), backend.let_go, name)
        return table


@cache
def _engine_of(section: str) -> SparkEngine:
    return SparkEngine(SparkSettings.model_validate_json(section))


def process_engine(settings: SparkSettings) -> SparkEngine:
    """The one engine of this process with these settings."""
    return _engine_of(settings.model_dump_json())


def open_engine(settings: Settings) -> SparkEngine:
    """The engine of a workspace whose settings say `engine = "spark"`."""
    return process_engine(settings.spark)
