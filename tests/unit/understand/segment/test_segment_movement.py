"""Movement between segments: every customer is accounted for, and the largest flows are said."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.segment import measure_movement, track_movement

DAYS = {"start": date(2026, 1, 1), "end": date(2026, 4, 1)}
BEFORE = pd.Series({"a": "loyal", "b": "loyal", "c": "loyal", "d": "new", "e": "new", "g": None})
AFTER = pd.Series({"a": "loyal", "b": "risk", "c": "risk", "d": "loyal", "f": "new", "g": "new"})


def test_matrix_and_accounts_hold_every_customer():
    moved = measure_movement(BEFORE, AFTER, **DAYS)
    assert moved.counts.loc["loyal"].to_dict() == {"loyal": 1, "new": 0, "risk": 2, "(lost)": 0}
    assert moved.counts.loc["(new)"].to_dict() == {"loyal": 0, "new": 2, "risk": 0, "(lost)": 0}
    assert moved.counts.loc["new", "(lost)"] == 1
    assert moved.shares.loc["loyal", "risk"] == pytest.approx(2 / 3)
    assert moved.stayed == pytest.approx(1 / 4)
    loyal = moved.balances[0]
    assert (loyal.before, loyal.after, loyal.stayed) == (3, 2, 1)
    assert (loyal.entered, loyal.left, loyal.new, loyal.lost) == (1, 2, 0, 0)
    assert moved.table().loc["risk", "entered"] == 2


def test_the_largest_flows_are_said_in_both_languages():
    names = {"loyal": ("Loyal", "忠诚客户"), "risk": ("At risk", "流失风险客户")}
    moved = measure_movement(BEFORE, AFTER, names=names, **DAYS)
    assert [(flow.source, flow.target, flow.customers) for flow in moved.flows] == [
        ("loyal", "risk", 2),
        ("new", "loyal", 1),
    ]
    assert moved.words.startswith("2026-01-01 to 2026-04-01: 25% of 4 customers stayed")
    assert "2 went from Loyal to At risk (67% of them)" in moved.words
    assert "2 are new, 1 were lost" in moved.words
    assert "2 位由「忠诚客户」转入「流失风险客户」(占 67%)" in moved.words_zh
    assert "新增 2 位，流失 1 位" in moved.words_zh


def test_memberships_of_three_days_give_two_movements():
    rows = [("p1", day, segment) for day, segment in zip((1, 2, 3), "aab", strict=True)]
    table = pd.DataFrame(rows, columns=["customer_id", "as_of_on", "segment"])
    table["as_of_on"] = [date(2026, month, 1) for month in table["as_of_on"]]
    first, second = track_movement(table.sample(frac=1, random_state=0))
    assert (first.stayed, second.stayed) == (1.0, 0.0)
    assert (second.start, second.end) == (date(2026, 2, 1), date(2026, 3, 1))


def test_days_without_a_common_customer_are_told():
    moved = measure_movement(pd.Series({"a": "x"}), pd.Series({"b": "x"}), **DAYS)
    assert moved.stayed != moved.stayed
    assert moved.words == "2026-01-01 to 2026-04-01: 1 are new, 1 were lost"


def test_bad_input_is_said():
    twice = pd.Series(["x", "y"], index=["p_secret", "p_secret"])
    with pytest.raises(InvalidParameter, match="1 rows of 2026-01-01 name a customer again") as one:
        measure_movement(twice, AFTER, **DAYS)
    assert "p_secret" not in str(one.value)
    with pytest.raises(InvalidParameter, match="is not before"):
        measure_movement(BEFORE, AFTER, start=date(2026, 4, 1), end=date(2026, 4, 1))
    with pytest.raises(NotEnoughData, match="no customer is in a segment on 2026-04-01"):
        measure_movement(BEFORE, AFTER.iloc[:0], **DAYS)
    with pytest.raises(InvalidParameter, match=r"a segment is called \(lost\)"):
        measure_movement(BEFORE, pd.Series({"a": "(lost)"}), **DAYS)
    table = pd.DataFrame({"customer_id": ["a"], "as_of_on": ["2026-01-01"], "segment": ["x"]})
    with pytest.raises(NotEnoughData, match="memberships of 1 day"):
        track_movement(table)
    with pytest.raises(InvalidParameter, match="no column group"):
        track_movement(table, segment="group")
