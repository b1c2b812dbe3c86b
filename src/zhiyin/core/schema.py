"""What a lake table is: columns with type, meaning, unit and personal-data class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zhiyin.core.errors import NotFound

Type = Literal["string", "int64", "float64", "bool", "timestamp", "date", "binary", "json"]
Pii = Literal["none", "pseudonym", "encrypted"]
Kind = Literal["fact", "dimension", "derived"]


@dataclass(frozen=True)
class Column:
    """One column. `timestamp` is UTC without zone; `json` is a string that holds JSON."""

    name: str
    type: Type
    meaning: str
    unit: str = ""
    pii: Pii = "none"
    required: bool = False
    volatile: bool = False  # may differ between two equal runs (law 6)


@dataclass(frozen=True)
class Table:
    """One lake table.

    `time` is the business-time column that *as of* compares (None: always visible). `partition`
    is the month column or None. With `revisions` a reader gets, for each `key`, the last row with
    `valid_at` before the day, unless its `op` is `delete`. `scope` names the columns whose values
    one rewrite of a derived table replaces.
    """

    name: str
    kind: Kind
    meaning: str
    writer: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    time: str | None = None
    partition: str | None = None
    revisions: bool = False
    scope: tuple[str, ...] = ()
    schema_version: int = 1

    def column(self, name: str) -> Column:
        """The column called `name`."""
        for column in self.columns:
            if column.name == name:
                return column
        raise NotFound(f"table {self.name} has no column {name!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in table order."""
        return tuple(column.name for column in self.columns)


def col(
    name: str,
    type: Type,
    meaning: str,
    unit: str = "",
    *,
    pii: Pii = "none",
    required: bool = False,
    volatile: bool = False,
) -> Column:
    """An optional column."""
    return Column(name, type, meaning, unit, pii, required, volatile)


def req(
    name: str,
    type: Type,
    meaning: str,
    unit: str = "",
    *,
    pii: Pii = "none",
    volatile: bool = False,
) -> Column:
    """A column that is never null."""
    return Column(name, type, meaning, unit, pii, True, volatile)
