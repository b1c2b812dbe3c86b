"""Numbers of the segmentation methods against scikit-learn, scipy, and Ward by its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.stats import zscore
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)
from threadpoolctl import threadpool_limits

from zhiyin.understand.segment import choose_k, find_density, fit_kmeans, grow_ward, prepare


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    rng = np.random.default_rng(17)
    middles = rng.uniform(-6, 6, size=(5, 3))
    return middles[rng.integers(5, size=500)] + rng.normal(size=(500, 3))


def test_ward_merges_are_those_of_scipy(values):
    tree = grow_ward(values)
    theirs = linkage(values[tree.sampled], method="ward")
    np.testing.assert_array_equal(tree.merges, theirs)
    np.testing.assert_array_equal(tree.order, tree.sampled[leaves_list(theirs)])
    here = linkage(values, method="ward")  # in the table's own order: the same tree
    np.testing.assert_allclose(tree.heights, here[:, 2], rtol=1e-12)
    np.testing.assert_array_equal(np.sort(tree.merges[:, 3]), np.sort(here[:, 3]))


def test_ward_heights_are_those_of_the_definition():
    rows = np.random.default_rng(2).normal(size=(40, 3))
    groups = {i: rows[[i]] for i in range(40)}
    heights = []
    while len(groups) > 1:
        added = {
            (a, b): len(x) * len(y) / (len(x) + len(y)) * ((x.mean(0) - y.mean(0)) ** 2).sum()
            for a, x in groups.items()
            for b, y in groups.items()
            if a < b
        }
        a, b = min(added, key=added.__getitem__)
        heights.append(np.sqrt(2 * added[a, b]))
        groups[a] = np.r_[groups[a], groups.pop(b)]
    np.testing.assert_allclose(grow_ward(rows).heights, heights, rtol=1e-9)


@pytest.mark.parametrize("k", [2, 5, 12])
def test_cuts_are_those_of_scikit_learn(values, k):
    theirs = AgglomerativeClustering(k, linkage="ward").fit_predict(values)
    assert adjusted_rand_score(theirs, grow_ward(values).cut(k)[0]) == 1.0


@pytest.mark.parametrize(("eps", "min_samples"), [(0.6, 4), (1.0, 8), (0.3, 5), (3.0, 10)])
def test_core_points_groups_and_noise_are_those_of_scikit_learn(values, eps, min_samples):
    theirs = DBSCAN(eps=eps, min_samples=min_samples).fit(values)
    ours = find_density(values, eps=eps, min_samples=min_samples)
    np.testing.assert_array_equal(ours.labels == -1, theirs.labels_ == -1)
    core = theirs.core_sample_indices_
    assert len(ours.cores) == len(core)
    assert adjusted_rand_score(theirs.labels_[core], ours.labels[core]) == 1.0
    assert ours.groups == theirs.labels_.max() + 1


def test_kmeans_stands_still_where_scikit_learn_does(values):
    ours = fit_kmeans(values, 5)
    with threadpool_limits(1):
        theirs = KMeans(5, init=ours.centers, n_init=1).fit(values)
        best = KMeans(5, n_init=20, random_state=3).fit(values)
    assert adjusted_rand_score(theirs.labels_, ours.labels) == 1.0
    assert ours.inertia == pytest.approx(best.inertia_, rel=1e-6)


def test_figures_of_k_are_those_of_scikit_learn(values):
    tried = choose_k(values, k_min=5, k_max=5, resamples=2).chosen
    labels = fit_kmeans(values, 5).labels
    assert tried.silhouette == pytest.approx(silhouette_score(values, labels))
    assert tried.calinski_harabasz == pytest.approx(calinski_harabasz_score(values, labels))
    assert tried.davies_bouldin == pytest.approx(davies_bouldin_score(values, labels))


def test_standardised_columns_are_z_scores(values):
    done = prepare(values, winsorise=0)
    assert not any(one.unit for one in done.columns)
    np.testing.assert_allclose(done.values, zscore(values), atol=1e-12)
