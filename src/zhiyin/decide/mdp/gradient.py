"""A policy made better by its own gradient: REINFORCE with a learned baseline.

The policy is `softmax`: chances proportional to e^(x'w_a). It lives so many periods with many
customers at once, and each decision is made more likely by what came of it beyond what was to be
expected, its advantage:

    grad = mean of A grad log P(action | x),   A = sum of (discount x trace)^j delta_j,
    delta = reward + discount V(next x) - V(x)

with V linear, learned by ridge regression from the lives before (never from the same one: it would
be fitted to its luck). Entropy is rewarded a little, so that it goes on trying; `stay` holds it
near the policy it began with, where the simulator is not to be trusted far from what is known
(pessimism). Steps are Adam's.

Source: Williams, 1992 (REINFORCE); Sutton et al., 2000 (Policy gradient methods); Schulman et al.,
2016 (Generalized advantage estimation); Kingma and Ba, 2015 (Adam).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.mdp.model import Floats, Ints
from zhiyin.decide.policy.chooser import Flags
from zhiyin.decide.policy.weighted import Softmax

TINY = 1e-12


class Seen(Protocol):
    """What is observed: numbers (n, d) and flags (n, actions)."""

    @property
    def features(self) -> Floats: ...
    @property
    def eligible(self) -> Flags: ...


class Lived(Protocol):
    """What a period brought."""

    @property
    def rewards(self) -> Floats: ...
    @property
    def observation(self) -> Seen: ...


class World(Protocol):
    """Something to live in with many customers at once, as `zhiyin.simulate.shop` gives."""

    def observe(self) -> Seen:
        """What is known at the beginning of a period."""
        ...

    def step(self, actions: np.ndarray) -> Lived:
        """Do one action, a number, for each customer."""
        ...


@dataclass(frozen=True, eq=False)
class Lives:
    """So many periods of n customers: contexts (t + 1, n, p), the rest (t, n, …)."""

    contexts: Floats
    eligible: Flags
    actions: Ints
    rewards: Floats

    @property
    def earned(self) -> float:
        """Mean reward of a period and a customer."""
        return float(self.rewards.mean())


@dataclass(frozen=True, eq=False)
class Trained:
    """The policy, and what each life earned, on the way."""

    policy: Softmax
    earned: tuple[float, ...]


def train(
    policy: Softmax,
    worlds: Callable[[int], World],
    encode: Callable[[np.ndarray], np.ndarray],
    *,
    lives: int,
    periods: int,
    discount: float,
    rng: np.random.Generator,
    trace: float = 0.9,
    entropy: float = 0.01,
    stay: float = 0.0,
    rate: float = 0.05,
) -> Trained:
    """Let a policy live and learn.

    Parameters
    ----------
    policy
        What to begin with; it is not changed.
    worlds
        Gives the world of each life by its number. Let them differ: a policy that always meets the
        same luck learns the luck.
    encode
        Features (n, d) as contexts (n, width): `Scaling.encode_many`.
    lives, periods
        How often it lives, and for how many periods.
    trace
        In [0, 1]: near 0 it trusts V, near 1 only what came.
    entropy
        What it is worth to be undecided, in standard deviations of advantages.
    stay
        What it costs to differ from the policy it began with (Kullback-Leibler), in the same unit.
    rate
        Adam's step, of which the last is a tenth.
    """
    if lives < 1 or periods < 1 or not (0 <= discount < 1 and 0 <= trace <= 1 and rate > 0):
        raise InvalidParameter(
            "lives and periods are 1 or more, discount in [0, 1), trace in [0, 1], rate above 0"
        )
    moves, told = _Adam.at(policy.weights), []
    value: Floats | None = None
    made, past = policy, []
    for number in range(lives):
        lived = live(made, worlds(number), encode, periods=periods, rng=rng)
        told.append(lived.earned)
        past = [*past[-4:], _fit_value(lived, discount)]
        if value is not None:  # the first life only teaches what to expect
            gradient = _ascend(made, policy, lived, value, discount=discount, trace=trace,
                               entropy=entropy, stay=stay)  # fmt: skip
            size = rate * (1 - 0.9 * number / lives)
            made = made.weighing(moves.step(gradient, size))
        value = np.asarray(np.mean(past, axis=0), np.float64)
    return Trained(made, tuple(told))


def live(
    policy: Softmax,
    world: World,
    encode: Callable[[np.ndarray], np.ndarray],
    *,
    periods: int,
    rng: np.random.Generator,
) -> Lives:
    """Let a policy decide for all customers of a world, period after period."""
    seen, contexts, eligible, actions, rewards = world.observe(), [], [], [], []
    for _ in range(periods):
        contexts.append(encode(seen.features))
        eligible.append(seen.eligible)
        chosen = policy.choose_many(contexts[-1], seen.eligible, rng=rng).places
        lived = world.step(chosen)
        actions.append(chosen)
        rewards.append(lived.rewards)
        seen = lived.observation
    contexts.append(encode(seen.features))
    return Lives(np.array(contexts), np.array(eligible), np.array(actions), np.array(rewards))


def _fit_value(lived: Lives, discount: float) -> Floats:
    """V = x'v of the policy that lived, by least squares on its own fixed point (LSTD)."""
    now, then = lived.contexts[:-1], lived.contexts[1:]
    flat = now.reshape(-1, now.shape[-1])
    moved = flat - discount * then.reshape(flat.shape)
    bent = flat.T @ moved + len(flat) * 1e-3 * np.eye(flat.shape[1])
    return np.asarray(np.linalg.solve(bent, flat.T @ lived.rewards.ravel()), np.float64)


def _ascend(
    policy: Softmax, first: Softmax, lived: Lives, value: Floats, *, discount: float,
    trace: float, entropy: float, stay: float,
) -> Floats:  # fmt: skip
    """The gradient of what it earns, in standard deviations of advantages: (actions, width)."""
    expected = lived.contexts @ value
    surprise = lived.rewards + discount * expected[1:] - expected[:-1]
    advantage, ahead = np.empty_like(surprise), np.zeros(surprise.shape[1])
    for period in range(len(surprise) - 1, -1, -1):
        ahead = surprise[period] + discount * trace * ahead
        advantage[period] = ahead
    contexts = lived.contexts[:-1].reshape(-1, lived.contexts.shape[-1])
    allowed = lived.eligible.reshape(len(contexts), -1)
    open_to = allowed.sum(axis=1) > 1
    scaled = advantage.ravel() - advantage[:, :].mean()
    scaled = scaled / max(float(scaled.std()), TINY)
    chances = policy.probabilities(contexts, allowed)
    done = np.eye(chances.shape[1])[lived.actions.ravel()]
    push = (done - chances) * scaled[:, None]
    logs = np.log(np.maximum(chances, TINY))
    if entropy:
        push -= entropy * chances * (logs - (chances * logs).sum(axis=1, keepdims=True))
    if stay:
        apart = logs - np.log(np.maximum(first.probabilities(contexts, allowed), TINY))
        push -= stay * chances * (apart - (chances * apart).sum(axis=1, keepdims=True))
    return push[open_to].T @ contexts[open_to] / max(int(open_to.sum()), 1)


@dataclass(eq=False)
class _Adam:
    at_: Floats
    first: Floats
    second: Floats
    steps: int = 0

    @classmethod
    def at(cls, weights: Floats) -> _Adam:
        return cls(weights.copy(), np.zeros_like(weights), np.zeros_like(weights))

    def step(self, gradient: Floats, size: float) -> Floats:
        """Uphill by about `size` in each weight."""
        self.steps += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.99 * self.second + 0.01 * gradient**2
        mean = self.first / (1 - 0.9**self.steps)
        spread = np.sqrt(self.second / (1 - 0.99**self.steps))
        self.at_ = self.at_ + size * mean / (spread + TINY)
        return self.at_
