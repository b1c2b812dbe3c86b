"""Tasks learned from snapshots: horizons, training days, what is missing, planted churners."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.features import FEATURES
from zhiyin.core.rng import Streams
from zhiyin.core.tables import SCORES
from zhiyin.understand.predict import labels
from zhiyin.understand.predict.drift import growing, measure_drift
from zhiyin.understand.predict.horizon import propose_horizon, usual_gaps
from zhiyin.understand.predict.shortage import check_data
from zhiyin.understand.predict.snapshot import Terms, score_snapshot
from zhiyin.understand.predict.task import (
    category_affinity,
    churn,
    contract_churn,
    next_purchase,
    pick_days,
    response,
)
from zhiyin.understand.value.purchases import PurchaseDays

DAY = date(2024, 7, 1)
DAYS = tuple(DAY - timedelta(days=60 * k) for k in (3, 2, 1))
N = 300
TERMS = Terms(history_days=400, silent_days=1, min_positives=50)
NAMES = [feature.name for feature in FEATURES]


def world(seed: int = 0) -> tuple[pd.DataFrame, pa.Table]:
    """Features at three past days and the day; who was away longest does not come back."""
    rng = np.random.default_rng(seed)
    made, came = [], []
    for day in (*DAYS, DAY):
        x = pd.DataFrame(rng.gamma(1.0, 5.0, size=(N, len(FEATURES))), columns=NAMES)
        x["recency_days"] = rng.integers(0, 90, N).astype(float)
        x["orders_count"] = rng.integers(1, 9, N).astype(float)
        ids = [f"p_{i:03d}" for i in range(N)]
        made.append(x.assign(as_of_on=day, customer_id=ids))
        stays = rng.uniform(size=N) < x["recency_days"] / 70
        came += [(day, one) for one, gone in zip(ids, stays, strict=True) if not gone]
    return pd.concat(made, ignore_index=True), outcomes(came)


def outcomes(pairs) -> pa.Table:
    return pa.table(
        {
            "as_of_on": pa.array([day for day, _ in pairs], pa.date32()),
            "customer_id": pa.array([who for _, who in pairs], pa.string()),
            "happened": pa.array([1] * len(pairs), pa.int64()),
        }
    )


def run(task, features, happened, **changes):
    terms = replace(TERMS, **changes)
    return score_snapshot(
        task, features, outcomes=happened, as_of=DAY, streams=Streams(7), terms=terms
    )


@pytest.fixture(scope="module")
def tables():
    return world()


@pytest.fixture(scope="module")
def churned(tables):
    return run(churn(60).at_days(DAYS), *tables)


def test_planted_churners_are_found_and_the_card_says_how_well(churned):
    last = churned.card["validation"]["last_fold"]
    assert churned.status == "ok"
    assert last["auc_low"] > 0.5
    assert last["auc"] > 0.6
    assert {"ap", "log_loss", "brier", "f1", "lift", "gains", "ece", "ece_floor"} <= set(last)
    assert churned.card["top_effects"][0]["feature"] == "recency_days"
    assert tuple(churned.scores.column_names) == SCORES.names


def test_one_order_or_a_horizon_of_silence_gives_no_churn_score(tables, churned):
    today = tables[0][tables[0]["as_of_on"] == DAY].set_index("customer_id")
    scored = churned.scores.to_pandas()["customer_id"]
    expected = today[(today["orders_count"] >= 2) & (today["recency_days"] <= 60)]
    assert sorted(scored) == sorted(expected.index)


def test_everyone_gets_the_chance_of_a_next_order(tables):
    result = run(next_purchase(60).at_days(DAYS), *tables)
    assert len(result.scores) == N
    assert result.card["validation"]["folds"][-1]["train"] == [d.isoformat() for d in DAYS[:2]]
    assert result.scores["expected_profit_minor"].null_count == 0


def test_rows_at_or_after_the_day_change_no_training_set(tables, churned):
    features, happened = tables
    later = DAY + timedelta(days=30)
    rows = features[features["as_of_on"] == DAY].assign(as_of_on=later, recency_days=0.0)
    more = outcomes([(day, "p_001") for day in (DAY, later)])
    grown = run(
        churn(60).at_days([*DAYS, DAY, later]),
        pd.concat([features, rows], ignore_index=True),
        pa.concat_tables([happened, more]),
    )
    assert grown.scores == churned.scores
    assert grown.card["data"] == churned.card["data"]


def test_the_order_of_rows_changes_nothing(tables, churned):
    features, happened = tables
    shuffled = features.sample(frac=1, random_state=1)
    order = np.random.default_rng(1).permutation(len(happened))
    assert run(churn(60).at_days(DAYS), shuffled, happened.take(order)).scores == churned.scores


def test_every_candidate_can_be_compared(tables):
    names = ("logistic", "tree", "svm", "linear_svm", "forest", "boosting", "network")
    result = run(churn(60).at_days(DAYS), *tables, candidates=names)
    assert len(result.card["validation"]["candidates"]) == len(names)


def test_training_rows_are_thinned_with_the_shares_of_the_classes(tables):
    result = run(next_purchase(60).at_days(DAYS), *tables, training_rows=450)
    assert result.card["learned_rows"] == pytest.approx(450, abs=3)
    assert sum(group["rows"] for group in result.card["data"]) == 3 * N


@pytest.mark.parametrize(
    ("changes", "days", "code"),
    [
        ({"min_positives": 10_000}, DAYS, "too_few_positives"),
        ({"history_days": 119}, DAYS, "short_history"),
        ({"silent_days": 61}, DAYS, "no_event_lately"),
        ({}, (), "no_training_days"),
    ],
)
def test_what_is_missing_is_said_in_two_languages_and_nobody_is_scored(tables, changes, days, code):
    result = run(churn(60).at_days(days), *tables, **changes)
    assert (result.status, result.artifact, len(result.scores)) == (code, None, 0)
    said = json.loads(json.dumps(result.card))["warnings"][0]
    assert said["code"] == code
    assert said["message"] != said["message_zh"]


def test_one_class_is_no_score(tables):
    result = run(next_purchase(60).at_days(DAYS), tables[0], outcomes([]))
    assert result.status == "one_class"


def test_a_check_names_everything_that_is_missing():
    found = check_data(
        positives=3, negatives=5, samples=1, to_score=0, horizon_days=30, history_days=40,
        silent_days=31,
    )  # fmt: skip
    codes = ["short_history", "no_event_lately", "too_few_positives", "nobody_to_score"]
    assert [one.code for one in found.missing] == codes


def test_training_days_are_a_horizon_apart_and_over():
    available = [DAY - timedelta(days=k) for k in (0, 1, 30, 45, 60, 61, 100)]
    picked = pick_days(available, as_of=DAY, horizon_days=30, most=3)
    assert picked == tuple(DAY - timedelta(days=k) for k in (100, 60, 30))
    assert pick_days(available, as_of=DAY, horizon_days=30, most=1) == (DAY - timedelta(days=30),)


def test_a_horizon_below_a_day_is_refused():
    with pytest.raises(InvalidParameter, match="0 days"):
        churn(0)
    with pytest.raises(InvalidParameter, match="no horizon"):
        response("c1").known_on(DAY)


@pytest.mark.parametrize(("gap", "days"), [(3, 7), (25, 28), (400, 406)])
def test_the_horizon_follows_the_gaps_of_the_shop(gap, days):
    assert propose_horizon(np.full(50, float(gap))).days == days


def test_daily_customers_do_not_speak_for_all_others():
    often = PurchaseDays(
        np.array(["a", "b"]),
        np.array([0] * 100 + [1, 1]),
        np.array([*range(100, 0, -1), 90, 30]),
        np.ones(102),
        DAY,
    )
    assert usual_gaps(often).tolist() == [1, 60]


def test_too_few_gaps_propose_no_horizon():
    found = propose_horizon(np.array([4.0]))
    assert (found.status, found.days) == ("too_few_gaps", 0)


def test_contracts_that_end_are_churn_and_renewals_are_not():
    before, after = DAY - timedelta(days=30), DAY + timedelta(days=30)
    contracts = pa.table(
        {
            "customer_id": ["ends", "runs", "renews", "renews", "starts later"],
            "start_on": [date(2023, 1, 1)] * 3 + [before + timedelta(days=9), DAY],
            "end_on": [before + timedelta(days=9), None, before + timedelta(days=9), after, after],
        }
    )
    known = labels.contract_labels(contracts, days=[before, DAY], horizon_days=30, as_of=DAY)
    assert known.to_pylist() == [{"as_of_on": before, "customer_id": "ends", "happened": 1}]
    held = labels.contract_holders(contracts, days=[before])["customer_id"].to_pylist()
    assert held == ["ends", "renews", "runs"]


def test_contract_churn_speaks_of_holders_only(tables):
    features, _ = tables
    rng = np.random.default_rng(3)
    rows = [
        {"customer_id": f"p_{i:03d}", "start_on": date(2023, 1, 1), "end_on": end}
        for i in range(200)
        for end in [DAY - timedelta(days=int(rng.integers(-300, 180)))]
    ]
    contracts = pa.Table.from_pylist(rows)
    task = contract_churn(60).at_days(DAYS)
    result = score_snapshot(
        task, features,
        outcomes=labels.contract_labels(contracts, days=DAYS, horizon_days=60, as_of=DAY),
        holders=labels.contract_holders(contracts, days=[*DAYS, DAY]).to_pandas(),
        as_of=DAY, streams=Streams(7), terms=replace(TERMS, min_positives=30),
    )  # fmt: skip
    assert result.status == "ok"
    assert len(result.scores) == sum(row["end_on"] >= DAY for row in rows)


def test_the_category_is_the_subject_of_an_affinity(tables):
    result = run(category_affinity("tea", 60).at_days(DAYS), *tables)
    assert set(result.scores.to_pandas()["subject"]) == {"tea"}
    assert "tea" in result.card["predicts"]


def test_a_feature_that_knows_the_outcome_is_flagged_and_not_learned_from(tables, churned):
    features, happened = tables
    came = set(zip(*(happened.to_pandas()[n] for n in ("as_of_on", "customer_id")), strict=True))
    pairs = zip(features["as_of_on"], features["customer_id"], strict=True)
    leaky = features.assign(returns_count=[float(pair in came) for pair in pairs])
    result = run(churn(60).at_days(DAYS), leaky, happened)
    assert list(result.card["left_out"]["leaks"]) == ["returns_count"]
    assert "returns_count" not in result.card["features"]
    assert result.card["warnings"][0]["code"] == "leak"
    assert churned.card["left_out"]["leaks"] == {}


def test_a_protected_feature_is_never_learned_from(tables):
    result = run(
        churn(60).at_days(DAYS), *tables, protected=frozenset({"recency_days"}),
        candidates=("tree",),
    )  # fmt: skip
    assert "recency_days" not in result.card["features"]
    assert result.card["left_out"]["protected"] == ["recency_days"]


def test_a_protected_attribute_is_a_slice_and_no_feature(tables):
    sex = {f"p_{i:03d}": "f" if i % 2 else "m" for i in range(200)}
    terms = {"attributes": {"sex": sex}, "allowed": ("age:ann:a tariff by law",)}
    result = run(churn(60).at_days(DAYS), *tables, candidates=("tree",), **terms)
    mine = [one for one in result.card["validation"]["slices"] if one.get("attribute") == "sex"]
    assert {one["slice"] for one in mine} == {"f", "m", "unknown"}
    assert sum(one["rows"] for one in mine) == result.card["data"][-1]["rows"]
    assert result.card["left_out"]["allowed"] == ["age:ann:a tariff by law"]


def test_slices_say_where_the_model_holds(churned):
    slices = [
        one for one in churned.card["validation"]["slices"] if one["feature"] == "tenure_days"
    ]
    assert [one["slice"] for one in slices] == ["low", "middle", "high"]
    assert sum(one["rows"] for one in slices) == churned.card["data"][-1]["rows"]


def test_drift_alarms_for_what_moved_and_not_for_what_grows():
    rng = np.random.default_rng(0)
    before, today = rng.normal(size=(2000, 3)), rng.normal(size=(2000, 3))
    today[:, 1:] += 2
    names = ["orders_30d", "revenue_30d_minor", "tenure_days"]
    grown = growing([feature for feature in FEATURES if feature.name in names])
    found = measure_drift(before, today, names, grown=grown)
    assert (found["status"], found["moved"]) == ("moved", 1)
    assert measure_drift(before, before, names)["status"] == "stable"
