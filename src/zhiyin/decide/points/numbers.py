"""Names of numbers that are known of customers, and where each is kept.

| name | what |
|---|---|
| `recency_days` | a numeric column of the table `features` |
| `score.churn`, `score.response:shop:k1` | the newest score of a task (and a subject) |
| `seen.24h`, `bought.48h` | products that she looked at, or bought, in the last hours, by now |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zhiyin.core.features import FEATURES

SCORE, SEEN, BOUGHT = "score.", "seen.", "bought."
MOST_HOURS = 168
"""What was looked at is kept so long (`store.recent`)."""
_HOURS = re.compile(r"(seen|bought)\.([1-9]\d{0,2})h")
_SCORE = re.compile(r"score\.([a-z_]{1,32})(?::(.{1,200}))?")
NUMERIC = frozenset(one.name for one in FEATURES if one.type in ("int64", "float64"))


@dataclass(frozen=True)
class Window:
    """A count over the last hours; `place`: where it stands among the numbers of a point."""

    place: int
    bought: bool
    hours: int


def check_name(name: str) -> str:
    """Why no number has the name; empty: one has."""
    if found := _HOURS.fullmatch(name):
        return "" if int(found[2]) <= MOST_HOURS else f"at most {MOST_HOURS} hours are kept"
    if name.startswith((SEEN, BOUGHT)):
        return "say the hours: seen.24h, bought.48h"
    if name.startswith(SCORE):
        return "" if _SCORE.fullmatch(name) else "say the task: score.churn"
    return "" if name in NUMERIC else "no numeric feature has this name"


def kept_names(names: Iterable[str]) -> list[str]:
    """Those that a turn computes; the others are counted when a choice is asked for."""
    return sorted({one for one in names if not _HOURS.fullmatch(one)})


def score_of(name: str) -> tuple[str, str] | None:
    """Task and subject of a score; None: it is none."""
    found = _SCORE.fullmatch(name)
    return (found[1], found[2] or "") if found else None


def windows_of(names: Sequence[str]) -> tuple[Window, ...]:
    """The counts over hours among the names."""
    return tuple(
        Window(place, found[1] == "bought", int(found[2]))
        for place, name in enumerate(names)
        if (found := _HOURS.fullmatch(name))
    )


def spread_of(columns: Mapping[str, tuple[float, float]], names: Sequence[str]) -> np.ndarray:
    """Middle and width of each name, (d, 2): of the columns given, of counts what is usual."""
    usual = (1.0, 2.0)
    return np.array([columns.get(one, usual) for one in names], np.float64).reshape(-1, 2)
