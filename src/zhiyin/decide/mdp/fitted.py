"""Action values of customers with features, learned from a log alone: fitted Q iteration, linear.

What an action is worth in a context x (features with curves, `decide.policy.Basis`) is one part
that all actions share, and what each brings beyond it:

    Q(x, a) = x'w + x'w_a

Each round both are fitted by ridge regression to *reward + discount x the best value of the next
context*: first w on all steps, then w_a on what is left of the steps with the action a. So what
makes customers differ, which is most of it, is learned once; and what an action does is drawn to
nothing unless the log bears it out. Pessimism subtracts standard errors of x'w_a wherever the best
action is looked for, and from the values that are returned.

Source: Ernst et al., 2005 (Tree-based batch mode reinforcement learning); Jin, Yang and Wang, 2021
(Is pessimism provably efficient for offline RL?); Nie and Wager, 2021 (Quasi-oracle estimation of
heterogeneous treatment effects) for the shared part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.decide.mdp.model import Floats, Ints, Steps
from zhiyin.decide.policy.chooser import Flags
from zhiyin.decide.policy.weighted import LinearScores, doubts_of

ROUNDS, CLOSE = 400, 1e-4


@dataclass(frozen=True, eq=False)
class LinearValues:
    """Values that are linear in contexts: `shared` (p,), `own` (actions, p), and how sure:
    `spread` (actions, p, p) the covariance of `own`."""

    shared: Floats
    own: Floats
    spread: Floats
    pessimism: float
    counts: Ints
    rounds: int

    def values(self, contexts: np.ndarray) -> Floats:
        """What each action is worth, (rows, actions), doubts subtracted."""
        told = contexts @ (self.shared + self.own).T
        return told - self.pessimism * self.doubts(contexts)

    def doubts(self, contexts: np.ndarray) -> Floats:
        """The standard error of what each action brings beyond the shared part."""
        return doubts_of(contexts, self.spread)

    def policy(self, actions: Sequence[str], *, explore: float = 0.0) -> LinearScores:
        """The policy that takes the highest value, doubts subtracted."""
        made = LinearScores(actions, width=self.own.shape[1], explore=explore)
        return made.weighing(self.own).doubting(self.pessimism**2 * self.spread)


def fit_linear_q(
    steps: Steps,
    *,
    actions: int,
    discount: float,
    next_eligible: Flags | None = None,
    pessimism: float = 2.0,
    ridge: float = 500.0,
) -> LinearValues:
    """Fitted Q iteration over features.

    Parameters
    ----------
    steps
        The log: contexts (n, p) before and after, the last number of each being 1; actions are
        numbers from 0.
    next_eligible
        (n, actions) what may be done next; None: everything.
    pessimism
        How many standard errors are subtracted.
    ridge
        As many steps of average noise say that an action brings nothing beyond the others.

    Raises
    ------
    NotEnoughData
        If the log has no step, or the values do not settle.
    InvalidParameter
        If shapes do not fit, or a reward is not known.
    """
    now, then = _contexts(steps, actions, discount)
    allowed = np.ones((len(steps), actions), bool) if next_eligible is None else next_eligible
    if allowed.shape != (len(steps), actions):
        raise InvalidParameter(f"eligible actions are flags of ({len(steps)}, {actions})")
    width, places = now.shape[1], [steps.actions == one for one in range(actions)]
    smooth = np.linalg.inv(now.T @ now + np.eye(width)) @ now.T
    parts = [now[mine] for mine in places]
    solved = [np.linalg.inv(x.T @ x + ridge * np.eye(width)) for x in parts]
    inverse = np.array(solved, np.float64)
    doubts = pessimism * doubts_of(then, inverse)
    shared, own, noise = np.zeros(width), np.zeros((actions, width)), 0.0
    for rounds in range(1, ROUNDS + 1):
        ahead = then @ (shared + own).T - np.sqrt(noise) * doubts
        best = np.where(allowed, ahead, -np.inf).max(axis=1)
        target = steps.rewards + discount * np.where(np.isfinite(best), best, 0.0)
        before, shared = shared, smooth @ target
        left = target - now @ shared
        for place, (mine, x) in enumerate(zip(places, parts, strict=True)):
            own[place] = inverse[place] @ (x.T @ left[mine])
        noise = float(np.mean((left - np.vecdot(now, own[steps.actions])) ** 2))
        if np.abs(shared - before).max() <= CLOSE * np.abs(shared).max():
            counts = np.bincount(steps.actions, minlength=actions)
            return LinearValues(shared, own, noise * inverse, pessimism, counts, rounds)
        if not np.isfinite(noise):
            break
    raise NotEnoughData(
        "the values do not settle", hint="a lower discount, more pessimism, or fewer features"
    )


def _contexts(steps: Steps, actions: int, discount: float) -> tuple[Floats, Floats]:
    if not len(steps):
        raise NotEnoughData("the log has no decision to learn from")
    if not 0 <= discount < 1:
        raise InvalidParameter(f"the discount must be in [0, 1), not {discount}")
    now, then = (np.asarray(one, np.float64) for one in (steps.states, steps.next_states))
    if now.ndim != 2 or now.shape != then.shape:
        raise InvalidParameter(f"contexts before and after are (n, p), not {now.shape}")
    if steps.actions.min() < 0 or steps.actions.max() >= actions:
        raise InvalidParameter(f"actions of a log are numbers below {actions}")
    if not (np.isfinite(now).all() and np.isfinite(then).all()):
        raise InvalidParameter("a context holds an unknown number", hint="encode it by `Basis`")
    if not np.isfinite(steps.rewards).all():
        raise InvalidParameter(
            "a reward is not known", hint="leave out decisions whose window is still open"
        )
    return now, then
