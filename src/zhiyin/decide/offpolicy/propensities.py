"""Whether the propensities of a log can be believed. Everything off-policy divides by them.

Two kinds of logs are told apart. With the probabilities of all actions, the number of times an
action was taken among some decisions is compared with the sum of its probabilities there, both
ways. With the propensity of the action taken alone, the sum of 1 / propensity over the decisions
that took an action estimates how many decisions could have taken it, so it cannot exceed how many
there are; and a decision whose propensity is below 1 has at least two possible actions, so the
mean of 1 / propensity cannot fall below 2 among those. Too few is otherwise no proof: an action
may have been impossible there, which overlap tells.

Decisions are put together by action and by quarters of each column of the context; where all
probabilities are known by tenths of them too, for each action and for all. Chances are Poisson's,
for weighted counts after Fay and Feuer (1997, *Statistics in Medicine* 16:791), which is on the
safe side of the binomial.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import gammainc, gammaincc, ndtr

from zhiyin.core.errors import WrongPropensities
from zhiyin.decide.offpolicy.log import SUM_ERROR, Bools, DecisionLog, Floats, Ints

ALARM = 0.001
"""Propensities less likely than this, over all cells together, are refused."""
QUARTERS, TENTHS, COLUMNS = 4, 10, 20
LEAST = 10
"""Cells with fewer decisions of the action (expected or seen) say nothing."""


@dataclass(frozen=True)
class Calibration:
    """The least likely cell: its place, how often the action was due and seen, and the p-value
    over all cells (Bonferroni).
    """

    p_value: float
    cells: int
    where: str
    expected: float
    seen: float


def check(log: DecisionLog, *, alarm: float = ALARM) -> Calibration:
    """See that propensities are there, are probabilities, and agree with what was done.

    Raises
    ------
    WrongPropensities
        With `reason`: `missing`, `out_of_range`, `not_a_distribution`, `differ` (from the
        probabilities of all actions), `ineligible` or `miscalibrated`.
    """
    _check_values(log)
    if log.probabilities is not None:
        _check_distribution(log, log.probabilities)
    found = calibrate(log)
    if found.p_value < alarm:
        raise WrongPropensities(
            f"the propensities do not agree with what was done: {found.where}, "
            f"{found.expected:.1f} were due and {found.seen:.1f} seen "
            f"(p = {found.p_value:.1g} over {found.cells} cells)",
            reason="miscalibrated",
            hint="log P(action | context) of the policy that drew the action, after all its rules; "
            "leave out decisions that something else changed",
        )
    return found


def calibrate(log: DecisionLog) -> Calibration:
    """The test of propensities by action and context, without raising."""
    cells = list(_whole_cells(log) if log.probabilities is not None else _taken_cells(log))
    if not cells:
        return Calibration(1.0, 0, "", float("nan"), float("nan"))
    chance, where, expected, seen = min(cells)
    return Calibration(min(1.0, chance * len(cells)), len(cells), where, expected, seen)


def _check_values(log: DecisionLog) -> None:
    p = log.propensities
    missing = log.n if p.shape != (log.n,) else int(np.isnan(p).sum())
    if missing:
        raise WrongPropensities(
            f"{missing} of {log.n} propensities are missing", reason="missing",
            hint="only decisions with a logged propensity can be evaluated off-policy",
        )  # fmt: skip
    if outside := int(((p <= 0) | (p > 1)).sum()):
        raise WrongPropensities(
            f"{outside} of {log.n} propensities are outside (0, 1]", reason="out_of_range",
            hint="an action that was taken had a probability above 0 and at most 1",
        )  # fmt: skip
    if log.eligible is not None:
        if wrong := int((~log.eligible[np.arange(log.n), log.actions]).sum()):
            raise WrongPropensities(
                f"{wrong} decisions took an action that was not eligible", reason="ineligible",
                hint="log the eligible set that the policy saw",
            )  # fmt: skip


def _check_distribution(log: DecisionLog, known: Floats) -> None:
    good = (known >= 0).all() and (np.abs(known.sum(axis=1) - 1) < SUM_ERROR).all()
    if not good:
        raise WrongPropensities(
            "the probabilities of all actions are not 0 or more, or do not sum to 1",
            reason="not_a_distribution", hint="log them after all rules, over eligible actions",
        )  # fmt: skip
    taken = known[np.arange(log.n), log.actions]
    if differ := int((np.abs(taken - log.propensities) > SUM_ERROR).sum()):
        raise WrongPropensities(
            f"in {differ} decisions the propensity is not the probability of the action taken",
            reason="differ", hint="actions may be numbered in another order",
        )  # fmt: skip


def _whole_cells(log: DecisionLog) -> Iterator[tuple[float, str, float, float]]:
    known = log.probabilities
    assert known is not None  # noqa: S101  the caller's condition
    taken = log.actions[:, None] == np.arange(log.n_actions)
    by_context = list(_bins(log.contexts))
    for a in range(log.n_actions):
        seen, due = taken[:, a], known[:, a]
        for where, rows, bins in [*by_context, ("its probability", *_cut(due, TENTHS))]:
            yield from _counted(
                seen, due, rows, bins, f"action {a}, part {{}} of {bins} by {where}"
            )
    rows, bins = _cut(known.ravel(), TENTHS)
    place = f"all actions, part {{}} of {bins} by probability"
    yield from _counted(taken.ravel(), known.ravel(), rows, bins, place)


def _counted(
    seen: Bools, due: Floats, rows: Ints, bins: int, place: str
) -> Iterator[tuple[float, str, float, float]]:
    counts = np.bincount(rows, seen, minlength=bins)
    sums = np.bincount(rows, due, minlength=bins)
    for b in np.flatnonzero(np.maximum(counts, sums) >= LEAST):
        chance = _poisson(float(counts[b]), float(sums[b]))
        yield chance, place.format(b + 1), float(sums[b]), float(counts[b])


def _taken_cells(log: DecisionLog) -> Iterator[tuple[float, str, float, float]]:
    weight = 1 / log.propensities
    several = log.propensities < 1
    for where, rows, bins in _bins(log.contexts):
        for a in range(log.n_actions):
            mine = log.actions == a
            could = np.ones(log.n, np.bool_) if log.eligible is None else log.eligible[:, a]
            size = np.bincount(rows, could, minlength=bins)
            total = np.bincount(rows, weight * mine, minlength=bins)
            squares = np.bincount(rows, weight**2 * mine, minlength=bins)
            count = np.bincount(rows, mine, minlength=bins)
            for b in np.flatnonzero(count >= LEAST):
                shape = total[b] ** 2 / squares[b]
                chance = float(gammainc(shape, size[b] * shape / total[b]))
                place = f"action {a}, part {b + 1} of {bins} by {where}"
                yield chance, place, float(size[b]), float(total[b])
        yield from _too_sure(weight[several], rows[several], bins, where)


def _too_sure(
    weight: Floats, rows: Ints, bins: int, where: str
) -> Iterator[tuple[float, str, float, float]]:
    """Of decisions that had a choice, whether 1 / propensity is 2 on the mean, or more."""
    for b in range(bins):
        mine = weight[rows == b]
        if mine.size < 10 * LEAST or mine.mean() >= 2:
            continue
        error = max(float(mine.std(ddof=1)), 1e-9) / np.sqrt(mine.size)
        place = f"decisions with a choice, part {b + 1} of {bins} by {where}"
        yield float(ndtr((mine.mean() - 2) / error)), place, 2.0 * mine.size, float(mine.sum())


def _poisson(seen: float, due: float) -> float:
    """Two-sided chance of a count at least as far from what was due."""
    above = float(gammainc(seen, max(due, SUM_ERROR))) if seen > 0 else 1.0  # P(N >= seen)
    return min(1.0, 2 * min(above, float(gammaincc(seen + 1, due))))


def _bins(contexts: Floats) -> Iterator[tuple[str, Ints, int]]:
    yield "all", np.zeros(len(contexts), np.int64), 1
    for j in range(min(contexts.shape[1], COLUMNS)):
        rows, bins = _cut(contexts[:, j], QUARTERS)
        if bins > 1:
            yield f"column {j}", rows, bins


def _cut(values: Floats, parts: int) -> tuple[Ints, int]:
    """Parts of about equal size by order of value; equal values stay together."""
    edges = np.unique(np.quantile(values, np.arange(1, parts) / parts))
    inside: Bools = edges < values.max()
    edges = edges[inside]
    return np.searchsorted(edges, values, side="left").astype(np.int64), edges.size + 1
