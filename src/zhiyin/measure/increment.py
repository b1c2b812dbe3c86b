"""What a campaign caused: the chosen who were contacted against the chosen who were held out.

Intention to treat: a customer counts in the arm she was assigned, whether or not a message
reached her, so nothing that happened after the draw can bias the difference.
"""

from __future__ import annotations

from dataclasses import dataclass

from zhiyin.core.values import Estimate
from zhiyin.measure.experiment import (
    ArmStatistics,
    Comparison,
    SampleRatio,
    check_sample_ratio,
    compare_means,
    estimate_lift,
    find_detectable,
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
    in money. Where arms are not as planned the verdict is withheld.
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


def estimate_increment(
    treated: ArmStatistics,
    held_out: ArmStatistics,
    *,
    holdout_share: float,
    level: float = LEVEL,
    power: float = 0.8,
) -> Increment:
    """Compare the arms `treat` and `holdout` of one campaign on one metric per customer.

    Parameters
    ----------
    treated, held_out
        Statistics of the metric, one value per assigned customer (0 for those who did nothing).
    holdout_share
        Planned share of the chosen that was held out, in (0, 1); checked against the sizes.
    level
        Coverage of the intervals and of the verdict.
    power
        Chance of finding the detectable effect.
    """
    ratio = check_sample_ratio(
        {"treat": treated.n, "holdout": held_out.n},
        {"treat": 1 - holdout_share, "holdout": holdout_share},
    )
    comparison = compare_means(held_out, treated, level=level)
    detectable = find_detectable(
        comparison.standard_error,
        degrees_of_freedom=comparison.degrees_of_freedom,
        level=level,
        power=power,
    )
    difference = _with_ratio(comparison.estimate, ratio)
    return Increment(
        difference=difference,
        lift=_with_ratio(estimate_lift(held_out, treated, level=level).estimate, ratio),
        total=_scale(difference, treated.n),
        verdict=judge(comparison, ratio),
        detectable=detectable,
        p_value=comparison.p_value,
        sample_ratio=ratio,
        treated=treated,
        held_out=held_out,
    )


def judge(comparison: Comparison, ratio: SampleRatio) -> Verdict:
    """`brought_more` or `brought_less` where the interval excludes 0 and nothing is amiss."""
    estimate = comparison.estimate
    if ratio.status != OK or estimate.status != OK:
        return CANNOT_TELL_YET
    if estimate.low > 0:
        return BROUGHT_MORE
    return BROUGHT_LESS if estimate.high < 0 else CANNOT_TELL_YET


def _with_ratio(estimate: Estimate, ratio: SampleRatio) -> Estimate:
    if ratio.status != SAMPLE_RATIO_MISMATCH:
        return estimate
    return Estimate(estimate.value, estimate.low, estimate.high, estimate.n, SAMPLE_RATIO_MISMATCH)


def _scale(estimate: Estimate, factor: float) -> Estimate:
    return Estimate(
        estimate.value * factor, estimate.low * factor, estimate.high * factor,
        estimate.n, estimate.status,
    )  # fmt: skip
