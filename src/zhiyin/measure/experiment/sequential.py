"""Intervals that hold at all looks together: the asymptotic confidence sequence.

With n units of both arms, standard error e of the effect at n, and a mixing parameter rho,

    |effect - truth| <= e sqrt(2 (n rho² + 1) / (n rho²) log(sqrt(n rho² + 1) / alpha))   at all n

with chance 1 - alpha, as n grows: Waudby-Smith et al. (2024), *Annals of Statistics* 52:2613, eq.
9; one-sided by their eq. 134. rho is chosen so that the interval is tightest at `tuning` units,
their eq. 161. As GrowthBook's, whose default tuning is 5,000. Asymptotic: begin to look at some
hundred units, not at ten.
"""

from __future__ import annotations

import math

TUNING = 5000


def find_rho(alpha: float, tuning: float) -> float:
    """The mixing parameter whose interval is tightest at `tuning` units."""
    twice = -2 * math.log(alpha)
    return math.sqrt((twice + math.log(twice + 1)) / tuning)


def find_half(error: float, n: float, *, alpha: float, tuning: float) -> float:
    """Half the width of the two-sided interval after n units."""
    grown = n * find_rho(alpha, tuning) ** 2
    return error * math.sqrt(2 * (grown + 1) / grown * math.log(math.sqrt(grown + 1) / alpha))


def find_reach(error: float, n: float, *, alpha: float, tuning: float) -> float:
    """How far the one-sided bound lies from the effect after n units."""
    grown = n * find_rho(2 * alpha, tuning) ** 2
    inner = math.log1p(math.sqrt(grown + 1) / (2 * alpha))
    return error * math.sqrt(2 * (grown + 1) / grown * inner)


def find_p_value(effect: float, error: float, n: float, *, alpha: float, tuning: float) -> float:
    """The smallest alpha whose two-sided interval leaves 0 out, rho held: valid at any look."""
    grown = n * find_rho(alpha, tuning) ** 2
    distance = (effect / error) ** 2 * grown / (2 * (grown + 1))
    return min(1.0, math.exp(0.5 * math.log1p(grown) - distance))


def find_one_sided_p_value(
    effect: float, error: float, n: float, *, alpha: float, tuning: float
) -> float:
    """The smallest alpha, to .5, whose bound below `effect` leaves 0 out, rho held."""
    if effect <= 0:
        return 0.5
    grown = n * find_rho(2 * alpha, tuning) ** 2
    distance = (effect / error) ** 2 * grown / (2 * (grown + 1))
    # 1 + sqrt(grown + 1) / (2 alpha) = exp(distance)
    return min(0.5, math.exp(0.5 * math.log1p(grown) - distance) / (-2 * math.expm1(-distance)))
