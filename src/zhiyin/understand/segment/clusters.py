"""K-means on transformed features, with k chosen by its figures and stability told honestly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, calinski_harabasz_score, silhouette_score
from threadpoolctl import threadpool_limits

from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.segment.kmeans import largest_first, nearest
from zhiyin.understand.segment.scaling import Scaling, fit_scaling, pick_columns, principal_axes

FEATURES = (
    "recency_days", "orders_90d", "order_value_mean_minor", "discount_share", "coupon_order_share",
)  # fmt: skip
"""Features that customers are grouped by unless others are named: when, how often, how much, and
how much on offer. Few and distinct, so that groups can be told apart in words."""

_FIT_ROWS = 50_000  # customers that K-means learns from; all are assigned
_SILHOUETTE_ROWS = 2_000
_STABILITY_ROWS = 5_000
_RESAMPLES = 20
_STARTS = 5
_TOO_FEW = 50  # customers for each cluster, below which nothing is grouped


@dataclass(frozen=True)
class Quality:
    """Figures of one k: silhouette [-1, 1] and Calinski-Harabasz (larger is better)."""

    k: int
    silhouette: float
    calinski_harabasz: float


@dataclass(frozen=True, eq=False)
class Clusters:
    """Customers grouped by K-means.

    Attributes
    ----------
    status
        `ok`, `too_few_customers` or `no_variation`: then there are no labels.
    names
        Features that were used, in order; constant and repeated ones are left out.
    labels
        (n,) int, cluster 0..k-1 of each row; 0 is the largest.
    distances
        (n,) distance of each row to its centre, in the space of the principal axes.
    centers
        (k, p) centres in that space.
    scaled
        (n, d) standardised values of `names`.
    quality
        Figures of every k that was tried.
    stability
        Mean adjusted Rand index between the grouping and those of bootstrap resamples, with its
        standard deviation; NaN without labels.
    """

    status: str
    names: tuple[str, ...] = ()
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    distances: np.ndarray = field(default_factory=lambda: np.zeros(0))
    centers: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    scaled: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    scaling: Scaling | None = None
    quality: tuple[Quality, ...] = ()
    stability: float = float("nan")
    stability_std: float = float("nan")

    @property
    def k(self) -> int:
        """Number of clusters; 0 where none were found."""
        return len(self.centers)

    @property
    def silhouette(self) -> float:
        """Silhouette of the chosen k; NaN where nothing was grouped."""
        return next((q.silhouette for q in self.quality if q.k == self.k), float("nan"))


def find_clusters(
    values: np.ndarray,
    names: Sequence[str],
    *,
    rng: np.random.Generator,
    k_min: int = 3,
    k_max: int = 8,
    variance: float = 0.9,
) -> Clusters:
    """Group customers that resemble each other.

    Parameters
    ----------
    values
        (n, d) float64, one row per customer in a fixed order, NaN where missing.
    names
        (d,) feature names.
    rng
        Draws samples and starts; the same generator state gives the same groups.
    k_min, k_max
        Numbers of clusters tried, 2 <= k_min <= k_max.
    variance
        Share of variance the principal axes keep, in (0, 1].

    Raises
    ------
    InvalidParameter
        If a parameter is out of range or shapes do not fit.

    Notes
    -----
    Columns are winsorised at 1 %, logged where skewed, standardised; K-means (5 starts) runs on
    the principal axes. k maximises the mean of silhouette and Calinski-Harabasz, each divided by
    its largest over the k tried; ties go to the smaller k. Sources: Rousseeuw (1987), Calinski and
    Harabasz (1974), Hennig (2007) for the resampled stability.
    """
    _check(values, names, k_min, k_max, variance)
    if len(values) < _TOO_FEW * k_min:
        return Clusters("too_few_customers")
    scaling = fit_scaling(values)
    scaled = scaling.apply(values)
    kept = pick_columns(scaled)
    if not len(kept):
        return Clusters("no_variation")
    scaled = scaled[:, kept]
    space = scaled @ principal_axes(scaled, share=variance)
    if len(np.unique(space[:_FIT_ROWS].round(9), axis=0)) <= k_max:
        return Clusters("no_variation")
    sample = _draw(space, _FIT_ROWS, rng)
    with threadpool_limits(1):  # threads would sum in changing order, and only cost time here
        tried = _try_all(sample, range(k_min, min(k_max, len(values) // _TOO_FEW) + 1), rng)
        quality = tuple(figures for figures, _ in tried)
        centers = tried[_best(quality)][1]
        labels, distances = nearest(space, centers)
        centers, labels = largest_first(centers, labels)
        mean, spread = _stability(_draw(space, _STABILITY_ROWS, rng), centers, rng)
    return Clusters(
        status="ok",
        names=tuple(str(names[i]) for i in kept.tolist()),
        labels=labels,
        distances=distances,
        centers=centers,
        scaled=scaled,
        scaling=scaling,
        quality=quality,
        stability=mean,
        stability_std=spread,
    )


def _check(
    values: np.ndarray, names: Sequence[str], k_min: int, k_max: int, variance: float
) -> None:
    if values.ndim != 2 or values.shape[1] != len(names):
        raise InvalidParameter(f"values of shape {values.shape} do not fit {len(names)} names")
    if not 2 <= k_min <= k_max:
        raise InvalidParameter(f"k_min {k_min} and k_max {k_max} must be 2 <= k_min <= k_max")
    if not 0 < variance <= 1:
        raise InvalidParameter(f"variance is {variance}, it must be within (0, 1]")


def _try_all(
    sample: np.ndarray, counts: range, rng: np.random.Generator
) -> list[tuple[Quality, np.ndarray]]:
    """Figures and centres of each k."""
    judged = _draw(sample, _SILHOUETTE_ROWS, rng)
    tried = []
    for k in counts:
        centers = _centers(sample, k, rng, starts=_STARTS)
        groups, seen = nearest(sample, centers)[0], nearest(judged, centers)[0]
        if len(np.unique(groups)) < 2 or len(np.unique(seen)) < 2:
            tried.append((Quality(k, -1.0, 0.0), centers))
            continue
        silhouette = float(silhouette_score(judged, seen))
        spread = float(calinski_harabasz_score(sample, groups))
        tried.append((Quality(k, silhouette, spread), centers))
    return tried


def _centers(sample: np.ndarray, k: int, rng: np.random.Generator, *, starts: int) -> np.ndarray:
    seed = int(rng.integers(2**31 - 1))
    fitted = KMeans(k, n_init=starts, random_state=seed)  # pyright: ignore[reportArgumentType]
    return fitted.fit(sample).cluster_centers_


def _best(quality: Sequence[Quality]) -> int:
    sides = np.array([q.silhouette for q in quality])
    ratios = np.array([q.calinski_harabasz for q in quality])
    score = sides / max(float(sides.max()), 1e-9) + ratios / max(float(ratios.max()), 1e-9)
    return int(np.argmax(np.round(score, 9)))


def _stability(
    sample: np.ndarray, centers: np.ndarray, rng: np.random.Generator
) -> tuple[float, float]:
    """Agreement of the grouping with groupings learned on bootstrap resamples."""
    ours = nearest(sample, centers)[0]
    agreed = []
    for _ in range(_RESAMPLES):
        drawn = sample[rng.integers(len(sample), size=len(sample))]
        theirs = nearest(sample, _centers(drawn, len(centers), rng, starts=3))[0]
        agreed.append(float(adjusted_rand_score(ours, theirs)))
    return float(np.mean(agreed)), float(np.std(agreed))


def _draw(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most `most` rows, drawn without replacement, in their order."""
    if len(rows) <= most:
        return rows
    return rows[np.sort(rng.choice(len(rows), size=most, replace=False))]
