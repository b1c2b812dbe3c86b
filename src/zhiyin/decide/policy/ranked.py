"""Policies that take the action of the highest score, but for the share that explores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zhiyin.core.values import Choice, Choices
from zhiyin.decide.conditions import all_hold, read_conditions
from zhiyin.decide.policy.chooser import Chooser, Flags, Floats

NO_SCORE = -1e300  # eligible, and worse than any score
BARELY = float(np.finfo(np.float64).tiny)  # above 0: what earns exactly nothing is not done


class Ranked(Chooser):
    """A subclass says `_scores`."""

    def _scores(self, contexts: Floats) -> Floats:
        """(rows, k) of (rows, d)."""
        raise NotImplementedError

    def _scores_of(self, context: Floats) -> Floats:
        """(k,) of (d,)."""
        return self._scores(context[None, :])[0]

    def _judge(self, contexts: Floats, allowed: Flags) -> tuple[Floats, Floats]:
        scores = self._scores(contexts)
        masked = np.where(allowed, scores, -np.inf)
        chances = np.zeros_like(masked)
        np.put_along_axis(chances, masked.argmax(axis=1)[:, None], 1.0, axis=1)
        return np.where(allowed, chances, 0.0), scores

    def _judge_one(self, context: Floats, allowed: Flags | None) -> tuple[Floats, Floats]:
        scores = self._scores_of(context)
        masked = scores if allowed is None else np.where(allowed, scores, -np.inf)
        chances = np.zeros(masked.size)
        chances[masked.argmax()] = 1.0
        return chances, scores

    def choose(
        self,
        context: np.ndarray | Sequence[float],
        actions: Sequence[str] | np.ndarray | None = None,
        *,
        rng: np.random.Generator,
    ) -> Choice:
        """One action for one context; `actions`: the eligible ones, names or flags, None = all."""
        if self.explore or actions is not None:
            return super().choose(context, actions, rng=rng)
        place = int(self._scores_of(self._read_one(context)).argmax())
        rng.random()
        return Choice(self.actions[place], 1.0, explored=False)

    def choose_many(
        self,
        contexts: np.ndarray,
        eligible: np.ndarray | None = None,
        *,
        rng: np.random.Generator,
    ) -> Choices:
        """An action for each context, from what is known now."""
        if self.explore:
            return super().choose_many(contexts, eligible, rng=rng)
        given = self._read(contexts)
        scores = self._scores(given)
        rng.random(len(given))
        if eligible is None:
            places = scores.argmax(axis=1)
        else:
            allowed = self._flags(eligible, len(given))
            places = np.where(allowed, scores, -np.inf).argmax(axis=1)
            places = np.where(allowed.any(axis=1), places, -1)
        return Choices(self.actions, places, np.ones(len(given)), np.zeros(len(given), bool))


class Greedy(Ranked):
    """The action with the highest worth x score - cost; the context is the scores of the actions.

    Parameters
    ----------
    actions
        In the order of the scores. A score NaN is worse than any.
    worth, cost
        By action, in one unit: what a score of 1 is worth (1), what the action costs (0).
    explore
        The share that is spread evenly.
    """

    name = "greedy"
    blank = np.nan

    def __init__(
        self,
        actions: Sequence[str],
        *,
        worth: Mapping[str, float] | None = None,
        cost: Mapping[str, float] | None = None,
        explore: float = 0.0,
    ) -> None:
        super().__init__(actions, width=len(actions), explore=explore)
        self.worth, self.cost = dict(worth or {}), dict(cost or {})
        self._worth, self._cost = by_action(self, self.worth, 1.0), by_action(self, self.cost, 0.0)

    def settings(self) -> dict[str, Any]:
        """What it was made with beside the actions."""
        return {**super().settings(), "worth": self.worth, "cost": self.cost}

    def _scores(self, contexts: Floats) -> Floats:
        return np.where(np.isnan(contexts), NO_SCORE, self._worth * contexts - self._cost)


class UpliftGreedy(Greedy):
    """The action whose uplift is worth most beyond its cost; `nothing` where none pays.

    The context holds the uplift of each action over doing nothing; that of `nothing` is 0, whatever
    is given. Where `nothing` is not eligible the best of the others is taken, though it cost.
    """

    name = "uplift_greedy"

    def __init__(
        self,
        actions: Sequence[str],
        *,
        nothing: str = "none",
        worth: Mapping[str, float] | None = None,
        cost: Mapping[str, float] | None = None,
        explore: float = 0.0,
    ) -> None:
        super().__init__(actions, worth=worth, cost=cost, explore=explore)
        self.nothing = nothing
        self._nothing = self.place_of(nothing)

    def settings(self) -> dict[str, Any]:
        """What it was made with beside the actions."""
        return {**super().settings(), "nothing": self.nothing}

    def _scores(self, contexts: Floats) -> Floats:
        scores = super()._scores(contexts)
        scores[:, self._nothing] = BARELY
        return scores


class Rules(Ranked):
    """The action of the first rule that holds and whose action is eligible.

    Parameters
    ----------
    actions
        Where neither a rule's action nor the default is eligible, the first eligible one is taken.
    features
        Names of the numbers of a context, in order.
    rules
        Each `{"when": [[feature, op, number], …], "then": action}`: see `decide.conditions`.
    default
        The action where no rule holds.
    explore
        The share that is spread evenly.
    """

    name = "rules"
    blank = np.nan

    def __init__(
        self,
        actions: Sequence[str],
        *,
        features: Sequence[str],
        rules: Sequence[Mapping[str, Any]],
        default: str,
        explore: float = 0.0,
    ) -> None:
        super().__init__(actions, width=len(features), explore=explore)
        self.features, self.default = tuple(features), default
        self.rules = [{"when": [list(one) for one in r["when"]], "then": r["then"]} for r in rules]
        self._default = self.place_of(default)
        self._parsed = [
            (self.place_of(rule["then"]), read_conditions(rule["when"], self.features))
            for rule in self.rules
        ]

    def settings(self) -> dict[str, Any]:
        """What it was made with beside the actions."""
        own = {"features": list(self.features), "rules": self.rules, "default": self.default}
        return {**super().settings(), **own}

    def _scores(self, contexts: Floats) -> Floats:
        scores = np.zeros((len(contexts), len(self.actions)))
        scores[:, self._default] = 0.5
        columns = dict(zip(self.features, contexts.T, strict=True))
        for place, (action, conditions) in enumerate(self._parsed):
            height = float(len(self._parsed) - place)
            held = all_hold(conditions, columns, len(contexts)) * height
            scores[:, action] = np.maximum(scores[:, action], held)
        return scores


def by_action(policy: Chooser, given: Mapping[str, float], otherwise: float) -> Floats:
    """A number of each action of the policy."""
    for name in given:
        policy.place_of(name)
    return np.array([float(given.get(name, otherwise)) for name in policy.actions])
