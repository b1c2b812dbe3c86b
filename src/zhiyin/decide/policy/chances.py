"""The chance of each action to be the best one, and the draw by exactly these chances.

Thompson sampling draws a value of each action from what is believed of it and takes the highest.
That it takes action i has the probability

    P(i) = E[ prod over j != i of F_j(x) ],  x ~ belief of i,  F_j the distribution function of j

which is integrated here instead of drawn: the action is then drawn by the integrated chances
themselves, so that the propensity that is logged (law 5) is the one that was drawn by, whatever
the small error of the integral.

Beliefs are Beta (a rate), normal (a linear value), or the worth of a logistic rate. The latter two
share one grid. It begins at the highest of all low ends `low_j = mean_j - 4 spread_j`: what is
below is the best with a probability of at most 3e-5, and no F_j on the grid is smaller than that.
Its steps grow with the distance from there. As no belief has its mean further than 4 of its own
spreads from the beginning, steps are a fraction of the spread of every belief, wide or narrow.

Source: Thompson, 1933; Chapelle and Li, 2011 (An empirical evaluation of Thompson sampling).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, expit, logit, ndtr

from zhiyin.core.errors import InvalidParameter

POINTS = 1_024
GRID = 25  # an odd number: every other point is a grid, too
REACH = 4.0  # spreads
FINEST = 2.0  # of the narrowest spread: how far the grid begins to widen
TINY = 1e-12
SURE = 1e-9  # of the highest mean: the narrowest spread
CELLS = 2**17  # of a batch at once: rows x actions x grid
_STEPS = np.linspace(0.0, 1.0, GRID)
Floats = NDArray[np.float64]


def best_probabilities(rewarded: Sequence[int], tried: Sequence[int]) -> Floats:
    """P(each action has the highest rate | what was seen), by quadrature on its own quantiles.

    Parameters
    ----------
    rewarded, tried
        Of each action, how often it was followed by the reward, and how often it was tried.

    Returns
    -------
    Shape (actions,), sums to 1; within 1e-3 of the integral. The rate of each action has the
    posterior Beta(1 + rewarded, 1 + not rewarded).

    Raises
    ------
    InvalidParameter
        If there is no action, or one was rewarded more often than tried.
    """
    won, n = np.asarray(rewarded, np.float64), np.asarray(tried, np.float64)
    if won.ndim != 1 or won.shape != n.shape or not won.size:
        raise InvalidParameter("actions have one count of rewards and one of tries each")
    if (won < 0).any() or (won > n).any():
        raise InvalidParameter("an action was rewarded less than 0 times, or more than tried")
    a, b = won + 1, n - won + 1
    middles = (np.arange(POINTS) + 0.5) / POINTS
    rates = betaincinv(a[:, None], b[:, None], middles[None, :])  # (actions, points)
    made = np.empty(won.size)
    for i in range(won.size):
        others = np.arange(won.size) != i
        below = betainc(a[others, None], b[others, None], rates[i][None, :])
        made[i] = below.prod(axis=0).mean()
    return made / made.sum()


def propensities(rewarded: Sequence[int], tried: Sequence[int], *, explore: float) -> Floats:
    """P(action) of Thompson sampling with the share `explore`, in [0, 1], spread evenly."""
    if not 0 <= explore <= 1:
        raise InvalidParameter(f"explore must be in [0, 1], not {explore}")
    best = best_probabilities(rewarded, tried)
    return (1 - explore) * best + explore / best.size


def best_of_normals(means: Floats, spreads: Floats) -> Floats:
    """P(each of n independent normals is the highest).

    Parameters
    ----------
    means, spreads
        Shape (n,), or (rows, n); a mean of -inf is an action that may not be chosen.

    Returns
    -------
    The same shape; within .005 of the integral, mostly .0002. Rows sum to 1, those without any
    action are 0.
    """
    if means.ndim == 1:
        return _one_of_normals(means, spreads)

    def scores(part: slice, at: Floats) -> Floats:
        return (at[:, None, :] - middle[part, :, None]) / wide[part, :, None]

    there = np.isfinite(means)
    middle = np.where(there, means, 0.0)
    wide = np.maximum(spreads, SURE * (1 + np.abs(middle).max(axis=1, keepdims=True)))
    return _in_parts(scores, middle - REACH * wide, middle + REACH * wide, wide, there)


def best_of_rates(
    means: Floats, spreads: Floats, *, worth: Floats, cost: Floats, allowed: NDArray[np.bool_]
) -> Floats:
    """P(each action has the highest worth x rate - cost), its log-odds being normal: (rows, n).

    Parameters
    ----------
    means, spreads
        Of the log-odds, (rows, n).
    worth, cost
        Of each action, (n,): what the outcome is worth (above 0), what the action costs.
    allowed
        Which actions may be chosen, (rows, n).
    """

    def scores(part: slice, at: Floats) -> Floats:
        rates = (at[:, None, :] + cost[:, None]) / worth[:, None]
        line = logit(np.clip(rates, TINY, 1 - TINY))
        return (line - means[part, :, None]) / wide[part, :, None]

    wide = np.maximum(spreads, SURE * (1 + np.abs(means).max(axis=1, keepdims=True)))
    low = worth * expit(means - REACH * wide) - cost
    high = worth * expit(means + REACH * wide) - cost
    return _in_parts(scores, low, high, np.maximum((high - low) / (2 * REACH), TINY), allowed)


def _one_of_normals(means: Floats, spreads: Floats) -> Floats:
    """As `best_of_normals` of one row: what cannot be the best is left out of the integral."""
    top = float(np.maximum.reduce(means))
    if top == -math.inf:
        return np.zeros(means.size)
    wide = np.maximum(spreads, SURE * (1 + abs(top)))
    reach = REACH * wide
    high, low = means + reach, np.maximum.reduce(means - reach)
    live = np.flatnonzero(high >= low)
    if live.size == means.size:
        return _grid_chances(means, wide, low, high)
    made = np.zeros(means.size)
    made[live] = 1.0 if live.size == 1 else _grid_chances(means[live], wide[live], low, high[live])
    return made


def _grid_chances(means: Floats, wide: Floats, low: float, high: Floats) -> Floats:
    span = float(np.maximum.reduce(high) - low)
    growth = math.log1p(span / (FINEST * float(np.minimum.reduce(wide))))
    at = np.expm1(growth * _STEPS)
    at *= span / math.expm1(growth)
    at += low
    steep = 1.0 / wide
    below = np.multiply.outer(steep, at)
    below -= (means * steep)[:, None]
    made = _sum_up(ndtr(below, out=below))
    made /= np.add.reduce(made)
    return made


def _in_parts(
    scores: Callable[[slice, Floats], Floats],
    low: Floats,
    high: Floats,
    wide: Floats,
    there: NDArray[np.bool_],
) -> Floats:
    """Chances of (rows, n) beliefs, so many rows at once that the grid stays in the cache.

    `scores` gives the standard scores of the grid (rows, GRID) under each belief of some rows.
    """
    start = np.where(there, low, -np.inf).max(axis=1)
    some = np.isfinite(start)
    start = np.where(some, start, 0.0)
    live = there & (high >= start[:, None])
    span = np.where(some, np.where(live, high, -np.inf).max(axis=1) - start, 1.0)
    narrow = np.where(some, np.where(live, wide, np.inf).min(axis=1), 1.0)
    growth = np.log1p(np.maximum(span, TINY) / (FINEST * narrow))
    made = np.empty(there.shape)
    rows = max(1, CELLS // (GRID * there.shape[1]))
    for first in range(0, len(made), rows):
        part = slice(first, first + rows)
        grown = growth[part, None]
        at = start[part, None] + span[part, None] * np.expm1(grown * _STEPS) / np.expm1(grown)
        below = np.where(live[part, :, None], ndtr(scores(part, at)), 1.0)
        made[part] = np.where(live[part], _sum_up(below), 0.0)
    total = made.sum(axis=1, keepdims=True)
    return np.divide(made, total, out=np.zeros_like(made), where=total > 0)


def _sum_up(below: Floats) -> Floats:
    """Chances (…, n), not yet normalised, from distribution functions (…, n, GRID) above 3e-5.

    With H the product of all, sum of (F(next) - F) * (H / F + H(next) / F(next)) / 2 over the
    steps; H = F * (H / F) lets half of it telescope. Once more with every other point, so that the
    error that grows with the square of the steps cancels (Richardson).
    """
    every = np.multiply.reduce(below, axis=-2)
    others = every[..., None, :] / below
    made = 4 * _cross(others, below) - _cross(others[..., ::2], below[..., ::2])
    made /= 3
    made += (every[..., -1] - every[..., 0])[..., None]
    return np.maximum(made, 0.0)


def _cross(others: Floats, below: Floats) -> Floats:
    return np.vecdot(others[..., :-1], below[..., 1:]) - np.vecdot(others[..., 1:], below[..., :-1])


def draw(chances: Floats, lot: float) -> int:
    """The action whose part of [0, 1) the lot falls into; one of chance 0 never."""
    ends = chances.cumsum()
    place = int(ends.searchsorted(lot * ends[-1], side="right"))
    return place if place < ends.size else int(np.flatnonzero(chances)[-1])


def draw_many(chances: Floats, lots: Floats) -> NDArray[np.int64]:
    """As `draw`, a lot for each row; -1 where a row has no action."""
    ends = chances.cumsum(axis=1)
    places = (ends <= (lots * ends[:, -1])[:, None]).sum(axis=1)
    last = chances.shape[1] - 1 - (chances[:, ::-1] > 0).argmax(axis=1)
    return np.where(ends[:, -1] > 0, np.minimum(places, last), -1)
