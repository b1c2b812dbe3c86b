# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Exact money: decimal text to minor units, and one currency to another.

Every distinct value is parsed once as `decimal.Decimal`; rows carry codes of values. So no
binary fraction ever touches an amount, and 10^6 rows cost as much as their distinct values.
Exponents are those of ISO 4217 (2024); rounding is half to even.
"""

from __future__ import annotations

import bisect
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

MAX_MINOR = 10**15  # keeps sums of 10^3 such rows inside int64
_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_PLAIN = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?")
_GROUPED = re.compile(r"[+-]?\d{1,3}([,' \u00a0\u202f]\d{3})+(\.\d*)?")
_SYMBOLS = re.compile(
    r"^([+-]?)\s*(?:(?:[A-Z]{1,3})?[$€£¥￥]|[A-Z]{3}(?=[\s\d]))\s*|\s*(?:[$€£¥￥元]|[A-Z]{3})$"
)  # $5, US$5, ¥5, CNY 5, 5 €, 5 EUR, 5元


@dataclass(frozen=True)
class Numbers:
    """A column of exact numbers: `codes` (n,) into `values`; -1 = empty, value None = wrong."""

    codes: np.ndarray
    values: Sequence[Decimal | None]

    @property
    def empty(self) -> np.ndarray:
        """(n,) bool: rows without a value."""
        return self.codes < 0

    @property
    def wrong(self) -> np.ndarray:
        """(n,) bool: rows whose value is no number."""
        bad = np.asarray([v is None for v in self.values] + [False])
        return bad[self.codes]

    def take(self, table: np.ndarray, empty: object) -> np.ndarray:
        """`table` (one entry per value) at the rows; `empty` where there is no value."""
        return np.append(table, np.asarray([empty], table.dtype))[self.codes]


def parse_decimal(text: str, *, mark: str = "point") -> Decimal | None:
    """The exact number in `text`, None if there is none.

    Takes thousands marks in groups of three, a currency sign, and brackets for negatives.
    `mark` is the decimal mark: `point` (1,234.56) or `comma` (1.234,56).
    """
    text = text.strip()
    if mark == "point" and _PLAIN.fullmatch(text):
        return Decimal(text)
    if text.startswith("(") and text.endswith(")"):
        text = f"-{text[1:-1].strip()}"
    text = _SYMBOLS.sub(r"\1", text)
    if mark == "comma":
        text = text.translate(str.maketrans(",.", ".,"))
    if _GROUPED.fullmatch(text):
        text = re.sub("[,' \u00a0\u202f]", "", text)
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < Decimal(10) ** 18 else None


def numbers(column: pa.ChunkedArray, *, mark: str = "point") -> Numbers:
    """The column's distinct values as exact decimals; of floats, the shortest decimal is meant."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    encoded = pc.dictionary_encode(column).combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = pa.concat_arrays(encoded.chunks) if encoded.num_chunks else encoded
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    distinct = encoded.dictionary.to_pylist()
    if pa.types.is_floating(kind):
        values = [None if v is None or not np.isfinite(v) else Decimal(repr(v)) for v in distinct]
        missing = np.asarray([v is not None and bool(np.isnan(v)) for v in distinct] + [False])
    elif pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        values = [None if v is None else Decimal(v) for v in distinct]
        missing = np.zeros(len(distinct) + 1, bool)
    else:
        texts = ["" if v is None else str(v).strip() for v in distinct]
        values = [parse_decimal(text, mark=mark) for text in texts]
        missing = np.asarray([text == "" for text in texts] + [False])
    return Numbers(np.where(missing[codes], -1, codes), values)


def constant(value: Decimal, count: int) -> Numbers:
    """The same number on `count` rows."""
    return Numbers(np.zeros(count, np.int64), (value,))


def combine(
    left: Numbers, right: Numbers, *, how: Callable[[Decimal, Decimal], Decimal]
) -> Numbers:
    """`how(left, right)` per row, worked out once per distinct pair; empty if either is empty."""
    width = max(len(right.values), 1)
    pair = np.where(left.empty | right.empty, -1, left.codes * width + right.codes)
    codes, distinct = factorize(pair)
    values: list[Decimal | None] = []
    for one in distinct.tolist():
        if one < 0:
            values.append(None)
            continue
        a, b = left.values[one // width], right.values[one % width]
        values.append(None if a is None or b is None else how(a, b))
    return Numbers(np.where(pair < 0, -1, codes), values)


def add(left: Numbers, right: Numbers) -> Numbers:
    """The exact sum."""
    return combine(left, right, how=_CONTEXT.add)


def multiply(left: Numbers, right: Numbers) -> Numbers:
    """The exact product."""
    return combine(left, right, how=_CONTEXT.multiply)


def negate(one: Numbers) -> Numbers:
    """The numbers with their sign turned."""
    return Numbers(one.codes, [None if v is None else operator.neg(v) for v in one.values])


def scale(one: Numbers, factor: Decimal) -> Numbers:
    """The numbers times `factor`, exactly."""
    return Numbers(
        one.codes, [None if v is None else _CONTEXT.multiply(v, factor) for v in one.values]
    )


def factorize(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes (n,) in order of appearance, and the distinct values."""
    codes, distinct = pd.factorize(values)
    return codes, np.asarray(distinct)


def to_minor(value: Decimal, exponent: int) -> int | None:
    """`value` in minor units, half to even; None if it is too large."""
    minor = int(_CONTEXT.to_integral_value(_CONTEXT.scaleb(value, exponent)))
    return minor if abs(minor) <= MAX_MINOR else None


def minor_units(column: Numbers, exponents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Minor units of each row under its currency's exponent.

    Returns
    -------
    (n,) int64, 0 where empty or wrong, and (n,) bool: right.
    """
    minor = np.zeros(len(column.codes), np.int64)
    right = np.zeros(len(column.codes), bool)
    for exponent in np.unique(exponents).tolist():
        made = [None if v is None else to_minor(v, exponent) for v in column.values]
        table = np.asarray([0 if m is None else m for m in made], np.int64)
        good = np.asarray([m is not None for m in made], bool)
        rows = exponents == exponent
        minor[rows] = column.take(table, 0)[rows]
        right[rows] = column.take(good, False)[rows]
    return minor, right


@dataclass(frozen=True)
class Rates:
    """Workspace currency per unit of a currency, by day; `days` are sorted."""

    base: str
    days: Mapping[str, Sequence[date]]
    values: Mapping[str, Sequence[Decimal]]

    def on(self, currency: str, day: date) -> Decimal | None:
        """The last rate on or before `day`, None if there is none; 1 for the base currency."""
        if currency == self.base:
            return Decimal(1)
        place = bisect.bisect_right(self.days.get(currency, ()), day)
        return self.values[currency][place - 1] if place else None


def make_rates(base: str, rows: Sequence[tuple[str, date, str]]) -> Rates:
    """Rates from (currency, day, exact decimal) rows in any order."""
    days: dict[str, list[date]] = {}
    values: dict[str, list[Decimal]] = {}
    for currency, day, rate in sorted(rows):
        days.setdefault(currency, []).append(day)
        values.setdefault(currency, []).append(Decimal(rate))
    return Rates(base, days, values)


def convert(minor: int, rate: Decimal, *, exponent: int, base_exponent: int) -> int:
    """Minor units of the base currency, half to even: minor x rate x 10^(base - exponent)."""
    exact = _CONTEXT.multiply(Decimal(minor), rate)
    return int(_CONTEXT.to_integral_value(_CONTEXT.scaleb(exact, base_exponent - exponent)))


def row_rates(
    currency: np.ndarray, names: Sequence[str], days: np.ndarray, rates: Rates
) -> Numbers:
    """The rate of each row: `currency` (n,) codes into `names`, `days` (n,) datetime64[D].

    A row whose currency has no rate on or before its day gets a wrong value.
    """
    number = days.astype("datetime64[D]").astype(np.int64)
    low = int(number.min()) if len(number) else 0
    span = (int(number.max()) - low + 1) if len(number) else 1
    codes, distinct = factorize(currency.astype(np.int64) * span + (number - low))
    values = [
        rates.on(str(names[one // span]), np.datetime64(low + one % span, "D").astype(date))
        for one in distinct.tolist()
    ]
    return Numbers(codes, values)


def to_base(
    minor: np.ndarray, rate: Numbers, exponents: np.ndarray, *, base_exponent: int
) -> np.ndarray:
    """(n,) int64 minor units of the base currency; 0 where the rate is wrong."""
    base = minor.copy()
    same = np.asarray([v == 1 for v in rate.values] + [False])[rate.codes]
    rows = np.flatnonzero(~(same & (exponents == base_exponent)))
    cache: dict[tuple[int, int, int], int] = {}
    for row in rows.tolist():
        key = (int(minor[row]), int(rate.codes[row]), int(exponents[row]))
        if key not in cache:
            value = rate.values[key[1]]
            cache[key] = 0 if value is None else convert(
                key[0], value, exponent=key[2], base_exponent=base_exponent
            )  # fmt: skip
        base[row] = cache[key]
    return base
