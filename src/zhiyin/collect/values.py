# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Values of raw rows as a mapping names them, and what is noted about rows on their way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.collect import money
from zhiyin.collect.cleaning import clean_column
from zhiyin.collect.files import Raw
from zhiyin.collect.mapping import Mapping, Rule

DELETED = "deleted"  # whether the row deletes its key; no column of the lake


@dataclass
class Problems:
    """The first thing wrong with each row: `index` (n,) into `kinds`; 0 = nothing."""

    index: np.ndarray
    kinds: list[tuple[str, str, str]] = field(default_factory=lambda: [("", "", "")])

    def flag(self, rows: np.ndarray, code: str, message: str, column: str = "") -> None:
        """Note `code` on `rows` (n,) bool that have nothing noted yet; `column` is ours or the
        file's."""
        fresh = rows & (self.index == 0)
        if fresh.any():
            self.kinds.append((code, message, column))
            self.index[fresh] = len(self.kinds) - 1

    @property
    def ok(self) -> np.ndarray:
        """(n,) bool: nothing wrong."""
        return self.index == 0


@dataclass(frozen=True)
class Checked:
    """Typed columns of all rows, right and wrong ones; read only the rows that are `ok`."""

    table: str
    raw: Raw
    columns: dict[str, pa.Array]
    problems: Problems

    @property
    def count(self) -> int:
        """Rows."""
        return self.raw.rows.num_rows

    @property
    def deleted(self) -> np.ndarray:
        """(n,) bool: rows that delete their key."""
        return self.array(DELETED) if DELETED in self.columns else np.zeros(self.count, bool)

    def array(self, name: str) -> np.ndarray:
        """A numeric, bool or time column as numpy."""
        return self.columns[name].to_numpy(zero_copy_only=False)


@dataclass(frozen=True)
class Terms:
    """What values are measured by: currency and zone of the source and the workspace, the time."""

    mapping: Mapping
    zone: str
    currency: str
    base: str
    now: datetime  # naive UTC
    rates: money.Rates
    orders_of: Callable[[pa.Array], pa.Table] | None = None  # order ids → their orders in the lake


def as_text(column: pa.ChunkedArray) -> pa.Array:
    """Trimmed texts; empty ones are null; whole floats lose their `.0`."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column)
        whole = pc.all(pc.equal(pc.floor(column), column), min_count=0).as_py()
        column = column.cast(pa.int64() if whole else pa.string())
    if not pa.types.is_string(column.type):
        column = column.cast(pa.string())
    made = pc.utf8_trim_whitespace(column)
    if pc.min(pc.binary_length(made)).as_py() == 0:
        made = pc.if_else(pc.equal(made, ""), None, made)
    return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made


def source_column(rows: pa.Table, rule: Rule) -> pa.ChunkedArray:
    """The raw values that `rule` names (for sums and products use `source_numbers`)."""
    if rule.constant is not None:
        return pa.chunked_array([pa.repeat(pa.scalar(rule.constant), rows.num_rows)])
    if rule.join:
        parts = [as_text(clean_column(rows.column(name), rule.clean)) for name in rule.join]
        return pa.chunked_array([pc.binary_join_element_wise(*parts, rule.separator)])
    if rule.suffix:
        text = as_text(clean_column(rows.column(rule.headers[0]), rule.clean))
        return pa.chunked_array([pc.binary_join_element_wise(text, rule.suffix, "")])
    return clean_column(rows.column(rule.headers[0]), rule.clean)


def source_numbers(rows: pa.Table, rule: Rule, *, mark: str) -> money.Numbers:
    """The exact numbers that `rule` names."""
    if rule.constant is not None:
        value = money.parse_decimal(rule.constant, mark=mark) or Decimal(0)
        made = money.constant(value, rows.num_rows)
    elif rule.sum or rule.product:
        names = rule.sum or rule.product
        cleaned = [clean_column(rows.column(name), rule.clean) for name in names]
        parts = [money.numbers(column, mark=mark) for column in cleaned]
        made = parts[0]
        for part in parts[1:]:
            made = money.add(made, part) if rule.sum else money.multiply(made, part)
        for name in rule.minus:
            column = clean_column(rows.column(name), rule.clean)
            made = money.add(made, money.negate(money.numbers(column, mark=mark)))
    else:
        made = money.numbers(source_column(rows, rule), mark=mark)
    if rule.scale:
        made = money.scale(made, Decimal(rule.scale))
    return money.negate(made) if rule.negate else made
