"""The tables of indicators: nothing credited stands without what was caused."""

from __future__ import annotations

import json

from zhiyin.core import columns as c
from zhiyin.measure.report.formats import Format
from zhiyin.measure.report.grid import read_indicators
from zhiyin.measure.report.indicators import cohort_table, group_table, tell_plainly
from zhiyin.measure.report.words import Words

EN = Words("en"), Format("en", "USD")


def row(by: str, group: str, metric: str, value: float, low=None, high=None, status="ok") -> dict:
    return {
        c.KIND: "indicator", c.SUBJECT: f"{by}:{group}", c.METRIC: metric, c.VALUE: value,
        c.LOW: low, c.HIGH: high, c.N: 50, c.STATUS: status,
        c.BODY: json.dumps({"by": by, "group": group}),
    }  # fmt: skip


ROWS = [
    row("campaign", "", "revenue", 9_000_00), row("campaign", "s:k1", "revenue", 100_00),
    row("campaign", "s:k2", "revenue", 500_00), row("campaign", "s:k2", "ctr", 0.25, 0.2, 0.3),
    row("campaign", "s:k1", "nps", 0.1, -0.05, 0.25), row("channel", "", "revenue", 9_600_00),
    {c.KIND: "cohort", c.SUBJECT: "2026-01", c.METRIC: "retention_01", c.VALUE: 0.4, c.LOW: 0.35,
     c.HIGH: 0.46, c.N: 200, c.STATUS: "ok", c.BODY: json.dumps({"months": 1, "n": 200})},
    {c.KIND: "cohort", c.SUBJECT: "2026-01", c.METRIC: "retention_00", c.VALUE: 1.0, c.LOW: 0.98,
     c.HIGH: 1.0, c.N: 200, c.STATUS: "ok", c.BODY: json.dumps({"months": 0, "n": 200})},
]  # fmt: skip
CAUSED = [
    {c.SUBJECT: "s:k1", c.VALUE: 20.0, c.LOW: low, c.HIGH: 400.0, c.N: 90, c.STATUS: "ok"}
    for low in (-900.0, -100.0)
]  # fmt: skip


def test_revenue_stands_beside_what_was_caused_or_that_it_was_not_measured():
    part = read_indicators(ROWS, CAUSED, {"s:k1": "Spring"})
    head, rows = group_table(part, part.campaigns, "campaign", *EN)
    assert head == [
        "Campaign", "Click rate (CTR)", "Net promoter score (NPS)", "Revenue",
        "Caused, for each customer",
    ]  # fmt: skip
    assert rows == [
        ["s:k2", "25% (20%–30%)", "–", "$500", "not measured"],
        ["Spring", "–", "10 (-5–25)", "$100", "-$1.00 to $4.00"],
        ["after no message", "–", "–", "$9,000", "–"],
    ]


def test_channels_are_left_out_where_none_is_known():
    assert read_indicators(ROWS, [], {}).channels == ()


def test_a_cohort_shows_its_share_with_half_the_interval():
    part = read_indicators(ROWS, [], {})
    head, rows = cohort_table(part.cohorts, *EN)
    assert head == ["First purchase", "Customers", "+1"]
    assert rows == [["Jan 2026", "200", "40% ±6"]]


def test_a_line_says_how_far_it_is_to_be_trusted():
    told = {"value": 0.25, "low": 0.2, "high": 0.3, "n": 8, "status": "too_few_units"}
    assert tell_plainly("ctr", told, EN[1]) == (
        "Click rate (CTR): 25% (20%–30%)  few people: rough"
    )
    assert tell_plainly("ctr", told | {"value": None}, EN[1]) == ""
