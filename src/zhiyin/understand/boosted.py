"""scikit-learn's histogram trees scored from their nodes, which can be kept as arrays."""

from __future__ import annotations

import numpy as np


def walk(nodes: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Value of the leaf of one tree that each row of (n, d) `features` falls into, (n,)."""
    rows = np.arange(len(features))
    at = np.zeros(len(features), dtype=np.int64)
    while True:
        inner = nodes["is_leaf"][at] == 0
        if not inner.any():
            return nodes["value"][at]
        value = features[rows, np.where(inner, nodes["feature_idx"][at], 0)]
        missing = np.isnan(value)
        left = np.where(missing, nodes["missing_go_to_left"][at] == 1, False)
        left |= ~missing & (value <= nodes["num_threshold"][at])
        at = np.where(inner, np.where(left, nodes["left"][at], nodes["right"][at]), at)
