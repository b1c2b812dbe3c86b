"""Emoji: where they are in a text, and what they say in words."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Literal

from zhiyin.lang.words import read_words

_ONE = (
    "[\u2600-\u27bf\u2b05-\u2b55\u231a-\u23ff\U0001f000-\U0001faff]"
    "[\ufe0f\u20e3\U0001f3fb-\U0001f3ff]*"
)
EMOJI = re.compile(f"{_ONE}(?:\u200d{_ONE})*")
"""One emoji, its colour of skin and what is joined to it included."""
_FLAGS = range(0x1F1E6, 0x1F200)
_LONGEST = 60


def replace_emoji(text: str, language: Literal["zh", "en"] | None) -> str:
    """Emoji as words in brackets, or nothing where `language` is None.

    English words are Unicode's names in lower case; Chinese ones are ours, for the 58 that
    reviews use most, and Unicode's names for the others. What is joined to one is not told.
    """
    if language is None:
        return EMOJI.sub("", text)
    return EMOJI.sub(lambda found: f"[{_name(found[0], language)}]", text)


def _name(emoji: str, language: str) -> str:
    first = emoji[0]
    if language == "zh" and first in _in_chinese():
        return _in_chinese()[first]
    if ord(first) in _FLAGS:
        return "旗帜" if language == "zh" else "flag"
    return unicodedata.name(first, "emoji").lower()[:_LONGEST]


@cache
def _in_chinese() -> dict[str, str]:
    return {one: word for word, emoji in read_words()["emoji"].items() for one in emoji}
