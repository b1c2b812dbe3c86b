"""A random forest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier

FILL = -1e30  # below every number: a missing value goes left


class Forest:
    """The mean of `trees` decision trees on drawn rows and columns; source: Breiman (2001)."""

    def __init__(self, *, trees: int = 100, leaf_rows: int = 10, column_share: float = 0.3) -> None:
        self.trees, self.leaf_rows, self.column_share = trees, leaf_rows, column_share

    def fit(self, features: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Forest:
        """Fit on (n, d) features with missing values and (n,) labels."""
        fitted = RandomForestClassifier(
            self.trees,
            min_samples_leaf=self.leaf_rows,
            max_features=self.column_share,
            random_state=int(rng.integers(2**31 - 1)),
            n_jobs=1,
        )
        fitted.fit(_filled(features), labels)
        self.nodes_ = []
        for one in fitted.estimators_:
            tree = one.tree_
            counts = tree.value[:, 0, :]
            share = counts[:, 1] / counts.sum(axis=1)
            parts = (tree.children_left, tree.children_right, tree.feature, tree.threshold)
            self.nodes_.append([part.copy() for part in (*parts, share)])
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """P(label = 1), (n,), kept away from 0 and 1 by what the size of leaves allows."""
        filled = _filled(features)
        total = np.zeros(len(filled))
        for left, right, feature, threshold, share in self.nodes_:
            at = np.zeros(len(filled), dtype=np.int64)
            moving = np.arange(len(filled) if left[0] >= 0 else 0)
            while len(moving):
                node = at[moving]
                below = filled[moving, feature[node]] <= threshold[node]
                node = np.where(below, left[node], right[node])
                at[moving] = node
                moving = moving[left[node] >= 0]
            total += share[at]
        edge = 0.5 / (self.leaf_rows * self.trees)
        return np.clip(total / self.trees, edge, 1 - edge)

    def to_artifact(self) -> dict[str, Any]:
        return {
            "model": "forest",
            "trees": self.trees,
            "leaf_rows": self.leaf_rows,
            "column_share": self.column_share,
            "nodes": self.nodes_,
        }

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Forest:
        made = cls(
            trees=artifact["trees"],
            leaf_rows=artifact["leaf_rows"],
            column_share=artifact["column_share"],
        )
        made.nodes_ = artifact["nodes"]
        return made


def _filled(features: np.ndarray) -> np.ndarray:
    """Numbers as scikit-learn compares them (float32), missing ones below all others."""
    return np.where(np.isnan(features), FILL, features).astype(np.float32)
