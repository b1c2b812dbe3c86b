"""Texts as hashed pieces: runs of 1 to 4 characters, words and pairs of words, in numpy.

Every piece is a stretch of one long array of code points. Its hash is the difference of two sums
of code x BASE^place (mod 2^64), moved to place 0 by the inverse of BASE: any stretch costs the
same, and the pieces of a batch are hashed together. There is no vocabulary: a piece is its bucket.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from zhiyin.lang import Tokeniser, normalise

BITS = 22
"""4 million buckets: of a million pieces of 6,000 reviews a fifth share theirs with another one."""
ORDERS = (1, 2, 3, 4)
WORD_ORDERS = (1, 2)
_BEGIN, _END = "\x02", "\x03"
_MARKS = (2, 3)  # their codes
_OF_WORDS = 16  # kinds of pieces: 1 to 4 are runs of characters, from 17 on words
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse mod 2^64
_INVERSE = pow(_BASE, -1, 2**64)
_MIX = np.uint64(0xBF58476D1CE4E5B9)  # of splitmix64
_KIND = np.uint64(0x94D049BB133111EB)
_STOPS = frozenset(',.!?;:~，。！？；：～、…\n\t()（）[]【】"“”' + _BEGIN + _END)
LONGEST = 20_000  # characters of a text that are read: half from its beginning, half from its end
_REPLY = re.compile(
    r"(?:(?:宾馆|酒店|商家|卖家|店家|店铺|店主|掌柜|客服)(?:反馈|回复|回应|答复)|"
    r"(?:response|reply) from (?:the )?(?:owner|seller|hotel|manager|property|store))"
    r"(?:\d{4}年\d{1,2}月\d{1,2}日)?:.*?(?=补充点评|追加评[论价]|追评|$)",
    re.DOTALL,
)
"""What the merchant wrote under a review, up to what the customer added: not her words."""
_STOP = np.zeros(1 << 16, dtype=bool)
_STOP[[ord(mark) for mark in _STOPS]] = True
_TURNS = ("但", "不过", "可是", "然而", "就是", "只是", "but ", "however")
"""What turns against what was said before it: a clause begins here."""


@dataclass(frozen=True)
class Pieces:
    """The pieces of a batch of texts, texts one after another.

    Attributes
    ----------
    bucket, place, length
        (p,) of each piece: its hash, where it begins, how many characters it has.
    owner
        (p,) the text of each piece, ascending within each kind of piece.
    text
        The texts with a mark before and after each, as one.
    clause
        (characters,) the clause of each character, counted through the batch.
    first_clause
        (n + 1,) the first clause of each text.
    turned
        (clauses,) whether the clause stands at or after a word such as but, in its text.
    starts
        (n + 1,) where each text begins in `text`.
    """

    bucket: np.ndarray
    place: np.ndarray
    length: np.ndarray
    owner: np.ndarray
    text: str
    clause: np.ndarray
    first_clause: np.ndarray
    turned: np.ndarray
    starts: np.ndarray

    @property
    def texts(self) -> int:
        return len(self.starts) - 1


def spell(text: str) -> str:
    """The spelling that pieces are taken from: normalised, without a merchant's reply."""
    if len(text) > LONGEST:
        text = text[: LONGEST // 2] + "\n" + text[-LONGEST // 2 :]
    text = normalise(text, lower=True, repeats=2)
    return _REPLY.sub(" ", text) if ":" in text else text


def cut_pieces(texts: Sequence[str], tokeniser: Tokeniser) -> Pieces:
    """The pieces of texts that are spelled already."""
    joined = "".join(f"{_BEGIN}{text}{_END}" for text in texts)
    codes = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32)
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 2
    starts = np.concatenate([[0], np.cumsum(lengths)])
    owner = np.repeat(np.arange(len(texts)), lengths)
    sums, shift = _prefix(codes)
    found = [_hash_runs(order, codes, owner, sums, shift) for order in ORDERS]
    found += _hash_words(tokeniser.cut(joined), codes, owner, sums, shift)
    value, place, length = (np.concatenate(parts) for parts in zip(*found, strict=True))
    value ^= value >> np.uint64(33)
    value *= _MIX
    value ^= value >> np.uint64(29)
    value *= _KIND
    clause, first, turned = _clauses(joined, codes, starts, owner)
    return Pieces(
        (value >> np.uint64(64 - BITS)).astype(np.int64),
        place, length, owner[place], joined, clause, first, turned, starts,
    )  # fmt: skip


def count_pieces(pieces: Pieces) -> sparse.csr_matrix:
    """(n, 2^BITS) how often each bucket occurs in each text."""
    keys = np.sort((pieces.owner << BITS) | pieces.bucket)
    new = np.flatnonzero(np.diff(keys, prepend=-1))
    counts = np.diff(new, append=len(keys)).astype(np.float32)
    kept = keys[new]
    rows = np.searchsorted(kept, np.arange(pieces.texts + 1) << BITS)
    return sparse.csr_matrix(
        (counts, kept & ((1 << BITS) - 1), rows), shape=(pieces.texts, 1 << BITS)
    )


def _prefix(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(m + 1,) sums of code x BASE^place, and the inverse of BASE^place."""
    powers = np.full(len(codes) + 1, _BASE, dtype=np.uint64)
    inverse = np.full(len(codes) + 1, _INVERSE, dtype=np.uint64)
    powers[0] = inverse[0] = 1
    np.cumprod(powers, out=powers)
    np.cumprod(inverse, out=inverse)
    sums = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum((codes.astype(np.uint64) + np.uint64(1)) * powers[:-1], out=sums[1:])
    return sums, inverse


def _hash_runs(
    order: int, codes: np.ndarray, owner: np.ndarray, sums: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hash, place and length of all runs of `order` characters within a text."""
    many = max(len(codes) - order + 1, 0)
    inside = owner[:many] == owner[order - 1 :]
    if order <= len(_MARKS):
        inside &= (codes[:many] > _MARKS[-1]) | (codes[order - 1 :] > _MARKS[-1])
    value = (sums[order:] - sums[:many]) * shift[:many] + _kind(order)
    place = np.flatnonzero(inside)
    return value[place], place, np.full(len(place), order)


def _kind(number: int) -> np.uint64:
    """What is added for a kind of pieces, so that a word is another piece than its characters."""
    return np.uint64(number * int(_KIND) % 2**64)


def _hash_words(
    words: Sequence[str],
    codes: np.ndarray,
    owner: np.ndarray,
    sums: np.ndarray,
    shift: np.ndarray,
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Hash, place and length of words and of words that follow each other."""
    reach = np.zeros(len(words) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, words), np.int64, len(words)), out=reach[1:])
    found = []
    for order in WORD_ORDERS:
        begin, end = reach[:-order], reach[order:]
        inside = (owner[begin] == owner[end - 1]) & (codes[end - 1] != _MARKS[0])
        inside &= (codes[begin] > _MARKS[-1]) | (codes[end - 1] > _MARKS[-1])
        begin, end = begin[inside], end[inside]
        kind = _kind(_OF_WORDS + order)
        found.append(((sums[end] - sums[begin]) * shift[begin] + kind, begin, end - begin))
    return found


def _clauses(
    joined: str, codes: np.ndarray, starts: np.ndarray, owner: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The clause of each character, the first of each text, which stand after a turn.

    A clause ends with the first of a run of stops and begins after it, or at a turn.
    """
    stop = _STOP[np.minimum(codes, len(_STOP) - 1)]
    begins = np.concatenate([[True], stop[:-1] & ~stop[1:]])
    turn = np.zeros(len(codes), dtype=bool)
    for word in _TURNS:
        at = joined.find(word)
        while at >= 0:
            turn[at] = True
            at = joined.find(word, at + 1)
    begins |= turn
    begins[starts[:-1]] = True
    # the mark before a text is a stop: its first word opens no second clause
    begins[starts[:-1] + 1] = False
    clause = np.cumsum(begins) - 1
    seen = np.cumsum(turn)
    at = np.flatnonzero(begins)
    before = seen[starts[:-1]][owner[at]]
    turned = np.maximum.reduceat(seen, at) > before if len(at) else np.zeros(0, dtype=bool)
    first = np.concatenate([clause[starts[:-1]], [len(at)]])
    return clause, first, turned
