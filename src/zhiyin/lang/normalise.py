"""One spelling for what means the same: markup, width, traditional characters, emoji, repeats."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import cache
from importlib import resources
from typing import Literal

from zhiyin.core.arguments import check_whole, show
from zhiyin.core.errors import InvalidParameter
from zhiyin.lang.emoji import replace_emoji
from zhiyin.lang.script import check_text

Emoji = Literal["keep", "drop", "zh", "en"]
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_BLOCK = re.compile(r"</?(?:p|br|div|li|ul|ol|tr|h[1-6]|blockquote)\b", re.IGNORECASE)
_UNREAD = (("<!--", "-->"), ("<script", "</script"), ("<style", "</style"))
_MARKDOWN = re.compile(
    r"!?\[([^\[\]\n]{0,500})\]\((?:[^()\s]{1,2000})\)|[*_]{2,3}(?=\S)|(?<=\S)[*_]{2,3}|^#{1,6} |`+",
    re.MULTILINE,
)
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_COMMON = tuple(zip("，！？：；（）", ",!?:;()", strict=True))
_BLANK = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?(?:\n ?)+")


def normalise(
    text: str,
    *,
    markup: bool = True,
    width: bool = True,
    simplify: bool = True,
    emoji: Emoji = "keep",
    lower: bool = False,
    repeats: int = 3,
    blanks: bool = True,
) -> str:
    """A text in one spelling. The steps, each an option, run in this order:

    Parameters
    ----------
    markup
        HTML: tags go (those of blocks leave a line break), comments, scripts and styles go with
        what is in them, entities are read. Markdown: links and pictures leave their words, marks
        of emphasis, code and headings go. `a < b` and `<3` stay.
    width
        Unicode's NFKC: full-width letters, digits and punctuation become half-width (，-> ,),
        ① -> 1, ㎡ -> m2; 。 and 、 have no other width and stay. Characters that are never seen
        (zero width, controls, halves of surrogate pairs) go.
    simplify
        Traditional Chinese to simplified, character by character by OpenCC's table, with its
        phrases that keep theirs (乾隆).
    emoji
        `keep`; `drop`; `zh` or `en`: to words in brackets, [赞] or [thumbs up].
    lower
        Latin letters in lower case.
    repeats
        At most so many of the same character in a row, digits apart: 好好好好好 -> 好好好. 0 keeps
        all.
    blanks
        Runs of blanks to one, of line breaks (with the blanks around them) to one; none at the
        ends.

    Returns
    -------
    The text; "" for an empty one. A second call with the same options changes nothing more, where
    there was no markup within markup.

    Raises
    ------
    InvalidParameter
        If it is no text, or an option is outside its range.
    """
    check_text(text)
    check_whole("repeats", repeats, least=0)
    if emoji not in ("keep", "drop", "zh", "en"):
        raise InvalidParameter(
            f"emoji is {show(emoji)}, it must be one of keep, drop, zh, en",
            hint='emoji="zh" gives words in Chinese',
        )
    if markup:
        text = strip_markup(text)
    if width:
        text = _to_half_width(text)
    if simplify and not text.isascii():
        text = to_simplified(text)
    if emoji != "keep" and not text.isascii():
        text = replace_emoji(text, None if emoji == "drop" else emoji)
    if lower:
        text = text.lower()
    if repeats:
        text = _repeated(repeats).sub(r"\1" * repeats, text)
    if blanks:
        text = _BLANK.sub(" ", text.replace("\r", "\n"))
        text = (_LINES.sub("\n", text) if "\n" in text else text).strip()
    return text


def strip_markup(text: str) -> str:
    """The words of HTML and Markdown; time grows with the length, whatever is left open."""
    if "<" in text:
        for begin, end in _UNREAD:
            text = _cut_between(text, begin, end)
        text = _TAG.sub(lambda tag: "\n" if _BLOCK.match(tag[0]) else "", text)
    if "&" in text:
        text = html.unescape(text)
    if any(mark in text for mark in ("](", "**", "__", "#", "`")):
        text = _MARKDOWN.sub(lambda found: found[1] or "", text)
    return text


def to_simplified(text: str) -> str:
    """Traditional Chinese characters as simplified ones (OpenCC's table and phrases)."""
    characters, phrases, first, any_of_them = _table()
    if any_of_them.search(text) is None:
        return text
    if first.isdisjoint(text):
        return text.translate(characters)
    kept = phrases.split(text)  # odd pieces are phrases
    return "".join(
        _phrase_of(piece) if at % 2 else piece.translate(characters)
        for at, piece in enumerate(kept)
    )


def _to_half_width(text: str) -> str:
    """NFKC without what is never seen; the common marks first, which alone are often all."""
    if not text.isascii():
        for wide, half in _COMMON:
            text = text.replace(wide, half)
        text = unicodedata.normalize("NFKC", text)
    return text if text.isprintable() else _INVISIBLE.sub("", text)


def _phrase_of(phrase: str) -> str:
    return _phrases()[phrase]


def _cut_between(text: str, begin: str, end: str) -> str:
    """Without what stands from `begin` to `end`; what is never ended, to the end."""
    lowered = text.lower()
    if len(lowered) != len(text) or begin not in lowered:
        return text
    kept, at = [], 0
    while (start := lowered.find(begin, at)) >= 0:
        kept.append(text[at:start])
        stop = lowered.find(end, start)
        if stop < 0:
            return "".join(kept)
        close = text.find(">", stop)
        at = len(text) if close < 0 else close + 1
    return "".join([*kept, text[at:]])


@cache
def _repeated(most: int) -> re.Pattern[str]:
    return re.compile(rf"([^\d\s])\1{{{most},}}")


@cache
def _read() -> tuple[dict[str, str], dict[str, str]]:
    content = resources.files("zhiyin.lang").joinpath("simplified.txt").read_text("utf-8")
    head, _, tail = content.partition("\n\n")
    pairs = [line.split(" ") for line in head.splitlines() if not line.startswith("#")]
    characters = {a: b for many, few in pairs for a, b in zip(many, few, strict=True)}
    return characters, dict(line.split(" ") for line in tail.splitlines())  # type: ignore[misc]


@cache
def _phrases() -> dict[str, str]:
    return _read()[1]


@cache
def _table() -> tuple[dict[int, str], re.Pattern[str], frozenset[str], re.Pattern[str]]:
    """The table of characters, phrases (the longest first), what phrases begin with, and whether
    anything of it is in a text."""
    characters, phrases = _read()
    ordered = sorted(phrases, key=lambda one: (-len(one), one))
    pattern = re.compile("(" + "|".join(ordered) + ")")
    first = frozenset(one[0] for one in phrases)
    anything = re.compile(f"[{''.join(sorted({*characters, *first}))}]")
    return str.maketrans(characters), pattern, first, anything
