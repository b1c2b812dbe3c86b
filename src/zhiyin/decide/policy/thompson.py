"""Thompson sampling without a context: one rate for each action, whoever is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.policy.chances import best_probabilities
from zhiyin.decide.policy.chooser import Chooser, Flags, Floats

KEPT = 4_096  # sets of eligible actions whose chances are remembered


class Thompson(Chooser):
    """Rates of rewards 0 or 1; contexts may be anything and are not looked at.

    `discount`: what an outcome counts after one more, in (0, 1]; `explore`: the share that is
    spread evenly.
    """

    name = "thompson"

    def __init__(
        self, actions: Sequence[str], *, discount: float = 1.0, explore: float = 0.0
    ) -> None:
        super().__init__(actions, width=None, explore=explore)
        if not 0 < discount <= 1:
            raise InvalidParameter(f"discount must be in (0, 1], not {discount}")
        self.discount = float(discount)
        self._won, self._tried = np.zeros(len(self.actions)), np.zeros(len(self.actions))
        self._known_chances: dict[bytes, Floats] = {}  # by what is eligible, until an outcome

    @property
    def explores(self) -> bool:
        """Any action that may be the best has a chance; with `explore` above 0 all have."""
        return True

    def settings(self) -> dict[str, Any]:
        """What it was made with beside the actions."""
        return {**super().settings(), "discount": self.discount}

    def _state(self) -> dict[str, Any]:
        return {"won": self._won.copy(), "tried": self._tried.copy()}

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._won, self._tried = np.array(state["won"]), np.array(state["tried"])

    def update(
        self,
        contexts: np.ndarray | Sequence[float],
        actions: str | Sequence[str],
        rewards: float | np.ndarray,
        *,
        weights: np.ndarray | None = None,
    ) -> None:
        """Count rewards of 0 or 1, each `weights` times."""
        named = [actions] if isinstance(actions, str) else actions
        places = np.array([self.place_of(one) for one in named], np.int64)
        told = np.atleast_1d(np.asarray(rewards, np.float64))
        counted = np.ones(places.size) if weights is None else np.atleast_1d(weights)
        if not places.size == told.size == counted.size:
            raise InvalidParameter("actions, rewards and weights are of one length")
        if not ((told == 0) | (told == 1)).all() or not (counted >= 0).all():
            raise InvalidParameter("rewards are 0 or 1, and known; weights are 0 or more")
        keep = self.discount ** float(counted.sum())
        self._won, self._tried = self._won * keep, self._tried * keep
        np.add.at(self._won, places, told * counted)
        np.add.at(self._tried, places, counted)
        self._known_chances.clear()

    def _judge(self, contexts: Floats, allowed: Flags) -> tuple[Floats, Floats]:
        rates = (self._won + 1) / (self._tried + 2)
        kinds, of_row = np.unique(allowed, axis=0, return_inverse=True)
        chances = np.array([self._chances_of(kind) for kind in kinds]).reshape(kinds.shape)
        return chances[of_row.ravel()], np.broadcast_to(rates, allowed.shape)

    def _chances_of(self, allowed: Flags) -> Floats:
        key = allowed.tobytes()
        if key not in self._known_chances:
            made = np.zeros(allowed.size)
            if allowed.any():
                won, tried = self._won[allowed], self._tried[allowed]
                made[allowed] = best_probabilities(won.tolist(), tried.tolist())
            if len(self._known_chances) >= KEPT:
                self._known_chances.clear()
            self._known_chances[key] = made
        return self._known_chances[key]
