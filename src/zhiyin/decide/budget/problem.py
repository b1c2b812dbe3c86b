"""What is to be divided: scores, costs, and what is short.

    max  sum of score[i, a] x[i, a]      x in {0, 1}
    s.t. sum of cost[i, a] x[i, a] <= budget
         sum of x[i, a] over the actions of a channel <= its capacity, for each channel
         sum of x[i, a] over a <= cap[i], for each customer

What is short has a number: 0 is money, 1 + j channel j.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zhiyin.core.arguments import check_numbers
from zhiyin.core.errors import InvalidParameter

Floats: TypeAlias = NDArray[np.float64]
Singles: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
CHUNK = 32_768
"""Customers at a time: what is computed of them fits into a processor's cache."""


@dataclass(frozen=True)
class Problem:
    """`scores` (n, k), -inf where an action is impossible; `costs` (1, k) or (n, k); `channel` (k,)
    numbers from 0; `limits` (1 + channels,) money and capacities; `caps` (n,) actions per customer.
    """

    scores: Singles
    costs: Singles
    channel: Ints
    limits: Floats
    caps: Ints

    @property
    def shape(self) -> tuple[int, int]:
        """Customers and actions."""
        return self.scores.shape[0], self.scores.shape[1]

    def chunks(self) -> Iterator[slice]:
        """Rows of some customers at a time."""
        n = self.shape[0]
        return (slice(start, min(n, start + CHUNK)) for start in range(0, n, CHUNK))

    def cost_of(self, rows: slice) -> Singles:
        """(m, k) or (1, k) costs of some customers."""
        return self.costs if len(self.costs) == 1 else self.costs[rows]

    def net_of(self, rows: slice, prices: Floats) -> Singles:
        """(m, k) scores less the prices of what an action takes."""
        of_channel = prices[1:][self.channel].astype(np.float32)
        paid = np.multiply(self.cost_of(rows), np.float32(prices[0]), dtype=np.float32)
        return np.subtract(self.scores[rows], paid + of_channel, dtype=np.float32)

    def sample(self, most: int) -> Problem:
        """Every so many customers, with as much less to divide."""
        n = self.shape[0]
        rows = np.arange(0, n, max(1, n // most))
        costs = self.costs if len(self.costs) == 1 else self.costs[rows]
        limits = self.limits * (len(rows) / n)
        return Problem(self.scores[rows], costs, self.channel, limits, self.caps[rows])


def make_problem(
    scores: ArrayLike,
    costs: ArrayLike,
    budget: float,
    channels: ArrayLike | None,
    capacity: ArrayLike | None,
    caps: ArrayLike,
    eligible: ArrayLike | None,
) -> Problem:
    """The problem of `allocate`'s arguments, checked."""
    worth = np.array(check_numbers("scores", scores, np.float32))
    if worth.ndim != 2 or not worth.size:
        raise InvalidParameter(f"scores are of shape (customers, actions), not {worth.shape}")
    if np.isnan(worth).any() or (worth == np.inf).any():
        raise InvalidParameter(
            "a score is missing or infinite", hint="-inf says that an action is impossible"
        )
    n, k = worth.shape
    money = check_numbers("costs", costs, np.float32)
    money = money[None, :] if money.ndim == 1 else money
    if money.shape not in ((1, k), (n, k)) or not (np.isfinite(money) & (money >= 0)).all():
        raise InvalidParameter(f"costs are 0 or more, of shape {(k,)} or {(n, k)}")
    limit = check_numbers("budget", budget)
    if limit.shape != () or not limit >= 0:
        raise InvalidParameter(
            f"the budget is 0 or more, not {budget}", hint="one number; inf: any"
        )
    of, most = _channels(channels, capacity, k)
    most_each = check_numbers("caps", caps)
    if most_each.shape not in ((), (n,)) or not (most_each >= 0).all():
        raise InvalidParameter(
            "a customer's cap is 0 or more", hint=f"caps is one number, or {n} of them"
        )
    most_each = np.broadcast_to(np.minimum(most_each, k), (n,)).astype(np.int64)
    if eligible is not None:
        able = check_numbers("eligible", eligible, np.float32) != 0
        if able.shape != (n, k):
            raise InvalidParameter(f"eligible is of shape {able.shape}, not {(n, k)}")
        worth[~able] = -np.inf
    limits = np.concatenate([[float(limit)], most])
    worth[:, limits[1:][of] < 1] = -np.inf
    np.copyto(worth, -np.inf, where=money > float(limit))  # no choice can have it
    return Problem(worth, money, of, limits, most_each)


def _channels(
    channels: ArrayLike | None, capacity: ArrayLike | None, k: int
) -> tuple[Ints, Floats]:
    if (channels is None) != (capacity is None):
        raise InvalidParameter("channels and capacity come together")
    if channels is None or capacity is None:
        return np.zeros(k, np.int64), np.array([np.inf])
    of = check_numbers("channels", channels)
    most = np.floor(check_numbers("capacity", capacity))
    if of.shape != (k,) or most.ndim != 1 or not (of == np.floor(of)).all():
        raise InvalidParameter(f"channels are {k} whole numbers, one per action")
    if of.min() < 0 or of.max() >= most.size or not (most >= 0).all():
        raise InvalidParameter("every channel has a capacity of 0 or more")
    return of.astype(np.int64), most
