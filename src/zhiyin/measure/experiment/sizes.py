"""How many units, how small an effect, how much longer: before an experiment and during it.

Power is the chance that the test's interval leaves 0 out when the true effect is `change`, with
the error that is seen or expected (normal approximation):

    Phi((change - half) / e) + Phi(-(change + half) / e)

`half` is that of the method: z e, the sequential half at so many units, or what a prior asks for.
During an experiment, growth g means (1 + g) times today's units: e² shrinks by 1 / (1 + g). As
GrowthBook's mid-experiment power.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.experiment import sequential
from zhiyin.measure.experiment.arms import NAN, Arm
from zhiyin.measure.experiment.effect import Effect
from zhiyin.measure.experiment.result import Method, Prior, find_scale
from zhiyin.measure.intervals import LEVEL
from zhiyin.measure.status import OK

POWER = 0.8
MOST_GROWTH = 2.0**27


@dataclass(frozen=True)
class Aim:
    """What a test has to do: find the effect with chance `power` at `level`, one of `tests`.

    `tests`: comparisons that share the level (Bonferroni).
    """

    method: Method = "t"
    level: float = LEVEL
    power: float = POWER
    tests: int = 1
    prior: Prior | None = None
    tuning: float = sequential.TUNING

    def __post_init__(self) -> None:
        if not (0 < self.level < 1 and 0 < self.power < 1 and self.tests >= 1):
            raise InvalidParameter(
                f"level {self.level}, power {self.power} or tests {self.tests} is out of range"
            )

    @property
    def alpha(self) -> float:
        """Chance of a false alarm that one of the tests may have."""
        return (1 - self.level) / self.tests


@dataclass(frozen=True)
class Forecast:
    """Chance to see `change` now; growth that gives the aim's power, and the units it takes.

    NaN where no size does (a prior that speaks against it) or there is no error to begin with.
    """

    power: float
    growth: float
    more_units: float
    status: str


def expect_effect(baseline: Arm, n: int, *, share: float = 0.5, relative: bool = False) -> Effect:
    """The effect's error that n units will give, if both arms vary as the baseline.

    Parameters
    ----------
    baseline
        Sums of the metric over past units, best with the covariate that will be used.
    share
        Share of the units that the treatment gets, in (0, 1).
    """
    if not 0 < share < 1:
        raise InvalidParameter(f"the treatment's share must be in (0, 1), not {share}")
    if n < 4:
        raise InvalidParameter(f"{n} units make no two arms")
    arm = baseline.linear()
    theta = arm.covariance / arm.before_variance if arm.before_variance > 0 else 0.0
    scale = abs(arm.value) if relative else 1.0
    variance = arm.adjusted_variance(theta) / scale**2 if scale else NAN
    squared = variance * (1 / (n * share) + 1 / (n * (1 - share)))
    return Effect(0.0, math.sqrt(squared), n - 2.0, arm.value, n, OK)


def find_power(
    effect: Effect, change: float, aim: Aim | None = None, *, growth: float = 0.0,
    relative: bool = False,
) -> float:  # fmt: skip
    """Chance that the test finds a true effect of `change` with (1 + growth) times the units.

    `relative` says what the effect is, a lift or a difference; `change` is in the same units.
    """
    aim = aim or Aim()
    if not effect.testable:
        return NAN
    error = effect.error / math.sqrt(1 + growth)
    n, size = effect.n * (1 + growth), abs(change)
    z = float(ndtri(1 - aim.alpha / 2))
    if aim.method == "sequential":
        half = sequential.find_half(error, n, alpha=aim.alpha, tuning=aim.tuning)
    elif aim.method == "bayes" and aim.prior is not None:
        scale = find_scale(aim.prior, effect, relative=relative)
        deviation, mean = aim.prior.deviation * scale, aim.prior.mean * scale
        half = z * error**2 * math.sqrt(1 / deviation**2 + 1 / error**2)
        pull = mean * (error / deviation) ** 2
        size = change + pull
    else:
        half = z * error
    return float(ndtr((size - half) / error) + ndtr(-(size + half) / error))


def forecast(
    effect: Effect, change: float, aim: Aim | None = None, *, relative: bool = False
) -> Forecast:
    """How likely `change` is seen today, and with how many more units as likely as aimed."""
    aim = aim or Aim()
    now = find_power(effect, change, aim, relative=relative)
    if not effect.testable or not change:
        return Forecast(now, NAN, NAN, effect.status)
    if now >= aim.power:
        return Forecast(now, 0.0, 0.0, effect.status)

    def gap(growth: float) -> float:
        return find_power(effect, change, aim, growth=growth, relative=relative) - aim.power

    most = 1.0
    while gap(most) < 0:
        most *= 2
        if most > MOST_GROWTH:
            return Forecast(now, NAN, NAN, effect.status)
    growth = float(brentq(gap, 0, most, rtol=1e-9))
    return Forecast(now, growth, growth * effect.n, effect.status)


def find_smallest_effect(
    effect: Effect, aim: Aim | None = None, *, growth: float = 0.0, relative: bool = False
) -> float:
    """The smallest true effect that is found with the aim's power: what could have been seen."""
    aim = aim or Aim()
    if not effect.testable:
        return NAN

    def gap(change: float) -> float:
        return find_power(effect, change, aim, growth=growth, relative=relative) - aim.power

    most = effect.error
    while gap(most) < 0:
        most *= 2
    return float(brentq(gap, 0, most, rtol=1e-9)) if gap(0.0) < 0 else 0.0


def find_units(
    baseline: Arm, change: float, aim: Aim | None = None, *, share: float = 0.5,
    relative: bool = True,
) -> float:  # fmt: skip
    """Units of both arms with which a true `change` is found with the aim's power; NaN if none."""
    start = expect_effect(baseline, 100, share=share, relative=relative)
    aim = aim or Aim()
    if find_power(start, change, aim, relative=relative) >= aim.power:
        start = expect_effect(baseline, 4, share=share, relative=relative)
    found = forecast(start, change, aim, relative=relative)
    return float(math.ceil(start.n + found.more_units)) if found.growth == found.growth else NAN
