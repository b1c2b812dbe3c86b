"""What a tag (标签) is: its labels, its place, its owner, and where its values come from.

A definition is JSON (`parse`, `dump`). Its `body` has a `kind`: a `fact` takes a value as it is, a
`rule` is one of `zhiyin.audience`, a `model` puts scores into levels or segments into groups, a
`manual` tag is given by a person. Whether what it names exists is checked by `tag_check`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, get_args

import msgspec

from zhiyin.audience.rule import Fact as FactTable
from zhiyin.audience.rule import Rule, explain_invalid, too_deep
from zhiyin.audience.rule import parse as parse_rule
from zhiyin.core.errors import InvalidRule

Source = Literal["attribute", "feature", "favourite", "last"]
ScoreColumn = Literal["score", "expected_profit_minor"]
Status = Literal["draft", "active", "retired"]
STATUSES: tuple[str, ...] = get_args(Status)
KINDS = ("fact", "rule", "model", "manual")


class _Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A frozen value that refuses unknown fields."""


class Level(_Node, frozen=True):
    """A value, and which numbers get it: those at or above `at_least`, or the `top_share` of all
    customers with a number, counted from the highest; with neither, the rest."""

    value: str
    at_least: float | None = None
    top_share: float | None = None


class FactTag(_Node, frozen=True, tag_field="kind", tag="fact"):
    """A value as it stands in the data.

    `attribute`: a column of `customers`, or `properties.KEY`, of her newest record that has it.
    `feature`: a feature of the day. `favourite`: of `field` of the rows of `table` in the last
    `days` (none: ever) the value with the most rows, or the largest sum of `sum_of`. `last`: the
    value of her last such row. With `levels` a number becomes a word.
    """

    source: Source
    field: str
    table: FactTable = "order_lines"
    days: int | None = None
    sum_of: str = ""
    levels: tuple[Level, ...] = ()


class RuleTag(_Node, frozen=True, tag_field="kind", tag="rule"):
    """Who meets the rule; `shows` names a feature whose value stands beside the tag."""

    rule: Rule
    shows: str = ""


class ModelTag(_Node, frozen=True, tag_field="kind", tag="model"):
    """A score in `levels`, or the segment of a `scheme`, put together in `groups`."""

    task: str = ""
    subject: str = ""
    column: ScoreColumn = "score"
    levels: tuple[Level, ...] = ()
    scheme: str = ""
    groups: dict[str, tuple[str, ...]] = {}


class ManualTag(_Node, frozen=True, tag_field="kind", tag="manual"):
    """Given and taken by people; with `values`, it is given with one of them."""

    values: tuple[str, ...] = ()


Body = FactTag | RuleTag | ModelTag | ManualTag


class Definition(_Node, frozen=True):
    """A tag as its owner describes it."""

    label: str
    label_zh: str
    body: Body
    owner: str = ""
    path: str = "own"
    start_on: date | None = None
    end_on: date | None = None

    @property
    def kind(self) -> str:
        """fact, rule, model or manual."""
        return str(self.body.__struct_config__.tag)


_FIELDS = sorted(
    {"kind"}
    | {name for kind in (*get_args(Body), Level, Definition) for name in kind.__struct_fields__}
)
_CHOICES = {
    "kind": KINDS, "source": get_args(Source), "column": get_args(ScoreColumn),
}  # fmt: skip


def parse(value: str | bytes | Mapping[str, Any]) -> Definition:
    """Read a definition from JSON text or from its parsed values.

    Raises
    ------
    InvalidRule
        If it is no JSON, or a field is unknown, missing or of the wrong type.
    """
    try:
        if isinstance(value, str | bytes):
            made = msgspec.json.decode(value, type=Definition)
        else:
            made = msgspec.convert(dict(value), type=Definition)
        if isinstance(made.body, RuleTag):
            parse_rule(msgspec.to_builtins(made.body.rule))  # refuses what is nested too deep
        return made
    except RecursionError:
        raise too_deep() from None
    except msgspec.ValidationError as error:
        raise explain_invalid(str(error), fields=_FIELDS, choices=_CHOICES) from None
    except msgspec.DecodeError as error:
        raise InvalidRule(
            f"the tag is no JSON: {error}",
            reason="no_json",
            hint='a tag looks like {"label": "City", "label_zh": "城市", "owner": "crm", '
            '"body": {"kind": "fact", "source": "attribute", "field": "city"}}',
        ) from None


def dump(definition: Definition) -> dict[str, Any]:
    """The definition as JSON values; `parse` gives it back."""
    return json.loads(msgspec.json.encode(definition))


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of definitions."""
    made = msgspec.json.schema(Definition)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def values_of(body: Body) -> tuple[str, ...]:
    """The values that the tag can have, where they are few and known; else none."""
    if isinstance(body, ManualTag):
        return body.values
    if isinstance(body, FactTag | ModelTag) and body.levels:
        return tuple(level.value for level in body.levels)
    return tuple(body.groups) if isinstance(body, ModelTag) else ()


def is_valued(body: Body) -> bool:
    """Whether the tag says something by its value, not only by being there."""
    return not isinstance(body, RuleTag) and not (isinstance(body, ManualTag) and not body.values)
