"""Days that are odd, with a stated chance of a false alarm on a quiet series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy import stats
from scipy.special import gammaln

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.intervals import LEVEL, critical_z
from zhiyin.measure.status import OK, ZERO_VARIANCE
from zhiyin.measure.trend.decomposition import Decomposition, decompose

TAILS = (3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 30.0, 1_000.0)
"""Degrees of freedom tried for how far ordinary days stray: 1000 is as good as normal."""
_COUNTS_UP_TO = 200.0  # of a larger mean a count strays as any number does


@dataclass(frozen=True)
class Anomaly:
    """A day far from what was expected; `p_value` is corrected for all days that were watched.

    Of ordinary days 95 in 100 are within [low, high].
    """

    day: date
    value: float
    expected: float
    low: float
    high: float
    p_value: float

    @property
    def share(self) -> float:
        """How far off, as a share of what was expected."""
        return (self.value - self.expected) / abs(self.expected) if self.expected else float("nan")


@dataclass(frozen=True)
class Anomalies:
    """What was found, the first day first; `status` is `ok` or says why nothing can be said."""

    found: tuple[Anomaly, ...]
    status: str
    watched: int


def find_anomalies(
    values: object,
    start: date,
    *,
    rate: float = 0.05,
    last_days: int | None = None,
    calendars: Iterable[str] = ("china", "west"),
    parts: Decomposition | None = None,
) -> Anomalies:
    """Days further off than chance explains.

    Parameters
    ----------
    values, start, calendars
        As `decompose` takes them.
    rate
        Chance in (0, 1) that a series on which nothing happens gives any alarm.
    last_days
        Watch only the last so many days (a shop that looks every day watches 1); None: all.
    parts
        The decomposition, where there is one already.

    Notes
    -----
    Each day's distance from its expectation, in standard deviations that allow for the day's own
    pull (leverage), is compared with Student's t, averaged over degrees of freedom by how likely
    they make the ordinary days, so that days of heavy tails do not all alarm. Holm's correction
    over the days watched (Holm 1979, Scand. J. Statistics 6:65).

    Raises
    ------
    InvalidParameter
        If `rate` or `last_days` is outside its range.
    """
    if not 0 < rate < 1 or (last_days is not None and last_days < 1):
        raise InvalidParameter("rate is in (0, 1), last_days at least 1")
    parts = decompose(values, start, calendars=calendars) if parts is None else parts
    if parts.status != OK:
        return Anomalies((), parts.status, 0)
    if parts.scale <= 1e-9 * (np.nanmax(np.abs(parts.values)) or 1.0):
        return Anomalies((), ZERO_VARIANCE, 0)
    places = np.flatnonzero(~np.isnan(parts.rest))
    if last_days is not None:
        places = places[places >= len(parts.rest) - last_days]
    p = np.minimum(1.0, _chances(parts, places))
    order = np.argsort(p, kind="stable")
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    weight, scale = _fit_tail(parts)
    spread, expected = float(weight @ scale) * critical_z(LEVEL), parts.expected
    found = [
        Anomaly(
            parts.day(place), float(parts.values[place]), float(expected[place]),
            float(expected[place] - spread), float(expected[place] + spread),
            float(min(1.0, value)),
        )
        for place, value in zip(places[order], corrected, strict=True)
        if value <= rate
    ]  # fmt: skip
    return Anomalies(tuple(sorted(found, key=lambda one: one.day)), OK, len(places))


def _fit_tail(parts: Decomposition) -> tuple[np.ndarray, np.ndarray]:
    """(tails,) what each number of degrees of freedom weighs, and the scale that goes with it.

    The furthest hundredth (at least two days) enters the likelihood as censored only: what is odd
    must not decide what is ordinary.
    """
    seen = ~np.isnan(parts.rest)
    rest = np.sort(np.abs(parts.rest[seen] / np.sqrt(1 - parts.leverage[seen]))) / parts.scale
    n = len(rest)
    out = max(2, n // 100)
    inner, edge = rest[: n - out], rest[n - out - 1]
    freedom, factor = np.array(TAILS)[:, None], np.linspace(0.6, 1.2, 13)[None]
    ratio = inner[None, None] / factor[..., None]
    bent = np.log1p(ratio**2 / freedom[..., None]).sum(axis=2)
    constant = gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - np.log(freedom * np.pi) / 2
    likely = len(inner) * (constant - np.log(factor)) - (freedom + 1) / 2 * bent
    likely += out * np.log(np.maximum(stats.t.sf(edge / factor, freedom), 1e-300))
    best = likely.argmax(axis=1)
    top = likely.max(axis=1)
    weight = np.exp(top - top.max())
    return weight / weight.sum(), parts.scale * factor[0][best]


def _chances(parts: Decomposition, places: np.ndarray) -> np.ndarray:
    """How likely a day strays so far, two-sided, over all tails; counts at least as a count would.

    A count (whole numbers) strays as a Poisson count or, where its spread is larger, a negative
    binomial of the same mean and spread: small counts are lopsided.
    """
    weight, scale = _fit_tail(parts)
    z = np.abs(parts.rest[places]) / np.sqrt(1 - parts.leverage[places])
    p = (weight * 2 * stats.t.sf(z[:, None] / scale, np.array(TAILS))).sum(axis=1)
    seen = parts.values[~np.isnan(parts.values)]
    if seen.min() < 0 or (seen % 1).any() or seen.mean() > _COUNTS_UP_TO:
        return p
    spread = float(weight @ scale) ** 2 / float(seen.mean())
    mean = np.maximum(parts.expected[places], 0.05)
    counted = parts.values[places]
    wide = spread > 1.05
    count = stats.nbinom(mean / (spread - 1), 1 / spread) if wide else stats.poisson(mean)
    return np.maximum(p, 2 * np.where(counted > mean, count.sf(counted - 1), count.cdf(counted)))
