from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from zhiyin.core.artifact import pack, unpack, version_of
from zhiyin.core.errors import InputError, InvalidParameter
from zhiyin.core.extras import lightgbm_or_none
from zhiyin.understand.predict import linear, network, trees
from zhiyin.understand.predict.candidates import NAMES, candidates, load_model, pick_candidates
from zhiyin.understand.predict.scaling import Scaler, sigmoid


def data(n: int = 400, d: int = 6):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, d)) * 10.0 ** np.arange(d)
    y = (x[:, 0] + 0.3 * rng.normal(size=n) > 0.5).astype(np.int64)
    x[rng.uniform(size=x.shape) < 0.1] = np.nan
    return x, y


EVERY = candidates() | pick_candidates(NAMES)


@pytest.mark.parametrize("name", sorted(EVERY))
def test_a_saved_model_predicts_the_same(name):
    x, y = data()
    model = EVERY[name]().fit(x, y, rng=np.random.default_rng(3))
    restored = load_model(unpack(pack(model.to_artifact())))
    np.testing.assert_allclose(restored.predict(x), model.predict(x), rtol=0, atol=1e-12)
    assert version_of(restored.to_artifact()) == version_of(model.to_artifact())


@pytest.mark.parametrize("name", sorted(EVERY))
def test_the_same_seed_gives_the_same_model(name):
    x, y = data()
    first, second = (
        EVERY[name]().fit(x, y, rng=np.random.default_rng(3)).to_artifact() for _ in "ab"
    )
    assert pack(first) == pack(second)


def test_logistic_equals_scikit_learn():
    x, y = data()
    scaled = Scaler.fit(x).transform(x)
    reference = LogisticRegression(C=0.003, max_iter=5000, tol=1e-6).fit(scaled, y)
    ours = linear.Logistic(strength=0.003).fit(x, y, rng=np.random.default_rng(0)).predict(x)
    np.testing.assert_allclose(ours, reference.predict_proba(scaled)[:, 1], rtol=0, atol=1e-9)


def test_the_order_of_a_linear_svm_is_that_of_scikit_learns_margins():
    x, y = data()
    scaled = Scaler.fit(x).transform(x)
    reference = LinearSVC(
        C=0.001, class_weight="balanced", dual="auto", max_iter=5000, random_state=0
    )
    margin = reference.fit(scaled, y).decision_function(scaled)
    model = linear.LinearSvm().fit(x, y, rng=np.random.default_rng(0))
    ours = model.platt_.apply(sigmoid(margin))
    np.testing.assert_allclose(model.predict(x), ours, rtol=0, atol=1e-9)
    assert model.platt_.slope > 0


def test_an_unknown_candidate_is_refused_with_the_known_ones():
    with pytest.raises(InvalidParameter, match="magic"):
        pick_candidates(["tree", "magic"])
    with pytest.raises(InvalidParameter, match="no candidate"):
        pick_candidates([])


def test_tree_equals_scikit_learn():
    x, y = data()
    scaled = Scaler.fit(x).transform(x)
    seed = int(np.random.default_rng(5).integers(2**31 - 1))
    reference = DecisionTreeClassifier(max_depth=4, min_samples_leaf=12, random_state=seed)
    reference.fit(scaled, y)
    ours = trees.Tree(depth=4).fit(x, y, rng=np.random.default_rng(5)).predict(x)
    np.testing.assert_allclose(ours, reference.predict_proba(scaled)[:, 1], rtol=0, atol=1e-9)


def test_boosting_equals_scikit_learn():
    x, y = data()
    seed = int(np.random.default_rng(5).integers(2**31 - 1))
    reference = HistGradientBoostingClassifier(
        max_iter=30, learning_rate=0.04, max_leaf_nodes=4, min_samples_leaf=20,
        l2_regularization=10.0, max_features=0.2, early_stopping=False, random_state=seed,
    ).fit(x, y)  # fmt: skip
    ours = trees.Boosting(trees=30).fit(x, y, rng=np.random.default_rng(5)).predict(x)
    np.testing.assert_allclose(ours, reference.predict_proba(x)[:, 1], rtol=0, atol=1e-9)


def test_network_equals_scikit_learn():
    x, y = data()
    scaled = Scaler.fit(x).transform(x)
    seed = int(np.random.default_rng(5).integers(0, 2**31 - 1, size=1)[0])
    reference = MLPClassifier((8,), alpha=30.0, max_iter=500, solver="lbfgs", random_state=seed)
    reference.fit(scaled, y)
    ours = network.Network(steps=500, members=1).fit(x, y, rng=np.random.default_rng(5)).predict(x)
    np.testing.assert_allclose(ours, reference.predict_proba(scaled)[:, 1], rtol=0, atol=1e-9)


def test_a_column_that_is_always_missing_or_constant_does_no_harm():
    x, y = data()
    x[:, 3], x[:, 4] = np.nan, 7.0
    for make in candidates().values():
        predicted = make().fit(x, y, rng=np.random.default_rng(0)).predict(x)
        assert np.all((predicted >= 0) & (predicted <= 1))


def test_boosting_stands_in_where_lightgbm_does_not_load(monkeypatch):
    monkeypatch.setattr("zhiyin.understand.predict.candidates.lightgbm_or_none", lambda: None)
    assert "boosting" in candidates()
    assert "lightgbm" not in candidates()


@pytest.mark.skipif(lightgbm_or_none() is None, reason="LightGBM does not load here")
def test_lightgbm_is_a_candidate_where_it_loads():
    assert "lightgbm" in candidates()


def test_a_broken_artifact_is_an_input_error():
    with pytest.raises(InputError):
        unpack(b"not an artifact")
    with pytest.raises(InputError):
        load_model({"model": "oracle"})
