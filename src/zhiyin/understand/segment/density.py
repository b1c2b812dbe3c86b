"""Dense groups of any shape with noise left out: DBSCAN on a sample, everyone else assigned."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree
from sklearn.cluster import DBSCAN

from zhiyin.core.arguments import check_number, check_whole
from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.segment.kmeans import check_matrix, places_by_size
from zhiyin.understand.segment.ordering import order_rows

SAMPLE_ROWS = 10_000
NOISE = -1
_PAIRS = 20_000_000  # neighbours held at once: 160 MB
_BLOCK = 50_000
_ABOVE = 1 + 1e-6  # a hair beyond the pair that gave the radius: rounding must not decide it
_TIGHTER = 0.85  # factor by which a radius that joins everything is tried smaller
_TIMES = 6
_MOST_NOISE = 0.3
_WORTH = 0.02  # share of customers that a second group needs, to count as found


@dataclass(frozen=True, eq=False)
class Density:
    """What DBSCAN found.

    Attributes
    ----------
    labels
        (n,) int, group of each row, 0 the largest; -1 is noise.
    groups
        Number of groups; may be 0 or 1.
    eps
        Radius of the neighbourhood.
    min_samples
        Customers within the radius, oneself included, that make a point core; counted in the
        sample.
    cores
        (m, d) core points of the sample, and `core_labels` their groups.
    curve
        (s,) distance of each sampled row to its `min_samples`-th neighbour, rising: the proposal
        of `eps` is its knee.
    sample_rows, rows
        Rows the density was measured on, rows of the table.
    tightened
        How often the radius of the knee was made smaller, because it joined everything.
    """

    labels: np.ndarray
    groups: int
    eps: float
    min_samples: int
    cores: np.ndarray
    core_labels: np.ndarray
    curve: np.ndarray
    sample_rows: int
    rows: int
    tightened: int = 0

    @property
    def noise(self) -> float:
        """Share of rows that belong to no group."""
        return float((self.labels == NOISE).mean())

    def assign(self, values: np.ndarray) -> np.ndarray:
        """Group of the nearest core point within `eps` of each row; -1 where there is none."""
        return _assign(values, self.cores, self.core_labels, self.eps)


def find_density(
    values: np.ndarray,
    *,
    eps: float | None = None,
    min_samples: int | None = None,
    sample_rows: int = SAMPLE_ROWS,
    seed: int = 42,
) -> Density:
    """Groups where customers stand densely; those who stand apart stay noise.

    Parameters
    ----------
    values
        (n, d) finite numbers, comparable columns.
    eps
        Radius, positive; proposed where None.
    min_samples
        Customers within the radius that make a core point, at least 2; for a sampled table it is
        scaled by the share sampled. Where None: the larger of 2 d and half the root of the
        sampled rows, so that no handful of customers is a group.
    sample_rows
        Rows whose density is measured, at most 50,000; halved while the pairs of neighbours would
        exceed 20 million, so memory is bounded for any radius.
    seed
        Chooses the sample.

    Raises
    ------
    InvalidParameter
        If a parameter is out of range or values are no finite matrix.
    NotEnoughData
        If there are fewer than 10 rows.

    Notes
    -----
    Ester et al. (1996), scikit-learn's. The proposed radius is the knee of the sorted distances
    to the `min_samples`-th neighbour: the point farthest below the chord (Satopää et al. 2011).
    A knee that joins everyone into one group is made 15 % smaller, at most 6 times, while at most
    30 % are noise, until a second group of 2 % stands apart. Every row that is no core point goes
    to the group of the nearest core point within the radius, and is noise without one.
    """
    values = check_matrix(values)
    _check(values, eps, min_samples, sample_rows)
    order = order_rows(values, seed=seed).order
    sample = values[order[:sample_rows]]
    needed = _needed(min_samples, sample, len(values))
    curve = _curve(sample, needed)
    radius = eps if eps is not None else propose_eps(curve)
    while _count_pairs(sample, radius) > _PAIRS:
        sample = sample[: len(sample) // 2]
        needed = _needed(min_samples, sample, len(values))
        curve = _curve(sample, needed)
        radius = eps if eps is not None else propose_eps(curve)
    cores, of_cores = _fit(sample, radius, needed)
    tightened = 0
    if eps is None:
        radius, cores, of_cores, tightened = _tighten(sample, radius, needed, cores, of_cores)
    labels = _assign(values, cores, of_cores, radius)
    groups = int(of_cores.max(initial=NOISE)) + 1
    if groups:
        centers = np.stack([cores[of_cores == group].mean(axis=0) for group in range(groups)])
        place = places_by_size(labels, centers)
        labels, of_cores = place[labels], place[of_cores]
    return Density(
        labels, groups, float(radius), needed, cores, of_cores, curve, len(sample), len(values),
        tightened,
    )  # fmt: skip


def propose_eps(curve: np.ndarray) -> float:
    """The knee of rising distances: the point farthest below the chord of the curve.

    Examples
    --------
    >>> import numpy as np
    >>> round(propose_eps(np.r_[np.linspace(1, 1.2, 95), np.linspace(1.3, 9, 5)]), 2)
    1.2
    """
    span = curve[-1] - curve[0]
    if span <= 0:
        return float(max(curve[-1], 1e-9)) * _ABOVE
    along = np.linspace(0, 1, len(curve))
    knee = curve[int(np.argmax(along - (curve - curve[0]) / span))]
    return float(max(knee, 1e-9)) * _ABOVE


def _check(
    values: np.ndarray, eps: float | None, min_samples: int | None, sample_rows: int
) -> None:
    if len(values) < 10:
        raise NotEnoughData(
            f"{len(values)} rows are too few to tell dense from sparse",
            hint="give at least 10 customers",
        )
    if eps is not None and check_number("eps", eps) <= 0:
        raise InvalidParameter(f"eps is {eps}, it must be positive", hint="leave it out: proposed")
    if min_samples is not None and check_whole("min_samples", min_samples) < 2:
        raise InvalidParameter(
            f"min_samples is {min_samples}, it must be at least 2", hint="leave it out: proposed"
        )
    if not 10 <= check_whole("sample_rows", sample_rows) <= 50_000:
        raise InvalidParameter(
            f"sample_rows is {sample_rows}, it must be within 10..50000",
            hint="leave it out: 10,000",
        )


def _needed(min_samples: int | None, sample: np.ndarray, rows: int) -> int:
    """Neighbours that make a core point of the sample."""
    if min_samples is None:
        proposed = max(2 * sample.shape[1], int(math.sqrt(len(sample)) / 2))
        return max(2, min(proposed, len(sample) // 5))
    return max(2, round(min_samples * len(sample) / rows))


def _curve(sample: np.ndarray, needed: int) -> np.ndarray:
    distances = KDTree(sample).query(sample, k=[min(needed, len(sample))])[0]
    return np.sort(np.asarray(distances)[:, 0])


def _count_pairs(sample: np.ndarray, radius: float) -> int:
    tree = KDTree(sample)
    return int(tree.count_neighbors(tree, radius))


def _fit(sample: np.ndarray, radius: float, needed: int) -> tuple[np.ndarray, np.ndarray]:
    """Core points and their groups."""
    fitted = DBSCAN(eps=radius, min_samples=needed).fit(sample)
    at = fitted.core_sample_indices_
    return sample[at], fitted.labels_[at].astype(np.int64)


def _tighten(
    sample: np.ndarray, radius: float, needed: int, cores: np.ndarray, of_cores: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray, int]:
    """A smaller radius where this one joins everything and a smaller one does not."""
    now = (radius, cores, of_cores)
    for times in range(_TIMES + 1):
        sizes = np.sort(np.bincount(now[2], minlength=2))[::-1]
        if sizes[1] >= _WORTH * len(sample):
            return *now, times
        smaller = now[0] * _TIGHTER
        now = (smaller, *_fit(sample, smaller, needed))
        if (_assign(sample, now[1], now[2], smaller) == NOISE).mean() > _MOST_NOISE:
            break
    return radius, cores, of_cores, 0


def _assign(
    values: np.ndarray, cores: np.ndarray, of_cores: np.ndarray, radius: float
) -> np.ndarray:
    labels = np.full(len(values), NOISE, dtype=np.int64)
    if not len(cores):
        return labels
    tree = KDTree(cores)
    within = np.nextafter(radius, np.inf)  # scipy leaves out those at the bound itself
    known = np.r_[of_cores, NOISE]  # scipy's number of no neighbour is the count of points
    for begin in range(0, len(values), _BLOCK):
        at = tree.query(values[begin : begin + _BLOCK], distance_upper_bound=within)[1]
        labels[begin : begin + _BLOCK] = known[at]
    return labels
