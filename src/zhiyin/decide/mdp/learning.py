"""The best action of each state, learned from a log alone (states are numbers).

What the log hardly has is not believed: of each value its doubt is subtracted (pessimism), and an
action that was taken fewer than `least` times in a state is not chosen there. Without, the best of
many noisy values is taken: the one that is most wrong.

Source: Watkins and Dayan, 1992 (Q-learning); Ernst et al., 2005 (Tree-based batch mode
reinforcement learning); Rashidinejad et al., 2021 (Bridging offline reinforcement learning and
imitation learning: lower confidence bounds).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.decide.mdp.model import Floats, Ints, Steps

ROUNDS, CLOSE = 10_000, 1e-9


@dataclass(frozen=True)
class ActionValues:
    """What each action is worth in each state, -inf where it is not to be chosen.

    In a state of which the log has nothing, nothing is chosen but the action 0: let it be the
    harmless one.
    """

    values: Floats  # (s, a)
    counts: Ints  # (s, a)

    @property
    def policy(self) -> Ints:
        """The best action of each state."""
        return np.where(np.isfinite(self.values), self.values, -np.inf).argmax(axis=1)


def fit_q(
    steps: Steps,
    *,
    states: int,
    actions: int,
    discount: float,
    pessimism: float = 1.0,
    least: int = 5,
) -> ActionValues:
    """Fitted Q iteration where the fit is the mean of each state and action.

    Parameters
    ----------
    steps
        The log; states and actions are numbers from 0.
    pessimism
        How many standard errors of the target are subtracted from each mean.
    least
        How often an action must have been taken in a state to be chosen there.
    """
    cell = _cells(steps, states, actions, discount)
    counts = np.bincount(cell, minlength=states * actions)
    after = np.asarray(steps.next_states, np.int64)
    known = (counts >= max(least, 1)).reshape(states, actions)
    divided = np.maximum(counts, 1)
    variance = _spread(steps.rewards)
    values = np.zeros((states, actions))
    for _ in range(ROUNDS):
        best = _best(values, known)
        target = steps.rewards + discount * best[after]
        mean = np.bincount(cell, target, minlength=counts.size) / divided
        squares = np.bincount(cell, (target - mean[cell]) ** 2, minlength=counts.size)
        error = np.sqrt((squares + variance) / divided) / np.sqrt(divided)
        then = (mean - pessimism * error).reshape(states, actions)
        change = np.abs(np.where(known, then - values, 0.0)).max()
        values = then
        if change <= CLOSE * max(1.0, float(np.abs(values[known]).max(initial=0.0))):
            break
    return ActionValues(np.where(known, values, -np.inf), counts.reshape(states, actions))


def learn_q(
    steps: Steps,
    *,
    states: int,
    actions: int,
    discount: float,
    epochs: int = 20,
    least: int = 5,
    rng: np.random.Generator,
) -> ActionValues:
    """Q-learning: the log is gone through again and again in an order that is drawn.

    One step after the other, each moves the value of its state and action towards its target, by
    1 / (1 + (1 - discount) x visits so far): all of the log counts, the first steps are forgotten.
    """
    cell = _cells(steps, states, actions, discount)
    counts = np.bincount(cell, minlength=states * actions)
    known = (counts >= max(least, 1)).reshape(states, actions)
    values = [[0.0] * actions for _ in range(states)]
    open_to = [np.flatnonzero(row).tolist() for row in known]
    visits = [0] * counts.size
    state, action = np.divmod(cell, actions)
    rows = list(
        zip(
            cell.tolist(), state.tolist(), action.tolist(), steps.rewards.tolist(),
            np.asarray(steps.next_states, np.int64).tolist(), strict=True,
        )
    )  # fmt: skip
    for _ in range(epochs):
        for place in rng.permutation(len(rows)).tolist():
            where, s, a, reward, after = rows[place]
            visits[where] += 1
            ahead = values[after]
            best = max([ahead[one] for one in open_to[after]], default=0.0)
            size = 1.0 / (1.0 + (1.0 - discount) * visits[where])
            values[s][a] += size * (reward + discount * best - values[s][a])
    made = np.where(known, np.array(values), -np.inf)
    return ActionValues(made, counts.reshape(states, actions))


def _cells(steps: Steps, states: int, actions: int, discount: float) -> Ints:
    """The number of each step's state and action."""
    if not len(steps):
        raise NotEnoughData("the log has no decision to learn from")
    if not 0 <= discount < 1:
        raise InvalidParameter(f"the discount must be in [0, 1), not {discount}")
    for given, bound in (
        (steps.states, states), (steps.next_states, states), (steps.actions, actions)
    ):  # fmt: skip
        numbers = np.asarray(given)
        if numbers.ndim != 1 or numbers.min() < 0 or numbers.max() >= bound:
            raise InvalidParameter(f"states and actions of a log are numbers below {bound}")
    if not np.isfinite(steps.rewards).all():
        raise InvalidParameter(
            "a reward is not known", hint="leave out decisions whose window is still open"
        )
    return np.asarray(steps.states, np.int64) * actions + np.asarray(steps.actions, np.int64)


def _best(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Of each state the highest value of an action that may be chosen; 0 where none may."""
    best = np.where(known, values, -np.inf).max(axis=1)
    return np.where(np.isfinite(best), best, 0.0)


def _spread(rewards: Floats) -> float:
    """What a cell with few steps is thought to vary at least: as one step of all rewards would."""
    return float(rewards.var())
