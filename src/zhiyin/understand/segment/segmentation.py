"""What a segmentation is: labels, figures, and every group in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.segment.business import Thresholds, name_scores, score_thresholds
from zhiyin.understand.segment.choice import Choice
from zhiyin.understand.segment.density import Density
from zhiyin.understand.segment.hierarchy import Hierarchy
from zhiyin.understand.segment.kmeans import KMeansFit, nearest
from zhiyin.understand.segment.portrait import Portrait
from zhiyin.understand.segment.preparing import Prepared
from zhiyin.understand.segment.rfm import SEGMENTS

Fit = KMeansFit | Hierarchy | Density | Thresholds | None


@dataclass(frozen=True)
class Fitness:
    """How good the groups are; NaN where it cannot be said.

    `silhouette` [-1, 1], `calinski_harabasz` (larger is better), `davies_bouldin` (smaller is
    better), `stability` (mean adjusted Rand index of refits on resampled customers), `noise`
    (share of customers in no group).
    """

    silhouette: float
    calinski_harabasz: float
    davies_bouldin: float
    stability: float
    noise: float


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Customers in groups.

    Attributes
    ----------
    method
        `kmeans`, `ward`, `dbscan` or `rfm`.
    labels
        (n,) int in the order of the table: 0 is the largest group, -1 (DBSCAN) noise.
    k
        Number of groups.
    quality
        Figures of the groups.
    portraits
        Name and differences of each group, by number.
    reason, reason_zh
        Why this method and this number of groups.
    notes, notes_zh
        What must be known: columns left out, samples, weak structure.
    choice
        Figures of every number of groups tried (K-means, Ward).
    prepared
        The table as it was compared.
    fit
        What the method found: `KMeansFit`, `Hierarchy` (merges, heights, order, dendrogram),
        `Density`, or the `Thresholds` of RFM (None: quantiles).
    """

    method: str
    labels: np.ndarray
    k: int
    quality: Fitness
    portraits: tuple[Portrait, ...]
    reason: str
    reason_zh: str
    notes: tuple[str, ...]
    notes_zh: tuple[str, ...]
    choice: Choice | None
    prepared: Prepared
    fit: Fit

    @property
    def sizes(self) -> np.ndarray:
        """(k,) customers in each group."""
        return np.bincount(self.labels[self.labels >= 0], minlength=self.k)

    @property
    def names(self) -> tuple[str, ...]:
        """English name of each group."""
        return tuple(one.label for one in self.portraits)

    @property
    def names_zh(self) -> tuple[str, ...]:
        """Chinese name of each group."""
        return tuple(one.label_zh for one in self.portraits)

    @property
    def words(self) -> str:
        """All groups and the reason for them, in English."""
        lines = [
            f"{i + 1}. {one.label} ({self.sizes[i]:,} customers, {self._share(i):.0%}): {one.words}"
            for i, one in enumerate(self.portraits)
        ]
        return "\n".join([self.reason, *lines, *self.notes])

    @property
    def words_zh(self) -> str:
        """All groups and the reason for them, in Chinese."""
        lines = [
            f"{i + 1}. {one.label_zh}({self.sizes[i]:,} 位，{self._share(i):.0%})：{one.words_zh}"
            for i, one in enumerate(self.portraits)
        ]
        return "\n".join([self.reason_zh, *lines, *self.notes_zh])

    def table(self) -> pd.DataFrame:
        """One row per group: names, customers, share, and the medians of every column used."""
        rows = []
        for i, one in enumerate(self.portraits):
            mine = pd.DataFrame(self.prepared.raw[self.labels == i], columns=self.prepared.names)
            rows.append(
                {"name": one.label, "name_zh": one.label_zh, "customers": int(self.sizes[i])}
                | {"share": self._share(i)}
                | mine.median().to_dict()
            )
        return pd.DataFrame(rows)

    def members(self, customers: Sequence[str]) -> pd.Series:
        """English name of the group of each customer, for `measure_movement`; noise is missing."""
        names = np.array([*self.names, None], dtype=object)
        return pd.Series(names[self.labels], index=pd.Index(customers), name=c.SEGMENT)

    def assign(self, table: pd.DataFrame | np.ndarray) -> np.ndarray:
        """(m,) group of each row of another table with the same columns, such as a later day's.

        K-means and Ward: the group with the nearest mean. DBSCAN: of the nearest core customer
        within the radius, else -1. RFM by thresholds: its scores; -1 for a segment not seen here.

        Raises
        ------
        InvalidParameter
            For RFM by quantiles, which compares customers with each other, or a missing column.
        """
        if self.method == "rfm":
            if not isinstance(self.fit, Thresholds):
                raise InvalidParameter(
                    "quantiles compare customers with each other and are no rule for others",
                    hint="use thresholds, or segment the other table by itself",
                )
            named = name_scores(score_thresholds(pd.DataFrame(table), self.fit))
            label_of = {one.name: one.label for one in SEGMENTS}
            number = {label: i for i, label in enumerate(self.names)}
            return np.array([number.get(label_of[one], -1) for one in named], dtype=np.int64)
        values = self.prepared.apply(table)
        if isinstance(self.fit, Density):
            return self.fit.assign(values)
        mine = [self.prepared.values[self.labels == group] for group in range(self.k)]
        return nearest(values, np.stack([rows.mean(axis=0) for rows in mine]))[0]

    def _share(self, group: int) -> float:
        return float(self.sizes[group] / len(self.labels))
