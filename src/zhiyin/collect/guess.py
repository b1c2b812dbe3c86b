"""A mapping for a file that nothing fits: guessed by the names of its columns and what is in them.

A guess is a draft. It is written as TOML with the reason behind every line, and is not loaded
until somebody has read it and deleted the line `draft = true`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import pandas as pd

from zhiyin.collect.content import Content, look_into
from zhiyin.collect.files import Raw
from zhiyin.collect.mapping import needs_of, targets
from zhiyin.core import columns as c
from zhiyin.core.errors import InputError

TABLES = ("order_lines", "orders", "spend", "consents", "texts", "customers", "products", "stores")
"""Tables that are guessed, the most telling first."""

_SAME_AS = {
    c.ORDERED_AT: "sold_at", c.SPENT_ON: "sold_at", c.AT: "sold_at", c.OCCURRED_AT: "sold_at",
}  # fmt: skip
_DATES = {c.SOLD_AT, c.ORDERED_AT, c.SPENT_ON, c.AT, c.OCCURRED_AT}
_NUMBERS = {"quantity", "price", "gross", "discount", "coupon", "tax", "shipping", "amount", "cost",
            "impressions", "clicks", "rating"}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A header for one of our columns: how sure in [0, 1], and why."""

    header: str
    score: float
    why: str


@dataclass(frozen=True)
class Guess:
    """A proposed mapping. `missing` are needs of the table that no column of the file meets."""

    table: str
    source: str
    columns: Mapping[str, Found]
    others: tuple[str, ...]
    missing: tuple[str, ...]
    date_formats: tuple[str, ...] = ()
    decimal: str = "point"
    notes: tuple[str, ...] = ()

    def toml(self, name: str) -> str:
        """The draft as TOML, for the file called `name`."""
        lines = [
            f"# Guessed from the headers and first rows of {_comment(name)}. Read every line,",
            "# correct it, then delete the next one: a draft is not loaded.",
            "# 根据表头和前若干行推测。请逐行核对、修改，然后删除下一行：草稿不会被加载。",
            "draft = true",
            f"source = {_quote(self.source)}",
            f"table = {_quote(self.table)}",
        ]
        if self.date_formats:
            lines.append(f"date_formats = [{', '.join(map(_quote, self.date_formats))}]")
        if self.decimal != "point":
            lines.append(f"decimal = {_quote(self.decimal)}")
        lines += [f"# {_comment(note)}" for note in self.notes]
        lines += ["", "[columns]"]
        for target, found in self.columns.items():
            sure = "" if found.score >= _SURE else " · not sure 不确定"
            lines.append(f"{target} = {_quote(found.header)}   # {found.why}{sure}")
        lines += [f"# missing, needed 缺少必需列: {need}" for need in self.missing]
        if self.others:
            lines.append(f"# other columns 其他列: {_comment(', '.join(self.others))}")
            lines.append("# they are kept as properties, or encrypted where they look personal")
        return "\n".join([*lines, ""])


_SURE = 0.9


def guess_mapping(raw: Raw, *, table: str = "", source: str = "shop") -> Guess:
    """A draft of a mapping for `raw`; with `table` for that table, otherwise for the one that its
    columns fit best.

    Raises
    ------
    InputError
        If nothing in the file is like a column of any table.
    NotFound
        If no file is loaded into `table`.
    """
    if table:
        targets(table)
    contents = {header: look_into(raw.rows.column(header)) for header in raw.rows.column_names}
    tried = [_for_table(one, contents) for one in ((table,) if table else TABLES)]
    best = max(tried, key=lambda one: (not one[2], _weight(one[1], one[2])))
    name, columns, missing = best
    if not columns:
        raise InputError(
            "no column of the file is like one of ours",
            hint="write a mapping by hand: examples/mappings, docs/collect.md",
        )
    used = [contents[found.header] for found in columns.values()]
    formats, notes = _formats(used)
    marks = [one.decimal for one in used if one.decimal]
    used_headers = {found.header for found in columns.values()}
    return Guess(
        table=name, source=source, columns=columns, missing=tuple(missing), date_formats=formats,
        others=tuple(h for h in contents if h not in used_headers),
        decimal="comma" if marks.count("comma") > marks.count("point") else "point",
        notes=notes,
    )  # fmt: skip


def _weight(columns: Mapping[str, Found], missing: Sequence[str]) -> float:
    return sum(found.score for found in columns.values()) - 2 * len(missing)


def _for_table(
    table: str, contents: Mapping[str, Content]
) -> tuple[str, dict[str, Found], list[str]]:
    """The best header for each target of `table`, each header once, and the needs left open."""
    scored = [
        (found.score, -place, target, found)
        for target in targets(table)
        for place, header in enumerate(contents)
        if (found := _score(target, header, contents[header])) is not None
    ]
    columns: dict[str, Found] = {}
    taken: set[str] = set()
    for _, _, target, found in sorted(scored, key=lambda one: one[:3], reverse=True):
        if target not in columns and found.header not in taken:
            columns[target] = found
            taken.add(found.header)
    if "price" in columns and "gross" in columns and table == "order_lines":
        del columns["price"]  # one of the two: gross = price x quantity
    missing = [" or ".join(need) for need in needs_of(table) if not set(need) & set(columns)]
    ordered = {target: columns[target] for target in targets(table) if target in columns}
    return table, ordered, missing


def _score(target: str, header: str, content: Content) -> Found | None:
    """How well a column of the file fits one of ours; None where its content cannot."""
    if target in _DATES and content.dates < 0.8:
        return None
    if target in _NUMBERS and content.numbers < 0.8:
        return None
    if target == "granted" and content.booleans < 0.8:
        return None
    if target == "email" and content.emails < 0.5:
        return None
    if target not in _DATES and content.dates > 0.8:
        return None
    plain = _plain(header)
    names = _names().get(_SAME_AS.get(target, target), ())
    if plain in (*names, _plain(target)):
        return Found(header, 1.0 - 0.01 * names.index(plain) if plain in names else 1.0, "by name")
    if target == "email" and content.emails >= 0.8:
        return Found(header, 0.95, "by content: e-mail addresses")
    if target == "phone" and content.phones >= 0.8:
        return Found(header, 0.7, "by content: phone numbers")
    if any(len(one) > 3 and one in plain for one in names):
        return Found(header, 0.6, "by a part of its name")
    if any(len(one) > 1 and one in plain for one in names if not one.isascii()):
        return Found(header, 0.6, "by a part of its name")
    if target in _DATES and content.dates >= 0.8:
        return Found(header, 0.3, "by content: dates")
    return None


@cache
def _names() -> dict[str, list[str]]:
    """The names that our columns have elsewhere."""
    text = resources.files("zhiyin.collect").joinpath("synonyms.toml").read_text(encoding="utf-8")
    return {target: [_plain(one) for one in names] for target, names in tomllib.loads(text).items()}


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _formats(contents: Sequence[Content]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Formats of the dates that are not year-first, and what is doubtful about them."""
    made = pd.unique(pd.Series([f for one in contents for f in one.formats[:1]], dtype=object))
    doubtful = [one for one in contents if len(one.formats) > 1]
    notes = [f"could as well be {one.formats[1]}: no day is above 12" for one in doubtful]
    return tuple(str(one) for one in made), tuple(dict.fromkeys(notes))


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)
