# pyright: reportMissingImports=false
# (an optional part: type checks run without it too)
"""Where Ibis writes for Spark what gives another result than on DuckDB, we write it anew."""

from __future__ import annotations

from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import NULL
from ibis.backends.sql.compilers.pyspark import PySparkCompiler


class SparkCompiler(PySparkCompiler):
    """Expressions → SQL of Spark that gives what DuckDB gives."""

    __slots__ = ()

    def visit_CountStar(self, op: ops.CountStar, *, arg: Any, where: Any) -> Any:
        """0 where nothing holds; a sum of nothing would be null."""
        if where is None:
            return super().visit_CountStar(op, arg=arg, where=where)
        return self.f.count(self.if_(where, 1, NULL))

    def visit_IsNull(self, op: ops.IsNull, *, arg: Any) -> Any:
        """NaN is a number."""
        return arg.is_(NULL)

    def visit_NotNull(self, op: ops.NotNull, *, arg: Any) -> Any:
        """NaN is a number."""
        return arg.is_(sg.not_(NULL))

    def visit_TimestampTruncate(self, op: ops.TimestampTruncate, *, arg: Any, unit: Any) -> Any:
        """A time without a zone stays one, and a day a day."""
        return self.cast(super().visit_TimestampTruncate(op, arg=arg, unit=unit), op.dtype)

    visit_TimeTruncate = visit_DateTruncate = visit_TimestampTruncate

    def visit_ExtractEpochSeconds(self, op: ops.ExtractEpochSeconds, *, arg: Any) -> Any:
        """Parts of a second too: what is then subtracted and divided is not cut off before."""
        micros = self.f.anon.unix_micros(self.f.anon.to_timestamp_ltz(arg))
        return sge.paren(micros / sge.convert(1_000_000), copy=False)

    def visit_Cast(self, op: ops.Cast, *, arg: Any, to: dt.DataType) -> Any:
        """A fraction is rounded to the nearest whole number, half to even, not cut off."""
        if op.arg.dtype.is_floating() and to.is_integer():
            arg = self.f.anon.rint(arg)
        return super().visit_Cast(op, arg=arg, to=to)
