"""Fast K-means: as tight as scikit-learn's, the same for any order of rows, honest about input."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.segment.kmeans import fit_kmeans, nearest
from zhiyin.understand.segment.ordering import order_rows


def blobs(rows: int, groups: int, seed: int = 3, apart: float = 8.0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(groups, size=rows)
    return rng.normal(size=(groups, 4))[truth] * apart + rng.normal(size=(rows, 4)), truth


def test_planted_groups_are_found_and_numbered_by_size():
    values, truth = blobs(3_000, 5)
    found = fit_kmeans(values, 5)
    assert adjusted_rand_score(truth, found.labels) > 0.99
    sizes = np.bincount(found.labels)
    assert sizes.tolist() == sorted(sizes, reverse=True)
    np.testing.assert_allclose(found.centers[2], values[found.labels == 2].mean(axis=0))


@pytest.mark.parametrize("apart", [8.0, 1.0, 0.0])
def test_inertia_is_that_of_scikit_learn_with_ten_starts(apart):
    values, _ = blobs(4_000, 5, apart=apart)
    with threadpool_limits(1):
        theirs = KMeans(5, n_init=10, random_state=0).fit(values).inertia_
    found = fit_kmeans(values, 5, sample_rows=1_000)
    assert found.inertia <= theirs * 1.002
    assert found.inertia == pytest.approx(
        ((values - found.centers[found.labels]) ** 2).sum(), rel=1e-6
    )


def test_order_of_rows_unit_and_origin_change_no_label():
    values, _ = blobs(2_000, 4, apart=1.0)
    found = fit_kmeans(values, 6, sample_rows=300)
    turned = np.random.default_rng(0).permutation(len(values))
    again = fit_kmeans(values[turned], 6, sample_rows=300)
    np.testing.assert_array_equal(again.labels, found.labels[turned])
    moved = fit_kmeans(values * 1024 + 4096, 6, sample_rows=300)
    assert adjusted_rand_score(found.labels, moved.labels) == 1.0


def test_a_seed_repeats_and_another_one_starts_elsewhere():
    values, _ = blobs(2_000, 4, apart=0.0)
    first = fit_kmeans(values, 6, seed=1)
    np.testing.assert_array_equal(first.labels, fit_kmeans(values, 6, seed=1).labels)
    assert (first.labels != fit_kmeans(values, 6, seed=2).labels).any()


def test_rows_that_repeat_are_sampled_in_proportion():
    values = np.repeat([[0.0, 0.0], [1.0, 5.0], [2.0, 1.0]], [9_000, 900, 100], axis=0)
    drawn = values[order_rows(values, seed=5).order[:1_000]]
    assert (drawn[:, 0] == 0).sum() == pytest.approx(900, abs=40)
    firsts = order_rows(values).firsts
    assert len(np.unique(values[order_rows(values).order[firsts]], axis=0)) == len(firsts) == 3


def test_a_rare_kind_outside_the_sample_still_gets_its_group():
    values = np.zeros((5_000, 2))
    values[4_998:] = [[1.0, 1.0], [9.0, 9.0]]
    found = fit_kmeans(values, 3, sample_rows=50)
    assert np.bincount(found.labels).tolist() == [4_998, 1, 1]
    assert found.inertia == pytest.approx(0)


def test_one_far_value_does_not_hide_the_other_rows():
    values = np.r_[np.arange(20.0), 1e10][:, None]  # the others agree to 1e-9 of the range
    assert fit_kmeans(values, 2).k == 2
    assert fit_kmeans(np.r_[np.arange(20.0) * 1e3, 1e11][:, None], 4).k == 4


def test_the_nearest_centre_is_found_in_blocks():
    values, _ = blobs(70_000, 3)
    labels, distances = nearest(values, values[:3])
    assert labels[:3].tolist() == [0, 1, 2]
    every = np.linalg.norm(values[66_000:66_100, None] - values[None, :3], axis=2)
    np.testing.assert_array_equal(labels[66_000:66_100], every.argmin(axis=1))
    np.testing.assert_allclose(distances[66_000:66_100], every.min(axis=1), rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "k", "error", "said"),
    [
        (np.zeros((4, 2)), 2, NotEnoughData, "1 distinct rows"),
        (np.arange(6.0).reshape(3, 2), 5, NotEnoughData, "5 groups of 3 rows"),
        (np.array([[1.0], [np.nan]]), 1, InvalidParameter, "missing or infinite"),
        (np.r_[np.arange(20.0), 1e15][:, None], 4, InvalidParameter, "1e.15 drown"),
        (np.arange(4.0), 2, InvalidParameter, "no matrix"),
        (np.arange(4.0)[:, None], 0, InvalidParameter, "k is 0"),
    ],
)
def test_bad_input_is_said(values, k, error, said):
    with pytest.raises(error, match=said):
        fit_kmeans(values, k)
