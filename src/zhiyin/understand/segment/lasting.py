"""Clusters that keep their number and name from one turn to the next.

K-means numbers its groups anew every time. Here the groups of today are matched to those of the
last day by the customers they share; what matches nothing is new, what nothing matches is gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from zhiyin.understand.segment.portrait import Portrait

MIN_OVERLAP = 0.25
"""Customers in both groups over those in either, of those known on both days; below it a group is
another one. Two groups of which each holds two fifths of the other share a quarter."""
_NUMBER = re.compile(r"c(\d+)")


@dataclass(frozen=True)
class Lasting:
    """Name of each cluster of today, in order of its number.

    Attributes
    ----------
    names
        `c1`, `c2` …: that of the last day where it is the same group, else one never used.
    overlaps
        Customers in both over customers in either; NaN for a new group.
    born, gone
        Names of today that match no group before, and of before that match none today; empty where
        there was no day before.
    """

    names: tuple[str, ...]
    overlaps: tuple[float, ...] = ()
    born: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def match_clusters(
    before: pd.Series, labels: pd.Series, *, k: int, used: Iterable[str] = ()
) -> Lasting:
    """Match the clusters of today to those of the last day.

    Parameters
    ----------
    before
        Name of the cluster of each customer on the last day, indexed by customer.
    labels
        Number (0 .. k - 1) of the cluster of each customer today, indexed by customer.
    k
        Clusters of today.
    used
        Names of all earlier days: a new group takes none of them.

    Notes
    -----
    The assignment has the largest sum of overlaps (Jaccard) over customers known on both days
    (Kuhn 1955, the Hungarian method); pairs below `MIN_OVERLAP` are no match.
    """
    if not len(before):
        return Lasting(tuple(f"c{number + 1}" for number in range(k)))
    old = sorted(set(before))
    both = pd.concat([before.rename("old"), labels.rename("new")], axis=1, join="inner")
    shared = pd.crosstab(both["old"], both["new"]).reindex(
        index=old, columns=range(k), fill_value=0
    )  # fmt: skip
    counts = shared.to_numpy(float)
    either = counts.sum(axis=1, keepdims=True) + counts.sum(axis=0, keepdims=True) - counts
    overlap = np.divide(counts, either, out=np.zeros_like(counts), where=either > 0)
    rows, columns = linear_sum_assignment(-np.round(overlap, 9))
    kept = {
        int(j): (old[i], float(overlap[i, j]))
        for i, j in zip(rows, columns, strict=True)
        if overlap[i, j] >= MIN_OVERLAP
    }
    taken = [int(found[1]) for one in {*used, *old} if (found := _NUMBER.fullmatch(one))]
    free = max(taken, default=0)
    names, born = [], []
    for number in range(k):
        if number in kept:
            names.append(kept[number][0])
        else:
            free += 1
            names.append(f"c{free}")
            born.append(names[-1])
    gone = tuple(one for one in old if one not in names)
    overlaps = tuple(kept[j][1] if j in kept else float("nan") for j in range(k))
    return Lasting(tuple(names), overlaps, tuple(born), gone)


def keep_names(
    portraits: Sequence[Portrait], lasting: Lasting, before: Mapping[str, tuple[str, str]]
) -> tuple[Portrait, ...]:
    """Portraits with the names that their groups had; new groups take names that none has.

    Parameters
    ----------
    portraits
        Of today, in order of the cluster's number.
    lasting
        What `match_clusters` gave.
    before
        English and Chinese name of each group of the last day.
    """
    held = {before[name] for name in lasting.names if name in before}
    made = []
    for portrait, name in zip(portraits, lasting.names, strict=True):
        label = before.get(name)
        if label is None:
            own = label = (portrait.label, portrait.label_zh)
            number = 1
            while label in held:
                number += 1
                label = (f"{own[0]} {number}", f"{own[1]}{number}")
            held.add(label)
        made.append(replace(portrait, label=label[0], label_zh=label[1]))
    return tuple(made)


def say_changes(
    lasting: Lasting,
    before: Mapping[str, tuple[str, str]],
    today: Mapping[str, tuple[str, str]],
) -> tuple[str, str]:
    """Which groups are new and which are gone, in both languages; empty where none is."""
    english, chinese = [], []
    if lasting.born:
        english.append("new group: " + ", ".join(today[one][0] for one in lasting.born))
        chinese.append("新客群：" + "、".join(f"「{today[one][1]}」" for one in lasting.born))
    if lasting.gone:
        named = [before.get(one, (one, one)) for one in lasting.gone]
        english.append("dissolved: " + ", ".join(en for en, _ in named))
        chinese.append("已解散：" + "、".join(f"「{zh}」" for _, zh in named))
    return "; ".join(english), "；".join(chinese)
