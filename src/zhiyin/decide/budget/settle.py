"""From choices at prices to a choice within the limits that leaves little over.

Where a channel or the money is overdrawn, the customers who lose least by it change to their next
best action, or to nothing. Where something is left, those who gain most by it get more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zhiyin.decide.budget.dual import choose, used_by
from zhiyin.decide.budget.problem import Bools, Floats, Ints, Problem

ROUNDS = 30
NOTHING = -1


@dataclass(frozen=True)
class Moves:
    """(m,) one change per customer: her row, the action she gives up and gets (-1: none), what the
    score changes by, and the money.
    """

    row: Ints
    old: Ints
    new: Ints
    gain: Floats
    money: Floats

    def take(self, some: np.ndarray) -> Moves:
        """Some of the moves."""
        return Moves(*(each[some] for each in vars(self).values()))


def settle(problem: Problem, prices: Floats) -> Bools:
    """(n, k) a choice within all limits, near the one at the prices."""
    picks = np.concatenate([
        choose(problem.net_of(rows, prices), problem.caps[rows]) for rows in problem.chunks()
    ])  # fmt: skip
    closed = np.zeros(problem.limits.size - 1, np.bool_)
    for _ in range(closed.size):
        over = np.flatnonzero(_use(problem, picks)[1:] > problem.limits[1:])
        if not over.size:
            break
        closed[over] = True
        for j in over:
            _empty_channel(problem, prices, picks, int(j), closed)
    _save_money(problem, prices, picks, closed)
    for _ in range(ROUNDS):
        if not _fill(problem, prices, picks):
            break
    return picks


def _use(problem: Problem, picks: Bools) -> Floats:
    return sum((used_by(problem, r, picks[r]) for r in problem.chunks()), np.zeros(1))


def _empty_channel(problem: Problem, prices: Floats, picks: Bools, j: int, closed: Bools) -> None:
    """Send those who lose least out of channel `j` until it holds the others."""
    mine = problem.channel == j
    excess = int(picks[:, mine].sum() - problem.limits[1 + j])
    moves = _moves(problem, prices, picks, give=mine, get=~closed[problem.channel])
    loss = -(moves.gain - prices[0] * moves.money)
    _apply(picks, moves.take(np.argsort(loss, kind="stable")[:excess]))
    still = int(picks[:, mine].sum() - problem.limits[1 + j])
    if still > 0:  # customers with several actions in it
        _empty_channel(problem, prices, picks, j, closed)


def _save_money(problem: Problem, prices: Floats, picks: Bools, closed: Bools) -> None:
    """Let those change to what is cheaper, or to nothing, who lose least per money saved."""
    everything = np.ones(problem.channel.size, np.bool_)
    for _ in range(ROUNDS):
        over = _use(problem, picks)[0] - problem.limits[0]
        if over <= 0:
            return
        open_ = ~(closed | (_use(problem, picks)[1:] >= problem.limits[1:]))
        get = open_[problem.channel]
        moves = _moves(problem, prices, picks, give=everything, get=get, cheaper=True)
        moves = moves.take(moves.money < 0)
        order = np.argsort(moves.gain / moves.money, kind="stable")  # loss per money, least first
        saved = np.cumsum(-moves.money[order])
        chosen = moves.take(order[: int(np.searchsorted(saved, over)) + 1])
        _apply(picks, _within(problem, picks, chosen, money=False))


def _fill(problem: Problem, prices: Floats, picks: Bools) -> bool:
    """Give what is left to those who gain most; whether anybody got something."""
    left = problem.limits - _use(problem, picks)
    everything = np.ones(problem.channel.size, np.bool_)
    get = (left[1:] >= 1)[problem.channel]
    moves = _moves(
        problem, prices, picks, give=everything, get=get, dearest=float(left[0]), add=True
    )
    moves = moves.take((moves.gain > 0) & (moves.money <= left[0]))
    if not moves.row.size:
        return False
    worth = moves.gain / np.maximum(moves.money, 1e-9 * max(1.0, float(problem.costs.max())))
    chosen = _within(problem, picks, moves.take(np.argsort(-worth, kind="stable")), money=True)
    _apply(picks, chosen)
    return chosen.row.size > 0


def _within(problem: Problem, picks: Bools, moves: Moves, *, money: bool) -> Moves:
    """The moves for which there is room, in their order; places that they free do not count."""
    left = problem.limits - _use(problem, picks)
    keep = np.ones(moves.row.size, np.bool_)
    for j in range(left.size - 1):
        into = (moves.new != NOTHING) & (problem.channel[moves.new] == j)
        from_here = (moves.old != NOTHING) & (problem.channel[moves.old] == j)
        into &= ~from_here
        keep &= ~into | (np.cumsum(into) <= left[1 + j])
    if money:
        spent = np.cumsum(np.where(keep, np.maximum(moves.money, 0), 0.0))
        keep &= spent <= left[0]
    return moves.take(keep)


def _apply(picks: Bools, moves: Moves) -> None:
    less, more = moves.old != NOTHING, moves.new != NOTHING
    picks[moves.row[less], moves.old[less]] = False
    picks[moves.row[more], moves.new[more]] = True


def _moves(
    problem: Problem, prices: Floats, picks: Bools, *, give: Bools, get: Bools,
    cheaper: bool = False, dearest: float = np.inf, add: bool = False,
) -> Moves:  # fmt: skip
    """Each customer's best change: from her least action among `give`, to her best among `get`.

    `cheaper`: only to what costs less; otherwise to what costs at most `dearest` more. `add`: who
    is below her cap gives up nothing, and nobody changes to nothing.
    """
    found = []
    for rows in problem.chunks():
        net, mine = problem.net_of(rows, prices), picks[rows]
        costs = np.broadcast_to(problem.cost_of(rows), net.shape)
        at = np.arange(len(net))
        held = np.where(mine & give, net, np.inf)
        old = held.argmin(axis=1)
        has = np.isfinite(held[at, old])
        free = mine.sum(axis=1) < problem.caps[rows]
        from_nothing = free if add else np.zeros(len(net), np.bool_)
        old = np.where(has & ~from_nothing, old, NOTHING)
        paid = np.where(old != NOTHING, costs[at, old], 0.0)
        score = np.where(old != NOTHING, problem.scores[rows][at, old], 0.0)
        extra = costs - paid[:, None]
        able = ~mine & get & ((extra < 0) if cheaper else (extra <= dearest))
        offered = np.where(able, net, -np.inf)
        new = offered.argmax(axis=1)
        value = offered[at, new]
        none = ~np.isfinite(value) | (not add and value <= 0)
        keep = ~none & (has | from_nothing) if add else has
        gained = np.where(none, 0.0, problem.scores[rows][at, new]) - score
        money = np.where(none, 0.0, costs[at, new]) - paid
        new = np.where(none, NOTHING, new)
        parts = (at + rows.start, old, new, gained.astype(np.float64), money.astype(np.float64))
        found.append([each[keep] for each in parts])
    return Moves(*(np.concatenate(each) for each in zip(*found, strict=True)))
