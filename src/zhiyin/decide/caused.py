"""What share of the money that redemptions bring is caused, from campaigns that were measured.

A model expects what somebody redeems; part of it she would have spent anyway. Campaigns with a
holdout tell the share that was caused. It is 1 where nothing was measured, and moves away from 1
only as far as the measurements are precise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SPREAD: Final = 0.5
"""Standard deviation of the share around 1 that is held possible before anything is measured."""
BETWEEN: Final = 0.25
"""The same of a campaign's share around that of the others."""


@dataclass(frozen=True)
class MeasuredShare:
    """Of one campaign: money caused with its standard error, and redeemed; minor units."""

    campaign_id: str
    caused_minor: float
    error_minor: float
    redeemed_minor: float


@dataclass(frozen=True)
class CausedShare:
    """The `value` by which redeemed money is counted, and how many `campaigns` it was measured on.

    `measured` is their share before it is shrunk; None: no campaign was measured.
    """

    value: float = 1.0
    measured: float | None = None
    campaigns: int = 0


def find_share(campaign_id: str, measured: Sequence[MeasuredShare]) -> CausedShare:
    """The caused share for a campaign: from other campaigns, then from its own earlier days.

    Notes
    -----
    Normal, with known errors. The shop's share has mean 1 and deviation `SPREAD` at first; the
    other campaigns are summed (caused / redeemed). A campaign's own share has deviation `BETWEEN`
    around the shop's. Each step is mean + w (measured - mean), w = variance before / (variance
    before + error²). The value is never below 0.
    """
    known = [one for one in measured if one.redeemed_minor > 0]
    own = [one for one in known if one.campaign_id == campaign_id]
    mean, spread = _move(1.0, SPREAD, [one for one in known if one.campaign_id != campaign_id])
    mean, _ = _move(mean, math.hypot(spread, BETWEEN) if len(own) < len(known) else SPREAD, own)
    if not known:
        return CausedShare()
    share, _ = _sum_up(known)
    return CausedShare(max(0.0, mean), share, len(known))


def _move(mean: float, spread: float, seen: Sequence[MeasuredShare]) -> tuple[float, float]:
    """Mean and deviation after what was seen."""
    if not seen:
        return mean, spread
    share, error = _sum_up(seen)
    weight = spread**2 / (spread**2 + error**2)
    return mean + weight * (share - mean), spread * math.sqrt(1 - weight)


def _sum_up(seen: Sequence[MeasuredShare]) -> tuple[float, float]:
    """Share caused of all that was redeemed, and its standard error."""
    redeemed = math.fsum(one.redeemed_minor for one in seen)
    error = math.sqrt(math.fsum(one.error_minor**2 for one in seen))
    return math.fsum(one.caused_minor for one in seen) / redeemed, error / redeemed
