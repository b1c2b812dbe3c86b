"""Whether a rule says something that exists, and the audiences it names put in their place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from zhiyin.audience import rule as r
from zhiyin.audience.fields import CUSTOMERS, Field, field_of, fields_of, is_feature, traits
from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidRule
from zhiyin.core.tables import table as table_of

_NUMBERS = ("gt", "ge", "lt", "le")
_TEXTS = ("contains", "starts_with")


@dataclass(frozen=True)
class Vocabulary:
    """What there is in a workspace; None: not known, so any name is taken.

    `segments` are pairs of scheme and segment, `tasks` names of scores, `dates` further columns of
    `customers` with dates that yearly conditions may name.
    """

    tags: Collection[str] | None = None
    segments: Collection[tuple[str, str]] | None = None
    tasks: Collection[str] | None = None
    dates: Collection[str] = (c.BIRTHDAY,)


def check(rule: r.Rule, *, vocabulary: Vocabulary | None = None, path: str = "$") -> None:
    """Refuse a rule that names what does not exist or can never be meant.

    Raises
    ------
    InvalidRule
        With the place, the reason and what to do.
    """
    if isinstance(rule, r.And | r.Or):
        if not rule.rules:
            word = "and" if isinstance(rule, r.And) else "or"
            raise _wrong(path, f"{word!r} joins no rules", "empty_group", "give at least one rule")
        for place, inner in enumerate(rule.rules):
            check(inner, vocabulary=vocabulary, path=f"{path}.rules[{place}]")
    elif isinstance(rule, r.Not):
        check(rule.rule, vocabulary=vocabulary, path=f"{path}.rule")
    else:
        _check_leaf(rule, vocabulary or Vocabulary(), path)


def _check_leaf(rule: r.Leaf, known: Vocabulary, path: str) -> None:
    if isinstance(rule, r.Trait):
        _check_trait(rule, path)
    elif isinstance(rule, r.Behaviour):
        _check_behaviour(rule, path)
    elif isinstance(rule, r.Recency):
        check_where(rule.table, rule.where, path)
        _days(rule.days, f"{path}.days", least=0)
    elif isinstance(rule, r.Sequence):
        check_where(rule.first.table, rule.first.where, f"{path}.first")
        check_where(rule.then.table, rule.then.where, f"{path}.then")
        _days(rule.within_days, f"{path}.within_days", least=1)
        _days(rule.days, f"{path}.days", least=1)
    elif isinstance(rule, r.Yearly):
        _check_yearly(rule, known, path)
    elif isinstance(rule, r.Tag):
        _known(rule.tag, known.tags, f"{path}.tag", "tag", "unknown_tag")
    elif isinstance(rule, r.Score):
        _known(rule.task, known.tasks, f"{path}.task", "score", "unknown_score")
    elif isinstance(rule, r.Segment):
        pairs = known.segments
        schemes = None if pairs is None else {scheme for scheme, _ in pairs}
        _known(rule.scheme, schemes, f"{path}.scheme", "scheme", "unknown_segment")
        names = None if pairs is None else {one for scheme, one in pairs if scheme == rule.scheme}
        _known(rule.segment, names, f"{path}.segment", "segment", "unknown_segment")
    elif isinstance(rule, r.Upload) and not rule.customers:
        raise _wrong(path, "the list of customers is empty", "empty_list", "give at least one id")


def _check_trait(rule: r.Trait, path: str) -> None:
    where = f"{path}.field"
    if is_feature(rule.field):
        found: Field | None = Field(rule.field, "own", "number")
    else:
        found = field_of(CUSTOMERS, rule.field)
    if found is None:
        raise _wrong(
            where, f"there is no attribute {rule.field!r}", "unknown_field",
            r.did_you_mean(rule.field, traits())
            or f"columns of customers, a feature, or {c.PROPERTIES}.KEY",
        )  # fmt: skip
    _check_value(found, rule.op, rule.value, path)


def _check_behaviour(rule: r.Behaviour, path: str) -> None:
    check_where(rule.table, rule.where, path)
    _days(rule.days, f"{path}.days", least=1)
    _days(rule.before_days, f"{path}.before_days", least=0)
    if rule.days is not None and rule.before_days >= rule.days:
        raise _wrong(
            f"{path}.before_days",
            f"a window that begins {rule.days} days ago cannot end {rule.before_days} days ago",
            "bad_window", f"give a number below {rule.days}",
        )  # fmt: skip
    if rule.measure == "count":
        if rule.column:
            raise _wrong(
                f"{path}.column", "'count' counts rows and takes no column", "wrong_value",
                "use 'distinct' or 'sum', or leave the column out",
            )  # fmt: skip
        return
    keys = [name for name in table_of(rule.table).key if name not in fields_of(rule.table)]
    found = field_of(rule.table, rule.column)
    if found is None and rule.column not in keys:
        raise _no_column(rule.table, rule.column, f"{path}.column")
    if found is not None and found.place == "product":
        raise _wrong(
            f"{path}.column", f"{rule.column!r} belongs to the product, not to the row",
            "wrong_value", "use it in 'where'",
        )  # fmt: skip
    if rule.measure == "sum" and found is not None and found.kind not in ("number", "any"):
        numbers = [one.name for one in fields_of(rule.table).values() if one.kind == "number"]
        raise _wrong(
            f"{path}.column", f"{rule.column!r} is no number and has no sum", "wrong_type",
            f"numbers: {', '.join(numbers)}",
        )  # fmt: skip


def _check_yearly(rule: r.Yearly, known: Vocabulary, path: str) -> None:
    found = field_of(CUSTOMERS, rule.field)
    is_property = found is not None and found.place == "property"
    if rule.field not in known.dates and not is_property:
        raise _wrong(
            f"{path}.field", f"{rule.field!r} is no date of a customer", "unknown_field",
            r.did_you_mean(rule.field, sorted(known.dates))
            or f"one of {', '.join(sorted(known.dates))}, or {c.PROPERTIES}.KEY",
        )  # fmt: skip
    _days(rule.from_days, f"{path}.from_days", least=0, most=366)
    _days(rule.to_days, f"{path}.to_days", least=0, most=366)
    if rule.to_days is not None and rule.to_days < rule.from_days:
        raise _wrong(
            f"{path}.to_days", f"to_days {rule.to_days} is before from_days {rule.from_days}",
            "bad_window", "exchange them",
        )  # fmt: skip


def check_where(table: str, wheres: tuple[r.Where, ...], path: str) -> None:
    """Refuse conditions on rows of `table` that cannot be meant.

    Raises
    ------
    InvalidRule
        With the place, the reason and what to do.
    """
    for place, where in enumerate(wheres):
        found = field_of(table, where.column)
        if found is None:
            raise _no_column(table, where.column, f"{path}.where[{place}].column")
        _check_value(found, where.op, where.value, f"{path}.where[{place}]")


def _check_value(found: Field, op: r.Op, value: r.Value, path: str) -> None:
    where = f"{path}.value"
    if op in ("exists", "missing"):
        if value is not None:
            raise _wrong(where, f"{op!r} takes no value", "wrong_value", "leave the value out")
        return
    many = op in ("in", "not_in")
    if many != isinstance(value, tuple) or value == ():
        said = "a list of values" if many else "one value"
        hint = "give a list" if many else "use 'in' for several values"
        raise _wrong(where, f"{op!r} takes {said}", "wrong_type", hint)
    if value is None:
        raise _wrong(where, f"{op!r} needs a value", "missing_field", "add 'value'")
    kinds = {_kind(one) for one in (value if isinstance(value, tuple) else (value,))}
    wanted = "string" if op in _TEXTS else "number" if op in _NUMBERS else found.kind
    if found.kind not in ("any", wanted):
        raise _wrong(
            f"{path}.op", f"{found.name!r} is a {found.kind} and cannot be compared by {op!r}",
            "wrong_type", "use eq, ne, in, not_in, exists or missing",
        )  # fmt: skip
    if len(kinds) > 1 or (wanted != "any" and kinds != {wanted}):
        said = "value of one kind" if wanted == "any" else wanted
        raise _wrong(
            where, f"{found.name!r} compared by {op!r} needs a {said}, not {_shown(value)}",
            "wrong_type", "give a value of that type",
        )  # fmt: skip


def _kind(value: object) -> str:
    return "bool" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"


def _shown(value: r.Value) -> str:
    """The type of a value: its content may be personal."""
    return " and ".join(
        sorted({_kind(v) for v in (value if isinstance(value, tuple) else (value,))})
    )


def _days(value: int | None, where: str, *, least: int, most: int = r.MAX_DAYS) -> None:
    if value is not None and not least <= value <= most:
        raise _wrong(
            where, f"a window of {value} days", "bad_window",
            f"give a whole number of days from {least} to {most}",
        )  # fmt: skip


def _known(name: str, known: Collection[str] | None, where: str, what: str, reason: str) -> None:
    if known is not None and name not in known:
        listed = ", ".join(sorted(known)[:20]) or "none yet"
        hint = r.did_you_mean(name, sorted(known)) or f"there are: {listed}"
        raise _wrong(where, f"there is no {what} {name!r}", reason, hint)


def _no_column(table: str, name: str, where: str) -> InvalidRule:
    names = list(fields_of(table))
    hint = r.did_you_mean(name, names) or f"columns: {', '.join(names)}"
    return _wrong(where, f"{table} has no column {name!r} to ask for", "unknown_field", hint)


def _wrong(where: str, said: str, reason: str, hint: str) -> InvalidRule:
    return InvalidRule(f"{where}: {said}", reason=reason, where=where, hint=hint)


def lists_of(rule: r.Rule) -> set[str]:
    """The audiences whose look-alikes the rule asks for."""
    return {
        leaf.subject
        for _, leaf in r.leaves(rule)
        if isinstance(leaf, r.Score) and leaf.task == r.LOOK_ALIKE
    }


def check_lists(rule: r.Rule, audiences: Collection[str]) -> None:
    """Refuse a rule that asks for the look-alikes of an audience that does not exist.

    Raises
    ------
    InvalidRule
        With the audiences that there are.
    """
    for name in sorted(lists_of(rule)):
        _known(name, audiences, "$", "audience", "unknown_audience")


def resolve(rule: r.Rule, audiences: Mapping[str, r.Rule], *, name: str | None = None) -> r.Rule:
    """The rule with the rules of the audiences it names, and of those that they name.

    `name` is the rule's own name, if it has one.

    Raises
    ------
    InvalidRule
        If an audience does not exist, or audiences name each other in a circle. Asking for the
        look-alikes of an audience names it too.
    """
    return _resolve(rule, audiences, (name,) if name else ())


def _resolve(rule: r.Rule, audiences: Mapping[str, r.Rule], above: tuple[str, ...]) -> r.Rule:
    if isinstance(rule, r.And):
        return r.And(tuple(_resolve(inner, audiences, above) for inner in rule.rules))
    if isinstance(rule, r.Or):
        return r.Or(tuple(_resolve(inner, audiences, above) for inner in rule.rules))
    if isinstance(rule, r.Not):
        return r.Not(_resolve(rule.rule, audiences, above))
    if isinstance(rule, r.Score) and rule.task == r.LOOK_ALIKE and rule.subject in audiences:
        _resolve(r.Audience(rule.subject), audiences, above)  # refuses a circle
    if not isinstance(rule, r.Audience):
        return rule
    if rule.name in above:
        circle = " → ".join([*above[above.index(rule.name) :], rule.name])
        raise _wrong(
            "$", f"audiences name each other in a circle: {circle}", "cycle",
            f"take {rule.name!r} out of {above[-1]!r}",
        )  # fmt: skip
    if rule.name not in audiences:
        raise _wrong(
            "$", f"there is no audience {rule.name!r}", "unknown_audience",
            r.did_you_mean(rule.name, sorted(audiences))
            or f"there are: {', '.join(sorted(audiences)) or 'none yet'}",
        )  # fmt: skip
    return _resolve(audiences[rule.name], audiences, (*above, rule.name))
