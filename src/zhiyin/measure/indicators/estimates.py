"""Indicators with their intervals, from sums alone.

Customers are the units: messages of one customer are no independent draws. Every quotient
`r = X / Y` has the variance of the delta method, `n / (n - 1) x (S - E^2 / n) / Y^2` with
`S = sum (x - r y)^2` and `E = sum (x - r y)` over customers. Shares have Wilson's interval on
`r (1 - r) / variance` units, never more than `Y`: with one message for each customer that is
Wilson's own. The net promoter score is a quotient as well. Sources: Wilson (1927), JASA 22:209;
Kish (1965), *Survey Sampling*, 8.2 (design effect); Cochran (1977), *Sampling Techniques*, 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

import numpy as np

from zhiyin.core.values import Estimate
from zhiyin.measure.indicators.definitions import (
    ACTIONS,
    AD_CLICKS,
    AD_IMPRESSIONS,
    COST,
    INDICATORS,
    NOTHING,
    By,
    Indicator,
)
from zhiyin.measure.indicators.sums import UNIT_SUMS, GroupSums
from zhiyin.measure.intervals import critical_z, missing, wilson_interval
from zhiyin.measure.status import MIN_UNITS, NO_UNITS, OK, TOO_FEW_UNITS, ZERO_VARIANCE

NAN = float("nan")


def _pairs() -> tuple[tuple[str, str], ...]:
    found: set[tuple[str, str]] = set()
    for one in INDICATORS.values():
        if {one.numerator, one.denominator} <= {*UNIT_SUMS}:
            first, second = sorted((one.numerator, one.denominator))
            found |= {(first, first), (first, second), (second, second)}
    return tuple(sorted(found))


PAIRS = _pairs()
"""Columns whose sums of products the intervals need, each pair in order of its names."""


def estimate_all(
    group: GroupSums, *, by: By = "all", margin_rate: float = 1.0
) -> dict[str, Estimate]:
    """Every indicator that is told `by`, with its 95 % interval."""
    return {
        key: estimate(one, group, margin_rate=margin_rate)
        for key, one in INDICATORS.items()
        if by in one.by
    }


def estimate(one: Indicator, group: GroupSums, *, margin_rate: float = 1.0) -> Estimate:
    """An indicator of a group.

    Returns
    -------
    A sum has no interval (NaN bounds), as it is what happened. A quotient without a denominator,
    or of a cost that nobody entered, is `no_units`; on fewer than 10 of it, or fewer than 10
    customers, it is `too_few_units`: the number stands, its interval is rough. A quotient that is
    no share and does not vary between customers is `zero_variance`. `n` is the denominator, of a
    sum the customers behind it.
    """
    scale = margin_rate if one.margin else 1.0
    top = _total(group, one.numerator)
    if one.denominator == NOTHING:
        return Estimate(top * scale, NAN, NAN, group.n)
    bottom = _total(group, one.denominator)
    if not bottom or (one.numerator == COST and not top):  # what cost nothing was not entered
        return missing(0, NO_UNITS)
    ratio = top / bottom
    if one.unit == "share":
        low, high = _wilson(one, group, ratio, bottom)
        few = bottom < MIN_UNITS
        return Estimate(ratio, low, high, bottom, TOO_FEW_UNITS if few else OK)
    shift = -1.0 if one.less_one else 0.0
    n = group.n if one.denominator == COST else bottom
    variance = _variance(one, group, ratio, bottom)
    if not variance > 0:
        return Estimate(ratio * scale + shift, NAN, NAN, n, ZERO_VARIANCE)
    half = critical_z(0.95) * sqrt(variance)
    low, high = ((ratio + side * half) * scale + shift for side in (-1, 1))
    if one.unit == "score":
        low, high = max(-1.0, low), min(1.0, high)
    few = group.n < MIN_UNITS or n < MIN_UNITS
    return Estimate(ratio * scale + shift, low, high, n, TOO_FEW_UNITS if few else OK)


def _total(group: GroupSums, name: str) -> int:
    total = group.totals[name]
    if name == COST:
        return total + group.spent
    return total + group.totals.get(AD_CLICKS, 0) if name == ACTIONS else total


def _variance(one: Indicator, group: GroupSums, ratio: float, bottom: int) -> float:
    """Of the quotient; NaN where fewer than two customers have a share in it, or none can."""
    n, products = group.n, group.products
    first, second = sorted((one.numerator, one.denominator))
    if n < 2 or (first, second) not in products:
        return NAN
    tops, bottoms = (
        products[one.numerator, one.numerator], products[one.denominator, one.denominator]
    )  # fmt: skip
    squares = tops - 2 * ratio * products[first, second] + ratio**2 * bottoms
    rest = group.totals[one.numerator] - ratio * group.totals[one.denominator]
    return n / (n - 1) * max(0.0, squares - rest**2 / n) / bottom**2


def _wilson(one: Indicator, group: GroupSums, ratio: float, bottom: int) -> tuple[float, float]:
    if one.denominator == AD_IMPRESSIONS and not 0 <= ratio <= 1:
        return NAN, NAN  # a source may tell of more clicks than impressions
    units, plain = float(bottom), ratio * (1 - ratio) / bottom
    variance = _variance(one, group, ratio, bottom)
    if variance > plain > 0:
        units = ratio * (1 - ratio) / variance
    low, high = wilson_interval(np.array([ratio]), np.array([units]))
    return float(low[0]), float(high[0])


def shown(group: GroupSums) -> bool:
    """Whether anything of it is worth a line."""
    values: Mapping[str, int] = group.totals
    return bool(group.spent) or any(values.values())
