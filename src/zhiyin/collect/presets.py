"""Presets: how the exports of known shops and ad platforms read, as data in `exports/*.toml`.

A preset names headers that tell its export from others, what has to be done to the rows
(`reshape`), and one mapping for each table that the file feeds. Headers that an export lacks are
passed over where a table can do without them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from pydantic import Field, ValidationError

from zhiyin.collect.files import Raw
from zhiyin.collect.mapping import Mapping, parse_mapping
from zhiyin.collect.reshape import Left, Shape, first_rows, matching, reshape, take_rows
from zhiyin.core.config import Section
from zhiyin.core.errors import NotFound

_OWN = ("rows", "where", "step")  # keys of a table entry that are no keys of a mapping


class Preset(Section):
    """One export: how it is recognised, what is done to it, which tables it feeds."""

    name: str = Field(description="name, for --preset")
    title: str = Field(description="what it is")
    title_zh: str = Field(description="what it is, in Chinese")
    how: str = Field(description="where the export is made, or what to know")
    how_zh: str = Field(description="the same in Chinese")
    recognise: tuple[str, ...] = Field(description="patterns; each has to match some header")
    source: str = Field(description="name of the source, unless another is given")
    common: dict = Field({}, description="keys of every mapping")
    shape: Shape = Field(
        default_factory=lambda: Shape.model_validate({}),
        description="what is done to the rows first",
    )
    tables: tuple[dict, ...] = Field(description="mappings; `rows = first` or `where` take a part")


@dataclass(frozen=True)
class Step:
    """A table that the file feeds: its rows and how they read."""

    table: str
    raw: Raw
    mapping: Mapping


@cache
def presets() -> dict[str, Preset]:
    """All presets by name."""
    made = {}
    for path in sorted(resources.files("zhiyin.collect").joinpath("exports").iterdir(), key=str):
        if path.name.endswith(".toml"):
            try:
                one = Preset.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
            except ValidationError as error:
                raise ValueError(f"preset {path.name}: {error}") from error
            made[one.name] = one
    return made


def find_preset(name: str) -> Preset:
    """The preset called `name`.

    Raises
    ------
    NotFound
        If there is none.
    """
    if name not in presets():
        raise NotFound(f"there is no preset {name!r}", hint=f"presets: {', '.join(presets())}")
    return presets()[name]


def recognise(headers: Sequence[str]) -> Preset | None:
    """The preset whose headers are all there; of several, the one that asks for most."""
    fitting = [
        one for one in presets().values()
        if all(any(re.fullmatch(p, h) for h in headers) for p in one.recognise)
    ]  # fmt: skip
    return max(fitting, key=lambda one: (len(one.recognise), one.name), default=None)


def steps_of(preset: Preset, raw: Raw, *, source: str = "") -> tuple[list[Step], list[Left]]:
    """What the file `raw` feeds under `preset`, in order, and which rows were left out.

    `source` replaces the preset's name for the source, for a business with several shops.
    """
    shaped, left = reshape(raw, preset.shape)
    made = []
    for place, entry in enumerate(preset.tables):
        part = shaped if place == 0 else replace(shaped, refused=())  # counted once
        if entry.get("rows") == "first":
            part = first_rows(part, preset.shape.order)
        if where := entry.get("where"):
            if where["column"] not in part.rows.column_names:
                continue
            part = take_rows(part, matching(part, where["column"], where["pattern"]))
        if not part.rows.num_rows and not part.refused:
            continue
        mapping = _mapping_of(preset, entry, part.rows.column_names, source=source)
        made.append(Step(mapping.table, part, mapping))
    return made, left


def _mapping_of(preset: Preset, entry: dict, headers: Sequence[str], *, source: str) -> Mapping:
    """The mapping of a table entry for a file with these headers: the first of alternative
    headers that is there; what is not there is left out, what is not named is ignored."""
    columns = {}
    for target, rule in entry["columns"].items():
        wanted = rule if isinstance(rule, list) else [rule]
        for one in wanted:
            made = {"column": one} if isinstance(one, str) else one
            if set(_headers_in(made)) <= set(headers):
                columns[target] = made
                break
    kept = {
        key: [header for header in entry.get(key, ()) if header in headers]
        for key in ("properties", "personal")
    }
    used = {header for rule in columns.values() for header in _headers_in(rule)}
    used |= {header for names in kept.values() for header in names}
    values = {k: v for k, v in {**preset.common, **entry}.items() if k not in _OWN}
    values |= {"source": source or preset.source, "columns": columns, **kept}
    values["ignore"] = [header for header in headers if header not in used]
    return parse_mapping(values, where=f"preset {preset.name}")


def _headers_in(rule: dict) -> list[str]:
    one = [rule["column"]] if "column" in rule else []
    return [*one, *(h for key in ("sum", "minus", "product", "join") for h in rule.get(key, ()))]
