"""Dividing a budget and three short channels among a million customers and twenty actions.

CPU seconds of one process with one thread: wall clock is given too, and depends on who else uses
the machine. `ties`: whole-number scores and four costs. Memory is what is added to the inputs'.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from bench.harness import at_most, emit
from zhiyin.decide.budget import Allocation, allocate

SEED, N, K = 20_261_130, 1_000_000, 20
KINDS = ("costs_by_action", "costs_by_pair", "ties", "two_each")


def divide(kind: str, n: int) -> tuple[Allocation, float, float]:
    """The allocation, its CPU seconds and its seconds."""
    rng = np.random.default_rng([SEED, KINDS.index(kind)])
    scores = rng.gamma(0.5, 4, (n, K)).astype("f4")
    costs = np.linspace(0.05, 3, K).astype("f4")
    if kind == "costs_by_pair":
        costs = rng.uniform(0.05, 3, (n, K)).astype("f4")
    if kind == "ties":
        scores, costs = np.round(scores), np.repeat([0.1, 0.5, 1, 2], K // 4).astype("f4")
    cpu, wall = time.process_time(), time.perf_counter()
    found = allocate(
        scores, costs, 0.4 * n, channels=np.arange(K) % 4,
        capacity=np.array([0.1, 0.15, 0.3, 1.0]) * n, caps=2 if kind == "two_each" else 1,
    )  # fmt: skip
    return found, time.process_time() - cpu, time.perf_counter() - wall


def exact(trials: int) -> dict[str, float]:
    """How far prices are from the solver's best, where it can find it."""
    rng = np.random.default_rng([SEED, 9])
    short, gaps = [], []
    for _ in range(trials):
        n = 1_000
        scores, costs = rng.gamma(0.5, 4, (n, 5)), rng.uniform(0.1, 1, (n, 5))
        limits = {"channels": np.arange(5) % 3, "capacity": np.array([0.1, 0.2, 1]) * n}
        best = allocate(scores, costs, 0.1 * n, method="exact", **limits)
        found = allocate(scores, costs, 0.1 * n, method="dual", **limits)
        short.append(1 - found.value / best.value)
        gaps.append(found.gap)
    return {"small_short_of_exact": float(max(short)), "small_gap": float(max(gaps))}


def main() -> None:
    """Print the figures; a number as first argument divides the customers."""
    by = next((int(each) for each in sys.argv[1:] if each.isdigit()), 1)
    n = N // by
    figures: dict[str, object] = {}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for kind in KINDS:
        found, cpu, wall = divide(kind, n)
        figures |= {
            f"{kind}_cpu_s": round(cpu, 2), f"{kind}_wall_s": round(wall, 2),
            f"{kind}_gap": found.gap,
        }  # fmt: skip
    figures["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024)
    figures["before_mb"] = round(before / 1_024)
    emit(
        "decide_budget",
        data="simulated scores (gamma), three short channels of four, budget 0.4 a customer",
        rows={"customers": n, "actions": K},
        figures=figures | exact(20),
        goals={f"{kind}_cpu_s": at_most(60) for kind in KINDS[:2]}
        | {f"{kind}_gap": at_most(0.001) for kind in KINDS}
        | {"small_gap": at_most(0.01)},
    )


if __name__ == "__main__":
    main()
