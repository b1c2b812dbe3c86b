"""What the clauses of a text say together: one bad thing among five good ones is seen."""

from __future__ import annotations

import numpy as np

from zhiyin.understand.text.pieces import Pieces

_SAYS = 0.3  # standard deviations of whole texts from which a clause counts as for or against
_ENDS = 3  # clauses at the beginning and at the end that are looked at one by one
_SCALE = 1.5


def describe(pieces: Pieces, texts: np.ndarray, clauses: np.ndarray) -> np.ndarray:
    """(n, 25) figures of each text from its score and those of its clauses.

    Parameters
    ----------
    texts
        (n,) scores of the texts.
    clauses
        (clauses,) scores of their clauses.

    Returns
    -------
    The score and its tanh; sum, mean, middle, the two lowest and two highest of the clauses'
    scores; sums of their tanh, of its positive and its negative part; how many speak for and
    against; the logarithm of how many there are; what stands before and after a turn (but);
    the first three and the last three.
    """
    first = pieces.first_clause
    many = np.diff(first)
    owner = np.repeat(np.arange(len(many)), many)
    score = clauses * _SCALE

    def add(values: np.ndarray) -> np.ndarray:
        return np.bincount(owner, values, minlength=len(many))

    ordered = score[np.lexsort((score, owner))]
    low, high = first[:-1], first[1:] - 1
    soft, hard = np.tanh(score), np.tanh(3 * score)
    turned = pieces.turned
    turns = add(turned * 1.0) > 0
    columns = [
        texts, np.tanh(texts), add(score), add(score) / many,
        ordered[low], ordered[np.minimum(low + 1, high)], ordered[(low + high) // 2],
        ordered[np.maximum(high - 1, low)], ordered[high],
        add(soft), add(soft) / many, add(np.maximum(soft, 0)), add(np.minimum(soft, 0)),
        add(hard), add(hard) / many, add((score > _SAYS) * 1.0), add((score < -_SAYS) * 1.0),
        np.log1p(many), add(soft * turned), add(soft * (~turned & turns[owner])),
    ]  # fmt: skip
    place = np.arange(len(owner)) - first[owner]
    left = many[owner] - 1 - place
    for one in range(_ENDS):
        columns += [add(soft * (place == one)), add(soft * (left == one))]
    return np.column_stack(columns)
