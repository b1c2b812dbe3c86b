from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.predict import fit_reduction


def table(n: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    size, taste = rng.normal(size=(2, n))
    made = {f"spend_{i}": 100 * size + rng.normal(0, 5, n) for i in range(3)}
    made |= {f"share_{i}": taste + rng.normal(0, 0.1, n) for i in range(2)}
    return pd.DataFrame(made | {"shop": 1.0})


def test_two_planted_directions_explain_nearly_all():
    made = fit_reduction(table(), variance=0.95)
    assert made.components.shape == (2, 5)
    assert made.explained.sum() > 0.98
    assert {name for name, _ in made.strongest(0, 3)} == {"spend_0", "spend_1", "spend_2"}
    assert "shop" not in made.columns


def test_components_are_those_of_scikit_learn():
    rows = table().drop(columns="shop")
    made = fit_reduction(rows, components=3)
    peer = PCA(3).fit(StandardScaler().fit_transform(rows))
    np.testing.assert_allclose(made.explained, peer.explained_variance_ratio_, atol=1e-10)
    cosines = np.abs((made.components * peer.components_).sum(axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-8)


def test_all_components_restore_the_rows_and_missing_values_stand_at_the_mean():
    rows = table().drop(columns="shop")
    made = fit_reduction(rows, components=5)
    np.testing.assert_allclose(made.restore(made.transform(rows)), rows.to_numpy(), atol=1e-8)
    holes = rows.iloc[:1] * np.nan
    np.testing.assert_allclose(made.transform(holes), np.zeros((1, 5)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 1000))
def test_the_unit_of_a_column_and_the_order_of_rows_change_nothing(seed, factor):
    rows = table(60, seed)
    other = rows.sample(frac=1, random_state=seed)
    other = other.assign(spend_0=other["spend_0"] * factor)
    a, b = fit_reduction(rows, components=2), fit_reduction(other, components=2)
    np.testing.assert_allclose(a.explained, b.explained, atol=1e-8)


def test_wrong_input_is_named_with_a_hint():
    with pytest.raises(NotEnoughData, match="4 rows"):
        fit_reduction(table(4))
    with pytest.raises(NotEnoughData, match="no column differs"):
        fit_reduction(np.ones((20, 3)))
    with pytest.raises(InvalidParameter, match="'plan' holds no numbers"):
        fit_reduction(table().assign(plan="a"))
    with pytest.raises(InvalidParameter, match="7 components of 5"):
        fit_reduction(table(), components=7)
    with pytest.raises(InvalidParameter, match="variance"):
        fit_reduction(table(), variance=0)
    with pytest.raises(InvalidParameter, match="shape"):
        fit_reduction(np.ones(20))
