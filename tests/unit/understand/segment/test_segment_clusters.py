"""Clusters: planted groups are found again, told in words, and refused where there are none."""

from __future__ import annotations

import json
import math
import re
from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.rows import conform
from zhiyin.core.tables import MEMBERSHIPS
from zhiyin.understand.segment.clusters import find_clusters
from zhiyin.understand.segment.kmeans import nearest
from zhiyin.understand.segment.lasting import match_clusters
from zhiyin.understand.segment.portrait import Meaning, describe_clusters
from zhiyin.understand.segment.rows import cluster_insights, cluster_memberships
from zhiyin.understand.segment.scaling import fit_scaling, pick_columns, principal_axes

NAMES = ("recency_days", "orders_90d", "order_value_mean_minor", "coupon_order_share")
MEANINGS = {
    "recency_days": Meaning("days since the last order", "距上次下单天数", "days"),
    "orders_90d": Meaning("orders, last 90 days", "近90天订单数", "orders"),
    "order_value_mean_minor": Meaning("mean order value", "平均客单价", "minor units"),
    "coupon_order_share": Meaning("share of orders with a coupon", "用券订单占比", "[0, 1]"),
}


def first_day(found):
    """Names of clusters where no day was before."""
    return match_clusters(pd.Series(dtype=object), pd.Series(dtype=int), k=found.k)


def planted(seed: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Three groups: regulars, the lapsed, and coupon users with big orders; with gaps."""
    rng = np.random.default_rng(seed)
    sizes, centres = (300, 200, 100), ((3, 20, 2500, 0.02), (90, 1, 1500, 0.01), (8, 8, 9000, 0.6))
    values = np.concatenate(
        [
            np.array(centre) * np.exp(rng.normal(scale=0.25, size=(size, 4)))
            for size, centre in zip(sizes, centres, strict=True)
        ]
    )
    values[rng.random(values.shape) < 0.02] = np.nan
    return values, np.repeat([0, 1, 2], sizes)


@pytest.fixture(scope="module")
def found():
    values, _ = planted()
    return find_clusters(values, NAMES, rng=np.random.default_rng(1), k_min=2, k_max=6)


def test_planted_groups_are_found_with_their_number(found):
    assert (found.status, found.k) == ("ok", 3)
    assert adjusted_rand_score(planted()[1], found.labels) > 0.97
    assert np.bincount(found.labels).tolist() == sorted(np.bincount(found.labels), reverse=True)
    assert found.silhouette > 0.5
    assert found.stability > 0.95
    assert [q.k for q in found.quality] == [2, 3, 4, 5, 6]


def test_equal_generators_give_equal_groups(found):
    again = find_clusters(planted()[0], NAMES, rng=np.random.default_rng(1), k_min=2, k_max=6)
    np.testing.assert_array_equal(found.labels, again.labels)
    np.testing.assert_array_equal(found.distances, again.distances)
    assert found.quality == again.quality
    assert found.stability == again.stability


def test_units_do_not_change_the_groups(found):
    values = planted()[0] * [1, 1, 0.01, 1]
    other = find_clusters(values, NAMES, rng=np.random.default_rng(1), k_min=2, k_max=6)
    assert adjusted_rand_score(found.labels, other.labels) > 0.95


def test_what_makes_a_cluster_different_is_said_in_both_languages(found):
    values, _ = planted()
    portraits = describe_clusters(found, values, NAMES, MEANINGS)
    lapsed = portraits[1]
    assert "lapsing" in lapsed.label.lower()
    assert "days since the last order: much higher" in lapsed.words
    assert "距上次下单天数明显偏高" in lapsed.words_zh
    coupon = portraits[2]
    assert {d.feature for d in coupon.differences[:2]} == {
        "coupon_order_share",
        "order_value_mean_minor",
    }
    assert "share of orders with a coupon: much higher (58% against 1.8%)" in coupon.words
    assert "mean order value: much higher (87.22 against 22.56)" in coupon.words


def test_medians_that_point_the_other_way_are_not_told(found):
    values, _ = planted()
    for portrait in describe_clusters(found, values, NAMES, MEANINGS):
        for clause in portrait.words.split("; "):
            shown = re.search(r"(higher|lower) \(([\d.,]+)%? against ([\d.,]+)%?\)", clause)
            assert shown, clause
            mine, usual = (float(text.replace(",", "")) for text in shown.groups()[1:])
            assert (mine > usual) is (shown[1] == "higher")


def test_names_are_unique(found):
    portraits = describe_clusters(found, planted()[0], NAMES, MEANINGS)
    assert len({p.label for p in portraits}) == 3


def test_names_stay_apart_where_words_are_the_same(found):
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(m, 0.1, size=(100, 1)) for m in (0, 10, 20, 30)])
    groups = find_clusters(values, ("x",), rng=rng, k_min=4, k_max=4)
    labels = [p.label for p in describe_clusters(groups, values, ("x",), {})]
    assert len(set(labels)) == 4


def test_memberships_and_insights_fit_their_tables(found):
    values, _ = planted()
    ids = [f"c{i:03d}" for i in range(len(values))]
    members = conform(
        MEMBERSHIPS,
        cluster_memberships(found, ids, names=first_day(found).names, as_of=date(2026, 6, 1)),
    )
    assert set(members["segment"].to_pylist()) == {"c1", "c2", "c3"}
    portraits = describe_clusters(found, values, NAMES, MEANINGS)
    revenue = np.full(len(values), 100.0)
    insights = cluster_insights(found, portraits, revenue, lasting=first_day(found))
    assert [key for key, _ in insights] == ["clusters:c1", "clusters:c2", "clusters:c3", "clusters"]
    assert insights[0][1]["share"] == insights[0][1]["revenue_share"] == 0.5
    assert insights[-1][1]["k"] == 3
    json.dumps(dict(insights), allow_nan=False)


def test_few_customers_are_not_grouped():
    none = find_clusters(planted()[0][:120], NAMES, rng=np.random.default_rng(1), k_min=3)
    assert (none.status, none.k) == ("too_few_customers", 0)
    assert math.isnan(none.silhouette)
    assert describe_clusters(none, planted()[0][:120], NAMES, MEANINGS) == ()
    assert cluster_memberships(none, ["a"] * 120, names=(), as_of=date(2026, 6, 1)).num_rows == 0
    (only,) = cluster_insights(none, (), np.zeros(120), lasting=first_day(none))
    assert json.loads(json.dumps(only[1], allow_nan=False))["status"] == "too_few_customers"


def test_customers_who_do_not_differ_are_not_grouped():
    rng = np.random.default_rng(1)
    same = np.full((400, 2), 7.0)
    assert find_clusters(same, ("a", "b"), rng=rng).status == "no_variation"
    missing = np.full((400, 2), np.nan)
    assert find_clusters(missing, ("a", "b"), rng=rng).status == "no_variation"
    few = np.repeat([[1.0], [2.0]], 200, axis=0)
    assert find_clusters(few, ("a",), rng=rng).status == "no_variation"


def test_wrong_parameters_are_named():
    values, rng = planted()[0], np.random.default_rng(1)
    with pytest.raises(InvalidParameter, match="k_min 1"):
        find_clusters(values, NAMES, rng=rng, k_min=1)
    with pytest.raises(InvalidParameter, match="3 names"):
        find_clusters(values, NAMES[:3], rng=rng)
    with pytest.raises(InvalidParameter, match="variance is 0"):
        find_clusters(values, NAMES, rng=rng, variance=0)


def test_scaling_holds_outliers_logs_skew_and_fills_gaps():
    rng = np.random.default_rng(0)
    skewed = np.exp(rng.normal(3, 1, 1000))
    skewed[0], flat = 1e9, np.full(1000, 2.0)
    flat[1] = np.nan
    normal = rng.normal(size=1000)
    scaled = (scaling := fit_scaling(np.column_stack([skewed, flat, normal]))).apply(
        np.column_stack([skewed, flat, normal])
    )
    assert scaling.logged.tolist() == [True, False, False]
    assert np.abs(scaled).max() < 4
    np.testing.assert_allclose(scaled[:, [0, 2]].std(axis=0), 1)
    assert not scaled[:, 1].any()


def test_repeated_columns_are_left_out_and_axes_keep_the_variance():
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 500))
    scaled = np.column_stack([one, one + 1e-4 * two, two, np.zeros(500)])
    scaled = (scaled - scaled.mean(axis=0)) / np.where(
        scaled.std(axis=0) > 0, scaled.std(axis=0), 1
    )
    assert pick_columns(scaled).tolist() == [0, 2]
    assert principal_axes(scaled, share=0.6).shape == (4, 1)
    assert principal_axes(scaled, share=1.0).shape[1] >= 2


def test_the_nearest_centre_is_taken_and_ties_go_to_the_first():
    labels, distances = nearest(np.array([[0.0], [2.0], [1.0]]), np.array([[0.0], [2.0]]))
    assert labels.tolist() == [0, 1, 0]
    np.testing.assert_allclose(distances, [0, 0, 1])
