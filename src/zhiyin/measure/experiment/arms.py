"""What is known of one arm and one metric: sums that an engine makes, whatever the number of rows.

| metric | class | sums per unit of |
|---|---|---|
| mean (money, counts) | `ArmStatistics` | the metric and its square |
| share (0/1) | `Share` | the metric |
| ratio of two sums (margin per order) | `Ratio` | both, their squares and product |
| mean, adjusted by what was before (CUPED) | `Adjusted` | as a ratio, of now and before |
| ratio, adjusted by that ratio before | `AdjustedRatio` | four columns and their products |
| quantile | `Quantile` | ranks; with clusters also counts per unit |

All but quantiles are `Moments` beneath: a vector per unit, its totals and its sums of products.
`Linear` is what the comparisons read of each: the value, and variances of its linear part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.intervals import critical_z

NAN = float("nan")


@dataclass(frozen=True)
class Linear:
    """One arm's value, with the variance per unit of its linear part.

    `before` and `before_variance` are those of the covariate, `covariance` is between both; 0
    where there is none.
    """

    n: int
    value: float
    variance: float
    before: float = 0.0
    before_variance: float = 0.0
    covariance: float = 0.0

    def adjusted_variance(self, theta: float) -> float:
        """Variance per unit of metric - theta x covariate."""
        return self.variance + theta**2 * self.before_variance - 2 * theta * self.covariance


@dataclass(frozen=True)
class Moments:
    """Of n units and a vector of k numbers each: totals (k), sums of products (k, k).

    Whole numbers stay exact when given as `int`.
    """

    n: int
    totals: tuple[float, ...]
    products: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        k = len(self.totals)
        if self.n < 0:
            raise InvalidParameter(f"an arm cannot have {self.n} units")
        if len(self.products) != k or any(len(row) != k for row in self.products):
            raise InvalidParameter(f"{k} totals need {k} x {k} sums of products")
        if any(self.products[i][i] < 0 for i in range(k)):
            raise InvalidParameter("a sum of squares cannot be negative")

    def __add__(self, other: Moments) -> Moments:
        """Both groups pooled."""
        return Moments(
            self.n + other.n,
            tuple(a + b for a, b in zip(self.totals, other.totals, strict=True)),
            tuple(
                tuple(a + b for a, b in zip(one, two, strict=True))
                for one, two in zip(self.products, other.products, strict=True)
            ),
        )

    @property
    def means(self) -> NDArray[np.float64]:
        """(k,) means; NaN without units."""
        if not self.n:
            return np.full(len(self.totals), NAN)
        return np.array([total / self.n for total in self.totals], dtype=np.float64)

    @property
    def covariance(self) -> NDArray[np.float64]:
        """(k, k) sample covariance (n - 1); NaN with fewer than two units."""
        k, n = len(self.totals), self.n
        if n < 2:
            return np.full((k, k), NAN)
        spread = [
            [(n * self.products[i][j] - self.totals[i] * self.totals[j]) / n for j in range(k)]
            for i in range(k)
        ]
        found = np.array(spread, dtype=np.float64) / (n - 1)
        found[np.diag_indices(k)] = np.maximum(found.diagonal(), 0)  # rounding of floats
        return found


@dataclass(frozen=True)
class ArmStatistics:
    """Of one arm and one metric: customers, sum and sum of squares of the metric.

    Whole-number metrics (money in minor units, counts, 0/1) stay exact when given as `int`.
    """

    n: int
    total: float
    total_squares: float

    def __post_init__(self) -> None:
        if self.n < 0:
            raise InvalidParameter(f"an arm cannot have {self.n} customers")
        if self.total_squares < 0:
            raise InvalidParameter("a sum of squares cannot be negative")

    def __add__(self, other: ArmStatistics) -> ArmStatistics:
        """The statistics of both groups pooled."""
        return ArmStatistics(
            self.n + other.n, self.total + other.total, self.total_squares + other.total_squares
        )

    @property
    def mean(self) -> float:
        """Mean per customer; NaN without customers."""
        return float(self.total / self.n) if self.n else NAN

    @property
    def variance(self) -> float:
        """Sample variance (n - 1); NaN with fewer than two customers."""
        if self.n < 2:
            return NAN
        spread = (self.n * self.total_squares - self.total * self.total) / self.n
        return max(0.0, float(spread)) / (self.n - 1)

    @property
    def moments(self) -> Moments:
        """The same as a vector of one."""
        return Moments(self.n, (self.total,), ((self.total_squares,),))

    def linear(self) -> Linear:
        """The mean is linear."""
        return Linear(self.n, self.mean, self.variance)


@dataclass(frozen=True)
class Share:
    """Of one arm: units, and how many of them did it. Variance p (1 - p), as GrowthBook has it."""

    n: int
    successes: int

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.n:
            raise InvalidParameter(f"{self.successes} of {self.n} customers is no share")

    def __add__(self, other: Share) -> Share:
        return Share(self.n + other.n, self.successes + other.successes)

    @property
    def moments(self) -> Moments:
        """The same as sums of 0 and 1."""
        return Moments(self.n, (self.successes,), ((self.successes,),))

    def linear(self) -> Linear:
        """The share is a mean of 0 and 1."""
        p = self.successes / self.n if self.n else NAN
        return Linear(self.n, p, p * (1 - p) if self.n > 1 else NAN)


@dataclass(frozen=True)
class Ratio:
    """Of one arm: total of a numerator over total of a denominator, per unit that was assigned.

    `moments` is over (numerator, denominator). Variance by the delta method: Deng et al. (2018),
    KDD.
    """

    moments: Moments

    def __post_init__(self) -> None:
        _check_length(self.moments, 2, "numerator, denominator")

    def __add__(self, other: Ratio) -> Ratio:
        return Ratio(self.moments + other.moments)

    def linear(self) -> Linear:
        """N / D varies as (N - ratio x D) / mean of D."""
        value, gradient = _ratio(self.moments.means)
        return Linear(self.moments.n, value, _form(gradient, self.moments.covariance, gradient))


@dataclass(frozen=True)
class Adjusted:
    """Of one arm: a metric and what the same unit had before the experiment (CUPED).

    `moments` is over (metric, covariate). The covariate must be from before the assignment: what
    the treatment can change takes its effect away with it. Deng et al. (2013), WSDM.
    """

    moments: Moments

    def __post_init__(self) -> None:
        _check_length(self.moments, 2, "metric, covariate")

    def __add__(self, other: Adjusted) -> Adjusted:
        return Adjusted(self.moments + other.moments)

    @property
    def plain(self) -> ArmStatistics:
        """The metric without its covariate."""
        moments = self.moments
        return ArmStatistics(moments.n, moments.totals[0], moments.products[0][0])

    def linear(self) -> Linear:
        """Both means are linear."""
        means, spread = self.moments.means, self.moments.covariance
        return Linear(
            self.moments.n, float(means[0]), float(spread[0, 0]),
            float(means[1]), float(spread[1, 1]), float(spread[0, 1]),
        )  # fmt: skip


@dataclass(frozen=True)
class AdjustedRatio:
    """Of one arm: a ratio now and the same ratio before (CUPED for ratios).

    `moments` is over (numerator, denominator, numerator before, denominator before).
    """

    moments: Moments

    def __post_init__(self) -> None:
        _check_length(self.moments, 4, "numerator, denominator, and both before")

    def __add__(self, other: AdjustedRatio) -> AdjustedRatio:
        return AdjustedRatio(self.moments + other.moments)

    @property
    def plain(self) -> Ratio:
        """The ratio without its covariate."""
        moments = self.moments
        products = tuple(row[:2] for row in moments.products[:2])
        return Ratio(Moments(moments.n, moments.totals[:2], products))

    def linear(self) -> Linear:
        """Both ratios by the delta method; without a denominator before, the covariate is 0."""
        means, spread = self.moments.means, self.moments.covariance
        value, now = _ratio(means[:2])
        before, then = _ratio(means[2:])
        if not np.isfinite(before):
            before, then = 0.0, np.zeros(2)
        return Linear(
            self.moments.n, value, _form(now, spread[:2, :2], now),
            before, _form(then, spread[2:, 2:], then), _form(now, spread[:2, 2:], then),
        )  # fmt: skip


@dataclass(frozen=True)
class Quantile:
    """Of one arm: the `quantile` (in (0, 1)) of a metric over n values.

    `low` and `high` are the values at the ranks quantile -+ 1.96 sqrt(q (1 - q) / n), whose
    distance tells the density there. Where a unit has several values they hang together: give
    `clusters`, the moments over units of (values at or below the quantile, values).

    Notes
    -----
    Variance n (high - low)² / (2 x 1.96)² (Deng et al. 2018, KDD, section 4), with clusters times
    what the delta method says of the share at or below it, over q (1 - q) / n.
    """

    n: int
    quantile: float
    value: float
    low: float
    high: float
    clusters: Moments | None = None

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1:
            raise InvalidParameter(f"a quantile is in (0, 1), not {self.quantile}")
        if self.clusters is not None:
            _check_length(self.clusters, 2, "values at or below the quantile, values")

    def linear(self) -> Linear:
        """The value, with the variance that its ranks show; NaN where ranks do not reach."""
        z = critical_z(0.95)
        odds = self.quantile / (1 - self.quantile)
        reach = z * z * max(odds, 1 / odds)
        if self.n <= reach or self.n < 2:
            return Linear(self.n, self.value, NAN)
        variance = (self.n - 1) * ((self.high - self.low) / (2 * z)) ** 2
        if self.clusters is not None:
            share = Ratio(self.clusters).linear()
            seen = self.quantile * (1 - self.quantile) / self.n
            variance *= share.variance / share.n / seen
        return Linear(self.n, self.value, float(variance))


Summed = ArmStatistics | Share | Ratio | Adjusted | AdjustedRatio
"""Kinds whose parts can be added up."""
Arm = Summed | Quantile
Strata = Mapping[str, Summed]
"""An arm by stratum: something known of each unit before the assignment."""


def summarize_arm(values: ArrayLike) -> ArmStatistics:
    """Statistics of (n,) values; exact for integers."""
    array = np.asarray(values)
    if array.dtype == bool:
        array = array.astype(np.int64)
    if np.issubdtype(array.dtype, np.integer):
        whole = [int(value) for value in array]
        return ArmStatistics(len(whole), sum(whole), sum(value * value for value in whole))
    ordered = np.sort(array.astype(np.float64))
    return ArmStatistics(len(ordered), float(ordered.sum()), float((ordered**2).sum()))


def summarize_share(successes: int, n: int) -> ArmStatistics:
    """Statistics of `n` customers, `successes` of whom did it (a 0/1 metric)."""
    if not 0 <= successes <= n:
        raise InvalidParameter(f"{successes} of {n} customers is no share")
    return ArmStatistics(n, successes, successes)


def summarize_rows(*columns: ArrayLike) -> Moments:
    """Moments of k columns of (n,) numbers, one row per unit."""
    rows = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])
    products = rows.T @ rows
    return Moments(
        len(rows),
        tuple(float(total) for total in rows.sum(axis=0)),
        tuple(tuple(float(one) for one in row) for row in products),
    )


def summarize_quantile(
    values: ArrayLike, quantile: float, *, units: ArrayLike | None = None
) -> Quantile:
    """The quantile of (n,) values; `units` (n,) names whose value each is, if some have several.

    Ranks as SQL's `quantile_disc` counts them.
    """
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        return Quantile(0, quantile, NAN, NAN, NAN)
    half = critical_z(0.95) * np.sqrt(quantile * (1 - quantile) / len(array))
    at = np.clip([quantile, quantile - half, quantile + half], 0, 1)
    value, low, high = (float(one) for one in np.quantile(array, at, method="inverted_cdf"))
    clusters = None
    if units is not None:
        _, place = np.unique(np.asarray(units), return_inverse=True)
        clusters = summarize_rows(np.bincount(place, weights=array <= value), np.bincount(place))
    return Quantile(len(array), quantile, value, low, high, clusters)


def _check_length(moments: Moments, k: int, names: str) -> None:
    if len(moments.totals) != k:
        raise InvalidParameter(f"moments are of {len(moments.totals)} columns, not {k}: {names}")


def _ratio(means: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Numerator over denominator and its gradient; NaN without a denominator."""
    top, bottom = float(means[0]), float(means[1])
    if not bottom:
        return NAN, np.full(2, NAN)
    return top / bottom, np.array([1 / bottom, -top / bottom**2])


def _form(
    left: NDArray[np.float64], matrix: NDArray[np.float64], right: NDArray[np.float64]
) -> float:
    return float(left @ matrix @ right)
