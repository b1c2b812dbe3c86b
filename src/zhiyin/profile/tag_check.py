"""Whether a tag says something that exists and fits, with what to do where it does not."""

from __future__ import annotations

import re
from collections.abc import Mapping

from zhiyin.audience import rule as r
from zhiyin.audience.check import Vocabulary
from zhiyin.audience.check import check as check_rule
from zhiyin.audience.fields import CUSTOMERS, Field, field_of, fields_of, is_feature, traits
from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidRule
from zhiyin.profile.definition import (
    Body,
    Definition,
    FactTag,
    Level,
    ManualTag,
    ModelTag,
    RuleTag,
    values_of,
)
from zhiyin.profile.lineage import in_order
from zhiyin.profile.tags import TAGS

_NAME = re.compile(r"[a-z][a-z0-9_]{0,79}")
_PATH = re.compile(r"[\w -]{1,40}(/[\w -]{1,40}){0,3}")
_MOST_VALUE = 120
SHIPPED = frozenset(tag.name for tag in TAGS)


def check(
    name: str,
    definition: Definition,
    *,
    vocabulary: Vocabulary,
    others: Mapping[str, Definition],
    audiences: Mapping[str, r.Rule],
) -> None:
    """Refuse a tag that names what does not exist, or can never be meant.

    Parameters
    ----------
    vocabulary
        Tags, segments and scores that there are.
    others
        The other tags of the catalogue that are not retired, by name.
    audiences
        The rules of the audiences, by name.

    Raises
    ------
    InvalidRule
        With the place, the reason and what to do: an odd name, an unknown field, score, scheme or
        tag, levels on what is no number, levels out of order, tags in a circle.
    """
    _check_head(name, definition)
    body = definition.body
    if isinstance(body, FactTag):
        _check_fact(body)
    elif isinstance(body, ModelTag):
        _check_model(body, vocabulary)
    elif isinstance(body, RuleTag):
        check_rule(body.rule, vocabulary=vocabulary, path="$.body.rule")
        check_values(body.rule, {**others, name: definition}, path="$.body.rule")
        if body.shows and not is_feature(body.shows):
            raise _wrong(
                "$.body.shows", f"there is no feature {body.shows!r}", "unknown_field",
                r.did_you_mean(body.shows, traits()) or "docs/reference/features.md lists them",
            )  # fmt: skip
    else:
        _check_distinct(body.values, "$.body.values")
    in_order({**others, name: definition}, audiences)


def check_values(rule: r.Rule, tags: Mapping[str, Definition], *, path: str = "$") -> None:
    """Refuse a rule that asks a tag for a value that it never has.

    Raises
    ------
    InvalidRule
        With the values that the tag has.
    """
    for where, leaf in r.leaves(rule, path=path):
        if isinstance(leaf, r.Tag) and leaf.values and leaf.tag in tags:
            known = values_of(tags[leaf.tag].body)
            unknown = [value for value in leaf.values if value not in known]
            if known and unknown:
                raise _wrong(
                    f"{where}.values", f"the tag {leaf.tag!r} has no value {unknown[0]!r}",
                    "unknown_value", f"values: {', '.join(known)}",
                )  # fmt: skip


def values_asked(name: str, rules: Mapping[str, r.Rule]) -> dict[str, str]:
    """Value of the tag → one of the rules, by its name, that asks for it."""
    return {
        value: user
        for user, rule in rules.items()
        for _, leaf in r.leaves(rule)
        if isinstance(leaf, r.Tag) and leaf.tag == name
        for value in leaf.values
    }


def check_still_asked(name: str, body: Body, rules: Mapping[str, r.Rule]) -> None:
    """Refuse a change after which somebody would ask the tag for a value that it never has.

    Raises
    ------
    InvalidRule
        With the value, and who asks for it.
    """
    asked, known = values_asked(name, rules), values_of(body)
    lost = sorted(value for value in asked if known and value not in known)
    if lost:
        raise _wrong(
            "$.body", f"the value {lost[0]!r} of {name!r} is asked for by {asked[lost[0]]!r}",
            "value_in_use", f"keep the value, or change {asked[lost[0]]!r} first",
        )  # fmt: skip


def check_given(definition: Definition, name: str, value: str | None) -> None:
    """Refuse to give by hand what is no manual tag, or a value that it does not have.

    Raises
    ------
    InvalidRule
        With what can be given.
    """
    body = definition.body
    if not isinstance(body, ManualTag):
        raise _wrong(
            "$", f"{name!r} is a {definition.kind} tag: it is computed, nobody gives it",
            "not_manual", "make a manual tag: zhiyin tags create",
        )  # fmt: skip
    if body.values and value not in body.values:
        said = f"{name!r} has no value {value!r}" if value else f"{name!r} is given with a value"
        raise _wrong("$.value", said, "unknown_value", f"values: {', '.join(body.values)}")
    if value and not body.values:
        raise _wrong("$.value", f"{name!r} takes no value", "wrong_type", "leave the value out")


def _check_head(name: str, definition: Definition) -> None:
    if not _NAME.fullmatch(name):
        raise _wrong(
            "$.name", f"{name[:100]!r} is no name of a tag", "wrong_value",
            "1 to 80 small letters, digits and _, a letter first",
        )  # fmt: skip
    if name in SHIPPED:
        raise _wrong(
            "$.name", f"the tag {name!r} comes with Zhiyin", "name_taken",
            "it cannot be changed: give yours another name",
        )  # fmt: skip
    for field in ("label", "label_zh"):
        if not 1 <= len(getattr(definition, field).strip()) <= _MOST_VALUE:
            raise _wrong(
                f"$.{field}", "a label has 1 to 120 characters", "wrong_value",
                "what people read, in English (label) and Chinese (label_zh)",
            )  # fmt: skip
    if not _PATH.fullmatch(definition.path):
        raise _wrong(
            "$.path", f"{definition.path[:100]!r} is no place in the tree", "wrong_value",
            "one to four words with / between them, for example value/risk",
        )  # fmt: skip
    if len(definition.owner) > 80:
        raise _wrong("$.owner", "an owner has at most 80 characters", "wrong_value", "a team")
    first, last = definition.start_on, definition.end_on
    if first and last and last < first:
        raise _wrong(
            "$.end_on", f"the last day {last} is before the first {first}", "bad_window",
            "exchange them",
        )  # fmt: skip


def _check_fact(body: FactTag) -> None:
    where = "$.body.field"
    if body.source == "feature":
        if not is_feature(body.field):
            raise _wrong(
                where, f"there is no feature {body.field!r}", "unknown_field",
                r.did_you_mean(body.field, traits()) or "docs/reference/features.md lists them",
            )  # fmt: skip
        found = Field(body.field, "own", "number")
    else:
        table = CUSTOMERS if body.source == "attribute" else body.table
        found = _field(table, body.field, where)
    plain = body.source in ("attribute", "feature")
    if plain and (body.days is not None or body.sum_of or body.table != "order_lines"):
        raise _wrong(
            "$.body", f"{body.source!r} takes no table, no days and no sum_of", "wrong_value",
            "use favourite or last, or leave them out",
        )  # fmt: skip
    if not plain and found.place == "property":
        raise _wrong(
            where, f"{body.field!r} is a key of properties", "wrong_value",
            f"name a column of {body.table} or of its products",
        )  # fmt: skip
    if body.days is not None and not 1 <= body.days <= r.MAX_DAYS:
        raise _wrong(
            "$.body.days", f"a window of {body.days} days", "bad_window",
            f"give a whole number of days from 1 to {r.MAX_DAYS}",
        )  # fmt: skip
    if body.sum_of:
        summed = _field(body.table, body.sum_of, "$.body.sum_of")
        if body.source != "favourite" or summed.kind != "number" or summed.place != "own":
            raise _wrong(
                "$.body.sum_of", f"{body.sum_of!r} cannot be summed here", "wrong_type",
                "a number of the row, for a favourite",
            )  # fmt: skip
    if body.levels and found.kind not in ("number", "any"):
        raise _wrong(
            "$.body.levels", f"{body.field!r} is text: levels are for numbers", "wrong_type",
            "leave the levels out, or name a number",
        )  # fmt: skip
    _check_levels(body.levels)


def _check_model(body: ModelTag, known: Vocabulary) -> None:
    if bool(body.task) == bool(body.scheme):
        raise _wrong(
            "$.body", "a model tag has either a task or a scheme", "wrong_value",
            'a score: "task" and "levels"; a segment: "scheme"',
        )  # fmt: skip
    if body.task:
        _known(body.task, known.tasks, "$.body.task", "score")
        if not body.levels or body.groups:
            raise _wrong(
                "$.body.levels", "a score becomes a tag by levels", "missing_field",
                '"levels": [{"value": "high", "top_share": 0.1}, {"value": "other"}]',
            )  # fmt: skip
        _check_levels(body.levels)
        return
    if body.levels:
        raise _wrong("$.body.levels", "segments have no levels", "wrong_type", 'use "groups"')
    pairs = known.segments
    schemes = None if pairs is None else sorted({scheme for scheme, _ in pairs})
    _known(body.scheme, schemes, "$.body.scheme", "scheme")
    held = None if pairs is None else {one for scheme, one in pairs if scheme == body.scheme}
    listed = [one for group in body.groups.values() for one in group]
    for one in listed:
        _known(one, held, "$.body.groups", "segment")
    _check_distinct(tuple(listed), "$.body.groups")


def _check_levels(levels: tuple[Level, ...]) -> None:
    _check_distinct(tuple(level.value for level in levels), "$.body.levels")
    bounds = [(level.at_least, level.top_share) for level in levels]
    for place, (least, share) in enumerate(bounds):
        where, last = f"$.body.levels[{place}]", place == len(bounds) - 1
        if (least is None) == (share is None) and not (last and least is None):
            raise _wrong(
                where, "a level has either at_least or top_share", "wrong_value",
                "only the last may have neither: it takes the rest",
            )  # fmt: skip
        if share is not None and not 0 < share <= 1:
            raise _wrong(where, f"top_share {share} is no share", "wrong_value", "above 0, up to 1")
        before = bounds[place - 1] if place else (None, None)
        mixed = place and (least, share) != (None, None) and (before[0] is None) != (least is None)
        falls = least is not None and before[0] is not None and least >= before[0]
        grows = share is not None and before[1] is not None and share <= before[1]
        if mixed or falls or grows:
            raise _wrong(
                where, "levels go from the highest down, all of one kind", "wrong_value",
                "at_least falls; top_share grows, counted from the highest",
            )  # fmt: skip


def _check_distinct(values: tuple[str, ...], where: str) -> None:
    for value in values:
        if not 1 <= len(value) <= _MOST_VALUE or values.count(value) > 1:
            raise _wrong(
                where, f"the value {value[:80]!r} is empty, too long or there twice",
                "wrong_value", "1 to 120 characters, each once",
            )  # fmt: skip


def _field(table: str, name: str, where: str) -> Field:
    found = field_of(table, name)
    if found is None:
        names = list(fields_of(table))
        raise _wrong(
            where, f"{table} has no column {name!r} to ask for", "unknown_field",
            r.did_you_mean(name, names) or f"columns: {', '.join(names)}, {c.PROPERTIES}.KEY",
        )  # fmt: skip
    return found


def _known(name: str, known, where: str, what: str) -> None:
    if known is not None and name not in known:
        hint = r.did_you_mean(name, sorted(known))
        hint = hint or f"there are: {', '.join(sorted(known)[:20]) or 'none yet'}"
        raise _wrong(where, f"there is no {what} {name!r}", f"unknown_{what}", hint)


def _wrong(where: str, said: str, reason: str, hint: str) -> InvalidRule:
    return InvalidRule(f"{where}: {said}", reason=reason, where=where, hint=hint)
