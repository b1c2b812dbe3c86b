"""Revenue by last touch: every order once, so campaigns never get more than the shop took."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from zhiyin.core import columns as c
from zhiyin.measure.attributed import report_attributed, sum_attributed, sum_orders

NOON = datetime.fromisoformat("2024-03-01T12:00")  # naive UTC, as in the lake


@pytest.fixture
def attribute(engine):
    """`attribute(lines, touches)` → (revenue, orders) by campaign, and the shop's revenue.

    Lines are (order, customer, days, paid), touches (id, customer, days, kind, campaign).
    """

    def made(lines, touches):
        sold = pa.table({
            c.ORDER_ID: [one[0] for one in lines], c.CUSTOMER_ID: [one[1] for one in lines],
            c.SOLD_AT: [NOON + timedelta(days=one[2]) for one in lines],
            c.AMOUNT_BASE_MINOR: [one[3] for one in lines],
            c.KIND: ["return" if one[3] < 0 else "item" for one in lines],
        })  # fmt: skip
        seen = pa.table({
            c.TOUCH_ID: [one[0] for one in touches], c.CUSTOMER_ID: [one[1] for one in touches],
            c.OCCURRED_AT: [NOON + timedelta(days=one[2]) for one in touches],
            c.KIND: [one[3] for one in touches], c.CAMPAIGN_ID: [one[4] for one in touches],
            c.CHANNEL: ["email" for _ in touches],
        })  # fmt: skip
        orders = sum_orders(engine.to_ibis(sold))
        rows = sum_attributed(orders, engine.to_ibis(seen)).to_pyarrow().to_pylist()
        given = {row[c.CAMPAIGN_ID]: (row[c.REVENUE_BASE_MINOR], row[c.ORDERS]) for row in rows}
        return given, orders.to_pyarrow().to_pandas()

    return made


def test_the_last_touch_within_its_window_gets_the_order(attribute):
    given, _ = attribute(
        [("o1", "a", 10, 500), ("o2", "b", 40, 300), ("o3", "c", 5, 900), ("o3", "c", 9, -200)],
        [
            ("t1", "a", 1, "click", "k1"), ("t2", "a", 9.5, "redemption", "k2"),
            ("t3", "a", 11, "click", "k3"), ("t4", "b", 5, "click", "k1"),
            ("t5", "c", 4.5, "click", "k1"), ("t6", "c", 4.9, "sent", "k4"),
        ],
    )  # fmt: skip
    assert given == {"k2": (500, 1), "k1": (700, 1), None: (300, 1)}


def test_returns_without_their_order_take_from_nobody(attribute):
    given, _ = attribute(
        [("o1", "a", 3, 500), ("o0", "b", 3, -9000)], [("t", "a", 2, "click", "k")]
    )
    assert given == {"k": (500, 1), None: (0, 1)}


@pytest.mark.parametrize("seed", range(5))
def test_campaigns_together_never_get_more_than_the_shop_took(attribute, seed):
    rng = np.random.default_rng(seed)
    lines = [
        (f"o{n % 40}", f"p{n % 40 % 7}", float(rng.uniform(0, 40)), int(rng.integers(-400, 900)))
        for n in range(100)
    ]
    kinds = ["click", "redemption", "sent"]
    touches = [
        (f"t{n}", f"p{n % 9}", float(rng.uniform(-10, 40)), str(rng.choice(kinds)), f"k{n % 4}")
        for n in range(80)
    ]
    given, orders = attribute(lines, touches)
    total = int(orders[c.REVENUE_BASE_MINOR].sum())
    assert sum(money for money, _ in given.values()) == total
    assert 0 < sum(money for name, (money, _) in given.items() if name) <= total
    assert sum(count for _, count in given.values()) == len(orders)


def test_a_campaign_without_revenue_is_a_row_too():
    rows = [{c.CAMPAIGN_ID: None, c.CHANNEL: None, c.REVENUE_BASE_MINOR: 700, c.ORDERS: 2}]
    told = report_attributed(rows, campaigns=["k1"])
    assert [(one.subject, one.estimate.value) for one in told.results] == [("k1", 0.0), ("", 700.0)]
    assert report_attributed([], campaigns=["k1"]).results == ()
