from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from zhiyin.understand.predict import quality
from zhiyin.understand.predict.calibration import Platt, anchor_level, fit_platt
from zhiyin.understand.predict.reasons import base_values, describe, effects
from zhiyin.understand.predict.scaling import logit, sigmoid
from zhiyin.understand.predict.spend import fit_spend


def test_auc_equals_scikit_learn_with_ties():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 300), rng.integers(0, 20, 300) / 20
    assert quality.auc(y, p) == pytest.approx(roc_auc_score(y, p), abs=1e-12)


def test_auc_of_one_class_is_a_status_not_a_crash():
    estimate = quality.auc_interval(
        np.ones(5), np.arange(5.0), samples=10, rng=np.random.default_rng(0)
    )
    assert estimate.status == "one_class"


def test_captured_and_lift_of_a_perfect_order():
    y = np.array([1] * 10 + [0] * 90)
    assert quality.captured(y, np.arange(100), share=0.3) == 1
    assert quality.lift(y, np.arange(100), share=0.1) == 10


def test_ties_in_a_ranking_are_broken_by_id():
    order = quality.best_first(np.array([0.5, 0.5, 0.9]), np.array(["b", "a", "c"]))
    assert order.tolist() == [2, 1, 0]


def test_platt_finds_a_planted_scale():
    rng = np.random.default_rng(0)
    margin = rng.normal(size=20_000)
    y = (rng.uniform(size=20_000) < sigmoid(2 * margin - 1)).astype(float)
    fitted = fit_platt(sigmoid(margin), y, np.ones(len(y)))
    assert (fitted.slope, fitted.intercept) == (
        pytest.approx(2, abs=0.1),
        pytest.approx(-1, abs=0.1),
    )


def test_platt_never_turns_the_order_around():
    p = np.linspace(0.1, 0.9, 50)
    assert fit_platt(p, (p < 0.5).astype(float), np.ones(50)) == Platt()


def test_the_level_moves_halfway_to_the_recent_rate():
    p = np.full(10, 0.2)
    moved = anchor_level(Platt(), p, rate=0.1)
    wanted = sigmoid((logit(np.array(0.2)) + logit(np.array(0.1))) / 2)
    assert moved.apply(p).mean() == pytest.approx(float(wanted))


def test_reasons_of_a_linear_model_are_its_terms():
    weights = np.array([1.0, -2.0, 0.0])
    x = np.array([[1.0, 1.0, 5.0], [0.0, 0.0, 0.0], [3.0, 0.0, 1.0]])
    base = base_values(x)
    made = effects(lambda rows: sigmoid(rows @ weights), x, base)
    np.testing.assert_allclose(made, (x - base) * weights, atol=1e-6)
    first = describe(made, x, ["a", "b", "c"], [True, True, False])[0]
    assert first.startswith('[{"feature": "b", "value": 1')


def test_expected_spend_is_shrunk_between_the_mean_and_her_own():
    rng = np.random.default_rng(0)
    own = rng.gamma(2, 500, size=500)
    spent = 2 * (0.5 * own.mean() + 0.5 * own) + rng.normal(0, 50, 500)
    model = fit_spend(own, spent)
    assert model.weight == pytest.approx(0.5, abs=0.05)
    assert model.expect(own).mean() == pytest.approx(spent.mean(), rel=1e-9)


def test_expected_spend_without_responders_is_zero():
    assert fit_spend(np.zeros(0), np.zeros(0)).expect(np.array([5.0])).tolist() == [0.0]
