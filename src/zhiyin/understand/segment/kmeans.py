"""K-means for many customers: ten starts on a sample, one run over everyone."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from zhiyin.core.arguments import check_number, check_numbers, check_whole
from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.core.rng import Streams
from zhiyin.understand.segment.ordering import order_rows

STARTS = 10
SAMPLE_ROWS = 20_000
_ROUNDS = 300
_MIDDLE = 100_000  # rows of a run in between: rounds there spare rounds over everyone
_BLOCK = 65_536  # rows whose distances are held at once


@dataclass(frozen=True, eq=False)
class KMeansFit:
    """What K-means found.

    Attributes
    ----------
    labels
        (n,) int, cluster 0..k-1 of each row; 0 is the largest.
    centers
        (k, d) means of the clusters.
    inertia
        Sum of squared distances of the rows to their centres.
    rounds
        Rounds of Lloyd's algorithm over all rows until it stood still.
    starts, sample_rows
        How many starts were tried, and on how many rows.
    """

    labels: np.ndarray
    centers: np.ndarray
    inertia: float
    rounds: int
    starts: int
    sample_rows: int

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.centers)

    def assign(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Nearest cluster of each row of (m, d) values, and the distance to its centre."""
        return nearest(values, self.centers)


def fit_kmeans(
    values: np.ndarray,
    k: int,
    *,
    seed: int = 42,
    starts: int = STARTS,
    sample_rows: int = SAMPLE_ROWS,
    tolerance: float = 1e-4,
) -> KMeansFit:
    """Divide rows into `k` groups with the least squared distance to their means.

    Parameters
    ----------
    values
        (n, d) finite numbers, one row a customer; columns should be comparable (`prepare`).
    k
        Number of groups, 1 <= k <= number of distinct rows.
    seed
        The same seed gives the same groups, whatever the order of the rows and the number of
        processors.
    starts
        k-means++ starts, of which the best is kept.
    sample_rows
        Rows that the starts are tried on; all rows are used where there are fewer.
    tolerance
        Lloyd's algorithm stops when the centres move less than this share of the mean variance.

    Raises
    ------
    InvalidParameter
        If a parameter is out of range, or values are no finite matrix.
    NotEnoughData
        If there are fewer distinct rows than groups.

    Notes
    -----
    The starts (Arthur and Vassilvitskii 2007) run to their end on a random sample; the best goes
    on over 100,000 rows, then over all (Lloyd 1982, scikit-learn's), where few rounds are left.
    One thread: threads sum in changing order, and on a shared machine wait for each other.

    Examples
    --------
    >>> import numpy as np
    >>> found = fit_kmeans(np.array([[0.0], [0.1], [0.2], [9.0], [9.1]]), 2)
    >>> found.labels.tolist(), found.centers.round(2).tolist()
    ([0, 0, 0, 1, 1], [[0.1], [9.05]])
    """
    values = _check(values, k, starts, sample_rows)
    check_number("tolerance", tolerance, least=0)
    ordering = order_rows(values, seed=seed)
    ordered = np.ascontiguousarray(values[ordering.order])
    sample = _sample(ordered, ordering.firsts, k, sample_rows)
    state = int(Streams(seed).generator("kmeans").integers(2**31 - 1))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            fitted = _fit(ordered, sample, k, state, starts=starts, tolerance=tolerance)
        except ConvergenceWarning as problem:
            raise InvalidParameter(
                f"values up to {np.abs(values).max():.3g} drown the differences between the others",
                hint="scale the columns first: `prepare` does",
            ) from problem
    labels = np.empty(len(values), dtype=np.int64)
    labels[ordering.order] = fitted.labels_
    centers, labels = largest_first(fitted.cluster_centers_, labels)
    return KMeansFit(
        labels, centers, float(fitted.inertia_), int(fitted.n_iter_), starts, len(sample)
    )


def _fit(
    ordered: np.ndarray, sample: np.ndarray, k: int, state: int, *, starts: int, tolerance: float
) -> KMeans:
    """The best start on the sample, gone on with over more rows, then over all."""
    fitted = KMeans(k, n_init=starts, random_state=state).fit(sample)  # pyright: ignore[reportArgumentType]
    middle = [_MIDDLE] if len(sample) < _MIDDLE < len(ordered) else []
    for rows in (*middle, len(ordered)):
        begin = fitted.cluster_centers_
        fitted = KMeans(k, init=begin, n_init=1, tol=tolerance, max_iter=_ROUNDS)  # pyright: ignore[reportArgumentType]
        fitted.fit(ordered[:rows])
    return fitted


def nearest(values: np.ndarray, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) index of the nearest centre of each row (ties: the first), and its distance."""
    labels = np.empty(len(values), dtype=np.int64)
    distances = np.empty(len(values))
    sizes = (centers**2).sum(axis=1)
    for begin in range(0, len(values), _BLOCK):
        rows = values[begin : begin + _BLOCK]
        squares = (rows**2).sum(axis=1)[:, None] - 2 * rows @ centers.T + sizes[None, :]
        found = squares.argmin(axis=1)
        labels[begin : begin + _BLOCK] = found
        least = squares[np.arange(len(rows)), found]
        distances[begin : begin + _BLOCK] = np.sqrt(np.maximum(least, 0))
    return labels, distances


def largest_first(centers: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres and labels numbered by size, the largest 0."""
    place = places_by_size(labels, centers)
    return centers[np.argsort(place[:-1])], place[labels]


def places_by_size(labels: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """(k + 1,) new number of each group, the largest 0, ties by their centres; the last is -1, so
    that noise (label -1) stays noise."""
    sizes = np.bincount(labels[labels >= 0], minlength=len(centers))
    order = np.lexsort((*centers.T[::-1].round(9), -sizes))
    place = np.full(len(order) + 1, -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    return place


def check_matrix(values: np.ndarray) -> np.ndarray:
    """Values as a matrix of finite float64; InvalidParameter where they are none."""
    values = check_numbers("values", values)
    if values.ndim != 2 or not values.shape[1]:
        raise InvalidParameter(
            f"values of shape {values.shape} are no matrix",
            hint="give one row per customer and one column per feature",
        )
    if not np.isfinite(values).all():
        raise InvalidParameter(
            f"{int((~np.isfinite(values)).sum())} values are missing or infinite",
            hint="fill them first: `prepare` does",
        )
    return values


def _check(values: np.ndarray, k: int, starts: int, sample_rows: int) -> np.ndarray:
    values = check_matrix(values)
    if check_whole("k", k) < 1:
        raise InvalidParameter(f"k is {k}, it must be at least 1", hint="`choose_k` recommends one")
    if check_whole("starts", starts) < 1 or check_whole("sample_rows", sample_rows) < 1:
        raise InvalidParameter(f"starts {starts} and sample_rows {sample_rows} must be at least 1")
    if k > len(values):
        raise NotEnoughData(f"{k} groups of {len(values)} rows", hint="ask for fewer groups")
    return values


def _sample(ordered: np.ndarray, firsts: np.ndarray, k: int, rows: int) -> np.ndarray:
    """A sample with at least k distinct rows: random, else one of each kind."""
    rows = max(rows, k)
    if np.searchsorted(firsts, rows) >= k:
        return ordered[:rows]
    if len(firsts) >= k:
        return ordered[firsts[:rows]]
    kinds = np.unique(ordered, axis=0)
    if len(kinds) < k:
        raise NotEnoughData(
            f"{k} groups of {len(kinds)} distinct rows",
            hint=f"ask for at most {len(kinds)}, or add columns that tell customers apart",
        )
    return kinds
