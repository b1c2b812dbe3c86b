"""What must not matter when a plain table is evaluated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zhiyin.core.rng import Streams
from zhiyin.understand.predict import evaluate
from zhiyin.understand.predict.evaluation import _fit_and_predict


def visits(n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    age, plan = rng.integers(18, 80, n).astype(float), rng.choice(["a", "b", "c"], n)
    city = rng.choice([f"city {i}" for i in range(70)], n)
    bought = rng.uniform(size=n) < 1 / (1 + np.exp(-(age - 50) / 12 - (plan == "a")))
    age[rng.uniform(size=n) < 0.1] = np.nan
    return pd.DataFrame({"age": age, "plan": plan, "city": city, "bought": bought})


@pytest.fixture(scope="module")
def found():
    return evaluate(visits(), "bought", folds=2)


def test_names_index_a_constant_column_and_rows_without_a_target_change_nothing(found):
    table = visits().rename(columns={"age": "q1", "plan": 7, "city": "地区"})
    table.insert(1, "country", "DE")
    table = table.astype({"bought": object})
    more = pd.concat([table, table.head(7).assign(bought=None)])
    more.index = np.arange(len(more))[::-1] * 3
    other = evaluate(more, "bought", folds=2)
    assert other.rows == found.rows
    assert np.isnan(other.predictions[-7:]).all()
    assert (other.fold_of_row[-7:] == -1).all()
    np.testing.assert_array_equal(other.predictions[:-7], found.predictions)
    assert other.auc == found.auc
    assert other.intervals == found.intervals


def test_the_order_of_rows_and_of_classes_changes_noise_alone(found):
    mixed = visits().sample(frac=1, random_state=3)
    mixed["bought"] = mixed["bought"].map({True: "yes", False: "no"})
    other = evaluate(mixed, "bought", folds=2)
    assert other.intervals["auc"].low < found.auc < other.intervals["auc"].high
    assert other.positives == found.positives


def test_nothing_of_a_test_row_reaches_the_model():
    frame = visits().drop(columns="bought")
    labels = visits()["bought"].to_numpy(int)
    train, test = np.arange(200), np.arange(200, 300)
    _, before = _fit_and_predict(frame, labels, train, test, streams=Streams(1), name="x")
    changed = frame.copy()
    changed.loc[250:, ["age", "city"]] = [[999.0, "elsewhere"]] * 50
    turned = np.where(np.arange(300) >= 200, 1 - labels, labels)
    _, after = _fit_and_predict(changed, turned, train, test, streams=Streams(1), name="x")
    np.testing.assert_array_equal(after[:50], before[:50])


def test_many_levels_without_meaning_promise_nothing():
    rng = np.random.default_rng(2)
    table = pd.DataFrame({
        "city": rng.choice([f"c{i}" for i in range(150)], 400),
        "street": rng.choice([f"s{i}" for i in range(200)], 400),
        "bought": rng.uniform(size=400) < 0.3,
    })  # fmt: skip
    found = evaluate(table, "bought", folds=3)
    assert abs(found.auc - 0.5) < 0.1
    assert found.leaks == ()
