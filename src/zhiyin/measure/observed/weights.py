"""Recipients against others who were not contacted, made alike by what is known of both.

Doubly robust: a propensity (who was contacted) weighs the others, an outcome model takes what is
left; the answer holds where either is right, and only for reasons that are among the covariates.
Both are fitted on other customers than they are used on (Chernozhukov et al. 2018, *Econometrics
Journal* 21:C1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.values import Estimate
from zhiyin.measure.intervals import LEVEL, critical_z, missing
from zhiyin.measure.observed.sensitivity import hidden_reason
from zhiyin.measure.status import NO_OVERLAP, OK, TOO_FEW_UNITS, UNBALANCED, ZERO_VARIANCE
from zhiyin.measure.uplift.bases import fit_linear

Target = Literal["recipients", "overlap"]
FOLDS: Final = 5
LEAST_UNITS: Final = 100
"""Fewer recipients, or others, are not compared: no model of them holds."""
LIKELIEST: Final = 0.9
"""Recipients with a higher propensity have no like (Crump et al. 2009, *Biometrika* 96:187)."""
LEAST_COVERED: Final = 0.5
LARGEST_GAP: Final = 0.1
"""Standardised difference that is still called alike (Austin 2009, *Statistics in Medicine*)."""
PENALTY: Final = 1.0


@dataclass(frozen=True)
class Balance:
    """Standardised difference of one covariate, recipients less others, before and after."""

    name: str
    before: float
    after: float


@dataclass(frozen=True)
class Observed:
    """An adjusted effect per recipient, with what is needed to judge it.

    `estimate` is NaN where the comparison refuses, with the reason as its status: `too_few_units`,
    `no_overlap`, `unbalanced`. `covered` is the share of recipients who have a like, to whom it
    applies; `alike` how many of the others it leans on (Kish's effective number); `unadjusted`
    the plain difference. `e_value` and `e_value_low` say how strong a hidden reason would have to
    be (`sensitivity`). `spread` is the outcome's standard deviation among recipients,
    `spread_left` that after what the covariates say of it.
    """

    estimate: Estimate
    unadjusted: float
    balance: tuple[Balance, ...]
    covered: float
    alike: float
    auc: float
    e_value: float
    e_value_low: float
    recipients: int
    others: int
    spread: float
    spread_left: float

    @property
    def largest_gap(self) -> float:
        """The largest standardised difference that is left; NaN without covariates."""
        return max((abs(one.after) for one in self.balance), default=float("nan"))


def compare_observed(
    covariates: ArrayLike,
    contacted: ArrayLike,
    outcome: ArrayLike,
    *,
    names: Sequence[str] = (),
    target: Target = "recipients",
    rng: np.random.Generator,
    level: float = LEVEL,
) -> Observed:
    """What the contact is likely to have changed, were who got it told by the covariates.

    Parameters
    ----------
    covariates
        (n, k) numbers known *before* the contact; missing (NaN) is a value of its own. Money and
        counts may be skewed: they are compressed by signed logarithms.
    contacted
        (n,) 0/1.
    outcome
        (n,) what each did afterwards.
    names
        Of the k covariates, for the table of balance.
    target
        `recipients`: those of them who have a like among the others. `overlap`: those who might
        as well have been chosen as not (Li, Morgan and Zaslavsky 2018, *JASA* 113:390); it asks
        for no bounds and has the smallest error, but is of nobody whom one could list.
    rng
        Draws the folds.
    level
        Coverage of the interval.

    Raises
    ------
    InvalidParameter
        If lengths differ, or a mark is not 0 or 1, or an outcome is not finite.

    Notes
    -----
    Of recipients: mean of T (y - m0) - (1 - T) w (y - m0), w = e / (1 - e) scaled to the number of
    recipients; of overlap: weights e (1 - e), with both arms' outcome models. The interval is
    normal, from the influence of each customer.
    """
    made = prepare(covariates, contacted, outcome, names=names, rng=rng)
    return made.compare(target, level=level)


def prepare(
    covariates: ArrayLike,
    contacted: ArrayLike,
    outcome: ArrayLike,
    *,
    names: Sequence[str] = (),
    rng: np.random.Generator,
) -> Prepared:
    """What both targets of `compare_observed` share, whose arguments and errors it has."""
    x, treated, y = _check(covariates, contacted, outcome)
    names = tuple(names) or tuple(f"x{i + 1}" for i in range(x.shape[1]))
    made = _standardise(x)
    folds = np.argsort(rng.permutation(len(y))) % FOLDS
    nothing = np.full(len(y), np.nan)
    if min(int(treated.sum()), int((~treated).sum())) < LEAST_UNITS:
        return Prepared(names, made, treated, y, folds, nothing, nothing)
    chance = _cross_fit(made, treated, folds, np.ones(len(y), dtype=bool), logit=True)
    without = _cross_fit(made, y, folds, ~treated, logit=False)
    return Prepared(names, made, treated, y, folds, chance, without)


@dataclass(frozen=True, eq=False)
class Prepared:
    """Customers with their propensity and what is expected of each without the contact."""

    names: tuple[str, ...]
    x: NDArray[np.float64]
    treated: NDArray[np.bool_]
    y: NDArray[np.float64]
    folds: NDArray[np.intp]
    chance: NDArray[np.float64]
    without: NDArray[np.float64]

    def compare(self, target: Target, *, level: float = LEVEL) -> Observed:
        """The effect on one of the targets of `compare_observed`."""
        treated, y, chance = self.treated, self.y, self.chance
        if np.isnan(chance).any():
            return _refuse(TOO_FEW_UNITS, treated, y)
        kept = np.ones(len(y), dtype=bool)
        if target == "recipients":
            kept = (chance <= LIKELIEST) & (treated | (chance >= chance[treated].min()))
        covered, auc = float(kept[treated].mean()), _auc(chance, treated)
        enough = min(int(kept[treated].sum()), int(kept[~treated].sum())) >= LEAST_UNITS
        if covered < LEAST_COVERED or not enough:
            return _refuse(NO_OVERLAP, treated, y, covered=covered, auc=auc)
        weight = _weigh(chance, treated, kept, target)
        value, error = self._estimate(weight, kept, target)
        balance = _balance(self.x, self.names, treated, weight)
        gap = max((abs(one.after) for one in balance), default=0.0)
        status = UNBALANCED if gap > LARGEST_GAP else OK if error > 0 else ZERO_VARIANCE
        estimate = missing(int(kept.sum()), status)
        if status == OK:
            half = critical_z(level) * error
            estimate = Estimate(value, value - half, value + half, int(kept.sum()), OK)
        alike = float(weight[~treated].sum() ** 2 / (weight[~treated] ** 2).sum())
        strong, weak = hidden_reason(
            estimate.value, estimate.low, estimate.high, spread=float(y.std())
        )
        ones = int(treated.sum())
        return Observed(
            estimate, _plain(treated, y), balance, covered, alike, auc, strong, weak,
            ones, len(y) - ones, float(y[treated].std(ddof=1)), _left(self.x, treated, y),
        )  # fmt: skip

    def _estimate(
        self, weight: NDArray[np.float64], kept: NDArray[np.bool_], target: Target
    ) -> tuple[float, float]:
        """The effect and its standard error."""
        y, treated, chance, without = self.y, self.treated, self.chance, self.without
        if target == "recipients":
            gain, tilt = np.zeros(len(y)), np.zeros(len(y))
            residual = np.where(kept, y - without, 0.0) * np.where(treated, 1.0, -1.0)
        else:
            with_ = _cross_fit(self.x, y, self.folds, treated, logit=False)
            gain = with_ - without
            tilt = chance * (1 - chance) / (chance * (1 - chance)).sum()
            residual = np.where(treated, y - with_, without - y)
        value = float(tilt @ gain + weight @ residual)
        influence = tilt * (gain - tilt @ gain)
        for arm in (treated, ~treated):  # weights are scaled within an arm: its mean moves with it
            influence[arm] += weight[arm] * (residual[arm] - weight[arm] @ residual[arm])
        return value, float(np.sqrt((influence**2).sum()))


def _check(
    covariates: ArrayLike, contacted: ArrayLike, outcome: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    x, y = np.asarray(covariates, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    marks = np.asarray(contacted)
    if x.ndim != 2 or y.shape != (len(x),) or marks.shape != y.shape:
        raise InvalidParameter(
            f"covariates {x.shape}, contacted {marks.shape} and outcome {y.shape} do not fit",
            hint="(n, k), (n,) and (n,)",
        )
    if not np.isin(marks, (0, 1)).all() or not np.isfinite(y).all():
        raise InvalidParameter(
            "a mark is not 0 or 1, or an outcome is no finite number",
            hint="leave out whose outcome is unknown",
        )
    return x, marks.astype(bool), y


def _standardise(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compressed, with squares, and a column for gaps: mean 0 and deviation 1; constants are 0."""
    gaps = np.isnan(x)
    known = np.ma.masked_array(np.abs(x), mask=gaps | (x == 0))
    scale = np.asarray(np.ma.median(known, axis=0).filled(1.0)) if len(x) else np.ones(x.shape[1])
    packed = np.sign(x) * np.log1p(np.abs(x) / scale)
    plain = _scale(np.where(gaps, 0.0, packed))
    bent = _scale(np.clip(plain, -3, 3) ** 2)
    return np.hstack([plain, bent, _scale(np.unique(gaps, axis=1).astype(float))])


def _scale(made: NDArray[np.float64]) -> NDArray[np.float64]:
    made = made - made.mean(axis=0)
    deviation = made.std(axis=0)
    return made / np.where(deviation > 1e-12, deviation, 1.0)


def _cross_fit(
    x: NDArray[np.float64],
    y: NDArray,
    folds: NDArray[np.intp],
    of: NDArray[np.bool_],
    *,
    logit: bool,
) -> NDArray[np.float64]:
    """(n,) expectations by models of the rows `of` in the other folds."""
    x = x[:, x.any(axis=0)]
    made = np.empty(len(y))
    for fold in range(FOLDS):
        mine, learn = folds == fold, (folds != fold) & of
        centre, spread = (0.0, 1.0) if logit else (y[learn].mean(), y[learn].std() or 1.0)
        scaled = (y[learn] - centre) / spread  # so that the penalty means the same for any money
        fitted = fit_linear(x[learn], scaled, penalty=PENALTY, logit=logit)
        made[mine] = centre + spread * fitted.predict(x[mine])
    return np.clip(made, 1e-6, 1 - 1e-6) if logit else made


def _weigh(
    chance: NDArray[np.float64], treated: NDArray[np.bool_], kept: NDArray[np.bool_], target: Target
) -> NDArray[np.float64]:
    """(n,) weights that sum to 1 in each arm; 0 for those left out."""
    if target == "overlap":
        weight = np.where(treated, 1 - chance, chance)
    else:
        weight = np.where(treated, 1.0, chance / (1 - chance)) * kept
    for arm in (treated, ~treated):
        weight[arm] /= weight[arm].sum()
    return weight


def _balance(
    x: NDArray[np.float64],
    names: Sequence[str],
    treated: NDArray[np.bool_],
    weight: NDArray[np.float64],
) -> tuple[Balance, ...]:
    """Differences in units of the covariate's spread within the unweighted arms."""
    k = len(names)
    one, other = x[treated, :k], x[~treated, :k]
    spread = np.sqrt((one.var(axis=0) + other.var(axis=0)) / 2)
    spread = np.where(spread > 1e-12, spread, np.inf)
    before = (one.mean(axis=0) - other.mean(axis=0)) / spread
    after = (weight[treated] @ one - weight[~treated] @ other) / spread
    return tuple(
        Balance(name, float(b), float(a)) for name, b, a in zip(names, before, after, strict=True)
    )


def _left(x: NDArray[np.float64], treated: NDArray[np.bool_], y: NDArray[np.float64]) -> float:
    """Deviation of the recipients' outcomes that the covariates do not explain."""
    mine, values = x[treated], y[treated]
    centre, spread = values.mean(), values.std() or 1.0
    fitted = fit_linear(mine, (values - centre) / spread, penalty=PENALTY, logit=False)
    residual = values - centre - spread * fitted.predict(mine)
    freedom = max(len(values) - x.shape[1] - 1, 1)
    return float(np.sqrt((residual**2).sum() / freedom))


def _auc(chance: NDArray[np.float64], treated: NDArray[np.bool_]) -> float:
    """How well the covariates tell who was chosen: .5 as by lot, 1 by a rule."""
    _, group, size = np.unique(chance, return_inverse=True, return_counts=True)
    rank = (np.cumsum(size) - (size - 1) / 2)[group]
    ones = int(treated.sum())
    zeros = len(treated) - ones
    return float((rank[treated].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _plain(treated: NDArray[np.bool_], y: NDArray[np.float64]) -> float:
    if treated.all() or not treated.any():
        return float("nan")
    return float(y[treated].mean() - y[~treated].mean())


def _refuse(
    status: str,
    treated: NDArray[np.bool_],
    y: NDArray[np.float64],
    *,
    covered: float = float("nan"),
    auc: float = float("nan"),
) -> Observed:
    nan, ones = float("nan"), int(treated.sum())
    spread = float(y[treated].std(ddof=1)) if ones > 1 else nan
    return Observed(
        missing(len(y), status), _plain(treated, y), (), covered, 0.0, auc, nan, nan,
        ones, len(y) - ones, spread, spread,
    )  # fmt: skip
