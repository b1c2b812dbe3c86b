"""Words of Chinese, English and mixed text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

import rjieba

from zhiyin.core.arguments import show
from zhiyin.core.errors import InvalidParameter
from zhiyin.lang.lemma import lemmatise
from zhiyin.lang.script import check_text

_LATIN = re.compile("[A-Za-z]")
_ENGLISH = re.compile(
    r"[A-Za-z\u00c0-\u024f0-9]+(?:[-.'’&+/][A-Za-z\u00c0-\u024f0-9]+)*[%+]?|[^\W\d_]+|[^\w\s]"
)
_BLANKS = frozenset(" \t\n\r\f\v\u00a0\u3000\u200b\ufeff")
_WITHIN = re.compile("[+#&._%-]")  # marks that may be within a word: 3.5mm, T-shirt
_NEGATED = re.compile(r"(?i)\b(ca|wo|sha|[a-z]{2,})n['’]t\b")
_NOT = {"ca": "can", "wo": "will", "sha": "shall"}
_SURROGATES = re.compile("[\ud800-\udfff]")
_OFTEN = 1_000_000
"""How often a word of one's own is said to occur: it wins over its parts."""
_LONGEST = 64


class Tokeniser:
    """Splits texts into words, with words of one's own (a catalogue's names, a trade's terms).

    Parameters
    ----------
    words
        Terms that are one word, such as names of products, of at most 64 characters. They hold for
        Chinese and mixed text, in the case given, all lower or all upper; one with a blank within
        it, as English names have, is not found.

    Notes
    -----
    Chinese by jieba's dictionary and hidden Markov model (rjieba, in Rust).
    """

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._jieba = rjieba.Jieba()
        self.words = check_words(words)
        self._own = {word.lower(): word for word in self.words}
        for word in self.words:
            for spelling in {word, word.lower(), word.upper()}:
                self._jieba.add_word(spelling, _OFTEN, "nz")

    def tokenise(
        self,
        text: str,
        language: Literal["zh", "en", "mixed"] | None = None,
        *,
        lemmas: bool = True,
        marks: bool = False,
    ) -> list[str]:
        """The words of a text in their order.

        Parameters
        ----------
        text
            Any length; nothing is normalised but what `lemmas` says (`normalise` does that).
        language
            None and `mixed` read both; `en` is for text in Latin letters only and also keeps
            dates, sizes and words with hyphens together (`18k`, `3.5mm`, `T-shirt`).
        lemmas
            English words in their base form and lower case; with n't as its own word, not.
        marks
            Whether punctuation, symbols and emoji are words too; otherwise they are left out.

        Raises
        ------
        InvalidParameter
            If it is no text, or the language is none of these.
        """
        check_text(text)
        if language not in (None, "zh", "en", "mixed"):
            raise InvalidParameter(
                f"language is {show(language)}, it must be zh, en or mixed",
                hint="leave it out: both are read",
            )
        latin = _LATIN.search(text) is not None
        if latin and lemmas:
            text = _part_negations(text)
        found = _ENGLISH.findall(text) if language == "en" else self.cut(text)
        kept = (
            [one for one in found if one not in _BLANKS] if marks else _without_marks(text, found)
        )
        return self._base(kept) if latin and lemmas else kept

    def _base(self, words: Sequence[str]) -> list[str]:
        own = self._own
        return [
            one if one > "ɏ" or one in own else own.get(one.lower()) or lemmatise(one)
            for one in words
        ]

    def cut(self, text: str) -> list[str]:
        """Everything in its order, blanks and marks too: joined again, it is the text.

        Halves of surrogate pairs, of texts that were cut short, come back as blanks.
        """
        try:
            return self._jieba.cut(text)
        except UnicodeEncodeError:
            return self._jieba.cut(_SURROGATES.sub(" ", text))


def tokenise(
    text: str,
    language: Literal["zh", "en", "mixed"] | None = None,
    *,
    words: Iterable[str] = (),
    lemmas: bool = True,
    marks: bool = False,
) -> list[str]:
    """The words of one text; see `Tokeniser`, which is kept for the last eight sets of words.

    Raises
    ------
    InvalidParameter
        If it is no text, or an argument is outside its range.

    Examples
    --------
    >>> tokenise("这条古法金手链很漂亮", words=["古法金"])
    ['这', '条', '古法金', '手链', '很漂亮']
    """
    return _kept(check_words(words)).tokenise(text, language, lemmas=lemmas, marks=marks)


def check_words(words: Iterable[str]) -> tuple[str, ...]:
    """Words of one's own, sorted, each once.

    Raises
    ------
    InvalidParameter
        If they are one text, or one of them is none, empty or too long.
    """
    if isinstance(words, str):
        raise InvalidParameter(
            f"words is {show(words)}, it must be a list of words", hint=f"words=[{words[:20]!r}]"
        )
    found = list(words)
    for one in found:
        if not isinstance(one, str) or not one.strip() or len(one) > _LONGEST:
            raise InvalidParameter(
                f"words holds {show(one)}, which is no word",
                hint=f"a word has 1 to {_LONGEST} characters",
            )
    return tuple(sorted({one.strip() for one in found}))


@lru_cache(maxsize=8)
def _kept(words: tuple[str, ...]) -> Tokeniser:
    return Tokeniser(words)


def _without_marks(text: str, found: Sequence[str]) -> list[str]:
    """Only what has a letter or a digit."""
    if _WITHIN.search(text):
        return [one for one in found if one.isalnum() or any(map(str.isalnum, one))]
    return list(filter(str.isalnum, found))


def _part_negations(text: str) -> str:
    """don't -> do not."""
    if "n't" in text or "n’t" in text or "N'T" in text:
        return _NEGATED.sub(_split_negation, text)
    return text


def _split_negation(found: re.Match[str]) -> str:
    head = found[1]
    return f"{_NOT.get(head.lower(), head)} not"
