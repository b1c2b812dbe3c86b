"""The turn says what sales did, what comes next and why it changed, and tells staff once."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from zhiyin.core import columns as c
from zhiyin.measure.job import run
from zhiyin.measure.report.formats import Format
from zhiyin.measure.report.trends import leave_trends, read_trends, trends_figure
from zhiyin.measure.report.words import Words
from zhiyin.measure.trend_job import measure_trends
from zhiyin.measure.trend_kinds import KINDS

FIRST, DAY = date(2023, 11, 1), date(2024, 7, 1)


def line(day: date, number: int, category: str, amount: int) -> dict:
    at = datetime(day.year, day.month, day.day, 17)
    party = f"p_{category}_{number}"
    return {
        c.LINE_ID: f"{party}-{day}", c.ORDER_ID: f"{party}-{day}", c.PARTY_ID: party, c.SOLD_AT: at,
        c.MONTH: f"{day:%Y-%m}", c.PRODUCT_ID: f"s:{category}{number % 12}", c.KIND: "item",
        c.QUANTITY: 1.0, c.AMOUNT_BASE_MINOR: amount, c.SUSPECT: False,
    }  # fmt: skip


@pytest.fixture
def shop(lake):
    """Eight months of rings and hats; in the last four weeks rings halve."""
    rng = np.random.default_rng(1)
    rows = []
    for place in range((DAY - FIRST).days):
        day = FIRST + timedelta(place)
        fell = DAY - timedelta(28) <= day < DAY
        for category, level in (("ring", 500 if fell else 1_000), ("hat", 1_000)):
            for number in range(4):
                person = 4 * (place % 6) + number
                rows.append(line(day, person, category, int(level * rng.uniform(0.9, 1.1))))
    lake.add("order_lines", rows)
    lake.add("products", [
        {c.PRODUCT_ID: f"s:{category}{number}", c.DEPARTMENT: category,
         c.NAME: f"{category}{number}", c.VALID_AT: datetime(2023, 1, 1)}
        for category in ("ring", "hat") for number in range(12)
    ])  # fmt: skip
    return lake


def test_the_turn_says_what_changed_and_why(shop, context):
    results, figures = measure_trends(context(shop, DAY))
    assert figures["status"] == "ok"
    assert figures["change"] == pytest.approx(-0.25, abs=0.02)
    assert "category ring" in figures["words"]["en"]
    assert "ring" in figures["words"]["zh"]
    assert {one.kind for one in results} >= {"trend", "change", "forecast"}
    assert any(one["key"].startswith("trend ") for one in figures["told"])
    of = {one.subject: one.estimate for one in results if one.kind == "forecast"}
    parts = of["category=ring"].value + of["category=hat"].value
    assert of[""].value == pytest.approx(parts)
    assert of[""].low <= 28 * 4 * 1_500 <= of[""].high


def test_what_comes_after_the_day_changes_nothing(shop, context):
    before = measure_trends(context(shop, DAY))
    shop.add("order_lines", [line(DAY, 1, "ring", 10_000_000)])
    assert measure_trends(context(shop, DAY)) == before


def test_a_shop_without_sales_has_nothing_to_tell(lake, context):
    assert measure_trends(context(lake, DAY)) == ((), {"status": "no_units", "told": []})


def test_a_later_turn_leaves_what_was_said_on_a_day(shop, context):
    shop.add("scores", [{
        c.AS_OF_ON: DAY, c.CUSTOMER_ID: "p_ring_1", c.TASK: "next_purchase", c.SUBJECT: "",
        c.SCORE: 0.5, c.RANK: 1, c.MODEL: "m", c.MODEL_VERSION: "1", c.REASONS: "[]",
    }])  # fmt: skip

    def trends() -> list[dict]:
        rows = shop.read("results").to_pyarrow().to_pylist()
        return [row for row in rows if row[c.KIND] in KINDS and row[c.AS_OF_ON] == DAY]

    run(context(shop, DAY), context(shop, DAY).settings.measure)
    said = trends()
    assert said
    later = context(shop, DAY + timedelta(3))
    report = run(later, later.settings.measure)
    assert DAY.isoformat() in report.figures["measured_days"]
    assert trends() == said
    json.dumps(report.figures)


def test_the_report_shows_the_weeks_ahead_and_why(shop, context):
    made = run(context(shop, DAY), context(shop, DAY).settings.measure)
    rows = shop.read("results").to_pyarrow().to_pylist()
    part = read_trends(rows, {"measure": {"figures": made.figures}})
    assert len(part.ahead) == 4
    assert "ring" in part.said[0].zh
    assert not [row for row in leave_trends(rows) if row[c.KIND] in KINDS]
    for language, word in (("en", "next four weeks"), ("zh", "未来四周")):
        figure = trends_figure(part, Words(language), Format(language, "USD"))
        assert word in figure.takeaway
        assert len(figure.rows) == 3
