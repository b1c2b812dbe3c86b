"""What is wrong with the data is found, and what is fine is left in peace."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.collect.conftest import NOW
from tests.unit.collect.fakes import MortalStore
from zhiyin.collect.findings import chi_square_999, judge_loads, psi, weighted_median
from zhiyin.collect.quality import is_judged, number_columns, word_columns
from zhiyin.collect.quality_job import look_at, run
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.config import Settings
from zhiyin.core.context import Context
from zhiyin.core.rng import Streams
from zhiyin.core.tables import TABLES

DAY = NOW.date()
ZONE = "America/New_York"
UNTIL = naive_utc(start_of_day(DAY, ZONE))
PER_DAY = 40


def orders(change=None, *, days=range(35), source="shop"):
    """40 orders a day; `change(row, earlier)` spoils one, or gives None to leave it out."""
    rng = np.random.default_rng(1)
    made = []
    for earlier in days:
        for number in range(PER_DAY):
            at = UNTIL - timedelta(days=earlier, minutes=1 + number)
            amount = int(rng.lognormal(8, 0.5))
            row = {
                c.ORDER_ID: f"{source}:{earlier}-{number}", c.REVISION: 1, c.VALID_AT: at,
                c.RECORDED_AT: at, c.OP: "upsert", c.PARTY_ID: "p_a", c.ORDERED_AT: at,
                c.CHANNEL: ("web", "app")[number % 2], c.STORE_ID: "s:1", c.STATUS: "completed",
                c.CURRENCY: "USD", c.AMOUNT_MINOR: amount, c.AMOUNT_BASE_MINOR: amount,
                c.SOURCE: source, c.LOAD_ID: "l", c.LOADED_AT: at,
            }  # fmt: skip
            row = change(row, earlier) if change else row
            if row is not None:
                made.append(row)
    return made


def look(*rows):
    store = MortalStore()
    store.append("orders", pa.Table.from_pylist(list(rows)), app="t")
    return look_at(store, TABLES["orders"], as_of=DAY, until=UNTIL)


def wrong(found):
    return {(one.metric, one.column): one.status for one in found if one.status != "ok"}


def in_week(**values):
    return lambda row, earlier: row | values if earlier < 7 else row


def test_steady_data_has_no_fault():
    found = look(*orders())
    assert wrong(found) == {}
    values = {one.metric: one.value for one in found if not one.column}
    assert values["volume"] == 1.0
    assert values["freshness"] == pytest.approx(1 / 1440)
    assert values["completeness"] == 1.0


@pytest.mark.parametrize(
    ("change", "metric", "status"),
    [
        (in_week(**{c.STORE_ID: None}), ("completeness", c.STORE_ID), "bad"),
        (in_week(**{c.CURRENCY: "usd"}), ("validity", c.CURRENCY), "bad"),
        (in_week(**{c.CHANNEL: "fax"}), ("drift", c.CHANNEL), "bad"),
        (in_week(**{c.AMOUNT_BASE_MINOR: 90_000}), ("drift", c.AMOUNT_BASE_MINOR), "bad"),
        (lambda row, earlier: row if earlier >= 9 else None, ("freshness", ""), "bad"),
        (lambda row, earlier: row if earlier >= 5 else None, ("volume", ""), "warn"),
    ],
)
def test_a_planted_fault_is_found(change, metric, status):
    assert wrong(look(*orders(change))).get(metric) == status


def test_few_absurd_numbers_are_outliers():
    def spoil(row, earlier):
        return row | {c.AMOUNT_BASE_MINOR: 10**9} if row[c.ORDER_ID].endswith("-7") else row

    found = {one.column: one for one in look(*orders(spoil)) if one.metric == "outliers"}
    assert found[c.AMOUNT_BASE_MINOR].value == pytest.approx(1 / PER_DAY)
    assert found[c.AMOUNT_BASE_MINOR].status == "warn"


def test_sources_are_judged_apart():
    spoilt = orders(in_week(**{c.STORE_ID: None}), source="till")
    found = look(*orders(), *spoilt)
    assert {one.source for one in found if one.status != "ok"} == {"till"}


def test_rows_of_the_day_and_later_change_nothing():
    later = orders(lambda row, _: row | {c.CHANNEL: "fax"}, days=range(-3, 0), source="shop")
    assert look(*orders(), *later) == look(*orders())


def test_the_job_writes_words_in_two_languages_once_a_day(vault, clock):
    store = MortalStore()
    rows = orders(in_week(**{c.CHANNEL: "fax"}))
    store.append("orders", pa.Table.from_pylist(rows), app="t")
    ctx = Context(Settings(name="shop", zone=ZONE), store, vault, clock, Streams(7), DAY, "t")
    report = run(ctx)
    assert run(ctx).rows == report.rows
    kept = store.read("quality").to_pyarrow().to_pylist()
    assert len(kept) == report.rows["quality"] == sum(report.figures.values())
    assert any("PSI" in note for note in report.notes)
    bad = next(row for row in kept if row[c.COLUMN] == c.CHANNEL and row[c.METRIC] == "drift")
    assert bad[c.WORDS_EN].startswith("shop orders.channel: the last week differs")
    assert "分布差异" in bad[c.WORDS_ZH]


def test_refused_rows_make_a_source_less_valid():
    loads = [{"table": "orders", "source": "s", "read": 100, "quarantined": q} for q in (0, 30)]
    (found,) = judge_loads(loads, month="2026-03")
    assert (found.value, found.status, found.n) == (0.85, "bad", 200)


def test_refused_rows_of_later_months_are_not_seen():
    months = [{"month": f"2026-0{n}", "read": 10, "quarantined": n} for n in (2, 3, 4)]
    load = {"table": "orders", "source": "s", "read": 30, "quarantined": 9, "months": months}
    (found,) = judge_loads([load], month="2026-03")
    assert (found.n, found.value) == (20, 0.75)
    undated = load | {"months": [months[0] | {"month": "?"}]}
    assert judge_loads([undated], month="2026-01")[0].n == 10


def test_the_population_stability_index():
    half = np.asarray([50.0, 50.0])
    assert psi(half, half, ordered=False)[0] == 0
    value, warn, bad = psi(half * 100, np.asarray([3000.0, 7000.0]), ordered=False)
    assert value == pytest.approx(0.2 * np.log(7 / 3), abs=1e-3)
    assert (warn, bad) == (0.1, 0.25)
    assert psi(half, np.asarray([30.0, 70.0]), ordered=False)[1] > 0.1  # few rows: more noise


@pytest.mark.parametrize(
    ("degrees", "point"), [(1, 10.828), (3, 16.266), (10, 29.588), (19, 43.820)]
)
def test_the_point_of_chi_square_is_near_the_table(degrees, point):
    assert chi_square_999(degrees) == pytest.approx(point, rel=0.031)


def test_the_median_of_counts():
    assert weighted_median(np.asarray([3.0, 1.0, 2.0]), np.asarray([1.0, 1.0, 5.0])) == 2.0


def test_new_tables_are_judged_by_themselves():
    judged = {name for name, table in TABLES.items() if is_judged(table)}
    assert {"orders", "events", "customers", "spend"} <= judged
    assert not {"quality", "scores", "quarantine", "decisions"} & judged
    assert c.AMOUNT_BASE_MINOR in number_columns(TABLES["orders"])
    assert c.AMOUNT_MINOR not in number_columns(TABLES["orders"])
    assert c.REVISION not in number_columns(TABLES["orders"])
    assert word_columns(TABLES["orders"]) == [c.CHANNEL, c.STATUS, c.CURRENCY]
