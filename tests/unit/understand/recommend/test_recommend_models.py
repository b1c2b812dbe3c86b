"""Popularity, frequency, item-item and EASE: formulas, ties, customers without a history."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from tests.unit.understand.recommend.conftest import UNTIL, purchases
from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend import ease as ease_module
from zhiyin.understand.recommend.baselines import Frequency, Popularity
from zhiyin.understand.recommend.blend import Blend
from zhiyin.understand.recommend.ease import Ease
from zhiyin.understand.recommend.history import read_history
from zhiyin.understand.recommend.neighbours import ItemItem
from zhiyin.understand.recommend.scorer import top_k

DAY = timedelta(days=1)
MODELS = (Popularity, Frequency, ItemItem, Ease, Blend)


@pytest.fixture(scope="module")
def history(shop):
    return read_history(shop, until=UNTIL, min_buyers=5)


@pytest.mark.parametrize("make", MODELS)
def test_an_unknown_customer_gets_the_most_bought_products(make, history):
    model = make().fit(history)
    ranking = model.recommend(["nobody"], k=3)
    best = np.argsort(-history.buyers, kind="stable")[:3]
    assert ranking.products[0].tolist() == best.tolist()


@pytest.mark.parametrize("make", MODELS)
def test_seen_products_are_masked(make, history):
    model = make().fit(history)
    ranking = model.recommend(history.customers, k=10, exclude_seen=True)
    seen = history.seen.toarray()
    for row, products in enumerate(ranking.products):
        assert seen[row, products[products >= 0]].sum() == 0
        assert len(set(products[products >= 0])) == (products >= 0).sum()


@pytest.mark.parametrize("make", MODELS)
def test_one_product_and_one_customer_are_enough(make):
    history = read_history(purchases([("a", "only", UNTIL - DAY)]), until=UNTIL, min_buyers=1)
    model = make().fit(history)
    assert model.recommend(["a", "b"], k=2).products.tolist() == [[0, -1], [0, -1]]
    assert model.recommend(["a"], k=2, exclude_seen=True).products.tolist() == [[-1, -1]]


@pytest.mark.parametrize("make", MODELS)
def test_without_products_lists_are_empty(make):
    history = read_history(purchases([("a", "only", UNTIL - DAY)]), until=UNTIL, min_buyers=2)
    assert make().fit(history).recommend(["a"], k=2).products.tolist() == [[-1, -1]]


@pytest.mark.parametrize("make", MODELS)
def test_two_fits_give_equal_lists(make, history):
    one = make().fit(history).recommend(history.customers, k=10)
    two = make().fit(history).recommend(history.customers, k=10)
    np.testing.assert_array_equal(one.products, two.products)
    np.testing.assert_array_equal(one.scores, two.scores)


def test_a_list_must_have_a_length(history):
    with pytest.raises(InvalidParameter, match="k is 0"):
        Popularity().fit(history).recommend(["a"], k=0)


def test_ties_go_to_the_smaller_id():
    columns, values = top_k(np.array([[1.0, 3.0, 3.0, 2.0, 3.0]]), 2)
    assert columns.tolist() == [[1, 2]]
    assert values.tolist() == [[3.0, 3.0]]


def test_frequency_forgets_with_its_scale():
    rows = [("a", "old", UNTIL - d * DAY) for d in (200, 210, 220)] + [("a", "new", UNTIL - DAY)]
    history = read_history(purchases(rows), until=UNTIL, min_buyers=1)
    assert history.products[Frequency().fit(history).recommend(["a"], k=1).products[0, 0]] == "old"
    fading = Frequency(scale_days=30).fit(history)
    assert history.products[fading.recommend(["a"], k=1).products[0, 0]] == "new"
    np.testing.assert_allclose(fading.score(np.array([0]))[0, 0], np.exp(-1 / 30), rtol=1e-6)


def test_item_item_is_the_cosine_of_buyers():
    rows = [("a", "x", UNTIL - DAY), ("a", "y", UNTIL - DAY), ("b", "x", UNTIL - DAY)]
    history = read_history(purchases(rows), until=UNTIL, min_buyers=1)
    model = ItemItem(shrinkage=0.0).fit(history)
    similar, value = model.similar(0)
    assert similar.tolist() == [1]
    np.testing.assert_allclose(value, [1 / np.sqrt(2)], rtol=1e-6)


def steck(weights: np.ndarray, penalty: float) -> np.ndarray:
    """EASE as published, on the items' side in float64."""
    inverse = np.linalg.inv(weights.T @ weights + penalty * np.eye(weights.shape[1]))
    published = -inverse / np.diag(inverse)
    np.fill_diagonal(published, 0)
    return published


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("customers", [12, 60])
def test_ease_equals_the_published_formula_on_either_side(monkeypatch, keep, customers):
    if not keep:
        monkeypatch.setattr(ease_module, "_KEEP_CELLS", 0)
    rng = np.random.default_rng(3)
    rows = [
        (f"c{u:02d}", f"p{i:02d}", UNTIL - float(rng.integers(1, 300)) * DAY)
        for u in range(customers)
        for i in range(30)
        if rng.random() < 0.3
    ]
    history = read_history(purchases(rows), until=UNTIL, min_buyers=1)
    model = Ease(ridge=2.0).fit(history)
    assert model.by_customers_ is (customers < 30)
    weights = model.rows_.toarray()[:-1].astype(np.float64)
    published = steck(weights, 2.0 * (weights**2).sum() / len(weights))
    codes = np.arange(customers)
    np.testing.assert_allclose(model.score(codes), weights @ published, atol=2e-5)
    np.testing.assert_allclose(model.evidence(np.arange(30)), published, atol=2e-5)
    assert not model.score(np.array([customers])).any()


def test_ease_is_exact_for_the_most_bought_where_both_sides_are_long(history):
    model = Ease(max_side=10).fit(history)
    head = np.sort(np.argsort(-history.buyers, kind="stable")[:10])
    basis = model.rows_.toarray()[:-1, head].astype(np.float64)
    filled = (basis != 0).any(axis=1) | (history.seen.toarray()[:-1] > 0).any(axis=1)
    published = steck(basis[filled], model.ridge * (basis**2).sum() / filled.sum())
    scores = model.score(np.arange(len(basis)))
    np.testing.assert_allclose(scores[:, head], basis @ published, atol=2e-5)
    assert not np.delete(scores, head, axis=1).any()
    np.testing.assert_allclose(model.evidence(head)[head], published, atol=2e-5)


def test_ease_path_gives_each_penalty_its_own_model(history):
    weak, strong = Ease().fit_path(history, (0.5, 50.0))
    codes = np.arange(5)
    np.testing.assert_allclose(weak.score(codes), Ease(0.5).fit(history).score(codes), atol=1e-6)
    assert np.abs(strong.score(codes)).sum() < np.abs(weak.score(codes)).sum()


def test_tastes_are_told_apart(history):
    seen = history.seen.toarray() > 0
    taste = np.array([str(product).split("_")[0] for product in history.products])
    hers = np.array([("tea", "coffee")[int(customer[1:]) % 2] for customer in history.customers])
    open_ = (~seen[:-1] & (taste == hers[:, None])).any(axis=1)  # something of hers is left
    for model in (ItemItem().fit(history), Ease().fit(history)):
        first = model.recommend(history.customers, k=1, exclude_seen=True).products[:, 0]
        right = taste[first] == hers
        assert right[open_].mean() > 0.9


def test_dense_and_sparse_products_give_equal_scores(history, monkeypatch):
    codes = np.arange(history.shape[0])
    monkeypatch.setattr(ease_module, "_DENSE_FROM", 0.0)
    dense = Ease().fit(history).score(codes)
    monkeypatch.setattr(ease_module, "_DENSE_FROM", 2.0)
    np.testing.assert_allclose(Ease().fit(history).score(codes), dense, atol=1e-5)


@pytest.mark.parametrize("side", [0, 1, 256, 700])
def test_the_inverse_is_whole_on_both_sides_of_the_diagonal(side):
    rows = np.random.default_rng(3).normal(size=(side, side + 5)).astype(np.float32)
    matrix = rows @ rows.T + np.eye(side, dtype=np.float32) * 50
    inverse = ease_module._invert(matrix.copy())
    np.testing.assert_array_equal(inverse, inverse.T)
    np.testing.assert_allclose(inverse @ matrix, np.eye(side), atol=2e-4)
