"""Shapley attribution: each channel gets the mean of what it adds to any group of the others.

Sources: Shapley 1953; for advertising Dalessandro et al. 2012 (ADKDD) and Zhao, Mahboobi, Bagheri
2018 (arXiv 1804.05327), who show the closed form for `reach`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import factorial
from typing import Literal

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.rng import Streams
from zhiyin.measure.attribution.credit import Attribution, conclude
from zhiyin.measure.attribution.paths import Paths, as_paths

Worth = Literal["reach", "rate"]
MOST_EXACT = 16
"""Channels up to which `auto` goes through all 2^n groups."""


def shapley(
    paths: Paths | Iterable[Sequence[object]],
    *,
    worth: Worth = "reach",
    method: Literal["auto", "exact", "sampled"] = "auto",
    draws: int = 2_000,
    seed: int = 0,
) -> Attribution:
    """Share conversions by Shapley values of the channels; order and repeats do not count.

    Parameters
    ----------
    paths
        `Paths`, or rows for `make_paths`.
    worth
        Of a group of channels. `reach`: conversions of paths that lie within it; its Shapley value
        is each conversion split evenly among the distinct channels of its path, exact for any
        number of channels. `rate`: the share of paths within it that converted, scaled so that all
        channels together are worth all conversions; needs paths that did not convert. A channel
        that lowers the rate gets a negative credit.
    method
        For `rate`: `exact` by sums over all subsets, up to 20 channels; `sampled` by `draws` random
        orders, with its standard error; `auto` is exact up to 16. `reach` is always exact.
    seed
        Of the orders drawn.

    Raises
    ------
    InvalidParameter
        If an option is unknown or there are too many channels for `exact`.
    """
    if worth not in ("reach", "rate") or method not in ("auto", "exact", "sampled") or draws < 2:
        raise InvalidParameter(
            f"no Shapley value by {worth!r}, {method!r} and {draws} draws",
            hint="worth: reach, rate; method: auto, exact, sampled; two draws or more",
        )
    made = as_paths(paths)
    path, channel = _distinct(made)
    n = len(made.channels)
    if worth == "reach":
        size = np.bincount(path, minlength=len(made))
        given = made.conversions[path] / size[path]
        return conclude("shapley reach", made, np.bincount(channel, given, minlength=n))
    touched = made.total - made.untouched
    sets, conversions, walked = _sum_sets(made, path, channel)
    exact = method == "exact" or (method == "auto" and n <= MOST_EXACT)
    if touched == 0:
        return conclude("shapley rate", made, np.zeros(n))
    if exact:
        if n > 20:
            raise InvalidParameter(f"{n} channels have 2^{n} groups", hint="method='sampled'")
        value = _exact(sets, conversions, walked)
        return conclude("shapley rate", made, value / value.sum() * touched)
    drawn = _sampled(sets, conversions, walked, draws=draws, seed=seed)
    scale = touched / (conversions.sum() / walked.sum())
    error = drawn.std(axis=0, ddof=1) / np.sqrt(draws) * scale
    value = drawn.mean(axis=0)
    return conclude("shapley rate", made, value / value.sum() * touched, error=error)


def _distinct(paths: Paths) -> tuple[np.ndarray, np.ndarray]:
    """(path, channel) pairs, each once."""
    n = max(len(paths.channels), 1)
    pairs = np.unique(paths.of_step * n + paths.steps)
    return pairs // n, pairs % n


def _sum_sets(
    paths: Paths, path: np.ndarray, channel: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(s, n) distinct sets of channels, none empty, with conversions and paths of each."""
    member = np.zeros((len(paths), len(paths.channels)), dtype=bool)
    member[path, channel] = True
    touched = paths.lengths > 0
    sets, of_path = np.unique(member[touched], axis=0, return_inverse=True)
    of_path = of_path.ravel()
    won = paths.conversions[touched]
    return (
        sets,
        np.bincount(of_path, won, minlength=len(sets)),
        np.bincount(of_path, won + paths.nulls[touched], minlength=len(sets)),
    )


def _exact(sets: np.ndarray, conversions: np.ndarray, walked: np.ndarray) -> np.ndarray:
    n = sets.shape[1]
    code = sets @ (1 << np.arange(n, dtype=np.int64))
    won = np.bincount(code, conversions, minlength=1 << n)
    all_ = np.bincount(code, walked, minlength=1 << n)
    for sums in (won, all_):  # over all subsets: a zeta transform, one channel after the other
        for place in range(n):
            pairs = sums.reshape(-1, 2, 1 << place)
            pairs[:, 1] += pairs[:, 0]
    worth = np.divide(won, all_, out=np.zeros(1 << n), where=all_ > 0)
    size = np.bitwise_count(np.arange(1 << n, dtype=np.uint64)).astype(np.int64)
    weights = np.array(
        [factorial(k) * factorial(n - k - 1) / factorial(n) for k in range(n)] + [0.0]
    )
    value = np.empty(n)
    for place in range(n):
        pairs = worth.reshape(-1, 2, 1 << place)
        without = size.reshape(-1, 2, 1 << place)[:, 0]
        value[place] = ((pairs[:, 1] - pairs[:, 0]) * weights[without]).sum()
    return value


def _sampled(
    sets: np.ndarray, conversions: np.ndarray, walked: np.ndarray, *, draws: int, seed: int
) -> np.ndarray:
    """(draws, n) marginal worth of each channel in random orders; each row sums to the whole."""
    rng, n = Streams(seed).generator("attribution/shapley"), sets.shape[1]
    channel = np.nonzero(sets)[1]
    first = np.concatenate([[0], np.cumsum(sets.sum(axis=1))[:-1]])
    made = np.empty((draws, n))
    for draw in range(draws):
        order = rng.permutation(n)
        place = np.empty(n, dtype=np.int64)
        place[order] = np.arange(n)
        complete = np.maximum.reduceat(place[channel], first)  # when the last of a set has come
        won = np.cumsum(np.bincount(complete, conversions, minlength=n))
        all_ = np.cumsum(np.bincount(complete, walked, minlength=n))
        worth = np.divide(won, all_, out=np.zeros(n), where=all_ > 0)
        made[draw, order] = np.diff(worth, prepend=0.0)
    return made
