"""Uplift by tenth, the four kinds of customers, and what treating the best share is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.values import Estimate
from zhiyin.measure.intervals import LEVEL, missing
from zhiyin.measure.status import MIN_UNITS, NO_UNITS, OK, TOO_FEW_UNITS, ZERO_VARIANCE
from zhiyin.measure.uplift.curves import Trial, make_estimate, make_trial

Kind = Literal["persuadable", "sure_thing", "lost_cause", "sleeping_dog"]
KINDS: Final[tuple[Kind, ...]] = ("persuadable", "sure_thing", "lost_cause", "sleeping_dog")
WORDS: Final[dict[Kind, tuple[str, str]]] = {
    "persuadable": ("persuadable", "可打动"),
    "sure_thing": ("sure thing", "自然购买"),
    "lost_cause": ("lost cause", "无动于衷"),
    "sleeping_dog": ("sleeping dog", "勿扰"),
}


@dataclass(frozen=True)
class Group:
    """Customers of one tenth or kind: their number, and uplift as predicted and as measured."""

    name: str
    n: int
    share: float
    predicted: float
    measured: Estimate


@dataclass(frozen=True)
class PolicyValue:
    """Outcome per customer of all, less contact costs, of treating the best share.

    `gain` is over treating nobody; `over_random` over as many treated by chance; `over_everyone`
    over treating all.
    """

    share: float
    gain: Estimate
    over_random: Estimate
    over_everyone: Estimate


def split_tenths(
    uplift: ArrayLike,
    treated: ArrayLike,
    outcome: ArrayLike,
    *,
    groups: int = 10,
    propensity: ArrayLike | None = None,
    level: float = LEVEL,
) -> list[Group]:
    """Measured uplift of equal groups by predicted uplift, the best first.

    Equal predictions at a border are parted by their place among the rows. Raises as `qini`.
    """
    if groups < 2:
        raise InvalidParameter(f"{groups} groups are no groups", hint="2 or more")
    trial = make_trial(treated, outcome, propensity=propensity)
    score = _scores(uplift, trial)
    place = np.empty(len(score), dtype=np.int64)
    place[np.argsort(-score, kind="stable")] = np.arange(len(score))
    tenth = place * groups // max(len(score), 1)
    return [
        _measure(str(k + 1), tenth == k, score, trial, level=level)
        for k in range(min(groups, len(score)))
    ]


def name_kinds(
    uplift: ArrayLike, baseline: ArrayLike, *, worth: float, likely: float | None = None
) -> np.ndarray:
    """(n,) names of `KINDS` by predicted uplift and predicted outcome without a contact.

    Parameters
    ----------
    worth
        Smallest uplift that a contact is worth (cost / value of an outcome): from it on
        `persuadable`. A negative uplift is a `sleeping_dog`.
    likely
        Baseline from which the rest are `sure_thing`, below it `lost_cause`; None: its median.

    Notes
    -----
    Nobody is ever seen with and without the contact, so these are predictions about like
    customers; `measure_kinds` lays beside them what an experiment says.
    """
    gain, base = np.asarray(uplift, dtype=float), np.asarray(baseline, dtype=float)
    if gain.shape != base.shape or gain.ndim != 1:
        raise InvalidParameter(f"{gain.shape} uplifts do not go with {base.shape} baselines")
    if not worth >= 0:
        raise InvalidParameter(f"a contact cannot be worth {worth}", hint="0 or more")
    border = float(np.median(base)) if likely is None and len(base) else float(likely or 0)
    conditions = [gain < 0, gain >= worth, base >= border]
    return np.select(conditions, ["sleeping_dog", "persuadable", "sure_thing"], "lost_cause")


def measure_kinds(
    kinds: ArrayLike,
    uplift: ArrayLike,
    treated: ArrayLike,
    outcome: ArrayLike,
    *,
    propensity: ArrayLike | None = None,
    level: float = LEVEL,
) -> list[Group]:
    """Size, predicted and measured uplift of each of the four kinds."""
    trial = make_trial(treated, outcome, propensity=propensity)
    score, named = _scores(uplift, trial), np.asarray(kinds)
    return [_measure(kind, named == kind, score, trial, level=level) for kind in KINDS]


def value_policy(
    uplift: ArrayLike,
    treated: ArrayLike,
    outcome: ArrayLike,
    *,
    share: float,
    cost: float = 0.0,
    propensity: ArrayLike | None = None,
    level: float = LEVEL,
) -> PolicyValue:
    """What treating the `share` of customers with the largest predicted uplift brings.

    Parameters
    ----------
    share
        In (0, 1]; ties at the border are parted by their place among the rows.
    cost
        Of a contact, in units of the outcome.

    Notes
    -----
    Gain = share x (difference of arms among the chosen - cost): weights 1 / P(arm), normalised
    (Hájek). Its error is the infinitesimal jackknife's, with the chosen taken as fixed.
    """
    if not 0 < share <= 1:
        raise InvalidParameter(f"a share of {share} cannot be treated", hint="above 0, at most 1")
    trial = make_trial(treated, outcome, propensity=propensity)
    score = _scores(uplift, trial)
    n = len(score)
    chosen = np.zeros(n, dtype=bool)
    chosen[np.argsort(-score, kind="stable")[: round(share * n)]] = True
    everyone = np.ones(n, dtype=bool)
    top, top_slopes, status = difference(chosen, trial)
    all_, all_slopes, _ = difference(everyone, trial)
    if not np.isfinite(top + all_):
        return PolicyValue(share, *(missing(n, status),) * 3)
    part = float(chosen.mean())

    def estimate(value: float, slopes: np.ndarray) -> Estimate:
        return make_estimate(value, slopes, level=level, status=status)

    return PolicyValue(
        share,
        estimate(part * (top - cost), part * top_slopes),
        estimate(part * (top - all_), part * (top_slopes - all_slopes)),
        estimate(part * (top - cost) - (all_ - cost), part * top_slopes - all_slopes),
    )


def difference(rows: np.ndarray, trial: Trial) -> tuple[float, np.ndarray, str]:
    """Difference of arms among the chosen rows, its (n,) derivatives by weight, its status."""
    slopes, means, sizes = np.zeros(len(rows)), [], []
    for arm, sign in ((0, -1.0), (1, 1.0)):
        own = rows & (trial.t == arm)
        weight = float(trial.w[own].sum())
        sizes.append(int(own.sum()))
        mean = float(trial.w[own] @ trial.y[own]) / weight if weight else float("nan")
        means.append(mean)
        if weight:  # n / (n - 1): the mean was taken from the same rows
            wide = np.sqrt(sizes[-1] / max(sizes[-1] - 1, 1))
            slopes[own] = sign * wide * trial.w[own] * (trial.y[own] - mean) / weight
    status = NO_UNITS if min(sizes) == 0 else TOO_FEW_UNITS if min(sizes) < MIN_UNITS else OK
    if status != NO_UNITS and not slopes.any():
        status = ZERO_VARIANCE
    return means[1] - means[0], slopes, status


def _measure(
    name: str, rows: np.ndarray, score: np.ndarray, trial: Trial, *, level: float
) -> Group:
    n = int(rows.sum())
    predicted = float(score[rows].mean()) if n else float("nan")
    value, slopes, status = difference(rows, trial)
    if status in {NO_UNITS, ZERO_VARIANCE}:
        nan = float("nan")
        found = Estimate(value, nan, nan, n, status)
    else:
        made = make_estimate(value, slopes, level=level, status=status)
        found = Estimate(made.value, made.low, made.high, n, status)
    return Group(name, n, n / max(len(rows), 1), predicted, found)


def _scores(uplift: ArrayLike, trial: Trial) -> np.ndarray:
    score = np.asarray(uplift, dtype=float)
    if score.shape != trial.y.shape or not np.isfinite(score).all():
        raise InvalidParameter("each row needs a predicted uplift")
    return score
