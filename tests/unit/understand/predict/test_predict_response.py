from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from zhiyin.core.artifact import pack, unpack
from zhiyin.core.errors import NotFound
from zhiyin.core.features import CAMPAIGN_FEATURES, FEATURES
from zhiyin.core.rng import Streams
from zhiyin.core.tables import SCORES
from zhiyin.understand.predict.registry import Incumbent
from zhiyin.understand.predict.response import score_response
from zhiyin.understand.predict.training import Fitted

DAY = date(2020, 7, 1)
STARTS = [date(2020, 1, 1), date(2020, 3, 1), date(2020, 5, 1), DAY]
N = 150


def world(seed: int = 0):
    """Four campaigns whose responders are those with many coupon orders; the last is to score."""
    rng = np.random.default_rng(seed)
    features, tied, labels, campaigns = [], [], [], []
    for k, start in enumerate(STARTS):
        ids = [f"p_{i:03d}" for i in range(N)]
        x = rng.gamma(1.0, 5.0, size=(N, len(FEATURES)))
        driver = [f.name for f in FEATURES].index("coupon_orders_count")
        y = (rng.uniform(size=N) < np.clip(x[:, driver] / 15, 0, 0.95)).astype(int)
        frame = pd.DataFrame(x, columns=[f.name for f in FEATURES])
        features.append(frame.assign(as_of_on=start, customer_id=ids))
        own = pd.DataFrame({f.name: rng.gamma(1.0, 5.0, N) for f in CAMPAIGN_FEATURES})
        tied.append(own.assign(as_of_on=start, campaign_id=f"c{k}", customer_id=ids))
        labels.append(
            pd.DataFrame(
                {
                    "campaign_id": f"c{k}",
                    "customer_id": ids,
                    "redeemed": y,
                    "spend_minor": np.where(y == 1, 1000.0, np.nan),
                }
            )
        )
        end = start + timedelta(days=30)
        campaigns.append({"campaign_id": f"c{k}", "kind": "A", "start_on": start, "end_on": end})
    to_arrow = pa.Table.from_pandas
    return {
        "features": to_arrow(pd.concat(features), preserve_index=False),
        "campaign_features": to_arrow(pd.concat(tied), preserve_index=False),
        "labels": to_arrow(pd.concat(labels), preserve_index=False),
        "campaigns": pa.Table.from_pylist(campaigns),
    }


def run(tables, **changes):
    arguments = {"campaign_id": "c3", "as_of": DAY, "streams": Streams(7), "margin_rate": 0.25}
    parts = {k: v for k, v in tables.items() if k in ("campaigns", "labels")}
    return score_response(
        tables["features"], tables["campaign_features"], **parts, **(arguments | changes)
    )


@pytest.fixture(scope="module")
def result():
    return run(world())


def test_every_recipient_gets_a_score_with_reasons(result):
    scores = result.scores.to_pandas()
    assert result.status == "ok"
    assert tuple(result.scores.column_names) == SCORES.names
    assert sorted(scores["rank"]) == list(range(1, N + 1))
    assert scores["score"].between(0, 1).all()
    reasons = json.loads(scores["reasons"][0])
    assert set(reasons[0]) == {"feature", "value", "effect"}


def test_the_planted_driver_is_the_first_effect(result):
    assert result.card["top_effects"][0]["feature"] == "coupon_orders_count"


def test_expected_margin_is_that_of_past_redeemers(result):
    margins = result.scores["expected_profit_minor"].to_numpy()
    assert margins.mean() == pytest.approx(250, rel=0.2)


def test_labels_that_end_on_or_after_the_day_are_not_used():
    tables = world()
    late = pa.array([r["end_on"] for r in tables["campaigns"].to_pylist()])
    late = late.to_pylist()
    late[2] = DAY
    column = tables["campaigns"].column_names.index("end_on")
    tables["campaigns"] = tables["campaigns"].set_column(column, "end_on", pa.array(late))
    found = run(tables, min_positives=10, compared=("logistic",))
    names = [g["name"] for g in found.card["data"]]
    assert names == ["c0", "c1"]


def test_labels_of_the_scored_campaign_and_the_order_of_rows_change_nothing(result):
    tables = world()
    frame = tables["labels"].to_pandas()
    mine = frame["campaign_id"] == "c3"
    frame.loc[mine, "redeemed"] = 1 - frame.loc[mine, "redeemed"]
    tables["labels"] = pa.Table.from_pandas(frame, preserve_index=False)
    mixed = {
        name: table.take(np.random.default_rng(1).permutation(len(table)))
        for name, table in tables.items()
    }
    assert run(mixed).scores == result.scores


def test_a_saved_model_scores_the_same(result):
    restored = Fitted.from_artifact(unpack(pack(result.artifact)))
    fitted = Fitted.from_artifact(result.artifact)
    x = np.random.default_rng(0).gamma(1.0, 5.0, size=(20, len(fitted.names)))
    np.testing.assert_allclose(restored.predict(x), fitted.predict(x), atol=1e-12)


def test_what_is_the_same_for_everyone_is_no_input_of_a_model():
    tables = world()
    frame = tables["features"].to_pandas()
    frame["visits_count"] = np.nan  # nothing is tracked
    frame["stores_count"] = 1.0
    tables["features"] = pa.Table.from_pandas(frame, preserve_index=False)
    used = run(tables, compared=("logistic",)).card["features"]
    assert {"visits_count", "stores_count"}.isdisjoint(used)
    assert "orders_count" in used


def test_too_few_responders_give_a_status_and_no_model():
    result = run(world(), min_positives=100_000)
    assert (result.status, result.artifact, len(result.scores)) == ("too_few_positives", None, 0)
    assert result.card["warnings"][0]["code"] == "too_few_positives"


def test_an_unknown_campaign_is_named():
    with pytest.raises(NotFound, match="c9"):
        run(world(), campaign_id="c9")


def test_the_card_is_json_and_honest_about_selection(result):
    card = json.loads(json.dumps(result.card, allow_nan=False))
    assert [fold["group"] for fold in card["validation"]["folds"]] == ["c1", "c2"]
    assert card["model"] in card["validation"]["candidates"]
    assert "not_randomised" in {w["code"] for w in card["warnings"]}
    assert {"auc", "auc_low", "auc_high", "ece", "ece_floor"} <= set(
        card["validation"]["last_fold"]
    )


def earlier_champion(tables, *, as_of=STARTS[2], **changes):
    """What a turn before the last campaign made champion."""
    campaign = "c2" if as_of < DAY else "c3"
    arguments = {"compared": ("logistic",), "min_positives": 10} | changes
    made = run(tables, campaign_id=campaign, as_of=as_of, **arguments)
    assert made.promoted
    fitted = Fitted.from_artifact(unpack(pack(made.artifact)))
    return Incumbent(made.record.version, as_of, fitted)


def test_the_first_model_of_a_kind_speaks_and_is_registered_by_the_kind(result):
    record = result.record
    assert (record.task, record.subject, result.promoted) == ("response", "A", True)
    assert set(result.scores["model_version"].to_pylist()) == {record.version}
    assert result.card["registry"]["speaks"] == record.version


def test_under_approval_nobody_is_scored_before_a_person_promoted():
    found = run(world(), promotion="approve", compared=("logistic",))
    assert (found.status, len(found.scores), found.promoted) == ("needs_approval", 0, False)
    assert found.artifact is not None


def test_champion_and_challenger_meet_on_the_campaign_that_began_since():
    tables = world()
    wrong = dict(tables)  # a champion that learned from outcomes drawn at random
    frame = tables["labels"].to_pandas()
    frame["redeemed"] = np.random.default_rng(3).permutation(frame["redeemed"])
    wrong["labels"] = pa.Table.from_pandas(frame, preserve_index=False)
    poor = earlier_champion(wrong)
    found = run(tables, incumbent=poor, compared=("logistic",))
    assert found.card["registry"]["comparison"]["group"] == "c2"
    assert found.promoted
    assert found.card["registry"]["reason"] == "better"
    aside = run(tables, incumbent=poor, compared=("logistic",), put_aside=[found.record.version])
    assert aside.card["registry"]["reason"] == "put_aside"
    assert set(aside.scores["model_version"].to_pylist()) == {poor.version}


def test_a_champion_that_saw_the_outcomes_goes_on_speaking():
    tables = world()
    champion = earlier_champion(tables, as_of=DAY)
    found = run(tables, incumbent=champion, compared=("tree",))
    assert found.card["registry"]["reason"] == "champion_saw_the_day"
    assert set(found.scores["model_version"].to_pylist()) == {champion.version}
    assert found.record.version != champion.version
