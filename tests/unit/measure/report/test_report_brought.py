"""Attributed revenue never stands alone, and what is not known is said."""

from __future__ import annotations

import json
from dataclasses import replace
from html import unescape

import pytest

from tests.unit.measure.report import report_samples as samples
from zhiyin.core import columns as c
from zhiyin.measure.report.brought import read_brought
from zhiyin.measure.report.render import render
from zhiyin.measure.report.shape import add_caused
from zhiyin.measure.report.summary import summary_text

NAMES = {"s:1": {c.NAME: "Spring"}, "s:2": {c.NAME: "Autumn"}, "s:3": {c.NAME: "Winter"}}


def row(kind: str, subject: str, metric: str, value: float | None, **more) -> dict:
    body = {key: more.pop(key) for key in list(more) if key not in ("low", "high", "n", "status")}
    return {
        c.KIND: kind, c.SUBJECT: subject, c.METRIC: metric, c.VALUE: value,
        c.LOW: more.get("low"), c.HIGH: more.get("high"), c.N: more.get("n", 0),
        c.STATUS: more.get("status", "ok"), c.BODY: json.dumps(body),
    }  # fmt: skip


@pytest.fixture(scope="module")
def part():
    return read_brought(
        [
            row("attributed", "", "shop_revenue_minor", 900_000, channels={"email": 60_000}),
            row("attributed", "s:1", "revenue_last_touch_minor", 50_000, n=12),
            row("attributed", "s:2", "revenue_last_touch_minor", 70_000, n=20),
            row("attributed", "s:3", "revenue_last_touch_minor", 10_000, n=2),
            row("increment", "s:1", "money_caused_minor", 20_000, low=5_000, high=35_000,
                evidence="randomised", verdict="brought_more"),
            row("increment", "s:3", "money_caused_minor", 99_000, low=1, high=2,
                status="holdout_not_kept", evidence="randomised", verdict="cannot_tell_yet"),
            row("observed", "s:2", "revenue_per_recipient_minor", None, status="unbalanced",
                unadjusted=30_000, evidence="adjusted"),
            row("observed", "s:2", "revenue_per_comparable_minor", -100, low=-3_000, high=2_900,
                evidence="adjusted", verdict="cannot_tell_yet", detectable=4_200),
            row("observed", "s:2", "money_caused_minor", None, status="not_measured"),
            row("observed", "s:2", "next_holdout", 171, n=1133) | {c.BODY: json.dumps({
                "held_out": 171, "n": 1133, "detectable": 4_700, "enough": True, "campaigns": 1,
            })},
        ],
        NAMES,
    )  # fmt: skip


def test_each_campaign_has_what_it_caused_or_that_it_is_not_measured(part):
    told = {one.name: one for one in part.rows}
    assert (told["Spring"].evidence, told["Spring"].caused.value) == ("randomised", 20_000)
    assert (told["Autumn"].evidence, told["Autumn"].caused) == ("adjusted", None)
    assert (told["Winter"].evidence, told["Winter"].caused) == ("none", None)
    page = unescape(render(replace(samples.full_report(), brought=part)))
    assert page.count("not measured") >= 3
    assert page.count("未测量") >= 3
    assert "The shop took $9,000" in page
    assert "$990" not in page  # of a holdout that was not kept nothing is claimed


def test_a_list_that_was_not_drawn_by_lot_says_so_and_what_follows(part):
    text = " ".join(summary_text(replace(samples.full_report(), brought=part), "en").split())
    assert "Spring caused $200 of revenue" in text
    assert "Who got Autumn was chosen, not drawn by lot" in text
    assert "Recipients spent $300 each more than others" in text
    assert "An effect of $42 each or more would probably have shown." in text
    assert "hold out 171 of 1,133 by lot" in text
    zh = "".join(summary_text(replace(samples.full_report(), brought=part), "zh").split())
    assert "从1,133人中随机留出171人不发送" in zh


def test_without_campaigns_a_sentence_stands_there():
    page = render(replace(samples.full_report(), brought=read_brought([], {})))
    assert "No campaign of this turn can be measured yet." in page


def _programme(value: float | None, **more) -> str:
    part = read_brought([row("programme", "2024Q1", "money_caused_minor", value, **more)], NAMES)
    report = replace(samples.full_report(), brought=part)
    assert "2024Q1" in render(report)
    return " ".join(summary_text(report, "en").split())


def test_the_quarters_number_comes_first_with_how_it_is_known():
    bounds = {"low": -10_000, "high": 90_000, "status": "window_open"}
    text = _programme(
        40_000, **bounds, verdict="cannot_tell_yet", detectable=72_000, customers=950, held_out=50
    )
    assert "2024Q1: all marketing together caused $400 of revenue" in text
    assert "by 950 customers beside 50 whom a lot kept from all of it: cannot tell yet" in text
    assert "$720 or more in all would probably have shown. The quarter is not over" in text
    text = _programme(40_000, **bounds | {"low": 1}, verdict="brought_more", customers=950)
    assert "each of 950 customers counted once: it brought more" in text


def test_a_quarter_without_a_holdout_says_what_to_do():
    text = _programme(None, status="not_measured", verdict="cannot_tell_yet")
    assert "2024Q1: what all marketing together caused is not measured" in text
    assert "act.global_holdout_share" in text
    assert "got campaigns all the same" in _programme(None, status="holdout_not_kept")


def test_how_expected_profit_was_counted_is_said():
    full = samples.full_report()
    said = {"value": 0.4, "measured": 0.31, "campaigns": 3}
    figures = {"campaigns": {full.choices[0].campaign_id: {"caused": said}}}
    report = replace(full, choices=(add_caused(full.choices[0], figures), *full.choices[1:]))
    text = " ".join(summary_text(report, "en").split())
    assert "3 earlier campaigns brought, 31% was caused: expected profit counts 40%" in text
    assert "31% was caused" in render(report)
    nothing = {"value": 1.0, "measured": None, "campaigns": 0}
    figures["campaigns"][full.choices[0].campaign_id]["caused"] = nothing
    assert add_caused(full.choices[0], figures) == full.choices[0]
