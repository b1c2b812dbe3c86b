"""From rows to sums per arm: who counts, what counts, and what caps do."""

from __future__ import annotations

from datetime import datetime, timedelta

import ibis
import pyarrow as pa
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.experiment import Adjusted, Ratio
from zhiyin.measure.experiment import exposures as x

DAY = datetime(2026, 3, 1)
UNTIL = DAY + timedelta(days=20)


@pytest.fixture(scope="module")
def con():
    return ibis.duckdb.connect()


def table(names: str, rows: list[tuple]) -> ibis.Table:
    columns = dict(zip(names.split(), zip(*rows, strict=True), strict=True))
    columns["occurred_at"] = [DAY + timedelta(days=day) for day in columns["occurred_at"]]
    return ibis.memtable(pa.table({name: pa.array(values) for name, values in columns.items()}))


@pytest.fixture(scope="module")
def exposures():
    return table(
        "customer_id arm occurred_at tier",
        [
            ("a", "letter", 2, "gold"), ("a", "letter", 1, "gold"), ("b", "control", 1, "gold"),
            ("c", "control", 3, "new"), ("d", "letter", 15, "new"), ("e", "letter", 0, "new"),
            ("e", "control", 4, "new"),
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def outcomes():
    return table(
        "customer_id occurred_at revenue orders",
        [
            ("a", 1, 100, 1), ("a", 7.5, 50, 1), ("a", 8, 1000, 1),  # the last one is too late
            ("a", 0, 30, 1), ("b", 0.5, 20, 1), ("b", -9, 999, 1), ("c", 5, 900, 1), ("z", 2, 5, 1),
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def values(exposures, outcomes):
    units = x.close_windows(x.find_units(exposures, by=["tier"]), until=UNTIL, window_days=7)
    return x.sum_outcomes(units, outcomes, ["revenue", "orders"], window_days=7, before_days=7)


def read(con, expression) -> dict:
    rows = con.to_pyarrow(expression).to_pylist()
    return {row["customer_id"]: row for row in rows}


def test_a_unit_counts_from_her_first_exposure_and_in_one_arm_only(con, exposures):
    units = read(con, x.find_units(exposures))
    assert set(units) == {"a", "b", "c", "d"}  # e was in both
    assert units["a"]["occurred_at"] == DAY + timedelta(days=1)
    assert con.to_pyarrow(x.count_mixed(exposures)).as_py() == 1


def test_many_exposures_are_grouped_once_and_counted_by_arm(con, exposures):
    grouped = x.group_units(exposures, by=["tier"])
    rows = {row["arm"]: row for row in con.to_pyarrow(x.count_units(grouped)).to_pylist()}
    assert {arm: row["units"] for arm, row in rows.items()} == {"control": 2, "letter": 2}
    assert sum(row["mixed"] for row in rows.values()) == 1
    kept, found = x.keep_single(grouped), x.find_units(exposures, by=["tier"])
    assert read(con, kept) == read(con, found)


def test_a_unit_counts_only_when_her_window_is_over(con, exposures):
    closed = x.close_windows(x.find_units(exposures), until=UNTIL, window_days=7)
    assert set(read(con, closed)) == {"a", "b", "c"}
    last = x.close_windows(x.find_units(exposures), until=UNTIL, window_days=5)
    assert "d" in read(con, last)  # ends with the day
    with pytest.raises(InvalidParameter):
        x.close_windows(x.find_units(exposures), until=UNTIL, window_days=0)


def test_outcomes_are_those_of_the_window_and_the_covariate_those_before(con, values):
    rows = read(con, values)
    assert (rows["a"]["revenue"], rows["a"]["orders"], rows["a"]["revenue_before"]) == (150, 2, 30)
    assert (rows["b"]["revenue"], rows["b"]["revenue_before"]) == (0, 20)
    assert (rows["c"]["revenue"], rows["c"]["tier"]) == (900, "new")


def test_sums_per_arm_are_exact_and_read_as_moments(con, values):
    groups = [("revenue", "revenue_before"), ("revenue", "orders")]
    rows = {row["arm"]: row for row in con.to_pyarrow(x.sum_arms(values, groups)).to_pylist()}
    control = x.read_moments(rows["control"], groups[0])
    assert (control.n, control.totals) == (2, (900, 20))
    assert control.products == ((810_000, 0), (0, 400))
    assert Adjusted(control).plain.mean == 450
    letter = Ratio(x.read_moments(rows["letter"], groups[1]))
    assert letter.linear().value == 75


def test_sums_by_stratum(con, values):
    rows = con.to_pyarrow(x.sum_arms(values, [("revenue",)], by=["tier"])).to_pylist()
    assert {(row["arm"], row["tier"]): row["units"] for row in rows} == {
        ("control", "gold"): 1, ("control", "new"): 1, ("letter", "gold"): 1,
    }  # fmt: skip


def test_caps_hold_one_buyer_down_in_all_columns_of_the_metric(con, values):
    rows = read(con, x.cap_outcomes(values, {"revenue": 25.5}))
    assert [rows[one]["revenue"] for one in "abc"] == [25, 0, 25]
    assert [rows[one]["revenue_before"] for one in "abc"] == [25, 20, 0]
    assert rows["a"]["orders"] == 2
    caps = [x.find_cap(values, "revenue", 0.5, ignore_zeros=ignored) for ignored in (True, False)]
    assert [con.to_pyarrow(cap).as_py() for cap in caps] == [525, 150]  # of 150 and 900, and 0
    with pytest.raises(InvalidParameter):
        x.find_cap(values, "revenue", 1)


def test_a_triggered_unit_counts_from_the_trigger_on(con, exposures):
    triggers = table(
        "customer_id occurred_at", [("a", 0.5), ("a", 3), ("a", 6), ("b", 0), ("z", 3)]
    )
    units = read(con, x.keep_triggered(x.find_units(exposures), triggers))
    assert set(units) == {"a"}  # b met it before she was assigned
    assert units["a"]["occurred_at"] == DAY + timedelta(days=3)
    assert units["a"]["arm"] == "letter"
