"""Many daily series ahead at once: simple methods weighed by what they would have said before.

Each method forecasts all series together. Rolling origins (the past cut at earlier days) say how
far each was off; the mean of all, weighed by one over the squared error, is the forecast, and how
far *that* was off at the origins gives its interval. Nothing is fitted that a person could not
follow, and no method must be right: on a series that no method knows, the seasonal naive one wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from scipy import stats

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.status import OK
from zhiyin.measure.trend.decomposition import find_status
from zhiyin.measure.trend.design import Design, build, check, choose_penalty

WEEK, YEAR = 7, 364
MIN_HISTORY = 28
SHORT = "short"
"""Status: too few past origins to judge by; the interval is that of one weekly naive forecast."""
ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.4)
_WEEKS_OF_DAY = 8  # a weekday's share is taken of so many weeks
_DAMP = 0.98  # of a slope, from day to day


@dataclass(frozen=True)
class Forecast:
    """`horizon` days of each of the k series, from `start`.

    `values`, `low` and `high` are (k, horizon); `total`, `total_low`, `total_high` (k,) are of the
    whole horizon, whose interval is not the sum of those of its days. `weights` says what each
    method counted for, `errors` the mean absolute error of each and of the mix at the origins.
    """

    names: tuple[str, ...]
    start: date
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    total: np.ndarray
    total_low: np.ndarray
    total_high: np.ndarray
    methods: tuple[str, ...]
    weights: np.ndarray
    errors: np.ndarray
    status: tuple[str, ...]
    level: float


@dataclass(frozen=True)
class Past:
    """What a method is given: (k, n) values without gaps from `start`, what was loaded besides."""

    values: np.ndarray
    start: date
    calendars: tuple[str, ...]
    external: np.ndarray | None  # (n + horizon, m)
    penalty: np.ndarray | None = None


Method = Callable[[Past, int], np.ndarray]


def seasonal_naive(past: Past, horizon: int) -> np.ndarray:
    """The last week again and again."""
    return past.values[:, -WEEK:][:, np.arange(horizon) % WEEK]


def weekday_mean(past: Past, horizon: int) -> np.ndarray:
    """Each weekday as the mean of its last four."""
    weeks = min(4, past.values.shape[1] // WEEK)
    mean = past.values[:, -weeks * WEEK :].reshape(len(past.values), weeks, WEEK).mean(axis=1)
    return mean[:, np.arange(horizon) % WEEK]


def smoothing(past: Past, horizon: int) -> np.ndarray:
    """Exponential smoothing of the level, the week taken out; how fast, by the squared error."""
    y, n = past.values, past.values.shape[1]
    weeks = min(_WEEKS_OF_DAY, n // WEEK)
    recent = y[:, -weeks * WEEK :].reshape(len(y), weeks, WEEK)
    effect = np.median(recent - recent.mean(axis=2, keepdims=True), axis=1)
    effect -= effect.mean(axis=1, keepdims=True)
    place = (np.arange(n) - n) % WEEK
    calm = y - effect[:, place]
    alpha = np.array(ALPHAS)[:, None]
    level = np.repeat(calm[None, :, : min(2 * WEEK, n)].mean(axis=2), len(ALPHAS), axis=0)
    error = np.zeros_like(level)
    for day in range(n):
        off = calm[:, day] - level
        error += off**2
        level = level + alpha * off
    best = level[error.argmin(axis=0), np.arange(len(y))]
    return best[:, None] + effect[:, np.arange(horizon) % WEEK]


def regression(past: Past, horizon: int) -> np.ndarray:
    """Trend, week, year, holidays and what was loaded; the slope dies away, the level is mended.

    The last four weeks' mean error is added in half: a trend that bends every four weeks is late.
    """
    y, n = past.values, past.values.shape[1]
    names = () if past.external is None else tuple(map(str, range(past.external.shape[1])))
    design = build(
        past.start, n + horizon, fitted=n, calendars=past.calendars,
        external=past.external, external_names=names,
    )  # fmt: skip
    x = design.x.copy()
    trend = design.of("trend")
    steps = _DAMP ** np.arange(1, horizon + 1)
    slope = x[n, trend] - x[n - 1, trend]
    x[n:, trend] = x[n - 1, trend] + np.cumsum(steps)[:, None] * slope
    known = design.names.index("level")
    x[n:, known] = 1.0
    penalty = past.penalty
    if penalty is None:
        penalty = choose_penalty(_first(design, n), y)
    made = np.empty((len(y), horizon))
    gram, cross = x[:n].T @ x[:n], y @ x[:n]
    for one in np.unique(penalty):
        mine = penalty == one
        inverse = np.linalg.inv(gram + np.diag(design.ridge + one * design.bend + 1e-9))
        beta = cross[mine] @ inverse
        late = (y[mine, -4 * WEEK :] - beta @ x[n - 4 * WEEK : n].T).mean(axis=1)
        made[mine] = beta @ x[n:].T + 0.5 * late[:, None]
    return made


def last_year(past: Past, horizon: int) -> np.ndarray:
    """The same weekdays a year ago, at the level of the last four weeks against those then."""
    y, n = past.values, past.values.shape[1]
    if n < YEAR + 4 * WEEK:
        return weekday_mean(past, horizon)
    then = y[:, n - YEAR - 4 * WEEK : n - YEAR].mean(axis=1)
    now = y[:, -4 * WEEK :].mean(axis=1)
    ratio = np.where(then > 0, now / np.where(then > 0, then, 1.0), 1.0)
    places = n - YEAR + np.arange(horizon) % YEAR
    return y[:, places] * np.clip(ratio, 0.2, 5.0)[:, None]


METHODS: Mapping[str, Method] = {
    "seasonal_naive": seasonal_naive, "weekday_mean": weekday_mean, "smoothing": smoothing,
    "regression": regression, "last_year": last_year,
}  # fmt: skip
"""Name → method; each is given the past and forecasts all series."""


def forecast(
    values: object,
    horizon: int,
    *,
    start: date,
    names: Sequence[str] = (),
    level: float = 0.9,
    origins: int = 8,
    calendars: Iterable[str] = ("china", "west"),
    external: np.ndarray | None = None,
    methods: Sequence[str] = tuple(METHODS),
) -> Forecast:
    """Forecast daily series.

    Parameters
    ----------
    values
        (days,) or (series, days) from `start`; NaN is a gap.
    horizon
        Days ahead, at least 1.
    level
        Share of days, and of totals, that the intervals are to cover, in (0, 1).
    origins
        Past days at most from which the methods are tried.
    external
        (days + horizon, m) loaded series, as `align_external` gives them.
    methods
        Of `METHODS`.

    Returns
    -------
    A `Forecast`. A series that never was below 0 is not forecast below 0. A series of zeros is
    forecast as 0 (`all_zero`), a constant one as itself (`constant`); one of less than 28 days is
    not (`too_short`, NaN).

    Raises
    ------
    InvalidParameter
        If an argument is outside its range.
    """
    y = check(values)
    _check_arguments(y, horizon, level, origins, external, methods)
    names = tuple(names) or tuple(f"series_{place}" for place in range(len(y)))
    if len(names) != len(y):
        raise InvalidParameter(f"{len(names)} names for {len(y)} series")
    status = [find_status(row) for row in y]
    usable = np.array([one == OK for one in status])
    made = _empty(names, start, horizon, y, status, methods, level)
    if not usable.any():
        return made
    past = Past(_fill(y[usable]), start, tuple(calendars), external)
    ahead = _run(past, horizon, methods)
    cuts = _cut(y.shape[1], horizon, origins)
    tried = np.array([_run(_until(past, cut, horizon), horizon, methods) for cut in cuts])
    truth = np.array([past.values[:, cut : cut + horizon] for cut in cuts])
    return _join(made, usable, past, ahead, tried, truth)


def _check_arguments(
    y: np.ndarray, horizon: int, level: float, origins: int,
    external: np.ndarray | None, methods: Sequence[str],
) -> None:  # fmt: skip
    if horizon < 1 or origins < 1 or not 0 < level < 1:
        raise InvalidParameter("horizon and origins are at least 1, level in (0, 1)")
    if unknown := [one for one in methods if one not in METHODS]:
        raise InvalidParameter(f"no method {unknown[0]!r}", hint=f"of {', '.join(METHODS)}")
    if not methods:
        raise InvalidParameter("no method to forecast by")
    if external is not None and (
        external.ndim != 2 or len(external) < y.shape[1] + horizon or np.isnan(external).any()
    ):
        raise InvalidParameter(
            "external numbers are needed for each day and each day ahead",
            hint="align_external makes them",
        )


def _run(past: Past, horizon: int, methods: Sequence[str]) -> np.ndarray:
    """(methods, k, horizon), nothing below 0 where nothing was."""
    made = np.array([METHODS[name](past, horizon) for name in methods])
    positive = past.values.min(axis=1) >= 0
    return np.where(positive[None, :, None], np.maximum(made, 0.0), made)


def _cut(n: int, horizon: int, origins: int) -> list[int]:
    """Lengths of past to forecast from: the last ones, half a horizon apart, whole weeks."""
    step = max(1, round(horizon / 2))
    last = n - horizon
    cuts = [last - step * place for place in range(origins)]
    return [cut for cut in cuts if cut >= max(MIN_HISTORY, n // 3)]


def _until(past: Past, cut: int, horizon: int) -> Past:
    external = None if past.external is None else past.external[: cut + horizon]
    return Past(past.values[:, :cut], past.start, past.calendars, external)


def _join(
    made: Forecast, usable: np.ndarray, past: Past, ahead: np.ndarray,
    tried: np.ndarray, truth: np.ndarray,
) -> Forecast:  # fmt: skip
    """The mix and its intervals; `tried` is (origins, methods, k, horizon)."""
    k, horizon, level = ahead.shape[1], ahead.shape[2], made.level
    if not len(tried):
        weights = np.full((k, ahead.shape[0]), 1 / ahead.shape[0])
        errors = np.full((k, ahead.shape[0] + 1), np.nan)
        off = past.values[:, WEEK:] - past.values[:, :-WEEK]
        width = np.repeat(np.quantile(np.abs(off), level, axis=1)[:, None], horizon, axis=1) * 1.5
        total_width = width.sum(axis=1)
    else:
        each = np.abs(tried - truth[:, None]).mean(axis=(0, 3))  # (methods, k)
        inverse = 1 / np.maximum(each, 1e-9 * (1 + np.abs(past.values).mean(axis=1))) ** 2
        weights = (inverse / inverse.sum(axis=0)).T
        off = np.einsum("omkh,km->okh", tried, weights) - truth
        errors = np.vstack([each, np.abs(off).mean(axis=(0, 2))[None]]).T
        width = _day_widths(np.abs(off), level)
        total_width = _total_width(off.sum(axis=2), level)
    values = np.einsum("mkh,km->kh", ahead, weights)
    low, high = values - width, values + width
    total = values.sum(axis=1)
    total_low, total_high = total - total_width, total + total_width
    positive = past.values.min(axis=1) >= 0
    low = np.where(positive[:, None], np.maximum(low, 0.0), low)
    total_low = np.where(positive, np.maximum(total_low, 0.0), total_low)
    parts = {
        "values": values, "low": low, "high": high, "total": total, "total_low": total_low,
        "total_high": total_high, "weights": weights, "errors": errors,
    }  # fmt: skip
    for name, part in parts.items():
        getattr(made, name)[usable] = part
    status = tuple(SHORT if one == OK and len(tried) < 3 else one for one in made.status)
    return Forecast(**{**vars(made), "status": status})


def _day_widths(off: np.ndarray, level: float) -> np.ndarray:
    """(k, horizon) half widths: quantile of the errors of a week of the horizon, never narrower
    than the week before; `off` is (origins, k, horizon).
    """
    origins, k, horizon = off.shape
    width = np.zeros((k, horizon))
    for first in range(0, horizon, WEEK):
        found = off[:, :, first : first + WEEK].transpose(1, 0, 2).reshape(k, -1)
        n = found.shape[1]
        share = min(1.0, np.ceil((n + 1) * level) / n)
        here = np.quantile(found, share, axis=1)
        width[:, first : first + WEEK] = np.maximum(here, width[:, max(0, first - 1)])[:, None]
    return width * (1 + 0.5 / origins)


def _total_width(off: np.ndarray, level: float) -> np.ndarray:
    """(k,) half widths of a total from its few errors (origins, k): Student's t around 0.

    Origins half a horizon apart share half their days: they count for half their number.
    """
    origins = len(off)
    freedom = max(2.0, origins / 2)
    return np.sqrt((off**2).mean(axis=0)) * float(stats.t.ppf(0.5 + level / 2, freedom))


def _empty(
    names: tuple[str, ...], start: date, horizon: int, y: np.ndarray, status: Sequence[str],
    methods: Sequence[str], level: float,
) -> Forecast:  # fmt: skip
    """What is said of series that no method is tried on."""
    known = np.array([one in ("all_zero", "constant") for one in status])
    held = np.where(known, np.nanmax(np.where(np.isnan(y), -np.inf, y), axis=1), np.nan)
    rows = np.repeat(held[:, None], horizon, axis=1)
    sums = held * horizon
    return Forecast(
        names, start + timedelta(y.shape[1]), rows, rows.copy(), rows.copy(),
        sums, sums.copy(), sums.copy(), tuple(methods), np.full((len(y), len(methods)), np.nan),
        np.full((len(y), len(methods) + 1), np.nan), tuple(status), level,
    )  # fmt: skip


def _fill(y: np.ndarray) -> np.ndarray:
    """Gaps as the same weekday before, else after, else the median."""
    filled = y.copy()
    for shift in (WEEK, -WEEK):
        for _ in range(8):
            gaps = np.isnan(filled)
            if not gaps.any():
                return filled
            rolled = np.roll(filled, shift, axis=1)
            rolled[:, :WEEK] = np.nan if shift > 0 else rolled[:, :WEEK]
            rolled[:, -WEEK:] = np.nan if shift < 0 else rolled[:, -WEEK:]
            filled = np.where(gaps, rolled, filled)
    return np.where(np.isnan(filled), np.nanmedian(y, axis=1, keepdims=True), filled)


def _first(design: Design, n: int) -> Design:
    return replace(design, x=design.x[:n])
