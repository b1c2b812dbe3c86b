# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""Daily sums that the engine makes of order lines: a few thousand rows, however many lines.

Days are local: the zone's offsets from UTC are written as one case, so that every engine says the
same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day

NEW, RETURNING, NOBODY = "new", "returning", "nobody"
NEW_DAYS = 30
"""A customer is new for so many days from her first purchase."""
OTHERS, UNKNOWN = "(others)", "(unknown)"
_FIRST, _WHO = "_first", "_who"
GOODS = ("item", "return")


@dataclass(frozen=True)
class Cube:
    """Daily sums by group: `cells` (k rows of one value for each of `dimensions`), and (k, n)
    `revenue` (base minor units, net of returns) and `units` from the day `start`.
    """

    dimensions: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    start: date
    revenue: np.ndarray
    units: np.ndarray

    @property
    def days(self) -> int:
        """Days from `start`."""
        return self.revenue.shape[1]

    def column(self, dimension: str) -> list[str]:
        """(k,) each cell's value in a dimension."""
        place = self.dimensions.index(dimension)
        return [cell[place] for cell in self.cells]

    def by(self, dimension: str) -> tuple[tuple[str, ...], np.ndarray]:
        """Groups of a dimension, the largest first, and (groups, n) revenue of each."""
        column = np.array(self.column(dimension))
        names = sorted(set(column.tolist()))
        sums = [self.revenue[column == name].sum(axis=0) for name in names]
        order = sorted(range(len(names)), key=lambda one: (-float(sums[one].sum()), names[one]))
        return (
            tuple(names[one] for one in order),
            np.array([sums[one] for one in order]).reshape(len(order), self.days),
        )


def sum_days(
    lines: ir.Table,
    *,
    first: date,
    last: date,
    zone: str,
    products: ir.Table | None = None,
    category: str = c.DEPARTMENT,
    places: ir.Table | None = None,
    channels: ir.Table | None = None,
) -> ir.Table:
    """Revenue and units by local day, category, region, channel and new or returning customers.

    Parameters
    ----------
    lines
        Order lines: `product_id`, `customer_id`, `order_id`, `store_id`, `sold_at` (naive UTC),
        `kind`, `quantity`, `amount_base_minor`. Items and returns count. All lines are needed that
        tell when somebody first bought.
    first, last
        Local days, both included.
    products
        `product_id` and the column that `category` names: one row for each product.
    places
        `store_id`, `region`: one row for each shop.
    channels
        `order_id`, `channel`: one row for each order.

    Returns
    -------
    `day` (whole days since `first`, int64), `customer_kind` (`new`: first purchase less than 30
    days ago; `returning`; `nobody`), those of `category`, `region`, `channel` that were given,
    `revenue_base_minor` (int64) and `units` (float64). What is not known is null.
    """
    goods = lines.filter(lines[c.KIND].isin(GOODS))
    bought = goods.filter(goods[c.QUANTITY] > 0, goods[c.CUSTOMER_ID].notnull())
    started = bought.group_by(c.CUSTOMER_ID).agg(**{_FIRST: bought[c.SOLD_AT].min()})
    low, high = (naive_utc(start_of_day(day, zone)) for day in (first, last + timedelta(1)))
    sold = goods[c.SOLD_AT]
    goods = goods.filter(sold >= ibis.literal(low), sold < ibis.literal(high))
    started = started.mutate(
        **{_FIRST: _day_number(started[_FIRST], first=first, last=last, zone=zone)}
    )
    goods = goods.mutate(
        **{c.DAY: _day_number(goods[c.SOLD_AT], first=first, last=last, zone=zone)}
    )
    known = started.select(**{_WHO: started[c.CUSTOMER_ID], _FIRST: started[_FIRST]})
    goods = goods.left_join(known, goods[c.CUSTOMER_ID] == known[_WHO])
    keys = [c.DAY, c.CUSTOMER_KIND]
    age = goods[c.DAY] - goods[_FIRST]
    kind = ibis.cases(
        (goods[c.CUSTOMER_ID].isnull() | goods[_FIRST].isnull(), NOBODY),
        (age < NEW_DAYS, NEW),
        else_=RETURNING,
    )
    goods = goods.mutate(**{c.CUSTOMER_KIND: kind})
    for table, key, column, name in (
        (products, c.PRODUCT_ID, category, c.CATEGORY), (places, c.STORE_ID, c.REGION, c.REGION),
        (channels, c.ORDER_ID, c.CHANNEL, c.CHANNEL),
    ):  # fmt: skip
        if table is not None:
            goods = goods.drop(*[one for one in (name,) if one in goods.columns])
            told = table.select(**{f"_{key}": table[key], name: table[column]})
            goods = goods.left_join(told, goods[key] == told[f"_{key}"])
            keys.append(name)
    return goods.group_by(keys).agg(
        **{
            c.REVENUE_BASE_MINOR: goods[c.AMOUNT_BASE_MINOR].sum().cast("int64"),
            c.UNITS: goods[c.QUANTITY].sum().cast("float64"),
        }
    )


def sum_items(
    lines: ir.Table, *, recent: tuple[date, date], before: tuple[date, date], zone: str
) -> ir.Table:
    """Orders of each product in two spans of local days [first, end).

    Returns
    -------
    `product_id`, `recent`, `before` (int64, distinct orders).
    """
    sold = lines.filter(
        lines[c.KIND] == GOODS[0], lines[c.QUANTITY] > 0, lines[c.PRODUCT_ID].notnull()
    )
    at = sold[c.SOLD_AT]

    def within(span: tuple[date, date]) -> ir.BooleanColumn:
        low, high = (ibis.literal(naive_utc(start_of_day(day, zone))) for day in span)
        return (at >= low) & (at < high)

    near = sold.filter(within(recent) | within(before))
    return near.group_by(c.PRODUCT_ID).agg(
        **{
            c.RECENT: near[c.ORDER_ID].nunique(where=within(recent)),
            c.BEFORE: near[c.ORDER_ID].nunique(where=within(before)),
        }
    )


def read_cube(table: pa.Table, *, first: date, last: date, most: int = 12) -> Cube:
    """The sums as arrays; of each dimension the `most` largest values, the rest as `(others)`."""
    dimensions = tuple(
        one for one in (c.CUSTOMER_KIND, c.CATEGORY, c.REGION, c.CHANNEL)
        if one in table.column_names
    )  # fmt: skip
    day = np.array(table[c.DAY].to_pylist(), dtype=np.int64)
    revenue = np.array(table[c.REVENUE_BASE_MINOR].to_pylist(), dtype=float)
    units = np.array(table[c.UNITS].to_pylist(), dtype=float)
    columns = [_keep_largest(table[name].to_pylist(), revenue, most) for name in dimensions]
    keys = list(zip(*columns, strict=True)) if columns else [()] * len(day)
    cells = tuple(sorted(set(keys)))
    place = {cell: number for number, cell in enumerate(cells)}
    of = np.array([place[key] for key in keys], dtype=np.int64)
    n = (last - first).days + 1
    made = [np.zeros((len(cells), n)) for _ in range(2)]
    for sums, values in zip(made, (revenue, units), strict=True):
        np.add.at(sums, (of, day), values)
    return Cube(dimensions, cells, first, made[0], made[1])


def _keep_largest(values: Sequence[str | None], revenue: np.ndarray, most: int) -> list[str]:
    named = [UNKNOWN if one is None else str(one) for one in values]
    sums: dict[str, float] = {}
    for name, amount in zip(named, np.abs(revenue), strict=True):
        sums[name] = sums.get(name, 0.0) + float(amount)
    kept = set(sorted(sums, key=lambda one: (-sums[one], one))[:most])
    return [name if name in kept else OTHERS for name in named]


def _day_number(at: ir.TimestampColumn, *, first: date, last: date, zone: str) -> ir.IntegerValue:
    """Whole local days since `first` of moments in naive UTC."""
    seconds = at.epoch_seconds() - int(start_of_day(first, zone).timestamp())
    changes = _offset_changes(zone, first=first, last=last)
    shift = [(moment, offset - changes[0][1]) for moment, offset in changes[1:]]
    if shift:
        seconds = seconds + ibis.cases(
            *((at >= ibis.literal(moment), offset) for moment, offset in reversed(shift)), else_=0
        )
    return (seconds / 86_400).floor().cast("int64")


def _offset_changes(zone: str, *, first: date, last: date) -> list[tuple[datetime, int]]:
    """(naive UTC moment from which it holds, seconds ahead of UTC), oldest first."""
    info = ZoneInfo(zone)

    def offset(at: datetime) -> int:
        return int((at.astimezone(info).utcoffset() or timedelta()).total_seconds())

    at, end = start_of_day(first, zone), start_of_day(last + timedelta(1), zone)
    made = [(naive_utc(at), offset(at))]
    at = at.astimezone(UTC)
    while at < end:
        later = at + timedelta(days=1)
        if offset(later) != made[-1][1]:
            low, high = at, later
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=int((high - low).total_seconds() // 2))
                low, high = (low, middle) if offset(middle) != made[-1][1] else (middle, high)
            made.append((naive_utc(high), offset(high)))
        at = later
    return made
