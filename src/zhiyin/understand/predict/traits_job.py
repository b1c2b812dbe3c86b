# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""Reads what a shop knows of its customers, as of each day that is learned from."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd

from zhiyin.core import columns as c
from zhiyin.core.context import Context
from zhiyin.core.features import TRAIT

COLUMNS = (c.COUNTRY, c.REGION, c.CITY)
SAMPLE = 5_000
LEAST_SHARE = 0.02
"""A key that fewer of the sampled customers have is not read."""
NAME = re.compile(r"\w[\w -]{0,63}")
"""Other keys are left alone: engines read dots, quotes, `$` and `*` in them as paths."""
MOST = 30
MOST_VALUES = 0.5  # a text that is nearly everybody's own tells nobody apart


def attribute_names(customers: ir.Table) -> list[str]:
    """Names under which customers have attributes, by a sample of them: the most frequent keys of
    their properties, and columns of the table, that are neither rare nor everybody's own.
    """
    held = customers.order_by(c.CUSTOMER_ID).limit(SAMPLE).select(c.PROPERTIES, *COLUMNS)
    rows = held.to_pyarrow().to_pylist()
    counts: Counter[str] = Counter()
    values: dict[str, set[str]] = {}
    for row in rows:
        own = json.loads(row.pop(c.PROPERTIES) or "{}") | {k: v for k, v in row.items() if v}
        for key, value in own.items():
            if isinstance(value, str | int | float) and value != "" and NAME.fullmatch(key):
                counts[key] += 1
                values.setdefault(key, set()).add(str(value))
    least = max(1, LEAST_SHARE * len(rows))
    kept = [key for key in counts if counts[key] >= least and _tells(values[key], counts[key])]
    return sorted(kept, key=lambda key: (-counts[key], key))[:MOST]


def _tells(values: set[str], n: int) -> bool:
    return len(values) > 1 and (len(values) <= MOST_VALUES * n or all(map(_is_number, values)))


def _is_number(value: str) -> bool:
    try:
        return bool(float(value) + 1)
    except ValueError:
        return False


def attribute_text(customers: ir.Table, name: str) -> ir.StringValue:
    """An attribute of customers as text: a column, or a property of any kind."""
    if name in COLUMNS:
        return customers[name]
    held = customers[c.PROPERTIES].cast("json")[name]
    return ibis.coalesce(held.str, held.float.cast("string"), held.bool.cast("string"))


def read_traits(ctx: Context, days: Sequence[date], *, without: Collection[str]) -> pd.DataFrame:
    """A row a day and customer who has any, with a text column `trait.KEY` a trait.

    What is not dated is known since the day that it was loaded: a day before it sees nothing.

    Parameters
    ----------
    without
        Names that no model may learn from.
    """
    names = [
        name
        for name in attribute_names(ctx.store.read("customers", as_of=ctx.as_of))
        if name not in without
    ]
    parts = [_read(ctx, day, names) for day in days] if names else []
    columns = [c.AS_OF_ON, c.CUSTOMER_ID, *(f"{TRAIT}{name}" for name in names)]
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
    return pd.concat(parts, ignore_index=True) if parts else empty


def _read(ctx: Context, day: date, names: Sequence[str]) -> pd.DataFrame:
    customers = ctx.store.read("customers", as_of=day)
    own = {f"{TRAIT}{name}": attribute_text(customers, name) for name in names}
    rows = customers.filter(customers[c.CUSTOMER_ID].notnull()).select(c.CUSTOMER_ID, **own)
    one = rows.group_by(c.CUSTOMER_ID).agg(**{name: rows[name].min() for name in own})
    made = one.order_by(c.CUSTOMER_ID).to_pyarrow().to_pandas()
    made.insert(0, c.AS_OF_ON, day)
    return made
