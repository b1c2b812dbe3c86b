"""What a campaign caused: the chosen who were contacted against the chosen who were held out.

Intention to treat: a customer counts in the arm she was assigned, whether or not a message
reached her, so nothing that happened after the draw can bias the difference.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

from zhiyin.core.values import Estimate
from zhiyin.measure.experiment import (
    Adjusted,
    ArmStatistics,
    Comparison,
    SampleRatio,
    check_sample_ratio,
    compare_means,
    estimate_lift,
    find_detectable,
    measure_effect,
)
from zhiyin.measure.intervals import LEVEL
from zhiyin.measure.status import (
    BROUGHT_LESS,
    BROUGHT_MORE,
    CANNOT_TELL_YET,
    OK,
    SAMPLE_RATIO_MISMATCH,
    Verdict,
)


@dataclass(frozen=True)
class Increment:
    """Effect of a campaign on one metric.

    `difference` is caused per chosen customer (uplift), `lift` is relative to the holdout (a
    ratio), `total` is `difference` times the customers treated. `detectable` is the smallest
    effect per customer that these sizes would find with 80 % chance: what *cannot tell yet* means
    in money. Where arms are not as planned the verdict is withheld. `variance_reduction` is the
    share of the variance that spend before the campaign took away, None without it (CUPED).
    """

    difference: Estimate
    lift: Estimate
    total: Estimate
    verdict: Verdict
    detectable: float
    p_value: float
    sample_ratio: SampleRatio
    treated: ArmStatistics
    held_out: ArmStatistics
    variance_reduction: float | None = None


def estimate_increment(
    treated: ArmStatistics | Adjusted,
    held_out: ArmStatistics | Adjusted,
    *,
    holdout_share: float,
    level: float = LEVEL,
    power: float = 0.8,
) -> Increment:
    """Compare the arms `treat` and `holdout` of one campaign on one metric per customer.

    Parameters
    ----------
    treated, held_out
        Statistics of the metric, one value per assigned customer (0 for those who did nothing);
        `Adjusted` carry what each spent before she was assigned.
    holdout_share
        Planned share of the chosen that was held out, in (0, 1); checked against the sizes.
    level
        Coverage of the intervals and of the verdict.
    power
        Chance of finding the detectable effect.
    """
    n_treated, n_held = treated.linear().n, held_out.linear().n
    ratio = check_sample_ratio(
        {"treat": n_treated, "holdout": n_held},
        {"treat": 1 - holdout_share, "holdout": holdout_share},
    )
    comparison, lift, reduction = _compare(held_out, treated, level)
    detectable = find_detectable(
        comparison.standard_error,
        degrees_of_freedom=comparison.degrees_of_freedom,
        level=level,
        power=power,
    )
    difference = _with_ratio(comparison.estimate, ratio)
    return Increment(
        difference=difference,
        lift=_with_ratio(lift, ratio),
        total=scale_estimate(difference, n_treated),
        verdict=judge(comparison, ratio),
        detectable=detectable,
        p_value=comparison.p_value,
        sample_ratio=ratio,
        treated=_plain(treated),
        held_out=_plain(held_out),
        variance_reduction=reduction,
    )


def judge(comparison: Comparison, ratio: SampleRatio) -> Verdict:
    """`brought_more` or `brought_less` where the interval excludes 0 and nothing is amiss."""
    return CANNOT_TELL_YET if ratio.status != OK else judge_interval(comparison.estimate)


def judge_interval(estimate: Estimate) -> Verdict:
    """What an interval says by itself; `cannot_tell_yet` where its status is not `ok`."""
    if estimate.status != OK:
        return CANNOT_TELL_YET
    if estimate.low > 0:
        return BROUGHT_MORE
    return BROUGHT_LESS if estimate.high < 0 else CANNOT_TELL_YET


def _compare(
    held_out: ArmStatistics | Adjusted, treated: ArmStatistics | Adjusted, level: float
) -> tuple[Comparison, Estimate, float | None]:
    """Difference, lift, and the share of variance that what was before explains."""
    if isinstance(held_out, ArmStatistics) and isinstance(treated, ArmStatistics):
        lift = estimate_lift(held_out, treated, level=level).estimate
        return compare_means(held_out, treated, level=level), lift, None
    comparison = _adjusted(held_out, treated, level, relative=False)
    lift = _adjusted(held_out, treated, level, relative=True).estimate
    return comparison, lift, _reduction(held_out, treated, comparison.standard_error)


def _reduction(
    held_out: ArmStatistics | Adjusted, treated: ArmStatistics | Adjusted, error: float
) -> float | None:
    if not isinstance(held_out, Adjusted) or not isinstance(treated, Adjusted):
        return None
    plain = compare_means(held_out.plain, treated.plain).standard_error
    return max(0.0, 1 - (error / plain) ** 2) if plain > 0 and error > 0 else None


def _adjusted(
    held_out: ArmStatistics | Adjusted, treated: ArmStatistics | Adjusted, level: float, *,
    relative: bool,
) -> Comparison:  # fmt: skip
    effect = measure_effect(held_out, treated, relative=relative)
    nan = float("nan")
    if not effect.testable:
        return Comparison(Estimate(effect.value, nan, nan, effect.n, effect.status), nan, nan, nan)
    half = float(stdtrit(effect.freedom, 0.5 + level / 2)) * effect.error
    p_value = float(2 * stdtr(effect.freedom, -abs(effect.value) / effect.error))
    estimate = Estimate(
        effect.value, effect.value - half, effect.value + half, effect.n, effect.status
    )
    return Comparison(estimate, p_value, effect.error, effect.freedom)


def _with_ratio(estimate: Estimate, ratio: SampleRatio) -> Estimate:
    if ratio.status != SAMPLE_RATIO_MISMATCH:
        return estimate
    return Estimate(estimate.value, estimate.low, estimate.high, estimate.n, SAMPLE_RATIO_MISMATCH)


def _plain(arm: ArmStatistics | Adjusted) -> ArmStatistics:
    return arm.plain if isinstance(arm, Adjusted) else arm


def scale_estimate(estimate: Estimate, factor: float) -> Estimate:
    """The estimate and its bounds times a factor of 0 or more."""
    return Estimate(
        estimate.value * factor, estimate.low * factor, estimate.high * factor,
        estimate.n, estimate.status,
    )  # fmt: skip
