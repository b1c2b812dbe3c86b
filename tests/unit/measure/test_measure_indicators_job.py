"""Indicators among the rows of the job `measure`."""

from __future__ import annotations

import json
from datetime import date, datetime

from zhiyin.core import columns as c
from zhiyin.measure.indicators.sums import Span
from zhiyin.measure.indicators_job import compute
from zhiyin.measure.job import run

DAY = date(2024, 3, 1)


def touch(number: int, kind: str, at: datetime) -> dict:
    return {
        c.TOUCH_ID: f"{kind}{number}", c.PARTY_ID: f"p_{number:03d}", c.KIND: kind,
        c.OCCURRED_AT: at, c.MONTH: f"{at:%Y-%m}", c.CAMPAIGN_ID: "s:k1", c.CHANNEL: "email",
        c.MESSAGE_ID: f"m_{number}",
    }  # fmt: skip


def line(number: int, amount: int, at: datetime) -> dict:
    return {
        c.LINE_ID: f"l{number}-{at:%m%d}", c.ORDER_ID: f"o{number}-{at:%m%d}",
        c.PARTY_ID: f"p_{number:03d}", c.SOLD_AT: at, c.MONTH: f"{at:%Y-%m}", c.KIND: "item",
        c.QUANTITY: 1.0, c.AMOUNT_BASE_MINOR: amount, c.SUSPECT: False,
    }  # fmt: skip


def item(number: int, kind: str, minute: int) -> dict:
    at = datetime(2024, 2, 20, 12, minute)
    return {
        c.ITEM_EVENT_ID: f"{kind}{number}", c.EVENT_ID: f"{kind}{number}",
        c.PARTY_ID: f"p_{number:03d}", c.OCCURRED_AT: at, c.MONTH: "2024-02", c.KIND: kind,
        c.PRODUCT_ID: "s:a",
    }  # fmt: skip


def rows_of(lake, day: date) -> dict:
    rows = lake.rows["results"].to_pylist()
    return {
        (row[c.KIND], row[c.SUBJECT], row[c.METRIC]): row
        for row in rows if row[c.AS_OF_ON] == day
    }  # fmt: skip


def test_a_turn_writes_indicators_of_what_was_known_and_keeps_those_of_earlier_days(lake, context):
    sent, later = datetime(2024, 2, 20, 12), datetime(2024, 3, 2, 12)
    lake.add("touches", [touch(n, "sent", sent) for n in range(40)])
    lake.add("touches", [touch(n, "click", sent) for n in range(10)])
    lake.add("touches", [touch(n, "unsubscribe", later) for n in range(40)])  # not known yet
    bought = datetime(2024, 2, 20, 13)
    lake.add("order_lines", [line(n, 500, bought) for n in range(20)])
    lake.add("order_lines", [line(n, 9_999, later) for n in range(40)])
    lake.add("item_events", [item(n, "view", 0) for n in range(30)])
    lake.add("item_events", [item(n, "add", 5) for n in range(24)])
    lake.add("item_events", [item(n, "checkout", 9) for n in range(22)])
    ctx = context(lake, DAY)
    run(ctx, ctx.settings.measure)
    made = rows_of(lake, DAY)
    assert made["indicator", "campaign:s:k1", "ctr"][c.VALUE] == 0.25
    assert made["indicator", "", "unsubscribe_rate"][c.VALUE] == 0
    assert made["indicator", "channel:email", "credited_revenue"][c.VALUE] == 20 * 500
    assert made["indicator", "month:2024-02-01", "cvr"][c.VALUE] == 0.5
    assert made["indicator", "", "nps"][c.STATUS] == "no_units"
    assert made["cohort", "2024-02", "value_00_minor"][c.VALUE] == 500
    steps = [made["funnel", "shop", name] for name in ("view", "add", "checkout", "purchase")]
    assert [json.loads(one[c.BODY])["customers"] for one in steps] == [30, 24, 22, 20]
    assert steps[1][c.VALUE] == 0.8
    # a day that is measured again, when more is known, keeps the indicators of its turn
    lake.add("scores", [{
        c.AS_OF_ON: DAY, c.CUSTOMER_ID: "p_000", c.TASK: "next_purchase", c.SUBJECT: "",
        c.SCORE: 0.5, c.RANK: 1, c.MODEL: "m", c.MODEL_VERSION: "1", c.REASONS: "[]",
    }])  # fmt: skip
    ctx = context(lake, date(2024, 3, 20))
    report = run(ctx, ctx.settings.measure)
    assert DAY.isoformat() in report.figures["measured_days"]
    kept = rows_of(lake, DAY)
    assert {key: kept.get(key) for key in made} == made
    assert rows_of(lake, date(2024, 3, 20))["indicator", "", "unsubscribe_rate"][c.VALUE] == 1
    # and any other span is computed as it is asked for
    span = Span(date(2024, 2, 1), date(2024, 3, 1), "America/New_York", "day")
    found = compute(ctx, span, ["day"])
    assert list(found["day"]) == ["2024-02-20"]
    assert found["day"]["2024-02-20"]["sent"].value == 40
