"""A decision tree and gradient-boosted trees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

from zhiyin.core.errors import MissingExtra
from zhiyin.core.extras import lightgbm_or_none
from zhiyin.understand.boosted import walk
from zhiyin.understand.predict.scaling import Scaler, sigmoid


class Tree:
    """One decision tree on scaled features; leaves hold the share of responders."""

    def __init__(self, *, depth: int = 4, leaf_share: float = 0.03) -> None:
        self.depth, self.leaf_share = depth, leaf_share

    def fit(self, features: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Tree:
        """Fit on (n, d) features with missing values and (n,) labels."""
        self.scaler_ = Scaler.fit(features)
        fitted = DecisionTreeClassifier(
            max_depth=self.depth,
            min_samples_leaf=max(5, int(self.leaf_share * len(labels))),
            random_state=int(rng.integers(2**31 - 1)),
        )
        fitted.fit(self.scaler_.transform(features), labels)
        tree = fitted.tree_
        self.left_, self.right_ = tree.children_left.copy(), tree.children_right.copy()
        self.feature_, self.threshold_ = tree.feature.copy(), tree.threshold.copy()
        counts = tree.value[:, 0, :]
        self.value_ = counts[:, 1] / counts.sum(axis=1)
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """P(label = 1), (n,)."""
        # scikit-learn compares float32 features with float64 thresholds; so do we
        scaled = self.scaler_.transform(features).astype(np.float32)
        rows = np.arange(len(scaled))
        node = np.zeros(len(scaled), dtype=np.int64)
        while True:
            inner = self.left_[node] >= 0
            if not inner.any():
                return self.value_[node]
            value = scaled[rows, np.where(inner, self.feature_[node], 0)]
            below = value <= self.threshold_[node]
            step = np.where(below, self.left_[node], self.right_[node])
            node = np.where(inner, step, node)

    def to_artifact(self) -> dict[str, Any]:
        return {
            "model": "tree",
            "depth": self.depth,
            "leaf_share": self.leaf_share,
            "scaler": self.scaler_.to_artifact(),
            "left": self.left_,
            "right": self.right_,
            "feature": self.feature_,
            "threshold": self.threshold_,
            "value": self.value_,
        }

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Tree:
        made = cls(depth=artifact["depth"], leaf_share=artifact["leaf_share"])
        made.scaler_ = Scaler.from_artifact(artifact["scaler"])
        made.left_, made.right_ = artifact["left"], artifact["right"]
        made.feature_, made.threshold_ = artifact["feature"], artifact["threshold"]
        made.value_ = artifact["value"]
        return made


class LightGbm:
    """Gradient boosting by LightGBM: many small trees, heavy subsampling; saved as its text."""

    def __init__(
        self,
        *,
        trees: int = 120,
        rate: float = 0.04,
        leaves: int = 4,
        row_share: float = 0.6,
        column_share: float = 0.2,
    ) -> None:
        self.trees, self.rate, self.leaves = trees, rate, leaves
        self.row_share, self.column_share = row_share, column_share

    def fit(
        self, features: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator
    ) -> LightGbm:
        """Fit on (n, d) features with missing values and (n,) labels.

        Raises
        ------
        MissingExtra
            If LightGBM does not load on this machine.
        """
        lightgbm = _lightgbm()
        settings = {
            "objective": "binary",
            "num_leaves": self.leaves,
            "learning_rate": self.rate,
            "min_data_in_leaf": 20,
            "bagging_fraction": self.row_share,
            "bagging_freq": 1,
            "feature_fraction": self.column_share,
            "lambda_l2": 10.0,
            "seed": int(rng.integers(2**31 - 1)),
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }
        data = lightgbm.Dataset(features, label=labels, free_raw_data=True)
        self.booster_ = lightgbm.train(settings, data, num_boost_round=self.trees)
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """P(label = 1), (n,)."""
        return np.asarray(self.booster_.predict(features, num_threads=1), dtype=np.float64)

    def to_artifact(self) -> dict[str, Any]:
        return {
            "model": "lightgbm",
            "trees": self.trees,
            "rate": self.rate,
            "leaves": self.leaves,
            "text": self.booster_.model_to_string(),
        }

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> LightGbm:
        made = cls(trees=artifact["trees"], rate=artifact["rate"], leaves=artifact["leaves"])
        made.booster_ = _lightgbm().Booster(model_str=artifact["text"])
        return made


def _lightgbm():
    module = lightgbm_or_none()
    if module is None:
        raise MissingExtra(
            "LightGBM does not load on this machine", hint="install the system library libgomp"
        )
    return module


class Boosting:
    """Gradient boosting by scikit-learn's histogram trees, scored by our own walk of the trees."""

    def __init__(
        self, *, trees: int = 100, rate: float = 0.04, leaves: int = 4, column_share: float = 0.2
    ) -> None:
        self.trees, self.rate, self.leaves = trees, rate, leaves
        self.column_share = column_share

    def fit(
        self, features: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator
    ) -> Boosting:
        """Fit on (n, d) features with missing values and (n,) labels."""
        fitted = HistGradientBoostingClassifier(
            max_iter=self.trees,
            learning_rate=self.rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=20,
            l2_regularization=10.0,
            max_features=self.column_share,
            early_stopping=False,  # pyright: ignore[reportArgumentType] # stubs say str
            random_state=int(rng.integers(2**31 - 1)),
        )
        fitted.fit(features, labels)
        self.baseline_ = float(np.ravel(fitted._baseline_prediction)[0])
        self.nodes_ = [stage[0].nodes for stage in fitted._predictors]
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """P(label = 1), (n,)."""
        margin = np.full(len(features), self.baseline_)
        for nodes in self.nodes_:
            margin += walk(nodes, features)
        return sigmoid(margin)

    def to_artifact(self) -> dict[str, Any]:
        return {
            "model": "boosting",
            "trees": self.trees,
            "rate": self.rate,
            "leaves": self.leaves,
            "baseline": self.baseline_,
            "nodes": self.nodes_,
        }

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Boosting:
        made = cls(trees=artifact["trees"], rate=artifact["rate"], leaves=artifact["leaves"])
        made.baseline_, made.nodes_ = artifact["baseline"], artifact["nodes"]
        return made
