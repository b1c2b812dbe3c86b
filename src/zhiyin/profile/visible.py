"""The rows of a table that a day may see, and the moments that bound its windows (law 1)."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import ibis

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.tables import table as table_of

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Day:
    """A local day of a shop: what is before its 00:00 is visible."""

    as_of: date
    zone: str

    def start(self, *, days_before: int = 0) -> datetime:
        """00:00 local, `days_before` days earlier, as naive UTC."""
        return naive_utc(start_of_day(self.as_of - timedelta(days=days_before), self.zone))

    def within(self, at: ibis.expr.types.TimestampValue, days: int) -> ibis.expr.types.BooleanValue:
        """Whether `at` lies in the last `days` local days."""
        return at >= ibis.literal(self.start(days_before=days))

    def days_since(self, at: ibis.expr.types.TimestampValue) -> ibis.expr.types.IntegerValue:
        """Whole days from `at` to the day's start: 0 for the 24 hours before it."""
        seconds = ibis.literal(self.start()).epoch_seconds() - at.epoch_seconds()
        return ((seconds - 1) // DAY_SECONDS).cast("int64")


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
    "offers": (c.OFFER_ID, c.CAMPAIGN_ID, c.PRODUCT_ID),
    "campaigns": (c.CAMPAIGN_ID, c.KIND, c.START_ON, c.END_ON),
}  # what the features read; narrow tables also keep the expressions quick to compile


def rows_before(tables: Mapping[str, ibis.Table], name: str, day: Day) -> ibis.Table:
    """The rows of table `name` with business time (and `valid_at`) before the day.

    `store.read` has done so already; it is done again because these functions also take plain
    tables in a notebook. Revisions must have been resolved by the reader.
    """
    table = tables[name]
    schema = table_of(name)
    columns = [schema.time] if schema.time else []
    if schema.revisions:
        columns.append(c.VALID_AT)
    start = ibis.literal(day.start())
    rules = [table[column] < start for column in columns if column in table.columns]
    known = table.filter(*rules) if rules else table
    return known.select(*COLUMNS[name])
