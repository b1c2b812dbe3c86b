"""Policies of given weights, which were learned elsewhere (`decide.mdp`): scores x'w."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.policy.chooser import Chooser, Flags, Floats
from zhiyin.decide.policy.ranked import Ranked


class Weighted(Chooser):
    """A policy whose scores are linear in the context; at first all weights are 0.

    Parameters
    ----------
    actions
        Where scores are equal the first is chosen.
    width
        How many numbers a context has, the constant 1 among them.
    explore
        The share that is spread evenly.
    """

    def __init__(self, actions: Sequence[str], *, width: int, explore: float = 0.0) -> None:
        super().__init__(actions, width=width, explore=explore)
        self.weights = np.zeros((len(self.actions), width))

    def weighing(self, weights: np.ndarray) -> Self:
        """The same policy with other weights, (actions, width)."""
        given = np.asarray(weights, np.float64)
        if given.shape != self.weights.shape or not np.isfinite(given).all():
            raise InvalidParameter(
                f"weights are {self.weights.shape} finite numbers, not of {given.shape}"
            )
        made = type(self)(self.actions, **self.settings())
        made.weights = given.copy()
        return made

    def settings(self) -> dict[str, Any]:
        """What it was made with beside the actions."""
        return {**super().settings(), "width": self.width}

    def _state(self) -> dict[str, Any]:
        return {"weights": self.weights}

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.weights = np.asarray(state["weights"], np.float64)

    def _scores(self, contexts: Floats) -> Floats:
        return contexts @ self.weights.T


class LinearScores(Weighted, Ranked):
    """The action of the highest score less its doubt, x'w - sqrt(x'Dx): what `decide.mdp.fitted`
    learns. `doubts` (actions, width, width), at first 0."""

    name = "linear_scores"

    def __init__(self, actions: Sequence[str], *, width: int, explore: float = 0.0) -> None:
        super().__init__(actions, width=width, explore=explore)
        self.doubts = np.zeros((len(self.actions), width, width))

    def doubting(self, doubts: np.ndarray) -> Self:
        """The same policy with other doubts."""
        given = np.asarray(doubts, np.float64)
        if given.shape != self.doubts.shape or not np.isfinite(given).all():
            raise InvalidParameter(
                f"doubts are {self.doubts.shape} finite numbers, not of {given.shape}"
            )
        made = self.weighing(self.weights)
        made.doubts = given.copy()
        return made

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "doubts": self.doubts}

    def _restore(self, state: Mapping[str, Any]) -> None:
        super()._restore(state)
        self.doubts = np.asarray(state["doubts"], np.float64)

    def _scores(self, contexts: Floats) -> Floats:
        return contexts @ self.weights.T - doubts_of(contexts, self.doubts)


class Softmax(Weighted):
    """Each action by e^score over the sum of all: what `decide.mdp.gradient` learns."""

    name = "softmax"

    @property
    def explores(self) -> bool:
        """Every eligible action has a chance."""
        return True

    def _judge(self, contexts: Floats, allowed: Flags) -> tuple[Floats, Floats]:
        scores = self._scores(contexts)
        return spread(scores, allowed), scores


def doubts_of(contexts: Floats, doubts: Floats) -> Floats:
    """sqrt(x'Dx) of each context and action, (rows, actions)."""
    squares = [np.vecdot(contexts @ one, contexts) for one in doubts]
    return np.sqrt(np.maximum(np.column_stack(squares), 0.0))


def spread(scores: Floats, allowed: Flags) -> Floats:
    """Softmax over the allowed actions, 0 for the others; 0 throughout where there is none."""
    masked = np.where(allowed, scores, -np.inf)
    top = np.where(allowed.any(axis=1), masked.max(axis=1), 0.0)
    raised = np.exp(masked - top[:, None])
    return raised / np.maximum(raised.sum(axis=1, keepdims=True), 1e-300)
