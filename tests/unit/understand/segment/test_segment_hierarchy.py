"""Ward's tree: drawn from its upper part, cut anywhere, sampled where the table is large."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.segment import grow_ward


def groups(rows: int = 240, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(4, p=[0.4, 0.3, 0.2, 0.1], size=rows)
    middles = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]])[truth]
    return middles + rng.normal(size=(rows, 3)), truth


def test_a_cut_finds_the_planted_groups_largest_first():
    values, truth = groups()
    labels, centers = grow_ward(values).cut(4)
    assert adjusted_rand_score(truth, labels) == 1.0
    sizes = np.bincount(labels)
    assert sizes.tolist() == sorted(sizes, reverse=True)
    np.testing.assert_allclose(centers[3], values[labels == 3].mean(axis=0))


def test_heights_rise_and_the_order_names_every_row_once():
    tree = grow_ward(groups()[0])
    assert (np.diff(tree.heights) >= 0).all()
    assert sorted(tree.order) == list(range(240))
    assert not tree.is_sample
    last = tree.heights[-3:]
    assert last.min() > 3 * tree.heights[-4]  # three merges of planted groups stand out


def test_groups_lie_side_by_side_in_the_order():
    values, _ = groups()
    tree = grow_ward(values)
    along = tree.cut(4)[0][tree.order]
    assert (np.diff(along) != 0).sum() == 3


def test_a_large_table_is_sampled_and_the_rest_follows_the_nearest_mean():
    values, truth = groups(3_000)
    tree = grow_ward(values, sample_rows=300)
    assert tree.is_sample
    assert (len(tree.sampled), tree.rows, len(tree.merges)) == (300, 3_000, 299)
    assert adjusted_rand_score(truth, tree.cut(4)[0]) > 0.99


def test_the_drawing_holds_the_upper_tree():
    tree = grow_ward(groups()[0])
    drawn = tree.dendrogram(leaves=6)
    assert drawn.sizes.sum() == 240
    assert [branch.height for branch in drawn.branches] == tree.heights[-5:].tolist()
    assert drawn.branches[-1].rows == 240
    assert sorted(drawn.order) == list(range(6))
    below = {leaf: {leaf} for leaf in range(6)}
    for number, branch in enumerate(drawn.branches, start=6):
        below[number] = below.pop(branch.left) | below.pop(branch.right)
        places = sorted(drawn.order.index(leaf) for leaf in below[number])
        assert places == list(range(places[0], places[0] + len(places)))
        assert branch.rows == drawn.sizes[list(below[number])].sum()
    assert len(tree.dendrogram(leaves=500).sizes) == 240


def test_bad_input_is_said():
    values, _ = groups()
    with pytest.raises(NotEnoughData, match="a tree of 1 rows"):
        grow_ward(values[:1])
    with pytest.raises(InvalidParameter, match="sample_rows is 50000"):
        grow_ward(values, sample_rows=50_000)
    with pytest.raises(InvalidParameter, match="k is 0"):
        grow_ward(values).cut(0)
    with pytest.raises(InvalidParameter, match="leaves is 1"):
        grow_ward(values).dendrogram(1)
