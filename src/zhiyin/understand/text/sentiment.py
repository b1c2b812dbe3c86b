"""Sentiment learned from labelled texts: calibrated, explained, quick, without a download."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from zhiyin.core.arguments import check_number, show
from zhiyin.core.errors import InputError, InvalidParameter
from zhiyin.lang import Tokeniser
from zhiyin.understand.text.clauses import describe
from zhiyin.understand.text.evidence import Evidence, Explanation, find_evidence, speak
from zhiyin.understand.text.lines import Line
from zhiyin.understand.text.pieces import Pieces, count_pieces, cut_pieces, spell

FORMAT = 1
SURE = 0.65
_BATCH = 400_000  # characters that are scored together


@dataclass(frozen=True)
class Quality:
    """What cross-validation within the training texts found; each text judged by models that had
    not seen it.

    Attributes
    ----------
    texts
        How many texts, of different wording or not.
    accuracy, macro_f1
        Of the label with the highest probability.
    calibration_error
        Mean |probability - share| over 10 equal-count bins; the largest of the classes.
    """

    texts: int
    accuracy: float
    macro_f1: float
    calibration_error: float


@dataclass(frozen=True)
class SentimentModel:
    """A fitted model; made by `train_sentiment`.

    Attributes
    ----------
    classes
        The two or three labels, sorted; columns of `predict_proba` are in this order.
    quality
        How good it was on texts that it had not seen.
    """

    classes: tuple[Any, ...]
    quality: Quality
    words: tuple[str, ...] = ()
    lines_: tuple[tuple[Line, ...], ...] = field(default=(), repr=False)
    mean_: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    spread_: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    slopes_: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)), repr=False)
    offsets_: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    prior_: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """(n, classes) the probability of each class.

        A text without a single known piece (empty, blanks, emoji never seen) has the shares of the
        training labels. Of texts over 20,000 characters the first and the last 10,000 are read.

        Raises
        ------
        InvalidParameter
            If they are one text, or one of them is none.
        """
        return self._score(texts)[0]

    def predict(
        self, texts: Sequence[str], *, neutral: Any = None, sure: float = SURE
    ) -> np.ndarray:
        """(n,) the most probable class of each text.

        Parameters
        ----------
        neutral
            What to say instead where no class has a probability of `sure`, say "neutral": for
            models of two classes, whose probabilities are calibrated: of texts with P = .65 in
            the end 35 % are of the other class. Texts without a known piece are neutral too.
        sure
            From .5 to 1; without `neutral` it is not used.

        Raises
        ------
        InvalidParameter
            If the texts are none, or `sure` is out of its range.
        """
        check_number("sure", sure, least=0.5, most=1.0)
        chances, known = self._score(texts)
        best = chances.argmax(axis=1)
        if neutral is None:
            return np.array(self.classes)[best]
        said = np.empty(len(best), dtype=object)
        said[:] = [self.classes[at] for at in best]
        said[(chances.max(axis=1) < sure) | ~known] = neutral
        return said

    def explain(self, text: str, *, most: int = 8) -> Explanation:
        """The label of one text, and which words, phrases and clauses spoke for and against it.

        Raises
        ------
        InvalidParameter
            If it is no text.
        """
        spelled = spell(check_texts([text])[0])
        pieces = cut_pieces([spelled], self._tokeniser)
        chances = self._chances(pieces)[0][0]
        at = int(chances.argmax())
        side = at if len(self.classes) > 2 else 0
        sign = -1.0 if len(self.classes) == 2 and at == 0 else 1.0
        lines = self.lines_[side]
        found = find_evidence(pieces, lines, self._tokeniser)
        clauses = np.mean([line.score_clauses(pieces) for line in lines], axis=0)
        return speak(
            self.classes[at], float(chances[at]), pieces, sign * clauses,
            [Evidence(one.text, sign * one.weight, one.role) for one in found], most=most,
        )  # fmt: skip

    def to_artifact(self) -> dict[str, Any]:
        """Values and arrays (`zhiyin.core.artifact.pack` makes a file of them); never a pickle."""
        return {
            "kind": "sentiment", "format": FORMAT, "classes": list(self.classes),
            "words": list(self.words), "quality": vars(self.quality),
            "lines": [[line.to_artifact() for line in lines] for lines in self.lines_],
            "mean": self.mean_, "spread": self.spread_, "slopes": self.slopes_,
            "offsets": self.offsets_, "prior": self.prior_,
        }  # fmt: skip

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> SentimentModel:
        """The model that `to_artifact` wrote; its predictions are equal.

        Raises
        ------
        InputError
            If the artifact is another model's, or of a newer format.
        """
        if artifact.get("kind") != "sentiment" or int(artifact.get("format", 0)) > FORMAT:
            raise InputError(
                f"this is no sentiment model of format up to {FORMAT}",
                hint="hand in what SentimentModel.to_artifact gave, or update zhiyin",
            )
        return cls(
            tuple(artifact["classes"]),
            Quality(**artifact["quality"]),
            tuple(artifact["words"]),
            tuple(tuple(Line.from_artifact(one) for one in lines) for lines in artifact["lines"]),
            artifact["mean"],
            artifact["spread"],
            artifact["slopes"],
            artifact["offsets"],
            artifact["prior"],
        )

    @cached_property
    def _tokeniser(self) -> Tokeniser:
        return Tokeniser(self.words)

    def _score(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        found = [
            self._chances(cut_pieces(batch, self._tokeniser))
            for batch in batches(map(spell, check_texts(texts)))
        ]
        if not found:
            return np.zeros((0, len(self.classes))), np.zeros(0, dtype=bool)
        chances, known = zip(*found, strict=True)
        return np.concatenate(chances), np.concatenate(known)

    def _chances(self, pieces: Pieces) -> tuple[np.ndarray, np.ndarray]:
        """(n, classes) probabilities, and whether any piece of a text is known."""
        figures, known = look(pieces, self.lines_)
        scaled = (figures - self.mean_) / self.spread_
        chances = to_chances(scaled @ self.slopes_.T + self.offsets_)
        chances[~known] = self.prior_
        return chances, known


def look(pieces: Pieces, lines: Sequence[Sequence[Line]]) -> tuple[np.ndarray, np.ndarray]:
    """(n, figures) what the lines of all classes say of each text, and (n,) whether any piece of
    it is known."""
    counts = count_pieces(pieces)
    columns = [
        describe(pieces, line.score(counts), line.score_clauses(pieces))
        for of_class in lines
        for line in of_class
    ]
    gain = lines[0][0].gain[counts.indices] > 0
    reach = np.concatenate([[0], np.cumsum(gain)])
    return np.hstack(columns), reach[counts.indptr[1:]] > reach[counts.indptr[:-1]]


def to_chances(scores: np.ndarray) -> np.ndarray:
    """(n, classes) probabilities of (n, 1) or (n, classes) scores in log-odds."""
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def check_texts(texts: Sequence[str]) -> list[str]:
    """The texts as a list.

    Raises
    ------
    InvalidParameter
        If they are one text, no list, or one of them is none; the error never holds a text.
    """
    if isinstance(texts, str | bytes) or not hasattr(texts, "__iter__"):
        raise InvalidParameter(
            f"texts is of type {type(texts).__name__}, it must be a list of texts",
            hint="for one text: [text]",
        )
    found = list(texts)
    for row, one in enumerate(found):
        if not isinstance(one, str):
            raise InvalidParameter(
                f"texts has {show(one)} in row {row}, it must be a text",
                hint='leave missing texts out, or hand in ""',
            )
    return found


def batches(spelled: Iterable[str]) -> Iterator[list[str]]:
    """So many texts that their pieces fit into some 100 MB."""
    batch: list[str] = []
    size = 0
    for text in spelled:
        batch.append(text)
        size += len(text)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
