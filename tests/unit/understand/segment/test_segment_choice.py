"""The number of groups: found where it is planted, called weak where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.segment import choose_k
from zhiyin.understand.segment.choice import Tried, judge_labels, recommend


def planted(groups: int, rows: int = 600) -> np.ndarray:
    rng = np.random.default_rng(groups)
    return np.eye(groups)[rng.integers(groups, size=rows)] * 9 + rng.normal(size=(rows, groups))


@pytest.mark.parametrize("method", ["kmeans", "ward"])
@pytest.mark.parametrize("groups", [2, 3, 5])
def test_the_planted_number_is_recommended(method, groups):
    found = choose_k(planted(groups), method=method, k_max=7, resamples=5)
    assert found.k == groups
    assert found.structure == "strong"
    assert f"{groups} groups" in found.reason
    assert f"建议分 {groups} 群" in found.reason_zh
    assert found.table().index.tolist() == [2, 3, 4, 5, 6, 7]
    assert found.chosen.stability > 0.95
    assert found.table()["inertia"].is_monotonic_decreasing


def test_one_cloud_is_called_weak_in_both_languages():
    values = np.random.default_rng(0).normal(size=(800, 5))
    found = choose_k(values, k_max=6, resamples=5)
    assert found.structure == "weak"
    assert "no natural groups" in found.reason
    assert "并非天然群体" in found.reason_zh


def test_figures_do_not_depend_on_the_order_of_rows():
    values = planted(3)
    turned = np.random.default_rng(1).permutation(len(values))
    one = choose_k(values, k_max=4, resamples=3)
    assert choose_k(values[turned], k_max=4, resamples=3) == one


def test_more_groups_win_only_where_stable_and_as_far_apart():
    def tried(k: int, silhouette: float, stability: float) -> Tried:
        return Tried(k, 1.0, silhouette, 100.0 - k, 1.0 + k, stability, 0.0, 0.1)

    assert recommend((tried(2, 0.50, 1), tried(3, 0.48, 0.95), tried(4, 0.49, 0.5))).k == 3
    assert recommend((tried(2, 0.50, 1), tried(3, 0.30, 1))).k == 2
    assert recommend((tried(2, 0.50, 0.6), tried(3, 0.49, 0.7))).k == 2
    assert recommend((tried(2, 0.50, 0.3),)).structure == "weak"
    assert recommend((tried(2, -0.1, 1), tried(3, -0.2, 1))).k == 2


def test_noise_is_left_out_of_the_figures():
    values = np.r_[planted(2), np.full((50, 2), 500.0)]
    labels = np.r_[(values[:600, 0] > 4).astype(int), np.full(50, -1)]
    assert judge_labels(values, labels)[0] > 0.7
    assert np.isnan(judge_labels(values, np.zeros(650, dtype=int))).all()


def test_bad_input_is_said():
    with pytest.raises(NotEnoughData, match="5 rows, 5 of them distinct"):
        choose_k(planted(2, rows=5))
    with pytest.raises(InvalidParameter, match="no method 'dbscan' has k"):
        choose_k(planted(2), method="dbscan")
    with pytest.raises(InvalidParameter, match="k_min 1"):
        choose_k(planted(2), k_min=1)
    with pytest.raises(InvalidParameter, match="resamples is 1"):
        choose_k(planted(2), resamples=1)
