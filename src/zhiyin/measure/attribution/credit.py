"""How conversions are given to channels: the result that all methods share, and the plain rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.attribution.paths import NONE, Paths, as_paths
from zhiyin.measure.status import NO_POSITIVES, OK

Rule = Literal["first", "last", "linear", "position", "time_decay"]
RULES: Final[tuple[Rule, ...]] = ("first", "last", "linear", "position", "time_decay")
HALF_LIFE_DAYS = 7.0
ENDS = (0.4, 0.4)
"""What the first and the last touch get by `position`; those between share the rest."""


@dataclass(frozen=True)
class Attribution:
    """Conversions given to each channel; `credit` sums to `total` to rounding.

    A channel that has no part in any conversion is listed with 0. The last is `(none)`, where
    conversions came without a touch. `removal` (markov) is the share of conversions lost without
    the channel; `error` (sampled shapley) the standard error of the credit. `status` is
    `no_positives` where nobody converted.
    """

    method: str
    channels: tuple[str, ...]
    credit: np.ndarray
    total: float
    status: str
    removal: np.ndarray | None = None
    error: np.ndarray | None = None

    @property
    def share(self) -> np.ndarray:
        """Of all conversions; 0 where there are none."""
        return self.credit / self.total if self.total else np.zeros(len(self.credit))

    def as_dict(self) -> dict[str, float]:
        """Credit by channel."""
        return dict(zip(self.channels, self.credit.tolist(), strict=True))


def conclude(
    method: str,
    paths: Paths,
    credit: np.ndarray,
    *,
    removal: np.ndarray | None = None,
    error: np.ndarray | None = None,
) -> Attribution:
    """An `Attribution` from the credit of the channels, with what nothing reached beside them."""
    channels, nothing = paths.channels, paths.untouched
    if nothing:
        channels = (*channels, NONE)
        credit = np.append(credit, nothing)
        removal = None if removal is None else np.append(removal, np.nan)
        error = None if error is None else np.append(error, 0.0)
    status = OK if paths.total else NO_POSITIVES
    return Attribution(method, channels, credit, paths.total, status, removal, error)


def attribute(
    paths: Paths | Iterable[Sequence[object]],
    rule: Rule,
    *,
    half_life_days: float = HALF_LIFE_DAYS,
    ends: tuple[float, float] = ENDS,
) -> Attribution:
    """Give each conversion to the touches of its path by a fixed rule.

    Parameters
    ----------
    paths
        `Paths`, or rows for `make_paths`.
    rule
        `first`, `last`; `linear`: all touches alike; `position`: `ends` to the first and the last,
        the rest to those between (of two touches the ends share all, one gets it whole);
        `time_decay`: a touch counts half of one that is `half_life_days` younger.

    Raises
    ------
    InvalidParameter
        If the rule is unknown, its numbers are out of range, or `time_decay` lacks the ages.
    """
    made = as_paths(paths)
    weights = _weigh(made, rule, half_life_days, ends)
    path = made.of_step
    totals = np.bincount(path, weights=weights, minlength=len(made))
    given = weights / totals[path] * made.conversions[path]
    return conclude(rule, made, np.bincount(made.steps, given, minlength=len(made.channels)))


def _weigh(
    paths: Paths, rule: Rule, half_life_days: float, ends: tuple[float, float]
) -> np.ndarray:
    """A positive weight for the steps of each path that has any; they need not sum to 1."""
    count, path = len(paths.steps), paths.of_step
    length = paths.lengths[path]
    place = np.arange(count) - paths.starts[:-1][path]
    first, last = place == 0, place == length - 1
    if rule == "first":
        return first.astype(float)
    if rule == "last":
        return last.astype(float)
    if rule == "linear":
        return np.ones(count)
    if rule == "position":
        if min(ends) <= 0 or sum(ends) > 1:
            raise InvalidParameter(f"the ends cannot get {ends}", hint="two shares of 1 at most")
        middle = (1 - sum(ends)) / np.maximum(length - 2, 1)
        return np.where(first, ends[0], np.where(last, ends[1], middle))
    if rule == "time_decay":
        if paths.ages is None:
            raise InvalidParameter(
                "time decay needs the age of each touch",
                hint="make_paths(rows, ages=…), or sum_time_decay for tables",
            )
        if not half_life_days > 0:
            raise InvalidParameter(f"half of {half_life_days} days is no half-life")
        youngest = np.full(len(paths), np.inf)
        np.minimum.at(youngest, path, paths.ages)
        return np.exp2(-(paths.ages - youngest[path]) / half_life_days)
    raise InvalidParameter(f"there is no rule {rule!r}", hint=f"one of {', '.join(RULES)}")
