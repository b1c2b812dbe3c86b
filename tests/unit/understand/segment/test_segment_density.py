"""Dense groups of any shape; noise stays noise; memory is bounded for any radius."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.segment import density as module
from zhiyin.understand.segment import find_density


def rings(rows: int = 2_000, noise: float = 0.1, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A disc within a ring, which no mean can tell apart, and noise all over."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(2, size=rows)
    angle, radius = rng.uniform(0, 2 * np.pi, rows), np.array([0.0, 10.0])[truth]
    values = np.c_[radius * np.cos(angle), radius * np.sin(angle)] + rng.normal(size=(rows, 2)) / 2
    lost = rng.random(rows) < noise
    values[lost] = rng.uniform(-30, 30, size=(int(lost.sum()), 2))
    return values, np.where(lost, -1, truth)


def test_shapes_and_noise_are_found_with_a_proposed_radius():
    values, truth = rings()
    found = find_density(values)
    assert found.groups == 2
    assert found.noise == pytest.approx(0.1, abs=0.03)
    assert adjusted_rand_score(truth, found.labels) > 0.9
    assert (np.diff(found.curve) >= 0).all()
    assert found.curve[0] < found.eps < found.curve[-1]


def test_a_large_table_is_sampled_and_its_noise_stays_noise():
    values, truth = rings(20_000)
    found = find_density(values, sample_rows=2_000)
    assert (found.sample_rows, found.rows, found.groups) == (2_000, 20_000, 2)
    assert adjusted_rand_score(truth, found.labels) > 0.9
    np.testing.assert_array_equal(found.assign(values), found.labels)
    far = found.assign(np.array([[500.0, 500.0]]))
    assert far.tolist() == [-1]


def test_min_samples_is_scaled_with_the_sample():
    values, _ = rings(4_000)
    assert find_density(values, min_samples=40, sample_rows=1_000).min_samples == 10
    assert find_density(values, min_samples=40).min_samples == 40


def test_a_radius_that_holds_everyone_does_not_hold_all_pairs(monkeypatch):
    monkeypatch.setattr(module, "_PAIRS", 100_000)
    found = find_density(rings()[0], eps=100.0)
    assert found.sample_rows == 250
    assert (found.groups, found.noise) == (1, 0.0)


def test_a_knee_that_joins_all_is_made_smaller():
    rng = np.random.default_rng(0)
    clouds = np.r_[rng.normal(0, 1, (400, 3)), rng.normal(3.6, 1, (400, 3))]
    values = np.r_[clouds, rng.uniform(-40, 40, (40, 3))]
    found = find_density(values)
    assert found.groups == 2
    assert found.tightened > 0


def test_one_cloud_stays_one_and_sparse_rows_are_all_noise():
    rng = np.random.default_rng(0)
    assert find_density(rng.normal(size=(600, 3))).groups == 1
    lonely = find_density(np.arange(40.0)[:, None] * 10, eps=1.0, min_samples=3)
    assert (lonely.groups, lonely.noise) == (0, 1.0)
    assert lonely.assign(np.zeros((2, 1))).tolist() == [-1, -1]


def test_rows_that_repeat_have_a_radius_too():
    found = find_density(np.repeat([[0.0], [5.0]], 20, axis=0))
    assert (found.groups, found.noise) == (2, 0.0)


def test_bad_input_is_said():
    values, _ = rings(100)
    with pytest.raises(NotEnoughData, match="9 rows"):
        find_density(values[:9])
    with pytest.raises(InvalidParameter, match="eps is nan"):
        find_density(values, eps=float("nan"))
    with pytest.raises(InvalidParameter, match="sample_rows is 5"):
        find_density(values, sample_rows=5)
