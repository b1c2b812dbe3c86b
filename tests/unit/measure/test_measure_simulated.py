"""The job finds the effect that a simulated shop was planted with, and ranks by true chances."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.measure.job import run
from zhiyin.simulate.config import ShopConfig
from zhiyin.simulate.retailer import Shop

DAY = date(2024, 3, 1)  # day 60: the first campaign starts
END = date(2024, 3, 15)


def _load(lake, name: str, tables: dict, **renamed: str) -> None:
    """A raw table as lake rows: ids as parties, times as naive UTC."""
    frame = tables[name].rename(columns={c.CUSTOMER_ID: c.PARTY_ID, **renamed})
    rows = frame.to_dict("records")
    for row in rows:
        for column, value in row.items():
            if hasattr(value, "tz_convert"):
                row[column] = value.tz_convert("UTC").tz_localize(None).to_pydatetime()
    lake.add(name, [{key: row[key] for key in row if key in _names(name)} for row in rows])


def _names(name: str) -> tuple[str, ...]:
    from zhiyin.core.tables import table

    return table(name).names


def test_planted_effect_is_inside_the_interval_and_truth_ranks_best(lake, context):
    lake.zone = "Asia/Shanghai"
    shop = Shop(ShopConfig(customers=3000), seed=9)
    history = shop.history(DAY)
    touches = history["touches"]
    listed = np.sort(touches[touches[c.CAMPAIGN_ID] == "k001"][c.CUSTOMER_ID].to_numpy(dtype=str))
    chance = shop.truth.extra_order_chance("k001", listed)
    treated = np.random.default_rng(2).random(len(listed)) < 0.5
    step = shop.step(DAY, END + timedelta(days=2), {"k001": listed[treated]})
    for name in ("campaigns", "offers"):
        _load(lake, name, history)
    for part in (history, step):
        _load(lake, "touches", part)
        _load(lake, "order_lines", part, **{c.AMOUNT_MINOR: c.AMOUNT_BASE_MINOR})
    lake.add("scores", [
        {c.AS_OF_ON: DAY, c.CUSTOMER_ID: one, c.TASK: "response", c.SUBJECT: "k001",
         c.SCORE: float(value)}
        for one, value in zip(listed[treated], chance[treated], strict=True)
    ])  # fmt: skip
    lake.add("decisions", [
        {c.AS_OF_ON: DAY, c.CAMPAIGN_ID: "k001", c.PARTY_ID: one, c.CUSTOMER_ID: one,
         c.ARM: "treat" if is_treated else "holdout"}
        for one, is_treated in zip(listed, treated, strict=True)
    ])  # fmt: skip
    ctx = context(lake, DAY, zone="Asia/Shanghai", decide={"holdout_share": 0.5})
    figures = run(ctx, ctx.settings.measure).figures

    true = shop.truth.effect("k001", listed, worlds=10)
    effect = figures["increments"]["k001"]
    orders = effect["orders_per_customer"]
    assert orders["low"] < true.orders < orders["high"]
    assert orders["treated"] == treated.sum()
    revenue = effect["revenue_per_customer_minor"]
    assert revenue["low"] < true.revenue_minor < revenue["high"]
    assert figures["response"]["auc"] > 0.65
    assert figures["response"]["redeemers"] == round(
        shop.truth.effect("k001").response_rate * treated.sum()
    )


def test_sums_by_arm_stay_exact_for_large_money(lake):
    from zhiyin.measure.outcomes import squares_of, sum_by_arm

    amounts = [9_007_199_254_740_993, -5, 7]  # one above what a float can hold
    people = ["a", "b", "c"]
    assigned = lake.to_ibis(pa.table({c.CUSTOMER_ID: [*people, "d"], c.ARM: ["treat"] * 4}))
    revenue = lake.to_ibis(pa.table({c.CUSTOMER_ID: people, c.REVENUE_BASE_MINOR: amounts}))
    buyers = lake.to_ibis(pa.table({c.CUSTOMER_ID: ["a"], c.ORDERS: [2]}))
    [row] = sum_by_arm(assigned, revenue, buyers).to_pyarrow().to_pylist()
    assert int(row[c.REVENUE_BASE_MINOR]) == sum(amounts)
    assert int(row[squares_of(c.REVENUE_BASE_MINOR)]) == sum(one * one for one in amounts)
    assert (row[c.UNITS], int(row[c.ORDERS]), int(row[c.RESPONDED])) == (4, 2, 1)
