"""Sentences and clauses of Chinese and English text."""

from __future__ import annotations

import re

from zhiyin.lang.script import check_text

_END = re.compile(
    r"(?:[。！？!?…\n]|\.(?=[\s\"'”’)\]]|$))[。！？!?….]*[\"'”’」』)\]]*(?:\s+[。！？!?…]+)*"
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘])(?:(?:mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|e\.g|i\.e|approx|no|inc|ltd|co)|[A-Za-z])\.$",
    re.IGNORECASE,
)
_LOOK_BACK = 12


def split_sentences(text: str) -> list[str]:
    """The sentences of a text in order, without blanks around them.

    A sentence ends with 。！？!?… or a line break, or with a full stop that a blank follows and
    that ends neither an abbreviation (Mr., e.g., etc.) nor one letter (J. Smith); the marks and
    closing quotes that follow belong to it. Commas and semicolons end none.

    Raises
    ------
    InvalidParameter
        If it is no text.
    """
    check_text(text)
    found, start = [], 0
    for end in _END.finditer(text):
        head = text[max(start, end.start() - _LOOK_BACK) : end.start() + 1]
        if text[end.start()] == "." and _ABBREVIATION.search(head):
            continue
        found.append(text[start : end.end()].strip())
        start = end.end()
    found.append(text[start:].strip())
    return [one for one in found if one]
