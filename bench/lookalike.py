"""Look-alikes: a million customers ranked by how like 10,000 seeds they are; random lists."""

from __future__ import annotations

import resource
import time

import numpy as np
from threadpoolctl import threadpool_limits

from bench.harness import at_least, at_most, emit
from zhiyin.core.rng import Streams
from zhiyin.understand.predict.lookalike import Alike, find_alike

CUSTOMERS, FEATURES, SEEDS = 1_000_000, 86, 10_000
GOOD_SHARE = 0.03  # of whom a third is on the list
RANDOM_LISTS, LIST_LENGTH, LIST_CUSTOMERS, LIST_FEATURES = 40, 150, 4_000, 20


def draw(n: int, d: int, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Skewed features with missing values, and what five of them say of how good a customer is."""
    x = rng.standard_gamma(0.7, size=(n, d))
    x[:, ::3] = np.floor(x[:, ::3] * 8)  # counts
    weights = np.array([1.0, 0.8, -0.6, 0.5, 0.4])
    parts = np.log1p(x[:, :5])
    told = (parts - parts.mean(axis=0)) / parts.std(axis=0) @ weights
    x[rng.random(n) < 0.2, 5] = np.nan
    return x, told


def ask(x: np.ndarray, seeds: np.ndarray, *, seed: int) -> Alike:
    """The look-alikes of `seeds` among the rows of `x`."""
    ids = np.array([f"c{k:07d}" for k in range(len(x))], dtype=object)
    names = [f"f{j:02d}" for j in range(x.shape[1])]
    return find_alike(x, seeds, ids, names=names, whole=[False] * len(names), streams=Streams(seed))


def main() -> None:
    """Print cost, how many of the planted rest stand first, and how many random lists passed."""
    rng = np.random.default_rng(42)
    x, told = draw(CUSTOMERS, FEATURES, rng=rng)
    good = told + rng.normal(size=CUSTOMERS)
    planted = good >= np.quantile(good, 1 - GOOD_SHARE)
    listed = rng.choice(np.flatnonzero(planted), SEEDS, replace=False)
    seeds = np.isin(np.arange(CUSTOMERS), listed)
    begun = time.process_time()
    with threadpool_limits(1):
        found = ask(x, seeds, seed=1)
    seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if found.quality is None:
        raise SystemExit(f"no ranking: {found.status}")
    rest = planted & ~seeds
    wanted, others = int(rest.sum()), np.flatnonzero(~seeds)
    hit = float(rest[[int(one[1:]) for one in found.ids[:wanted]]].mean())
    best = float(rest[others[np.argsort(-told[others], kind="stable")[:wanted]]].mean())
    few, _ = draw(LIST_CUSTOMERS, LIST_FEATURES, rng=rng)
    lists = (
        np.isin(np.arange(len(few)), rng.choice(len(few), LIST_LENGTH, replace=False))
        for _ in range(RANDOM_LISTS)
    )
    passed = sum(ask(few, one, seed=k).status == "ok" for k, one in enumerate(lists))
    emit(
        "lookalike",
        data="synthetic customers whose goodness is known, a third of the good on the list",
        rows={"customers": CUSTOMERS, "features": FEATURES, "seeds": SEEDS},
        figures={
            "look-alikes of 1M customers, CPU s": round(seconds, 1),
            "peak memory, GiB": round(peak / 2**20, 2),
            "features alone, GiB": round(x.nbytes / 2**30, 2),
            "model": found.fitted.name if found.fitted else "",
            "AUC of held-out seeds": round(found.quality.auc.value, 4),
            "good customers among the first of the others": round(hit, 4),
            "the same by the true formula": round(best, 4),
            "times a random order": round(hit / (rest.sum() / (~seeds).sum()), 1),
            "random lists that passed": passed,
            "random lists": RANDOM_LISTS,
        },
        goals={
            "look-alikes of 1M customers, CPU s": at_most(120),
            "times a random order": at_least(10),
            "random lists that passed": at_most(2),
        },
    )


if __name__ == "__main__":
    main()
