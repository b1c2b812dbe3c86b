"""Purchases and spend to come: the models of purchases, mended by gradient boosting where it helps.

The base is the geometric mean of what BG/NBD and Pareto/NBD expect (for spend: times what
Gamma-Gamma expects per purchase). Trees learn by what factor customers with the same features
bought more or less than the base said, at several past cuts. How far they are followed is chosen on
the last stretch of time before the day, by trees that saw nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.value.bgnbd import BgNbd, fit_bgnbd
from zhiyin.understand.value.gamma_gamma import GammaGamma, fit_gamma_gamma
from zhiyin.understand.value.pareto_nbd import ParetoNbd, fit_pareto_nbd
from zhiyin.understand.value.purchases import Cut, PurchaseDays, count_after, cut_purchases

WEIGHTS = (0.0, 0.5)
"""How far the trees may be followed: base x factor^weight. Half way or not at all: within the first
39 weeks of CDNOW, of customers outside the paper's sample, half was better than a finer choice,
which follows the noise of a few hundred purchases."""

_CUTS = (0.35, 0.5, 0.625, 0.75)  # shares of the time seen, at which the trees learn
_TREES, _RATE, _LEAVES, _LEAF_ROWS = 80, 0.04, 4, 100
_BINS = 100
_LEAST_ROWS = 1_000
_MOST_ROWS = 200_000
_LEAST_POSITIVES = 50


@dataclass(frozen=True, eq=False)
class Base:
    """The models of purchases and of spend, fitted on one cut; `spend` None: too few repeaters."""

    bgnbd: BgNbd
    pareto: ParetoNbd
    spend: GammaGamma | None


@dataclass(frozen=True, eq=False)
class Forecast:
    """What is expected of each customer in the next `horizon_days`.

    Attributes
    ----------
    customer_ids
        (n,) ids, sorted.
    purchases, spend
        (n,) expected purchase days and spend: the base mended by trees.
    bgnbd_purchases, pareto_purchases, base_purchases, base_spend
        (n,) what the models expect without trees.
    p_alive
        (n,) mean of both models' probability to be still a customer.
    purchases_weight, spend_weight
        How far the trees were followed: 0 or .5.
    validation
        Mean Poisson deviance of each weight on the stretch of time it was chosen on, for
        `purchases` and `spend`; empty where there was too little.
    """

    customer_ids: np.ndarray
    purchases: np.ndarray
    spend: np.ndarray
    bgnbd_purchases: np.ndarray
    pareto_purchases: np.ndarray
    base_purchases: np.ndarray
    base_spend: np.ndarray
    p_alive: np.ndarray
    base: Base
    horizon_days: int
    purchases_weight: float
    spend_weight: float
    validation: Mapping[str, Mapping[float, float]] = field(default_factory=dict)


def forecast_value(days: PurchaseDays, *, horizon_days: int, rng: np.random.Generator) -> Forecast:
    """Expect the purchases and the spend of each customer in the days to come.

    Parameters
    ----------
    days
        What `read_purchases` gives.
    horizon_days
        How many days ahead, 1..3650.
    rng
        Draws the features each split of a tree may see.

    Raises
    ------
    InvalidParameter
        If the horizon is out of range.
    NotEnoughData
        If the models of purchases cannot be fitted: see `fit_bgnbd`.

    Notes
    -----
    Trees: 80 of 4 leaves, Poisson loss with the base as exposure (Friedman 2001; the weight
    trick is exact for the Poisson log-likelihood). Cuts at 35, 50, 62.5 and 75 % of the time
    seen; the weight is the one with the lowest deviance on the last third of it, or on the last
    `horizon_days` where these are shorter. Ties go to the smaller weight.
    """
    if not 1 <= horizon_days <= 3650:
        raise InvalidParameter(f"horizon_days is {horizon_days}", hint="look 1 to 3650 days ahead")
    now = cut_purchases(days, 0)
    base = _fit_base(now)
    seed = int(rng.integers(2**31 - 1))
    with threadpool_limits(1):  # equal sums in equal order
        weights, validation = _choose_weights(days, horizon_days, seed)
        counts, spend = _expect(base, now, horizon_days)
        mended = _mend(days, base, now, 0, horizon_days, (counts, spend), weights, seed)
    history = (now.frequency, now.recency, now.age)
    alive = (base.bgnbd.p_alive(*history) + base.pareto.p_alive(*history)) / 2
    return Forecast(
        customer_ids=days.customer_ids[now.customers],
        purchases=mended[0],
        spend=mended[1],
        bgnbd_purchases=base.bgnbd.conditional_expected_purchases(horizon_days, *history),
        pareto_purchases=base.pareto.conditional_expected_purchases(horizon_days, *history),
        base_purchases=counts,
        base_spend=spend,
        p_alive=alive,
        base=base,
        horizon_days=horizon_days,
        purchases_weight=weights[0],
        spend_weight=weights[1],
        validation=validation,
    )


def poisson_deviance(actual: np.ndarray, expected: np.ndarray) -> float:
    """Mean Poisson deviance; quasi-likelihood for amounts. Smaller is better."""
    told = np.maximum(expected, 1e-12)
    ratio = np.where(actual > 0, actual, 1.0) / told
    return float(2 * np.mean(np.where(actual > 0, actual * np.log(ratio), 0.0) - (actual - told)))


def _fit_base(cut: Cut) -> Base:
    history = (cut.frequency, cut.recency, cut.age)
    paying = (cut.frequency > 0) & (cut.monetary > 0)
    try:
        spend = fit_gamma_gamma(cut.frequency[paying], cut.monetary[paying])
    except NotEnoughData:
        spend = None
    if spend is not None and not np.isfinite(spend.mean_spend):
        spend = None  # a mean that does not exist: the mean of what was seen stands in
    return Base(fit_bgnbd(*history), fit_pareto_nbd(*history), spend)


def _expect(base: Base, cut: Cut, horizon_days: int) -> tuple[np.ndarray, np.ndarray]:
    """(k,) purchases and (k,) spend that the models expect."""
    history = (cut.frequency, cut.recency, cut.age)
    one = base.bgnbd.conditional_expected_purchases(horizon_days, *history)
    other = base.pareto.conditional_expected_purchases(horizon_days, *history)
    counts = np.maximum(np.sqrt(one * other), 1e-9)
    if base.spend is None:
        return counts, counts * max(cut.mean_spend, 1e-9)
    paid = np.where(cut.monetary > 0, cut.frequency, 0)
    return counts, counts * np.maximum(base.spend.expected_spend(paid, cut.monetary), 1e-9)


def _choose_weights(
    days: PurchaseDays, horizon_days: int, seed: int
) -> tuple[tuple[float, float], dict[str, dict[float, float]]]:
    """The weight of the trees for purchases and for spend, judged on the last stretch of time."""
    length = min(horizon_days, days.span_days // 3)
    then = cut_purchases(days, length)
    try:
        base = _fit_base(then)
    except NotEnoughData:
        return (0.0, 0.0), {}
    told = _expect(base, then, length)
    truth = count_after(days, then.customers, back=length, length=length)
    if truth[0].sum() < _LEAST_POSITIVES:
        return (0.0, 0.0), {}
    mended = _mend(days, base, then, length, horizon_days, told, (1.0, 1.0), seed)
    found: dict[str, dict[float, float]] = {}
    for name, expected, full, actual in zip(
        ("purchases", "spend"), told, mended, truth, strict=True
    ):
        level = actual.sum() / expected.sum()  # of spend: a unit that no weight changes
        scale = max(float(actual.mean()), 1e-12) if name == "spend" else 1.0
        found[name] = {
            weight: poisson_deviance(
                actual / scale, level * expected * (full / expected) ** weight / scale
            )
            for weight in WEIGHTS
        }
    best = [min(found[name], key=lambda w: (round(found[name][w], 9), w)) for name in found]
    return (best[0], best[1]), found


def _mend(
    days: PurchaseDays, base: Base, cut: Cut, back: int, horizon_days: int,
    told: tuple[np.ndarray, np.ndarray], weights: tuple[float, float], seed: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """What the models told, times the factor of trees that learned before `back`, to a weight."""
    if not any(weights):
        return told
    parts = []
    for share in _CUTS:
        at = back + round((days.span_days - back) * (1 - share))
        length = min(horizon_days, at - back)
        past = cut_purchases(days, at)
        if length < 1 or not len(past.customers):
            continue
        truth = count_after(days, past.customers, back=at, length=length)
        expected = _expect(base, past, length)
        parts.append((_see(past, expected, length), expected, truth))
    rows = sum(len(part[0]) for part in parts)
    if rows < _LEAST_ROWS or sum(part[2][0].sum() for part in parts) < _LEAST_POSITIVES:
        return told
    seen = np.concatenate([part[0] for part in parts])
    here = _see(cut, told, horizon_days)
    made = []
    for place, weight in enumerate(weights):
        exposure = np.concatenate(
            [part[1][place] * part[2][place].sum() / part[1][place].sum() for part in parts]
        )
        actual = np.concatenate([part[2][place] for part in parts])
        factor = _boost(seen, actual, exposure, here, seed) if weight else np.ones(len(here))
        made.append(told[place] * factor**weight)
    return made[0], made[1]


def _see(cut: Cut, told: tuple[np.ndarray, np.ndarray], length: int) -> np.ndarray:
    """(k, d) what trees see: features, and the logs of what is expected per day."""
    return np.column_stack([cut.features, *(np.log(one / length) for one in told)])


def _boost(
    seen: np.ndarray, actual: np.ndarray, exposure: np.ndarray, here: np.ndarray, seed: int
) -> np.ndarray:
    """(k,) factors by which trees correct the exposure."""
    kept = exposure > 0
    if kept.sum() > _MOST_ROWS:
        kept &= np.arange(len(kept)) % (len(kept) // _MOST_ROWS + 1) == 0
    trees = HistGradientBoostingRegressor(
        loss="poisson", max_iter=_TREES, learning_rate=_RATE, max_leaf_nodes=_LEAVES,
        min_samples_leaf=_LEAF_ROWS, l2_regularization=1.0, max_features=0.5,
        early_stopping=False, random_state=seed,
    )  # fmt: skip # pyright: ignore[reportArgumentType]
    exposed = exposure[kept]
    edges = [_edges(column) for column in seen[kept].T]
    trees.fit(
        _bin(seen[kept], edges), actual[kept] / exposed, sample_weight=exposed / exposed.mean()
    )
    return trees.predict(_bin(here, edges))


def _edges(column: np.ndarray) -> np.ndarray:
    """Cuts between equal counts of a feature; scikit-learn's own, weighted, take 20 x the fit."""
    known = column[~np.isnan(column)]
    if not len(known):
        return np.zeros(0)
    return np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1]))


def _bin(values: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    """Number of the bin of each value; NaN stays."""
    columns = [
        np.where(np.isnan(column), np.nan, np.searchsorted(cuts, column, side="right"))
        for column, cuts in zip(values.T, edges, strict=True)
    ]
    return np.column_stack(columns)
