"""What a holdout can show: the smallest change of a share, and the holdout that would do.

All with a two-sided test of two proportions. The variance is that of the base rate in both arms
(Bloom 1995, *Evaluation Review* 19:547, minimum detectable effects): it lies between the rise
and the fall that the exact formula gives, so it is the answer where the sign is not known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from zhiyin.core.errors import InvalidParameter

LEVEL, POWER = 0.95, 0.8


@dataclass(frozen=True)
class Enough:
    """What would show the wanted change: the smallest holdout share (None: no share of these
    people), or as many campaigns of this size with this share.
    """

    holdout_share: float | None
    campaigns: int


def find_smallest_change(
    n: int, holdout_share: float, base_rate: float, *, level: float = LEVEL, power: float = POWER
) -> float | None:
    """The smallest true change, relative to `base_rate`, that is found with chance `power`.

    (z_{1 - (1 - level) / 2} + z_power) sqrt(p (1 - p) (1 / held + 1 / treated)) / p: 0.462 for a
    holdout of 10 % of 20,000 people at 2 %.

    Parameters
    ----------
    n
        People in both arms.
    holdout_share
        Share that gets nothing, in [0, 1).
    base_rate
        Share that does it by itself, in (0, 1).

    Returns
    -------
    None where nothing can be shown: an arm is empty, or the base rate is 0 or 1.

    Raises
    ------
    InvalidParameter
        If a share is outside its range.
    """
    _check(holdout_share, base_rate)
    held = n * holdout_share
    if held < 1 or n - held < 1 or base_rate in (0, 1):
        return None
    error = math.sqrt(base_rate * (1 - base_rate) * (1 / held + 1 / (n - held)))
    return _quantiles(level, power) * error / base_rate


def find_enough(
    n: int, holdout_share: float, base_rate: float, *, change: float, level: float = LEVEL,
    power: float = POWER,
) -> Enough | None:  # fmt: skip
    """What would show a relative `change`, by the formula of `find_smallest_change` turned round.

    Campaigns are pooled, so the error shrinks with the root of their number.

    Returns
    -------
    None where the formula has no answer: nobody, no holdout, or a base rate of 0 or 1.
    """
    if change <= 0:
        raise InvalidParameter(f"the change must be above 0, not {change}")
    now = find_smallest_change(n, holdout_share, base_rate, level=level, power=power)
    if now is None:
        return None
    # s (1 - s) >= (z / change)^2 (1 - p) / (p n), the smaller root
    wanted = (_quantiles(level, power) / change) ** 2 * (1 - base_rate) / (base_rate * n)
    share = None if wanted > 0.25 else (1 - math.sqrt(1 - 4 * wanted)) / 2
    return Enough(share, max(math.ceil((now / change) ** 2 - 1e-9), 1))


def find_power(
    held: int, treated: int, base_rate: float, rate: float, *, level: float = LEVEL
) -> float:
    """The chance that Welch's test of two proportions finds `rate` against `base_rate`.

    Phi(|difference| / error - z), with the error of the two rates themselves: Chow, Shao and Wang
    (2008), *Sample Size Calculations in Clinical Research*, 4.2.2.
    """
    variance = base_rate * (1 - base_rate) / held + rate * (1 - rate) / treated
    distance = abs(rate - base_rate) / math.sqrt(variance)
    return float(ndtr(distance - ndtri(0.5 + level / 2)))


def _quantiles(level: float, power: float) -> float:
    return float(ndtri(0.5 + level / 2) + ndtri(power))


def _check(holdout_share: float, base_rate: float) -> None:
    if not 0 <= holdout_share < 1:
        raise InvalidParameter(f"the holdout's share must be in [0, 1), not {holdout_share}")
    if not 0 <= base_rate <= 1:
        raise InvalidParameter(f"the base rate must be in [0, 1], not {base_rate}")
