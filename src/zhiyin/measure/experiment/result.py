"""Two arms, one metric, three tests: Welch's t, a normal prior, a confidence sequence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtr, ndtri, stdtr, stdtrit

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.values import Estimate
from zhiyin.measure.experiment import sequential
from zhiyin.measure.experiment.arms import NAN, Arm, Strata
from zhiyin.measure.experiment.effect import Effect, measure_effect
from zhiyin.measure.experiment.strata import measure_strata
from zhiyin.measure.intervals import LEVEL

Method = Literal["t", "bayes", "sequential"]
Alternative = Literal["two_sided", "greater", "less"]
Better = Literal["higher", "lower"]
METHODS: tuple[Method, ...] = ("t", "bayes", "sequential")
INFINITE = float("inf")


@dataclass(frozen=True)
class Prior:
    """What was believed of the effect before: normal, `mean` and standard `deviation`.

    Of the lift (a ratio) unless `relative` is false; turned into the other by the control's value.
    """

    mean: float = 0.0
    deviation: float = 0.3
    relative: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.deviation < INFINITE:
            raise InvalidParameter(f"a prior has a deviation above 0, not {self.deviation}")


@dataclass(frozen=True)
class Result:
    """One effect: `low` to `high` covers it with the level that was asked for.

    `chance_to_win` that the treatment is the better arm and `risk`, the expected loss of (keeping
    the control, taking the treatment) in units of the effect, are of `bayes` alone; `p_value` is
    of the other two. NaN where there is none; `status` says why.
    """

    effect: float
    low: float
    high: float
    p_value: float
    chance_to_win: float
    risk: tuple[float, float]
    status: str
    method: Method
    relative: bool
    standard_error: float
    base: float
    n: int

    @property
    def estimate(self) -> Estimate:
        """The effect with its interval alone."""
        return Estimate(self.effect, self.low, self.high, self.n, self.status)


@dataclass(frozen=True)
class Terms:
    """How a test is made, whatever its method: the level and sides of its interval, and more."""

    level: float = LEVEL
    alternative: Alternative = "two_sided"
    better: Better = "higher"
    prior: Prior | None = None
    tuning: float = sequential.TUNING

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise InvalidParameter(f"a level is in (0, 1), not {self.level}")
        if self.alternative not in ("two_sided", "greater", "less"):
            raise InvalidParameter(f"no alternative {self.alternative!r}")
        if self.tuning <= 0:
            raise InvalidParameter(f"tuning is a number of units above 0, not {self.tuning}")
        if self.alternative != "two_sided" and self.level <= 0.5:
            raise InvalidParameter("a one-sided level is above .5")


def compare(
    control: Arm | Strata,
    treatment: Arm | Strata,
    method: Method = "t",
    *,
    relative: bool = False,
    level: float = LEVEL,
    alternative: Alternative = "two_sided",
    better: Better = "higher",
    prior: Prior | None = None,
    tuning: float = sequential.TUNING,
) -> Result:
    """The effect of the treatment on one metric, with its interval and its test.

    Parameters
    ----------
    control, treatment
        Sufficient statistics of one kind (`arms`), or of one kind by stratum: then post-stratified.
    method
        `t`: Welch; one look, at the end. `bayes`: normal; without a prior its interval is about
        that of `t`. `sequential`: valid at every look, wider at each.
    relative
        A lift in place of a difference.
    level
        Coverage of the interval; of a one-sided alternative that of its bound.
    alternative
        `greater`: the interval has no upper bound and the p-value asks whether the effect is
        above 0; `less`: the other way round.
    better
        Which way is good, for `chance_to_win` and `risk`.
    prior
        Of `bayes`; none: flat.
    tuning
        Units of both arms at which the sequential interval is tightest: as many as are planned.

    Raises
    ------
    InvalidParameter
        If arms are of two kinds, or a term is outside its range.
    """
    terms = Terms(level, alternative, better, prior, tuning)
    if method not in METHODS:
        raise InvalidParameter(f"no method {method!r}", hint=", ".join(METHODS))
    if isinstance(control, Mapping) and isinstance(treatment, Mapping):
        effect = measure_strata(control, treatment, relative=relative)
    elif isinstance(control, Mapping) or isinstance(treatment, Mapping):
        raise InvalidParameter("both arms are given by stratum, or none")
    else:
        effect = measure_effect(control, treatment, relative=relative)
    return judge_effect(effect, method, relative=relative, terms=terms)


def judge_effect(effect: Effect, method: Method, *, relative: bool, terms: Terms) -> Result:
    """What a method says of an effect that was measured."""
    if not effect.testable:
        return Result(
            effect.value, NAN, NAN, NAN, NAN, (NAN, NAN), effect.status, method, relative, NAN,
            effect.base, effect.n,
        )  # fmt: skip
    value, low, high, p_value, chance, risk = _TESTS[method](effect, relative, terms)
    return Result(
        value, low, high, p_value, chance, risk, effect.status, method, relative, effect.error,
        effect.base, effect.n,
    )  # fmt: skip


_Tested = tuple[float, float, float, float, float, tuple[float, float]]


def _test_by_t(effect: Effect, relative: bool, terms: Terms) -> _Tested:
    del relative
    statistic = effect.value / effect.error
    if terms.alternative == "two_sided":
        half = float(stdtrit(effect.freedom, 0.5 + terms.level / 2)) * effect.error
        low, high = effect.value - half, effect.value + half
        p_value = float(2 * stdtr(effect.freedom, -abs(statistic)))
    else:
        reach = float(stdtrit(effect.freedom, terms.level)) * effect.error
        low, high = _open(effect.value, reach, terms.alternative)
        sign = -1 if terms.alternative == "greater" else 1
        p_value = float(stdtr(effect.freedom, sign * statistic))
    return effect.value, low, high, p_value, NAN, (NAN, NAN)


def _test_by_bayes(effect: Effect, relative: bool, terms: Terms) -> _Tested:
    mean, deviation = _find_posterior(effect, terms.prior, relative=relative)
    if terms.alternative == "two_sided":
        half = float(ndtri(0.5 + terms.level / 2)) * deviation
        low, high = mean - half, mean + half
    else:
        reach = float(ndtri(terms.level)) * deviation
        low, high = _open(mean, reach, terms.alternative)
    above = find_excess(mean, deviation)
    chance, risk = float(ndtr(mean / deviation)), (above, above - mean)
    if terms.better == "lower":
        chance, risk = 1 - chance, (above - mean, above)
    return mean, low, high, NAN, chance, risk


def _test_by_sequence(effect: Effect, relative: bool, terms: Terms) -> _Tested:
    del relative
    rest = {"alpha": 1 - terms.level, "tuning": terms.tuning}
    if terms.alternative == "two_sided":
        half = sequential.find_half(effect.error, effect.n, **rest)
        low, high = effect.value - half, effect.value + half
        p_value = sequential.find_p_value(effect.value, effect.error, effect.n, **rest)
    else:
        reach = sequential.find_reach(effect.error, effect.n, **rest)
        low, high = _open(effect.value, reach, terms.alternative)
        away = effect.value if terms.alternative == "greater" else -effect.value
        p_value = sequential.find_one_sided_p_value(away, effect.error, effect.n, **rest)
    return effect.value, low, high, p_value, NAN, (NAN, NAN)


_TESTS: Mapping[Method, Callable[[Effect, bool, Terms], _Tested]] = {
    "t": _test_by_t,
    "bayes": _test_by_bayes,
    "sequential": _test_by_sequence,
}


def find_excess(mean: float, deviation: float) -> float:
    """E[max(X, 0)] of a normal X: what is lost by not taking it."""
    if deviation <= 0:
        return max(mean, 0.0)
    z = mean / deviation
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return float(mean * ndtr(z) + deviation * density)


def find_scale(prior: Prior, effect: Effect, *, relative: bool) -> float:
    """What turns the prior's units into the effect's."""
    if prior.relative == relative:
        return 1.0
    return abs(effect.base) if prior.relative else 1 / abs(effect.base)


def _find_posterior(effect: Effect, prior: Prior | None, *, relative: bool) -> tuple[float, float]:
    """Mean and deviation after the data."""
    if prior is None:
        return effect.value, effect.error
    scale = find_scale(prior, effect, relative=relative)
    if not scale:
        return effect.value, effect.error  # a lift of nothing says nothing of a difference
    before, seen = 1 / (prior.deviation * scale) ** 2, 1 / effect.error**2
    mean = (prior.mean * scale * before + effect.value * seen) / (before + seen)
    return mean, (before + seen) ** -0.5


def _open(value: float, reach: float, alternative: Alternative) -> tuple[float, float]:
    if alternative == "greater":
        return value - reach, INFINITE
    return -INFINITE, value + reach
