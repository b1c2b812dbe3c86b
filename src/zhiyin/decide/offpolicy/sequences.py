"""What a policy would have earned over a whole sequence of decisions about a customer.

`fqe`, fitted Q evaluation (Le, Voloshin and Yue 2019, ICML) with a linear Q: its fixed point is
solved at once. With f the features of state and action, f' those of the next state averaged over
the policy, and g the discount,

    A = sum of f (f - g f')ᵀ,   Q = fᵀ A⁻¹ (sum of f r)

and each sequence's part of the value is that of its first state, plus what its own surprises
change in Q there (the estimator's influence function; Hao et al. 2021, ICML). States as one-hot
columns make it exact for tables; otherwise Q is as good as its features.

`pdwis`, per-decision weighted importance sampling (Precup, Sutton and Singh 2000, ICML): with w the
product of the importance weights so far,

    V = sum over t of g^t (sum of w r) / (sum of w)

no model, but w spreads with every step: for short sequences, or policies that are near.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.offpolicy import propensities as logged
from zhiyin.decide.offpolicy.evaluation import Estimate, conclude
from zhiyin.decide.offpolicy.intervals import LEVEL, estimate_mean
from zhiyin.decide.offpolicy.log import DecisionLog, Floats, Ints, Policy, make_log, target_of
from zhiyin.decide.offpolicy.overlap import find_overlap, weights_of

RIDGE = 1e-6
"""Per decision, so that a feature that is always 0 is no trouble."""


@dataclass(frozen=True)
class SequenceLog:
    """Decisions in the order of sequence and step; `log.customers` numbers the sequences, `step`
    (n,) counts from 0 in each. Built by `make_sequences`.
    """

    log: DecisionLog
    step: Ints

    @property
    def sequence(self) -> Ints:
        """(n,) the number of each decision's sequence."""
        return np.zeros(0, np.int64) if self.log.customers is None else self.log.customers


def make_sequences(
    sequences: ArrayLike,
    steps: ArrayLike,
    states: ArrayLike,
    actions: ArrayLike,
    rewards: ArrayLike,
    propensities: ArrayLike,
    *,
    n_actions: int | None = None,
    probabilities: ArrayLike | None = None,
) -> SequenceLog:
    """A log of sequences from plain arrays, in any order.

    Parameters
    ----------
    sequences
        (n,) ids, as of customers; whole sequences, which end with their last step.
    steps
        (n,) anything that orders the decisions of one sequence, each once.
    states
        (n, d) what was known before each decision. Where it matters how much time is left, a
        column has to say so.

    Raises
    ------
    InvalidParameter
        As `make_log`, or if a sequence has a step twice.
    """
    ids, when = np.asarray(sequences), np.asarray(steps)
    if ids.ndim != 1 or ids.shape != when.shape:
        raise InvalidParameter("every decision has a sequence and a step")
    order = np.lexsort((when, ids))
    known = None if probabilities is None else np.asarray(probabilities)[order]
    log = make_log(
        np.asarray(states)[order], np.asarray(actions)[order], np.asarray(rewards)[order],
        np.asarray(propensities)[order], n_actions=n_actions, probabilities=known,
        customers=ids[order],
    )  # fmt: skip
    ids, when = ids[order], when[order]
    same = ids[1:] == ids[:-1]
    if (same & (when[1:] == when[:-1])).any():
        raise InvalidParameter("a sequence has a step twice")
    begins = np.flatnonzero(np.concatenate([[True], ~same]))
    lengths = np.diff(np.append(begins, ids.size))
    return SequenceLog(log, np.arange(ids.size) - np.repeat(begins, lengths))


def evaluate_sequences(
    sequences: SequenceLog,
    policy: Policy,
    method: str = "fqe",
    *,
    discount: float = 1.0,
    level: float = LEVEL,
) -> Estimate:
    """The discounted sum of rewards that `policy` would have had per sequence.

    Parameters
    ----------
    method
        `fqe` (default) or `pdwis`.
    discount
        What a reward one step later is worth, in (0, 1].

    Returns
    -------
    An estimate whose units are sequences. `ess`: of `fqe` the decisions behind Q at the first
    states, of `pdwis` the sequences at the step with fewest.

    Raises
    ------
    WrongPropensities, InvalidParameter
        As `evaluate`.
    """
    if method not in ("fqe", "pdwis"):
        raise InvalidParameter(f"the method is fqe or pdwis, not {method!r}")
    if not (0 < discount <= 1 and 0 < level < 1):
        raise InvalidParameter(f"discount {discount} or level {level} is out of range")
    log = sequences.log
    logged.check(log)
    target = target_of(policy, log)
    find = _fitted if method == "fqe" else _weighted
    parts, ess, largest = find(sequences, target, discount)
    overlap = find_overlap(log, target)
    overlap = replace(overlap, ess=ess, ess_share=ess / log.n, largest_share=largest)
    return conclude(estimate_mean(parts, level=level), 0.0, method, overlap, log.n)


def _fitted(sequences: SequenceLog, target: Floats, discount: float) -> tuple[Floats, float, float]:
    log, number, step = sequences.log, sequences.sequence, sequences.step
    z = np.column_stack([np.ones(log.n), log.contexts])
    taken = _features(z, np.eye(log.n_actions)[log.actions])
    wanted = _features(z, target)  # the mean over what the policy would do
    after = np.zeros_like(wanted)
    goes_on = np.flatnonzero(step[1:] > 0)
    after[goes_on] = wanted[goes_on + 1]
    matrix = taken.T @ (taken - discount * after) + RIDGE * log.n * np.eye(taken.shape[1])
    weights = np.linalg.solve(matrix, taken.T @ log.rewards)
    first = wanted[step == 0]
    shares = taken @ np.linalg.solve(matrix.T, first.mean(axis=0))  # of each decision in the value
    surprise = log.rewards + discount * (after @ weights) - taken @ weights
    count = len(first)
    parts = first @ weights + count * np.bincount(number, shares * surprise, minlength=count)
    total, squares = float(np.abs(shares).sum()), float((shares**2).sum())
    largest = float(np.bincount(number, np.abs(shares)).max())
    return parts, total**2 / squares if squares else 0.0, largest / total if total else 1.0


def _features(z: Floats, actions: Floats) -> Floats:
    """(n, k (d + 1)) a block of (1, state) for each action, times its probability."""
    return (actions[:, :, None] * z[:, None, :]).reshape(len(z), -1)


def _weighted(
    sequences: SequenceLog, target: Floats, discount: float
) -> tuple[Floats, float, float]:
    log, number, step = sequences.log, sequences.sequence, sequences.step
    shape = (int(number.max()) + 1, int(step.max()) + 1)
    ratio, reward = np.ones(shape), np.zeros(shape)  # after its end a sequence earns nothing
    ratio[number, step], reward[number, step] = weights_of(log, target), log.rewards
    weight = np.cumprod(ratio, axis=1)
    total = weight.sum(axis=0)
    if not (total > 0).all():
        return np.full(shape[0], np.nan), 0.0, 1.0
    worth = discount ** np.arange(shape[1])
    means = (weight * reward).sum(axis=0) / total
    off = weight * (reward - means) * (shape[0] / total)
    ess = float((total**2 / (weight**2).sum(axis=0)).min())
    return float(worth @ means) + off @ worth, ess, float((weight / total).max())
