"""A Markov decision problem whose chances are known, and its best policy.

States and actions are numbers. Of each action a matrix of transitions; of each state and action
the expected reward; a reward after n periods counts discount^n of one now.

Source: Puterman, 1994 (Markov decision processes), chapter 6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.errors import InvalidParameter, NotEnoughData

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ROUNDS = 100_000


@dataclass(frozen=True)
class Mdp:
    """`transitions` (a, s, s), `rewards` (s, a), `start` (s,): where customers begin.

    `gains` (a, s, s), where it is said: the reward of each move; `rewards` is their mean.
    """

    transitions: Floats
    rewards: Floats
    start: Floats
    discount: float
    gains: Floats | None = None

    def __post_init__(self) -> None:
        actions, states = self.rewards.shape[1], self.rewards.shape[0]
        shapes = self.transitions.shape == (actions, states, states)
        if not shapes or self.start.shape != (states,):
            raise InvalidParameter("transitions are (a, s, s), rewards (s, a), the start (s,)")
        sums = np.append(self.transitions.sum(axis=2).ravel(), self.start.sum())
        chances = min(self.transitions.min(), self.start.min()) >= 0
        if not chances or not np.allclose(sums, 1.0, atol=1e-9):
            raise InvalidParameter("transitions and the start are chances: 0 or more, of sum 1")
        if not 0 <= self.discount < 1:
            raise InvalidParameter(f"the discount must be in [0, 1), not {self.discount}")
        if self.gains is not None:
            means = (self.transitions * self.gains).sum(axis=2).T
            if not np.allclose(means, self.rewards):
                raise InvalidParameter("rewards are not the means of what moves gain")

    def action_values(self, values: Floats) -> Floats:
        """Of each state and action, what it brings if all after it brings `values`: (s, a)."""
        return self.rewards + self.discount * (self.transitions @ values).T

    def worth(self, policy: Ints | Floats) -> float:
        """What a policy brings to those who begin; see `evaluate`."""
        return float(self.start @ evaluate(self, policy))


@dataclass(frozen=True)
class Solution:
    """The best action of each state (ties: the first), its values, and how far off they may be."""

    policy: Ints
    values: Floats
    rounds: int
    gap: float


def evaluate(mdp: Mdp, policy: Ints | Floats) -> Floats:
    """What a policy brings from each state on, exactly: (s,).

    `policy`: an action of each state, (s,), or P(action | state), (s, a).
    """
    states, actions = mdp.rewards.shape
    chances = np.asarray(policy, np.float64)
    if chances.ndim == 1:
        chances = np.eye(actions)[np.asarray(policy, np.int64)]
    if chances.shape != (states, actions) or not np.allclose(chances.sum(axis=1), 1.0):
        raise InvalidParameter("a policy has an action, or chances of sum 1, for each state")
    moves = np.einsum("sa,ast->st", chances, mdp.transitions)
    gains = (chances * mdp.rewards).sum(axis=1)
    return np.linalg.solve(np.eye(states) - mdp.discount * moves, gains)


def iterate_values(mdp: Mdp, *, tolerance: float = 1e-9) -> Solution:
    """Value iteration: the best policy, its values off by at most `gap`."""
    values = np.zeros(len(mdp.rewards))
    for rounds in range(1, ROUNDS + 1):
        better = mdp.action_values(values).max(axis=1)
        change = float(np.abs(better - values).max())
        values = better
        gap = mdp.discount / (1 - mdp.discount) * change
        if gap <= tolerance * max(1.0, float(np.abs(values).max())):
            return Solution(mdp.action_values(values).argmax(axis=1), values, rounds, gap)
    raise NotEnoughData(f"the values did not settle in {ROUNDS} rounds", hint="a lower discount")


def iterate_policy(mdp: Mdp) -> Solution:
    """Policy iteration: the best policy, its values exact to rounding."""
    policy = mdp.rewards.argmax(axis=1)
    for rounds in range(1, ROUNDS + 1):
        values = evaluate(mdp, policy)
        told = mdp.action_values(values)
        best = told.max(axis=1)
        kept = told[np.arange(len(policy)), policy]
        better = best > kept + 1e-10 * np.maximum(1.0, np.abs(best))
        if not better.any():
            return Solution(policy, values, rounds, float((best - values).max(initial=0.0)))
        policy = np.where(better, told.argmax(axis=1), policy)
    raise NotEnoughData(f"the policy did not settle in {ROUNDS} rounds")


@dataclass(frozen=True)
class Steps:
    """A log of decisions: state, action, reward, next state, and the propensity of the action.

    States are numbers (n,), or features (n, d).
    """

    states: NDArray[np.generic]
    actions: Ints
    rewards: Floats
    next_states: NDArray[np.generic]
    propensities: Floats

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, name)) for name in self.__dataclass_fields__}
        if len(lengths) != 1:
            raise InvalidParameter("states, actions, rewards and propensities are of one length")

    def __len__(self) -> int:
        return len(self.actions)


def walk(
    mdp: Mdp, policy: Floats, *, customers: int, periods: int, rng: np.random.Generator
) -> Steps:
    """What customers go through under a policy, P(action | state): period after period.

    Rewards are those of their moves, where `gains` says them, else those expected of their state
    and action.
    """
    if customers < 1 or periods < 1:
        raise InvalidParameter("1 or more customers walk for 1 or more periods")
    paths, choices = mdp.transitions.cumsum(axis=2), policy.cumsum(axis=1)
    at = mdp.start.cumsum().searchsorted(rng.random(customers), side="right")
    at = np.minimum(at, len(mdp.start) - 1)
    seen, done, then, paid = [], [], [], []
    for _ in range(periods):
        action = _fall(choices[at], rng)
        following = _fall(paths[action, at], rng)
        seen.append(at)
        done.append(action)
        then.append(following)
        gains = mdp.gains
        paid.append(mdp.rewards[at, action] if gains is None else gains[action, at, following])
        at = following
    states, actions = np.concatenate(seen), np.concatenate(done)
    chances = np.asarray(policy[states, actions])
    return Steps(states, actions, np.concatenate(paid), np.concatenate(then), chances)


def _fall(ends: Floats, rng: np.random.Generator) -> Ints:
    lots = rng.random(len(ends))[:, None] * ends[:, -1:]
    return (ends <= lots).sum(axis=1)
