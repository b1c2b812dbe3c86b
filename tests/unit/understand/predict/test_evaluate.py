from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from zhiyin.core.errors import InvalidParameter, NotEnoughData, NotFound
from zhiyin.understand.predict import contest, evaluate, leakage


def shop(n: int = 600, seed: int = 0) -> pd.DataFrame:
    """A table as shops have them, with a target that some of its columns know of."""
    rng = np.random.default_rng(seed)
    tenure = rng.gamma(2, 15, n).round()
    plan = rng.choice(["month", "year", "two years"], n, p=[0.5, 0.3, 0.2])
    city = rng.choice([f"city {i}" for i in range(60)], n)
    charge = rng.normal(60, 20, n).round(2)
    margin = 1.5 * (plan == "month") - 0.05 * tenure + 0.01 * charge - 0.5
    left = rng.uniform(size=n) < 1 / (1 + np.exp(-margin))
    text = pd.Series(charge).astype(str).where(rng.uniform(size=n) > 0.05, " ")
    return pd.DataFrame({
        "customer": [f"{rng.integers(1000, 9999)}-{i:05d}" for i in range(n)],
        "tenure": tenure,
        "plan": pd.Series(plan).where(rng.uniform(size=n) > 0.05, None),
        "city": city,
        "charge": text,
        "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
        "paperless": rng.uniform(size=n) < 0.5,
        "country": "DE",
        "left": np.where(left, "Yes", "No"),
    })  # fmt: skip


@pytest.fixture(scope="module")
def found():
    return evaluate(shop(), target="left", folds=3)


def test_a_raw_table_is_read_as_a_person_would(found):
    kinds = {reading.name: reading.kind for reading in found.columns}
    assert kinds == {
        "customer": "identifier", "tenure": "number", "plan": "category", "city": "category",
        "charge": "number", "since": "date", "paperless": "number", "country": "constant",
    }  # fmt: skip


def test_figures_are_those_of_the_out_of_fold_predictions(found):
    y = (shop()["left"] == "Yes").to_numpy(int)
    p = found.predictions
    assert found.auc_pooled == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert found.ap_pooled == pytest.approx(average_precision_score(y, p), abs=1e-12)
    assert found.log_loss == pytest.approx(log_loss(y, p), abs=1e-9)
    assert found.brier == pytest.approx(brier_score_loss(y, p), abs=1e-12)
    assert found.positive == "Yes"
    assert found.intervals["auc"].low < found.auc < found.intervals["auc"].high
    assert 0.75 < found.auc < 0.9


def test_without_lightgbm_the_boosting_of_scikit_learn_competes(found, monkeypatch):
    monkeypatch.setattr(contest, "lightgbm_or_none", lambda: None)
    monkeypatch.setattr(leakage, "lightgbm_or_none", lambda: None)
    other = evaluate(shop(), target="left", folds=2)
    assert {"boosting", "boosting_deep"} < set(other.candidates)
    assert found.intervals["auc"].low < other.auc < found.intervals["auc"].high


def test_a_seed_out_of_range_is_refused():
    with pytest.raises(InvalidParameter, match="seed is -1"):
        evaluate(shop(40), "left", seed=-1)


def test_folds_say_what_won_and_candidates_what_they_got(found):
    assert sum(fold.rows for fold in found.folds) == found.rows
    assert np.mean([fold.auc for fold in found.folds]) == pytest.approx(found.auc, abs=1e-12)
    assert all(set(fold.weights) <= set(found.candidates) for fold in found.folds)
    assert {"logistic", "forest", "network", "svm", "tree"} < set(found.candidates)
    assert sum(one.weight for one in found.candidates.values()) == pytest.approx(1)
    assert found.gains[-1] == 1
    assert found.ece_floor > 0
    assert "AUC" in str(found)


def test_a_target_in_random_order_cannot_be_predicted():
    table = shop(400)
    table["left"] = np.random.default_rng(5).permutation(table["left"])
    found = evaluate(table, target="left", folds=3)
    assert found.intervals["auc"].low < 0.5 < found.intervals["auc"].high + 0.03
    assert abs(found.auc - 0.5) < 0.1


@pytest.mark.parametrize(
    ("table", "target", "error", "words"),
    [
        (shop(40), "churn", NotFound, "no column 'churn'"),
        (shop(40).assign(left="Yes"), "left", InvalidParameter, "only the value 'Yes'"),
        (shop(40), "plan", InvalidParameter, "3 different values"),
        (shop(4), "left", NotEnoughData, "4 rows"),
        (shop(40).assign(left=[1] * 3 + [0] * 37), "left", NotEnoughData, "rarer class has 3 rows"),
        (shop(40)[["left"]], "left", NotEnoughData, "no column but the target 'left'"),
        (shop(40).iloc[:0], "left", NotEnoughData, "empty"),
        (pd.concat([shop(40), shop(40)[["plan"]]], axis=1), "left", InvalidParameter, "'plan'"),
        ({"left": [1]}, "left", InvalidParameter, "dict"),
        (shop(40), ["left"], NotFound, "no column"),
        (pd.concat({"a": shop(40)}, axis=1), ("a", "left"), InvalidParameter, "2 levels"),
    ],
)
def test_bad_input_gets_a_sentence_and_a_hint(table, target, error, words):
    with pytest.raises(error, match=words) as caught:
        evaluate(table, target=target)
    assert caught.value.hint
