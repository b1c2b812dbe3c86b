# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false
# pyright: reportArgumentType=false, reportReturnType=false
# (Ibis types a column of a table as one that can do nothing)
"""Orders -> frequency, recency, age and monetary value of each customer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.arguments import show
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.errors import InputError, InvalidParameter

Unit = Literal["day", "week", "month", "year"]
DAYS: dict[Unit, float] = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}
"""Days of each unit of time."""

_DAY_S = 86_400
BACK, VALUE = "back", "value"
_FIRST, _LAST, _TOTAL, _OPENING = "first", "last", "total", "opening"


@dataclass(frozen=True, eq=False)
class Summary:
    """Histories of customers as of a day, one row each, by customer id.

    Attributes
    ----------
    customer_ids
        (n,) ids, sorted.
    frequency
        (n,) purchase days after the first.
    recency, age
        (n,) time from the first purchase day to the last, and to the last day seen, in `unit`.
    monetary
        (n,) mean spend of the purchase days after the first; 0 where there is none.
    first_spend
        (n,) spend of the first purchase day.
    """

    customer_ids: np.ndarray
    frequency: np.ndarray
    recency: np.ndarray
    age: np.ndarray
    monetary: np.ndarray
    first_spend: np.ndarray
    unit: Unit
    as_of: date

    def __len__(self) -> int:
        return len(self.customer_ids)

    def to_pandas(self) -> pd.DataFrame:
        """One row per customer with the attributes as columns."""
        return pd.DataFrame(
            {
                c.CUSTOMER_ID: self.customer_ids, c.FREQUENCY: self.frequency,
                "recency": self.recency, "age": self.age, "monetary": self.monetary,
                "first_spend": self.first_spend,
            }
        )  # fmt: skip


def summarise(
    orders: ir.Table | pd.DataFrame | pa.Table,
    as_of: date,
    unit: Unit = "week",
    *,
    zone: str = "UTC",
    customer: str = c.CUSTOMER_ID,
    ordered: str = c.ORDERED_AT,
    amount: str = c.AMOUNT_BASE_MINOR,
) -> Summary:
    """Count the purchases of each customer before a day as Fader and Hardie do.

    Parameters
    ----------
    orders
        One row per order (or line): customer, time (naive UTC), amount. Rows without a customer
        or a time are ignored.
    as_of, zone
        Local day and its zone; what is at or after its 00:00 is ignored.
    unit
        Unit of recency and age: `day`, `week`, `month` (30.4375 days), `year`.
    customer, ordered, amount
        Names of the columns.

    Raises
    ------
    InvalidParameter
        For an unknown unit.
    InputError
        If a column is not there, or is no time or no number.

    Notes
    -----
    All orders of one day are one purchase; a day is 24 hours counted back from the 00:00 of
    `as_of`, as recency is elsewhere. Days whose amounts sum to less than 0 (returns only) are no
    purchase. Age runs to the last day before `as_of`: who bought first on that day has age 0.

    Examples
    --------
    >>> from datetime import date
    >>> import pandas as pd
    >>> days = pd.to_datetime(["1997-01-01", "1997-01-18", "1997-08-02"])
    >>> orders = pd.DataFrame({"who": "4", "at": days, "paid": [29.33, 29.73, 14.96]})
    >>> found = summarise(orders, date(1997, 10, 1), customer="who", ordered="at", amount="paid")
    >>> found.frequency, found.recency.round(2), found.age.round(2), found.monetary.round(1)
    (array([2.]), array([30.43]), array([38.86]), array([22.3]))
    """
    if unit not in get_args(Unit):
        raise InvalidParameter(f"unit is {unit!r}", hint=f"take one of {', '.join(DAYS)}")
    days = count_days(orders, as_of, zone=zone, customer=customer, ordered=ordered, amount=amount)
    found = _measure(days).order_by(c.CUSTOMER_ID).to_pyarrow()
    columns = {name: found[name].to_numpy().astype(np.float64) for name in found.column_names[1:]}
    frequency = columns[c.FREQUENCY]
    repeats = np.maximum(frequency, 1)
    return Summary(
        customer_ids=np.array(found[c.CUSTOMER_ID].to_pylist(), dtype=object),
        frequency=frequency,
        recency=(columns[_FIRST] - columns[_LAST]) / DAYS[unit],
        age=(columns[_FIRST] - 1) / DAYS[unit],
        monetary=np.where(frequency > 0, (columns[_TOTAL] - columns[_OPENING]) / repeats, 0.0),
        first_spend=columns[_OPENING],
        unit=unit,
        as_of=as_of,
    )


def count_days(
    orders: ir.Table | pd.DataFrame | pa.Table,
    as_of: date,
    *,
    zone: str,
    customer: str,
    ordered: str,
    amount: str,
) -> ir.Table:
    """Purchase days before a day: `customer_id`, `back` (1 = the last 24 hours), `value`.

    Parameters and errors as in `summarise`.
    """
    wanted = (customer, ordered, amount)
    if not isinstance(orders, pa.Table | pd.DataFrame | ir.Table):
        raise InputError(
            f"orders is {show(orders)}, not a table", hint="give one of pandas, Arrow or Ibis"
        )
    held = orders.column_names if isinstance(orders, pa.Table) else list(orders.columns)
    missing = [name for name in wanted if name not in held]
    if missing:
        raise InputError(
            f"the orders have no column {missing[0]!r}",
            hint="name the columns by customer=, ordered= and amount=",
        )
    table = orders if isinstance(orders, ir.Table) else ibis.memtable(_to_arrow(orders, wanted))
    if not (table[ordered].type().is_timestamp() or table[ordered].type().is_date()):
        raise InputError(
            f"column {ordered!r} is {table[ordered].type()}, not a time",
            hint="convert it first, for example by pandas.to_datetime",
        )
    if table[customer].type().is_nested():
        raise InputError(
            f"column {customer!r} is {table[customer].type()}, and ids are texts or numbers",
            hint="one id a row: pandas.DataFrame.explode makes rows of lists",
        )
    if not table[amount].type().is_numeric():
        raise InputError(f"column {amount!r} is {table[amount].type()}, not a number")
    named = table.select(
        **{c.CUSTOMER_ID: table[customer], c.AT: table[ordered].cast("timestamp"),
           VALUE: table[amount]}
    )  # fmt: skip
    until = ibis.literal(naive_utc(start_of_day(as_of, zone)))
    seen = named.filter(named[c.AT] < until, named[c.CUSTOMER_ID].notnull(), named[c.AT].notnull())
    age_s = until.epoch_seconds() - seen[c.AT].epoch_seconds()
    dated = seen.mutate(**{BACK: ((age_s + _DAY_S - 1) // _DAY_S).cast("int64")})
    days = dated.group_by([c.CUSTOMER_ID, BACK]).aggregate(
        **{VALUE: dated[VALUE].fill_null(0).sum()}
    )
    return days.filter(days[VALUE] >= 0)


def _to_arrow(orders: pd.DataFrame | pa.Table, names: tuple[str, str, str]) -> pa.Table:
    """The three columns; aware times as naive UTC."""
    if isinstance(orders, pd.DataFrame):
        table = pa.Table.from_pandas(orders[list(names)], preserve_index=False)
    else:
        table = orders.select(list(names))
    place = table.column_names.index(names[1])
    if pa.types.is_timestamp(table.schema.types[place]):
        naive = table[names[1]].cast(pa.timestamp("us"), safe=False)
        table = table.set_column(place, names[1], naive)
    return table


def _measure(days: ir.Table) -> ir.Table:
    """Per customer: purchase days but one, days back of the first and the last, spend."""
    return days.group_by(c.CUSTOMER_ID).aggregate(
        **{
            c.FREQUENCY: days.count() - 1,
            _FIRST: days[BACK].max(),
            _LAST: days[BACK].min(),
            _TOTAL: days[VALUE].sum().cast("float64"),
            _OPENING: days[VALUE].argmax(days[BACK]).cast("float64"),
        }
    )
