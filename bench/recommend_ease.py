"""How long does EASE take on 12,000 items, and how much memory, on one core?

Made-up sparse purchases (no data set at hand has as many items and more people): 15,000 people,
12,000 items of falling popularity, 60 items each. The items' side is solved, float32 by Cholesky;
then 1,000 people are scored. CPU seconds; each is the least of two where there is time for two.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from bench.harness import at_most, emit
from zhiyin.understand.recommend.ease import Ease
from zhiyin.understand.recommend.events import read_events


def make_purchases(people: int, items: int, each: int) -> pa.Table:
    """Everybody's items, drawn by popularity (Zipf, exponent 0.8) within one of 40 tastes."""
    rng = np.random.default_rng(12)
    share = 1 / np.arange(1, items + 1) ** 0.8
    taste = rng.integers(40, size=items)
    rows = []
    for person in range(people):
        liked = share * np.where(taste == person % 40, 20.0, 1.0)
        rows.append(rng.choice(items, size=each, replace=False, p=liked / liked.sum()))
    return pa.table(
        {
            "user_id": np.repeat(np.arange(people), each).astype(str),
            "item_id": np.concatenate(rows).astype(str),
        }
    )


def main() -> None:
    """Fit, score, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=12_000)
    parser.add_argument("--people", type=int, default=15_000)
    parser.add_argument("--runs", type=int, default=2)
    asked = parser.parse_known_args()[0]
    history = read_events(make_purchases(asked.people, asked.items, 60), clock="none").history
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    fits, scores = [], []
    for _ in range(asked.runs):
        cpu = time.process_time()
        model = Ease(fade=0.0, max_side=12_500).fit(history)
        fits.append(time.process_time() - cpu)
        cpu = time.process_time()
        model.recommend_codes(np.arange(1000), k=20, exclude_seen=True)
        scores.append(time.process_time() - cpu)
        del model
    emit(
        "recommend_ease",
        data="made up: Zipf popularity, 40 tastes",
        rows={"people": history.shape[0], "items": history.shape[1]},
        figures={
            "ease_fit_cpu_s": round(min(fits), 1),
            "ease_rank_1000_cpu_s": round(min(scores), 2),
            "ease_peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "before_rss_mb": before,
        },
        goals={"ease_fit_cpu_s": at_most(30)},
    )


if __name__ == "__main__":
    with threadpool_limits(1):  # one core
        main()
