"""Ward's hierarchy of customers: every merge with its height, the tree's order, a cut at any k."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import cut_tree, leaves_list, linkage

from zhiyin.core.arguments import check_whole
from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.segment.kmeans import check_matrix, largest_first, nearest
from zhiyin.understand.segment.ordering import order_rows

SAMPLE_ROWS = 4_000  # pairs of rows are held at once: 64 MB


@dataclass(frozen=True, eq=False)
class Branch:
    """One node of the upper tree, for drawing: children by number, its height, rows below it.

    Numbers below the count of leaves are leaves (groups of rows never divided here).
    """

    left: int
    right: int
    height: float
    rows: int


@dataclass(frozen=True, eq=False)
class Dendrogram:
    """The upper part of the tree: `leaves` groups of rows and the branches that join them.

    Attributes
    ----------
    sizes
        (m,) rows in each leaf.
    branches
        m - 1 merges, lowest first; branch i has number m + i.
    order
        (m,) leaves from left to right, so that no lines cross.
    """

    sizes: np.ndarray
    branches: tuple[Branch, ...]
    order: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Ward's tree of a table, or of a sample of it.

    Attributes
    ----------
    merges
        (m - 1, 4) as of scipy: two nodes, height, rows below; nodes below m are rows of the
        sample, node m + i is merge i.
    sampled
        (m,) indices of the rows in the tree; all rows where the table is small.
    rows
        Rows of the table.
    """

    merges: np.ndarray
    sampled: np.ndarray
    rows: int
    values: np.ndarray

    @property
    def heights(self) -> np.ndarray:
        """(m - 1,) heights of the merges, rising: sqrt(2 x the variance a merge adds)."""
        return self.merges[:, 2]

    @property
    def order(self) -> np.ndarray:
        """(m,) indices of the table's rows, from left to right in the tree."""
        return self.sampled[leaves_list(self.merges)]

    @property
    def is_sample(self) -> bool:
        """Whether the tree holds a sample, and `cut` assigns the rest to the nearest mean."""
        return len(self.sampled) < self.rows

    def cut(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """(n,) labels of all rows of the table, 0 the largest group, and (k, d) means.

        Rows outside the sample go to the group with the nearest mean.

        Raises
        ------
        InvalidParameter
            If k is outside 1..rows of the tree.
        """
        if not 1 <= k <= len(self.sampled):
            raise InvalidParameter(
                f"k is {k}, the tree has {len(self.sampled)} rows", hint="cut it into 1 to as many"
            )
        of_sample = cut_tree(self.merges, n_clusters=k)[:, 0]
        sample = self.values[self.sampled]
        centers = np.stack([sample[of_sample == group].mean(axis=0) for group in range(k)])
        labels = np.empty(self.rows, dtype=np.int64)
        if self.is_sample:
            labels = nearest(self.values, centers)[0]
        labels[self.sampled] = of_sample
        centers, labels = largest_first(centers, labels)
        return labels, centers

    def dendrogram(self, leaves: int = 30) -> Dendrogram:
        """The upper tree with at most `leaves` leaves, for drawing.

        Raises
        ------
        InvalidParameter
            If `leaves` is below 2.
        """
        if leaves < 2:
            raise InvalidParameter(f"leaves is {leaves}, it must be at least 2")
        total = len(self.sampled)
        top = min(leaves, total)
        first = total - top  # merges from this one on are drawn
        below = np.r_[np.ones(total), self.merges[:, 3]].astype(np.int64)
        drawn = self.merges[first:]
        joined = drawn[:, :2].astype(np.int64)
        roots = sorted(int(node) for node in joined.ravel() if node < total + first)
        number = {node: place for place, node in enumerate(roots)}
        number |= {total + first + i: top + i for i in range(len(drawn))}
        branches = tuple(
            Branch(number[int(left)], number[int(right)], float(height), int(rows))
            for left, right, height, rows in drawn
        )
        return Dendrogram(below[roots], branches, _walk(branches, top))


def grow_ward(values: np.ndarray, *, sample_rows: int = SAMPLE_ROWS, seed: int = 42) -> Hierarchy:
    """Join rows, then groups, always the two that add the least variance.

    Parameters
    ----------
    values
        (n, d) finite numbers, comparable columns.
    sample_rows
        Rows in the tree at most; a larger table is sampled (`Hierarchy.is_sample`), since memory
        grows with the square: m rows take 4 m^2 bytes.
    seed
        Chooses the sample.

    Raises
    ------
    InvalidParameter
        If values are no finite matrix, or `sample_rows` is outside 2..20000.
    NotEnoughData
        If there is one row only.

    Notes
    -----
    Ward (1963) by scipy's nearest-neighbour chain (Müllner 2011), in O(m^2) time.
    """
    values = check_matrix(values)
    if not 2 <= check_whole("sample_rows", sample_rows) <= 20_000:
        raise InvalidParameter(
            f"sample_rows is {sample_rows}, it must be within 2..20000", hint="leave it out: 4,000"
        )
    if len(values) < 2:
        raise NotEnoughData(f"a tree of {len(values)} rows", hint="give at least two customers")
    sampled = order_rows(values, seed=seed).order[:sample_rows]
    return Hierarchy(linkage(values[sampled], method="ward"), sampled, len(values), values)


def _walk(branches: tuple[Branch, ...], leaves: int) -> tuple[int, ...]:
    """Leaves from left to right below the last branch."""
    open_nodes, found = [leaves + len(branches) - 1], []
    while open_nodes:
        node = open_nodes.pop()
        if node < leaves:
            found.append(node)
        else:
            branch = branches[node - leaves]
            open_nodes += [branch.right, branch.left]
    return tuple(found)
