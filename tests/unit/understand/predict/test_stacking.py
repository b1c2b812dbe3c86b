from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score, f1_score

from zhiyin.core.artifact import pack, unpack
from zhiyin.core.rng import Streams
from zhiyin.understand.predict import quality
from zhiyin.understand.predict.blend import load_single
from zhiyin.understand.predict.contest import compete
from zhiyin.understand.predict.evaluation import _contestants
from zhiyin.understand.predict.forest import FILL, Forest
from zhiyin.understand.predict.linear import Logistic
from zhiyin.understand.predict.scaling import sigmoid
from zhiyin.understand.predict.stacking import Stack, fit_stack, judge_stack
from zhiyin.understand.predict.table import Parsed

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=4000)
LABELS = (RNG.uniform(size=4000) < sigmoid(2 * TRUTH)).astype(int)


def test_weights_follow_what_models_know_and_are_never_negative():
    noisy = TRUTH + RNG.normal(size=4000)
    stack = fit_stack(np.column_stack([TRUTH, noisy, -TRUTH, RNG.normal(size=4000)]), LABELS)
    assert stack.weights[0] == pytest.approx(2, abs=0.2)
    assert stack.weights[1:] == pytest.approx(0, abs=0.1)
    assert stack.weights.min() >= 0
    assert abs(stack.intercept) < 0.15


def test_a_stack_is_calibrated():
    stack = fit_stack(np.column_stack([3 * TRUTH - 1, 3 * TRUTH - 1]), LABELS)
    p = stack.apply(np.column_stack([3 * TRUTH - 1, 3 * TRUTH - 1]))
    assert quality.calibration_error(LABELS, p) < 0.03


def test_few_rows_keep_the_weights_near_equal():
    margins = RNG.normal(size=(12, 2))
    weights = fit_stack(margins, (margins[:, 0] > 0).astype(int)).weights
    assert weights == pytest.approx(0.5, abs=0.5)


def test_models_that_know_nothing_get_no_weight_and_the_mean_is_said():
    margins = np.column_stack([-TRUTH, -2 * TRUTH])
    stack = fit_stack(margins, LABELS)
    assert stack.weights.tolist() == [0, 0]
    assert stack.apply(margins) == pytest.approx(LABELS.mean(), abs=1e-4)
    blend = compete(nothing(), RNG.integers(0, 2, 200), streams=Streams(1))
    none = replace(blend, weights={}, members=(), stack=Stack(np.zeros(0), stack.intercept))
    assert none.predict(nothing()) == pytest.approx(LABELS.mean(), abs=1e-4)
    assert {one.weight for one in _contestants([none]).values()} == {0.0}


def nothing(n: int = 200) -> Parsed:
    """Rows without any column."""
    return Parsed(np.empty((n, 0)), np.empty((n, 0), dtype=np.int64), (), ())


def test_a_stack_is_judged_on_rows_it_was_not_fitted_on():
    margins, y = RNG.normal(size=(60, 12)), RNG.integers(0, 2, 60)
    seen = quality.log_loss(y, fit_stack(margins, y).apply(margins))
    assert judge_stack(margins, y, np.arange(60) % 5) > seen


def test_delong_equals_its_definition():
    y, p = RNG.integers(0, 2, 80), RNG.integers(0, 9, 80) / 9
    high, low = p[y == 1], p[y == 0]
    wins = (high[:, None] > low) + 0.5 * (high[:, None] == low)
    area = wins.mean()
    error = np.sqrt(wins.mean(1).var(ddof=1) / len(high) + wins.mean(0).var(ddof=1) / len(low))
    found = quality.auc_delong(y, p)
    assert found.value == pytest.approx(area, abs=1e-12)
    reach = np.log(found.high / (1 - found.high)) - np.log(area / (1 - area))
    assert reach == pytest.approx(1.959964 * error / (area * (1 - area)), rel=1e-9)


def test_an_area_without_doubt_says_so():
    assert quality.auc_delong(np.array([0, 1]), np.array([0.1, 0.9])).status == "zero_variance"
    assert quality.auc_delong(np.ones(3), np.arange(3.0)).status == "one_class"


def test_precision_and_threshold_equal_scikit_learn():
    y, p = RNG.integers(0, 2, 300), RNG.integers(0, 25, 300) / 25
    assert quality.average_precision(y, p) == pytest.approx(
        average_precision_score(y, p), abs=1e-12
    )
    best = max(f1_score(y, p >= cut) for cut in np.unique(p))
    chosen = p >= quality.best_threshold(y, p)
    assert quality.f1(y, chosen) == pytest.approx(best, abs=1e-12)


def test_a_forest_is_scikit_learns_and_survives_saving():
    x = RNG.normal(size=(400, 5))
    y = (x[:, 0] + x[:, 1] > 0.3).astype(int)
    x[RNG.uniform(size=x.shape) < 0.1] = np.nan
    model = Forest(trees=7).fit(x, y, rng=np.random.default_rng(4))
    seed = int(np.random.default_rng(4).integers(2**31 - 1))
    reference = RandomForestClassifier(7, min_samples_leaf=10, max_features=0.3, random_state=seed)
    filled = np.where(np.isnan(x), FILL, x).astype(np.float32)
    expected = reference.fit(filled, y).predict_proba(filled)[:, 1]
    edge = 0.5 / 70
    np.testing.assert_allclose(model.predict(x), expected.clip(edge, 1 - edge), rtol=0, atol=1e-9)
    again = load_single(unpack(pack(model.to_artifact())))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_prepared_columns_are_not_scaled_again_also_after_saving():
    x = RNG.normal(size=(200, 3))
    model = Logistic(strength=1.0, prepared=True).fit(x, (x[:, 0] > 0).astype(int), rng=RNG)
    again = load_single(unpack(pack(model.to_artifact())))
    np.testing.assert_allclose(model.predict(x), sigmoid(x @ model.coef_ + model.intercept_))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
