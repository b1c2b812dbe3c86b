# pyright: reportMissingImports=false
# (an optional part: type checks run without it too)
"""Where Ibis writes for Spark what gives another result than on DuckDB, we write it anew."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import NULL
from ibis.backends.sql.compilers.pyspark import PySparkCompiler


class SparkCompiler(PySparkCompiler):
    """Expressions → SQL of Spark that gives what DuckDB gives."""

    __slots__ = ()
    SIMPLE_OPS: ClassVar = {}  # otherwise those of Ibis take the place of the methods below

    def visit_CountStar(self, op: ops.CountStar, *, arg: Any, where: Any) -> Any:
        """0 where nothing holds; a sum of nothing would be null."""
        if where is None:
            return super().visit_CountStar(op, arg=arg, where=where)
        return self.f.count(self.if_(where, 1, NULL))

    def visit_Hash(self, op: ops.Hash, *, arg: Any) -> Any:
        """64 bits; Ibis's own has 32, too few to tell a shop's products apart."""
        return self.f.anon.xxhash64(arg)

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

    def visit_JSONGetItem(self, op: ops.JSONGetItem, *, arg: Any, index: Any) -> Any:
        """A value that still knows its type, to be unwrapped; Ibis's own has become a text."""
        inside = isinstance(op.arg, ops.JSONGetItem)
        held = arg if inside else self.f.anon.try_parse_json(arg)
        key = op.index.value
        path = f"$[{key}]" if isinstance(key, int) else f"$[{json.dumps(key, ensure_ascii=False)}]"
        return self.f.anon.try_variant_get(held, sge.convert(path), sge.convert("variant"))

    def _unwrap(self, op: ops.Value, arg: Any, kinds: str) -> Any:
        kind = self.f.anon.schema_of_variant(arg)
        return self.if_(
            sge.RegexpLike(this=kind, expression=sge.convert(kinds)), self.cast(arg, op.dtype), NULL
        )

    def visit_UnwrapJSONString(self, op: ops.UnwrapJSONString, *, arg: Any) -> Any:
        """The text, null where the value is none."""
        return self._unwrap(op, arg, "^STRING$")

    def visit_UnwrapJSONFloat64(self, op: ops.UnwrapJSONFloat64, *, arg: Any) -> Any:
        """The number, null where the value is none."""
        return self._unwrap(op, arg, "^(BIGINT|DOUBLE|DECIMAL.*)$")

    def visit_UnwrapJSONInt64(self, op: ops.UnwrapJSONInt64, *, arg: Any) -> Any:
        """The whole number, null where the value is none."""
        return self._unwrap(op, arg, "^BIGINT$")

    def visit_UnwrapJSONBoolean(self, op: ops.UnwrapJSONBoolean, *, arg: Any) -> Any:
        """True or false, null where the value is neither."""
        return self._unwrap(op, arg, "^BOOLEAN$")

    def visit_Cast(self, op: ops.Cast, *, arg: Any, to: dt.DataType) -> Any:
        """A fraction is rounded to the nearest whole number, half to even, not cut off."""
        if op.arg.dtype.is_floating() and to.is_integer():
            arg = self.f.anon.rint(arg)
        elif op.arg.dtype.is_floating() and to.is_string():
            return self._written(arg)
        return super().visit_Cast(op, arg=arg, to=to)

    def _written(self, arg: Any) -> Any:
        """A number in Python's and DuckDB's writing: 10000000.0, 0.0005, 5e-05, 1e+16, inf."""
        text = self.cast(arg, dt.string)
        size = self.f.abs(arg)
        digits = self.cast(self.cast(text, dt.Decimal(38, 18)), dt.string)
        plain = self.f.anon.regexp_replace(digits, sge.convert(r"(\.\d+?)0*$"), sge.convert("$1"))
        part = self.f.anon.regexp_extract
        mantissa = part(text, sge.convert(r"^(.*?)(\.0)?E"), sge.convert(1))
        power = part(text, sge.convert(r"E-?(.*)$"), sge.convert(1))
        sign = self.if_(size < 1, sge.convert("e-"), sge.convert("e+"))
        short = self.f.concat(
            mantissa,
            sign,
            self.f.anon.lpad(
                power, self.if_(self.f.length(power) < 2, 2, self.f.length(power)), "0"
            ),
        )
        return sge.Case(
            ifs=[
                self.if_(self.f.isnan(arg), sge.convert("nan")),
                self.if_(arg.eq(self.POS_INF), sge.convert("inf")),
                self.if_(arg.eq(self.NEG_INF), sge.convert("-inf")),
                self.if_(arg.eq(0) | ((size >= 1e-3) & (size < 1e7)), text),
                self.if_((size >= 1e-4) & (size < 1e16), plain),
            ],
            default=short,
        )
