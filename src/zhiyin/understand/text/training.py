"""Train a model of sentiment from labelled texts."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from zhiyin.core.arguments import show
from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.lang import Tokeniser
from zhiyin.understand.predict.quality import calibration_error
from zhiyin.understand.text.lines import Line, fit_line
from zhiyin.understand.text.pieces import count_pieces, cut_pieces
from zhiyin.understand.text.sentiment import (
    Quality,
    SentimentModel,
    batches,
    check_texts,
    look,
    spell,
    to_chances,
)

FOLDS = 5
LEAST = 20
"""Texts of different wording that each class must have."""
_STRENGTH = 0.3  # inverse of the ridge of the second stage, chosen within training texts


def train_sentiment(
    texts: Sequence[str], labels: Sequence[Any], *, words: Iterable[str] = ()
) -> SentimentModel:
    """Learn to tell two or three classes of sentiment, with calibrated probabilities.

    Parameters
    ----------
    texts
        Reviews in Chinese or English, at least 20 of different wording of each class; hundreds
        are little, thousands are good.
    labels
        The class of each text, texts or numbers: positive and negative, or with neutral.
    words
        Names of one's own, such as those of products, that are one word each.

    Returns
    -------
    The model; its `quality` is from cross-validation within these texts. The order of the texts
    changes nothing.

    Raises
    ------
    InvalidParameter
        If texts or labels are none, of different numbers, or not of two or three classes.
    NotEnoughData
        If a class has fewer than 20 texts of different wording.

    Notes
    -----
    Stage one is a linear support vector machine a class on hashed runs of 1 to 4 characters, words
    and pairs of words (`lines`). Stage two is a logistic regression on what stage one says of the
    whole text and of its clauses (`clauses`), each text scored by models that did not see it, nor
    another of the same wording: that makes its probabilities calibrated. Decision 34 has what
    else was tried.
    """
    spelled = [spell(one) for one in check_texts(texts)]
    classes, target = read_labels(labels, len(spelled))
    order = sorted(range(len(spelled)), key=lambda row: (spelled[row], target[row]))
    spelled, target = [spelled[row] for row in order], target[order]
    fold = _share_out(spelled, target, classes)
    tokeniser = Tokeniser(words)
    counts = sparse.csr_matrix(
        sparse.vstack([count_pieces(cut_pieces(some, tokeniser)) for some in batches(spelled)])
    )
    sides = [1] if len(classes) == 2 else range(len(classes))

    def fit(rows: np.ndarray) -> tuple[tuple[Line, ...], ...]:
        return tuple((fit_line(counts[rows], target[rows] == side),) for side in sides)

    figures = np.zeros((0, 0))
    for one in range(FOLDS):
        unseen = np.flatnonzero(fold == one)
        lines = fit(np.flatnonzero(fold != one))
        found = _look_at([spelled[row] for row in unseen], lines, tokeniser)
        figures = np.zeros((len(spelled), found.shape[1])) if not figures.size else figures
        figures[unseen] = found
    scaler = StandardScaler().fit(figures)
    scaled = scaler.transform(figures)
    second = _second().fit(scaled, target)
    return SentimentModel(
        classes, _judge(scaled, target, fold), tokeniser.words, fit(np.arange(len(spelled))),
        np.asarray(scaler.mean_), np.asarray(scaler.scale_), second.coef_, second.intercept_,
        np.bincount(target) / len(target),
    )  # fmt: skip


def _look_at(
    spelled: Sequence[str], lines: Sequence[Sequence[Line]], tokeniser: Tokeniser
) -> np.ndarray:
    return np.vstack([look(cut_pieces(some, tokeniser), lines)[0] for some in batches(spelled)])


def read_labels(labels: Sequence[Any], texts: int) -> tuple[tuple[Any, ...], np.ndarray]:
    """The two or three classes, sorted, and the number of each text's class.

    Raises
    ------
    InvalidParameter
        If one is missing, they are of mixed types or not one for each text, or there are not two
        or three.
    """
    if isinstance(labels, str | bytes) or not hasattr(labels, "__iter__"):
        raise InvalidParameter(
            f"labels is of type {type(labels).__name__}, it must be a list of labels",
            hint="one label for each text",
        )
    found = [one.item() if isinstance(one, np.generic) else one for one in labels]
    if len(found) != texts:
        raise InvalidParameter(
            f"there are {texts} texts and {len(found)} labels", hint="one label for each text"
        )
    for row, one in enumerate(found):
        if not isinstance(one, str | int | float) or one != one:
            raise InvalidParameter(
                f"labels has {show(one)} in row {row}", hint="a label is a word or a number"
            )
    if len({isinstance(one, str) for one in found}) > 1:
        raise InvalidParameter("labels holds words and numbers", hint="use one kind of label")
    classes = tuple(sorted(set(found)))
    if len(classes) not in (2, 3):
        raise InvalidParameter(
            f"labels has {len(classes)} classes, it must have two or three",
            hint="positive and negative, or with neutral; ratings have to be grouped first",
        )
    number = {one: at for at, one in enumerate(classes)}
    return classes, np.array([number[one] for one in found])


def _share_out(spelled: Sequence[str], target: np.ndarray, classes: tuple[Any, ...]) -> np.ndarray:
    """(n,) the fold of each text: equal texts in one fold, classes evenly over the folds."""
    first: dict[str, int] = {}
    for text, one in zip(spelled, target.tolist(), strict=True):
        first.setdefault(text, one)
    many = np.bincount(list(first.values()), minlength=len(classes))
    if many.min() < LEAST:
        short = classes[int(many.argmin())]
        raise NotEnoughData(
            f"class {short!r} has {many.min()} texts of different wording, {LEAST} are needed",
            hint="label some more texts of it",
        )
    drawn = sorted(first, key=lambda text: (first[text], zlib.crc32(text.encode()), text))
    fold_of = {text: at % FOLDS for at, text in enumerate(drawn)}
    return np.array([fold_of[text] for text in spelled])


def _second() -> LogisticRegression:
    return LogisticRegression(C=_STRENGTH, max_iter=5_000)


def _judge(scaled: np.ndarray, target: np.ndarray, fold: np.ndarray) -> Quality:
    """Figures of the second stage on folds that it was not fitted on either."""
    classes = int(target.max()) + 1
    chances = np.zeros((len(target), classes))
    for one in range(FOLDS):
        model = _second().fit(scaled[fold != one], target[fold != one])
        chances[fold == one] = to_chances(scaled[fold == one] @ model.coef_.T + model.intercept_)
    said = chances.argmax(axis=1)
    sides = [1] if classes == 2 else range(classes)
    f1 = [
        2 * np.sum((said == one) & (target == one))
        / max(np.sum(said == one) + np.sum(target == one), 1)
        for one in range(classes)
    ]  # fmt: skip
    error = max(calibration_error((target == one) * 1, chances[:, one]) for one in sides)
    return Quality(len(target), float(np.mean(said == target)), float(np.mean(f1)), float(error))
