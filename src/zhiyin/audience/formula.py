"""What a rule asks for: measures of a customer, and tests of them.

The engine and the evaluator for one customer share all of this and differ only in how they get a
measure: as a column of an expression, or from her own rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import msgspec

from zhiyin.audience import rule as r
from zhiyin.audience.fields import CUSTOMERS, is_feature
from zhiyin.audience.moment import Moment


class _Measure(msgspec.Struct, frozen=True, tag=True):
    """A measure of a customer; its text tells it from others."""

    @property
    def text(self) -> bytes:
        """The measure as text: equal texts, equal measures (1 and true are equal in Python)."""
        return msgspec.json.encode(self)


class Total(_Measure, frozen=True):
    """A count, sum or number of different values over rows in [start, end); 0 for none."""

    table: r.Fact
    measure: str
    column: str
    where: tuple[r.Where, ...]
    start: datetime | None
    end: datetime


class Extreme(_Measure, frozen=True):
    """Time of the last (or first) row; none where there is no row."""

    table: r.Fact
    where: tuple[r.Where, ...]
    which: str


class Followed(_Measure, frozen=True):
    """Whether a row of `first` in [start, …) was followed by one of `then`, or surely was not."""

    first: r.Step
    then: r.Step
    within_s: int
    happens: bool
    start: datetime | None


class Attribute(_Measure, frozen=True):
    """Whether one of her records meets the condition."""

    where: r.Where


class FeatureValue(_Measure, frozen=True):
    """A feature of the day; none where it is missing."""

    name: str


class Tagged(_Measure, frozen=True):
    """Whether she has the tag, with one of the values where some are given."""

    tag: str
    values: tuple[str, ...] = ()


class Scored(_Measure, frozen=True):
    """A column of a score; none where she has no score."""

    task: str
    subject: str
    column: str


class Grouped(_Measure, frozen=True):
    """Whether she is in the segment."""

    scheme: str
    segment: str


class Dated(_Measure, frozen=True):
    """Whether one of her records has a date that is celebrated on the days."""

    rule: r.Yearly


class Listed(_Measure, frozen=True):
    """Whether she is on the list."""

    customers: tuple[str, ...]


Measure = (
    Total
    | Extreme
    | Followed
    | Attribute
    | FeatureValue
    | Tagged
    | Scored
    | Grouped
    | Dated
    | Listed
)


@dataclass(frozen=True)
class Compare:
    """A measure compared with a value; false where the measure is none."""

    measure: Measure
    op: r.Op
    value: Any = None


@dataclass(frozen=True)
class All:
    """Every part holds."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True)
class Some:
    """At least one part holds."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True)
class No:
    """The part does not hold."""

    part: Formula


Formula = Compare | All | Some | No
_SNAPSHOTS = {FeatureValue: "features", Tagged: "tags", Scored: "scores", Grouped: "memberships"}
SNAPSHOTS = frozenset(_SNAPSHOTS.values())


def formula(rule: r.Rule, moment: Moment) -> Formula:
    """The formula of a rule in which no other audience is named any more."""
    if isinstance(rule, r.And):
        return All(tuple(formula(inner, moment) for inner in rule.rules))
    if isinstance(rule, r.Or):
        return Some(tuple(formula(inner, moment) for inner in rule.rules))
    if isinstance(rule, r.Not):
        return No(formula(rule.rule, moment))
    return of_leaf(rule, moment)


def of_leaf(leaf: r.Leaf, moment: Moment) -> Formula:
    """The formula of one condition."""
    if isinstance(leaf, r.Trait):
        return _trait(leaf)
    if isinstance(leaf, r.Behaviour):
        return Compare(total_of(leaf, moment), leaf.op, leaf.value)
    if isinstance(leaf, r.Recency):
        last = Extreme(leaf.table, leaf.where, leaf.which)
        return Compare(last, "lt" if leaf.op == "more_than" else "ge", moment.start(leaf.days))
    if isinstance(leaf, r.Score):
        return Compare(Scored(leaf.task, leaf.subject, leaf.column), leaf.op, leaf.value)
    if isinstance(leaf, r.Sequence):
        start = None if leaf.days is None else moment.start(leaf.days)
        within = int(timedelta(days=leaf.within_days).total_seconds())
        found = Followed(leaf.first, leaf.then, within, leaf.happens, start)
        return Compare(found, "eq", True)
    if isinstance(leaf, r.Tag):
        return Compare(Tagged(leaf.tag, leaf.values), "eq", True)
    if isinstance(leaf, r.Segment):
        return Compare(Grouped(leaf.scheme, leaf.segment), "eq", True)
    if isinstance(leaf, r.Yearly):
        return Compare(Dated(leaf), "eq", True)
    if isinstance(leaf, r.Upload):
        return Compare(Listed(leaf.customers), "eq", True)
    raise TypeError(f"the audience {leaf.name!r} was not resolved")


def total_of(leaf: r.Behaviour, moment: Moment) -> Total:
    """What a condition on behaviour measures."""
    start = None if leaf.days is None else moment.start(leaf.days)
    end = moment.end(leaf.before_days)
    return Total(leaf.table, leaf.measure, leaf.column, leaf.where, start, end)


def _trait(leaf: r.Trait) -> Formula:
    """Of several records one must meet it; what denies must be true of all, and something known."""

    def one(op: r.Op, value: r.Value = None) -> Formula:
        if is_feature(leaf.field):
            return Compare(FeatureValue(leaf.field), op, value)
        return Compare(Attribute(r.Where(leaf.field, op, value)), "eq", True)

    if leaf.op == "missing":
        return No(one("exists"))
    if leaf.op in ("ne", "not_in"):
        return All((one("exists"), No(one("eq" if leaf.op == "ne" else "in", leaf.value))))
    return one(leaf.op, leaf.value)


def compares(made: Formula) -> Iterator[Compare]:
    """Every comparison of a formula."""
    if isinstance(made, Compare):
        yield made
    elif isinstance(made, No):
        yield from compares(made.part)
    else:
        for part in made.parts:
            yield from compares(part)


def measures(formulas: Sequence[Formula]) -> dict[bytes, Measure]:
    """Every different measure of the formulas, by its text."""
    return {one.measure.text: one.measure for made in formulas for one in compares(made)}


def sources(measure: Measure) -> tuple[str, ...]:
    """The tables that a measure reads, the one that its rows come from first."""
    if isinstance(measure, Total | Extreme):
        return (measure.table,)
    if isinstance(measure, Followed):
        return tuple(dict.fromkeys((measure.first.table, measure.then.table)))
    if isinstance(measure, Listed):
        return ()
    return (CUSTOMERS,) if isinstance(measure, Attribute | Dated) else (_SNAPSHOTS[type(measure)],)


def nothing(measure: Measure) -> Any:
    """What the measure is for somebody without any row."""
    if isinstance(measure, Total):
        return 0
    return None if isinstance(measure, Extreme | FeatureValue | Scored) else False


def is_open(made: Formula) -> bool:
    """Whether somebody without any row would be in: then only known people are asked."""
    lists = any(isinstance(one.measure, Listed) for one in compares(made))
    return lists or decide(made, nothing)


def decide(made: Formula, value_of: Callable[[Measure], Any]) -> bool:
    """Whether the formula holds for one customer."""
    if isinstance(made, Compare):
        return meets(value_of(made.measure), made.op, made.value)
    if isinstance(made, No):
        return not decide(made.part, value_of)
    if isinstance(made, All):
        return all(decide(part, value_of) for part in made.parts)
    return any(decide(part, value_of) for part in made.parts)


def meets(got: Any, op: r.Op, value: Any) -> bool:
    """Whether a known value meets the condition; one that is none meets `missing` only."""
    if op == "missing" or got is None:
        return op == "missing" and got is None
    return op == "exists" or _MEETS[op](got, value)


def _contains(got: str, value: str) -> bool:
    return value in got


_MEETS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda got, value: got == value,
    "ne": lambda got, value: got != value,
    "in": lambda got, value: got in cast("tuple[object, ...]", value),
    "not_in": lambda got, value: got not in cast("tuple[object, ...]", value),
    "gt": lambda got, value: got > value,
    "ge": lambda got, value: got >= value,
    "lt": lambda got, value: got < value,
    "le": lambda got, value: got <= value,
    "contains": _contains,
    "starts_with": str.startswith,
}
