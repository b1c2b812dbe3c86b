"""The base form of an English word, by rules and a table of irregular forms."""

from __future__ import annotations

from functools import cache, lru_cache

from zhiyin.lang.words import read_words

_VOWELS = frozenset("aeiouy")
_LONG = 6  # letters of a stem from which -ll was doubled (travell-), not written so (call-)


@lru_cache(maxsize=65_536)
def lemmatise(word: str) -> str:
    """The base form of one English word in lower case: bought -> buy, rings -> ring.

    Verbs, plurals and possessives by rules, some 130 irregular words by a table; comparatives of
    two words only (better, worse). Without a dictionary rules guess: an unknown word may lose an
    ending that belongs to it. Words of other alphabets, with digits, or of fewer than four
    letters beside the table come back in lower case.
    """
    word = word.lower()
    if word.endswith(("'s", "’s")):
        word = word[:-2]
    known = _table().get(word)
    if known is not None:
        return known
    if len(word) < 4 or not (word.isascii() and word.isalpha()):
        return word
    if word.endswith("s"):
        return _singular(word)
    if word.endswith("ied"):
        return word[:-3] + "y"
    if word.endswith("ed"):
        return _stem(word, word[:-2])
    if word.endswith("ing"):
        return _stem(word, word[:-3])
    return word


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + ("y" if len(word) > 4 else "ie")
    if word.endswith(("ss", "us", "ous", "is")):
        return word
    if word.endswith(("ches", "shes", "xes", "zzes", "sses", "oes")):
        return word[:-2]
    return word[:-1]


def _stem(word: str, stem: str) -> str:
    """The stem without -ed or -ing: with its e again, its doubled letter single; or the word."""
    if not _VOWELS & set(stem) or len(stem) < 2:
        return word
    last, before = stem[-1], stem[-2]
    if last == before and last not in _VOWELS:
        written = last in "sz" or (last == "l" and len(stem) < _LONG)
        return stem if written else stem[:-1]
    if stem.endswith("gre"):
        return stem + "e"
    if stem.endswith(_take_e()) and not stem.endswith(("eat", "oat", "ean", "raid", "said")):
        return stem + "e"
    short = len(stem) == 3 and stem[0] not in _VOWELS and before in "aiou" and last in "kmdpvlrntzb"
    return stem + "e" if short or (len(stem) == 4 and _blend(stem)) else stem


def _blend(stem: str) -> bool:
    """Two consonants, one vowel, one consonant that is written once: smil-, plac-, shar-."""
    return not _VOWELS & set(stem[:2]) and stem[2] in "aiou" and stem[3] in "kmdpvlrntgb"


@cache
def _table() -> dict[str, str]:
    """The base form of every irregular one, and of those that only look inflected."""
    words = read_words()["lemma"]
    found = {word: word for word in words["as_they_are"].split()}
    for line in words["irregular"].splitlines():
        if forms := line.split():
            found |= dict.fromkeys(forms[1:], forms[0])
    return found


@cache
def _take_e() -> tuple[str, ...]:
    return tuple(read_words()["lemma"]["take_e"].split())
