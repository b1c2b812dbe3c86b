# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false
# (Ibis knows the type of a column when it runs)
"""How good a table's rows are: sums by source as Ibis expressions, for any table of the lake.

Looked at are the last 35 local days before the day: the *week* (7 days) against the *month* before
it (28). Tables without business time are looked at as a whole. The engine sums, `findings` infers.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.schema import Column, Table

WEEK_DAYS, MONTH_DAYS = 7, 28
SPAN = timedelta(days=WEEK_DAYS + MONTH_DAYS)
BINS_PER_OCTAVE = 8
VALUES_KEPT = 4000
DAY_S = 86_400
IN_WEEK, ROWS, LAST, EARLIER, WORD = "in_week", "rows", "last", "earlier", "word"
_PLUMBING = frozenset(
    {
        c.SOURCE, c.LOAD_ID, c.LOADED_AT, c.REVISION, c.VALID_AT, c.RECORDED_AT, c.OP, c.MONTH,
        c.CUSTOMER_ID,
    }
)  # fmt: skip
_FREE_TEXT = frozenset(
    {c.NAME, c.BODY, c.URL, c.PAGE, c.QUERY, c.RATE, c.MESSAGE, c.CITY, c.REFERRER, c.UTM_CONTENT,
     c.UTM_TERM}
)  # fmt: skip
_SHAPES = {
    c.CURRENCY: "^[A-Z]{3}$", c.COUNTRY: "^[A-Za-z]{2,}$", c.LANGUAGE: "^[A-Za-z]{2,3}([-_].*)?$",
}  # fmt: skip


def is_judged(table: Table) -> bool:
    """Whether the quality of a table is looked at: its rows come from sources."""
    return table.kind != "derived" and {c.SOURCE, c.LOAD_ID, c.LOADED_AT} <= set(table.names)


def filled_columns(table: Table) -> list[str]:
    """Columns that may be empty, so that their completeness says something."""
    return [one.name for one in _looked_at_columns(table) if not one.required]


def number_columns(table: Table) -> list[str]:
    """Columns whose distribution is looked at; of money, that in the workspace currency."""
    return [one.name for one in _looked_at_columns(table) if one.type in ("int64", "float64")]


def _looked_at_columns(table: Table) -> list[Column]:
    """All but the plumbing; of money as received and in the workspace currency, the latter."""
    names = set(table.names)
    return [
        one
        for one in table.columns
        if one.name not in _PLUMBING
        and one.name.replace("_minor", "_base_minor") not in names - {one.name}
    ]


def word_columns(table: Table) -> list[str]:
    """Columns with few different words."""
    return [
        one.name
        for one in table.columns
        if one.type == "string"
        and one.pii == "none"
        and not one.name.endswith("_id")
        and one.name not in _PLUMBING | _FREE_TEXT
    ]


def rules_of(table: Table) -> dict[str, Column]:
    """Columns with a rule that a value can break."""
    return {
        one.name: one
        for one in table.columns
        if one.name in _SHAPES or one.unit in ("[0, 1]", "1..5")
    }


def count_all(rows: ir.Table, table: Table) -> ir.Table:
    """All visible rows by source.

    Returns
    -------
    `source`, `rows`, `last` (naive UTC; null in a table without business time).
    """
    last = rows[table.time].max() if table.time else ibis.null("timestamp")
    return rows.group_by(c.SOURCE).aggregate(**{ROWS: rows.count(), LAST: last})


def window_of(rows: ir.Table, table: Table, *, until: datetime) -> ir.Table:
    """The rows of the last 35 days before `until` (naive UTC), and what is looked at of them.

    Returns
    -------
    `source`, the columns that are looked at, and `earlier`: whole days before `until`, 0 = the
    last one (null where the table has no business time).
    """
    if table.time is None:
        return _looked_at(rows, table).mutate(**{EARLIER: ibis.null("int64")})
    start = until - SPAN
    if table.partition is not None:  # lets the engine leave out the files of other months
        rows = rows.filter(rows[table.partition] >= f"{start:%Y-%m}")
    rows = _looked_at(rows.filter(rows[table.time] >= start), table)
    ahead = ibis.literal(until).epoch_seconds() - rows[table.time].epoch_seconds()
    return rows.mutate(**{EARLIER: ((ahead - 1) // DAY_S).cast("int64")})


def _looked_at(rows: ir.Table, table: Table) -> ir.Table:
    names = [c.SOURCE, *table.key, *filled_columns(table), *number_columns(table)]
    names += [*word_columns(table), *rules_of(table)]
    more = [one for one in (table.time, c.SUSPECT) if one in table.names]
    return rows.select(*dict.fromkeys([*names, *more]))


def count_window(rows: ir.Table, table: Table) -> ir.Table:
    """Counts of a window by source and day.

    Returns
    -------
    `source`, `earlier`, `rows`, `filled.COLUMN` (not null), `wrong.COLUMN` (breaks its rule),
    `repeats` (rows that repeat a key of their day, or are suspect).
    """
    sums = {ROWS: rows.count()}
    sums |= {f"filled.{name}": rows[name].count() for name in filled_columns(table)}
    sums |= {f"wrong.{name}": _breaks(rows[name], one) for name, one in rules_of(table).items()}
    if c.SUSPECT in table.names:
        sums["repeats"] = rows[c.SUSPECT].sum()
    elif not table.revisions:
        key = ibis.struct({name: rows[name] for name in table.key})
        sums["repeats"] = rows.count() - key.nunique()
    return rows.group_by(c.SOURCE, EARLIER).aggregate(**sums)


def _breaks(value: ir.Column, column: Column) -> ir.Scalar:
    if column.name in _SHAPES:
        return (~value.re_search(_SHAPES[column.name])).sum()
    low, high = (0, 1) if column.unit == "[0, 1]" else (1, 5)
    return (~value.between(low, high)).sum()


def count_values(rows: ir.Table, table: Table) -> ir.Table:
    """Values of a window, counted: a small summary, however many rows there are.

    Numbers are counted in eighths of an octave: sign(x)·round(8·log2(1+|x|)).

    Returns
    -------
    `source`, `column`, `in_week` (null where the table has no business time), `word` (the word,
    or the bin of a number as text), `rows`; the 4000 most frequent.
    """
    made = {f"v.{name}": rows[name] for name in word_columns(table)}
    for name in number_columns(table):
        value = rows[name].cast("float64")
        place = value.sign() * ((value.abs() + 1).log2() * BINS_PER_OCTAVE).round()
        made[f"v.{name}"] = place.cast("int64").cast("string")
    wide = rows.select(c.SOURCE, **{IN_WEEK: rows[EARLIER] < WEEK_DAYS}, **made)
    long = wide.pivot_longer(
        list(made), names_to=c.COLUMN, values_to=WORD,
        names_transform=lambda name: name.removeprefix("v."),
    )  # fmt: skip
    counted = (
        long.filter(long[WORD].notnull())
        .group_by(c.SOURCE, c.COLUMN, IN_WEEK, WORD)
        .aggregate(**{ROWS: lambda one: one.count()})
    )
    order = [ibis.desc(counted[ROWS]), counted[c.SOURCE], counted[c.COLUMN], counted[WORD]]
    return counted.order_by(order).limit(VALUES_KEPT)
