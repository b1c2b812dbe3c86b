"""Policies that learn the reward of each action from contexts, and how sure that is.

| name | the score of an action, x its context | chosen |
|---|---|---|
| `epsilon_greedy` | x'w | the highest, but for a share |
| `linucb` | x'w + alpha s sqrt(x'Sx) | the highest |
| `linear_thompson` | x'w + alpha s sqrt(x'Sx) e, e normal | the highest of one draw |
| `logistic_thompson` | worth rate(x'w + alpha sqrt(x'Sx) e) - cost | the highest of one draw |

with w, S of the ridge regression (for `logistic_thompson` of Laplace's approximation), each action
by itself. Unless `noise` is given, the level and the scale of rewards are learned over all actions
(`Scale`): one that was never tried is expected to bring the mean m of all, give or take all their
variation; with u for w had every reward been 1, x'w stands for x'w + m (1 - x'u) above. So alpha
means the same for conversions and for money. Where `noise` is given, s is that and m is 0, as in
the papers.

Source: Li et al., 2010 (A contextual-bandit approach to personalized news recommendation);
Agrawal and Goyal, 2013 (Thompson sampling for contextual bandits with linear payoffs); Chapelle
and Li, 2011, algorithm 3; Russac et al., 2019 (Weighted linear bandits for non-stationary
environments).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.policy.beliefs import Beliefs, Scale
from zhiyin.decide.policy.chances import best_of_normals, best_of_rates
from zhiyin.decide.policy.chooser import Chooser, Flags, Floats
from zhiyin.decide.policy.ranked import Ranked, by_action

FADED = 0.99  # old outcomes are faded when so much of them is left


class Learned(Chooser):
    """A policy that holds beliefs.

    Parameters
    ----------
    actions
        Their names.
    width
        How many numbers a context has, the constant 1 among them; NaN is 0, the average of scaled
        features (`Scaling`).
    alpha
        How many standard deviations doubt counts.
    ridge
        The prior precision of a weight.
    discount
        What an outcome counts after one more, in (0, 1]: .999 forgets all but the last thousands.
    explore
        The share that is spread evenly.
    """

    def __init__(
        self,
        actions: Sequence[str],
        *,
        width: int,
        alpha: float = 1.0,
        ridge: float = 1.0,
        discount: float = 1.0,
        explore: float = 0.0,
    ) -> None:
        super().__init__(actions, width=width, explore=explore)
        if not (alpha >= 0 and ridge > 0 and 0 < discount <= 1):
            raise InvalidParameter(
                f"alpha must be 0 or more, ridge above 0, discount in (0, 1]; "
                f"not {alpha}, {ridge}, {discount}"
            )
        self.alpha, self.ridge, self.discount = float(alpha), float(ridge), float(discount)
        self.beliefs = Beliefs.fresh(len(self.actions), width, ridge=self.ridge)
        self._due = math.log(FADED) / math.log(discount) if discount < 1 else math.inf
        self._since = 0.0

    def settings(self) -> dict[str, Any]:
        """What it was made with beside the actions."""
        own = {name: getattr(self, name) for name in ("width", "alpha", "ridge", "discount")}
        return {**super().settings(), **own}

    def _state(self) -> dict[str, Any]:
        return {"since": self._since, **self.beliefs.arrays()}

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._since = float(state["since"])
        self.beliefs = Beliefs.from_arrays(state, ridge=self.ridge)

    def update(
        self,
        contexts: np.ndarray | Sequence[float],
        actions: str | Sequence[str],
        rewards: float | np.ndarray,
        *,
        weights: np.ndarray | None = None,
    ) -> None:
        """Learn what one context (d,) brought, or many (rows, d), each counting its weight.

        Raises
        ------
        InvalidParameter
            If a reward is not known (NaN) or cannot be of this policy; nothing is learned then.
        """
        if isinstance(actions, str) and weights is None:
            reward = float(rewards)  # pyright: ignore[reportArgumentType]
            if not self._possible(reward):
                self._check(np.array([reward]))
            place, context = self.place_of(actions), self._read_one(contexts)
            self._forget()
            self._learn(place, context, reward)
            self._since += 1
            return
        named = [actions] if isinstance(actions, str) else actions
        given = self._read(np.atleast_2d(np.asarray(contexts, np.float64)))
        told = np.atleast_1d(np.asarray(rewards, np.float64))
        places = np.array([self.place_of(one) for one in named], np.int64)
        counted = np.ones(len(given)) if weights is None else np.atleast_1d(weights)
        if not len(given) == told.size == places.size == counted.size:
            raise InvalidParameter("contexts, actions, rewards and weights are of one length")
        if not (np.isfinite(counted) & (counted >= 0)).all():
            raise InvalidParameter("weights must be 0 or more")
        self._check(told)
        if not counted.any():
            return
        self._forget()
        for place in np.unique(places):
            mine = places == place
            self._learn_many(int(place), given[mine], told[mine], counted[mine])
        self._since += float(counted.sum())

    def _forget(self) -> None:
        """Fade what came before, once enough has come since."""
        if self._since >= self._due:
            self.beliefs.fade(self.discount**self._since)
            self._since = 0.0

    def fade(self, keep: float) -> None:
        """What was learned counts `keep` times as much: for time that passes without outcomes."""
        self.beliefs.fade(keep)

    def over(self, actions: Sequence[str]) -> Self:
        """The same policy over other actions: those of a kept name keep what was learned of them.

        What single actions were made with (worth, cost) stays where the action does.
        """
        settings = self.settings()
        for name in ("worth", "cost"):
            if name in settings:
                settings[name] = {k: v for k, v in settings[name].items() if k in actions}
        made = type(self)(actions, **settings)
        for place, name in enumerate(made.actions):
            if name in self._places:
                old = self._places[name]
                for part in ("precision", "inverse", "weights", "units", "counts", "stale"):
                    getattr(made.beliefs, part)[place] = getattr(self.beliefs, part)[old]
        made.beliefs.totals[:] = self.beliefs.totals
        made._since = self._since
        return made

    def _possible(self, reward: float) -> bool:
        return math.isfinite(reward)

    def _check(self, rewards: Floats) -> None:
        if not np.isfinite(rewards).all():
            raise InvalidParameter(
                "a reward is not known", hint="leave out decisions whose window is still open"
            )

    def _learn(self, place: int, context: Floats, reward: float) -> None:
        self.beliefs.learn_linear(place, context, reward)

    def _learn_many(self, place: int, contexts: Floats, rewards: Floats, counted: Floats) -> None:
        self.beliefs.learn_linear_many(place, contexts, rewards, counted)


class Linear(Learned):
    """Linear rewards; `noise`: what their standard deviation is taken for, None: it is learned."""

    def __init__(
        self,
        actions: Sequence[str],
        *,
        width: int,
        alpha: float = 1.0,
        ridge: float = 1.0,
        noise: float | None = None,
        discount: float = 1.0,
        explore: float = 0.0,
    ) -> None:
        super().__init__(
            actions, width=width, alpha=alpha, ridge=ridge, discount=discount, explore=explore
        )
        if noise is not None and not noise > 0:
            raise InvalidParameter(f"noise must be above 0, not {noise}")
        self.noise = noise
        self._square = self.alpha * self.alpha
        self._textbook = None if noise is None else Scale(0.0, noise * noise, 0.0)

    def settings(self) -> dict[str, Any]:
        """What it was made with beside the actions."""
        return {**super().settings(), "noise": self.noise}

    def _levelled(self) -> tuple[Scale, Floats]:
        """The scale of rewards, and weights beside their mean."""
        if self._textbook is None:
            return self.beliefs.levelled()
        return self._textbook, self.beliefs.weights

    def _believed(self, contexts: Floats) -> tuple[Floats, Floats]:
        """What each action is expected to bring, (rows, k), and `alpha` deviations of it."""
        (mean, noise, more), weights = self._levelled()
        square = self._square
        variances = self.beliefs.variances(contexts, square * noise, square * more)
        return contexts @ weights.T + mean, np.sqrt(variances)

    def _believed_of(self, context: Floats) -> tuple[Floats, Floats]:
        """As `_believed` of one context."""
        (mean, noise, more), weights = self._levelled()
        square = self._square
        variances = self.beliefs.variances_of(context, square * noise, square * more)
        return weights @ context + mean, np.sqrt(np.abs(variances))


class EpsilonGreedy(Linear, Ranked):
    """The highest expected reward; `explore` (.1) of the choices are at random."""

    name = "epsilon_greedy"

    def __init__(
        self,
        actions: Sequence[str],
        *,
        width: int,
        ridge: float = 1.0,
        discount: float = 1.0,
        explore: float = 0.1,
    ) -> None:
        super().__init__(actions, width=width, ridge=ridge, discount=discount, explore=explore)

    def settings(self) -> dict[str, Any]:
        """What it was made with beside the actions."""
        kept = super().settings()
        return {name: kept[name] for name in ("width", "ridge", "discount", "explore")}

    def _scores(self, contexts: Floats) -> Floats:
        scale, weights = self._levelled()
        return contexts @ weights.T + scale.mean

    def _scores_of(self, context: Floats) -> Floats:
        scale, weights = self._levelled()
        return weights @ context + scale.mean


class LinUcb(Linear, Ranked):
    """The highest upper confidence bound: what is little known is tried, nothing by chance."""

    name = "linucb"

    def _scores(self, contexts: Floats) -> Floats:
        values, spreads = self._believed(contexts)
        return values + spreads

    def _scores_of(self, context: Floats) -> Floats:
        values, spreads = self._believed_of(context)
        return values + spreads


class LinearThompson(Linear):
    """Each action as often as it is the best by what is believed, by exactly these chances."""

    name = "linear_thompson"

    @property
    def explores(self) -> bool:
        """Any action that may be the best has a chance; with `explore` above 0 all have."""
        return True

    def _judge(self, contexts: Floats, allowed: Flags) -> tuple[Floats, Floats]:
        means, spreads = self._believed(contexts)
        return best_of_normals(np.where(allowed, means, -np.inf), spreads), means

    def _judge_one(self, context: Floats, allowed: Flags | None) -> tuple[Floats, Floats]:
        means, spreads = self._believed_of(context)
        masked = means if allowed is None else np.where(allowed, means, -np.inf)
        return best_of_normals(masked, spreads), means


class LogisticThompson(Learned):
    """As `linear_thompson` for rewards of 0 or 1, of which each action has a worth and a cost.

    `worth`, `cost` by action, in one unit: what a reward of 1 is worth (1), what the action costs
    whether the reward comes or not (0). `base_rate`: what is expected of an action that was never
    tried; set it to the usual rate, else each action is tried until it is known to be below 1/2.
    """

    name = "logistic_thompson"

    def __init__(
        self,
        actions: Sequence[str],
        *,
        width: int,
        alpha: float = 1.0,
        ridge: float = 1.0,
        base_rate: float = 0.5,
        worth: Mapping[str, float] | None = None,
        cost: Mapping[str, float] | None = None,
        discount: float = 1.0,
        explore: float = 0.0,
    ) -> None:
        super().__init__(
            actions, width=width, alpha=alpha, ridge=ridge, discount=discount, explore=explore
        )
        if not 0 < base_rate < 1:
            raise InvalidParameter(f"base_rate must be in (0, 1), not {base_rate}")
        self.base_rate = float(base_rate)
        self._base = math.log(base_rate / (1 - base_rate))
        self.worth, self.cost = dict(worth or {}), dict(cost or {})
        self._worth, self._cost = by_action(self, self.worth, 1.0), by_action(self, self.cost, 0.0)
        if not (self._worth > 0).all():
            raise InvalidParameter("what a reward is worth must be above 0")
        self._alike = not self._cost.any() and np.ptp(self._worth) == 0

    @property
    def explores(self) -> bool:
        """Any action that may be the best has a chance; with `explore` above 0 all have."""
        return True

    def settings(self) -> dict[str, Any]:
        """What it was made with beside the actions."""
        own = {"base_rate": self.base_rate, "worth": self.worth, "cost": self.cost}
        return {**super().settings(), **own}

    def _judge(self, contexts: Floats, allowed: Flags) -> tuple[Floats, Floats]:
        means = self._base + contexts @ self.beliefs.weights.T
        spreads = self.alpha * np.sqrt(self.beliefs.variances(contexts))
        return self._compare(means, spreads, allowed)

    def _judge_one(self, context: Floats, allowed: Flags | None) -> tuple[Floats, Floats]:
        means = self._base + self.beliefs.weights @ context
        spreads = self.alpha * np.sqrt(np.abs(self.beliefs.variances_of(context)))
        if self._alike:
            masked = means if allowed is None else np.where(allowed, means, -np.inf)
            return best_of_normals(masked, spreads), means
        flags = np.ones(means.size, bool) if allowed is None else allowed
        chances, scores = self._compare(means[None], spreads[None], flags[None])
        return chances[0], scores[0]

    def _compare(self, means: Floats, spreads: Floats, allowed: Flags) -> tuple[Floats, Floats]:
        if self._alike:
            return best_of_normals(np.where(allowed, means, -np.inf), spreads), means
        scores = self._worth / (1 + np.exp(-means)) - self._cost
        chances = best_of_rates(means, spreads, worth=self._worth, cost=self._cost, allowed=allowed)
        return chances, scores

    def _possible(self, reward: float) -> bool:
        return reward in {0.0, 1.0}

    def _check(self, rewards: Floats) -> None:
        super()._check(rewards)
        if not ((rewards == 0) | (rewards == 1)).all():
            raise InvalidParameter(
                "rewards of logistic_thompson are 0 or 1",
                hint="say by `worth` what one is worth, or take linear_thompson",
            )

    def _learn(self, place: int, context: Floats, reward: float) -> None:
        self.beliefs.learn_logistic(place, context, reward, self._base)

    def _learn_many(self, place: int, contexts: Floats, rewards: Floats, counted: Floats) -> None:
        self.beliefs.learn_logistic_many(place, contexts, rewards, counted, self._base)
