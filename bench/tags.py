"""Tags and personas of a million people: what a persona, coverage and a value tag cost, and how
often a random group is told apart.

`python -m bench.tags [--people N]`; one thread, CPU seconds; synthetic, seeded.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from bench.harness import at_most, emit
from zhiyin.core import columns as c
from zhiyin.core.features import FEATURES
from zhiyin.profile.definition import parse
from zhiyin.profile.persona import Number, adjust, describe
from zhiyin.profile.persona_sums import (
    cut_points,
    labels,
    sides,
    sizes,
    sum_numbers,
    sum_shares,
)
from zhiyin.profile.tag_history import cover
from zhiyin.profile.tag_history import sizes as tag_sizes
from zhiyin.profile.tag_rows import Day, valued

AS_OF, BEFORE = date(2024, 6, 1), date(2024, 5, 31)
TAGS = 20
ROUNDS, CROWD, DRAWN = 200, 4_000, (10, 30, 100)
BY_FEATURE = parse({
    "label": "Frequency", "label_zh": "频次", "owner": "crm",
    "body": {"kind": "fact", "source": "feature", "field": "orders_count", "levels": [
        {"value": "high", "top_share": 0.1}, {"value": "middle", "top_share": 0.4},
        {"value": "low"}]},
})  # fmt: skip


def cpu_seconds(work: Callable[[], object]) -> tuple[float, object]:
    """CPU seconds of this process, and what the work gave."""
    started = time.process_time()
    made = work()
    return time.process_time() - started, made


def write_shop(folder: Path, *, people: int, seed: int) -> None:
    """Features of a day, tags of two days, segments and cities."""
    rng = np.random.default_rng(seed)
    ids = pa.array([f"p_{k:026d}" for k in rng.permutation(people)])
    features = {c.AS_OF_ON: _day(AS_OF, people), c.CUSTOMER_ID: ids}
    for one in FEATURES:
        drawn = 20 * np.exp(rng.normal(size=people))
        features[one.name] = pa.array(drawn.round() if one.type == "int64" else drawn)
    pq.write_table(pa.table(features), folder / "features.parquet")
    rows = []
    for k in range(TAGS):
        for day in (BEFORE, AS_OF):
            held = ids.filter(pa.array(rng.random(people) < 0.02 + k / 50))
            n = len(held)
            rows.append(pa.table({
                c.AS_OF_ON: _day(day, n), c.CUSTOMER_ID: held, c.TAG: pa.array([f"tag_{k}"] * n),
                c.VALUE: pa.nulls(n, pa.string()),
            }))  # fmt: skip
    pq.write_table(pa.concat_tables(rows), folder / "tags.parquet")
    groups = pa.array([f"segment {k}" for k in rng.integers(0, 10, people)])
    pq.write_table(pa.table({
        c.AS_OF_ON: _day(AS_OF, people), c.CUSTOMER_ID: ids, c.SEGMENT: groups,
        c.SCHEME: pa.array(["rfm"] * people),
    }), folder / "memberships.parquet")  # fmt: skip
    cities = pa.array([f"city {k}" for k in rng.integers(0, 30, people)])
    nothing = pa.nulls(people, pa.string())
    pq.write_table(pa.table({
        c.CUSTOMER_ID: ids, c.CITY: cities, c.LANGUAGE: nothing, c.COUNTRY: nothing,
        c.REGION: nothing,
    }), folder / "customers.parquet")  # fmt: skip


def _day(day: date, n: int) -> pa.Array:
    return pa.array([day] * n, pa.date32())


def persona(tables: dict[str, ibis.Table]) -> object:
    """Of everyone with a tag, against everyone else: all features, tags, segments, cities."""
    tags = tables["tags"].filter(tables["tags"][c.AS_OF_ON] == AS_OF)
    people = sides(tables["features"], tags.filter(tags[c.TAG] == "tag_3").select(c.CUSTOMER_ID))
    with people.cache() as held:
        n, n_base = sizes(held)
        numbers = sum_numbers(held, cut_points(held, [one.name for one in FEATURES]))
        named = labels(tags, tables["memberships"], tables["customers"], without={("tag", "tag_3")})
        shares = sum_shares(held, named, n=n, n_base=n_base)
    return describe(numbers, shares, n=n, n_base=n_base)


def coverage(backend: ibis.BaseBackend, tables: dict[str, ibis.Table]) -> object:
    """Customers, share, gained and lost of every tag on two days."""
    days = backend.create_table(
        "days", pa.table({c.AS_OF_ON: [BEFORE, AS_OF], "place": pa.array([0, 1], pa.int64())})
    )
    rows = tag_sizes(tables["tags"], days).to_pyarrow().to_pylist()
    return cover(rows, {BEFORE: 1, AS_OF: 1})


def random_groups(seed: int) -> dict[str, float]:
    """Share of random groups of which something is told, by ranks and by Welch's test of means.

    60 features of `CROWD` people, as skewed and as empty as spending is; both held to 5 % by
    Benjamini and Hochberg.
    """
    rng = np.random.default_rng(seed)
    figures: dict[str, float] = {}
    for n in DRAWN:
        told = {"ranks": 0, "welch": 0}
        for turn in range(ROUNDS):
            if turn % 20 == 0:
                values = _crowd(rng)
                edges = [np.unique(np.quantile(x, np.arange(1, 12) / 12)) for x in values.T]
            group = rng.permutation(CROWD) < n
            here, there = values[group], values[~group]
            numbers = [
                Number(
                    f"x{k}", n, here[:, k].mean(), here[:, k].var(ddof=1), _above(here[:, k], cut),
                    CROWD - n, there[:, k].mean(), there[:, k].var(ddof=1),
                    _above(there[:, k], cut), 0.0,
                )
                for k, cut in enumerate(edges)
            ]  # fmt: skip
            told["ranks"] += describe(numbers, [], n=n, n_base=CROWD - n).told > 0
            with np.errstate(all="ignore"):
                spread = here.var(0, ddof=1) / n + there.var(0, ddof=1) / (CROWD - n)
                z = (here.mean(0) - there.mean(0)) / np.sqrt(spread)
                p = np.nan_to_num(2 * stats.t.sf(np.abs(z), n - 1), nan=1.0)
            told["welch"] += bool((adjust(list(p)) <= 0.05).any())
        for name, count in told.items():
            figures[f"random_told_{name}_n{n}"] = count / ROUNDS
    return figures


def _crowd(rng: np.random.Generator) -> np.ndarray:
    together = rng.normal(size=CROWD)
    made = [
        np.exp(skew * (together / 2 + 0.9 * rng.normal(size=CROWD)))
        for skew in np.linspace(0.3, 2.0, 30)
    ]
    made += [
        rng.poisson(mean * np.exp(together / 2)).astype(float) for mean in np.linspace(0.02, 4, 20)
    ]
    made += [
        np.where(rng.random(CROWD) < 0.01 + 0.05 * k, rng.random(CROWD), 0.0) for k in range(10)
    ]
    return np.array(made).T


def _above(values: np.ndarray, cuts: np.ndarray) -> tuple[int, ...]:
    return tuple(int(n) for n in (values[:, None] > cuts).sum(axis=0))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--people", type=int, default=1_000_000)
    people = parser.parse_known_args()[0].people
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_shop(Path(folder), people=people, seed=7)
        backend = ibis.duckdb.connect(":memory:", threads=1, memory_limit="4GB")
        tables = {
            name: backend.read_parquet(f"{folder}/{name}.parquet", table_name=name)
            for name in ("features", "tags", "memberships", "customers")
        }
        figures["persona_cpu_s"], found = cpu_seconds(lambda: persona(tables))
        figures["persona_comparisons"] = len(found.differences)  # type: ignore[attr-defined]
        figures["persona_told"] = found.told  # type: ignore[attr-defined]
        figures["coverage_cpu_s"], _ = cpu_seconds(lambda: coverage(backend, tables))
        day = Day(AS_OF, "Asia/Shanghai", tables)
        figures["levels_cpu_s"], rows = cpu_seconds(lambda: valued(BY_FEATURE, day).to_pyarrow())
        assert rows.num_rows == people  # type: ignore[attr-defined]
        tagged = tables["tags"].count().to_pyarrow().as_py()
    figures["peak_memory_gib"] = round(
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2
    )
    figures |= random_groups(seed=1)
    figures = {k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}
    emit(
        "tags",
        data=f"synthetic, {people:,} people, {len(FEATURES)} features, {TAGS} tags on two days",
        rows={"customers": people, "tags": tagged},
        figures=figures,
        goals={
            "persona_cpu_s": at_most(20.0),
            "coverage_cpu_s": at_most(20.0),
            "random_told_ranks_n10": at_most(0.1),
            "random_told_ranks_n30": at_most(0.1),
            "random_told_ranks_n100": at_most(0.1),
        },
    )


if __name__ == "__main__":
    main()
