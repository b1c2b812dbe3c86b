# pyright: basic, reportOperatorIssue=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.
"""Rules as one Ibis expression: every table is read once, whatever the number of rules."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import reduce
from typing import Any

import ibis
import msgspec
import pyarrow as pa

from zhiyin.audience import formula as f
from zhiyin.audience import rule as r
from zhiyin.audience.check import Vocabulary, check, resolve
from zhiyin.audience.measures import Reader, column_of, condition, groups_of, part_of
from zhiyin.audience.moment import moment_of
from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter

EVERYONE = ("customers", "features")
"""Tables that say who there is, besides those that a rule reads."""
SAMPLE = 10
_HAS = "has_"
KNOWN = "known"
_LISTED = "listed_id"


@dataclass(frozen=True)
class Preview:
    """How many are in, some of them (by id, which is a keyed hash), and the query."""

    size: int
    sample: tuple[str, ...]
    sql: str


@dataclass(frozen=True)
class Compiled:
    """Rules that were checked and joined with the audiences they name.

    `rules` holds them by name; a single rule has the name `audience`.
    """

    rules: Mapping[str, r.Rule] = field(default_factory=dict[str, r.Rule])

    def members(
        self,
        tables: Mapping[str, ibis.Table],
        *,
        as_of: date | datetime,
        zone: str,
        snapshot_on: date | None = None,
        name: str | None = None,
    ) -> ibis.Table:
        """Who is in the audience, as one expression.

        Parameters
        ----------
        tables
            What `store.read` gives, by name: those that the rules read, and `customers` and
            `features` where somebody of whom nothing else is known may be in.
        as_of
            Local day: rows with business time on or after its 00:00 never matter. Or an aware
            moment: then rows before it count, and windows begin on the same days.
        zone
            The workspace's IANA zone.
        snapshot_on
            Day of the features, tags, scores and segments to use; None: the (local) day.
        name
            Which audience, where there are several.

        Returns
        -------
        `customer_id`, one row each, in no order.

        Raises
        ------
        InvalidParameter
            If a table that the rules read was not given.
        """
        chosen = self._only(name)
        flags = Compiled({chosen: self.rules[chosen]}).flags(
            tables, as_of=as_of, zone=zone, snapshot_on=snapshot_on
        )
        return flags.filter(flags[chosen]).select(c.CUSTOMER_ID)

    def flags(
        self,
        tables: Mapping[str, ibis.Table],
        *,
        as_of: date | datetime,
        zone: str,
        snapshot_on: date | None = None,
    ) -> ibis.Table:
        """One row per customer who may be in an audience: `customer_id`, a boolean for each."""
        state = self.state(tables, as_of=as_of, zone=zone, snapshot_on=snapshot_on)
        return self.of_state(state, as_of=as_of, zone=zone)

    def state(
        self,
        tables: Mapping[str, ibis.Table],
        *,
        as_of: date | datetime,
        zone: str,
        snapshot_on: date | None = None,
        everyone: bool | None = None,
    ) -> ibis.Table:
        """What the rules measure, one row per customer: all that has to be read from the tables.

        Keep it (`cache`, or a table of your own) to ask many questions of a day: other limits, the
        same conditions joined in another way. Columns: `customer_id`, one per measure, named by its
        content, and `known` where anybody may be in: whether she is in `customers` or `features`.

        Parameters
        ----------
        everyone
            Whether all known people get a row; None: where a rule asks about all.
        """
        moment = moment_of(as_of, zone=zone)
        formulas = [f.formula(rule, moment) for rule in self.rules.values()]
        asked = any(f.is_open(made) for made in formulas) if everyone is None else everyone
        reader = Reader(tables, moment, snapshot_on or moment.day)
        return _join(reader, f.measures(formulas), everyone=asked)

    def of_state(self, state: ibis.Table, *, as_of: date | datetime, zone: str) -> ibis.Table:
        """What `flags` gives, from a state of the same day that has all that the rules measure.

        Raises
        ------
        InvalidParameter
            If the state lacks something that a rule measures.
        """
        moment = moment_of(as_of, zone=zone)
        made: dict[str, ibis.Value] = {}
        for name, rule in self.rules.items():
            formula = f.formula(rule, moment)
            columns = {text: column_of(text) for text in f.measures([formula])}
            is_open = f.is_open(formula)
            if not {*columns.values(), *([KNOWN] if is_open else [])} <= set(state.columns):
                raise InvalidParameter(
                    f"the state lacks something that the audience {name} measures",
                    hint="make the state with the same rules, day and zone",
                )
            value = _express(formula, {text: state[column] for text, column in columns.items()})
            made[name] = value & state[KNOWN] if is_open else value
        return state.select(c.CUSTOMER_ID, **made)

    def rows(self, tables: Mapping[str, ibis.Table], **at: object) -> ibis.Table:
        """Members of all audiences: `segment` (the audience's name), `customer_id`."""
        flags = self.flags(tables, **at)
        parts = [
            flags.filter(flags[name]).select(ibis.literal(name).name(c.SEGMENT), c.CUSTOMER_ID)
            for name in self.rules
        ]
        return ibis.union(*parts) if len(parts) > 1 else parts[0]

    def sql(self, tables: Mapping[str, ibis.Table], **at: object) -> str:
        """The query as text, to be read."""
        single = len(self.rules) == 1
        return str(ibis.to_sql(self.members(tables, **at) if single else self.flags(tables, **at)))

    def sizes(self, tables: Mapping[str, ibis.Table], **at: object) -> dict[str, int]:
        """How many are in each audience."""
        flags = self.flags(tables, **at)
        counted = flags.aggregate(**{name: flags[name].sum() for name in self.rules})
        row = counted.to_pyarrow().to_pylist()[0]
        return {name: int(row[name] or 0) for name in self.rules}

    def size(self, tables: Mapping[str, ibis.Table], **at: object) -> int:
        """How many are in the audience."""
        return self.sizes(tables, **at)[self._only(None)]

    def sample(
        self, tables: Mapping[str, ibis.Table], *, n: int = SAMPLE, **at: object
    ) -> tuple[str, ...]:
        """`n` of the members, the same ones whenever it is asked: ids are keyed hashes, so the
        first by id are no particular ones."""
        return self.preview(tables, n=n, **at).sample

    def preview(
        self, tables: Mapping[str, ibis.Table], *, n: int = SAMPLE, **at: object
    ) -> Preview:
        """Size and sample, from one query."""
        if not 0 <= n <= 10_000:
            raise InvalidParameter(f"n must be from 0 to 10000, not {n}")
        members = self.members(tables, **at)
        counted = members.mutate(n=members.count().over(ibis.window()))
        rows = counted.order_by(c.CUSTOMER_ID).limit(max(n, 1)).to_pyarrow()
        size = rows["n"][0].as_py() if rows.num_rows else 0
        sample = tuple(rows[c.CUSTOMER_ID].to_pylist()[:n])
        return Preview(size, sample, str(ibis.to_sql(members)))

    def _only(self, name: str | None) -> str:
        if name is None and len(self.rules) == 1:
            return next(iter(self.rules))
        if name is None or name not in self.rules:
            raise InvalidParameter(
                f"there is no audience {name!r} here" if name else "which of the audiences?",
                hint=f"name one of: {', '.join(self.rules)}",
            )
        return name


def compile(
    rule: r.Rule | str | bytes | dict[str, Any],
    *,
    audiences: Mapping[str, r.Rule] | None = None,
    vocabulary: Vocabulary | None = None,
) -> Compiled:
    """Check a rule and make it ready for an engine.

    Parameters
    ----------
    rule
        What `parse` gives, or what it takes: JSON text or its parsed values.
    audiences
        The rules of other audiences, by name, that it may name.
    vocabulary
        Which tags, segments and scores there are; None: any name is taken.

    Raises
    ------
    InvalidRule
        As `parse`; and if something it names does not exist, a value has the wrong type, a window
        is not 1 day or longer, `and` or `or` is empty, or audiences name each other in a circle.
    """
    parsed = rule if isinstance(rule, msgspec.Struct) else r.parse(rule)
    return compile_many({"audience": parsed}, audiences=audiences, vocabulary=vocabulary)


def compile_many(
    rules: Mapping[str, r.Rule],
    *,
    audiences: Mapping[str, r.Rule] | None = None,
    vocabulary: Vocabulary | None = None,
) -> Compiled:
    """Several rules at once: tables are read once for all of them. See `compile`.

    The rules may name each other.
    """
    if not rules:
        raise InvalidParameter("there is no rule to compile")
    known = dict(audiences or {}) | (dict(rules) if len(rules) > 1 else {})
    made: dict[str, r.Rule] = {}
    for name, rule in rules.items():
        check(rule, vocabulary=vocabulary)
        made[name] = resolve(rule, known, name=name if len(rules) > 1 else None)
    return Compiled(made)


def _join(reader: Reader, wanted: Mapping[bytes, f.Measure], *, everyone: bool) -> ibis.Table:
    """The measures beside each other, one row per customer."""
    groups, lists = groups_of(wanted.values())
    if everyone:
        given = [name for name in EVERYONE if name in reader.tables]
        groups = {name: [] for name in given} | groups
    parts: list[ibis.Table] = []
    for name, measures in groups.items():
        part = part_of(reader, measures, name=name)
        known = {_HAS + name: ibis.literal(True)} if everyone and name in EVERYONE else {}
        parts.append(part.mutate(**known) if known else part)
    marks = [_HAS + name for name in EVERYONE if everyone and name in groups]
    if not parts or (everyone and not marks):
        raise InvalidParameter(
            "no table says who there is", hint=f"give one of {', '.join(EVERYONE)}"
        )
    joined = reduce(_outer, parts)
    if marks:
        known = reduce(operator.or_, [joined[mark].notnull() for mark in marks])
        joined = joined.mutate(**{KNOWN: known}).drop(*marks)
    for measure in lists:
        ids = pa.table({_LISTED: pa.array(sorted(set(measure.customers)), pa.string())})
        listed = ibis.memtable(ids).mutate(**{column_of(measure.text): ibis.literal(True)})
        joined = joined.left_join(listed, [(c.CUSTOMER_ID, _LISTED)]).drop(_LISTED)
    return joined


def _outer(left: ibis.Table, right: ibis.Table) -> ibis.Table:
    other = f"{c.CUSTOMER_ID}_right"
    joined = left.outer_join(right, c.CUSTOMER_ID)
    customer = ibis.coalesce(joined[c.CUSTOMER_ID], joined[other])
    rest = [name for name in joined.columns if name not in (c.CUSTOMER_ID, other)]
    made = joined.select(customer.name(c.CUSTOMER_ID), *rest)
    # a filter that keeps all: Ibis would write a further join into this one, which has no coalesce
    return made.filter(made[c.CUSTOMER_ID].notnull())


def _express(made: f.Formula, columns: Mapping[bytes, ibis.Value]) -> ibis.Value:
    """The formula as a column that is never null."""
    if isinstance(made, f.Compare):
        empty = f.nothing(made.measure)
        got = columns[made.measure.text]
        if empty is False:
            return got.fill_null(False)
        got = got if empty is None else got.fill_null(empty)
        return condition(got, made.op, made.value).fill_null(False)
    if isinstance(made, f.No):
        return ~_express(made.part, columns)
    parts = [_express(part, columns) for part in made.parts]
    return reduce(operator.and_ if isinstance(made, f.All) else operator.or_, parts)
