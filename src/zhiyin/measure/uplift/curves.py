"""Qini and AUUC of predicted uplift, with intervals: did the ranking find whom a contact moves?

Rows are ordered by predicted uplift, the best first; rows of equal prediction enter together. With
Y_t, N_t, Y_c, N_c the sums of outcome and weight of the treated and the held out among the first k
rows (weights 1 / P(arm), so a randomised experiment needs none):

Qini curve      g(k) = Y_t - Y_c N_t / N_c                      (Radcliffe 2007)
Qini            (area under g - area under the straight line to its end)
                / (the same of the perfect order)
perfect order   treated by outcome, best first, then the held out, worst last: for 0/1 outcomes
                treated responders, everybody who did not respond with the treated among them, held
                out responders. It lets a contact harm (`negative_effect=True` of scikit-uplift),
                which makes it the larger denominator and Qini the smaller figure.
AUUC            mean over k of (Y_t / N_t - Y_c / N_c) k / n     (Gutierrez and Gérardy 2017)
                in units of the outcome per customer; half the average effect where the order is
                random.

Areas are trapezoids over the share of customers. Intervals are normal; the standard error is the
infinitesimal jackknife's (Efron 1982): the root of the sum of squared derivatives of the figure by
the weight of each row. That is what a bootstrap of customers converges to, without drawing. The
model is taken as it stands: judge it by rows that it has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.values import Estimate
from zhiyin.measure.intervals import LEVEL, critical_z, missing
from zhiyin.measure.status import (
    MIN_UNITS,
    NO_POSITIVES,
    NO_UNITS,
    OK,
    TOO_FEW_UNITS,
    ZERO_VARIANCE,
)

CURVE_POINTS = 101


@dataclass(frozen=True)
class Curve:
    """Points (share of customers treated, incremental outcome per customer of all), by share.

    `random` is what treating the same share by chance would bring.
    """

    share: np.ndarray
    gain: np.ndarray
    random: np.ndarray


@dataclass(frozen=True)
class Qini:
    """Area over random / perfect with its interval; `auuc` is the area per customer.

    `status`: `no_units` (an arm is empty), `no_positives` (nobody responded), `zero_variance`
    (outcomes or predictions are all equal) or `too_few_units` (an interval on under ten of an arm
    or of its responders is rough).
    """

    value: float
    low: float
    high: float
    standard_error: float
    n: int
    status: str
    auuc: Estimate
    curve: Curve


@dataclass(frozen=True)
class Trial:
    """Checked rows of an experiment: arm in {0, 1}, outcome, and 1 / P(arm)."""

    t: np.ndarray
    y: np.ndarray
    w: np.ndarray

    @property
    def status(self) -> str:
        """Whether there is anything to measure."""
        sizes = [int((self.t == arm).sum()) for arm in (0, 1)]
        if min(sizes) == 0:
            return NO_UNITS
        if not self.y.any():
            return NO_POSITIVES
        if np.ptp(self.y) == 0:
            return ZERO_VARIANCE
        responders = [int((self.y[self.t == arm] != 0).sum()) for arm in (0, 1)]
        return TOO_FEW_UNITS if min(*sizes, *responders) < MIN_UNITS else OK


@dataclass(frozen=True)
class _Steps:
    """Rows in order; each belongs to a step of equal predictions, with its sums so far."""

    group: np.ndarray  # (n,) of each row, in the order of the rows as given
    size: np.ndarray  # (K,) rows of the step
    n_t: np.ndarray
    n_c: np.ndarray
    y_t: np.ndarray
    y_c: np.ndarray

    @property
    def mean_t(self) -> np.ndarray:
        return _ratio(self.y_t, self.n_t)

    @property
    def mean_c(self) -> np.ndarray:
        return _ratio(self.y_c, self.n_c)


def make_trial(
    treated: ArrayLike, outcome: ArrayLike, *, propensity: ArrayLike | None = None
) -> Trial:
    """Check (n,) arms and outcomes; `propensity` is P(treated), one number or (n,).

    Raises
    ------
    InvalidParameter
        If lengths differ, an arm is not 0 or 1, an outcome is missing, or a propensity is not
        inside (0, 1).
    """
    t = np.asarray(treated, dtype=float)
    y = np.asarray(outcome, dtype=float)
    if t.ndim != 1 or t.shape != y.shape:
        raise InvalidParameter(f"{t.shape} arms do not go with {y.shape} outcomes")
    if not np.isin(t, (0, 1)).all():
        raise InvalidParameter("an arm is neither 0 (held out) nor 1 (treated)")
    if not np.isfinite(y).all():
        raise InvalidParameter(
            "an outcome is missing", hint="who did nothing counts with 0; leave out who is unknown"
        )
    if propensity is None:
        return Trial(t, y, np.ones(len(y)))
    e = np.broadcast_to(np.asarray(propensity, dtype=float), y.shape)
    if not ((e > 0) & (e < 1)).all():
        raise InvalidParameter(
            "a propensity is not inside (0, 1)",
            hint="who is always or never treated says nothing of uplift: leave them out",
        )
    return Trial(t, y, np.where(t == 1, 1 / e, 1 / (1 - e)))


def qini(
    uplift: ArrayLike,
    treated: ArrayLike,
    outcome: ArrayLike,
    *,
    propensity: ArrayLike | None = None,
    level: float = LEVEL,
) -> Qini:
    """Judge (n,) predicted `uplift` by an experiment it was not learned from.

    Parameters
    ----------
    treated, outcome
        Arm (1 treated, 0 held out) and outcome of each row, 0 for who did nothing.
    propensity
        P(treated) where it differed between rows; None where arms were drawn alike.
    level
        Coverage of the intervals.

    Raises
    ------
    InvalidParameter
        As `make_trial`, or if predictions are missing.

    Notes
    -----
    The module's text has the definitions and sources.
    """
    trial = make_trial(treated, outcome, propensity=propensity)
    order = _predictions(uplift, trial)
    n, nan = len(order), float("nan")
    status = trial.status
    if status in {NO_UNITS, NO_POSITIVES, ZERO_VARIANCE}:
        empty = Curve(np.zeros(0), np.zeros(0), np.zeros(0))
        return Qini(nan, nan, nan, nan, n, status, missing(n, status), empty)
    value, slope = qini_slopes(order, trial)
    steps = _walk(order, trial)
    area, area_slope = _auuc(steps, trial)
    curve = _curve(steps, n)
    if len(steps.size) == 1:
        return Qini(0.0, nan, nan, nan, n, ZERO_VARIANCE, missing(n, ZERO_VARIANCE), curve)
    error = float(np.sqrt((slope**2).sum()))
    half = critical_z(level) * error
    auuc = make_estimate(area, area_slope, level=level, status=status)
    return Qini(value, value - half, value + half, error, n, status, auuc, curve)


def qini_slopes(uplift: np.ndarray, trial: Trial) -> tuple[float, np.ndarray]:
    """Qini and (n,) derivatives by the weight of each row; they sum to 0."""
    area, area_slope = _area(_walk(uplift, trial), trial)
    best, best_slope = _area(_walk(trial.y * trial.t - trial.y * (1 - trial.t), trial), trial)
    value = area / best
    return value, (area_slope - value * best_slope) / best


def make_estimate(value: float, slopes: np.ndarray, *, level: float, status: str) -> Estimate:
    """An estimate with the interval that the derivatives by the rows' weights give."""
    half = critical_z(level) * float(np.sqrt((slopes**2).sum()))
    return Estimate(value, value - half, value + half, len(slopes), status)


def _predictions(uplift: ArrayLike, trial: Trial) -> np.ndarray:
    found = np.asarray(uplift, dtype=float)
    if found.shape != trial.y.shape:
        raise InvalidParameter(f"{found.shape} predictions do not go with {trial.y.shape} outcomes")
    if not np.isfinite(found).all():
        raise InvalidParameter("a predicted uplift is missing")
    return found


def _walk(score: np.ndarray, trial: Trial) -> _Steps:
    _, group = np.unique(-score, return_inverse=True)
    count = int(group.max()) + 1
    treated = trial.w * trial.t
    held = trial.w * (1 - trial.t)

    def so_far(values: np.ndarray) -> np.ndarray:
        return np.cumsum(np.bincount(group, weights=values, minlength=count))

    return _Steps(
        group, np.bincount(group, minlength=count).astype(float),
        so_far(treated), so_far(held), so_far(treated * trial.y), so_far(held * trial.y),
    )  # fmt: skip


def _area(steps: _Steps, trial: Trial) -> tuple[float, np.ndarray]:
    """Area of the Qini curve over random, in rows squared, and its (n,) derivatives."""
    ratio = _ratio(steps.n_t, steps.n_c)
    gain = steps.y_t - steps.y_c * ratio
    before = np.concatenate([[0.0], gain[:-1]])
    total = float(steps.size.sum())
    area = float(((gain + before) / 2) @ steps.size - gain[-1] * total / 2)
    by_gain = (steps.size + np.append(steps.size[1:], 0.0)) / 2
    by_gain[-1] -= total / 2
    by_size = (gain + before) / 2 - gain[-1] / 2
    treated = _later(by_gain), _later(by_gain * steps.mean_c)
    held = _later(by_gain * ratio), _later(by_gain * ratio * steps.mean_c)
    return area, by_size[steps.group] + _by_rows(steps, trial, treated, held)


def _auuc(steps: _Steps, trial: Trial) -> tuple[float, np.ndarray]:
    """Area of the uplift curve, per customer, and its (n,) derivatives."""
    total = float(steps.size.sum())
    depth = np.cumsum(steps.size) / total
    effect = steps.mean_t - steps.mean_c
    height = effect * depth
    before = np.concatenate([[0.0], height[:-1]])
    area = float(((height + before) / 2) @ steps.size) / total
    by_height = (steps.size + np.append(steps.size[1:], 0.0)) / 2 / total
    one, other = by_height * _ratio(depth, steps.n_t), by_height * _ratio(depth, steps.n_c)
    treated = _later(one), _later(one * steps.mean_t)
    held = _later(other), _later(other * steps.mean_c)
    by_depth = _later(by_height * effect) / total  # a row moves all that stand behind it …
    moved = float((by_height * effect) @ depth) / total  # … and is one of all customers
    by_size = (height + before) / 2 / total
    slopes = (by_size + by_depth)[steps.group] - moved - area / total
    return area, slopes + _by_rows(steps, trial, treated, held)


def _by_rows(
    steps: _Steps,
    trial: Trial,
    treated: tuple[np.ndarray, np.ndarray],
    held: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    g, y = steps.group, trial.y
    of_treated = y * treated[0][g] - treated[1][g]
    of_held = y * held[0][g] - held[1][g]
    return trial.w * np.where(trial.t == 1, of_treated, -of_held)


def _curve(steps: _Steps, n: int) -> Curve:
    """The uplift curve, thinned to a hundred steps."""
    share = np.concatenate([[0.0], np.cumsum(steps.size) / n])
    gain = np.concatenate([[0.0], (steps.mean_t - steps.mean_c) * share[1:]])
    kept = np.linspace(0, 1, CURVE_POINTS)
    return Curve(kept, np.interp(kept, share, gain), kept * gain[-1])


def _ratio(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """one / other, 0 where there is nothing to divide by."""
    return np.divide(one, other, out=np.zeros_like(one), where=other > 0)


def _later(values: np.ndarray) -> np.ndarray:
    """Sums of each value and all after it."""
    return np.cumsum(values[::-1])[::-1]
