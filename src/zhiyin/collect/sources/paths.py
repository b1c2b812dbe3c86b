"""Dotted paths into JSON: `customer.email`, `addresses.0.city`, and rows of an array."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

MAX_DEPTH = 32
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def value_at(document: Any, path: str) -> Any:
    """The value at a dotted path, None where there is none. A number picks from an array."""
    for part in path.split("."):
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and part.isascii() and part.isdigit():
            document = document[int(part)] if int(part) < len(document) else None
        else:
            return None
    return document


def rows_of(document: Any, paths: Sequence[str], *, each: str = "") -> Iterator[list[Any]]:
    """One row of values per document, or per element of the array at `each`.

    Parameters
    ----------
    document
        A JSON object, or an array of them: each is a document.
    paths
        What a row holds; a path below `each` is looked up in the element, others in the document.
    each
        Dotted path of an array; arrays on the way to it are walked through too.
    """
    for one in document if isinstance(document, list) else [document]:
        if not isinstance(one, dict):
            continue
        if not each:
            yield [value_at(one, path) for path in paths]
            continue
        for element in _elements(one, each.split(".")):
            yield [
                value_at(element, path[len(each) + 1 :])
                if path.startswith(f"{each}.")
                else value_at(one, path)
                for path in paths
            ]


def _elements(document: Any, parts: Sequence[str]) -> Iterator[Any]:
    if isinstance(document, list):
        for one in document:
            yield from _elements(one, parts)
    elif parts:
        if isinstance(document, dict):
            yield from _elements(document.get(parts[0]), parts[1:])
    elif document is not None:
        yield document


def depth_of(text: bytes) -> int:
    """The deepest nesting of brackets in JSON text, those in strings not counted: a cheap guard
    before it is parsed."""
    depth = deepest = 0
    for token in _TOKEN.findall(text):
        if token in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif token in (b"]", b"}"):
            depth -= 1
    return deepest
