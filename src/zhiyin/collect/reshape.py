# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Exports that are no table yet: what has to be done to their rows before a mapping can read them.

An order's fields may stand on its first row only, its discount only on the whole order, its refund
in a column beside it; a report ends in totals. `Shape` says so as data (in a preset's TOML), and
`reshape` does it with exact whole numbers. Columns that it adds begin with `line_`, `share_` or
the name given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from zhiyin.collect import money
from zhiyin.collect.files import Raw
from zhiyin.collect.lines import codes_of, combine_codes
from zhiyin.collect.values import as_text
from zhiyin.core.config import Section
from zhiyin.core.errors import InputError

_SAFE = 2**62


class LeaveOut(Section):
    """Rows that are not loaded: `column` matches `pattern` as a whole (empty cells match '')."""

    column: str
    pattern: str
    why: str
    why_zh: str = ""


class Share(Section):
    """`column` x `part` / `whole` of each row, to the smallest unit written in one of the three."""

    column: str
    part: str
    whole: str


class Rename(Section):
    """Headers that match `pattern` become `to`; what its group finds fills `group_to`."""

    pattern: str
    to: str
    group_to: str = ""


class Total(Section):
    """Rows that are equal in `by` become one; `columns` are added up."""

    by: tuple[str, ...]
    columns: tuple[str, ...]


class Shape(Section):
    """What is done to the rows, in this order; headers that the file lacks are passed over."""

    rename: tuple[Rename, ...] = Field((), description="headers that hold a value")
    order: str = Field("", description="header of the order's id; blank: as on the row above")
    line: str = Field("", description="pattern of headers of a line; all others are filled down")
    zero: tuple[str, ...] = Field((), description="headers whose blanks mean 0")
    leave_out: tuple[LeaveOut, ...] = Field((), description="rows not loaded, and why")
    same: tuple[str, ...] = Field((), description="two headers that must be equal on every row")
    total: Total | None = Field(None, description="rows to be added up")
    coalesce: dict[str, tuple[str, ...]] = Field({}, description="new header = first with a value")
    weight: tuple[str, ...] = Field((), description="headers whose product splits order totals")
    split: dict[str, str] = Field({}, description="new header = order total, split over its rows")
    share: dict[str, Share] = Field({}, description="new header = part of a total")


@dataclass(frozen=True)
class Left:
    """Rows that were left out for one reason."""

    count: int
    why: str
    why_zh: str


def reshape(raw: Raw, shape: Shape) -> tuple[Raw, list[Left]]:
    """Rows that a mapping can read, and what was left out.

    Raises
    ------
    InputError
        If two columns of `same` differ.
    """
    raw = _rename(raw, shape.rename)
    if shape.order and shape.order in raw.rows.column_names:
        raw = _put(raw, shape.order, _fill_forward(as_text(raw.rows.column(shape.order))))
        raw = _fill_down(raw, shape)
    for header in _there(raw, shape.zero):
        raw = _put(raw, header, pc.fill_null(as_text(raw.rows.column(header)), "0"))
    raw, left = _leave_out(raw, shape.leave_out)
    _check_same(raw, shape.same)
    if shape.total is not None:
        raw = _add_up(raw, shape.total)
    for header, sources in shape.coalesce.items():
        if found := _there(raw, sources):
            raw = _put(raw, header, pc.coalesce(*(as_text(raw.rows.column(n)) for n in found)))
    if shape.split:
        orders = codes_of(as_text(raw.rows.column(shape.order)))
        weights = _weights(raw, shape.weight)
        sources = _there(raw, tuple(shape.split.values()))
        digits = max((_whole(raw.rows.column(one))[2] for one in sources), default=0)
        for header, source in shape.split.items():
            if source in sources:
                column = raw.rows.column(source)
                raw = _put(raw, header, _split(column, orders, weights, digits=digits))
    for header, rule in shape.share.items():
        if {rule.column, rule.part, rule.whole} <= set(raw.rows.column_names):
            raw = _put(raw, header, _share(raw, rule))
    return raw, left


def first_rows(raw: Raw, header: str) -> Raw:
    """The first row of each value of `header`."""
    codes = codes_of(as_text(raw.rows.column(header)))
    return take_rows(raw, ~pd.Series(codes).duplicated().to_numpy())


def matching(raw: Raw, header: str, pattern: str) -> np.ndarray:
    """(n,) bool: `header` matches `pattern` as a whole; an empty cell is ''."""
    encoded = pc.dictionary_encode(pc.fill_null(as_text(raw.rows.column(header)), ""))
    wanted = re.compile(pattern)
    hit = [bool(wanted.fullmatch(text)) for text in encoded.dictionary.to_pylist()]
    return np.asarray([*hit, False])[encoded.indices.to_numpy(zero_copy_only=False)]


def take_rows(raw: Raw, keep: np.ndarray) -> Raw:
    """The rows that `keep` (n,) bool names; lines that were refused stay."""
    if keep.all():
        return raw
    return replace(raw, rows=raw.rows.filter(pa.array(keep)), line_no=raw.line_no[keep])


def _there(raw: Raw, headers: Sequence[str]) -> list[str]:
    return [header for header in headers if header in raw.rows.column_names]


def _put(raw: Raw, header: str, values: pa.Array) -> Raw:
    rows = raw.rows
    if header in rows.column_names:
        made = rows.set_column(rows.column_names.index(header), header, values)
    else:
        made = rows.append_column(header, values)
    return replace(raw, rows=made)


def _rename(raw: Raw, rules: Sequence[Rename]) -> Raw:
    for rule in rules:
        for header in raw.rows.column_names:
            found = re.fullmatch(rule.pattern, header)
            if found is None or rule.to in raw.rows.column_names:
                continue
            names = [rule.to if n == header else n for n in raw.rows.column_names]
            raw = replace(raw, rows=raw.rows.rename_columns(names))
            if rule.group_to and found.groups():
                value = pa.repeat(pa.scalar(found.group(1)), raw.rows.num_rows)
                raw = _put(raw, rule.group_to, value)
            break
    return raw


def _fill_forward(texts: pa.Array) -> pa.Array:
    place = np.where(texts.is_valid().to_numpy(zero_copy_only=False), np.arange(len(texts)), 0)
    return texts.take(pa.array(np.maximum.accumulate(place)))


def _fill_down(raw: Raw, shape: Shape) -> Raw:
    """Blank cells of an order take the value of its first row, columns of lines apart."""
    codes = codes_of(as_text(raw.rows.column(shape.order)))
    _, first = np.unique(codes, return_index=True)
    place = pa.array(first[codes])
    if not shape.line or (first[codes] == np.arange(len(codes))).all():
        return raw
    for header in raw.rows.column_names:
        if not re.fullmatch(shape.line, header):
            texts = as_text(raw.rows.column(header))
            raw = _put(raw, header, pc.coalesce(texts, texts.take(place)))
    return raw


def _leave_out(raw: Raw, rules: Sequence[LeaveOut]) -> tuple[Raw, list[Left]]:
    left = []
    for rule in rules:
        if rule.column in raw.rows.column_names:
            hit = matching(raw, rule.column, rule.pattern)
            if hit.any():
                left.append(Left(int(hit.sum()), rule.why, rule.why_zh or rule.why))
                raw = take_rows(raw, ~hit)
    return raw, left


def _check_same(raw: Raw, headers: Sequence[str]) -> None:
    if len(_there(raw, headers)) < 2:
        return
    one, other = (as_text(raw.rows.column(header)) for header in headers[:2])
    differ = pc.fill_null(pc.not_equal(one, other), False).to_numpy(zero_copy_only=False)
    if differ.any():
        line = int(raw.line_no[int(np.flatnonzero(differ)[0])])
        raise InputError(
            f"line {line} covers more than one day: {headers[0]} and {headers[1]} differ",
            hint="export it with a breakdown by day",
        )


def _whole(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, int]:
    """A column of decimals as whole numbers of its smallest unit.

    Returns
    -------
    (n,) object or int64; (n,) bool: is a number; how many decimals the unit has.
    """
    read = money.numbers(column)
    digits = max((-int(v.as_tuple().exponent) for v in read.values if v is not None), default=0)
    digits = min(max(digits, 0), 6)
    table = [0 if v is None else int(v.scaleb(digits).to_integral_value()) for v in read.values]
    kind = np.int64 if all(abs(one) < _SAFE for one in table) else object
    return read.take(np.asarray(table or [0], kind), 0), ~(read.empty | read.wrong), digits


def _weights(raw: Raw, headers: Sequence[str]) -> np.ndarray:
    made = np.ones(raw.rows.num_rows, object)
    for header in _there(raw, headers):
        made = made * np.abs(_whole(raw.rows.column(header))[0]).astype(object)
    return made


def _split(
    column: pa.ChunkedArray, orders: np.ndarray, weights: np.ndarray, *, digits: int
) -> pa.Array:
    """Each order's number over its rows in proportion to `weights`; the parts add up exactly.

    The unit is 10^-`digits`: the smallest that any total of the file has. The running sums are
    rounded, so no row is off by more than it.
    """
    values, good, own = _whole(column)
    values = values.astype(object) * 10 ** (digits - own)
    sort = np.argsort(orders, kind="stable")
    start = np.flatnonzero(np.diff(orders[sort], prepend=-1) != 0)
    group = np.repeat(np.arange(len(start)), np.diff(start, append=len(sort)))
    weight = weights[sort]
    sums = np.add.reduceat(weight, start) if len(start) else weight
    weight = np.where((sums == 0)[group], 1, weight)  # nothing to go by: equal parts
    whole = np.add.reduceat(weight, start)[group] if len(start) else weight
    total = values[sort][start][group].astype(object)
    running = np.add.accumulate(weight)
    before = (running - weight)[start][group]
    upto = running - before
    parts = _rounded(total * upto, whole) - _rounded(total * (upto - weight), whole)
    made = np.zeros(len(sort), object)
    made[sort] = parts
    known = np.zeros(len(sort), bool)
    known[sort] = good[sort][start][group]
    return _texts(made, known, digits)


def _rounded(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return (2 * numerator + denominator) // (2 * denominator)


def _share(raw: Raw, rule: Share) -> pa.Array:
    (value, good, digits), part, whole = (
        _whole(raw.rows.column(name)) for name in (rule.column, rule.part, rule.whole)
    )
    scale = max(part[2], whole[2])
    top = value.astype(object) * part[0].astype(object) * 10 ** (scale - part[2])
    below = whole[0].astype(object) * 10 ** (scale - whole[2])
    known = good & part[1] & whole[1]
    zero = below == 0
    fine = max(digits, scale)
    top = top * 10 ** (fine - digits)
    made = _rounded(np.where(zero, 0, top), np.where(zero, 1, below))
    return _texts(made, known, fine)


def _add_up(raw: Raw, rule: Total) -> Raw:
    """One row for each combination of `by`, in order of appearance, with its sums."""
    by = [codes_of(as_text(raw.rows.column(header))) for header in _there(raw, rule.by)]
    codes = pd.factorize(combine_codes(by) if by else np.zeros(raw.rows.num_rows, np.int64))[0]
    count = int(codes.max(initial=-1)) + 1
    if count == raw.rows.num_rows:
        return raw
    sums = {}
    for header in _there(raw, rule.columns):
        values, good, digits = _whole(raw.rows.column(header))
        total, wrong = np.zeros(count, object), np.zeros(count, bool)
        np.add.at(total, codes, values.astype(object))
        texts = as_text(raw.rows.column(header))
        np.logical_or.at(wrong, codes, ~good & texts.is_valid().to_numpy(zero_copy_only=False))
        sums[header] = _texts(total, ~wrong, digits)
    keep = ~pd.Series(codes).duplicated().to_numpy()
    made = take_rows(raw, keep)
    for header, values in sums.items():
        made = _put(made, header, values)
    return made


def _texts(values: np.ndarray, known: np.ndarray, digits: int) -> pa.Array:
    unit = Decimal(1).scaleb(-digits)
    made = [
        format(Decimal(int(one)) * unit, "f") if some else None
        for one, some in zip(values.tolist(), known.tolist(), strict=True)
    ]
    return pa.array(made, pa.string())
