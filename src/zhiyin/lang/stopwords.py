"""Words that say nothing of a text's subject, in Chinese and English."""

from __future__ import annotations

from functools import cache

from zhiyin.core.arguments import show
from zhiyin.core.errors import InvalidParameter
from zhiyin.lang.words import read_words


@cache
def stop_words(language: str) -> frozenset[str]:
    """The stop words of `zh` or `en`, in lower case.

    Negations (不, 没, not, no, never), words of degree (很, 太, very, too) and of contrast (但,
    but) are none: they change what is said.

    Raises
    ------
    InvalidParameter
        If the language is another one.
    """
    if language not in ("zh", "en"):
        raise InvalidParameter(
            f"language is {show(language)}, it must be zh or en", hint='stop_words("zh")'
        )
    return frozenset(read_words()["stop"][language].split())
