"""Linear models of hashed pieces, each piece weighed by how unevenly the classes use it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from zhiyin.understand.text.pieces import BITS, Pieces

_LEAST = 2  # texts that must have a piece
_SMOOTH = 1.0
_STRENGTH = 0.5  # C, the inverse of the ridge
_ROUNDS = 2_000
_POWER = 0.5  # of the log ratio: 0 is TF-IDF, 1 is TF-IDF times naive Bayes


@dataclass(frozen=True)
class Line:
    """One class against the others: a score, positive where it speaks for the class.

    Attributes
    ----------
    gain
        (2^BITS,) what one occurrence of a piece counts, 0 for those that training did not keep.
    slope
        (2^BITS,) what it says, for (+) or against (-) the class.
    offset, scale
        Of the score; it is divided by its standard deviation over the training texts.
    """

    gain: np.ndarray
    slope: np.ndarray
    offset: float
    scale: float

    def score(self, counts: sparse.csr_matrix) -> np.ndarray:
        """(n,) the scores of texts; the offset alone where no piece is known."""
        weights = (1 + np.log(counts.data)) * self.gain[counts.indices]
        size = np.sqrt(_sum(weights * weights, counts.indptr))
        said = _sum(weights * self.slope[counts.indices], counts.indptr)
        return (said / np.maximum(size, 1e-9) + self.offset) / self.scale

    def score_clauses(self, pieces: Pieces) -> np.ndarray:
        """(clauses,) what the pieces that begin in a clause say, as if it were the text."""
        clause = pieces.clause[pieces.place]
        gain = self.gain[pieces.bucket]
        many = int(pieces.first_clause[-1])
        size = np.sqrt(np.bincount(clause, gain * gain, minlength=many))
        said = np.bincount(clause, gain * self.slope[pieces.bucket], minlength=many)
        return (said / np.maximum(size, 1e-9) + self.offset) / self.scale

    def to_artifact(self) -> dict[str, Any]:
        kept = np.flatnonzero(self.gain)
        return {
            "kept": kept.astype(np.int32), "gain": self.gain[kept], "slope": self.slope[kept],
            "offset": self.offset, "scale": self.scale,
        }  # fmt: skip

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Line:
        gain, slope = np.zeros(1 << BITS, np.float32), np.zeros(1 << BITS, np.float32)
        gain[artifact["kept"]] = artifact["gain"]
        slope[artifact["kept"]] = artifact["slope"]
        return cls(gain, slope, float(artifact["offset"]), float(artifact["scale"]))


def fit_line(counts: sparse.csr_matrix, positive: np.ndarray) -> Line:
    """Fit one class against the others.

    Parameters
    ----------
    counts
        (n, 2^BITS) pieces of the training texts.
    positive
        (n,) whether a text is of the class; both must occur.

    Notes
    -----
    A piece counts (1 + log tf) idf |log ratio|^.5, texts have length 1. The ratio is of the shares
    of the two classes' pieces, with one more text for each. Sources: Wang and Manning (2012),
    *Baselines and Bigrams*, whose ratio multiplies presence; the square root: decision 34.
    """
    seen = np.bincount(counts.indices, minlength=counts.shape[1])
    kept = np.flatnonzero(seen >= _LEAST)
    idf = np.log((1 + counts.shape[0]) / (1 + seen[kept])) + 1
    if not kept.size:  # no two texts have a piece in common
        nothing = np.zeros(counts.shape[1], dtype=np.float32)
        return Line(nothing, nothing, 0.0, 1.0)
    rows = np.repeat(positive, np.diff(counts.indptr))
    yes = np.bincount(counts.indices[rows], minlength=counts.shape[1])[kept] + _SMOOTH
    no = seen[kept] - (yes - _SMOOTH) + _SMOOTH
    ratio = np.log(yes / yes.sum()) - np.log(no / no.sum())
    gain = np.zeros(counts.shape[1], dtype=np.float32)
    gain[kept] = idf * np.abs(ratio) ** _POWER
    columns = counts[:, kept]
    weights = (1 + np.log(columns.data)) * gain[kept][columns.indices].astype(np.float64)
    size = np.sqrt(_sum(weights * weights, columns.indptr))
    weights /= np.maximum(np.repeat(size, np.diff(columns.indptr)), 1e-9)
    rows_of = sparse.csr_matrix((weights, columns.indices, columns.indptr), columns.shape)
    model = LinearSVC(C=_STRENGTH, random_state=0, max_iter=_ROUNDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its order of texts is good by then
        model.fit(rows_of, positive)
    scores = model.decision_function(rows_of)
    slope = np.zeros(counts.shape[1], dtype=np.float32)
    slope[kept] = model.coef_[0]
    return Line(gain, slope, float(model.intercept_[0]), float(scores.std()) or 1.0)


def _sum(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Sums of the rows of a sparse matrix; empty rows are 0."""
    reach = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    return reach[bounds[1:]] - reach[bounds[:-1]]
