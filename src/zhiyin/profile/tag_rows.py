# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.
"""Who has which tag with which value on a day: one Ibis expression per tag, rules in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import ibis
import pyarrow as pa

from zhiyin.audience import compile_many
from zhiyin.audience import rule as r
from zhiyin.audience.fields import CUSTOMERS, PRODUCTS, field_of, time_of
from zhiyin.audience.measures import Reader
from zhiyin.audience.moment import moment_of
from zhiyin.core import columns as c
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import TAGS
from zhiyin.profile.definition import Definition, FactTag, Level, ModelTag, RuleTag

_PLACE, _BY = "place", "by"


@dataclass(frozen=True)
class Day:
    """A day as tags see it: what `store.read` gives of every table that they read, by name."""

    as_of: date
    zone: str
    tables: Mapping[str, ibis.Table]

    @property
    def reader(self) -> Reader:
        """The tables before the day's 00:00; snapshots are those of the day."""
        return Reader(self.tables, moment_of(self.as_of, zone=self.zone), self.as_of)


def reads(definition: Definition) -> set[str]:
    """Names of the tables that a fact or model tag reads."""
    body = definition.body
    if isinstance(body, ModelTag):
        return {"memberships" if body.scheme else "scores"}
    if not isinstance(body, FactTag) or body.source == "attribute":
        return {CUSTOMERS}
    if body.source == "feature":
        return {"features"}
    found = field_of(body.table, body.field)
    return {body.table} | ({PRODUCTS} if found is not None and found.place == "product" else set())


def people(day: Day) -> ibis.Table:
    """Everybody who can have a tag: `customer_id` of `customers` and of the day's `features`."""
    parts = []
    if CUSTOMERS in day.tables:
        parts.append(day.reader.visible(CUSTOMERS).select(c.CUSTOMER_ID))
    if "features" in day.tables:
        parts.append(day.reader.snapshot("features").select(c.CUSTOMER_ID))
    return ibis.union(*parts).distinct() if len(parts) > 1 else parts[0].distinct()


def valued(definition: Definition, day: Day) -> ibis.Table:
    """`customer_id`, `value` (text) of a fact or model tag: one row for each who has it."""
    body = definition.body
    if isinstance(body, ModelTag):
        return _segments(body, day) if body.scheme else _score(body, day)
    assert isinstance(body, FactTag)  # noqa: S101  the two kinds that have values of the data
    if body.source == "feature":
        rows = day.reader.snapshot("features")
        rows = rows.filter(rows[body.field].notnull())
        return _levelled(rows.select(c.CUSTOMER_ID, **{_BY: rows[body.field]}), body.levels)
    if body.source == "attribute":
        return _attribute(body, day)
    return _favourite(body, day) if body.source == "favourite" else _last(body, day)


def rule_rows(
    rules: Mapping[str, RuleTag], day: Day, *, audiences: Mapping[str, r.Rule]
) -> dict[str, pa.Table]:
    """Who meets each rule: tag → `customer_id`, `value`; every table is read once for all."""
    compiled = compile_many({name: tag.rule for name, tag in rules.items()}, audiences=audiences)
    flags = compiled.flags(day.tables, as_of=day.as_of, zone=day.zone)
    shown = sorted({tag.shows for tag in rules.values() if tag.shows})
    if shown:
        features = day.reader.snapshot("features").select(c.CUSTOMER_ID, *shown)
        texts = {f"show_{name}": features[name].cast("string") for name in shown}
        joined = flags.left_join(features.select(c.CUSTOMER_ID, **texts), c.CUSTOMER_ID)
        flags = joined.drop(f"{c.CUSTOMER_ID}_right")
    rows = flags.to_pyarrow()
    made = {}
    for name, tag in rules.items():
        mine = rows.filter(rows[name])
        value = mine[f"show_{tag.shows}"] if tag.shows else pa.nulls(mine.num_rows, pa.string())
        made[name] = pa.table({c.CUSTOMER_ID: mine[c.CUSTOMER_ID], c.VALUE: value})
    return made


def as_tags(rows: pa.Table, name: str, *, as_of: date, kind: str, version: int) -> pa.Table:
    """Rows of table `tags` from `customer_id` and `value`."""
    n = rows.num_rows
    return pa.table(
        {
            c.AS_OF_ON: pa.array([as_of] * n, pa.date32()),
            c.CUSTOMER_ID: rows[c.CUSTOMER_ID],
            c.TAG: pa.array([name] * n, pa.string()),
            c.VALUE: rows[c.VALUE].cast(pa.string()),
            c.KIND: pa.array([kind] * n, pa.string()),
            c.VERSION: pa.array([version] * n, pa.int64()),
        },
        schema=arrow_schema(TAGS),
    )


def given(entries: ibis.Table, parties: ibis.Table) -> ibis.Table:
    """Who has a manual tag: the last entry of each customer counts.

    Parameters
    ----------
    entries
        Entries that hold on the day: `entry_id`, `tag`, `party_id`, `given`, `value`, `start_on`
        and whether the tag `ended`.
    parties
        `party_id`, `customer_id` on the day.

    Returns
    -------
    `tag`, `customer_id`, `value`.
    """
    known = parties.filter(parties[c.CUSTOMER_ID].notnull()).distinct()
    mine = entries.inner_join(known, c.PARTY_ID)
    order = [ibis.desc(mine[c.START_ON]), ibis.desc(mine[c.ENTRY_ID])]
    window = ibis.window(group_by=[mine[c.TAG], mine[c.CUSTOMER_ID]], order_by=order)
    last = mine.mutate(**{_PLACE: ibis.row_number().over(window)})
    held = last.filter((last[_PLACE] == 0) & last[c.GIVEN] & ~last["ended"])
    return held.select(c.TAG, c.CUSTOMER_ID, c.VALUE)


def _attribute(body: FactTag, day: Day) -> ibis.Table:
    rows = day.reader.visible(CUSTOMERS)
    found = field_of(CUSTOMERS, body.field)
    if found is not None and found.place == "property":
        held = rows[c.PROPERTIES].cast("json")[found.name]
        number = ibis.coalesce(held.float, held.str.try_cast("float64"))
        text = ibis.coalesce(held.str, held.float.cast("string"), held.bool.cast("string"))
        value = number if body.levels else text
    else:
        value = rows[body.field]
    rows = rows.select(c.CUSTOMER_ID, c.VALID_AT, c.PARTY_ID, **{_BY: value})
    rows = rows.filter(rows[_BY].notnull())
    newest = _first(rows, [ibis.desc(rows[c.VALID_AT]), rows[c.PARTY_ID]])
    return _levelled(newest.select(c.CUSTOMER_ID, _BY), body.levels)


def _favourite(body: FactTag, day: Day) -> ibis.Table:
    rows = _facts(body, day)
    amount = rows[body.sum_of].sum() if body.sum_of else rows.count()
    sums = rows.group_by([c.CUSTOMER_ID, _BY]).agg(amount=amount)
    sums = sums.filter(sums.amount > 0)
    return _levelled(
        _first(sums, [ibis.desc(sums.amount), sums[_BY]]).select(c.CUSTOMER_ID, _BY), body.levels
    )


def _last(body: FactTag, day: Day) -> ibis.Table:
    rows = _facts(body, day)
    last = _first(rows, [ibis.desc(rows[time_of(body.table)]), rows[_BY]])
    return _levelled(last.select(c.CUSTOMER_ID, _BY), body.levels)


def _facts(body: FactTag, day: Day) -> ibis.Table:
    """Rows of the window that have the value, as column `by`."""
    reader = day.reader
    rows = reader.visible(body.table)
    if body.days is not None:
        rows = rows.filter(
            rows[time_of(body.table)] >= ibis.literal(reader.moment.start(body.days))
        )
    if body.table == "order_lines" and c.KIND in rows.columns and body.field != c.KIND:
        rows = rows.filter(rows[c.KIND] == "item")
    found = field_of(body.table, body.field)
    if found is not None and found.place == "product":
        products = reader.visible(PRODUCTS)
        known = products.select(c.PRODUCT_ID, **{_BY: products[body.field]})
        rows = rows.inner_join(known, c.PRODUCT_ID)
    else:
        rows = rows.mutate(**{_BY: rows[body.field]})
    return rows.filter(rows[_BY].notnull())


def _first(rows: ibis.Table, order: Sequence[ibis.Value]) -> ibis.Table:
    window = ibis.window(group_by=rows[c.CUSTOMER_ID], order_by=list(order))
    placed = rows.mutate(**{_PLACE: ibis.row_number().over(window)})
    return placed.filter(placed[_PLACE] == 0)


def _score(body: ModelTag, day: Day) -> ibis.Table:
    rows = day.reader.snapshot("scores")
    mine = rows.filter(
        (rows[c.TASK] == body.task)
        & (rows[c.SUBJECT] == body.subject)
        & rows[body.column].notnull()
    )
    return _levelled(mine.select(c.CUSTOMER_ID, **{_BY: mine[body.column]}), body.levels)


def _segments(body: ModelTag, day: Day) -> ibis.Table:
    rows = day.reader.snapshot("memberships")
    mine = rows.filter(rows[c.SCHEME] == body.scheme)
    value = mine[c.SEGMENT]
    if body.groups:
        branches = [(value.isin(list(held)), group) for group, held in body.groups.items()]
        value = ibis.cases(*branches, else_=ibis.null("string"))
    named = mine.select(c.CUSTOMER_ID, **{c.VALUE: value})
    return named.filter(named[c.VALUE].notnull())


def _levelled(rows: ibis.Table, levels: Sequence[Level]) -> ibis.Table:
    """`customer_id`, `value`: `by` as text, or the first level that it reaches."""
    if not levels:
        return rows.select(c.CUSTOMER_ID, **{c.VALUE: rows[_BY].cast("string")})
    if any(level.top_share is not None for level in levels):
        order = [ibis.desc(rows[_BY]), rows[c.CUSTOMER_ID]]
        place = ibis.row_number().over(ibis.window(order_by=order))
        rows = rows.mutate(**{_PLACE: place / rows.count().over(ibis.window())})
    branches = [
        (
            rows[_BY] >= level.at_least
            if level.at_least is not None
            else rows[_PLACE] < level.top_share,
            level.value,
        )
        for level in levels
        if (level.at_least, level.top_share) != (None, None)
    ]
    rest = levels[-1] if (levels[-1].at_least, levels[-1].top_share) == (None, None) else None
    other = ibis.literal(rest.value) if rest else ibis.null("string")
    named = rows.select(
        c.CUSTOMER_ID, **{c.VALUE: ibis.cases(*branches, else_=other) if branches else other}
    )
    return named.filter(named[c.VALUE].notnull())
