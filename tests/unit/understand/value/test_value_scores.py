"""Rows of table `scores`: what is written of customer value, and when nothing is."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import SCORES
from zhiyin.understand.value import BgNbd, read_purchases
from zhiyin.understand.value.scoring import TASKS, score_value, value_scores

BEGIN, AS_OF = datetime(2025, 1, 1), date(2026, 1, 1)
SCHEMA = arrow_schema(SCORES)


def orders(customers: int = 150, *, born: int = 100) -> pa.Table:
    rng = np.random.default_rng(1)
    joined = rng.integers(0, born, size=customers)
    seen = BgNbd(1.2, 50.0, 0.6, 2.5).simulate((365.0 - joined), rng=rng)
    who = np.concatenate([np.arange(customers), seen.customers])
    at = np.concatenate([joined, joined[seen.customers] + seen.times])
    return pa.table(
        {
            "customer_id": [f"c{one:03d}" for one in who],
            "ordered_at": [BEGIN + timedelta(days=float(one)) for one in at],
            "amount_base_minor": rng.integers(1_000, 5_000, size=len(who)),
        }
    )


def valued(table: pa.Table, as_of: date = AS_OF, **settings):
    settings = {"months": 12, "monthly_discount": 0.01, "margin_rate": 0.25, **settings}
    return score_value(read_purchases(table, as_of), rng=np.random.default_rng(0), **settings)


def test_every_customer_has_three_scores_ranked_from_the_highest():
    found = valued(orders())
    rows = value_scores(found, version="v", schema=SCHEMA, as_of=AS_OF).to_pandas()
    assert rows.groupby("task").size().to_dict() == dict.fromkeys(TASKS, 150)
    for task, part in rows.groupby("task"):
        ranked = part.sort_values("rank")
        assert ranked["rank"].tolist() == list(range(1, 151)), task
        assert ranked["score"].is_monotonic_decreasing, task
    alive = rows[rows["task"] == "p_alive"]["score"]
    assert alive.between(0, 1).all()
    money = rows[rows["task"] == "value"]
    assert money["score"].tolist() == money["expected_profit_minor"].tolist()


def test_value_is_margin_of_the_spend_less_the_discount():
    plain = valued(orders(), monthly_discount=0.0).columns["value"]
    half = valued(orders(), monthly_discount=0.0, margin_rate=0.125).columns["value"]
    assert half == pytest.approx(plain / 2)
    dear = valued(orders(), monthly_discount=0.05).columns["value"]
    assert (dear < plain).all()
    assert (dear > plain / 1.05**12).all()


def test_the_card_is_json_and_tells_the_models():
    card = valued(orders()).card
    told = json.loads(json.dumps(card, allow_nan=False))
    assert set(told["models"]) == {"bgnbd", "pareto_nbd", "gamma_gamma"}
    assert told["customers"] == 150


def test_too_little_history_gives_no_score_and_says_what_is_missing():
    found = valued(orders(), date(2025, 4, 1))
    assert found.status == "too_little_history"
    assert found.missing == (
        "90 days of purchases before the day; 182 are needed to look 12 months ahead"
    )
    assert value_scores(found, version="", schema=SCHEMA, as_of=AS_OF).num_rows == 0
    few = valued(orders(12))
    assert few.status == "too_little_history"
    assert few.missing.startswith("12 customers are too few")
