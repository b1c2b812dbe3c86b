"""The models that compete, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.extras import lightgbm_or_none
from zhiyin.core.protocols import Model
from zhiyin.understand.predict.blend import Blend, load_single
from zhiyin.understand.predict.forest import Forest
from zhiyin.understand.predict.linear import KernelSvm, LinearSvm, Logistic
from zhiyin.understand.predict.network import Network
from zhiyin.understand.predict.trees import Boosting, LightGbm, Tree

Maker = Callable[[], Model]


def candidates() -> dict[str, Maker]:
    """Makers of unfitted models by name; LightGBM's only where it loads."""
    boosting = ("lightgbm", LightGbm) if lightgbm_or_none() is not None else ("boosting", Boosting)
    made: dict[str, Maker] = {
        "logistic": partial(Logistic, strength=0.003),  # first: taken where nothing can be judged
        "logistic_weak": partial(Logistic, strength=0.01),
        "logistic_strong": partial(Logistic, strength=0.001),
        "tree": Tree,
        "svm": KernelSvm,
        boosting[0]: boosting[1],
        "network": Network,
    }
    made["blend"] = partial(Blend, (made["logistic"], KernelSvm, Network))
    made["blend_trees"] = partial(Blend, (made["logistic"], KernelSvm, boosting[1]))
    return made


CHEAP = ("logistic", "tree", "boosting")
"""Candidates of predictions from snapshots unless the workspace names others."""

NAMES = ("logistic", "tree", "svm", "linear_svm", "forest", "boosting", "network")


def pick_candidates(names: Sequence[str]) -> dict[str, Maker]:
    """Makers of the named models, in the order of `NAMES`: ties go to the simpler one.

    Raises
    ------
    InvalidParameter
        If a name is not one of `NAMES`, or there is none.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names:
        raise InvalidParameter(
            f"there is no candidate {unknown[0]!r}" if unknown else "no candidate is named",
            hint=f"known: {', '.join(NAMES)}",
        )
    every = candidates()
    boosting = "lightgbm" if "lightgbm" in every else "boosting"
    every |= {"forest": partial(Forest, trees=60), "linear_svm": LinearSvm}
    wanted = [boosting if name == "boosting" else name for name in NAMES if name in names]
    return {name: every[name] for name in wanted}


def load_model(artifact: Mapping[str, Any]) -> Model:
    """The model that a `to_artifact` described.

    Raises
    ------
    InputError
        If its kind is not known to this version.
    """
    return (
        Blend.from_artifact(artifact) if artifact.get("model") == "blend" else load_single(artifact)
    )
