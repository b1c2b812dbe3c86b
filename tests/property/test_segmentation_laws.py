"""Laws of segmentation: order and unit change nothing, planted groups return, accounts balance."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from zhiyin.understand.segment import (
    find_density,
    fit_kmeans,
    grow_ward,
    measure_movement,
    prepare,
    score_quantiles,
    segment,
)

SEEDS = st.integers(0, 10_000)
GROUP = {
    "kmeans": lambda table: fit_kmeans(prepare(table).values, 3).labels,
    "ward": lambda table: grow_ward(prepare(table).values).cut(3)[0],
    "dbscan": lambda table: find_density(prepare(table).values).labels,
}


def planted(seed: int, rows: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Three round groups, 12 standard deviations apart, of different sizes and units."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat([0, 1, 2], [rows // 2, rows // 3, rows - rows * 5 // 6]))
    middles = np.array([[0, 0, 0], [12, 0, 6], [0, 12, 6]]) + rng.normal(size=3)
    return (middles[truth] + rng.normal(size=(rows, 3))) * rng.uniform(0.1, 100, size=3), truth


@pytest.mark.parametrize("method", GROUP)
@settings(max_examples=12, deadline=None)
@given(seed=SEEDS)
def test_planted_groups_return_whatever_the_order_and_the_unit(method, seed):
    table, truth = planted(seed)
    labels = GROUP[method](table)
    inside = (labels >= 0) & (labels < 3)  # the largest come first
    # a thin edge of a group can stand apart by density, as a few customers of their own
    assert labels.max() == 2 or (method == "dbscan" and (labels > 2).mean() < 0.05)
    # by density the edges belong to no group: of 200 seeds the least inside was .846
    assert inside.mean() > (0.8 if method == "dbscan" else 0.85)
    assert adjusted_rand_score(truth[inside], labels[inside]) > 0.99
    turned = np.random.default_rng(seed + 1).permutation(len(table))
    np.testing.assert_array_equal(GROUP[method](table[turned]), labels[turned])
    np.testing.assert_array_equal(GROUP[method](table * [1000.0, 0.01, 7.0]), labels)


@settings(max_examples=2, deadline=None)
@given(seed=SEEDS)
def test_names_and_words_do_not_depend_on_the_order_of_rows(seed):
    table, _ = planted(seed)
    turned = np.random.default_rng(seed + 1).permutation(len(table))
    one, two = segment(table, "ward"), segment(table[turned], "ward")
    assert (one.words, one.words_zh, one.choice) == (two.words, two.words_zh, two.choice)


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, k=st.integers(2, 6))
def test_order_of_rows_changes_no_label_even_without_groups(seed, k):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 12, size=(150, 2)).astype(float)  # with many equal rows
    turned = rng.permutation(len(values))
    found = fit_kmeans(values, k, sample_rows=60)
    np.testing.assert_array_equal(
        fit_kmeans(values[turned], k, sample_rows=60).labels, found.labels[turned]
    )


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, factors=st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=2))
def test_scale_does_not_matter_after_scaling(seed, factors):
    values = np.random.default_rng(seed).lognormal(sigma=2, size=(80, 2))
    np.testing.assert_allclose(prepare(values).values, prepare(values * factors).values, atol=1e-7)


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_planted_noise_is_found(seed):
    table, _ = planted(seed)
    values = prepare(table, winsorise=0).values
    rng = np.random.default_rng(seed)
    way = rng.normal(size=(20, 3))
    far = way / np.linalg.norm(way, axis=1)[:, None] * rng.uniform(20, 80, size=(20, 1))
    labels = find_density(np.r_[values, far]).labels
    assert (labels[-20:] == -1).mean() > 0.8
    assert (labels[:-20] == -1).mean() < 0.15


MEMBERS = st.dictionaries(
    st.integers(0, 30), st.one_of(st.none(), st.sampled_from("abcd")), min_size=1, max_size=25
).filter(lambda members: any(members.values()))


@settings(max_examples=60, deadline=None)
@given(before=MEMBERS, after=MEMBERS)
def test_accounts_of_movement_balance(before, after):
    one, two = pd.Series(before, dtype=object), pd.Series(after, dtype=object)
    moved = measure_movement(one, two, start=date(2026, 1, 1), end=date(2026, 2, 1))
    sizes, later = one.dropna().value_counts(), two.dropna().value_counts()
    for account in moved.balances:
        row, column = moved.counts.loc[account.segment], moved.counts[account.segment]
        assert row.sum() == account.before == sizes.get(account.segment, 0)
        assert column.sum() == account.after == later.get(account.segment, 0)
        assert account.before == account.stayed + account.left + account.lost
        assert account.after == account.stayed + account.entered + account.new
    assert moved.counts.to_numpy().sum() == len({*one.dropna().index, *two.dropna().index})
    assert sum(flow.customers for flow in moved.flows) == sum(b.left for b in moved.balances)
    back = measure_movement(two, one, start=date(2026, 1, 1), end=date(2026, 2, 1))
    np.testing.assert_array_equal(back.counts.to_numpy(), moved.counts.to_numpy().T)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=1, max_size=40))
def test_better_customers_never_score_lower(rows):
    table = pd.DataFrame(rows, columns=["recency_days", "frequency", "monetary"])
    scored = score_quantiles(table)
    for side, score, sign in zip(table, scored, (-1, 1, 1), strict=True):
        ordered = scored[score].to_numpy()[np.argsort(sign * table[side], kind="stable")]
        assert (np.diff(ordered) >= 0).all()
        assert scored.groupby(table[side])[score].nunique().max() == 1
