"""Which words, phrases and clauses of a text spoke for its label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from zhiyin.lang import Tokeniser, stop_words
from zhiyin.understand.text.lines import Line
from zhiyin.understand.text.pieces import Pieces

Role = Literal["word", "negated", "degree"]
_NEGATIONS = """
不 没 没有 无 未 别 莫 非 毫无 并非 并不 不是 不太 不够 不很 不会 不能 不再
从不 绝不 毫不 没什么 没法
not no never none neither nor without hardly cannot don't doesn't didn't isn't wasn't aren't
weren't won't can't couldn't wouldn't
"""
_DEGREES = """
很 太 非常 十分 特别 极 极其 极为 超 超级 相当 比较 较 有点 有些 略 稍 稍微
最 更 更加 挺 蛮 好 真 真的 实在 格外 过于 几乎
very so too really extremely quite rather slightly most more less highly super absolutely totally
"""
NEGATIONS = frozenset(_NEGATIONS.split())
DEGREES = frozenset(_DEGREES.split())
_REACH = 3  # words that a negation or a degree reaches over to what it is about
_STOPS = stop_words("zh") | stop_words("en")


@dataclass(frozen=True)
class Evidence:
    """One word or phrase.

    Attributes
    ----------
    text
        As it was spelled for the model.
    weight
        Above 0 where it spoke for the label. The weights of all words and what stands between
        them add up to the score of the whole text.
    role
        `negated`: a phrase that begins with a negation (不干净, not clean); `degree`: with a word
        of degree (很好, very good); otherwise `word`.
    """

    text: str
    weight: float
    role: Role


@dataclass(frozen=True)
class Explanation:
    """Why a text got its label.

    Attributes
    ----------
    label, probability
        The most probable class and its calibrated probability.
    spoke_for, spoke_against
        Words and phrases, the heaviest first.
    clauses
        The parts of the text in their order, each with its score: above 0 for the label.
    """

    label: Any
    probability: float
    spoke_for: tuple[Evidence, ...]
    spoke_against: tuple[Evidence, ...]
    clauses: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        said = "; ".join(f"{one.text} {one.weight:+.2f}" for one in self.spoke_for)
        against = "; ".join(f"{one.text} {one.weight:+.2f}" for one in self.spoke_against)
        return f"{self.label} ({self.probability:.0%}): {said or '-'} | {against or '-'}"


def weigh_characters(pieces: Pieces, lines: Sequence[Line]) -> np.ndarray:
    """(characters,) what each character of one text adds to the mean score of the lines.

    A piece's part is shared out over its characters; parts add up to the score without its offset.
    """
    total = np.zeros(len(pieces.text) + 1)
    _, at, times = np.unique(pieces.bucket, return_inverse=True, return_counts=True)
    often = times[at]
    for line in lines:
        gain = line.gain[pieces.bucket] * (1 + np.log(often)) / often
        size = np.sqrt(np.sum(gain * gain * often))  # gain x often is the bucket's weight
        part = gain * line.slope[pieces.bucket] / max(size, 1e-9) / line.scale / len(lines)
        each = part / pieces.length
        np.add.at(total, pieces.place, each)
        np.add.at(total, pieces.place + pieces.length, -each)
    return np.cumsum(total)[:-1]


def find_evidence(pieces: Pieces, lines: Sequence[Line], tokeniser: Tokeniser) -> list[Evidence]:
    """The words and phrases of one text in their order; marks and stop words are left out."""
    reach = np.concatenate([[0.0], np.cumsum(weigh_characters(pieces, lines))])
    words = tokeniser.cut(pieces.text)
    ends = np.cumsum([len(one) for one in words])
    found: list[Evidence] = []
    at = 0
    while at < len(words):
        last = _end_of_phrase(words, at)
        text = "".join(words[at : last + 1]).strip()
        weight = float(reach[ends[last]] - reach[ends[at] - len(words[at])])
        if last > at or (
            text not in _STOPS and any(one.isalnum() or ord(one) > 0x2600 for one in text)
        ):
            found.append(Evidence(text, weight, _role(words[at], text)))
        at = last + 1
    return found


def speak(
    label: Any,
    probability: float,
    pieces: Pieces,
    clauses: np.ndarray,
    found: Sequence[Evidence],
    *,
    most: int,
) -> Explanation:
    """The explanation of one text: the heaviest evidence, equal words taken together."""
    sums: dict[tuple[str, Role], float] = {}
    for one in found:
        key = (one.text, one.role)
        sums[key] = sums.get(key, 0.0) + one.weight
    ordered = [Evidence(text, weight, role) for (text, role), weight in sums.items()]
    ordered.sort(key=lambda one: (-abs(one.weight), one.text))
    bounds = np.flatnonzero(np.diff(pieces.clause, prepend=-1))
    parts = np.split(np.arange(len(pieces.text)), bounds[1:])
    told = [
        ("".join(pieces.text[at] for at in part).strip(" \x02\x03\n"), float(score))
        for part, score in zip(parts, clauses, strict=True)
    ]
    return Explanation(
        label,
        probability,
        tuple(one for one in ordered if one.weight > 0)[:most],
        tuple(one for one in ordered if one.weight < 0)[:most],
        tuple((text, score) for text, score in told if text),
    )


def _end_of_phrase(words: Sequence[str], at: int) -> int:
    """Where the phrase that begins here ends: a negation or a degree takes the next word of
    content with it, across at most three others."""
    if words[at] not in NEGATIONS and words[at] not in DEGREES:
        return at
    for last in range(at + 1, min(at + 1 + _REACH, len(words))):
        word = words[last]
        if word.isspace() or word in NEGATIONS or word in DEGREES or word in _STOPS:
            continue
        return last if word[0].isalnum() else at
    return at


def _role(first: str, text: str) -> Role:
    if first in NEGATIONS or (len(text) > 1 and text[0] in "不没" and first == text):
        return "negated"
    if first in DEGREES or (len(text) > 1 and text[0] in "很太超极最" and first == text):
        return "degree"
    return "word"
