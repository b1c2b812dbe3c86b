"""The best action of each state, learned from a log alone (states are numbers).

What the log hardly has is not believed. Of each value its doubt is subtracted (pessimism), and an
action that was taken fewer than `least` times in a state is not chosen there: else the best of many
noisy values is taken, the one that is most wrong. And where it is said what states are (recency 3,
loyalty 1, …), the mean of a state and action is drawn to what states like it say: to a parabola
over these numbers, one for each action. How far is told by the log itself: by how much means differ
from the fit beyond their noise (empirical Bayes).

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

ROUNDS, CLOSE = 10_000, 1e-7
BORROWED = 4.0  # steps of average noise that a cell is thought to have had
LEAST, TINY = 1e-6, 1e-300  # of the noise: how much cells differ from the fit at least


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
    kinds: np.ndarray | None = None,
    pessimism: float = 1.0,
    least: int = 5,
) -> ActionValues:
    """Fitted Q iteration with pessimism.

    Parameters
    ----------
    steps
        The log; states and actions are numbers from 0.
    kinds
        What each state is: (states, parts) numbers with an order, flags as 0 and 1. None: nothing
        is said of it.
    pessimism
        How many standard errors are subtracted from each value.
    least
        How often an action must have been taken in a state to be chosen there.
    """
    cell = _cells(steps, states, actions, discount)
    counts = np.bincount(cell, minlength=states * actions)
    after = np.asarray(steps.next_states, np.int64)
    known = (counts >= max(least, 1)).reshape(states, actions)
    fit = None if kinds is None else _Fit.of(_columns(kinds, states, actions), counts)
    values = np.zeros((states, actions))
    for _ in range(ROUNDS):
        target = steps.rewards + discount * _best(values, known)[after]
        mean = np.bincount(cell, target, minlength=counts.size) / np.maximum(counts, 1)
        squares = np.bincount(cell, (target - mean[cell]) ** 2, minlength=counts.size)
        noise = float(squares.sum()) / max(len(target) - np.count_nonzero(counts), 1)
        own = (squares + BORROWED * noise) / (counts + BORROWED)
        error = np.sqrt(own / np.maximum(counts, 1))
        if fit is not None:
            mean, error = fit.draw(mean, noise, own)
        then = (mean - pessimism * error).reshape(states, actions)
        change = np.abs(np.where(known, then - values, 0.0)).max()
        values = then
        if change <= CLOSE * max(1.0, float(np.abs(values[known]).max(initial=0.0))):
            break
    return ActionValues(np.where(known, values, -np.inf), counts.reshape(states, actions))


@dataclass(frozen=True)
class _Fit:
    """Ridge regression of the means of cells, each weighed by its steps."""

    columns: Floats
    solver: Floats  # means of cells to coefficients
    leverage: Floats  # variance of the fit of each cell, for a noise of 1
    freedom: float
    counts: Ints

    @classmethod
    def of(cls, columns: Floats, counts: Ints) -> _Fit:
        weighed = columns.T * counts
        inverse = np.linalg.inv(weighed @ columns + np.eye(columns.shape[1]))
        leverage = np.vecdot(columns @ inverse, columns)
        solver = inverse @ weighed
        return cls(columns, solver, leverage, float(np.vecdot(solver.T, columns).sum()), counts)

    def draw(self, mean: Floats, noise: float, of_cell: Floats) -> tuple[Floats, Floats]:
        """Means drawn to the fit, and their standard errors; `noise` of all and of each cell."""
        counts, base = self.counts, float(np.average(mean, weights=self.counts))
        smooth = base + self.columns @ (self.solver @ (mean - base))
        beyond = float((counts * (mean - smooth) ** 2).sum())
        beyond -= noise * (np.count_nonzero(counts) - self.freedom)
        pull = noise / max(beyond / counts.sum(), LEAST * noise, TINY)
        own = counts / (counts + pull)
        error = np.sqrt(of_cell * (own / (counts + pull) + (1 - own) ** 2 * self.leverage))
        return own * mean + (1 - own) * smooth, error


def _columns(kinds: np.ndarray, states: int, actions: int) -> Floats:
    """1, the parts of each state and their products, each for each action: (cells, columns)."""
    given = np.asarray(kinds, np.float64)
    if given.ndim != 2 or len(given) != states:
        raise InvalidParameter(f"kinds are ({states}, parts) numbers, not {given.shape}")
    width = given.std(axis=0)
    scaled = (given - given.mean(axis=0)) / np.where(width > 0, width, 1.0)
    first, second = np.tril_indices(scaled.shape[1])
    curve = np.column_stack([np.ones(states), scaled, scaled[:, first] * scaled[:, second]])
    return np.kron(curve, np.eye(actions)).astype(np.float64)


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
