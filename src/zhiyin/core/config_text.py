"""A `zhiyin.toml` as it is written: every setting, its value, and a comment that explains it."""

from __future__ import annotations

import json
from datetime import date
from typing import cast

from zhiyin.core.config import Section, Settings


def render_settings(settings: Settings) -> str:
    """The text of a `zhiyin.toml` that holds every setting with a comment that explains it."""
    top: list[str] = ["# Settings of this Zhiyin workspace. ZHIYIN_<SECTION>__<KEY> overrides one."]
    sections: list[str] = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Section):
            sections += ["", f"[{name}]"]
            for key, inner in type(value).model_fields.items():
                sections += _lines(key, getattr(value, key), inner.description)
        else:
            top += _lines(name, value, field.description)
    return "\n".join([*top, *sections]) + "\n"


def _lines(key: str, value: object, description: str | None) -> list[str]:
    comment = [f"# {description}"] if description else []
    if value == {}:  # TOML lets nobody add to a table that is written in a line
        return [*comment, f"# {key} = {{}}"]
    return [*comment, f"# {key} =" if value is None else f"{key} = {_toml(value)}"]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in cast("tuple[object, ...]", value)) + "]"
    if isinstance(value, Section):
        return _toml({key: one for key, one in value if one is not None})
    if isinstance(value, dict):
        held = cast("dict[str, object]", value).items()
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in held) + "}"
    if isinstance(value, int | float | date):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False)
