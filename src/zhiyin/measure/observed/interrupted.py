"""Interrupted time series: what came after a start against what the time before promised.

Segmented regression (Bernal, Cummins and Gasparrini 2017, *International Journal of Epidemiology*
46:348): level, trend, a season or a control series, and a step at the start. Errors hang together
from period to period, so the model is fitted with AR(1) errors by restricted likelihood, which
plain least squares would take for more evidence than there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.values import Estimate
from zhiyin.measure.intervals import LEVEL, missing
from zhiyin.measure.status import OK, TOO_SHORT, UNLIKE_BEFORE, ZERO_VARIANCE

LEAST_BEFORE: Final = 24
LEAST_AFTER: Final = 3
CYCLES: Final = 2
"""Whole seasons that must lie before the start, where no control series shares the season."""
GRID: Final = np.linspace(-0.5, 0.95, 59)


@dataclass(frozen=True)
class Interrupted:
    """The mean effect per period after the start, and how it fares where there was none.

    `estimate` is NaN where the method refuses: `too_short`, `zero_variance`. `unlike_before`: the
    number stands, but the same step is seen at `placebo`, a start set back into the time before.
    `total` is the effect of all periods after the start, `expected` what they would have brought,
    `correlation` that of neighbouring errors.
    """

    estimate: Estimate
    total: Estimate
    expected: float
    placebo: Estimate
    correlation: float
    before: int
    after: int


def interrupt(
    series: ArrayLike,
    start: int,
    *,
    control: ArrayLike | None = None,
    season: int | None = None,
    level: float = LEVEL,
) -> Interrupted:
    """The step in a series at period `start`.

    Parameters
    ----------
    series
        (n,) sums or means of equal periods in order, such as weeks.
    start
        Index of the first period after the start; the periods from it on are measured.
    control
        (n,) the same of people whom the start did not concern. It stands for season and whatever
        happened to all; without it, `season` has to.
    season
        Periods in a year (52 of weeks): two pairs of harmonics, from two whole years before.
    level
        Coverage of the interval.

    Returns
    -------
    Refuses as `too_short` under 24 periods before or 3 after, or without a control and two whole
    seasons before the start: what looks like an effect may be the time of year.

    Raises
    ------
    InvalidParameter
        If a number is missing, lengths differ or the start is outside the series.
    """
    y = _numbers(series, "series")
    z = None if control is None else _numbers(control, "control")
    if (z is not None and z.shape != y.shape) or not 0 <= start <= len(y):
        raise InvalidParameter(
            f"a series of {len(y)}, a control of {None if z is None else len(z)}, start {start}",
            hint="equal lengths, and a start inside of them",
        )
    after = len(y) - start
    nan = float("nan")
    seasonless = z is None and (season is None or start < CYCLES * season)
    if start < LEAST_BEFORE or after < LEAST_AFTER or seasonless:
        none = missing(len(y), TOO_SHORT)
        return Interrupted(none, none, nan, none, nan, start, after)
    found, correlation = _fit(y, start, z, season, level)
    placebo = _try_before(y[:start], after, None if z is None else z[:start], season, level)
    status = found.status
    if status == OK and placebo.status == OK and not placebo.low <= 0 <= placebo.high:
        status = UNLIKE_BEFORE
    estimate = Estimate(found.value, found.low, found.high, found.n, status)
    total = Estimate(found.value * after, found.low * after, found.high * after, found.n, status)
    expected = float(y[start:].sum()) - total.value
    return Interrupted(estimate, total, expected, placebo, correlation, start, after)


def _try_before(
    y: NDArray[np.float64], after: int, z: NDArray[np.float64] | None, season: int | None,
    level: float,
) -> Estimate:  # fmt: skip
    """The same for a start that never was, as long before the end of the time before."""
    pretended = len(y) - max(after, LEAST_AFTER)
    if pretended < LEAST_BEFORE:
        return missing(len(y), TOO_SHORT)
    return _fit(y, pretended, z, season, level)[0]


def _fit(
    y: NDArray[np.float64], start: int, z: NDArray[np.float64] | None, season: int | None,
    level: float,
) -> tuple[Estimate, float]:  # fmt: skip
    time = np.arange(len(y), dtype=np.float64)
    columns = [np.ones(len(y)), (time - time.mean()) / len(y)]
    if z is not None:
        spread = z.std()
        if spread > 0:
            columns.append((z - z.mean()) / spread)
    if season is not None and start >= CYCLES * season:
        turn = 2 * np.pi * time / season
        columns += [np.sin(turn), np.cos(turn), np.sin(2 * turn), np.cos(2 * turn)]
    columns.append((time >= start).astype(float))
    design = np.column_stack(columns)
    scale = float(y.std())
    if scale <= 1e-12 * max(1.0, float(np.abs(y).max())):
        return missing(len(y), ZERO_VARIANCE), float("nan")
    rho = max(GRID, key=lambda one: (_likelihood(y / scale, design, one), -abs(one)))
    coefficients, covariance, freedom = _least_squares(y, design, float(rho))
    error = float(np.sqrt(max(covariance[-1, -1], 0.0)))
    value = float(coefficients[-1])
    if error <= 1e-12 * scale:
        return Estimate(value, float("nan"), float("nan"), len(y), ZERO_VARIANCE), float(rho)
    half = float(stdtrit(freedom, 0.5 + level / 2)) * error
    return Estimate(value, value - half, value + half, len(y), OK), float(rho)


def _whiten(values: NDArray[np.float64], rho: float) -> NDArray[np.float64]:
    """Prais and Winsten: differences from rho times the period before, the first one scaled."""
    made = np.array(values, dtype=np.float64)
    made[1:] = values[1:] - rho * values[:-1]
    made[0] = values[0] * np.sqrt(1 - rho * rho)
    return made


def _least_squares(
    y: NDArray[np.float64], design: NDArray[np.float64], rho: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    a, b = _whiten(design, rho), _whiten(y, rho)
    inverse = np.linalg.pinv(a.T @ a)
    coefficients = inverse @ (a.T @ b)
    freedom = max(len(y) - design.shape[1] - 1, 1)  # one for the correlation
    residual = b - a @ coefficients
    return coefficients, inverse * float(residual @ residual) / freedom, freedom


def _likelihood(y: NDArray[np.float64], design: NDArray[np.float64], rho: float) -> float:
    """Restricted log-likelihood of AR(1) errors, the variance profiled out."""
    a, b = _whiten(design, rho), _whiten(y, rho)
    squares = a.T @ a
    residual = b - a @ (np.linalg.pinv(squares) @ (a.T @ b))
    freedom = len(y) - design.shape[1]
    left = max(float(residual @ residual), 1e-300)
    log_det = float(np.linalg.slogdet(squares)[1])
    return float(0.5 * np.log(1 - rho * rho) - 0.5 * log_det - 0.5 * freedom * np.log(left))


def _numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    made = np.asarray(values, dtype=np.float64)
    if made.ndim != 1 or not np.isfinite(made).all():
        raise InvalidParameter(
            f"{name} must be (n,) finite numbers", hint="a period without sales is 0, not missing"
        )
    return made
