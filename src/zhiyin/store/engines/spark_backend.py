# pyright: reportMissingImports=false
# (an optional part: type checks run without it too)
"""Ibis's Spark backend, with the differences to DuckDB that change results taken out."""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.operations as ops
import pandas as pd
import pyarrow as pa
from ibis.backends.pyspark import Backend
from ibis.formats.pandas import PandasData
from ibis.formats.pyarrow import PyArrowData
from py4j.protocol import Py4JError
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from zhiyin.core.config import SparkSettings
from zhiyin.store.engines.spark_session import open_session
from zhiyin.store.engines.spark_sql import SparkCompiler


class SparkBackend(Backend):
    """Views of files and rows, and results that come as Arrow.

    Ibis's own way leads over pandas, where an integer with nulls is a float and large ones lose
    their last digits.
    """

    compiler = SparkCompiler()

    def view_files(
        self, name: str, schema: pa.Schema, files: list[str], *, root: str | None
    ) -> ibis.Table:
        """A view of Parquet files; `root` is above the folders named for partitions."""
        kinds = from_arrow_schema(schema, prefer_timestamp_ntz=True)
        if files:
            reader = self._session.read.schema(kinds)
            if root is not None:
                reader = reader.option("basePath", root)
            frame = reader.parquet(*map(_literal_path, files)).select(*schema.names)
        else:
            frame = self._nothing(kinds)
        frame.createOrReplaceTempView(name)
        return self._view(name, schema)

    def view_rows(self, name: str, rows: pa.Table) -> ibis.Table:
        """A view of rows that this process holds."""
        kinds = from_arrow_schema(rows.schema, prefer_timestamp_ntz=True)
        frame = self._session.createDataFrame(rows, kinds) if len(rows) else self._nothing(kinds)
        frame.createOrReplaceTempView(name)
        return self._view(name, rows.schema)

    def let_go(self, name: str) -> None:
        """Forget a view, unless Spark has ended."""
        try:
            self._session.catalog.dropTempView(name)
        except (Py4JError, OSError):  # Spark went first, and the view with it
            return

    def to_pyarrow(self, expr: ibis.Expr, /, **options: Any) -> Any:
        """The result as Arrow, in the types of the expression."""
        return expr.__pyarrow_result__(self._rows(expr, **options))

    def execute(self, expr: ibis.Expr, /, **options: Any) -> Any:
        """The result as pandas."""
        rows = self._rows(expr, **options)
        frame = pd.DataFrame({name: rows[name].to_pandas() for name in rows.column_names})
        return expr.__pandas_result__(PandasData.convert_table(frame, expr.as_table().schema()))

    def _rows(self, expr: ibis.Expr, **options: Any) -> pa.Table:
        table = expr.as_table()
        self._run_pre_execute_hooks(table)
        rows = self._session.sql(self.compile(table, **options)).toArrow()
        kinds = table.schema().to_pyarrow()
        return PyArrowData.convert_table(rows.cast(kinds), table.schema())

    def _view(self, name: str, schema: pa.Schema) -> ibis.Table:
        kinds = ibis.Schema.from_pyarrow(schema)
        return ops.DatabaseTable(name, schema=kinds, source=self).to_expr()

    def _nothing(self, kinds: StructType) -> DataFrame:
        """No rows of these columns; an empty list would start a Python beside every executor."""
        columns = [f"CAST(NULL AS {one.dataType.simpleString()}) AS `{one.name}`" for one in kinds]
        return self._session.sql(f"SELECT {', '.join(columns)} WHERE FALSE")

    def _register_in_memory_table(self, op: ops.InMemoryTable) -> None:
        self.view_rows(op.name, op.data.to_pyarrow(op.schema))

    def _create_cached_table(self, name: str, expr: ibis.Table) -> ibis.Table:
        self._run_pre_execute_hooks(expr)
        schema = expr.schema().to_pyarrow()
        frame = _cast(self._session.sql(self.compile(expr)), schema).cache()
        frame.createTempView(name)
        self._cached_dataframes[name] = frame
        return self._view(name, schema)

    def _drop_cached_table(self, name: str) -> None:
        try:
            super()._drop_cached_table(name)
        except (Py4JError, OSError):  # Spark went first, and the rows with it
            return


def open_backend(settings: SparkSettings) -> SparkBackend:
    """A backend on the Spark of this process."""
    SparkBackend.register_options()
    backend = SparkBackend(open_session(settings))
    backend.reconnect()
    return backend


def _cast(frame: DataFrame, schema: pa.Schema) -> DataFrame:
    """The columns in the types that the expression promises: a literal is wider in Spark."""
    wanted = from_arrow_schema(schema, prefer_timestamp_ntz=True).fields
    if [one.dataType for one in frame.schema.fields] == [one.dataType for one in wanted]:
        return frame
    return frame.select(
        *(frame[f"`{one.name}`"].cast(one.dataType).alias(one.name) for one in wanted)
    )


def _literal_path(path: str) -> str:
    """The path with the marks escaped that Spark takes for patterns."""
    return "".join("\\" + mark if mark in "{}[]*?\\" else mark for mark in path)
