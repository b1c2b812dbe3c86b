"""The mean of several models in log-odds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from zhiyin.core.errors import InputError
from zhiyin.core.protocols import Model
from zhiyin.understand.predict.forest import Forest
from zhiyin.understand.predict.linear import KernelSvm, LinearSvm, Logistic
from zhiyin.understand.predict.network import Network
from zhiyin.understand.predict.onnx_model import OnnxModel
from zhiyin.understand.predict.scaling import logit, sigmoid
from zhiyin.understand.predict.trees import Boosting, LightGbm, Tree

_SINGLE: dict[str, Callable[[Mapping[str, Any]], Model]] = {
    "logistic": Logistic.from_artifact,
    "svm": KernelSvm.from_artifact,
    "linear_svm": LinearSvm.from_artifact,
    "network": Network.from_artifact,
    "tree": Tree.from_artifact,
    "forest": Forest.from_artifact,
    "lightgbm": LightGbm.from_artifact,
    "boosting": Boosting.from_artifact,
    "onnx": OnnxModel.from_artifact,
}


class Blend:
    """Equal weights: with some hundred responders learned weights follow the noise."""

    def __init__(self, makers: Sequence[Callable[[], Model]] = ()) -> None:
        self.makers = tuple(makers)

    def fit(self, features: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Blend:
        """Fit each member on (n, d) features and (n,) labels."""
        self.members_ = [make().fit(features, labels, rng=rng) for make in self.makers]
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """P(label = 1), (n,)."""
        return sigmoid(np.mean([logit(m.predict(features)) for m in self.members_], axis=0))

    def to_artifact(self) -> dict[str, Any]:
        return {"model": "blend", "members": [m.to_artifact() for m in self.members_]}

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Blend:
        made = cls()
        made.members_ = [load_single(member) for member in artifact["members"]]
        return made


def load_single(artifact: Mapping[str, Any]) -> Model:
    """The single model that a `to_artifact` described.

    Raises
    ------
    InputError
        If its kind is not known to this version.
    """
    kind = artifact.get("model")
    if kind not in _SINGLE:
        raise InputError(f"no model is called {kind!r}", hint=f"known: blend, {', '.join(_SINGLE)}")
    return _SINGLE[kind](artifact)
