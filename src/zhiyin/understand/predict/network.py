"""A small neural net: the mean of a few nets with one hidden layer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from zhiyin.understand.predict.scaling import Scaler, sigmoid


class Network:
    """`members` nets of `hidden` rectified units with weight decay, averaged in probability.

    Training stops after a fixed number of L-BFGS steps: early stopping is part of the model.
    """

    def __init__(
        self, *, hidden: int = 8, decay: float = 30.0, steps: int = 60, members: int = 3
    ) -> None:
        self.hidden, self.decay, self.steps, self.members = hidden, decay, steps, members

    def fit(self, features: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Network:
        """Fit on (n, d) features with missing values and (n,) labels."""
        self.scaler_ = Scaler.fit(features)
        scaled = self.scaler_.transform(features)
        self.layers_ = []
        for seed in rng.integers(0, 2**31 - 1, size=self.members):
            net = MLPClassifier(
                (self.hidden,),
                alpha=self.decay,
                max_iter=self.steps,
                solver="lbfgs",
                random_state=int(seed),
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                net.fit(scaled, labels)
            first, last = net.coefs_
            self.layers_.append([first, net.intercepts_[0], last[:, 0], net.intercepts_[1]])
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """P(label = 1), (n,)."""
        scaled = self.scaler_.transform(features)
        return np.mean(
            [
                sigmoid(np.maximum(scaled @ first + bias, 0) @ last + end)
                for first, bias, last, end in self.layers_
            ],
            axis=0,
        )

    def to_artifact(self) -> dict[str, Any]:
        return {
            "model": "network",
            "hidden": self.hidden,
            "decay": self.decay,
            "steps": self.steps,
            "members": self.members,
            "scaler": self.scaler_.to_artifact(),
            "layers": self.layers_,
        }

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Network:
        made = cls(
            hidden=artifact["hidden"],
            decay=artifact["decay"],
            steps=artifact["steps"],
            members=artifact["members"],
        )
        made.scaler_ = Scaler.from_artifact(artifact["scaler"])
        made.layers_ = artifact["layers"]
        return made
