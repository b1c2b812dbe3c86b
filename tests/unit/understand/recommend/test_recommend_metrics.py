"""Ranking metrics against values worked out by hand."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from scipy import sparse

from tests.unit.understand.recommend.conftest import UNTIL, purchases
from zhiyin.core import ranking
from zhiyin.understand.recommend.history import read_history
from zhiyin.understand.recommend.metrics import drop_seen, find_hits, measure_lists

HITS = np.array([[True, False, True], [False, False, False], [False, True, False]])
RELEVANT = np.array([2, 0, 5])


def test_ndcg_by_hand():
    second = 1 / np.log2(3)
    ideal = 1 + second + 0.5
    expected = [(1 + 0.5) / (1 + second), np.nan, second / ideal]
    np.testing.assert_allclose(ranking.ndcg(HITS, RELEVANT), expected)


def test_recall_hit_rate_and_precision_by_hand():
    np.testing.assert_allclose(ranking.recall(HITS, RELEVANT), [1, np.nan, 0.2])
    np.testing.assert_allclose(ranking.hit_rate(HITS, RELEVANT), [1, np.nan, 1])
    np.testing.assert_allclose(
        ranking.average_precision(HITS, RELEVANT), [(1 + 2 / 3) / 2, np.nan, 0.5 / 3]
    )


def test_the_mean_leaves_out_people_without_items():
    found = ranking.mean_with_interval(np.array([1.0, np.nan, 0.0]))
    assert (found.value, found.n, found.status) == (0.5, 2, "ok")
    assert found.low < 0.5 < found.high
    assert ranking.mean_with_interval(np.array([np.nan])).status == "too_few_units"


def test_hits_are_found_by_row_and_padding_never_hits():
    truth = sparse.csr_array(np.array([[0.0, 1, 1], [1, 0, 0], [0, 0, 1]]))
    hits, relevant = find_hits(np.array([[2, 0], [1, -1], [-1, 2]]), truth)
    assert hits.tolist() == [[True, False], [False, False], [False, True]]
    assert relevant.tolist() == [2, 1, 1]


def test_seen_items_are_no_new_truth():
    truth = sparse.csr_array(np.array([[1.0, 1, 0], [0, 1, 0]]))
    seen = sparse.csr_array(np.array([[1.0, 0, 1], [0, 1, 0]]))
    rest = drop_seen(truth, seen)
    assert rest.toarray().tolist() == [[0, 1, 0], [0, 0, 0]]
    assert rest.nnz == 1


def test_coverage_and_novelty_count_every_list():
    rows = [("a", "x", 1), ("b", "x", 1), ("b", "y", 2), ("c", "z", 3), ("d", "x", 1)]
    table = purchases([(u, p, UNTIL - timedelta(days=d)) for u, p, d in rows])
    history = read_history(table, until=UNTIL, min_buyers=1)
    truth = sparse.csr_array(np.array([[0.0, 1, 0]] * 4))
    metrics = measure_lists(np.array([[1], [1], [0], [-1]]), truth, history, k=(1,))
    np.testing.assert_allclose(metrics.coverage_at_1, 2 / 3)
    np.testing.assert_allclose(metrics.novelty_at_1, (2 + 2 - np.log2(3 / 4)) / 3)
    np.testing.assert_allclose(metrics.ndcg_at_1, 0.5)
    with pytest.raises(AttributeError, match="ndcg_at_2"):
        _ = metrics.ndcg_at_2
