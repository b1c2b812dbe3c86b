"""Two means and their difference or lift by Welch's test, the sample ratio, what can be detected.

The short way for one metric of one value per customer, which campaigns take; `compare` has all
kinds of metric and of test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scipy.special import chdtrc, ndtri, stdtr, stdtrit

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.values import Estimate
from zhiyin.measure.experiment.arms import ArmStatistics
from zhiyin.measure.intervals import LEVEL
from zhiyin.measure.status import (
    MIN_UNITS,
    NO_UNITS,
    OK,
    SAMPLE_RATIO_MISMATCH,
    TOO_FEW_UNITS,
    ZERO_BASELINE,
    ZERO_VARIANCE,
)

SAMPLE_RATIO_ALARM = 0.001
"""Arms less likely than this under the planned split are not the planned arms."""


@dataclass(frozen=True)
class Comparison:
    """Treatment against control: an `estimate`, its p-value (difference 0), error and freedom."""

    estimate: Estimate
    p_value: float
    standard_error: float
    degrees_of_freedom: float


@dataclass(frozen=True)
class SampleRatio:
    """Whether arms have the sizes they were planned to have."""

    p_value: float
    status: str


def compare_means(
    control: ArmStatistics, treatment: ArmStatistics, *, level: float = LEVEL
) -> Comparison:
    """Difference of means, treatment - control, with Welch's interval.

    Degrees of freedom after Welch (1947), *Biometrika* 34:28, and Satterthwaite. For 0/1 metrics
    this is the difference of proportions.

    Returns
    -------
    Status `no_units` (an empty arm) and `zero_variance` give no interval; `too_few_units` (an arm
    under ten customers) gives one that leans on normality.
    """
    difference = treatment.mean - control.mean
    return _compare(difference, _error_squared(control, treatment), control, treatment, level)


def estimate_lift(
    control: ArmStatistics, treatment: ArmStatistics, *, level: float = LEVEL
) -> Comparison:
    """Relative lift, (treatment - control) / |control|, by the delta method (a ratio).

    Variance v_t / (n_t m_c^2) + v_c m_t^2 / (n_c m_c^4) with Welch's degrees of freedom, as
    GrowthBook's `TwoSidedTTest` has it; a negative baseline divides by its absolute value. The
    interval is rough where the control mean is not many standard errors from 0.
    """
    if control.n and control.mean == 0:
        return _no_comparison(float("nan"), control, treatment, ZERO_BASELINE)
    base = abs(control.mean)
    lift = (treatment.mean - control.mean) / base
    error_squared = float("nan")
    if min(control.n, treatment.n) >= 2:
        error_squared = (
            treatment.variance / treatment.n / base**2
            + control.variance / control.n * treatment.mean**2 / base**4
        )
    return _compare(lift, error_squared, control, treatment, level)


def check_sample_ratio(
    counts: Mapping[str, int], planned: Mapping[str, float], *, alarm: float = SAMPLE_RATIO_ALARM
) -> SampleRatio:
    """Chi-square test of arm sizes against planned shares (any positive weights).

    `sample_ratio_mismatch` at p < `alarm`: something chose who is in which arm, or who was
    counted, so a difference between arms is not the effect (Fabijan et al. 2019, KDD).

    Raises
    ------
    InvalidParameter
        If arms differ or a planned share is not positive.
    """
    if set(counts) != set(planned) or min(planned.values(), default=0) <= 0:
        raise InvalidParameter(f"arms {sorted(counts)} need a positive planned share each")
    total, weight = sum(counts.values()), sum(planned.values())
    if total == 0 or len(counts) < 2:
        return SampleRatio(float("nan"), NO_UNITS)
    expected = {arm: total * planned[arm] / weight for arm in sorted(counts)}
    statistic = sum((counts[arm] - size) ** 2 / size for arm, size in expected.items())
    p_value = float(chdtrc(len(counts) - 1, statistic))
    return SampleRatio(p_value, SAMPLE_RATIO_MISMATCH if p_value < alarm else OK)


def find_detectable(
    standard_error: float, *, degrees_of_freedom: float, level: float = LEVEL, power: float = 0.8
) -> float:
    """Smallest true effect that an interval of `level` excludes 0 for with chance `power`.

    (t quantile of `level` + normal quantile of `power`) x standard error: the usual two-sided
    formula, which leaves out the negligible chance of a wrong sign.
    """
    return float((stdtrit(degrees_of_freedom, 0.5 + level / 2) + ndtri(power)) * standard_error)


def _error_squared(control: ArmStatistics, treatment: ArmStatistics) -> float:
    if min(control.n, treatment.n) < 2:
        return float("nan")
    return control.variance / control.n + treatment.variance / treatment.n


def _freedom(control: ArmStatistics, treatment: ArmStatistics) -> float:
    one, other = control.variance / control.n, treatment.variance / treatment.n
    # shares of the whole, so that very small or large money neither under- nor overflows
    a, b = one / (one + other), other / (one + other)
    return 1 / (a * a / (control.n - 1) + b * b / (treatment.n - 1))


def _compare(
    value: float,
    error_squared: float,
    control: ArmStatistics,
    treatment: ArmStatistics,
    level: float,
) -> Comparison:
    smaller = min(control.n, treatment.n)
    if smaller < 2:
        status = NO_UNITS if smaller == 0 else TOO_FEW_UNITS
        return _no_comparison(value, control, treatment, status)
    if error_squared <= 0:
        return _no_comparison(value, control, treatment, ZERO_VARIANCE)
    error, freedom = error_squared**0.5, _freedom(control, treatment)
    half = float(stdtrit(freedom, 0.5 + level / 2)) * error
    p_value = float(2 * stdtr(freedom, -abs(value) / error))
    status = OK if smaller >= MIN_UNITS else TOO_FEW_UNITS
    n = control.n + treatment.n
    return Comparison(
        Estimate(value, value - half, value + half, n, status), p_value, error, freedom
    )


def _no_comparison(
    value: float, control: ArmStatistics, treatment: ArmStatistics, status: str
) -> Comparison:
    nan = float("nan")
    return Comparison(Estimate(value, nan, nan, control.n + treatment.n, status), nan, nan, nan)
