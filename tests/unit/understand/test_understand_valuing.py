"""Customer value in the registry: kept models tell the same, the better one speaks."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from zhiyin.core.artifact import pack, unpack
from zhiyin.understand.predict.registry import Incumbent
from zhiyin.understand.value import BgNbd, read_purchases
from zhiyin.understand.value.forecast import Factor, ValueModel, learn_value
from zhiyin.understand.value.purchases import FEATURES, cut_purchases
from zhiyin.understand.valuing import Terms, value_customers, watch_champion

BEGIN, THEN, AS_OF = datetime(2025, 1, 1), date(2025, 9, 1), date(2026, 1, 1)
TERMS = Terms(6, 0.01, 0.25)


@pytest.fixture(scope="module")
def orders():
    rng = np.random.default_rng(1)
    joined = rng.integers(0, 100, size=200)
    seen = BgNbd(1.2, 50.0, 0.6, 2.5).simulate((365.0 - joined), rng=rng)
    who = np.concatenate([np.arange(200), seen.customers])
    at = np.concatenate([joined, joined[seen.customers] + seen.times])
    return pa.table({
        "customer_id": [f"c{one:03d}" for one in who],
        "ordered_at": [BEGIN + timedelta(days=float(one)) for one in at],
        "amount_base_minor": rng.integers(1_000, 5_000, size=len(who)),
    })  # fmt: skip


def value(orders, day=AS_OF, **changes):
    terms = replace(TERMS, **{k: changes.pop(k) for k in list(changes) if k == "promotion"})
    return value_customers(
        read_purchases(orders, day), terms, rng=np.random.default_rng(0), **changes
    )


@pytest.fixture(scope="module")
def champion(orders):
    made = value(orders, THEN)
    return Incumbent(
        made.record.version, THEN, ValueModel.from_artifact(unpack(pack(made.artifact)))
    )


def test_a_kept_model_tells_the_same_as_when_it_was_learned(orders):
    days = read_purchases(orders, AS_OF)
    model, _ = learn_value(days, horizon_days=180, seed=1)
    nodes = np.zeros(1, dtype=[("is_leaf", "u1"), ("value", "f8")])
    nodes["is_leaf"], nodes["value"] = 1, 0.1
    trees = Factor([np.array([0.5])] * (len(FEATURES) + 2), 0.2, [nodes, nodes])
    model = ValueModel(model.base, (0.5, 0.5), (trees, trees))
    kept = ValueModel.from_artifact(unpack(pack(model.to_artifact())))
    cut = cut_purchases(days, 0)
    for mine, other in zip(model.expect(cut, 90), kept.expect(cut, 90), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12)
    plain = ValueModel(model.base, (0.0, 0.0), (None, None))
    np.testing.assert_allclose(
        model.expect(cut, 90)[0], plain.expect(cut, 90)[0] * np.exp(0.4) ** 0.5
    )


def test_the_first_model_speaks_and_names_what_it_learned_from(orders):
    made = value(orders)
    assert made.promoted
    assert made.speaks == made.record.version == made.card["model_version"]
    assert made.card["registry"]["reason"] == "first"
    again = value(orders.slice(1))
    assert again.record.data_hash != made.record.data_hash


def test_under_approval_the_first_model_gives_no_score(orders):
    made = value(orders, promotion="approve")
    assert (made.valued.status, made.valued.columns, made.speaks) == ("needs_approval", None, None)
    assert made.artifact is not None


def test_both_tell_the_last_days_and_the_better_one_speaks(orders, champion):
    poor = replace(champion, fitted=ValueModel(
        replace(champion.fitted.base, bgnbd=BgNbd(9.0, 1.0, 0.1, 50.0)), (0.0, 0.0), (None, None)
    ))  # fmt: skip
    made = value(orders, incumbent=poor)
    found = made.card["registry"]["comparison"]
    assert (found["metric"], found["group"]) == ("deviance", "2025-11-01")
    assert found["difference_low"] > 0
    assert made.promoted
    better = replace(champion, version="0" * 12)
    kept = value(orders, incumbent=better, put_aside=[made.record.version])
    assert kept.speaks == better.version
    assert kept.valued.columns is not None


def test_a_champion_of_last_week_cannot_be_judged_yet(orders, champion):
    made = value(orders, THEN + timedelta(days=7), incumbent=champion)
    assert made.card["registry"]["reason"] == "champion_saw_the_day"
    assert made.speaks == champion.version
    same = value(orders, THEN, incumbent=champion)
    assert same.card["registry"]["reason"] == "same_version"
    assert same.speaks == champion.version


def test_the_champion_is_looked_back_on_since_it_learned_but_not_further_than_the_horizon(
    orders, champion
):
    days = read_purchases(orders, AS_OF)
    found = watch_champion(days, champion, horizon_days=180)
    assert (found["since"], found["days"], found["learned_on"]) == ("2025-09-01", 122, "2025-09-01")
    assert found["model_version"] == champion.version
    assert found["status"] == "ok"
    assert watch_champion(days, champion, horizon_days=60)["since"] == "2025-11-02"
    learned = read_purchases(orders, THEN)
    assert watch_champion(learned, champion, horizon_days=60)["status"] == "not_yet"
