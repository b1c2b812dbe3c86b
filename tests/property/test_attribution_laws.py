"""Laws of attribution: every conversion is given exactly once, whatever the method."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from zhiyin.measure.attribution import (
    NONE,
    attribute,
    make_paths,
    markov,
    read_paths,
    shapley,
    sum_paths,
    sum_time_decay,
)
from zhiyin.testing.store import MemoryStore

channels = st.lists(st.sampled_from("abcde"), max_size=6)
rows = st.lists(st.tuples(channels, st.integers(0, 50), st.integers(0, 50)), max_size=12)
METHODS = {
    "first": lambda paths: attribute(paths, "first"),
    "last": lambda paths: attribute(paths, "last"),
    "linear": lambda paths: attribute(paths, "linear"),
    "position": lambda paths: attribute(paths, "position"),
    "markov": markov,
    "markov 2": lambda paths: markov(paths, order=2),
    "markov 3": lambda paths: markov(paths, order=3),
    "reach": shapley,
    "rate": lambda paths: shapley(paths, worth="rate"),
    "drawn": lambda paths: shapley(paths, worth="rate", method="sampled", draws=5),
}


@given(rows)
def test_totals_always_equal_conversions(rows):
    total = sum(won for _, won, _ in rows)
    untouched = sum(won for path, won, _ in rows if not path)
    for name, method in METHODS.items():
        found = method(make_paths(rows))
        assert found.credit.sum() == pytest.approx(total, abs=1e-9), name
        assert found.as_dict().get(NONE, 0) == untouched
        assert {*found.channels} - {NONE} == {one for path, _, _ in rows for one in path}
        if name not in ("rate", "drawn"):  # a channel may lower the rate
            assert found.credit.min(initial=0) >= 0


@given(rows, st.randoms())
def test_the_order_of_paths_does_not_count(rows, chance):
    mixed = [*rows]
    chance.shuffle(mixed)
    for name in ("markov", "markov 2", "reach", "linear"):
        one, other = (METHODS[name](make_paths(given)) for given in (rows, mixed))
        assert one.credit == pytest.approx(other.credit, abs=1e-9)


hours = st.integers(0, 24 * 40)
touches = st.lists(
    st.tuples(
        st.sampled_from("pq"), hours, st.sampled_from(["click", "impression"]),
        st.sampled_from("ab"),
    ), max_size=10,
)  # fmt: skip
orders = st.lists(st.tuples(st.sampled_from("pqr"), hours), max_size=5)
WINDOWS = {"click": 10, "impression": 1}


@settings(max_examples=examples(8))
@given(touches, orders)
def test_the_engine_makes_the_paths_that_a_loop_makes(touches, orders):
    start = datetime(2024, 1, 1)
    until = start + timedelta(days=60)

    def at(values):
        return pa.array([start + timedelta(hours=hour) for hour in values], pa.timestamp("us"))

    store = MemoryStore()
    seen = store.to_ibis(pa.table({
        "customer_id": pa.array([t[0] for t in touches], pa.string()),
        "occurred_at": at([t[1] for t in touches]),
        "kind": pa.array([t[2] for t in touches], pa.string()),
        "channel": pa.array([t[3] for t in touches], pa.string()),
    }))  # fmt: skip
    bought = store.to_ibis(pa.table({
        "customer_id": pa.array([o[0] for o in orders], pa.string()),
        "order_id": pa.array([str(k) for k in range(len(orders))], pa.string()),
        "ordered_at": at([o[1] for o in orders]),
    }))  # fmt: skip
    given = {"measured_until": until, "windows": WINDOWS, "gap_minutes": 0}
    table = sum_paths(seen, bought, **given).to_pyarrow()
    found = {
        tuple(row["path"] or ()): (row["conversions"], row["nulls"]) for row in table.to_pylist()
    }
    assert found == loop(touches, orders)
    assert read_paths(table).total == len(orders)
    decayed = sum_time_decay(seen, bought, **given).to_pyarrow()
    assert sum(decayed["conversions"].to_pylist()) == pytest.approx(len(orders), abs=1e-9)


def loop(touches, orders):
    made: dict[tuple, list[int]] = {}
    for customer in "pqr":
        ends = sorted(hour for who, hour in orders if who == customer)
        groups: dict[tuple, list] = {(end, True): [] for end in ends}
        for who, hour, kind, channel in touches:
            if who == customer:
                end = next((one for one in ends if one >= hour), None)
                young = end is not None and end - hour <= 24 * WINDOWS[kind]
                groups.setdefault((end, young), []).append((hour, channel))
        for (end, young), steps in groups.items():
            counts = made.setdefault(tuple(channel for _, channel in sorted(steps)), [0, 0])
            counts[0] += ends.count(end) if young else 0
            counts[1] += not young
    return {path: tuple(counts) for path, counts in made.items()}
