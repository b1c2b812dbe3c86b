"""What rules may name: columns of rows, of their products, and keys of their properties."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from zhiyin.core import columns as c
from zhiyin.core.features import FEATURES
from zhiyin.core.schema import Table
from zhiyin.core.tables import table as table_of

Kind = Literal["string", "number", "bool", "any"]
PRODUCT_COLUMNS = (c.DEPARTMENT, c.CATEGORY, c.SUBCATEGORY, c.BRAND)
PRODUCTS = "products"
CUSTOMERS = "customers"
EVENTS = "events"
_KINDS: dict[str, Kind] = {
    "string": "string", "int64": "number", "float64": "number", "bool": "bool",
}  # fmt: skip
_FEATURES = frozenset(feature.name for feature in FEATURES)
_PREFIX = f"{c.PROPERTIES}."


@dataclass(frozen=True)
class Field:
    """Where a named value is: a column of the rows, of their products, or a key of `properties`.

    An event that was tracked has its own properties one level down, under `properties` there.
    """

    name: str
    place: Literal["own", "product", "property"]
    kind: Kind


@cache
def fields_of(table: str) -> dict[str, Field]:
    """The columns that conditions on rows of `table` may name; further `properties.KEY`."""
    schema = table_of(table)
    made = {
        column.name: Field(column.name, "own", _KINDS[column.type])
        for column in schema.columns
        if column.type in _KINDS and column.pii == "none" and column.name not in _APART
    }
    if c.PRODUCT_ID in schema.names:
        for name in PRODUCT_COLUMNS:
            made.setdefault(name, Field(name, "product", "string"))
    return made


@cache
def field_of(table: str, name: str) -> Field | None:
    """The field called `name` for rows of `table`; None where there is none."""
    if name.startswith(_PREFIX) and c.PROPERTIES in table_of(table).names:
        key = name.removeprefix(_PREFIX)
        return Field(key, "property", "any") if key else None
    return fields_of(table).get(name)


def is_feature(name: str) -> bool:
    """Whether a trait is a feature of the day."""
    return name in _FEATURES


def traits() -> list[str]:
    """Every attribute that a trait may name, apart from `properties.KEY`."""
    return [*fields_of(CUSTOMERS), *sorted(_FEATURES)]


def time_of(table: str) -> str:
    """The business time of a fact table."""
    return table_of(table).time or c.VALID_AT


def times_of(schema: Table) -> tuple[str, ...]:
    """The columns that must be before the day for a row to be visible."""
    return tuple(dict.fromkeys(
        name for name in (schema.time, c.VALID_AT if schema.revisions else None) if name
    ))  # fmt: skip


_APART = frozenset({c.OP, c.REVISION, c.LOAD_ID, c.MONTH, c.UNDATED})
