"""The log that a policy is evaluated on, and what a policy would have done there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zhiyin.core.errors import InvalidParameter

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

SUM_ERROR = 1e-6
"""Probabilities of one decision may miss 1 by so much."""


@runtime_checkable
class Chances(Protocol):
    """What is asked of a policy here: P(action | context) of each action, for many contexts."""

    def probabilities(self, contexts: Floats, eligible: Bools | None = None) -> ArrayLike:
        """(n, k), rows sum to 1; `contexts` (n, d), `eligible` (n, k) flags, None = all."""
        ...


Policy: TypeAlias = Chances | Callable[[Floats, Bools | None], ArrayLike] | ArrayLike
"""A `core.protocols.Policy`, a function of the same arguments, or the array itself."""


@dataclass(frozen=True)
class DecisionLog:
    """Decisions as they were made, one per row, and what came of each. Built by `make_log`.

    `contexts` (n, d) what was known; `actions` (n,) the number of the one taken, 0..`n_actions`-1;
    `rewards` (n,); `propensities` (n,) P(action taken | context); `probabilities` (n, k) those of
    all actions, where they are known; `eligible` (n, k) what could be chosen at all; `customers`
    (n,) numbers 0..m-1 of whom each decision was about: her decisions are no independent evidence.
    """

    contexts: Floats
    actions: Ints
    rewards: Floats
    propensities: Floats
    n_actions: int
    probabilities: Floats | None = None
    eligible: Bools | None = None
    customers: Ints | None = None

    @property
    def n(self) -> int:
        """Decisions."""
        return self.actions.size

    def with_rewards(self, rewards: ArrayLike) -> DecisionLog:
        """The same decisions, judged by something else that was seen after them."""
        return replace(self, rewards=_column(rewards, self.n, "rewards"))

    def take(self, rows: Bools | Ints) -> DecisionLog:
        """Some of the decisions: `rows` are booleans (n,), or their numbers."""
        return replace(
            self, contexts=self.contexts[rows], actions=self.actions[rows],
            rewards=self.rewards[rows], propensities=self.propensities[rows],
            probabilities=None if self.probabilities is None else self.probabilities[rows],
            eligible=None if self.eligible is None else self.eligible[rows],
            customers=None if self.customers is None else _numbered(self.customers[rows]),
        )  # fmt: skip


def make_log(
    contexts: ArrayLike,
    actions: ArrayLike,
    rewards: ArrayLike,
    propensities: ArrayLike,
    *,
    n_actions: int | None = None,
    probabilities: ArrayLike | None = None,
    eligible: ArrayLike | None = None,
    customers: ArrayLike | None = None,
) -> DecisionLog:
    """A log of decisions from plain arrays.

    Parameters
    ----------
    contexts
        (n, d) finite numbers; (n,) is one column.
    actions
        (n,) whole numbers from 0.
    propensities
        (n,) P(action taken | context) at the moment of the decision; `evaluate` looks at them.
    n_actions
        How many actions there are; by default as many as are in the log or in `probabilities`.
    probabilities
        (n, k) P(each action | context). With them the propensities can be checked both ways and
        a lack of support is seen exactly.
    eligible
        (n, k) which actions could be chosen; by default all.
    customers
        (n,) any ids; intervals are then over customers instead of decisions.

    Raises
    ------
    InvalidParameter
        If shapes differ, a context or reward is not finite, or an action has no number.
    """
    taken = np.asarray(actions)
    if taken.ndim != 1 or not taken.size:
        raise InvalidParameter("a log has one action per decision, and one decision at least")
    if not np.issubdtype(taken.dtype, np.integer):
        raise InvalidParameter(f"actions are whole numbers from 0, not {taken.dtype}")
    known = None if probabilities is None else np.asarray(probabilities, np.float64)
    k = n_actions or (int(taken.max()) + 1 if known is None else known.shape[-1])
    if taken.min() < 0 or taken.max() >= k:
        raise InvalidParameter(f"actions are numbered 0..{k - 1}, not {taken.min()}..{taken.max()}")
    n = taken.size
    x = np.asarray(contexts, np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or x.shape[0] != n or not np.isfinite(x).all():
        raise InvalidParameter(
            f"contexts are finite numbers in one row per decision ({n}), not of shape {x.shape}",
            hint="fill what is missing by a number and add a column that says so",
        )
    able = None if eligible is None else np.asarray(eligible, np.bool_)
    for name, matrix in (("probabilities", known), ("eligible", able)):
        if matrix is not None and matrix.shape != (n, k):
            raise InvalidParameter(f"{name} are of shape {matrix.shape}, not {(n, k)}")
    return DecisionLog(
        x, taken.astype(np.int64), _column(rewards, n, "rewards"),
        np.asarray(propensities, np.float64), k, known, able, _groups(customers, n),
    )  # fmt: skip


def target_of(policy: Policy, log: DecisionLog) -> Floats:
    """(n, k) P(action | context) of a policy over the contexts of a log.

    Raises
    ------
    InvalidParameter
        If it gives another shape, something outside [0, 1], or rows that do not sum to 1; or if
        it would take an action that was not eligible.
    """
    if isinstance(policy, Chances):
        made = policy.probabilities(log.contexts, log.eligible)
    else:
        made = policy(log.contexts, log.eligible) if callable(policy) else policy
    target = np.asarray(made, np.float64)
    if target.shape != (log.n, log.n_actions):
        raise InvalidParameter(
            f"a policy gives probabilities of shape {(log.n, log.n_actions)}, not {target.shape}"
        )
    if not (target >= 0).all() or not (np.abs(target.sum(axis=1) - 1) < SUM_ERROR).all():
        raise InvalidParameter("a policy's probabilities are 0 or more and sum to 1 per decision")
    if log.eligible is not None and (target[~log.eligible] > 0).any():
        rows = int(((target > 0) & ~log.eligible).any(axis=1).sum())
        raise InvalidParameter(
            f"in {rows} decisions the policy would take an action that was not eligible",
            hint="let it choose among the eligible actions of each decision",
        )
    return target


def _column(values: ArrayLike, n: int, name: str) -> Floats:
    column = np.asarray(values, np.float64)
    if column.shape != (n,):
        raise InvalidParameter(f"{name} are of shape {column.shape}, not {(n,)}")
    if missing := int((~np.isfinite(column)).sum()):
        raise InvalidParameter(
            f"{missing} of {n} {name} are missing",
            hint="leave decisions out whose window has not ended; late is not the same as 0",
        )
    return column


def _groups(customers: ArrayLike | None, n: int) -> Ints | None:
    if customers is None:
        return None
    ids = np.asarray(customers)
    if ids.shape != (n,):
        raise InvalidParameter(f"customers are of shape {ids.shape}, not {(n,)}")
    return _numbered(ids)


def _numbered(ids: NDArray) -> Ints:
    return np.unique(ids, return_inverse=True)[1].astype(np.int64)
