"""What to hold out next time, so that the campaign's effect is measured instead of argued."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.intervals import LEVEL, critical_z


@dataclass(frozen=True)
class NextHoldout:
    """`held_out` of `n` recipients show an effect of `detectable` per customer or more.

    Where no share of them shows the wanted effect, half are held out (the most that tells
    anything), `enough` is False, and `campaigns` alike would have to be pooled.
    """

    n: int
    held_out: int
    detectable: float
    enough: bool
    campaigns: int


def plan_holdout(
    n: int, effect: float, *, variance: float, level: float = LEVEL, power: float = 0.8
) -> NextHoldout:
    """The smallest holdout of `n` recipients that finds `effect` with chance `power`.

    (z_level + z_power)² variance (1 / h + 1 / (n - h)) <= effect², the smaller root.

    Parameters
    ----------
    n
        Recipients, 4 or more.
    effect
        What is worth knowing, per customer, in the unit of the outcome; its sign does not matter.
    variance
        Of the outcome per customer; what earlier spend explains is left out of it.

    Raises
    ------
    InvalidParameter
        If there are fewer recipients, or the effect or the variance is not above 0.
    """
    if n < 4 or not abs(effect) > 0 or not variance > 0:
        raise InvalidParameter(
            f"{n} recipients, an effect of {effect}, a variance of {variance}",
            hint="4 or more recipients, an effect that is not 0, a variance above 0",
        )
    quantiles = critical_z(level) + float(ndtri(power))
    needed = (quantiles / effect) ** 2 * variance  # <= h (n - h) / n
    half = n // 2
    enough = needed <= half * (n - half) / n
    held = math.ceil((n - math.sqrt(max(n * n - 4 * n * needed, 0.0))) / 2) if enough else half
    held = min(max(held, 2), half)
    error = math.sqrt(variance * (1 / held + 1 / (n - held)))
    detectable = quantiles * error
    campaigns = 1 if enough else math.ceil((detectable / effect) ** 2)
    return NextHoldout(n, held, detectable, enough, campaigns)
