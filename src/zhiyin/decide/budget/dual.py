"""Prices of what is short, at which everybody may choose for herself (Lagrange's dual).

At prices p the customers' gains and the worth of what there is sum to

    D(p) = p limits + sum over i of the cap[i] largest max(0, score - p use)

which no choice within the limits exceeds (Everett 1963, *Operations Research* 11:399), and whose
slope is limits less what is then used. Its least value is found by cutting planes (Kelley 1960,
*SIAM Journal* 8:703) within a box around the best prices (Marsten, Hogan and Blankenship 1975,
*Operations Research* 23:389): on a sample of the customers first, then on all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from zhiyin.decide.budget.problem import Bools, Floats, Problem, Singles

SAMPLE = 20_000
ROUNDS = 60
CLOSE = 1e-6
"""Cutting planes stop when D is known to this share of itself."""


@dataclass(frozen=True)
class Prices:
    """The best prices (1 + channels,), and D there: what no choice exceeds."""

    prices: Floats
    bound: float


def find_prices(problem: Problem) -> Prices:
    """Prices for which D is least."""
    short = np.isfinite(problem.limits) & (problem.limits > 0)
    start, width = np.zeros(problem.limits.size), 1.0
    if problem.shape[0] > 2 * SAMPLE:
        start, width = _descend(problem.sample(SAMPLE), start, short, width).prices, 0.05
    return _descend(problem, start, short, width)


def choose(net: Singles, caps: np.ndarray) -> Bools:
    """(m, k) the `caps` actions that are worth most to each customer and more than nothing."""
    picks = np.zeros(net.shape, np.bool_)
    if caps.max(initial=0) <= 1:
        rows = np.arange(len(net))
        best = net.argmax(axis=1)
        picks[rows, best] = (net[rows, best] > 0) & (caps > 0)
        return picks
    order = np.argsort(-net, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(net.shape[1])[None, :], axis=1)
    return (ranks < caps[:, None]) & (net > 0)


def used_by(problem: Problem, rows: slice, picks: Bools) -> Floats:
    """(1 + channels,) money and places that some customers' choice takes."""
    counts = picks.sum(axis=0)
    costs = problem.cost_of(rows)
    money = counts @ costs[0].astype(np.float64) if len(costs) == 1 else costs[picks].sum(
        dtype=np.float64
    )  # fmt: skip
    places = np.bincount(problem.channel, counts, minlength=problem.limits.size - 1)
    return np.concatenate([[float(money)], places])


def _evaluate(problem: Problem, prices: Floats) -> tuple[float, Floats]:
    """D and its slope."""
    short = np.isfinite(problem.limits)
    gains, used = 0.0, np.zeros(problem.limits.size)
    for rows in problem.chunks():
        net = problem.net_of(rows, prices)
        picks = choose(net, problem.caps[rows])
        gains += float(net[picks].sum(dtype=np.float64))
        used += used_by(problem, rows, picks)
    limits = np.where(short, problem.limits, 0.0)
    return gains + float(prices @ limits), np.where(short, limits - used, 0.0)


def _descend(problem: Problem, start: Floats, short: Bools, width: float) -> Prices:
    value, slope = _evaluate(problem, start)
    best = Prices(start, value)
    if value <= 0 or (not start.any() and (slope[short] >= 0).all()):
        return best  # nothing is short
    unit = np.zeros(start.size)
    unit[short] = value / problem.limits[short]  # a price at which all there is costs all there is
    cuts = [(value, slope, start)]
    for _ in range(ROUNDS):
        prices, floor, edge = _propose(cuts, best.prices, unit, short, width)
        if best.bound - floor <= CLOSE * abs(best.bound):
            if not edge:
                break
            width *= 4
            continue
        value, slope = _evaluate(problem, prices)
        cuts.append((value, slope, prices))
        if value < best.bound:
            best = Prices(prices, value)
    return best


def _propose(
    cuts: list[tuple[float, Floats, Floats]], centre: Floats, unit: Floats, short: Bools,
    width: float,
) -> tuple[Floats, float, bool]:  # fmt: skip
    """The prices in the box where the cuts are lowest, how low, and whether at the box's edge.

    Prices are scaled by `unit`, D by the first cut's.
    """
    scale = cuts[0][0]
    rows = np.array([np.append(slope[short] * unit[short] / scale, -1.0) for _, slope, _ in cuts])
    ends = np.array([(slope @ prices - value) / scale for value, slope, prices in cuts])
    middle = centre[short] / unit[short]
    low, high = np.maximum(0, middle - width), middle + width
    bounds = [*zip(low, high, strict=True), (None, None)]
    goal = np.append(np.zeros(middle.size), 1.0)
    found = linprog(goal, A_ub=rows, b_ub=ends, bounds=bounds, method="highs")
    prices = np.zeros(centre.size)
    prices[short] = np.clip(found.x[:-1], low, high) * unit[short]
    at = found.x[:-1]
    edge = bool((((at <= low + 1e-9) & (low > 0)) | (at >= high - 1e-9)).any())
    return prices, float(found.fun) * scale, edge
