"""Post-stratified effects: arms are compared by stratum, then strata are weighed as a whole.

Strata are something known of each unit before the assignment (a country, a tier). Chance gives one
arm more of the good ones; weighing strata alike in both arms takes that out of the effect and its
variance (Miratrix, Sekhon and Yu 2013, *JRSS B* 75:369).

A stratum of share w (of N units) has a vector a (values of the control and effects) of covariance
V / (its units). The whole is sum w a, with covariance

    sum of a a' over the multinomial covariance of w  +  sum E[w²] / w V / N
    E[w²] = w² + w (1 - w) / N

GrowthBook sums the second part over E[w u²] of all strata u in place of E[w²]; `docs/decisions/
0026-strata-weigh-their-own-variance.md` says what that does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.experiment.arms import (
    NAN,
    Adjusted,
    AdjustedRatio,
    ArmStatistics,
    Moments,
    Ratio,
    Share,
    Strata,
    Summed,
)
from zhiyin.measure.experiment.effect import Effect, find_freedom, find_theta
from zhiyin.measure.status import (
    MIN_UNITS,
    NO_UNITS,
    OK,
    TOO_FEW_UNITS,
    ZERO_BASELINE,
    ZERO_VARIANCE,
)

Floats = NDArray[np.float64]
Pair = tuple[Summed, Summed]


@dataclass(frozen=True)
class _Cell:
    """One stratum: units, the vector (control's values, effects) and its covariance x units."""

    n: int
    vector: Floats
    spread: Floats


def measure_strata(control: Strata, treatment: Strata, *, relative: bool = False) -> Effect:
    """The effect over all strata, as `measure_effect` gives it of two arms.

    Parameters
    ----------
    control, treatment
        Arms by stratum, of one kind, no quantiles. With covariates each stratum has slopes of its
        own, fitted with one residual variance for both arms.

    Notes
    -----
    A stratum with fewer than two units in an arm, without variance in one, or with too few units
    for its slopes is counted with the largest.
    """
    pairs = _pair(control, treatment)
    if not pairs:
        return Effect(NAN, NAN, NAN, NAN, 0, NO_UNITS)
    one, other = _pool(pairs)
    smaller, n = min(one.linear().n, other.linear().n), one.linear().n + other.linear().n
    base = one.linear().value
    if smaller == 0:
        return Effect(NAN, NAN, NAN, base, n, NO_UNITS)
    if smaller < 2:
        return Effect(other.linear().value - base, NAN, NAN, base, n, TOO_FEW_UNITS)
    cells = [_measure(pair) for pair in _gather(pairs)]
    vector, spread = _combine(cells)
    value, gradient = _contrast(vector, relative=relative)
    if value != value:
        return Effect(NAN, NAN, NAN, base, n, ZERO_BASELINE)
    squared = float(gradient @ spread @ gradient)
    if squared <= 0:
        return Effect(value, NAN, NAN, base, n, ZERO_VARIANCE)
    freedom = find_freedom(one.linear(), other.linear(), find_theta(one, other))
    status = OK if smaller >= MIN_UNITS else TOO_FEW_UNITS
    return Effect(value, squared**0.5, freedom, base, n, status)


def _pair(control: Strata, treatment: Strata) -> list[Pair]:
    """Both arms of each stratum, by its name; an arm that has none of it is empty."""
    kinds = {type(arm) for side in (control, treatment) for arm in side.values()}
    if len(kinds) > 1:
        raise InvalidParameter(f"strata are of {len(kinds)} kinds of metric")
    pairs: list[Pair] = []
    for name in sorted({*control, *treatment}):
        filled = control.get(name) or treatment[name]
        empty = _empty(filled)
        pairs.append((control.get(name, empty), treatment.get(name, empty)))
    return pairs


def _empty(like: Summed) -> Summed:
    if isinstance(like, Adjusted | AdjustedRatio | Ratio):
        k = len(like.moments.totals)
        return type(like)(Moments(0, (0,) * k, ((0,) * k,) * k))
    return Share(0, 0) if isinstance(like, Share) else ArmStatistics(0, 0, 0)


def _pool(pairs: list[Pair]) -> Pair:
    """All strata as one; `_pair` saw that they are of one kind."""
    one, other = pairs[0]
    for pair in pairs[1:]:
        one, other = one + pair[0], other + pair[1]  # pyright: ignore[reportOperatorIssue]
    return one, other


def _gather(pairs: list[Pair]) -> list[Pair]:
    """Strata that can be compared by themselves; the others are added to the largest."""
    ordered = sorted(pairs, key=lambda pair: -_units(pair))  # stable: ties stay by name
    weak = [pair for pair in ordered[1:] if not _is_viable(pair)]
    strong = [pair for pair in ordered[1:] if _is_viable(pair)]
    first = _pool([ordered[0], *weak])
    return [first, *strong] if _is_viable(first) or not strong else [_pool(ordered)]


def _units(pair: Pair) -> int:
    return sum(arm.linear().n for arm in pair)


def _is_viable(pair: Pair) -> bool:
    outcomes, covariates = _shape(pair[0])
    arms = [arm.linear() for arm in pair]
    if min(arm.n for arm in arms) < 2 or not all(arm.variance > 0 for arm in arms):
        return False
    return not covariates or _units(pair) > 3 * outcomes


def _shape(arm: Summed) -> tuple[int, int]:
    """How many outcomes and how many covariates its moments have."""
    if isinstance(arm, AdjustedRatio):
        return 2, 2
    if isinstance(arm, Adjusted):
        return 1, 1
    return (2, 0) if isinstance(arm, Ratio) else (1, 0)


def _measure(pair: Pair) -> _Cell:
    outcomes, covariates = _shape(pair[0])
    control, treatment = pair[0].moments, pair[1].moments
    if covariates:
        return _measure_adjusted(control, treatment, outcomes)
    a, b = control.covariance / control.n, treatment.covariance / treatment.n
    n = control.n + treatment.n
    vector = np.concatenate([control.means, treatment.means - control.means])
    return _Cell(n, vector, n * np.block([[a, -a], [-a, a + b]]))


def _measure_adjusted(control: Moments, treatment: Moments, outcomes: int) -> _Cell:
    """Regression of the outcomes on arm and covariates, at the stratum's mean covariates.

    The residual variance has n - 3 degrees of freedom an outcome, as GrowthBook counts.
    """
    y, x = slice(None, outcomes), slice(outcomes, None)
    n = control.n + treatment.n
    within = (control.n - 1) * control.covariance + (treatment.n - 1) * treatment.covariance
    inverse = np.linalg.pinv(within[x, x], hermitian=True)
    slopes = inverse @ within[x, y]  # (covariates, outcomes)
    residual = (within[y, y] - slopes.T @ within[x, y]) / max(n - 3 * outcomes, 1)
    means = (control.n * control.means + treatment.n * treatment.means) / n
    apart, off = treatment.means - control.means, control.means - means
    vector = np.concatenate([control.means[y] - off[x] @ slopes, apart[y] - apart[x] @ slopes])
    whole = (control + treatment).covariance[x, x] / n  # of the mean covariates
    at_control = 1 / control.n + off[x] @ inverse @ off[x]
    at_effect = 1 / control.n + 1 / treatment.n + apart[x] @ inverse @ apart[x]
    between = -1 / control.n + off[x] @ inverse @ apart[x]
    drawn = slopes.T @ whole @ slopes + residual * float((inverse * whole).sum())
    spread = np.block(
        [
            [residual * at_control + drawn, residual * between],
            [residual * between, residual * at_effect],
        ]
    )
    return _Cell(n, vector, n * spread)


def _combine(cells: list[_Cell]) -> tuple[Floats, Floats]:
    """The weighed vector of all cells and its covariance."""
    units = np.array([cell.n for cell in cells], dtype=np.float64)
    total, shares = units.sum(), units / units.sum()
    vectors = np.column_stack([cell.vector for cell in cells])
    drawn = vectors @ (np.diag(shares) - np.outer(shares, shares)) @ vectors.T / total
    weights = _expect_squares(shares, total) / shares / total
    within = sum(weight * cell.spread for weight, cell in zip(weights, cells, strict=True))
    return vectors @ shares, drawn + within


def _expect_squares(shares: Floats, n: float) -> Floats:
    """E[w²] of each share of n units that are drawn."""
    return shares**2 + shares * (1 - shares) / n


def _contrast(vector: Floats, *, relative: bool) -> tuple[float, Floats]:
    """The effect that the vector holds, and its gradient; NaN where a denominator is 0."""
    if len(vector) == 2:
        control, effect = vector
        if not relative:
            return float(effect), np.array([0.0, 1.0])
        if not control:
            return NAN, np.zeros(2)
        base = abs(control)
        return float(effect / base), np.array([-effect / control / base, 1 / base])
    top, bottom, more_top, more_bottom = vector
    t, u = top + more_top, bottom + more_bottom
    if not bottom or not u or (relative and not top):
        return NAN, np.zeros(4)
    one, other = top / bottom, t / u
    if not relative:
        return float(other - one), np.array(
            [1 / u - 1 / bottom, -t / u**2 + top / bottom**2, 1 / u, -t / u**2]
        )
    ratio, sign = other / one, np.sign(one)
    gradient = sign * ratio * np.array([1 / t - 1 / top, 1 / bottom - 1 / u, 1 / t, -1 / u])
    return float(sign * (ratio - 1)), gradient
