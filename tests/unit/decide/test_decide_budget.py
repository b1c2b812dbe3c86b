"""Money, channels and patience are never overdrawn, and little is left lying."""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.budget import allocate
from zhiyin.decide.budget.quiet import NOISE, without_noise


def best_by_trying_all(scores, costs, budget, channels, capacity):
    n, k = scores.shape
    best = 0.0
    for choice in itertools.product(range(-1, k), repeat=n):
        picked = [(i, a) for i, a in enumerate(choice) if a >= 0]
        used = np.bincount([channels[a] for _, a in picked], minlength=len(capacity))
        if sum(costs[i, a] for i, a in picked) <= budget and (used <= capacity).all():
            best = max(best, sum(scores[i, a] for i, a in picked))
    return best


def assert_within(found, costs, budget, channels=None, capacity=None, caps=1):
    choice = found.choice.reshape(len(found.choice), -1)
    costs = np.broadcast_to(costs, (len(choice), np.shape(costs)[-1]))
    row, at = np.nonzero(choice >= 0)
    action = choice[row, at]
    assert costs[row, action].sum() <= budget * (1 + 1e-6)
    assert found.spent == pytest.approx(costs[row, action].sum(), rel=1e-5)
    assert (np.bincount(row, minlength=len(choice)) <= caps).all()
    assert len(set(zip(row.tolist(), action.tolist(), strict=True))) == len(row)
    if capacity is not None:
        used = np.bincount(np.asarray(channels)[action], minlength=len(capacity))
        assert (used <= capacity).all()
        assert used.tolist() == found.used.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_the_solver_finds_the_best_of_all_choices(seed):
    rng = np.random.default_rng(seed)
    scores, costs = rng.gamma(1, 1, (5, 3)), rng.uniform(0.1, 1, (5, 3))
    found = allocate(scores, costs, 1.2, channels=[0, 1, 1], capacity=[2, 2])
    assert found.method == "exact"
    assert found.value == pytest.approx(
        best_by_trying_all(scores, costs, 1.2, [0, 1, 1], [2, 2]), rel=1e-5
    )
    assert found.gap == pytest.approx(0, abs=1e-6)
    assert_within(found, costs, 1.2, [0, 1, 1], [2, 2])


@pytest.mark.parametrize("seed", range(6))
def test_prices_come_close_to_the_solver_and_bound_it(seed):
    rng = np.random.default_rng(seed)
    n, k = 300, 4
    scores = rng.gamma(0.5, 2, (n, k)).round(seed % 2 * 6 or 1)  # many equal scores, or none
    costs = rng.uniform(0.1, 1, (n, k) if seed % 2 else k)
    channels, capacity = [0, 0, 1, 2], [n // 5, n // 8, n]
    caps = 1 if seed < 4 else rng.integers(0, 3, n)
    limits = {"channels": channels, "capacity": capacity, "caps": caps}
    solved = allocate(scores, costs, 0.1 * n, method="exact", **limits)
    priced = allocate(scores, costs, 0.1 * n, method="dual", **limits)
    assert priced.value >= 0.99 * solved.value
    assert priced.bound >= solved.value * (1 - 1e-6)
    assert priced.gap <= 0.015
    assert_within(priced, costs, 0.1 * n, channels, capacity, caps)
    assert_within(solved, costs, 0.1 * n, channels, capacity, caps)


def test_many_customers_are_divided_within_a_thousandth():
    rng = np.random.default_rng(1)
    n, k = 60_000, 8
    scores = rng.gamma(0.5, 4, (n, k)).astype("f4")
    costs, channels = np.linspace(0.1, 2, k), np.arange(k) % 3
    capacity = np.array([0.1, 0.2, 1.0]) * n
    found = allocate(scores, costs, 0.3 * n, channels=channels, capacity=capacity)
    assert found.method == "dual"
    assert found.gap < 1e-4
    assert_within(found, costs, 0.3 * n, channels, capacity)
    assert "60,000" not in str(found)
    assert "below the best" in str(found)


def test_what_is_not_short_costs_nothing():
    scores = np.array([[1.0, 3.0], [2.0, 1.0]] * 15_000)
    found = allocate(scores, [1.0, 1.0], np.inf)
    assert found.choice[:2].tolist() == [1, 0]
    assert found.gap == 0
    assert found.prices.tolist() == [0, 0]


def test_the_price_of_money_is_what_one_more_would_bring():
    rng = np.random.default_rng(2)
    scores = rng.gamma(1, 1, (30_000, 1))
    found = allocate(scores, [1.0], 6_000.0)
    more = allocate(scores, [1.0], 6_600.0)
    assert (found.choice == 0).sum() == 6_000
    assert found.prices[0] == pytest.approx((more.value - found.value) / 600, rel=0.05)


@pytest.mark.parametrize("method", ["exact", "dual"])
def test_nobody_gets_what_is_worth_nothing_or_impossible(method):
    scores = np.array([[-1.0, 0.0, 5.0], [1.0, -np.inf, 9.0]])
    able = np.array([[True, True, False], [True, True, True]])
    found = allocate(scores, [0.1, 0.1, 0.1], 10, eligible=able, method=method)
    assert found.choice.tolist() == [-1, 2]


@pytest.mark.parametrize("method", ["exact", "dual"])
def test_without_money_only_what_is_free_is_given(method):
    found = allocate([[5.0, 1.0], [7.0, 0.5]], [1.0, 0.0], 0, method=method)
    assert found.choice.tolist() == [1, 1]
    assert found.spent == 0


@pytest.mark.parametrize("method", ["exact", "dual"])
def test_a_channel_without_places_is_not_used(method):
    found = allocate(
        [[5.0, 1.0], [7.0, 0.5]], [1, 1], 10, channels=[0, 1], capacity=[0, 9], method=method
    )
    assert found.choice.tolist() == [1, 1]


@pytest.mark.parametrize("method", ["exact", "dual"])
def test_caps_are_per_customer(method):
    scores = np.array([[3.0, 2.0, 1.0]] * 3)
    found = allocate(scores, [1.0, 1.0, 1.0], 100, caps=[0, 1, 2], method=method)
    assert found.choice.tolist() == [[-1, -1], [0, -1], [0, 1]]
    assert found.value == 8


def test_of_equals_the_earlier_customers_get_it():
    found = allocate(np.ones((30_000, 1)), [1.0], 100.0)
    assert np.flatnonzero(found.choice == 0).tolist() == list(range(100))


def test_the_same_problem_gives_the_same_choice():
    rng = np.random.default_rng(3)
    scores = rng.gamma(1, 1, (50_000, 3))
    once, again = (allocate(scores, [1, 2, 3], 9_000.0) for _ in range(2))
    assert (once.choice == again.choice).all()


def test_what_is_given_is_left_as_it_was():
    scores = np.array([[1.0, 2.0]])
    allocate(scores, [1, 1], 1, eligible=[[False, True]])
    assert scores.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"scores": [1.0]}, "of shape"),
        ({"scores": [[np.nan]]}, "missing or infinite"),
        ({"costs": [-1.0]}, "costs are 0 or more"),
        ({"costs": [1.0, 2.0]}, "costs are 0 or more"),
        ({"budget": -1}, "budget"),
        ({"budget": np.nan}, "budget"),
        ({"channels": [0]}, "come together"),
        ({"channels": [1], "capacity": [1]}, "capacity of 0 or more"),
        ({"channels": [0.5], "capacity": [1]}, "whole numbers"),
        ({"caps": -1}, "cap"),
        ({"eligible": [True]}, "eligible"),
        ({"method": "magic"}, "method"),
        ({"scores": [["a"]]}, "scores holds 'a', a text"),
        ({"scores": None}, "scores holds None"),
        ({"costs": ["1.0"]}, "costs holds '1.0', a text"),
        ({"budget": "1"}, "budget holds '1', a text"),
        ({"budget": [1]}, "budget is 0 or more"),
        ({"caps": "1"}, "caps holds '1', a text"),
        ({"caps": [1, 2]}, "cap is 0 or more"),
        ({"channels": ["a"], "capacity": [1]}, "channels holds 'a', a text"),
    ],
)
def test_what_makes_no_sense_is_refused(change, match):
    with pytest.raises(InvalidParameter, match=match):
        allocate(**({"scores": [[1.0]], "costs": [1.0], "budget": 1} | change))


def test_the_solver_writes_nothing_to_where_json_is_read(capfd):
    rng = np.random.default_rng(296)  # one where HiGHS mends a solution and says so
    n, k = int(rng.integers(3, 300)), int(rng.integers(1, 5))
    scores, costs = rng.normal(2, 2, (n, k)), rng.uniform(0.05, 3, (n, k))
    budget = float(rng.uniform(0, n * 0.7))
    allocate(scores, costs, budget, caps=int(rng.integers(1, 3)), method="exact")
    with without_noise():
        os.write(1, b"of another thread\n" + NOISE)
    assert capfd.readouterr().out == "of another thread\n"
