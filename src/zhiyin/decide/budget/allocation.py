"""Choosing actions for all customers at once, and how far from the best that can be."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, vstack

from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.budget.dual import find_prices, used_by
from zhiyin.decide.budget.problem import Bools, Floats, Ints, Problem, make_problem
from zhiyin.decide.budget.quiet import without_noise
from zhiyin.decide.budget.settle import NOTHING, settle

SMALL = 20_000
"""Customers times actions up to which a solver finds the best choice."""
NODES, EXACT = 1_000, 1e-5
"""The solver stops after so many nodes, or so close to the best."""


@dataclass(frozen=True)
class Allocation:
    """Who gets what.

    `choice` (n,): the number of each customer's action, -1 for none; where caps are above 1,
    (n, most) filled up with -1. `value`: the sum of its scores; `bound`: what no choice exceeds;
    `gap`: what is missing at most, as a share of the bound. `spent`: money; `used`: places by
    channel. `prices`: what one more unit of money, and one more place of each channel, would bring
    (0: it is not short; NaN from the solver).
    """

    choice: Ints
    value: float
    gap: float
    bound: float
    spent: float
    used: Floats = field(repr=False)
    prices: Floats = field(repr=False)
    method: str

    def __str__(self) -> str:
        """What came out, for people."""
        return (
            f"{int((self.choice != NOTHING).sum()):,} actions worth {self.value:,.2f}, at most "
            f"{self.gap:.4%} below the best; {self.spent:,.2f} spent ({self.method})"
        )


def allocate(
    scores: ArrayLike,
    costs: ArrayLike,
    budget: float,
    *,
    channels: ArrayLike | None = None,
    capacity: ArrayLike | None = None,
    caps: ArrayLike = 1,
    eligible: ArrayLike | None = None,
    method: str = "auto",
) -> Allocation:
    """The choice of actions with the highest sum of scores that is within all limits.

    Parameters
    ----------
    scores
        (n, k) what each action brings from each customer; -inf: impossible. Doing nothing brings 0.
    costs
        (k,) or (n, k), 0 or more, in the unit of `budget`.
    budget
        Money for all; `inf`: it is not short.
    channels, capacity
        (k,) the channel of each action, a number from 0, and (channels,) how many actions each can
        take; by default channels are not short.
    caps
        Actions per customer, one number or (n,).
    eligible
        (n, k) booleans; by default all.
    method
        `exact` (an integer program, HiGHS), `dual` (prices, then a feasible choice near it), or
        `auto`: exact up to 20,000 pairs.

    Returns
    -------
    An allocation. Of equals the earlier customer, and action, is taken: order rows by id.

    Raises
    ------
    InvalidParameter
        If a shape, a number or the method is wrong.

    Examples
    --------
    >>> allocate([[3.0, 5.0], [4.0, 9.0], [1.0, 2.0]], [1.0, 3.0], 4.0).choice
    array([ 0,  1, -1])
    """
    if method not in ("auto", "exact", "dual"):
        raise InvalidParameter(f"the method is auto, exact or dual, not {method!r}")
    problem = make_problem(scores, costs, budget, channels, capacity, caps, eligible)
    small = problem.scores.size <= SMALL
    if method == "exact" or (method == "auto" and small):
        if (solved := _solve(problem)) is not None:
            return _read(problem, *solved, np.full(problem.limits.size, np.nan), "exact")
    found = find_prices(problem)
    return _read(problem, settle(problem, found.prices), found.bound, found.prices, "dual")


def _solve(problem: Problem) -> tuple[Bools, float] | None:
    """The best choice and its bound; None where the solver gives up."""
    n, k = problem.shape
    able = problem.scores > 0  # what is worth less than nothing is never chosen
    row, action = np.nonzero(able)
    m, picks = row.size, np.zeros((n, k), np.bool_)
    if not m:
        return picks, 0.0
    at, worth = np.arange(m), problem.scores[able].astype(np.float64)
    money = np.broadcast_to(problem.costs, (n, k))[able].astype(np.float64)
    each = np.ones(m)
    uses = vstack([
        csr_array((money, (np.zeros(m, np.int64), at)), shape=(1, m)),
        csr_array((each, (problem.channel[action], at)), shape=(problem.limits.size - 1, m)),
        csr_array((each, (row, at)), shape=(n, m)),
    ])  # fmt: skip
    limits = np.concatenate([problem.limits, problem.caps])
    with without_noise():
        found = milp(
            -worth, integrality=each, bounds=Bounds(0, 1),
            constraints=LinearConstraint(uses, -np.inf, limits),
            options={"mip_rel_gap": EXACT, "node_limit": NODES},
        )  # fmt: skip
    if found.x is None:
        return None
    chosen = np.round(found.x).astype(np.bool_)
    picks[row[chosen], action[chosen]] = True
    bound = -found.mip_dual_bound if found.mip_dual_bound is not None else float(worth @ chosen)
    return picks, float(bound)


def _read(problem: Problem, picks: Bools, bound: float, prices: Floats, method: str) -> Allocation:
    value, used = 0.0, np.zeros(problem.limits.size)
    for rows in problem.chunks():
        value += float(problem.scores[rows][picks[rows]].sum(dtype=np.float64))
        used += used_by(problem, rows, picks[rows])
    bound = max(bound, value)
    gap = (bound - value) / bound if bound > 0 else 0.0
    most = int(problem.caps.max(initial=1))
    if most <= 1:
        choice = np.where(picks.any(axis=1), picks.argmax(axis=1), NOTHING)
    else:
        order = np.argsort(~picks, axis=1, kind="stable")[:, :most]
        choice = np.where(np.take_along_axis(picks, order, axis=1), order, NOTHING)
    return Allocation(
        choice.astype(np.int64), value, gap, bound, float(used[0]), used[1:], prices, method
    )
