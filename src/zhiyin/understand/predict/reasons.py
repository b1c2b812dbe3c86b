"""Why a score is what it is: what each feature of a customer does to her log-odds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np

from zhiyin.understand.predict.scaling import logit

TOP = 5
_CHUNK = 20_000


def base_values(features: np.ndarray) -> np.ndarray:
    """The typical customer: the median of each of (n, d) features, NaN where all are missing."""
    known = ~np.isnan(features)
    return np.array(
        [
            np.median(features[known[:, j], j]) if known[:, j].any() else np.nan
            for j in range(features.shape[1])
        ]
    )


def effects(
    predict: Callable[[np.ndarray], np.ndarray], features: np.ndarray, base: np.ndarray
) -> np.ndarray:
    """Change of the log-odds when one feature of the typical customer becomes hers.

    Parameters
    ----------
    predict
        (n, d) features to (n,) probabilities.
    features
        (n, d) features of the customers.
    base
        (d,) values of the typical customer.

    Returns
    -------
    (n, d): log-odds of her score minus log-odds with the feature at its base value. Effects do
    not add up to the score where the model is not additive.
    """
    made = np.zeros(features.shape)
    for start in range(0, len(features), _CHUNK):
        rows = features[start : start + _CHUNK]
        own = logit(predict(rows))
        for j, typical in enumerate(base):
            same = (rows[:, j] == typical) | (np.isnan(rows[:, j]) & np.isnan(typical))
            changed = np.flatnonzero(~same)
            if len(changed) == 0:
                continue
            replaced = rows[changed].copy()
            replaced[:, j] = typical
            made[start + changed, j] = own[changed] - logit(predict(replaced))
    return made


def describe(
    made: np.ndarray, features: np.ndarray, names: Sequence[str], whole: Sequence[bool]
) -> list[str]:
    """Reasons of each customer as JSON: the `TOP` strongest effects, ties by name.

    Parameters
    ----------
    made
        What `effects` gives.
    features
        (n, d) features.
    names, whole
        Name of each feature, and whether its values are whole numbers.
    """
    by_name = np.argsort(np.argsort(np.asarray(names)))
    written = []
    for row, values in zip(np.round(made, 4), features, strict=True):
        order = np.lexsort((by_name, -np.abs(row)))[:TOP]
        written.append(
            json.dumps(
                [
                    {
                        "feature": names[j],
                        "value": _plain(values[j], whole=whole[j]),
                        "effect": float(row[j]),
                    }
                    for j in order
                    if row[j] != 0
                ]
            )
        )
    return written


def _plain(value: float, *, whole: bool) -> float | int | None:
    if np.isnan(value):
        return None
    return int(value) if whole else round(float(value), 6)


def strongest(made: np.ndarray, names: Sequence[str], *, top: int = 15) -> list[dict]:
    """Features by mean absolute effect over the customers, ties by name."""
    size = np.round(np.abs(made).mean(axis=0), 6) if len(made) else np.zeros(len(names))
    order = sorted(range(len(names)), key=lambda j: (-size[j], names[j]))[:top]
    return [{"feature": names[j], "mean_abs_effect": float(size[j])} for j in order if size[j] > 0]
