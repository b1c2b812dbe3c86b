"""A draft of a tracking plan from events that came: types, what is always there, few values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from zhiyin.collect.personal import mask
from zhiyin.collect.plan import DIALECT

FEW = 8
"""So many values at most make an enum."""
SURE = 20
"""So many events at least make a property required, or its values an enum."""
_DEEP = 4
_MAX_KEYS = 200
_REPEATS = 5  # an enum's values came so often each, on average


class _Field:
    """What was seen of one place."""

    def __init__(self) -> None:
        self.seen = 0
        self.types: Counter[str] = Counter()
        self.values: Counter[str] | None = Counter()
        self.objects = 0
        self.keys: dict[str, _Field] = {}
        self.items: _Field | None = None

    def add(self, value: Any, depth: int) -> None:
        self.seen += 1
        kind = _kind(value)
        self.types[kind] += 1
        if kind == "object":
            self._add_object(value, depth)
        elif kind == "array" and depth < _DEEP:
            self.items = self.items or _Field()
            for one in value:
                self.items.add(one, depth + 1)
        if self.values is not None:
            if kind != "string" or (mask(value) != value and value not in self.values):
                self.values = None
            else:
                self.values[value] += 1
                if len(self.values) > FEW:
                    self.values = None

    def _add_object(self, value: Mapping[str, Any], depth: int) -> None:
        self.objects += 1
        if depth >= _DEEP:
            return
        for key, one in value.items():
            if key not in self.keys:
                if len(self.keys) >= _MAX_KEYS or mask(key) != key:
                    continue
                self.keys[key] = _Field()
            self.keys[key].add(one, depth + 1)

    def schema(self, of: int | None = None) -> dict[str, Any]:
        """The draft for this place, which `of` objects might have had."""
        kinds = sorted(self.types)
        if "integer" in kinds and "number" in kinds:
            kinds.remove("integer")
        made: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else kinds}
        if self._has_few():
            made["enum"] = sorted(self.values or ())
        if self.keys:
            made["properties"] = {
                key: self.keys[key].schema(self.objects) for key in sorted(self.keys)
            }
            always = [key for key, one in self.keys.items() if one.seen == self.objects]
            if self.objects >= SURE and always:
                made["required"] = sorted(always)
        if self.items is not None and self.items.seen:
            made["items"] = self.items.schema()
        if of is not None and self.seen < of:
            made["$comment"] = f"in {100 * self.seen // of} % of {of}"
        return made

    def _has_few(self) -> bool:
        few = self.values
        return bool(few) and self.seen >= SURE and self.seen >= _REPEATS * len(few or ())


def draft_schema(values: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A schema that every one of `values` fits.

    Parameters
    ----------
    values
        Properties of events as the lake has them: personal ones are not among them, nor empty
        ones, so the draft says nothing about those.

    Returns
    -------
    A schema with `type`, `properties`, `required` (of what every event had, from `SURE` events
    on) and `enum` (texts of at most `FEW` values, none of which looks personal). Where a property
    was in a part of the events, `$comment` says in how many.
    """
    root = _Field()
    for one in values:
        root.add(dict(one), 0)
    made = root.schema() if root.seen else {"type": "object"}
    return {"$schema": DIALECT, **made}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "null"
