"""How long do millions of paths take from touches and orders to Markov and Shapley credit?

`--paths` customers (10 million unless asked otherwise) with one to many touches over eight weighted
channels, clicks and views, written as Parquet and read by DuckDB with two threads; a tenth orders.
`wall_s` is the whole way: windows, repeats left out, paths summed by the engine, read, then Markov
of orders 1 and 3, Shapley by reach and by rate. `generate_s` is apart.

Exactness: the largest distance of Markov credit from a chain that is solved densely in rational
numbers, and of the sums of credit from the conversions.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from bench.harness import at_least, at_most, emit
from zhiyin.measure.attribution import make_paths, markov, read_paths, shapley, sum_paths

CHANNELS = ("search", "mail", "video", "banner", "social", "partner", "sms", "fax")
WEIGHTS = np.array([30, 20, 15, 15, 10, 6, 3.99, 0.01]) / 100
BATCH = 1_000_000
BEGIN = 1_704_067_200_000_000  # 2024-01-01 in microseconds
DAY = 86_400_000_000


def write(folder: Path, paths: int) -> tuple[int, int]:
    """Parquet files of touches and orders; how many of each."""
    touches = orders = 0
    for number, first in enumerate(range(0, paths, BATCH)):
        rng = np.random.default_rng([21, number])
        people = np.arange(first, min(first + BATCH, paths))
        who = np.repeat(people, rng.geometric(0.4, len(people)))
        n = len(who)
        buyers = people[rng.random(len(people)) < 0.1]
        at = pa.timestamp("us")
        pq.write_table(pa.table({
            "customer_id": who,
            "occurred_at": pa.array(BEGIN + rng.integers(25 * DAY, size=n)).cast(at),
            "kind": pa.array(["click", "impression"]).take(pa.array(rng.integers(2, size=n))),
            "channel": pa.array(CHANNELS).take(pa.array(rng.choice(8, size=n, p=WEIGHTS))),
        }), folder / f"touches_{number}.parquet")  # fmt: skip
        pq.write_table(pa.table({
            "customer_id": buyers,
            "order_id": buyers,
            "ordered_at": pa.array(BEGIN + rng.integers(20 * DAY, 30 * DAY, len(buyers))).cast(at),
        }), folder / f"orders_{number}.parquet")  # fmt: skip
        touches, orders = touches + n, orders + len(buyers)
    return touches, orders


def measure(paths: int) -> dict[str, object]:
    """The whole way, timed."""
    with tempfile.TemporaryDirectory() as name:
        folder, begun = Path(name), time.perf_counter()
        touches, orders = write(folder, paths)
        made = time.perf_counter() - begun
        engine = ibis.duckdb.connect(threads=2)
        seen = engine.read_parquet(str(folder / "touches_*.parquet"))
        bought = engine.read_parquet(str(folder / "orders_*.parquet"))
        begun, cpu = time.perf_counter(), time.process_time()
        table = sum_paths(seen, bought, measured_until=datetime(2024, 4, 1)).to_pyarrow()
        summed = time.perf_counter() - begun
        found = read_paths(table)
        results = [
            markov(found), markov(found, order=3), shapley(found), shapley(found, worth="rate"),
        ]  # fmt: skip
        wall = time.perf_counter() - begun
        used = time.process_time() - cpu
        engine.disconnect()
    rare = results[0].as_dict()["fax"]
    return {
        "touches": touches,
        "orders": orders,
        "distinct_paths": len(found),
        "generate_s": round(made, 1),
        "engine_wall_s": round(summed, 1),
        "wall_s": round(wall, 1),
        "cpu_s": round(used, 1),
        "rare_channel_credit": round(rare, 3),
        "sum_error": max(abs(float(one.credit.sum()) - orders) for one in results),
    }


def solve(rows: list[tuple[list[str], int, int]]) -> dict[str, Fraction]:
    """Markov credit of order 1 in rational numbers, each channel taken out in turn."""
    names = sorted({name for path, _, _ in rows for name in path})
    place = {name: k + 1 for k, name in enumerate(names)}
    moves = [[0] * (len(names) + 1) for _ in range(len(names) + 1)]
    won, out = [0] * (len(names) + 1), [0] * (len(names) + 1)
    for path, converted, lost in rows:
        state = 0
        for name in path:
            moves[state][place[name]] += converted + lost
            out[state] += converted + lost
            state = place[name]
        won[state] += converted
        out[state] += converted + lost

    def chance(removed: int) -> Fraction:
        size = len(names) + 1
        system = []
        for i in range(size):
            gone = i == removed or not out[i]
            row = [Fraction(int(i == j)) for j in range(size)] + [Fraction(0)]
            for j in range(size if not gone else 0):
                row[j] -= Fraction(moves[i][j], out[i])
            row[size] = Fraction(0) if gone else Fraction(won[i], out[i])
            system.append(row)
        for i in range(size):  # Gauss and Jordan
            pivot = next(k for k in range(i, size) if system[k][i])
            system[i], system[pivot] = system[pivot], system[i]
            system[i] = [value / system[i][i] for value in system[i]]
            for k in range(size):
                if k != i and system[k][i]:
                    factor = system[k][i]
                    system[k] = [a - factor * b for a, b in zip(system[k], system[i], strict=True)]
        return system[0][size]

    whole, total = chance(-1), sum(row[1] for row in rows)
    effect = {name: 1 - chance(place[name]) / whole for name in names}
    return {name: value / sum(effect.values()) * total for name, value in effect.items()}


def check(chains: int) -> float:
    """Largest distance of our credit from the rational one, over drawn chains."""
    farthest = 0.0
    for seed in range(chains):
        rng = np.random.default_rng([22, seed])
        rows = [
            ([CHANNELS[k] for k in rng.choice(8, size=rng.integers(1, 7), p=WEIGHTS)],
             int(rng.integers(1, 4)), int(rng.integers(9)))
            for _ in range(30)
        ]  # fmt: skip
        found, exact = markov(make_paths(rows)).as_dict(), solve(rows)
        farthest = max(farthest, *(abs(found[name] - float(exact[name])) for name in exact))
    return farthest


def main() -> None:
    """Exactness, then speed, then print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--paths", type=int, default=10_000_000)
    parser.add_argument("--chains", type=int, default=50)
    asked = parser.parse_known_args()[0]
    figures: dict[str, object] = {"markov_error": check(asked.chains)}
    figures |= measure(asked.paths)
    emit(
        "measure_attribution",
        data="made up: touches of eight channels over 25 days, a tenth of the people order",
        rows={"paths": asked.paths, "chains": asked.chains},
        figures=figures,
        goals={
            "wall_s": at_most(60),
            "markov_error": at_most(1e-9),
            "sum_error": at_most(1e-9 * asked.paths),  # of credit in the order of the conversions
            "rare_channel_credit": at_least(1e-9),
        },
    )


if __name__ == "__main__":
    with threadpool_limits(1):  # of numpy; the engine has two
        main()
