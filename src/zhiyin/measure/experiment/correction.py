"""Many tests at once: p-values as high as they must be for what is claimed of all together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zhiyin.core.errors import InvalidParameter

Correction = Literal["holm", "bh", "none"]


def adjust_holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """(n,) adjusted p-values: with chance 1 - alpha none of those <= alpha is a false alarm.

    NaN is no test and stays NaN. Holm (1979), *Scandinavian Journal of Statistics* 6:65.
    """
    return _adjust(p_values, lambda ranked, n: np.maximum.accumulate(ranked * (n - np.arange(n))))


def adjust_bh(p_values: ArrayLike) -> NDArray[np.float64]:
    """(n,) adjusted p-values: of those <= alpha about a share of alpha are false alarms.

    NaN is no test and stays NaN. Benjamini and Hochberg (1995), *JRSS B* 57:289.
    """
    return _adjust(
        p_values,
        lambda ranked, n: np.minimum.accumulate((ranked * n / np.arange(1, n + 1))[::-1])[::-1],
    )


def adjust(p_values: ArrayLike, correction: Correction) -> NDArray[np.float64]:
    """(n,) p-values adjusted by name."""
    if correction == "holm":
        return adjust_holm(p_values)
    if correction == "bh":
        return adjust_bh(p_values)
    if correction == "none":
        return np.asarray(p_values, dtype=np.float64).copy()
    raise InvalidParameter(f"no correction {correction!r}", hint="holm, bh, none")


def _adjust(
    p_values: ArrayLike, step: Callable[[NDArray[np.float64], int], NDArray[np.float64]]
) -> NDArray[np.float64]:
    values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(values.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(values))
    if not len(tested):
        return adjusted
    given = values[tested]
    if given.min() < 0 or given.max() > 1:
        raise InvalidParameter("a p-value is in [0, 1]")
    order = np.argsort(given, kind="stable")
    adjusted[tested[order]] = np.minimum(step(given[order], len(given)), 1)
    return adjusted
