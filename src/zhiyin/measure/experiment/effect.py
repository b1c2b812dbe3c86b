"""An effect and its standard error, for every kind of metric: what all tests begin with."""

from __future__ import annotations

from dataclasses import dataclass

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.experiment.arms import NAN, Adjusted, AdjustedRatio, Arm, Linear, Share
from zhiyin.measure.status import (
    MIN_UNITS,
    NO_UNITS,
    OK,
    TOO_FEW_UNITS,
    ZERO_BASELINE,
    ZERO_VARIANCE,
)

ROUNDING = 1e-12


@dataclass(frozen=True)
class Effect:
    """Treatment against control: a difference, or a lift (difference over |control|, a ratio).

    `error` is its standard error, `freedom` Welch's degrees of freedom, `base` the control's value
    without adjustment, `n` the units of both arms. Without an error no test can be made, and
    `status` says why.
    """

    value: float
    error: float
    freedom: float
    base: float
    n: int
    status: str

    @property
    def testable(self) -> bool:
        """Whether there is an error to test with."""
        return self.error > 0


def measure_effect(control: Arm, treatment: Arm, *, relative: bool = False) -> Effect:
    """The effect of the treatment on one metric, adjusted if the arms carry a covariate.

    Parameters
    ----------
    control, treatment
        Arms of one kind.
    relative
        A lift in place of a difference. Delta method, with the control's value in both parts.

    Returns
    -------
    `no_units`, `zero_variance`, `zero_baseline` and fewer than two units per arm give no error;
    `too_few_units` gives one that leans on normality: under ten units in an arm, or of a share
    under ten that did it or did not.

    Notes
    -----
    With t, c the values, t', c' those of the covariate and theta its slope, the variance of
    a lift is v(t - theta t') / (n_t c²) + v(r c - theta c') / (n_c c²) with r = 1 + lift; of
    adjusted means GrowthBook has r = t / c, which differs by no more than chance does.
    """
    if type(control) is not type(treatment):
        raise InvalidParameter(
            f"arms are of two kinds: {type(control).__name__}, {type(treatment).__name__}"
        )
    theta = find_theta(control, treatment)
    one, other = control.linear(), treatment.linear()
    difference = other.value - one.value - theta * (other.before - one.before)
    base, smaller, n = one.value, min(one.n, other.n), one.n + other.n
    if smaller == 0:
        return Effect(NAN, NAN, NAN, base, n, NO_UNITS)
    if relative and not base:
        return Effect(NAN, NAN, NAN, base, n, ZERO_BASELINE)
    if difference != difference:
        return Effect(NAN, NAN, NAN, base, n, ZERO_BASELINE)  # a ratio to nothing
    value = difference / (abs(base) if relative else 1.0)
    squared = _square_error(control, one, other, theta, relative=relative)
    if smaller < 2 or squared != squared:
        return Effect(value, NAN, NAN, base, n, TOO_FEW_UNITS)
    if squared <= 0:
        return Effect(value, NAN, NAN, base, n, ZERO_VARIANCE)
    few = smaller < MIN_UNITS or _is_rare(control) or _is_rare(treatment)
    freedom = find_freedom(one, other, theta)
    return Effect(value, squared**0.5, freedom, base, n, TOO_FEW_UNITS if few else OK)


def find_theta(control: Arm, treatment: Arm) -> float:
    """How much of the covariate is taken from the metric: its slope over both arms, or 0.

    One slope for both arms, so that the difference stays that of the arms; Deng et al. (2013). Of
    ratios the slope between their linear parts.
    """
    if isinstance(control, Adjusted) and isinstance(treatment, Adjusted):
        spread = (control.moments + treatment.moments).covariance
        return float(spread[0, 1] / spread[1, 1]) if spread[1, 1] > 0 else 0.0
    if isinstance(control, AdjustedRatio) and isinstance(treatment, AdjustedRatio):
        arms = control.linear(), treatment.linear()
        spread = sum(arm.before_variance for arm in arms)
        return sum(arm.covariance for arm in arms) / spread if spread > 0 else 0.0
    return 0.0


def find_freedom(control: Linear, treatment: Linear, theta: float = 0.0) -> float:
    """Welch's degrees of freedom of the difference (Welch 1947, Satterthwaite)."""
    one = control.adjusted_variance(theta) / control.n
    other = treatment.adjusted_variance(theta) / treatment.n
    # shares of the whole, so that very small or large money neither under- nor overflows
    a, b = one / (one + other), other / (one + other)
    return 1 / (a * a / (control.n - 1) + b * b / (treatment.n - 1))


def _square_error(
    kind: Arm, control: Linear, treatment: Linear, theta: float, *, relative: bool
) -> float:
    """The squared standard error; 0 where a covariate explains all but the rounding."""
    of_control, scale = control.adjusted_variance(theta), 1.0
    if relative:
        base = scale = control.value
        adjusted = treatment.value - theta * (treatment.before - control.before)
        ratio = (treatment.value if isinstance(kind, Adjusted) else adjusted) / base
        of_control = (
            ratio**2 * control.variance
            + theta**2 * control.before_variance
            - 2 * ratio * theta * control.covariance
        )
    of_treatment = treatment.adjusted_variance(theta)
    squared = (of_control / control.n + of_treatment / treatment.n) / scale**2
    whole = (control.variance / control.n + treatment.variance / treatment.n) / scale**2
    return 0.0 if squared <= ROUNDING * whole else squared


def _is_rare(arm: Arm) -> bool:
    return isinstance(arm, Share) and min(arm.successes, arm.n - arm.successes) < MIN_UNITS
