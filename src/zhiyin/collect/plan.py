"""Tracking plans: what a source promises its events to be, as JSON Schemas of their properties.

A plan has one schema (draft 2020-12) for each event of a source. In mode `warn` an event that
does not fit is kept with findings, in mode `quarantine` it is refused, `off` checks nothing.
Schemas stand alone: nothing is ever fetched, and what could take long to check is refused when
the plan is set. Findings name places of the schema, never a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jsonschema_rs
import msgspec

from zhiyin.collect.personal import mask
from zhiyin.collect.tracking import Event
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.log import get_logger

WARN, QUARANTINE, OFF = MODES = ("warn", "quarantine", "off")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_BYTES = 64 * 1024
MAX_DEPTH = 32
MAX_STEPS = 20_000
"""Parts of a schema with every reference written out: bounds the work of one check."""
MAX_FINDINGS = 20  # of one event
_MAX_NAME = 160
_MAX_REGEX = 1 << 20
_MAX_CODE = 120
_ODD = re.compile(r"[^\w$.\-\[\]*]+")
_SOURCE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}")
_Validator = jsonschema_rs.Draft202012Validator
_OUTSIDE = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef")


@dataclass(frozen=True)
class Plan:
    """One version of what a source promises one event to be."""

    source: str
    event: str
    version: int
    mode: str
    schema: Mapping[str, Any]
    created_at: datetime
    created_by: str


def event_key(kind: str, name: str | None) -> str:
    """Under which name of a plan an event is: a track event's own, otherwise `$page` …"""
    return name or "" if kind == "track" else f"${kind}"


def check_names(source: str, event: str) -> None:
    """Refuse what is no name of a source, or of an event.

    Raises
    ------
    InvalidParameter
        If it is too long, empty, or the event's name looks like personal data.
    """
    if not _SOURCE.fullmatch(source):
        raise InvalidParameter(
            f"{source!r} is no name of a source", hint="lower-case letters, digits, _ . - (48)"
        )
    if not event.strip() or event != event.strip() or len(event) > _MAX_NAME:
        raise InvalidParameter(
            f"the name of an event has 1..{_MAX_NAME} characters and no spaces around it"
        )
    if mask(event) != event:
        raise InvalidParameter("the name of the event looks like personal data")


def check_mode(mode: str) -> None:
    """Raise `InvalidParameter` where there is no such mode."""
    if mode not in MODES:
        raise InvalidParameter(f"there is no mode {mode!r}", hint=", ".join(MODES))


def check_schema(schema: object) -> Mapping[str, Any]:
    """`schema` if it can be the schema of an event's properties.

    Raises
    ------
    InvalidParameter
        If it is no JSON Schema of draft 2020-12, larger than 64 KB, nested deeper than 32 levels,
        refers to anything outside itself or to itself in a circle, or would take too long.
    """
    if not isinstance(schema, dict):
        raise InvalidParameter("a schema is a JSON object", hint='{"type": "object", …}')
    if _depth(schema) > MAX_DEPTH:
        raise InvalidParameter(f"the schema is nested deeper than {MAX_DEPTH} levels")
    if len(msgspec.json.encode(schema)) > MAX_BYTES:
        raise InvalidParameter(f"a schema may have {MAX_BYTES} bytes")
    if str(schema.get("$schema", DIALECT)).rstrip("#") != DIALECT:
        raise InvalidParameter(
            f"the schema is of another draft than {DIALECT}", hint="leave $schema out"
        )
    for part in _objects(schema):
        for word in _OUTSIDE:
            if isinstance(part.get(word), str):
                raise InvalidParameter(
                    f"a schema may not use {word}", hint='use {"$ref": "#/$defs/NAME"}'
                )
    _steps(schema, schema, {}, ())
    _compile(schema)
    return schema


def _depth(value: object) -> int:
    """How deeply `value` is nested; no more than one more than `MAX_DEPTH`."""
    depth, level = 0, [value]
    while level and depth <= MAX_DEPTH:
        inner: list[object] = []
        for one in level:
            if isinstance(one, dict):
                inner += one.values()
            elif isinstance(one, list):
                inner += one
        depth, level = depth + 1, inner
    return depth


def _objects(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _objects(one)


def _steps(schema: object, part: object, known: dict[str, int], within: tuple[str, ...]) -> int:
    """Parts of `part` with every reference written out; refuses circles and far references."""
    if isinstance(part, list):
        return sum(_steps(schema, one, known, within) for one in part)
    if not isinstance(part, dict):
        return 0
    count = 1 + sum(_steps(schema, one, known, within) for one in part.values())
    where = part.get("$ref")
    if isinstance(where, str):
        if where in within or where == "#":
            raise InvalidParameter("the schema refers to itself in a circle", hint="see $ref")
        if not where.startswith("#/"):
            raise InvalidParameter(
                "a $ref must point into the schema itself", hint='use {"$ref": "#/$defs/NAME"}'
            )
        if where not in known:
            known[where] = _steps(schema, _resolve(schema, where), known, (*within, where))
        count += known[where]
    if count > MAX_STEPS:
        raise InvalidParameter("the schema takes too long to check", hint="use fewer $ref")
    return count


def _resolve(schema: object, where: str) -> object:
    found = schema
    for step in where[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        elif isinstance(found, dict) and name in found:
            found = found[name]
        else:
            raise InvalidParameter("a $ref points to nothing in the schema")
    return found


def _compile(schema: Mapping[str, Any]) -> _Validator:
    try:
        return jsonschema_rs.Draft202012Validator(
            dict(schema), offline=True, validate_formats=True,
            pattern_options=jsonschema_rs.RegexOptions(size_limit=_MAX_REGEX),
        )  # fmt: skip
    except (jsonschema_rs.ValidationError, ValueError) as error:
        first = str(error).partition("\n")[0][:200]
        raise InvalidParameter(
            f"this is no JSON Schema: {mask(first)}",
            hint="draft 2020-12; patterns have no look-around and no back-references",
        ) from error


class Checks:
    """Plans, compiled: called with a source and an event, it says what does not fit.

    Parameters
    ----------
    plans
        The version of each event that holds; each has been through `check_schema`.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        self._plans: dict[tuple[str, str], tuple[str, _Validator, frozenset[str]]] = {}
        for one in plans:
            if one.mode == OFF:
                continue
            try:
                made = _compile(one.schema)
            except InvalidParameter:  # set by another version of the library: events go on
                get_logger().error(
                    "version %d of the plan of %s cannot be read", one.version, one.source
                )
                continue
            named = frozenset(_named(one.schema))
            self._plans[one.source, one.event] = (one.mode, made, named)

    def __bool__(self) -> bool:
        return bool(self._plans)

    def __call__(self, source: str, event: Event) -> tuple[Sequence[str], bool]:
        """Findings like `plan:price:type`, and whether the event is to be refused."""
        held = self._plans.get((source, event_key(event.kind, event.name)))
        if held is None:
            return (), False
        mode, validator, names = held
        value = event.traits if event.kind in ("identify", "group") else event.properties
        try:
            if validator.is_valid(value):
                return (), False
            found = _findings(validator.iter_errors(value), names)
        except ValueError:  # a value that the validator cannot read; it stays the event's alone
            return ("plan:*:unreadable",), mode == QUARANTINE
        return found, mode == QUARANTINE


def _named(part: object) -> Iterator[str]:
    """Names of properties that the schema itself holds."""
    for one in _objects(part):
        for word in ("properties", "dependentRequired", "dependentSchemas"):
            if isinstance(one.get(word), dict):
                yield from one[word]
        if isinstance(one.get("required"), list):
            yield from (name for name in one["required"] if isinstance(name, str))


def _findings(
    errors: Iterator[jsonschema_rs.ValidationError], names: frozenset[str]
) -> tuple[str, ...]:
    made: dict[str, None] = {}
    for error in errors:
        kind = error.kind
        at = list(error.instance_path)
        missing = getattr(kind, "property", None)
        if kind.name == "required" and isinstance(missing, str):
            at.append(missing)
        made[_code(at, kind.name, names)] = None
        if len(made) == MAX_FINDINGS:
            break
    return tuple(made)


def _code(at: Sequence[str | int], keyword: str, names: frozenset[str]) -> str:
    """`plan:products[].price:type`; a name that the schema does not hold is `*`: it may be
    anything, and there would be no end of codes."""
    path = ""
    for step in at:
        if isinstance(step, int):
            path += "[]"
        else:
            path += f".{step if step in names else '*'}"
    safe = _ODD.sub("_", mask(path.removeprefix(".")))[:_MAX_CODE]
    return f"plan:{safe or '*'}:{keyword}"
