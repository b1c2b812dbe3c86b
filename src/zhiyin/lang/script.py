"""Which language a text is in, by its letters: Chinese, English, both or neither."""

from __future__ import annotations

import re
from typing import Literal

from zhiyin.core.arguments import show
from zhiyin.core.errors import InvalidParameter

Language = Literal["zh", "en", "mixed", "none"]
HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Chinese characters, as the inside of a character class."""
_HAN = re.compile(f"[{HAN}]")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\uff21-\uff3a\uff41-\uff5a]{2,}")
_OTHER = re.compile("[\u0370-\u1fff\u3040-\u30ff\uac00-\ud7af]")
_SECOND = 0.2  # of all words: one brand name in a Chinese sentence is no second language
_CHARACTERS_A_WORD = 1.6  # of running Chinese


def detect(text: str) -> Language:
    """The language of a text: `zh`, `en`, `mixed` or `none`.

    Words are counted, 1.6 Chinese characters as one, runs of two or more Latin letters as one
    each. `mixed` is what has at least a fifth of its words, and two of them, in the second
    language. `none` is what has no words (empty, digits, emoji only) or mostly letters of other
    scripts (Japanese kana, Korean, Russian). Other languages in Latin letters count as English.

    Raises
    ------
    InvalidParameter
        If it is no text.
    """
    check_text(text)
    characters = 0 if text.isascii() else len(_HAN.findall(text))
    english = len(_LATIN.findall(text))
    chinese = characters / _CHARACTERS_A_WORD
    if chinese + english == 0:
        return "none"
    if not text.isascii() and len(_OTHER.findall(text)) > characters + english:
        return "none"
    if min(chinese, english) >= _SECOND * (chinese + english) and min(characters, english) >= 2:
        return "mixed"
    return "zh" if chinese >= english else "en"


def check_text(text: object) -> None:
    """Refuse what is no text.

    Raises
    ------
    InvalidParameter
        If it is a number, bytes, None or a list.
    """
    if not isinstance(text, str):
        raise InvalidParameter(
            f"text is {show(text)}, it must be a text",
            hint="hand in one text; for many, call it for each",
        )
