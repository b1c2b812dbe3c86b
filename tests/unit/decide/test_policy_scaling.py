"""Features become contexts: one scale, bounded, the average where they are unknown."""

from __future__ import annotations

import numpy as np
import pytest

from zhiyin.core.artifact import pack, unpack
from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.policy import Scaling

NAMES = ("orders", "spent", "alike")


def test_features_are_scaled_drawn_in_and_end_in_one():
    seen = np.array([[1, 100, 5], [3, 300, 5], [np.nan, 200, 5]])
    scaling = Scaling.fit(seen, NAMES)
    made = scaling.encode({"orders": 3, "spent": 1e9})
    assert made.tolist() == [1.0, 4.0, 0.0, 1.0]
    assert scaling.encode([np.nan, 200, 6]).tolist() == [0.0, 0.0, 1.0, 1.0]
    np.testing.assert_array_equal(scaling.encode_many(seen)[1], scaling.encode(seen[1]))
    assert scaling.width == 4


def test_a_column_without_a_number_is_the_average_for_everybody():
    scaling = Scaling.fit(np.array([[np.nan, 1, 1], [np.nan, 2, 2]]), NAMES)
    assert scaling.encode([np.nan, 1.5, 1.5]).tolist() == [0, 0, 0, 1]


def test_it_is_restored():
    scaling = Scaling.fit(np.random.default_rng(1).normal(size=(9, 3)), NAMES)
    again = Scaling.from_artifact(unpack(pack(scaling.to_artifact())))
    assert again.encode([1, 2, 3]).tolist() == scaling.encode([1, 2, 3]).tolist()
    assert again.features == NAMES


def test_names_that_do_not_fit_are_refused():
    with pytest.raises(InvalidParameter, match="3 names"):
        Scaling.fit(np.ones((4, 2)), NAMES)
