"""Simulated media: the truth is what the table was made of, and it is not easy."""

from __future__ import annotations

import numpy as np
import pytest

from zhiyin.simulate.mix import SIZES, make_business


@pytest.fixture(scope="module")
def businesses():
    return [make_business(size, seed) for size in SIZES for seed in range(200, 206)]


def test_sizes_are_as_said_and_seeds_repeat(businesses):
    for one in businesses:
        channels, weeks, _ = SIZES[one.size]
        assert (len(one.channels), len(one.table)) == (channels, weeks)
    again = make_business("small", 200)
    assert again.table.equals(businesses[0].table)
    assert not make_business("small", 201).table.equals(again.table)


def test_media_bring_a_fifth_to_two_fifths(businesses):
    shares = [one.contributions.to_numpy().sum() / one.table["revenue"].sum() for one in businesses]
    assert min(shares) > 0.15
    assert max(shares) < 0.48


def test_nobody_can_explain_everything(businesses):
    explained = [one.explained for one in businesses]
    assert 0.85 < np.median(explained) < 0.97


def test_spend_follows_demand(businesses):
    follows = []
    for one in businesses:
        base = one.table["revenue"] - one.contributions.sum(axis=1)
        follows.append(np.corrcoef(one.table["search"], base)[0, 1])
    assert np.mean(follows) > 0.05


def test_an_experiment_over_all_weeks_is_the_total_less_what_was_spent_before():
    one = make_business("small", 200)
    whole = one.caused("search", 0, len(one.table) - 1)
    assert whole <= one.total("search")
    assert whole == pytest.approx(one.total("search"), rel=0.1)
    told = one.experiment("search", 10, 17, error=0.2)
    true = one.caused("search", 10, 17)
    assert told.high - told.low == pytest.approx(2 * 1.96 * 0.2 * true, rel=1e-3)
    assert one.experiment("search", 10, 17, error=0).value == pytest.approx(true)
