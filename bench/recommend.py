"""How good are recommendations beside peers and the published row, on any set of interactions?

    python -m bench.recommend --train T --test S [--history H] [--json]

T, S and H are files (CSV, TSV, Parquet) with columns user_id, item_id and optionally at, weight,
rating; H is what people did up to the moment of recommending, where that is more than T. Without
them the public sets run:

- Beauty and LastFM of S3-Rec, strict protocol: nothing of the last two steps of anybody is in
  training; the last one is told from all before it, full ranking. Published: S3-Rec (CIKM 2020).
- LastFM in the split of LightGCN: a random fifth of everybody's items is told.

Whatever the set, the call is `fit(train)`: parameters and weights are chosen on a part of the
training data, never on the test. Peers in the same run: popularity, and implicit (ALS of 64
factors, cosine of 200 neighbours, BM25) where `ZHIYIN_IMPLICIT` names a Python that has it
(implicit==0.7.3, in an environment of its own); they rank with the same history and mask.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from scipy import sparse
from threadpoolctl import threadpool_limits

from bench.harness import Goal, at_least, at_most, emit
from zhiyin.understand.recommend import Metrics, Recommender, evaluate, fit
from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.scorer import Scorer

SHARED = Path(os.environ.get("ZHIYIN_SHARED") or Path(__file__).parents[2] / "shared") / "data"
SHOWN = ("ndcg_at_10", "hr_at_10", "recall_at_20", "ndcg_at_20", "map_at_10", "coverage_at_10")


@dataclass(frozen=True)
class Set:
    """One set of interactions, its published row and its goals."""

    name: str
    train: pa.Table
    test: pa.Table
    history: pa.Table | None = None
    published: Mapping[str, float] = field(default_factory=dict)
    goals: Mapping[str, Goal] = field(default_factory=dict)


def read_sequences(name: str) -> list[list[str]]:
    """The items of each user of an S3-Rec set, in order."""
    path = SHARED / "s3rec_sequences" / f"{name}.txt.gz"
    with gzip.open(path, "rt") as lines:
        return [line.split()[1:] for line in lines]


def strict(name: str, published: Mapping[str, float], goals: Mapping[str, Goal]) -> Set:
    """An S3-Rec set under the strict protocol."""
    users = read_sequences(name)
    train, history, test = (
        table([(u, i) for u, items in enumerate(users) for i in items[cut]])
        for cut in (slice(None, -2), slice(None, -1), slice(-1, None))
    )
    return Set(name.lower(), train, test, history, published, goals)


def split_lightgcn() -> Set:
    """LastFM in the split of LightGCN."""
    folder = SHARED / "lastfm_lightgcn"
    parts = [np.loadtxt(folder / f"{name}1.txt").astype(int)[:, :2] for name in ("data", "test")]
    train, test = (table([tuple(map(int, row)) for row in part]) for part in parts)
    goals = {"recall_at_20": at_least(0.2670), "ndcg_at_20": at_least(0.2085)}  # implicit's ALS
    return Set("lastfm_lightgcn", train, test, goals=goals)


def table(rows: list[tuple[object, object]]) -> pa.Table:
    """Interactions from (user, item) rows."""
    return pa.table({"user_id": [str(u) for u, _ in rows], "item_id": [str(i) for _, i in rows]})


def public_sets() -> list[Set]:
    """What runs without arguments."""
    beauty = {"ndcg_at_10": 0.0327, "hr_at_10": 0.0647}
    lastfm = {"ndcg_at_10": 0.0427, "hr_at_10": 0.0743}
    return [
        strict("Beauty", beauty, {"ndcg_at_10": at_least(0.038), "hr_at_10": at_least(0.070)}),
        strict("LastFM", lastfm, {"ndcg_at_10": at_least(0.046), "hr_at_10": at_least(0.083)}),
        split_lightgcn(),
    ]


def read_file(path: Path) -> pa.Table:
    """A table of interactions from a file."""
    if path.suffix == ".parquet":
        return pq.read_table(path)
    tabs = ".tsv" in path.suffixes or ".txt" in path.suffixes
    options = pacsv.ParseOptions(delimiter="\t" if tabs else ",")
    return pacsv.read_csv(path, parse_options=options)


PEER = """
import json, sys, time
import numpy as np
from scipy import sparse
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
folder = sys.argv[1]
train, asked = (sparse.load_npz(f"{folder}/{name}.npz").tocsr() for name in ("train", "asked"))
models = {
    "als": AlternatingLeastSquares(factors=64, random_state=0, num_threads=1),
    "cosine": CosineRecommender(K=200, num_threads=1),
    "bm25": BM25Recommender(K=200, num_threads=1),
}
seconds = {}
for name, model in models.items():
    started = time.process_time()
    model.fit(train, show_progress=False)
    seconds[name] = round(time.process_time() - started, 2)
    more = {"recalculate_user": True} if name == "als" else {}
    lists, scores = model.recommend(
        np.arange(asked.shape[0]), asked, N=20, filter_already_liked_items=True, **more)
    np.save(f"{folder}/{name}.npy", np.where(np.isfinite(scores) & (scores > -1e30), lists, -1))
print(json.dumps(seconds))
"""


class Given(Scorer):
    """Lists that somebody else made, to be measured as ours are."""

    name = "given"

    def __init__(self, lists: np.ndarray, learned: History, history: History) -> None:
        self.lists, self.learned_, self.history_ = lists, learned, history

    def _learn(self, history: History) -> None:
        """Nothing: the lists are given."""

    def look_at(self, history: History) -> Given:
        return self

    def score(self, codes: np.ndarray) -> np.ndarray:
        scores = np.zeros((len(codes), self.learned_.shape[1]), dtype=np.float32)
        places = np.arange(self.lists.shape[1], 0, -1, dtype=np.float32)
        for row, code in enumerate(codes):
            if code < len(self.lists):
                there = self.lists[code] >= 0
                scores[row, self.lists[code][there]] = places[there]
        return scores


def ask_peers(one: Set, ours: Recommender) -> dict[str, object]:
    """Figures of implicit on the same matrices; nothing where there is none."""
    python = os.environ.get("ZHIYIN_IMPLICIT")
    if not python:
        return {}
    learned = ours.scorer.learned_
    history = (ours if one.history is None else ours.look_at(one.history)).scorer.history
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, matrix in (("train", learned.seen[:-1]), ("asked", history.seen[:-1])):
            sparse.save_npz(f"{folder}/{name}.npz", sparse.csr_matrix(matrix))
        done = subprocess.run(
            [python, "-c", PEER, folder],
            check=True, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        for name, seconds in json.loads(done.stdout.strip().splitlines()[-1]).items():
            lists = np.load(f"{folder}/{name}.npy")
            peer = Recommender(Given(lists, learned, history), ours.user_type, ours.item_type)
            figures[f"implicit_{name}_fit_cpu_s"] = seconds
            figures |= shown(evaluate(peer, one.test), f"implicit_{name}")
    return figures


def shown(metrics: Metrics, prefix: str) -> dict[str, object]:
    """The figures that are printed."""
    return {f"{prefix}_{name}": round(metrics.figures[name].value, 5) for name in SHOWN}


def run(one: Set) -> tuple[dict[str, object], dict[str, Goal]]:
    """Figures and goals of one set."""
    cpu, wall = time.process_time(), time.monotonic()
    ours = fit(one.train)
    figures: dict[str, object] = {
        "fit_cpu_s": round(time.process_time() - cpu, 1),
        "fit_wall_s": round(time.monotonic() - wall, 1),
    }
    cpu = time.process_time()
    metrics = evaluate(ours, one.test, one.history)
    figures["evaluate_cpu_s"] = round(time.process_time() - cpu, 1)
    figures |= shown(metrics, "auto")
    for name in ("ndcg_at_10", "ndcg_at_20"):
        found = metrics.figures[name]
        figures[f"auto_{name}_interval"] = f"{found.low:.4f}..{found.high:.4f}"
    figures["people"] = metrics.people.num_rows
    figures["auto_chose"] = json.dumps(ours.card)
    popular = evaluate(fit(one.train, "popularity"), one.test, one.history)
    figures |= shown(popular, "popularity")
    figures |= ask_peers(one, ours)
    figures |= {f"published_{name}": value for name, value in one.published.items()}
    return figures, {f"auto_{name}": goal for name, goal in one.goals.items()}


def main() -> None:
    """Fit, evaluate, ask peers, print."""
    parser = argparse.ArgumentParser()
    for name in ("train", "test", "history"):
        parser.add_argument(f"--{name}", type=Path)
    asked = parser.parse_known_args()[0]
    if asked.train and asked.test:
        history = read_file(asked.history) if asked.history else None
        sets = [Set("", read_file(asked.train), read_file(asked.test), history)]
        data = f"{asked.train.name}, {asked.test.name}"
    else:
        sets, data = public_sets(), "Beauty and LastFM of S3-Rec (strict), LastFM of LightGCN"
    figures: dict[str, object] = {}
    goals: dict[str, Goal] = {}
    rows: dict[str, int] = {}
    for one in sets:
        prefix = f"{one.name}_" if one.name else ""
        rows |= {f"{prefix}train": one.train.num_rows, f"{prefix}test": one.test.num_rows}
        found, wanted = run(one)
        figures |= {f"{prefix}{name}": value for name, value in found.items()}
        goals |= {f"{prefix}{name}": goal for name, goal in wanted.items()}
        goals[f"{prefix}fit_cpu_s"] = at_most(120)
    figures["recommend_peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    goals["recommend_peak_rss_mb"] = at_most(4096)
    emit("recommend", data=data, rows=rows, figures=figures, goals=goals)


if __name__ == "__main__":
    with threadpool_limits(1):  # one core
        main()
