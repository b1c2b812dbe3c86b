"""How many groups: every number tried, judged by four figures, one recommended with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import cut_tree, linkage
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)
from threadpoolctl import threadpool_limits

from zhiyin.core.arguments import check_whole
from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.core.rng import Streams
from zhiyin.understand.segment.kmeans import check_matrix, nearest
from zhiyin.understand.segment.ordering import order_rows

METHODS = ("kmeans", "ward")
RESAMPLES = 20
_ROWS = {"kmeans": 10_000, "ward": 2_000}  # customers that groups are fitted on
_JUDGED = 2_000  # of these, for the silhouette: its pairs are counted
_RESAMPLED = {"kmeans": 4_000, "ward": 1_000}
_STABLE = 0.9  # mean adjusted Rand index from which groups return when customers are redrawn
_CLOSE = 0.93  # of the best silhouette: what counts as good as the best
_WEAK, _STRONG = 0.25, 0.5  # silhouettes, as Kaufman and Rousseeuw read them

_STARTS, _STARTS_AGAIN = 5, 3  # of K-means, and on resamples

Fit = Callable[[np.ndarray, range, int, int], list[np.ndarray]]
"""(rows, numbers of groups, seed, starts) → means of the groups for each number."""


@dataclass(frozen=True)
class Tried:
    """Figures of one number of groups.

    `inertia` per customer, `silhouette` [-1, 1], `calinski_harabasz` (larger is better),
    `davies_bouldin` (smaller is better), `stability` (mean adjusted Rand index of refits on
    resampled customers, 1: the same groups return) with its standard deviation, and the share of
    customers in the `smallest` group.
    """

    k: int
    inertia: float
    silhouette: float
    calinski_harabasz: float
    davies_bouldin: float
    stability: float
    stability_std: float
    smallest: float


@dataclass(frozen=True)
class Choice:
    """A number of groups and why.

    Attributes
    ----------
    k
        The number recommended.
    tried
        Figures of every number, by number.
    structure
        `strong`, `medium` or `weak`: how far apart the groups of `k` are.
    reason, reason_zh
        Why this number, in both languages.
    """

    k: int
    tried: tuple[Tried, ...]
    structure: str
    reason: str
    reason_zh: str

    @property
    def chosen(self) -> Tried:
        """Figures of the number recommended."""
        return next(one for one in self.tried if one.k == self.k)

    def table(self) -> pd.DataFrame:
        """One row per number tried, indexed by it."""
        return pd.DataFrame([asdict(one) for one in self.tried]).set_index("k")


def choose_k(
    values: np.ndarray,
    *,
    method: str = "kmeans",
    k_min: int = 2,
    k_max: int = 10,
    resamples: int = RESAMPLES,
    seed: int = 42,
) -> Choice:
    """Recommend a number of groups.

    Parameters
    ----------
    values
        (n, d) finite numbers, comparable columns.
    method
        `kmeans` or `ward`.
    k_min, k_max
        Numbers tried, 2 <= k_min <= k_max; those beyond a third of the distinct rows are not.
    resamples
        Bootstrap resamples behind the stability, at least 2.
    seed
        The same seed gives the same figures, whatever the order of the rows.

    Raises
    ------
    InvalidParameter
        If a parameter is out of range.
    NotEnoughData
        If there are fewer than 3 x k_min distinct rows.

    Notes
    -----
    Recommended is the largest number among those whose silhouette is at least 93 % of the best and
    whose stability is at least .9; where none is that stable, the best silhouette.
    `bench/segment.py` counts how often that is right where groups are planted (0.87 of 60 cases;
    the best silhouette alone 0.77). Large tables are sampled: 10,000 rows (Ward: 2,000) for the
    groups, 2,000 for the silhouette, 4,000 (1,000) for each resample. Sources: Rousseeuw (1987),
    Calinski and Harabasz (1974), Davies and Bouldin (1979), Hennig (2007).
    """
    values = check_matrix(values)
    _check(method, k_min, k_max, resamples)
    ordering = order_rows(values, seed=seed)
    rows = values[ordering.order[: _ROWS[method]]]
    kinds = int(np.searchsorted(ordering.firsts, len(rows)))
    if kinds < 3 * k_min:
        raise NotEnoughData(
            f"{len(values)} rows, {kinds} of them distinct, are too few to choose a number of"
            " groups",
            hint=f"give at least {3 * k_min} different customers, or choose k yourself",
        )
    counts = range(k_min, min(k_max, kinds // 3) + 1)
    fit = {"kmeans": _fit_kmeans, "ward": _fit_ward}[method]
    rng = Streams(seed).generator("choose_k")
    with threadpool_limits(1):
        centers = fit(rows, counts, int(rng.integers(2**31 - 1)), _STARTS)
        agreed = _resample(rows[: _RESAMPLED[method]], counts, centers, fit, rng, resamples)
        tried = tuple(
            _judge(rows, found, agreed[i]) for i, found in enumerate(centers) if len(found) > 1
        )
    return recommend(tried)


def judge_labels(
    values: np.ndarray, labels: np.ndarray, *, seed: int = 42
) -> tuple[float, float, float]:
    """Silhouette, Calinski-Harabasz and Davies-Bouldin of groups, noise (-1) apart, on a sample of
    at most 10,000 rows (silhouette: 2,000); NaN where fewer than two groups are in it."""
    order = order_rows(values, seed=seed).order
    order = order[labels[order] >= 0][: _ROWS["kmeans"]]
    rows, groups = values[order], labels[order]
    few = len(np.unique(groups[:_JUDGED]))
    if not 2 <= few < len(groups[:_JUDGED]):
        return float("nan"), float("nan"), float("nan")
    return (
        float(silhouette_score(rows[:_JUDGED], groups[:_JUDGED])),
        float(calinski_harabasz_score(rows, groups)),
        float(davies_bouldin_score(rows, groups)),
    )


def recommend(tried: tuple[Tried, ...]) -> Choice:
    """The number that the figures speak for, with the reason in words."""
    best = max(one.silhouette for one in tried)
    close = [one for one in tried if one.silhouette >= min(_CLOSE * best, best)]
    stable = [one for one in close if one.stability >= _STABLE]
    chosen = (
        stable[-1] if stable else max(close, key=lambda one: (round(one.silhouette, 9), -one.k))
    )
    structure = "weak"
    if chosen.silhouette >= _WEAK:
        structure = "strong" if chosen.silhouette >= _STRONG else "medium"
    if chosen.stability < _STABLE - 0.3:
        structure = "weak"
    reason, reason_zh = _explain(chosen, tried, structure)
    return Choice(chosen.k, tried, structure, reason, reason_zh)


def _check(method: str, k_min: int, k_max: int, resamples: int) -> None:
    if method not in METHODS:
        raise InvalidParameter(f"no method {method!r} has k", hint=f"use {' or '.join(METHODS)}")
    if not 2 <= check_whole("k_min", k_min) <= check_whole("k_max", k_max):
        raise InvalidParameter(f"k_min {k_min} and k_max {k_max} must be 2 <= k_min <= k_max")
    if check_whole("resamples", resamples) < 2:
        raise InvalidParameter(f"resamples is {resamples}, it must be at least 2")


def _fit_kmeans(rows: np.ndarray, counts: range, seed: int, starts: int) -> list[np.ndarray]:
    kinds = len(np.unique(rows, axis=0))
    return [
        KMeans(min(k, kinds), n_init=starts, random_state=seed).fit(rows).cluster_centers_  # pyright: ignore[reportArgumentType]
        for k in counts
    ]


def _fit_ward(rows: np.ndarray, counts: range, seed: int, starts: int) -> list[np.ndarray]:
    """One tree for every number; `seed` and `starts` have no part in it."""
    labels = cut_tree(linkage(rows, method="ward"), n_clusters=list(counts))
    return [
        np.stack([rows[column == group].mean(axis=0) for group in np.unique(column)])
        for column in labels.T
    ]


def _resample(
    rows: np.ndarray,
    counts: range,
    centers: list[np.ndarray],
    fit: Fit,
    rng: np.random.Generator,
    resamples: int,
) -> np.ndarray:
    """(numbers, resamples) adjusted Rand indices of our groups with those of resamples."""
    ours = [nearest(rows, found)[0] for found in centers]
    agreed = np.empty((len(counts), resamples))
    for column in range(resamples):
        drawn = rows[rng.integers(len(rows), size=len(rows))]
        theirs = fit(drawn, counts, int(rng.integers(2**31 - 1)), _STARTS_AGAIN)
        for i, found in enumerate(theirs):
            agreed[i, column] = adjusted_rand_score(ours[i], nearest(rows, found)[0])
    return agreed


def _judge(rows: np.ndarray, centers: np.ndarray, agreed: np.ndarray) -> Tried:
    labels, distances = nearest(rows, centers)
    judged = rows[:_JUDGED]
    apart = len(np.unique(labels[:_JUDGED])) > 1
    sizes = np.bincount(labels, minlength=len(centers))
    return Tried(
        k=len(centers),
        inertia=float((distances**2).mean()),
        silhouette=float(silhouette_score(judged, labels[:_JUDGED])) if apart else -1.0,
        calinski_harabasz=float(calinski_harabasz_score(rows, labels)) if apart else 0.0,
        davies_bouldin=float(davies_bouldin_score(rows, labels)) if apart else float("inf"),
        stability=float(agreed.mean()),
        stability_std=float(agreed.std()),
        smallest=float(sizes.min() / len(rows)),
    )


def _explain(chosen: Tried, tried: tuple[Tried, ...], structure: str) -> tuple[str, str]:
    best = max(tried, key=lambda one: (round(one.silhouette, 9), -one.k))
    is_best = chosen.k == best.k
    en = [
        f"{chosen.k} groups: silhouette {chosen.silhouette:.2f}"
        + (", the best of all tried" if is_best else f" ({best.silhouette:.2f} at k = {best.k})")
    ]
    zh = [
        f"建议分 {chosen.k} 群：轮廓系数 {chosen.silhouette:.2f}"
        + ("，为各方案最高" if is_best else f"(k = {best.k} 时为 {best.silhouette:.2f})")
    ]
    again = chosen.stability >= _STABLE
    en.append(
        f"stability {chosen.stability:.2f} over resampled customers: "
        + ("the same groups return" if again else "the groups change when customers are redrawn")
    )
    zh.append(
        f"重抽样稳定性 {chosen.stability:.2f}，" + ("分群可重现" if again else "换一批客户分群会变")
    )
    also_en, also_zh = _votes(tried)
    en.append(also_en)
    zh.append(also_zh)
    if structure == "weak":
        en.append("the groups are hardly apart: a division for convenience, no natural groups")
        zh.append("各群界限不清，只是便于管理的划分，并非天然群体")
    return "; ".join(en), "；".join(zh)


def _votes(tried: tuple[Tried, ...]) -> tuple[str, str]:
    """What the two other figures would take."""
    ratio = max(tried, key=lambda one: (round(one.calinski_harabasz, 6), -one.k)).k
    bouldin = min(tried, key=lambda one: (round(one.davies_bouldin, 9), one.k)).k
    return (
        f"Calinski-Harabasz is best at k = {ratio}, Davies-Bouldin at k = {bouldin}",
        f"Calinski-Harabasz 指数在 k = {ratio} 最优，Davies-Bouldin 指数在 k = {bouldin} 最优",
    )
