# pyright: standard, reportOptionalSubscript=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false
# (scipy types the shape of a sparse array as maybe None)
"""Short texts as vectors, alike where they share words or parts of words; nothing is downloaded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from zhiyin.core.arguments import check_whole, show
from zhiyin.core.errors import InvalidParameter

_WORD = re.compile(r"[a-z]+|\d+|[^\W\d_a-z]+")
_GRAM = 4  # letters of a part of a word
_LEAST_TEXTS = 2  # that hold a part, for it to say that two texts are alike
_MOST_PARTS = 20_000


def embed_texts(texts: Sequence[str], *, size: int = 64) -> np.ndarray:
    """A vector of norm 1 for each text; 0 where a text shares nothing with another one.

    Parameters
    ----------
    texts
        Names or descriptions in any language; case does not count.
    size
        Length of the vectors; shorter where there are fewer distinct texts or parts.

    Returns
    -------
    (n, size) float32; the dot product of two rows is how alike their texts are, -1..1.

    Raises
    ------
    InvalidParameter
        If a text is none, or `size` is no whole number above 0.

    Notes
    -----
    Latent semantic analysis (Deerwester et al., 1990): words and the runs of four letters within
    them, of scripts without spaces each character and each pair of them, weighed (1 + log count)
    log(texts / texts that have it); the left singular vectors of that matrix times the singular
    values.
    """
    check_whole("size", size, least=1)
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise InvalidParameter(f"texts is {show(texts)}, not a list", hint='["tea", "coffee"]')
    odd = next((one for one in texts if not isinstance(one, str)), None)
    if odd is not None or None in texts:
        raise InvalidParameter(
            f"texts holds {show(odd)}, which is no text", hint='"" where nothing is said'
        )
    distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    counts = _count([text.lower() for text in distinct])
    spread = np.bincount(counts.indices, minlength=counts.shape[1])
    kept = np.flatnonzero(spread >= _LEAST_TEXTS)
    kept = np.sort(kept[np.argsort(-spread[kept], kind="stable")][:_MOST_PARTS])
    size = min(size, len(kept), len(distinct))
    if not size:
        return np.zeros((len(texts), 1), np.float32)
    counts = sparse.csr_array(counts[:, kept])
    counts.data = 1 + np.log(counts.data)
    rarity = np.log(len(distinct) / spread[kept])
    weighed = _scale(sparse.csr_array(counts @ sparse.diags_array(rarity)))
    left, strength, _ = randomized_svd(weighed, size, n_iter=4, random_state=0)
    made = left * strength
    norm = np.sqrt((made**2).sum(axis=1, keepdims=True))
    made = (made / np.where(norm > 1e-9, norm, 1.0)).astype(np.float32)
    return made[[distinct[text] for text in texts]]


def _count(texts: Sequence[str]) -> sparse.csr_array:
    """(n, parts) how often each text has each part; each word is taken apart once."""
    parts: dict[str, int] = {}
    words: dict[str, list[int]] = {}
    found: list[int] = []
    ends: list[int] = [0]
    for text in texts:
        for word in _WORD.findall(text):
            held = words.get(word)
            if held is None:
                held = words[word] = [parts.setdefault(one, len(parts)) for one in _parts(word)]
            found += held
        ends.append(len(found))
    made = sparse.csr_array(
        (np.ones(len(found)), np.array(found, np.int64), np.array(ends, np.int64)),
        shape=(len(texts), len(parts)),
    )
    made.sum_duplicates()
    return made


def _scale(rows: sparse.csr_array) -> sparse.csr_array:
    norm = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return sparse.csr_array(sparse.diags_array(1 / np.where(norm > 0, norm, 1.0)) @ rows)


def _parts(word: str) -> Iterator[str]:
    if not word.isascii():
        yield from word
        yield from (word[at : at + 2] for at in range(len(word) - 1))
        return
    framed = f" {word} "
    yield framed
    if word.isalpha():
        yield from (framed[at : at + _GRAM] for at in range(len(framed) - _GRAM + 1))
