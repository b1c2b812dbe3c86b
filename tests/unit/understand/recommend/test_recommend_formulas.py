"""Each model against its formula, worked out densely."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend import Als, ItemItem, Spectral, Transitions, UserUser, Walks
from zhiyin.understand.recommend.ease import _gram
from zhiyin.understand.recommend.events import read_events
from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.validation import gain, hold_out, rank_truth

RNG = np.random.default_rng(8)


@pytest.fixture(scope="module")
def rated() -> History:
    """40 people, 15 items, ratings 1..5 of about a third of the pairs."""
    pairs = [(u, i) for u in range(40) for i in RNG.permutation(15)[: RNG.integers(2, 9)]]
    return read_events(
        pa.table(
            {
                "user_id": [f"{u:02d}" for u, _ in pairs],
                "item_id": [f"{i:02d}" for _, i in pairs],
                "rating": RNG.integers(1, 6, len(pairs)).astype(float),
            }
        )
    ).history


def dense(history: History) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seen, items' buyers and people's items."""
    seen = history.seen.toarray()[:-1].astype(np.float64)
    return seen, np.maximum(seen.sum(axis=0), 1), np.maximum(seen.sum(axis=1), 1)


def test_walks_are_the_normalised_walk(rated):
    seen, items, people = dense(rated)
    model = Walks(source=0.7, people=0.4, target=0.2).fit(rated)
    middle = seen.T @ np.diag(people**-0.4) @ seen
    expected = seen @ np.diag(items**-0.7) @ middle @ np.diag(items**-0.2)
    np.testing.assert_allclose(model.score(np.arange(40)), expected, rtol=1e-4)
    whole = np.diag(items**-0.7) @ middle @ np.diag(items**-0.2)
    np.fill_diagonal(whole, 0)
    np.testing.assert_allclose(model.evidence(np.arange(15)), whole, rtol=1e-4)


def test_spectral_is_the_truncated_decomposition(rated):
    seen, items, people = dense(rated)
    model = Spectral(directions=3, damping=0.5, slope=1.0, target=0.5).fit(rated)
    damped = np.diag(people**-0.5) @ seen @ np.diag(items**-0.5)
    _, values, right = np.linalg.svd(damped, full_matrices=False)
    keep = right[:3]
    filtered = keep.T @ np.diag(values[:3] / values[0]) @ keep
    expected = seen @ np.diag(items**-0.5) @ filtered @ np.diag(items**0.5)
    np.testing.assert_allclose(model.score(np.arange(40)), expected, atol=0.02)


def test_transitions_count_who_follows_whom():
    rows = [
        ("a", "x"),
        ("a", "y"),
        ("a", "z"),
        ("b", "y"),
        ("b", "z"),
        ("b", "q"),
        ("c", "z"),
        ("c", "a"),
    ]
    table = pa.table({"user_id": [u for u, _ in rows], "item_id": [i for _, i in rows]})
    history = read_events(table).history
    model = Transitions(gap=1.0, back=0.25, source=0.0, target=0.0, fade=1.0).fit(history)
    x, y, z = (int(history.product_codes([name])[0]) for name in "xyz")
    assert model.follows_[[x], [y]].item() == 1.0
    assert model.follows_[[x], [z]].item() == 0.5
    assert model.follows_[[y], [z]].item() == 2.0
    assert model.follows_[[z], [y]].item() == 0.5
    rows = pa.table({"user_id": ["n", "n"], "item_id": ["x", "y"]})
    hers = read_events(rows, items=history.products)
    scores = model.look_at(hers.history).score(np.array([0]))[0]
    np.testing.assert_allclose(scores[z], 0.5 * 0.5 + 1.0 * 2.0)


@pytest.mark.parametrize("similarity", ["cosine", "pearson", "adjusted_cosine"])
def test_item_neighbours_of_ratings(rated, similarity):
    seen, _, _ = dense(rated)
    values = rated.matrix(rated.ratings).toarray()[:-1].astype(np.float64)
    count = np.maximum(seen.sum(axis=0), 1)
    mine = np.maximum(seen.sum(axis=1), 1)
    if similarity == "pearson":
        values = np.where(seen > 0, values - values.sum(axis=0) / count, 0)
    elif similarity == "adjusted_cosine":
        values = np.where(seen > 0, values - (values.sum(axis=1) / mine)[:, None], 0)
    norms = np.linalg.norm(values, axis=0)
    expected = np.maximum(values.T @ values / (np.outer(norms, norms) + 2.0), 0)
    np.fill_diagonal(expected, 0)
    model = ItemItem(neighbours=15, shrinkage=2.0, similarity=similarity).fit(rated)
    np.testing.assert_allclose(model.weights_.toarray(), expected, atol=1e-5)
    with pytest.raises(InvalidParameter, match="jaccard"):
        ItemItem(similarity="jaccard").fit(rated)


def test_pearson_of_bought_or_not_is_the_correlation_of_columns(rated):
    seen, _, _ = dense(rated)
    plain = History(
        rated.until, rated.customers, rated.products, rated.visit_customer, rated.visit_age_days,
        rated.customer, rated.product, rated.age_days,
    )  # fmt: skip
    model = ItemItem(neighbours=15, shrinkage=0.0, similarity="pearson").fit(plain)
    expected = np.maximum(np.corrcoef(seen.T), 0)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(model.weights_.toarray(), expected, atol=1e-4)


def test_user_neighbours_say_what_they_liked(rated):
    seen, _, people = dense(rated)
    values = rated.matrix(rated.ratings).toarray()[:-1].astype(np.float64)
    centred = np.where(seen > 0, values - (values.sum(axis=1) / people)[:, None], 0)
    norms = np.linalg.norm(centred, axis=1)
    near = centred @ centred.T / (np.outer(norms, norms) + 1.0)
    np.fill_diagonal(near, 0)
    model = UserUser(neighbours=40, shrinkage=1.0, similarity="pearson").fit(rated)
    told = np.where((np.abs(centred).sum(axis=1) > 1e-6)[:, None], centred, seen)
    np.testing.assert_allclose(model.score(np.arange(40)), np.maximum(near, 0) @ told, atol=1e-4)


def test_als_lowers_its_loss_and_folds_people_in(rated):
    seen, _, _ = dense(rated)

    def loss(model: Als) -> float:
        people = model._solve(model.counts_, model.items_)[:-1]
        error = (1 + model.alpha * seen) * (seen - people @ model.items_.T) ** 2
        return float(error.sum() + model.ridge * ((people**2).sum() + (model.items_**2).sum()))

    short, long = Als(factors=4, rounds=1).fit(rated), Als(factors=4, rounds=15).fit(rated)
    assert loss(long) < loss(short)
    same = long.look_at(rated)
    np.testing.assert_allclose(same.score(np.arange(5)), long.score(np.arange(5)), rtol=1e-5)


def test_what_is_held_out_is_not_in_the_past(rated):
    for kind in ("last", "random"):
        folds = hold_out(rated, kind, np.random.default_rng(0))
        people = np.concatenate([held.codes for held in folds])
        assert len(set(people.tolist())) == len(people)
        for held in folds:
            assert held.truth.nnz
            assert held.past.seen[held.codes].multiply(held.truth).nnz == 0
            if kind == "last":
                mine = np.isin(rated.pairs.customer, held.codes) & (rated.steps == 0)
                assert held.truth.nnz == mine.sum()


def test_gain_of_ranks_by_hand(rated):
    held = hold_out(rated, "random", np.random.default_rng(0))[0]
    scores = held.truth.toarray().astype(np.float32) * (2 + np.arange(15, dtype=np.float32))
    np.testing.assert_allclose(held.quality(scores), 1.0)
    ranks = rank_truth(np.zeros_like(scores), held.truth)
    assert (ranks == 14).all()  # ties are at their worst
    value = gain(np.array([1, 20]), np.array([1, 1, 0]))
    np.testing.assert_allclose(value, [1 / np.log2(3), 0.5 / np.log2(22), 0])


@pytest.mark.parametrize("by_rows", [True, False])
def test_the_gram_matrix_of_sparse_rows_is_the_same_in_many_blocks(by_rows, monkeypatch):
    monkeypatch.setattr("zhiyin.understand.recommend.scorer._BLOCK_CELLS", 700)
    rng = np.random.default_rng(4)
    rows = sparse.random_array((90, 130), density=0.02, rng=rng, dtype=np.float32, format="csr")
    dense = rows.toarray()
    wanted = dense @ dense.T if by_rows else dense.T @ dense
    np.testing.assert_allclose(_gram(rows, by_rows=by_rows), wanted, rtol=1e-5, atol=1e-6)
