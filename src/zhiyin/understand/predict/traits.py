"""What a shop knows of its customers beside what they do (income, city, card level) as features.

A trait of few values becomes one feature a value, `trait.income=35-49K`, 1 where hers is that one;
a trait of many numbers is one feature, `trait.children`. What is named so says by itself how to
make it, so that a champion finds its features on any day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from zhiyin.core.features import TRAIT, Feature
from zhiyin.understand.predict.leakage import EXPECTED, FILLED, PURE
from zhiyin.understand.predict.quality import auc
from zhiyin.understand.predict.samples import missing_first
from zhiyin.understand.predict.selection import Group

VALUES = 12
"""A trait has so many values at most, the most frequent ones; numbers beyond it stay numbers."""
LEAST_ROWS = 30
"""A value that fewer training rows have is nobody's feature."""
NUMBERS = 0.95  # share of values that must be numbers


def encode_traits(
    rows: pd.DataFrame, past: pd.Series, *, also: Iterable[str] = ()
) -> tuple[pd.DataFrame, tuple[Feature, ...]]:
    """The rows with a column of numbers for each feature of their traits, and these features.

    Parameters
    ----------
    rows
        With text columns `trait.KEY`; without one nothing happens.
    past
        Which rows may be learned from: their values decide what becomes a feature.
    also
        Names of features that a champion asks for; those of other traits are 0.

    Returns
    -------
    Rows without the text columns; features in the order of the columns, then of frequency.
    """
    traits = [name for name in rows.columns if name.startswith(TRAIT)]
    made: dict[str, np.ndarray] = {}
    found: list[Feature] = []
    for name in traits:
        known = rows.loc[past, name].dropna()
        numbers = pd.to_numeric(known, errors="coerce")
        if known.nunique() > VALUES and numbers.notna().mean() >= NUMBERS:
            made[name] = pd.to_numeric(rows[name], errors="coerce").to_numpy(float)
            found.append(trait_feature(name))
            continue
        counts = known.value_counts()
        counts = counts[counts >= LEAST_ROWS].sort_index(kind="stable")
        for value in counts.sort_values(ascending=False, kind="stable").index[:VALUES]:
            own = f"{name}={value}"
            made[own] = (rows[name] == value).to_numpy(float)
            found.append(trait_feature(own))
    for own in also:
        name, _, value = own.partition("=")
        if own.startswith(TRAIT) and own not in made:
            made[own] = _asked(rows, name, value)
    columns = pd.DataFrame(made, index=rows.index)
    return pd.concat([rows.drop(columns=traits), columns], axis=1), tuple(found)


def _asked(rows: pd.DataFrame, name: str, value: str) -> np.ndarray:
    if value:
        there = name in rows.columns
        return (rows[name] == value).to_numpy(float) if there else np.zeros(len(rows))
    if name in rows.columns:
        return pd.to_numeric(rows[name], errors="coerce").to_numpy(float)
    return np.full(len(rows), np.nan)


def trait_feature(name: str) -> Feature:
    """The feature of a name `trait.KEY=VALUE` or `trait.KEY`, in words."""
    key, _, value = name.removeprefix(TRAIT).partition("=")
    said = f"{key} is {value}" if value else key
    return Feature(name, "int64" if value else "float64", said, said.replace(" is ", "：", 1))


def find_late(groups: Sequence[Group], names: Sequence[str]) -> dict[str, float]:
    """Features of attributes that look written after the outcome, with the AUC of each alone.

    In one group nearly everybody in whose row it is not as usual did what the minority did: so look
    those who answered a campaign once it is noted with them. All features of the attribute go.
    """
    mine = [(j, name) for j, name in enumerate(names) if name.startswith(TRAIT)]
    late = {
        _attribute(name)
        for j, name in mine
        if any(_is_late(group.features[:, j], group.labels) for group in groups)
    }
    labels = np.concatenate([group.labels for group in groups])
    made = {}
    for j, name in mine:
        if _attribute(name) in late:
            values = np.concatenate([group.features[:, j] for group in groups])
            alone = auc(labels, missing_first(values))
            made[name] = max(alone, 1 - alone)
    return made


def _attribute(name: str) -> str:
    return name.partition("=")[0]


def _is_late(values: np.ndarray, labels: np.ndarray) -> bool:
    kinds, codes = np.unique(values, return_inverse=True)
    counts = np.bincount(codes, minlength=len(kinds))
    unusual = codes != int(np.argmax(counts))
    rate = float(labels.mean()) if len(labels) else 0.5
    rare = int(rate <= 0.5)
    did = labels == rare
    if not did.any() or unusual.sum() * max(rate, 1 - rate) < EXPECTED:
        return False
    share, covered = float(did[unusual].mean()), float(unusual[did].mean())
    return share == 1 or (share >= PURE and covered >= FILLED)


def is_whole(names: Sequence[str], whole: frozenset[str]) -> list[bool]:
    """Whether the values of each feature are whole numbers."""
    return [name in whole or (name.startswith(TRAIT) and "=" in name) for name in names]
