"""The one door: each method finds planted groups, says them, and refuses what it cannot do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from zhiyin.core.errors import InvalidParameter, NotEnoughData, ZhiyinError
from zhiyin.understand.segment import Density, Hierarchy, Meaning, Thresholds, segment

NAMES = ["recency_days", "frequency", "monetary"]


def planted(rows: int = 300, seed: int = 1) -> tuple[pd.DataFrame, np.ndarray]:
    """Three kinds of customers: regulars, the lapsed, and the few who spend much."""
    rng = np.random.default_rng(seed)
    truth = np.sort(rng.choice(3, p=[0.5, 0.3, 0.2], size=rows))
    middles = np.array([[5, 20, 400], [200, 2, 60], [40, 6, 9000]])[truth]
    return pd.DataFrame(middles * np.exp(rng.normal(scale=0.2, size=(rows, 3))), columns=NAMES), (
        truth
    )


@pytest.mark.parametrize("method", ["kmeans", "ward", "dbscan", "auto"])
def test_planted_groups_are_found_and_their_number_too(method):
    table, truth = planted()
    found = segment(table, method)
    assert found.k == 3
    inside = found.labels >= 0
    assert inside.mean() > 0.9
    assert adjusted_rand_score(truth[inside], found.labels[inside]) > 0.99
    assert found.sizes.tolist() == sorted(found.sizes, reverse=True)
    assert found.quality.silhouette > 0.6
    assert len(found.portraits) == 3
    lapsed = found.portraits[1]
    assert "lapsing" in lapsed.label.lower()
    assert "距上次下单天数明显偏高" in lapsed.words_zh
    assert lapsed.label in found.words
    assert lapsed.label_zh in found.words_zh


def test_methods_tell_what_they_found():
    table, _ = planted()
    assert isinstance(segment(table, "ward").fit, Hierarchy)
    dense = segment(table, "dbscan")
    assert isinstance(dense.fit, Density)
    assert dense.quality.noise == dense.fit.noise
    auto = segment(table)
    assert {"kmeans": "K-means", "ward": "Ward's hierarchy"}[auto.method] in auto.reason
    assert auto.choice is not None
    assert auto.choice.table().index.tolist() == list(range(2, 11))


def test_k_is_taken_as_asked_and_judged():
    found = segment(planted()[0], "kmeans", k=5)
    assert (found.k, len(found.names), len(set(found.names_zh))) == (5, 5, 5)
    assert found.quality.stability < 1
    assert "5 groups as asked for" in found.reason


def test_more_groups_than_can_be_judged_are_still_made():
    found = segment(planted(20)[0], "kmeans", k=9)
    assert found.k == 9
    assert np.isnan(found.quality.stability)


def test_columns_left_out_are_said():
    table = planted()[0].assign(customer_id=range(300), same=1, never=np.nan)
    found = segment(table, "kmeans", k=3)
    assert found.prepared.left_out == {
        "customer_id": "identifier", "same": "constant", "never": "missing",
    }  # fmt: skip
    assert "Column customer_id was left out: an identifier." in found.notes
    assert "未使用列 same：全体相同。" in found.notes_zh


def test_own_columns_are_told_with_their_meaning():
    table = planted()[0].rename(columns={"monetary": "x"})
    found = segment(table, "kmeans", k=3, meanings={"x": Meaning("money", "金额")})
    assert any("money: much higher" in one.words for one in found.portraits)
    assert any("金额明显偏高" in one.words_zh for one in found.portraits)
    assert any("x高" in one.label_zh for one in found.portraits)


@pytest.mark.parametrize("method", ["kmeans", "ward", "dbscan"])
def test_others_are_assigned_to_the_groups_found(method):
    table, _ = planted()
    found = segment(table, method)
    again = found.assign(table)
    assert (again == found.labels).mean() > 0.99
    later, truth = planted(seed=2)
    labels = found.assign(later)
    inside = labels >= 0
    assert adjusted_rand_score(truth[inside], labels[inside]) > 0.98
    with pytest.raises(InvalidParameter, match="no column monetary"):
        found.assign(table.drop(columns="monetary"))


def test_columns_without_names_are_numbered():
    table, _ = planted()
    found = segment(pd.DataFrame(table.to_numpy()), "ward", k=3, columns=[0, 2])
    assert found.prepared.names == ("0", "2")
    assert (found.assign(pd.DataFrame(table.to_numpy())) == found.labels).mean() > 0.99
    assert segment(table.to_numpy(), "ward", k=3).prepared.names == ("x1", "x2", "x3")


def test_rfm_names_its_segments_and_thresholds_hold_for_others():
    table, _ = planted()
    bounds = Thresholds((10, 30, 60, 120), (2, 4, 8, 16), (50, 100, 1000, 5000))
    found = segment(table, "rfm", thresholds=bounds)
    assert {"Loyal", "Big spenders"} <= set(found.names)
    assert "流失" in "".join(found.names_zh)
    assert "recency_days 10, 30, 60, 120" in found.reason
    np.testing.assert_array_equal(found.assign(table), found.labels)
    with pytest.raises(InvalidParameter, match="no rule for others"):
        segment(table, "rfm").assign(table)


def test_members_are_named_and_noise_is_in_no_group():
    table, _ = planted()
    found = segment(table, "dbscan")
    members = found.members([f"p{i}" for i in range(300)])
    assert members.isna().mean() == pytest.approx(found.quality.noise)
    assert set(members.dropna()) == set(found.names)
    assert found.table()["customers"].tolist() == found.sizes.tolist()


@pytest.mark.parametrize(
    ("change", "asked", "error", "said"),
    [
        (lambda t: t[:4], {}, NotEnoughData, "4 customers"),
        (lambda t: t[:0], {}, NotEnoughData, "0 customers"),
        (lambda t: t, {"method": "k-means"}, InvalidParameter, "did you mean 'kmeans'"),
        (lambda t: t, {"method": "nothing"}, InvalidParameter, "there are auto, kmeans"),
        (lambda t: t, {"k": 1}, InvalidParameter, "one group is everyone"),
        (lambda t: t, {"k": -3}, InvalidParameter, "k is -3"),
        (lambda t: t, {"k": 301}, NotEnoughData, "301 groups of 300 customers"),
        (lambda t: t, {"k": 3, "method": "dbscan"}, InvalidParameter, "takes no k"),
        (lambda t: t, {"seed": -1}, InvalidParameter, "seed is -1"),
        (lambda t: t, {"k_max": 1}, InvalidParameter, "k_max is 1"),
        (lambda t: t, {"eps": -1.0, "method": "dbscan"}, InvalidParameter, "eps is -1"),
        (lambda t: t, {"min_samples": 1, "method": "dbscan"}, InvalidParameter, "min_samples"),
        (lambda t: t, {"columns": ["none"]}, InvalidParameter, "no column none"),
        (lambda t: t, {"categories": "drop"}, InvalidParameter, "categories is 'drop'"),
        (lambda t: t, {"method": "rfm", "thresholds": "any"}, InvalidParameter, "'propose'"),
        (lambda t: t[["frequency"]], {"method": "rfm"}, InvalidParameter, "recency_days, monetary"),
        (lambda t: t * 0, {}, NotEnoughData, "recency_days: constant"),
        (lambda t: t * np.nan, {}, NotEnoughData, "recency_days: missing"),
        (lambda t: t.assign(city="Xi'an"), {}, InvalidParameter, "categories='one_hot'"),
        (lambda t: t.iloc[[0] * 30], {}, NotEnoughData, "no column tells customers apart"),
        (lambda t: t.iloc[[0, 1] * 15], {"k": 3}, NotEnoughData, "2 distinct rows"),
        (lambda t: t.iloc[[0, 1] * 15], {}, NotEnoughData, "2 of them distinct"),
        (lambda t: t * 1e200, {}, InvalidParameter, "recency_days holds values beyond 1e.100"),
        (lambda t: t["monetary"], {}, InvalidParameter, "is no table"),
        (lambda t: np.zeros((20, 2, 2)), {}, InvalidParameter, "is no table"),
    ],
)
def test_bad_input_gets_an_error_with_a_hint(change, asked, error, said):
    with pytest.raises(error, match=said) as caught:
        segment(change(planted()[0]), **asked)
    assert isinstance(caught.value, ZhiyinError)
    assert caught.value.hint
