"""Purchase days of customers as arrays: histories and features at any cut, what came after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.understand.value.summary import BACK, VALUE, count_days

WINDOWS = (30, 60, 90)
FEATURES = (
    "silent_share", "frequency", "rate", "age_days", "first_spend", "mean_spend", "last_spend",
    "max_spend", "total_spend", *(f"purchases_{days}d" for days in WINDOWS), "gap_mean",
    "gap_variation", "gap_last", "overdue",
)  # fmt: skip
"""What the trees see of a customer beside what the models expect; spend as log(1 + amount)."""


@dataclass(frozen=True, eq=False)
class PurchaseDays:
    """Purchase days before a day, one row each, by customer and time.

    Attributes
    ----------
    customer_ids
        (n,) ids, sorted.
    customers
        (m,) whose day it was: a position in `customer_ids`.
    back
        (m,) days before `as_of`: 1 is the day before it.
    value
        (m,) spend of the day.
    """

    customer_ids: np.ndarray
    customers: np.ndarray
    back: np.ndarray
    value: np.ndarray
    as_of: date

    @property
    def span_days(self) -> int:
        """Days from the first purchase of all to `as_of`."""
        return int(self.back.max()) if len(self.back) else 0


@dataclass(frozen=True, eq=False)
class Cut:
    """Customers as they were some days before `as_of`: only purchases before the cut count.

    Attributes
    ----------
    customers
        (k,) positions of the customers who had bought by then.
    frequency, recency, age
        (k,) histories, in days.
    monetary
        (k,) mean spend of the purchase days after the first; 0 where there is none.
    features
        (k, d) values of `FEATURES`.
    mean_spend
        Mean spend of a purchase day of all.
    """

    customers: np.ndarray
    frequency: np.ndarray
    recency: np.ndarray
    age: np.ndarray
    monetary: np.ndarray
    features: np.ndarray
    mean_spend: float


def read_purchases(
    orders: ir.Table | pd.DataFrame | pa.Table,
    as_of: date,
    *,
    zone: str = "UTC",
    customer: str = c.CUSTOMER_ID,
    ordered: str = c.ORDERED_AT,
    amount: str = c.AMOUNT_BASE_MINOR,
) -> PurchaseDays:
    """Purchase days before a day; parameters and errors as in `summarise`."""
    days = count_days(
        orders, as_of, zone=zone, customer=customer, ordered=ordered, amount=amount
    ).to_pyarrow()  # fmt: skip
    names, place = np.unique(
        np.array(days[c.CUSTOMER_ID].to_pylist(), dtype=object), return_inverse=True
    )
    back = days[BACK].to_numpy()
    value = days[VALUE].to_numpy().astype(np.float64)
    order = np.lexsort((-back, place))
    return PurchaseDays(names, place[order], back[order], value[order], as_of)


def cut_purchases(days: PurchaseDays, back: int) -> Cut:
    """Histories and features of `back` days before `as_of` (0: of the day itself)."""
    rows = days.back > back
    who, ago, value = days.customers[rows], days.back[rows] - back, days.value[rows]
    starts = np.flatnonzero(np.diff(who, prepend=-1))
    ends = np.append(starts[1:], len(who))[: len(starts)] - 1
    bought = (ends - starts).astype(np.float64)
    age, recency = ago[starts] - 1.0, (ago[starts] - ago[ends]).astype(np.float64)
    total = np.add.reduceat(value, starts) if len(starts) else np.zeros(0)
    again = np.maximum(bought, 1)
    monetary = np.where(bought > 0, (total - value[starts]) / again, 0.0)
    largest = np.maximum.reduceat(value, starts) if len(starts) else np.zeros(0)
    lived = np.maximum(age, 1.0)
    recent = [
        np.bincount(who[ago <= window], minlength=len(days.customer_ids))[who[starts]]
        - (age < window)
        for window in WINDOWS
    ]
    mean, variation, last = _gaps(ago, starts, ends, bought)
    silent = age - recency
    features = np.column_stack(
        [
            silent / lived, bought, bought / lived, age, np.log1p(value[starts]),
            np.where(bought > 0, np.log1p(monetary), np.nan), np.log1p(value[ends]),
            np.log1p(largest), np.log1p(total), *recent, mean, variation, last, silent / mean,
        ]
    )  # fmt: skip
    typical = float(value.mean()) if len(value) else 0.0
    return Cut(who[starts], bought, recency, age, monetary, features, typical)


def count_after(
    days: PurchaseDays, customers: np.ndarray, *, back: int, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """(k,) purchase days and (k,) spend in the `length` days from the cut on."""
    rows = (days.back <= back) & (days.back > back - length)
    size = len(days.customer_ids)
    counts = np.bincount(days.customers[rows], minlength=size).astype(np.float64)
    spend = np.bincount(days.customers[rows], weights=days.value[rows], minlength=size)
    return counts[customers], spend[customers]


def _gaps(
    ago: np.ndarray, starts: np.ndarray, ends: np.ndarray, bought: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days between purchases: mean, coefficient of variation, and the last; NaN without any."""
    if not len(starts):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    gaps = -np.diff(ago, prepend=ago[0]).astype(np.float64)
    gaps[starts] = 0.0  # the first purchase has none
    count = np.where(bought > 0, bought, np.nan)
    mean = np.add.reduceat(gaps, starts) / count
    spread = np.add.reduceat(gaps**2, starts) / count - mean**2
    several = np.where(bought > 1, np.sqrt(np.maximum(spread, 0)) / mean, np.nan)
    return mean, several, np.where(bought > 0, gaps[ends], np.nan)
