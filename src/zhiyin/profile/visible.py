"""What each snapshot day may see, and the moments that bound its windows (law 1)."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from zhiyin.core import columns as c
from zhiyin.core.arguments import show
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.tables import table as table_of

DAY_SECONDS = 86_400
_TYPES = {"string": "string", "int64": "int64", "float64": "float64", "bool": "boolean"}
BACK_DAYS = (7, 30, 60, 90, 180, 365)  # where the windows begin, in local days before the day


@dataclass(frozen=True)
class Days:
    """Local days of a shop, oldest first: what is before a day's 00:00 is visible to it.

    The tables made here carry `since`, the place of the first day that sees the row; day `k` sees
    the rows with `since` <= k. So one expression serves all days, and none sees its future.
    """

    as_of: tuple[date, ...]
    zone: str

    @property
    def single(self) -> bool:
        """Whether it is one day."""
        return len(self.as_of) == 1

    def start(self, k: int, *, days_before: int = 0) -> datetime:
        """00:00 local of day `k`, `days_before` days earlier, as naive UTC."""
        day = self.as_of[k] - timedelta(days=days_before)
        return naive_utc(start_of_day(day, self.zone))

    @property
    def keys(self) -> tuple[str, ...]:
        """Key of what is summed by day and customer; of one day the customer alone, which is less
        to group and to join by.
        """
        return ("who",) if self.single else ("k", "who")

    def moment(self, name: str) -> ibis.Deferred | ibis.Value:
        """`start` or `start_7` … of a row's day; with several days a column of the row."""
        return ibis.literal(self.moments(0)[name]) if self.single else _[name]

    def start_sum(self) -> dict[str, ibis.Deferred]:
        """What to sum when grouping by `keys`, so that `start_of` knows the day's start."""
        return {} if self.single else {"start": _.start.max()}

    def start_of(self, sums: ibis.Table) -> ibis.Value:
        """The start of the day of each row of `sums`."""
        return ibis.literal(self.start(0)) if self.single else sums.start

    def moments(self, k: int) -> dict[str, datetime]:
        """`start` of day `k`, and `start_7` … of its windows, for `BACK_DAYS`."""
        back = {f"start_{n}": self.start(k, days_before=n) for n in BACK_DAYS}
        return {"start": self.start(k)} | back

    def rows(self) -> pa.Table:
        """One row per day: `k`, `as_of_on` and its `moments`."""
        rows = [{"k": k, c.AS_OF_ON: day} | self.moments(k) for k, day in enumerate(self.as_of)]
        moments = [(name, pa.timestamp("us")) for name in rows[0] if name.startswith("start")]
        schema = pa.schema([("k", pa.int8()), (c.AS_OF_ON, pa.date32()), *moments])
        return pa.Table.from_pylist(rows, schema=schema)

    def table(self) -> ibis.Table:
        """What `rows` gives, as an expression of no engine in particular."""
        made = []
        for row in self.rows().to_pylist():
            place = ibis.literal(row.pop("k"), "int8").name("k")
            made.append(place.as_table().mutate(**{n: ibis.literal(v) for n, v in row.items()}))
        return ibis.union(*made)

    def visible(self, tables: Mapping[str, ibis.Table], name: str) -> ibis.Table:
        """The rows of table `name` that any of the days sees, with `since`.

        `store.read` has left out what the last day does not see; it is done again because these
        functions also take plain tables in a notebook. Revisions must have been resolved.
        """
        table = tables[name]
        schema = table_of(name)
        times = [schema.time, c.VALID_AT if schema.revisions else None]
        times = [name for name in times if name and name in table.columns]
        last = len(self.as_of) - 1
        # compared as they are, so that the engine can leave out files and row groups
        known = table.filter(*self._before(table, times, last)) if times else table
        return known.select(*COLUMNS[name], since=self._since(known, times))

    def _since(self, table: ibis.Table, times: list[str]) -> ibis.Value:
        last = len(self.as_of) - 1
        if not times or not last:
            return ibis.literal(0, "int8")
        branches = (
            (ibis.and_(*self._before(table, times, k)), ibis.literal(k, "int8"))
            for k in range(last)
        )
        return ibis.cases(*branches, else_=ibis.literal(last, "int8"))

    def _before(self, table: ibis.Table, times: list[str], k: int) -> list[ibis.Value]:
        start = ibis.literal(self.start(k))
        return [table[name] < start for name in times]


def days_since(
    at: ibis.expr.types.TimestampValue, start: ibis.expr.types.TimestampValue
) -> ibis.expr.types.IntegerValue:
    """Whole days from `at` to the day's start: 0 for the 24 hours before it."""
    seconds = start.epoch_seconds() - at.epoch_seconds()
    return ((seconds - 1) // DAY_SECONDS).cast("int64")


def at_least_zero(value: ibis.expr.types.NumericValue) -> ibis.expr.types.NumericValue:
    """`value`, 0 where it is less, null where it is null.

    `clip` writes the value three times into the query, each time with all that it is made of.
    """
    return ibis.cases((value < 0, 0), else_=value)


COLUMNS = {
    "order_lines": (
        c.CUSTOMER_ID,
        c.ORDER_ID,
        c.SOLD_AT,
        c.PRODUCT_ID,
        c.STORE_ID,
        c.KIND,
        c.QUANTITY,
        c.GROSS_BASE_MINOR,
        c.DISCOUNT_BASE_MINOR,
        c.COUPON_BASE_MINOR,
        c.AMOUNT_BASE_MINOR,
    ),
    "touches": (c.CUSTOMER_ID, c.CAMPAIGN_ID, c.OFFER_ID, c.KIND, c.OCCURRED_AT),
    "products": (c.PRODUCT_ID, c.DEPARTMENT, c.CATEGORY, c.BRAND),
    "customers": (c.CUSTOMER_ID,),
    "events": (
        *(c.CUSTOMER_ID, c.EVENT_ID, c.OCCURRED_AT, c.KIND, c.CHANNEL, c.QUERY),
        *(c.UTM_SOURCE, c.UTM_CAMPAIGN),
    ),
    "item_events": (c.CUSTOMER_ID, c.OCCURRED_AT, c.KIND, c.PRODUCT_ID),
    "offers": (c.OFFER_ID, c.CAMPAIGN_ID, c.PRODUCT_ID),
    "campaigns": (c.CAMPAIGN_ID, c.KIND, c.START_ON, c.END_ON),
}  # what the features read; narrow tables also keep the expressions quick to compile


def read_tables(
    tables: Mapping[str, ibis.Table | pd.DataFrame | pa.Table], names: Iterable[str]
) -> dict[str, ibis.Table]:
    """The named tables as Ibis tables.

    Raises
    ------
    InvalidParameter
        If one is missing, lacks a column of `COLUMNS`, or has a time that is no naive timestamp,
        an id that is no text, or a text in place of a number.
    """
    wanted = tuple(names)
    if not isinstance(tables, Mapping):
        raise InvalidParameter(
            f"tables is {show(tables)}", hint='tables={"order_lines": …, "products": …}'
        )
    if missing := [name for name in wanted if name not in tables]:
        raise InvalidParameter(
            f"there is no table {', '.join(missing)}",
            hint=f"give {', '.join(wanted)}; one without rows where there is nothing",
        )
    return {name: _read_table(tables[name], name) for name in wanted}


def _read_table(rows: ibis.Table | pd.DataFrame | pa.Table, name: str) -> ibis.Table:
    if not isinstance(rows, ibis.Table | pd.DataFrame | pa.Table):
        raise InvalidParameter(
            f"{name} is a {type(rows).__name__}", hint="give a table of Ibis, pandas or Arrow"
        )
    if isinstance(rows, pd.DataFrame):
        rows = pa.Table.from_pandas(rows, preserve_index=False)
    table = ibis.memtable(rows) if isinstance(rows, pa.Table) else rows
    if lacking := [column for column in COLUMNS[name] if column not in table.columns]:
        raise InvalidParameter(
            f"{name} has no column {', '.join(lacking)}",
            hint=f"it has {', '.join(table.columns[:20])}; rename yours",
        )
    schema = table_of(name)
    for time in {schema.time, c.VALID_AT if schema.revisions else None} & {*table.columns}:
        kind = table[time].type()
        if not kind.is_timestamp() or kind.timezone is not None:
            raise InvalidParameter(
                f"{time} of {name} is {kind}", hint="give timestamps in UTC, without a zone"
            )
    empty = _check_types(table, name)
    return table.mutate(**empty) if empty else table


def _check_types(table: ibis.Table, name: str) -> dict[str, ibis.Value]:
    """Columns without any value, which have no type, in the type that the schema says.

    Raises
    ------
    InvalidParameter
        If ids are no texts, or what is summed is no number.
    """
    kinds = {one.name: one.type for one in table_of(name).columns} | {c.CUSTOMER_ID: "string"}
    empty: dict[str, ibis.Value] = {}
    for column in COLUMNS[name]:
        is_, wanted = table[column].type(), kinds.get(column)
        if is_.is_null() and wanted in _TYPES:
            empty[column] = table[column].cast(_TYPES[wanted])
        elif wanted == "string" and column.endswith("_id") and not is_.is_string():
            raise InvalidParameter(
                f"{column} of {name} is {is_}, and ids are texts",
                hint=f"make texts of it in every table: table[{column!r}].astype(str)",
            )
        elif wanted in ("int64", "float64") and not is_.is_numeric():
            raise InvalidParameter(
                f"{column} of {name} is {is_}, not a number",
                hint=f"make numbers of it first: pandas.to_numeric(table[{column!r}])",
            )
    return empty
