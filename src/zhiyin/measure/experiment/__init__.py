"""Experiments: who gets what by lot, and what that caused.

From sums that an engine makes (`exposures`) by `compare`: differences and lifts of means, shares,
ratios and quantiles, adjusted by what was before, by stratum, with a test for one look at the end,
one for every look, and one with a prior. `docs/measure-experiment.md` says which when.

`correction`, `sizes`, `guards` and `segments` are about more than one number; `definition` and
`readout` about a plan and its answer.
"""

from zhiyin.measure.experiment.arms import (
    Adjusted,
    AdjustedRatio,
    ArmStatistics,
    Moments,
    Quantile,
    Ratio,
    Share,
    summarize_arm,
    summarize_quantile,
    summarize_rows,
    summarize_share,
)
from zhiyin.measure.experiment.correction import adjust_bh, adjust_holm
from zhiyin.measure.experiment.effect import Effect, measure_effect
from zhiyin.measure.experiment.guards import Guard, check_guard
from zhiyin.measure.experiment.means import (
    SAMPLE_RATIO_ALARM,
    Comparison,
    SampleRatio,
    check_sample_ratio,
    compare_means,
    estimate_lift,
    find_detectable,
)
from zhiyin.measure.experiment.result import Prior, Result, compare
from zhiyin.measure.experiment.segments import Heterogeneity, compare_segments
from zhiyin.measure.experiment.sizes import (
    Aim,
    Forecast,
    find_power,
    find_smallest_effect,
    find_units,
    forecast,
)

__all__ = [
    "SAMPLE_RATIO_ALARM",
    "Adjusted",
    "AdjustedRatio",
    "Aim",
    "ArmStatistics",
    "Comparison",
    "Effect",
    "Forecast",
    "Guard",
    "Heterogeneity",
    "Moments",
    "Prior",
    "Quantile",
    "Ratio",
    "Result",
    "SampleRatio",
    "Share",
    "adjust_bh",
    "adjust_holm",
    "check_guard",
    "check_sample_ratio",
    "compare",
    "compare_means",
    "compare_segments",
    "estimate_lift",
    "find_detectable",
    "find_power",
    "find_smallest_effect",
    "find_units",
    "forecast",
    "measure_effect",
    "summarize_arm",
    "summarize_quantile",
    "summarize_rows",
    "summarize_share",
]
