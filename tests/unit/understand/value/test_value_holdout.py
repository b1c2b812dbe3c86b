"""The figures behind the plots: tracked purchases, counts by frequency, means of the holdout."""

from __future__ import annotations

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.value import (
    BgNbd,
    ParetoNbd,
    compare_conditional,
    compare_frequencies,
    track_purchases,
)

MODELS = [BgNbd(0.6, 6.0, 0.7, 2.5), ParetoNbd(0.7, 8.0, 0.8, 15.0)]


@pytest.mark.parametrize("model", MODELS)
def test_a_simulated_cohort_is_followed(model):
    rng = np.random.default_rng(2)
    born = rng.uniform(0, 12, size=20_000)
    seen = model.simulate(52 - born, rng=rng)
    track = track_purchases(model, born, born[seen.customers] + seen.times, until=52, step=4)
    assert track.times.tolist() == list(range(4, 53, 4))
    assert track.actual[-1] == len(seen.times)
    assert track.expected == pytest.approx(track.actual, rel=0.05)
    assert track.incremental_expected.sum() == pytest.approx(track.expected[-1])
    assert track.incremental_actual.sum() == track.actual[-1]


@pytest.mark.parametrize("model", MODELS)
def test_groups_by_frequency_hold_every_customer(model):
    rng = np.random.default_rng(3)
    ages = rng.integers(20, 30, size=20_000).astype(float)
    seen = model.simulate(ages, rng=rng)
    groups = compare_frequencies(model, seen.frequency, ages, most=5)
    assert groups.customers.sum() == 20_000
    assert groups.expected.sum() == pytest.approx(20_000)
    assert groups.expected == pytest.approx(groups.actual, abs=4 * np.sqrt(20_000 * 0.25))


def test_means_of_the_holdout_by_purchases_before_it():
    groups = compare_conditional([0, 0, 1, 9], [1, 3, 5, 7], [0, 1, 2, 3], most=3)
    assert groups.customers.tolist() == [2, 1, 0, 1]
    assert groups.expected.tolist()[:2] == [2, 5]
    assert groups.actual.tolist()[3] == 3
    assert np.isnan(groups.expected[2])


def test_periods_and_groups_out_of_range_are_refused():
    with pytest.raises(InvalidParameter, match="until is 0"):
        track_purchases(MODELS[0], [0.0], [], until=0)
    with pytest.raises(InvalidParameter, match="most is 0"):
        compare_frequencies(MODELS[0], [0], [1], most=0)
