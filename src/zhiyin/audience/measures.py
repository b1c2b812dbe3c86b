# pyright: basic, reportOperatorIssue=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.
"""Measures as Ibis expressions: all that read the same table are aggregates of one grouping."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from hashlib import sha256

import ibis

from zhiyin.audience import formula as f
from zhiyin.audience import rule as r
from zhiyin.audience.fields import CUSTOMERS, EVENTS, PRODUCTS, Field, field_of, time_of, times_of
from zhiyin.audience.moment import Moment
from zhiyin.audience.yearly import celebrated, own_day, zones_by_day
from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.tables import table as table_of

_FEW = 12  # conditions that may be joined by `or` to leave out rows before they are grouped


@dataclass(frozen=True)
class Reader:
    """The tables, as the moment sees them."""

    tables: Mapping[str, ibis.Table]
    moment: Moment
    snapshot_on: date

    def visible(self, name: str) -> ibis.Table:
        """The rows of table `name` before the moment, revisions resolved by whoever gave it.

        Raises
        ------
        InvalidParameter
            If the table was not given.
        """
        rows = self._given(name)
        before = ibis.literal(self.moment.before)
        times = [time for time in times_of(table_of(name)) if time in rows.columns]
        rows = rows.filter(*[rows[time] < before for time in times]) if times else rows
        return rows.filter(rows[c.CUSTOMER_ID].notnull()) if name != PRODUCTS else rows

    def snapshot(self, name: str) -> ibis.Table:
        """The rows of the day's snapshot."""
        rows = self._given(name)
        return rows.filter(rows[c.AS_OF_ON] == self.snapshot_on)

    def _given(self, name: str) -> ibis.Table:
        if name not in self.tables:
            raise InvalidParameter(
                f"the rule reads table {name}, which was not given",
                hint=f"given: {', '.join(sorted(self.tables)) or 'none'}",
            )
        return self.tables[name]


def column_of(text: bytes) -> str:
    """The column of the measure with this text; the same in every state."""
    return f"m_{sha256(text).hexdigest()[:12]}"


def groups_of(
    wanted: Iterable[f.Measure],
) -> tuple[dict[str, list[f.Measure]], list[f.Listed]]:
    """Measures by the part that gives them (a table, or one sequence), and the lists."""
    groups: dict[str, list[f.Measure]] = {}
    lists: list[f.Listed] = []
    for measure in wanted:
        if isinstance(measure, f.Listed):
            lists.append(measure)
        elif isinstance(measure, f.Followed):
            groups[f"sequence {column_of(measure.text)}"] = [measure]
        else:
            groups.setdefault(f.sources(measure)[0], []).append(measure)
    return groups, lists


def part_of(reader: Reader, wanted: Sequence[f.Measure], *, name: str) -> ibis.Table:
    """`customer_id` and a column per measure, one row for each customer with a row."""
    if wanted and isinstance(wanted[0], f.Followed):
        return _sequence(reader, wanted[0])
    if name == CUSTOMERS:
        return _records(reader, wanted)
    if name == "features":
        rows = reader.snapshot(name)
        values = {column_of(one.text): rows[one.name] for one in wanted}
        return rows.select(c.CUSTOMER_ID, **values)
    if name in f.SNAPSHOTS:
        return _snapshot(reader, wanted, name=name)
    return _totals(reader, wanted, name=name)


def condition(got: ibis.Value, op: r.Op, value: object) -> ibis.Value:
    """A condition on a value, null (not true) where the value is null."""
    if op == "exists":
        return got.notnull()
    if op in ("in", "not_in"):
        inside = got.isin(list(value))
        return inside if op == "in" else ~inside
    if op == "contains":
        return got.contains(value)
    if op == "starts_with":
        return got.startswith(value)
    return getattr(operator, op)(got, ibis.literal(value))


def _totals(reader: Reader, wanted: Sequence[f.Total | f.Extreme], *, name: str) -> ibis.Table:
    rows = _with_products(reader, reader.visible(name), wanted, name=name)
    time = rows[time_of(name)]
    starts = [one.start if isinstance(one, f.Total) else None for one in wanted]
    if starts and None not in starts:
        rows = rows.filter(time >= ibis.literal(min(starts)))
    wheres = {f.Extreme(name, one.where, "").text: one.where for one in wanted}
    if len(wheres) <= _FEW and all(wheres.values()):
        rows = rows.filter(reduce(operator.or_, [meets(rows, w, name) for w in wheres.values()]))
    made = {column_of(one.text): _aggregate(rows, one, reader.moment) for one in wanted}
    return rows.group_by(c.CUSTOMER_ID).agg(**made)


def _aggregate(rows: ibis.Table, wanted: f.Total | f.Extreme, moment: Moment) -> ibis.Value:
    time = rows[time_of(wanted.table)]
    tests = [meets(rows, wanted.where, wanted.table)] if wanted.where else []
    if isinstance(wanted, f.Extreme):
        found = reduce(operator.and_, tests) if tests else None
        return time.max(where=found) if wanted.which == "last" else time.min(where=found)
    if wanted.start is not None:
        tests.append(time >= ibis.literal(wanted.start))
    if wanted.end < moment.before:
        tests.append(time < ibis.literal(wanted.end))
    found = reduce(operator.and_, tests) if tests else None
    if wanted.measure == "count":
        return rows.count(where=found)
    value = _value(rows, wanted.table, wanted.column, like=1 if wanted.measure == "sum" else None)
    return value.sum(where=found) if wanted.measure == "sum" else value.nunique(where=found)


def meets(rows: ibis.Table, where: Sequence[r.Where], table: str) -> ibis.Value:
    """Whether a row of `table` meets all conditions: null or false where it does not.

    Conditions on products are asked of a `table` of products only, or of rows with their flags.
    """
    return reduce(operator.and_, [_one(rows, table, one) for one in where])


def _one(rows: ibis.Table, table: str, where: r.Where) -> ibis.Value:
    found = field_of(table, where.column)
    if found is not None and found.place == "product" and table != PRODUCTS:
        return rows[_flag(where)]
    if where.op in ("exists", "missing"):
        kinds = ("", 1.0, True) if found is not None and found.place == "property" else (None,)
        known = [_value(rows, table, where.column, like=kind).notnull() for kind in kinds]
        held = reduce(operator.or_, known)
        return held if where.op == "exists" else ~held
    like = where.value[0] if isinstance(where.value, tuple) else where.value
    return condition(_value(rows, table, where.column, like=like), where.op, where.value)


def _value(rows: ibis.Table, table: str, name: str, *, like: object) -> ibis.Value:
    """The named value; of a property, where it has the type of `like`."""
    found = field_of(table, name) or Field(name, "own", "any")
    if found.place != "property":
        return rows[found.name]
    whole = rows[c.PROPERTIES].cast("json")
    held = whole[found.name]
    if table == EVENTS:
        held = ibis.coalesce(whole[c.PROPERTIES][found.name], held)
    if isinstance(like, bool):
        return held.bool
    return held.float if isinstance(like, int | float) else held.str


def _flag(where: r.Where) -> str:
    """The column that says whether the product of a row meets the condition."""
    return f"product_{sha256(f.Attribute(where).text).hexdigest()[:8]}"


def _with_products(
    reader: Reader, rows: ibis.Table, wanted: Sequence[f.Total | f.Extreme], *, name: str
) -> ibis.Table:
    """`rows` with a flag for each condition on products: they are few, so it is checked there."""
    asked = [where for one in wanted for where in one.where]
    flags = {
        _flag(where): where
        for where in asked
        if (found := field_of(name, where.column)) is not None and found.place == "product"
    }
    if not flags:
        return rows
    products = reader.visible(PRODUCTS)
    made = {flag: _one(products, PRODUCTS, where) for flag, where in flags.items()}
    known = products.select(c.PRODUCT_ID, **made)
    joined = rows.left_join(known, c.PRODUCT_ID)
    missing = {flag: joined[flag].fill_null(True) for flag, w in flags.items() if w.op == "missing"}
    return joined.mutate(**missing) if missing else joined


def _records(reader: Reader, wanted: Sequence[f.Measure]) -> ibis.Table:
    rows = reader.visible(CUSTOMERS)
    made: dict[str, ibis.Value] = {}
    for one in wanted:
        met = _dated(rows, one.rule, reader.moment) if isinstance(one, f.Dated) else _one(
            rows, CUSTOMERS, one.where
        )  # fmt: skip
        made[column_of(one.text)] = met.any()
    return rows.group_by(c.CUSTOMER_ID).agg(**made)


def _dated(rows: ibis.Table, rule: r.Yearly, moment: Moment) -> ibis.Value:
    """Whether the record's date is celebrated, on the calendar of the record's zone."""
    text = _value(rows, CUSTOMERS, rule.field, like="")
    branches = [
        (rows[c.TIME_ZONE].isin(zones), _celebrated(text, rule, day))
        for day, zones in sorted(zones_by_day(moment).items())
    ]
    own = _celebrated(text, rule, own_day(moment, None))
    return ibis.cases(*branches, else_=own) if branches else own


def _celebrated(text: ibis.Value, rule: r.Yearly, today: date) -> ibis.Value:
    found = celebrated(rule, today)
    short = (text.length() == 5) & text.isin(sorted(found.short))
    if found.whole is not None:
        return short | text.isin(sorted(found.whole))
    whole = text.re_search(r"^\d{4}-\d{2}-\d{2}$") & text.right(5).isin(sorted(found.short))
    return short | whole


def _snapshot(reader: Reader, wanted: Sequence[f.Measure], *, name: str) -> ibis.Table:
    rows = reader.snapshot(name)
    made: dict[str, ibis.Value] = {}
    for one in wanted:
        if isinstance(one, f.Tagged):
            found = rows[c.TAG] == one.tag
            value = (found & rows[c.VALUE].isin(one.values) if one.values else found).any()
        elif isinstance(one, f.Grouped):
            value = ((rows[c.SCHEME] == one.scheme) & (rows[c.SEGMENT] == one.segment)).any()
        else:
            mine = (rows[c.TASK] == one.task) & (rows[c.SUBJECT] == one.subject)
            value = rows[one.column].max(where=mine)
        made[column_of(one.text)] = value
    return rows.group_by(c.CUSTOMER_ID).agg(**made)


def _sequence(reader: Reader, wanted: f.Followed) -> ibis.Table:
    """The next row of `then` after each of `first`: one sort of the rows of both."""
    firsts = _step(reader, wanted.first, is_first=True)
    if wanted.start is not None:
        firsts = firsts.filter(firsts.at >= ibis.literal(wanted.start))
    thens = _step(reader, wanted.then, is_first=False)
    if wanted.start is not None:
        thens = thens.filter(thens.at > ibis.literal(wanted.start))
    rows = ibis.union(firsts, thens)
    # at the same time `then` sorts before `first`: what follows has to be later
    later = ibis.window(
        group_by=rows[c.CUSTOMER_ID], order_by=[rows.at, rows.is_first], rows=(1, None)
    )
    rows = rows.mutate(next_at=rows.then_at.min().over(later)).filter(lambda t: t.is_first)
    limit = rows.at + ibis.interval(seconds=wanted.within_s)
    soon = (rows.next_at <= limit).fill_null(False)
    met = soon if wanted.happens else ~soon & (limit <= ibis.literal(reader.moment.before))
    return rows.group_by(c.CUSTOMER_ID).agg(**{column_of(wanted.text): met.any()})


def _step(reader: Reader, step: r.Step, *, is_first: bool) -> ibis.Table:
    found = f.Extreme(step.table, step.where, "last")
    rows = _with_products(reader, reader.visible(step.table), [found], name=step.table)
    if step.where:
        rows = rows.filter(meets(rows, step.where, step.table))
    at = rows[time_of(step.table)]
    then = ibis.null("timestamp") if is_first else at
    return rows.select(
        c.CUSTOMER_ID,
        at=at.cast("timestamp(6)"),
        is_first=ibis.literal(is_first),
        then_at=then.cast("timestamp(6)"),
    )
