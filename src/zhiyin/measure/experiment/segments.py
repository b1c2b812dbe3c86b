"""Whether an effect differs between groups of customers, without being fooled by many groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.experiment.arms import NAN, Arm
from zhiyin.measure.experiment.correction import Correction, adjust
from zhiyin.measure.experiment.result import Method, Result, compare
from zhiyin.measure.experiment.sequential import TUNING
from zhiyin.measure.intervals import LEVEL
from zhiyin.measure.status import OK


@dataclass(frozen=True)
class SegmentEffect:
    """The effect in one segment; `p_value` is adjusted for how many segments were looked at."""

    segment: str
    result: Result
    p_value: float


@dataclass(frozen=True)
class Heterogeneity:
    """Effects by segment, in the order of their names, and whether they differ at all.

    `spread_p_value`: Cochran's Q, the chance of effects that far apart were they all the same; NaN
    with fewer than two segments that can be tested. Look at segments only where it is small: the
    best of many is flattered.
    """

    segments: tuple[SegmentEffect, ...]
    spread_p_value: float


def compare_segments(
    control: Mapping[str, Arm],
    treatment: Mapping[str, Arm],
    method: Method = "t",
    *,
    relative: bool = False,
    level: float = LEVEL,
    correction: Correction = "holm",
    tuning: float = TUNING,
) -> Heterogeneity:
    """The effect in each segment, which every unit has had since before the assignment.

    Intervals cover all effects together with `level` (Bonferroni: 1 - (1 - level) / segments).

    Parameters
    ----------
    control, treatment
        Arms by segment, the same segments in both; one unit is in one segment.

    Raises
    ------
    InvalidParameter
        If the segments of both arms differ.

    Notes
    -----
    Cochran (1954), *Biometrics* 10:101. Segments under ten units in an arm are left out of it.
    """
    if set(control) != set(treatment) or not control:
        raise InvalidParameter("arms need the same segments", hint="give empty segments as n = 0")
    names = sorted(control)
    each = 1 - (1 - level) / len(names)
    terms = {"relative": relative, "level": each, "tuning": tuning}
    results = [compare(control[name], treatment[name], method, **terms) for name in names]
    adjusted = adjust([result.p_value for result in results], correction)
    return Heterogeneity(
        tuple(
            SegmentEffect(name, result, float(p))
            for name, result, p in zip(names, results, adjusted, strict=True)
        ),
        _test_spread(results),
    )


def _test_spread(results: list[Result]) -> float:
    sure = [result for result in results if result.status == OK]
    if len(sure) < 2:
        return NAN
    effects = np.array([result.effect for result in sure])
    weights = np.array([result.standard_error for result in sure]) ** -2.0
    centre = (weights * effects).sum() / weights.sum()
    return float(chdtrc(len(sure) - 1, (weights * (effects - centre) ** 2).sum()))
