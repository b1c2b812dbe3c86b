"""The words that say how far a measured number can be trusted."""

from __future__ import annotations

from typing import Final, Literal

OK: Final = "ok"
NO_UNITS: Final = "no_units"  # nobody to measure
NO_POSITIVES: Final = "no_positives"  # nobody responded
NO_NEGATIVES: Final = "no_negatives"  # everybody responded
TOO_FEW_UNITS: Final = "too_few_units"  # the number stands, its interval is rough
ZERO_VARIANCE: Final = "zero_variance"  # the number stands, it has no interval
SAMPLE_RATIO_MISMATCH: Final = "sample_ratio_mismatch"  # arms were not split as planned
WINDOW_OPEN: Final = "window_open"  # the window has not ended, or the data end before it
NOT_YET: Final = "not_yet"  # nothing has happened after the day
ZERO_BASELINE: Final = "zero_baseline"  # a ratio to nothing
NO_OVERLAP: Final = "no_overlap"  # too many recipients have no like among the others
UNBALANCED: Final = "unbalanced"  # recipients and others could not be made alike
TOO_SHORT: Final = "too_short"  # too few periods before or after to tell an effect from a season
UNLIKE_BEFORE: Final = "unlike_before"  # an effect is seen where none can be
HOLDOUT_NOT_KEPT: Final = "holdout_not_kept"  # the held-out were contacted all the same
COST_UNKNOWN: Final = "cost_unknown"  # nobody recorded what it cost
NOT_MEASURED: Final = "not_measured"  # nothing that could be compared

MIN_UNITS: Final = 10
"""Fewer positives, negatives or units in an arm than this give `too_few_units`."""

Verdict = Literal["brought_more", "brought_less", "cannot_tell_yet"]
"""What is said of every effect, in place of a bare *not significant*."""

BROUGHT_MORE: Verdict = "brought_more"
BROUGHT_LESS: Verdict = "brought_less"
CANNOT_TELL_YET: Verdict = "cannot_tell_yet"
