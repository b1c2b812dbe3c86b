"""Purchases and spend to come: the models of purchases, mended by gradient boosting where it helps.

The base is the geometric mean of what BG/NBD and Pareto/NBD expect (for spend: times what
Gamma-Gamma expects per purchase). Trees learn by what factor customers with the same features
bought more or less than the base said, at several past cuts. How far they are followed is chosen on
the last stretch of time before the day, by trees that saw nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from zhiyin.core.arguments import check_whole, show
from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.boosted import walk
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
class Factor:
    """Trees that say by what factor customers buy more or less than the base: exp of their sum."""

    edges: list[np.ndarray]
    baseline: float
    nodes: list[np.ndarray]

    def predict(self, seen: np.ndarray) -> np.ndarray:
        """(k,) factors for (k, d) of what `_see` gives."""
        binned = _bin(seen, self.edges)
        margin = np.full(len(seen), self.baseline)
        for nodes in self.nodes:
            margin += walk(nodes, binned)
        return np.exp(margin)


@dataclass(frozen=True, eq=False)
class ValueModel:
    """What was learned of purchases and spend: a model that can be kept and speak another day.

    `factors` of purchases and of spend are None where trees are not followed (weight 0).
    """

    base: Base
    weights: tuple[float, float]
    factors: tuple[Factor | None, Factor | None]

    def expect(self, cut: Cut, horizon_days: int) -> tuple[np.ndarray, np.ndarray]:
        """(k,) purchases and (k,) spend of the customers of a cut in the days to come."""
        told = _expect(self.base, cut, horizon_days)
        seen = _see(cut, told, horizon_days)
        counts, spend = (
            one if factor is None else one * factor.predict(seen) ** weight
            for one, factor, weight in zip(told, self.factors, self.weights, strict=True)
        )
        return counts, spend

    def p_alive(self, cut: Cut) -> np.ndarray:
        """(k,) mean of both models' probability to be still a customer."""
        history = (cut.frequency, cut.recency, cut.age)
        return (self.base.bgnbd.p_alive(*history) + self.base.pareto.p_alive(*history)) / 2

    def to_artifact(self) -> dict[str, Any]:
        """JSON values and arrays, for `from_artifact`."""
        spend = self.base.spend
        return {
            "bgnbd": dict(self.base.bgnbd.parameters),
            "pareto_nbd": dict(self.base.pareto.parameters),
            "gamma_gamma": None if spend is None else dict(spend.parameters),
            "weights": list(self.weights),
            "factors": [
                None if one is None
                else {"edges": one.edges, "baseline": one.baseline, "nodes": one.nodes}
                for one in self.factors
            ],
        }  # fmt: skip

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> ValueModel:
        """The model that `to_artifact` wrote."""
        spend = artifact["gamma_gamma"]
        purchases, money = artifact["factors"]
        counts, amounts = artifact["weights"]
        return cls(
            Base(
                BgNbd(**artifact["bgnbd"]), ParetoNbd(**artifact["pareto_nbd"]),
                None if spend is None else GammaGamma(**spend),
            ),
            (counts, amounts),
            (Factor(**purchases) if purchases else None, Factor(**money) if money else None),
        )  # fmt: skip


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
    model
        What was learned; `purchases_weight`, `spend_weight`: how far the trees were followed.
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
    model: ValueModel
    horizon_days: int
    validation: Mapping[str, Mapping[float, float]] = field(default_factory=dict)

    @property
    def purchases_weight(self) -> float:
        """How far the trees of purchases were followed: 0 or .5."""
        return self.model.weights[0]

    @property
    def spend_weight(self) -> float:
        """How far the trees of spend were followed: 0 or .5."""
        return self.model.weights[1]


def learn_value(
    days: PurchaseDays, *, back: int = 0, horizon_days: int, seed: int
) -> tuple[ValueModel, dict[str, dict[float, float]]]:
    """What the purchases of at least `back` days before the day teach, with its validation.

    Raises
    ------
    NotEnoughData
        As `forecast_value`.
    """
    base = _fit_base(cut_purchases(days, back))
    with threadpool_limits(1):  # equal sums in equal order
        weights, validation = _choose_weights(days, back, horizon_days, seed)
        factors = _learn_factors(days, base, back, horizon_days, weights, seed)
    kept = tuple(0.0 if one is None else w for one, w in zip(factors, weights, strict=True))
    return ValueModel(base, (kept[0], kept[1]), factors), validation


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
    if not isinstance(days, PurchaseDays):
        raise InvalidParameter(f"days is {show(days)}", hint="hand in what read_purchases(…) gives")
    if not isinstance(rng, np.random.Generator):
        raise InvalidParameter(f"rng is {show(rng)}", hint="rng=numpy.random.default_rng(7)")
    if not 1 <= check_whole("horizon_days", horizon_days) <= 3650:
        raise InvalidParameter(f"horizon_days is {horizon_days}", hint="look 1 to 3650 days ahead")
    model, validation = learn_value(
        days, horizon_days=horizon_days, seed=int(rng.integers(2**31 - 1))
    )
    return tell_value(model, days, horizon_days=horizon_days, validation=validation)


def tell_value(
    model: ValueModel,
    days: PurchaseDays,
    *,
    horizon_days: int,
    validation: Mapping[str, Mapping[float, float]] | None = None,
) -> Forecast:
    """What a model expects of each customer from the day on, be it of today or an older one."""
    now = cut_purchases(days, 0)
    base, history = model.base, (now.frequency, now.recency, now.age)
    counts, spend = _expect(base, now, horizon_days)
    mended = model.expect(now, horizon_days)
    return Forecast(
        customer_ids=days.customer_ids[now.customers],
        purchases=mended[0],
        spend=mended[1],
        bgnbd_purchases=base.bgnbd.conditional_expected_purchases(horizon_days, *history),
        pareto_purchases=base.pareto.conditional_expected_purchases(horizon_days, *history),
        base_purchases=counts,
        base_spend=spend,
        p_alive=model.p_alive(now),
        model=model,
        horizon_days=horizon_days,
        validation=validation or {},
    )


def poisson_deviance(actual: np.ndarray, expected: np.ndarray) -> float:
    """Mean Poisson deviance; quasi-likelihood for amounts. Smaller is better."""
    return float(row_deviance(actual, expected).mean())


def row_deviance(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """(k,) Poisson deviance of each customer."""
    told = np.maximum(expected, 1e-12)
    ratio = np.where(actual > 0, actual, 1.0) / told
    return 2 * (np.where(actual > 0, actual * np.log(ratio), 0.0) - (actual - told))


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
    days: PurchaseDays, back: int, horizon_days: int, seed: int
) -> tuple[tuple[float, float], dict[str, dict[float, float]]]:
    """The weight of the trees for purchases and for spend, judged on the last stretch of time."""
    length = min(horizon_days, (days.span_days - back) // 3)
    then = cut_purchases(days, back + length)
    try:
        base = _fit_base(then)
    except NotEnoughData:
        return (0.0, 0.0), {}
    told = _expect(base, then, length)
    truth = count_after(days, then.customers, back=back + length, length=length)
    if truth[0].sum() < _LEAST_POSITIVES:
        return (0.0, 0.0), {}
    factors = _learn_factors(days, base, back + length, horizon_days, (1.0, 1.0), seed)
    mended = ValueModel(base, (1.0, 1.0), factors).expect(then, horizon_days)
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


def _learn_factors(
    days: PurchaseDays, base: Base, back: int, horizon_days: int,
    weights: tuple[float, float], seed: int,
) -> tuple[Factor | None, Factor | None]:  # fmt: skip
    """Trees that learned before `back`, of purchases and of spend; None for a weight of 0."""
    if not any(weights):
        return None, None
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
        return None, None
    seen = np.concatenate([part[0] for part in parts])
    made: list[Factor | None] = []
    for place, weight in enumerate(weights):
        exposure = np.concatenate(
            [part[1][place] * part[2][place].sum() / part[1][place].sum() for part in parts]
        )
        actual = np.concatenate([part[2][place] for part in parts])
        made.append(_boost(seen, actual, exposure, seed) if weight else None)
    return made[0], made[1]


def _see(cut: Cut, told: tuple[np.ndarray, np.ndarray], length: int) -> np.ndarray:
    """(k, d) what trees see: features, and the logs of what is expected per day."""
    return np.column_stack([cut.features, *(np.log(one / length) for one in told)])


def _boost(seen: np.ndarray, actual: np.ndarray, exposure: np.ndarray, seed: int) -> Factor:
    """Trees that correct the exposure."""
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
    baseline = float(np.ravel(trees._baseline_prediction)[0])
    return Factor(edges, baseline, [stage[0].nodes for stage in trees._predictors])


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
