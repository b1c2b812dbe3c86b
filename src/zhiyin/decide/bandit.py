"""Thompson sampling between a few actions whose reward is yes or no, with its true propensities.

The rate of each action has the posterior Beta(1 + rewarded, 1 + not rewarded). Thompson sampling
draws a rate of each and takes the highest; that it takes action i has the probability

    P(i) = E[ prod over j != i of F_j(x) ],  x ~ Beta of i,  F_j the distribution function of j

which is integrated here instead of drawn, so that the propensity that is logged (law 5) is the one
that was drawn by. A share `explore` is spread evenly over all actions: none ever falls below
`explore / n`, which off-policy evaluation needs.

Source: Thompson, 1933; Chapelle and Li, 2011 (An empirical evaluation of Thompson sampling).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv

from zhiyin.core.errors import InvalidParameter

POINTS = 1_024
Floats = NDArray[np.float64]


def best_probabilities(rewarded: Sequence[int], tried: Sequence[int]) -> Floats:
    """P(each action has the highest rate | what was seen), by quadrature on its own quantiles.

    Parameters
    ----------
    rewarded, tried
        Of each action, how often it was followed by the reward, and how often it was tried.

    Returns
    -------
    Shape (actions,), sums to 1; within 1e-3 of the integral.

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


def draw(chances: Floats, lot: float) -> int:
    """The action whose part of [0, 1) the lot falls into; one of chance 0 never."""
    place = int(np.searchsorted(np.cumsum(chances), lot, side="right"))
    return min(place, int(np.flatnonzero(chances)[-1]))
