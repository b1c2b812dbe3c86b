"""Logistic regression and support vector machines, linear and with a random-feature kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from zhiyin.understand.predict.calibration import Platt, fit_platt
from zhiyin.understand.predict.scaling import Scaler, sigmoid


class Logistic:
    """L2-penalised logistic regression; `strength` is scikit-learn's `C`.

    Features are scaled first unless they come `prepared`, as `encoding.SmoothColumns` gives them.
    """

    def __init__(self, *, strength: float = 0.003, prepared: bool = False) -> None:
        self.strength, self.prepared = strength, prepared

    def fit(
        self, features: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator
    ) -> Logistic:
        """Fit on (n, d) features with missing values and (n,) labels; draws nothing from `rng`."""
        self.scaler_ = None if self.prepared else Scaler.fit(features)
        tolerance = 1e-4 if self.prepared else 1e-6
        fitted = LogisticRegression(C=self.strength, max_iter=5000, tol=tolerance)
        fitted.fit(self._scaled(features), labels)
        self.coef_ = np.asarray(fitted.coef_, dtype=np.float64)[0]
        self.intercept_ = float(np.ravel(fitted.intercept_)[0])
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """P(label = 1), (n,)."""
        return sigmoid(self._scaled(features) @ self.coef_ + self.intercept_)

    def _scaled(self, features: np.ndarray) -> np.ndarray:
        return features if self.scaler_ is None else self.scaler_.transform(features)

    def to_artifact(self) -> dict[str, Any]:
        return {
            "model": "logistic",
            "strength": self.strength,
            "scaler": None if self.scaler_ is None else self.scaler_.to_artifact(),
            "coef": self.coef_,
            "intercept": self.intercept_,
        }

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Logistic:
        scaler = artifact["scaler"]
        made = cls(strength=artifact["strength"], prepared=scaler is None)
        made.scaler_ = None if scaler is None else Scaler.from_artifact(scaler)
        made.coef_, made.intercept_ = artifact["coef"], artifact["intercept"]
        return made


def _fit_margin(
    features: np.ndarray, labels: np.ndarray, strength: float
) -> tuple[np.ndarray, float, Platt]:
    """Weights and intercept of the widest margin, classes balanced, and its probabilities."""
    fitted = LinearSVC(
        C=strength, class_weight="balanced", dual="auto", max_iter=5000, random_state=0
    )
    fitted.fit(features, labels)
    coef = np.asarray(fitted.coef_, dtype=np.float64)[0]
    intercept = float(np.ravel(fitted.intercept_)[0])
    margin = sigmoid(features @ coef + intercept)
    return coef, intercept, fit_platt(margin, labels.astype(float), np.ones(len(labels)))


class LinearSvm:
    """A linear support vector machine on scaled features, classes weighted to balance.

    Margins become probabilities by Platt's fit on the training rows, which undoes the balancing;
    `calibration` mends their scale on later rows.
    """

    def __init__(self, *, strength: float = 0.001) -> None:
        self.strength = strength

    def fit(
        self, features: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator
    ) -> LinearSvm:
        """Fit on (n, d) features with missing values and (n,) labels; draws nothing from `rng`."""
        self.scaler_ = Scaler.fit(features)
        scaled = self.scaler_.transform(features)
        self.coef_, self.intercept_, self.platt_ = _fit_margin(scaled, labels, self.strength)
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """P(label = 1), (n,)."""
        margin = self.scaler_.transform(features) @ self.coef_ + self.intercept_
        return self.platt_.apply(sigmoid(margin))

    def to_artifact(self) -> dict[str, Any]:
        return {
            "model": "linear_svm",
            "strength": self.strength,
            "scaler": self.scaler_.to_artifact(),
            "coef": self.coef_,
            "intercept": self.intercept_,
            "platt": self.platt_.to_artifact(),
        }

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> LinearSvm:
        made = cls(strength=artifact["strength"])
        made.scaler_ = Scaler.from_artifact(artifact["scaler"])
        made.coef_, made.intercept_ = artifact["coef"], artifact["intercept"]
        made.platt_ = Platt.from_artifact(artifact["platt"])
        return made


class KernelSvm:
    """A support vector machine with an RBF kernel in `width` random Fourier features.

    k(x, y) = exp(-gamma |x - y|^2) is met by sqrt(2 / D) cos(w x + b), w normal with variance
    2 gamma. Source: Rahimi and Recht (2007). Margins become probabilities by Platt's fit on the
    training rows; `calibration` mends their scale afterwards.
    """

    def __init__(
        self, *, strength: float = 0.01, gamma_times_d: float = 0.09, width: int = 400
    ) -> None:
        self.strength, self.gamma_times_d, self.width = strength, gamma_times_d, width

    def fit(
        self, features: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator
    ) -> KernelSvm:
        """Fit on (n, d) features with missing values and (n,) labels."""
        self.scaler_ = Scaler.fit(features)
        d = features.shape[1]
        gamma = self.gamma_times_d / d
        self.weights_ = rng.normal(scale=np.sqrt(2 * gamma), size=(d, self.width))
        self.offsets_ = rng.uniform(0, 2 * np.pi, size=self.width)
        lifted = self._lift(features)
        self.coef_, self.intercept_, self.platt_ = _fit_margin(lifted, labels, self.strength)
        return self

    def _lift(self, features: np.ndarray) -> np.ndarray:
        scaled = self.scaler_.transform(features)
        return np.sqrt(2 / self.width) * np.cos(scaled @ self.weights_ + self.offsets_)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """P(label = 1), (n,)."""
        margin = self._lift(features) @ self.coef_ + self.intercept_
        return self.platt_.apply(sigmoid(margin))

    def to_artifact(self) -> dict[str, Any]:
        return {
            "model": "svm",
            "strength": self.strength,
            "gamma_times_d": self.gamma_times_d,
            "width": self.width,
            "scaler": self.scaler_.to_artifact(),
            "weights": self.weights_,
            "offsets": self.offsets_,
            "coef": self.coef_,
            "intercept": self.intercept_,
            "platt": self.platt_.to_artifact(),
        }

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> KernelSvm:
        made = cls(
            strength=artifact["strength"],
            gamma_times_d=artifact["gamma_times_d"],
            width=artifact["width"],
        )
        made.scaler_ = Scaler.from_artifact(artifact["scaler"])
        made.weights_, made.offsets_ = artifact["weights"], artifact["offsets"]
        made.coef_, made.intercept_ = artifact["coef"], artifact["intercept"]
        made.platt_ = Platt.from_artifact(artifact["platt"])
        return made
