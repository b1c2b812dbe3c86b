"""What a line of a list holds: a person's fields by what their names mean (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from zhiyin.act.lists.hashing import Contact
from zhiyin.core import columns as c
from zhiyin.govern.identifiers import normalise_phone
from zhiyin.govern.people import EMAIL, PHONE

_FIELDS = {
    "first_name": re.compile(r"first_?name|given_?name|forename|^名$"),
    "last_name": re.compile(r"last_?name|family_?name|surname|^姓$"),
    "name": re.compile(r"^(?:.*_)?(?:full_?|customer_?)?name$|姓名|收件人|收货人"),
    "zip": re.compile(r"(?:^|_)zip(?:_?code)?$|post_?code|postal_?code|邮编"),
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"\+\d{5,15}")


def make_contact(rows: Iterable[Mapping[str, Any]], *, calling_code: str) -> Contact:
    """The contact of a person from her records, the first that knows a field winning.

    Parameters
    ----------
    rows
        Each with `country`, `region` and `city` of table `customers` and her personal fields.
    """
    held = list(rows)
    parts = {name: _first(held, name) for name in _FIELDS}
    first, last = parts["first_name"], parts["last_name"]
    if not (first or last) and len(parts["name"].split()) == 2:  # first and last
        first, last = parts["name"].split()
    number = normalise_phone(_value(held, PHONE), calling_code=calling_code) or ""
    return Contact(
        _value(held, EMAIL), number if number.startswith("+") else "", first, last,
        _value(held, c.COUNTRY), _value(held, c.REGION), _value(held, c.CITY), parts["zip"],
    )  # fmt: skip


def guard(text: str) -> str:
    """The text, with an apostrophe in front where a spreadsheet could take it for a formula.

    A phone number as E.164 is none, and stays as it is.
    """
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def _value(rows: Iterable[Mapping[str, Any]], name: str) -> str:
    return next((text for row in rows if (text := _text(row.get(name)))), "")


def _first(rows: Iterable[Mapping[str, Any]], field: str) -> str:
    for row in rows:
        for name, value in row.items():
            if field in _meanings(name) and (text := _text(value)):
                return text
    return ""


@lru_cache(maxsize=1_000)
def _meanings(name: str) -> frozenset[str]:
    """Which of our fields a name of a source's means."""
    key = re.sub(r"[^a-z0-9一-鿿]+", "_", name.rpartition(".")[2].lower()).strip("_")
    return frozenset(field for field, pattern in _FIELDS.items() if pattern.search(key))


def _text(value: Any) -> str:  # Any: a JSON value
    return str(value).strip() if isinstance(value, str | int) else ""
