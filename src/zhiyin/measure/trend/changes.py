"""Days from which on the level is another one, with a stated chance of a false alarm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
from scipy.signal import lfilter

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.rng import Streams
from zhiyin.measure.intervals import LEVEL, critical_z
from zhiyin.measure.status import OK, ZERO_VARIANCE
from zhiyin.measure.trend.decomposition import Decomposition, decompose

_CLIP = 3.5  # standard deviations: a single odd day is no change of level
_DRAWS, _PLACES = 999, 150
_MOST_MEMORY = 0.95  # of one day by the next


@dataclass(frozen=True)
class Change:
    """From `day` on the level is `size` (units a day) higher, in the interval [low, high].

    `share` is `size` over the level before; `p_value` allows for the day having been searched.
    """

    day: date
    size: float
    low: float
    high: float
    share: float
    p_value: float


@dataclass(frozen=True)
class Changes:
    """What was found, the first first. `memory` is how one day's deviation lasts into the next."""

    found: tuple[Change, ...]
    status: str
    memory: float


def find_changes(
    values: object,
    start: date,
    *,
    rate: float = 0.05,
    most: int = 5,
    min_days: int = 14,
    calendars: Iterable[str] = ("china", "west"),
    parts: Decomposition | None = None,
) -> Changes:
    """Days on which the level of a series stepped up or down.

    Parameters
    ----------
    values, start, calendars, parts
        As `find_anomalies` takes them.
    rate
        Chance in (0, 1) that a series without a step gives any.
    most
        Steps at most.
    min_days
        A new level must have lasted so long, and the old one too.

    Notes
    -----
    Week, year and holidays are taken out and single odd days drawn in to 3.5 standard deviations.
    Then every day is tried as the place of a step in a regression on a line; the largest t-value
    is compared with the largest of 999 draws without a step (fixed seed) whose days hang together
    as much (AR(1)), so that the search is paid for. One step after the other, as long as one is
    found (binary segmentation). A steady rise is no change; a
    season of the year is one where there is less than a year and a half to know it from.

    Raises
    ------
    InvalidParameter
        If `rate`, `most` or `min_days` is outside its range.
    """
    if not 0 < rate < 1 or most < 1 or min_days < 2:
        raise InvalidParameter("rate is in (0, 1), most at least 1, min_days at least 2")
    parts = decompose(values, start, calendars=calendars) if parts is None else parts
    if parts.status != OK:
        return Changes((), parts.status, 0.0)
    n = len(parts.values)
    if n < 2 * min_days + 2:
        return Changes((), "too_short", 0.0)
    if parts.scale <= 1e-9 * (np.nanmax(np.abs(parts.values)) or 1.0):
        return Changes((), ZERO_VARIANCE, 0.0)
    y = _smooth(parts)
    base = np.array([np.ones(n), (np.arange(n) - n / 2) / n]).T
    removed = 6 + len(parts.effects) + (6 if parts.year.any() else 0)
    steps, memory = list[int](), 0.0
    chances: list[float] = []
    while len(steps) < most:
        place, statistic, memory = _best_step(y, base, min_days, steps, removed)
        tenths = min(9, int(np.ceil(10 * memory - 1e-9)))
        chance = float(np.mean(_quiet_maxima(n, min_days, tenths) >= statistic))
        chance = (chance * _DRAWS + 1) / (_DRAWS + 1)
        if chance > rate:
            break
        steps.append(place)
        chances.append(chance)
        base = np.column_stack([base, _step(n, place)])
    return Changes(_describe(parts, y, base, steps, chances, memory), OK, memory)


def _smooth(parts: Decomposition) -> np.ndarray:
    """The series without week, year, holidays; odd days drawn in, gaps filled by the trend."""
    rest = np.nan_to_num(parts.rest)
    return parts.trend + np.clip(rest, -_CLIP * parts.scale, _CLIP * parts.scale)


def _step(n: int, place: int) -> np.ndarray:
    return (np.arange(n) >= place).astype(float)


def _candidates(n: int, base: np.ndarray, min_days: int) -> tuple[np.ndarray, np.ndarray]:
    """Places, and the (n, places) steps there, freed of the base and of length 1."""
    places = np.arange(min_days, n - min_days + 1)
    steps = (np.arange(n)[:, None] >= places[None]).astype(float)
    q = np.linalg.qr(base)[0]
    steps -= q @ (q.T @ steps)
    length = np.sqrt((steps**2).sum(axis=0))
    return places, steps / np.where(length > 1e-6, length, np.inf)


def _best_step(
    y: np.ndarray, base: np.ndarray, min_days: int, taken: list[int], removed: int
) -> tuple[int, float, float]:
    """The place of the best further step, its t-value, and the memory of what is left."""
    n = len(y)
    places, steps = _candidates(n, base, min_days)
    far = np.all([abs(places - one) >= min_days for one in taken], axis=0) if taken else True
    q = np.linalg.qr(base)[0]
    rest = y - q @ (q.T @ y)
    score = np.where(far, np.abs(steps.T @ rest), 0.0)
    best = int(np.argmax(score))
    left = rest - steps[:, best] * float(steps[:, best] @ rest)
    used = base.shape[1] + 1 + removed  # week and holidays took their share of what is left
    memory = find_memory(left, used)
    spread = np.sqrt(float(left @ left) / max(1, n - used))
    inflated = spread * np.sqrt((1 + memory) / (1 - memory))
    return int(places[best]), float(score[best] / inflated) if inflated > 0 else 0.0, memory


def find_memory(rest: np.ndarray, columns: int) -> float:
    """First autocorrelation of what a regression left, in [0, .95], mended for its bias.

    What is left of `columns` fitted columns is (columns + 1 + 3 r) / n too low (Kendall 1954).
    """
    total = float(rest @ rest)
    if total <= 0:
        return 0.0
    return float(_mend(np.array(rest[1:] @ rest[:-1] / total), len(rest), columns))


def _mend(r: np.ndarray, n: int, columns: int) -> np.ndarray:
    return np.clip(r + (columns + 1 + 3 * r) / n, 0.0, _MOST_MEMORY)


@lru_cache(maxsize=64)
def _quiet_maxima(n: int, min_days: int, tenths: int) -> np.ndarray:
    """Largest t-values of steps in draws where there is none, and days have that memory."""
    base = np.array([np.ones(n), (np.arange(n) - n / 2) / n]).T
    steps = _candidates(n, base, min_days)[1]
    steps = steps[:, :: max(1, steps.shape[1] // _PLACES)]
    draws = Streams(0).generator(f"trend.changes.{n}.{min_days}.{tenths}").normal(size=(_DRAWS, n))
    draws = lfilter([1.0], [1.0, -tenths / 10], draws, axis=1)
    q = np.linalg.qr(base)[0]
    draws -= (draws @ q) @ q.T
    score = draws @ steps
    best = np.abs(score).argmax(axis=1)
    top = np.take_along_axis(score, best[:, None], axis=1)
    left = draws - top * steps[:, best].T
    total = (left**2).sum(axis=1)
    memory = _mend((left[:, 1:] * left[:, :-1]).sum(axis=1) / total, n, 3)
    return np.abs(top[:, 0]) / np.sqrt(total / (n - 3) * (1 + memory) / (1 - memory))


def _describe(
    parts: Decomposition, y: np.ndarray, base: np.ndarray, steps: list[int],
    chances: list[float], memory: float,
) -> tuple[Change, ...]:  # fmt: skip
    """Sizes of all steps together, each with its interval."""
    if not steps:
        return ()
    n, p = base.shape
    inverse = np.linalg.inv(base.T @ base)
    beta = inverse @ (base.T @ y)
    rest = y - base @ beta
    spread = np.sqrt(float(rest @ rest) / max(1, n - p) * (1 + memory) / (1 - memory))
    made = []
    for number, (place, chance) in enumerate(zip(steps, chances, strict=True), start=2):
        size, half = (
            float(beta[number]),
            critical_z(LEVEL) * spread * np.sqrt(inverse[number, number]),
        )
        before = float((base @ beta)[place - 1])
        made.append(
            Change(parts.day(place), size, size - half, size + half,
                   size / abs(before) if before else float("nan"), chance)
        )  # fmt: skip
    return tuple(sorted(made, key=lambda one: one.day))
