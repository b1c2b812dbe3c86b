"""Rules: who belongs to an audience, as a tree of frozen values that is read from JSON.

A rule is JSON with a `type`: `and`, `or`, `not` join others; the rest are conditions. `parse` reads
one, `dump` writes it, `schema` gives its JSON Schema. What a rule means is said in
`docs/audience.md`; what it may name is checked by `check.check`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Literal, get_args

import msgspec

from zhiyin.core.errors import InvalidRule

Op = Literal[
    "eq", "ne", "in", "not_in", "gt", "ge", "lt", "le",
    "contains", "starts_with", "exists", "missing",
]  # fmt: skip
NumberOp = Literal["eq", "ne", "gt", "ge", "lt", "le"]
Scalar = str | int | float | bool
Value = str | int | float | bool | tuple[str | int | float | bool, ...] | None
Fact = Literal["order_lines", "orders", "events", "item_events", "touches", "texts"]

LOOK_ALIKE = "look_alike"
"""Task of scores that say how like the people of an audience, their subject, somebody is."""
MAX_DAYS = 36_500
MAX_DEPTH = 40


class _Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A frozen value that refuses unknown fields."""


class Where(_Node, frozen=True):
    """A condition on one row: `column` may be of the row, of its product, or `properties.KEY`."""

    column: str
    op: Op = "eq"
    value: Value = None


class And(_Node, frozen=True, tag_field="type", tag="and"):
    """All of `rules` hold."""

    rules: tuple[Rule, ...]


class Or(_Node, frozen=True, tag_field="type", tag="or"):
    """At least one of `rules` holds."""

    rules: tuple[Rule, ...]


class Not(_Node, frozen=True, tag_field="type", tag="not"):
    """`rule` does not hold."""

    rule: Rule


class Trait(_Node, frozen=True, tag_field="type", tag="trait"):
    """An attribute: a column of `customers`, `properties.KEY` there, or a feature of the day.

    Somebody with several records meets it when one of them does; `ne`, `not_in` and `missing` must
    be true of all of them. What is unknown meets `missing` only.
    """

    field: str
    op: Op = "eq"
    value: Value = None


class Tag(_Node, frozen=True, tag_field="type", tag="tag"):
    """She has the tag, with one of `values` where some are given."""

    tag: str
    values: tuple[str, ...] = ()


class Score(_Node, frozen=True, tag_field="type", tag="score"):
    """What a model expects of her: `score`, `rank` (1 = highest) or `expected_profit_minor`."""

    task: str
    op: NumberOp
    value: int | float
    subject: str = ""
    column: Literal["score", "rank", "expected_profit_minor"] = "score"


class Segment(_Node, frozen=True, tag_field="type", tag="segment"):
    """She is in the segment of a scheme (rfm, clusters)."""

    scheme: str
    segment: str


class Behaviour(_Node, frozen=True, tag_field="type", tag="behaviour"):
    """How often, or how much: rows of a table in a window of local days.

    The window begins at 00:00 `days` days before the day (none: at the beginning) and ends
    `before_days` days before it. `measure`: `count` of rows, `sum` of `column` or its number of
    `distinct` values. Who has no such row counts 0.
    """

    table: Fact
    op: NumberOp
    value: int | float
    measure: Literal["count", "sum", "distinct"] = "count"
    column: str = ""
    where: tuple[Where, ...] = ()
    days: int | None = None
    before_days: int = 0


class Recency(_Node, frozen=True, tag_field="type", tag="recency"):
    """The last (or first) such row is `more_than` or `at_most` `days` local days ago.

    Who has none meets neither.
    """

    table: Fact
    op: Literal["more_than", "at_most"]
    days: int
    where: tuple[Where, ...] = ()
    which: Literal["last", "first"] = "last"


class Step(_Node, frozen=True):
    """Rows of a table, as part of a sequence."""

    table: Fact
    where: tuple[Where, ...] = ()


class Sequence(_Node, frozen=True, tag_field="type", tag="sequence"):
    """She did `first` in the window of `days`, and `then` followed within `within_days`.

    These are days of 24 hours. With `happens` false it did not follow, and the time is over.
    """

    first: Step
    then: Step
    within_days: int
    happens: bool = True
    days: int | None = None


class Yearly(_Node, frozen=True, tag_field="type", tag="yearly"):
    """A yearly date of hers falls `from_days` to `to_days` days from today on her own calendar.

    `field` is a column of `customers` with a date (`birthday`) or `properties.KEY`: `YYYY-MM-DD`,
    or `MM-DD` without its year. Who was born on 29 February celebrates on `leap_day` in other
    years. In the lunar calendar `YYYY-MM-DD` is the solar date of birth, `MM-DD` a lunar month and
    day; born in a leap month: celebrated in the month of that number; born on the 30th of a month
    that has 29 days this year: on the 29th.
    """

    field: str
    from_days: int = 0
    to_days: int | None = None
    calendar: Literal["solar", "lunar"] = "solar"
    leap_day: Literal["02-28", "03-01"] = "02-28"


class Audience(_Node, frozen=True, tag_field="type", tag="audience"):
    """She is in another audience, by name."""

    name: str


class Upload(_Node, frozen=True, tag_field="type", tag="upload"):
    """She is on a list of customer ids."""

    customers: tuple[str, ...]


Rule = (
    And | Or | Not | Trait | Tag | Score | Segment | Behaviour | Recency | Sequence | Yearly
    | Audience | Upload
)  # fmt: skip
Leaf = Trait | Tag | Score | Segment | Behaviour | Recency | Sequence | Yearly | Audience | Upload
TYPES: tuple[str, ...] = tuple(kind.__struct_config__.tag for kind in get_args(Rule))
_CHOICES: dict[str, tuple[str, ...]] = {
    "table": get_args(Fact), "op": (*get_args(Op), "more_than", "at_most"),
    "measure": ("count", "sum", "distinct"), "which": ("last", "first"),
    "calendar": ("solar", "lunar"), "leap_day": ("02-28", "03-01"),
    "column": ("score", "rank", "expected_profit_minor"),
}  # fmt: skip
_FIELDS = sorted(
    {name for kind in (*get_args(Rule), Where, Step) for name in kind.__struct_fields__} | {"type"}
)


def parse(value: str | bytes | dict[str, Any]) -> Rule:
    """Read a rule from JSON text or from its parsed values.

    Raises
    ------
    InvalidRule
        If it is no JSON, a field is unknown, missing or of the wrong type, or it is nested deeper
        than `MAX_DEPTH`.
    """
    try:
        if isinstance(value, str | bytes):
            rule = msgspec.json.decode(value, type=Rule)
        else:
            rule = msgspec.convert(value, type=Rule)
    except msgspec.ValidationError as error:
        raise explain_invalid(str(error)) from None
    except msgspec.DecodeError as error:
        raise InvalidRule(
            f"the rule is no JSON: {error}",
            reason="no_json",
            hint='a rule looks like {"type": "tag", "tag": "weekly"}',
        ) from None
    except RecursionError:
        raise too_deep() from None
    if _depth(rule) > MAX_DEPTH:
        raise too_deep()
    return rule


def dump(rule: Rule) -> str:
    """The rule as JSON; `parse` gives it back."""
    return msgspec.json.encode(rule).decode()


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of rules."""
    made = msgspec.json.schema(Rule)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def leaves(rule: Rule, *, path: str = "$") -> Iterator[tuple[str, Leaf]]:
    """Every condition of the tree with its path."""
    if isinstance(rule, And | Or):
        for place, inner in enumerate(rule.rules):
            yield from leaves(inner, path=f"{path}.rules[{place}]")
    elif isinstance(rule, Not):
        yield from leaves(rule.rule, path=f"{path}.rule")
    else:
        yield path, rule


def _depth(rule: Rule) -> int:
    if isinstance(rule, And | Or):
        return 1 + max((_depth(inner) for inner in rule.rules), default=0)
    return 1 + _depth(rule.rule) if isinstance(rule, Not) else 1


def too_deep() -> InvalidRule:
    """What is said of a rule that is nested too deep."""
    return InvalidRule(
        f"the rule is nested deeper than {MAX_DEPTH}", reason="too_deep",
        hint="give a part a name of its own and use it as an audience",
    )  # fmt: skip


def explain_invalid(
    said: str, *, fields: Iterable[str] = (), choices: Mapping[str, tuple[str, ...]] | None = None
) -> InvalidRule:
    """What msgspec found in a rule, or in what holds one, with a hint.

    Parameters
    ----------
    said
        Text of msgspec's `ValidationError`.
    fields, choices
        Names of further fields that may be meant, and the values that some of them take.
    """
    said, _, where = said.partition(" - at `")
    where = where.rstrip("`") or "$"
    quoted = re.findall(r"[`']([^`']*)[`']", said)
    name = quoted[0] if quoted else ""
    if "unknown field" in said:
        return InvalidRule(
            f"{where}: a rule has no field {name!r}", reason="unknown_field", where=where,
            hint=did_you_mean(name, known := [*fields, *_FIELDS])
            or f"fields: {', '.join(sorted(set(known)))}",
        )  # fmt: skip
    listed = (_CHOICES | dict(choices or {})).get(re.split(r"[.\[\]]", where)[-1], ())
    if said.startswith("Invalid value") and where.endswith(".type"):
        return InvalidRule(
            f"{where}: there is no type of rule {name!r}", reason="unknown_type", where=where,
            hint=did_you_mean(name, TYPES) or f"types: {', '.join(TYPES)}",
        )  # fmt: skip
    if "missing required field" in said:
        return InvalidRule(
            f"{where}: the field {name!r} is missing", reason="missing_field", where=where,
            hint=f"add {name!r}",
        )  # fmt: skip
    if said.startswith("Expected"):
        return InvalidRule(f"{where}: {said.lower()}", reason="wrong_type", where=where)
    if "enum value" in said or (said.startswith("Invalid value") and listed):
        return InvalidRule(
            f"{where}: {name!r} cannot stand here", reason="wrong_value", where=where,
            hint=f"one of: {', '.join(listed)}",
        )  # fmt: skip
    return InvalidRule(f"{where}: {said[:1].lower()}{said[1:]}", reason="wrong_value", where=where)


def did_you_mean(name: str, known: tuple[str, ...] | list[str]) -> str:
    """A hint that names the closest of `known`; empty where none is close."""
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""
