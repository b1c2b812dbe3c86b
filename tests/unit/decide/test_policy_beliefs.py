"""What is believed equals the closed forms, learned one by one or at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.policy.beliefs import REFRESH, Beliefs

WIDTH = 5


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def test_linear_outcomes_one_by_one_and_at_once_are_the_ridge_regression(rng):
    seen = rng.normal(size=(REFRESH + 300, WIDTH))
    told = seen @ rng.normal(size=WIDTH) + rng.normal(size=len(seen))
    one, many = (Beliefs.fresh(2, WIDTH, ridge=0.5) for _ in range(2))
    for x, reward in zip(seen, told, strict=True):
        one.learn_linear(1, x, reward)
    for part in np.array_split(np.arange(len(seen)), 3):
        many.learn_linear_many(1, seen[part], told[part], np.ones(len(part)))
    precision = 0.5 * np.eye(WIDTH) + seen.T @ seen
    weights = np.linalg.solve(precision, seen.T @ told)
    units = np.linalg.solve(precision, seen.sum(axis=0))
    for made in (one, many):
        np.testing.assert_allclose(made.weights[1], weights, rtol=1e-9)
        np.testing.assert_allclose(made.inverse[1] @ precision, np.eye(WIDTH), atol=1e-9)
        np.testing.assert_allclose(made.units[1], units, atol=1e-9)
        scale = made.scale()
        assert (scale.mean, scale.noise + scale.more) == pytest.approx((told.mean(), told.var()))
        centred = told - told.mean()
        off = np.linalg.solve(precision, seen.T @ centred)
        left = ((centred - seen @ off) ** 2).sum() + 0.5 * off @ off
        assert scale.noise == pytest.approx(left / len(seen))
        assert not made.weights[0].any()


def test_a_weight_of_two_is_the_outcome_twice(rng):
    seen, told = rng.normal(size=(6, WIDTH)), rng.integers(2, size=6).astype(float)
    for learn, base in (("learn_linear_many", ()), ("learn_logistic_many", (-1.0,))):
        once, twice = (Beliefs.fresh(1, WIDTH, ridge=1.0) for _ in range(2))
        more = np.repeat(seen, 2, axis=0), np.repeat(told, 2)
        getattr(once, learn)(0, seen, told, np.full(6, 2.0), *base)
        getattr(twice, learn)(0, *more, np.ones(12), *base)
        np.testing.assert_allclose(once.weights, twice.weights, atol=1e-9)


def posterior_mode(seen, told, mean, precision):
    def loss(w):
        lines = seen @ w - 1
        away = w - mean
        return away @ precision @ away / 2 + (np.logaddexp(0, lines) - told * lines).sum()

    return minimize(loss, mean, method="BFGS", options={"gtol": 1e-9}).x


@pytest.mark.filterwarnings("ignore:Desired error not necessarily achieved")
def test_logistic_outcomes_are_laplace(rng):
    seen = rng.normal(size=(200, WIDTH)) * 2
    told = (rng.random(200) < 1 / (1 + np.exp(-seen @ rng.normal(size=WIDTH)))).astype(float)
    made = Beliefs.fresh(1, WIDTH, ridge=1.0)
    made.learn_logistic_many(0, seen, told, np.ones(200), -1.0)
    wanted = posterior_mode(seen, told, np.zeros(WIDTH), np.eye(WIDTH))
    np.testing.assert_allclose(made.weights[0], wanted, atol=1e-5)
    rates = 1 / (1 + np.exp(1 - seen @ wanted))
    curved = np.eye(WIDTH) + (seen.T * (rates * (1 - rates))) @ seen
    np.testing.assert_allclose(made.precision[0], curved, rtol=1e-4)
    for reward in (0.0, 1.0):  # one more, as a number and as a row
        one, row = (Beliefs.from_arrays(made.arrays(), ridge=1.0) for _ in range(2))
        one.learn_logistic(0, seen[0] * 3, reward, -1.0)
        row.learn_logistic_many(0, seen[:1] * 3, np.array([reward]), np.ones(1), -1.0)
        np.testing.assert_allclose(one.weights, row.weights, atol=1e-7)
        np.testing.assert_allclose(one.inverse, row.inverse, atol=1e-7)


def test_an_outcome_far_out_stays_a_number():
    made = Beliefs.fresh(1, 2, ridge=1e-6)
    for reward in (1.0, 0.0, 0.0, 1.0):
        made.learn_logistic(0, np.array([3e3, 1.0]), reward, 0.0)
    made.learn_logistic_many(0, np.full((3, 2), 1e3), np.array([1.0, 0, 1]), np.ones(3), 0.0)
    assert np.isfinite(made.weights).all()
    assert np.isfinite(made.inverse).all()


def test_what_fades_is_forgotten(rng):
    made, fresh = (Beliefs.fresh(2, WIDTH, ridge=2.0) for _ in range(2))
    seen = rng.normal(size=(50, WIDTH))
    made.learn_linear_many(0, seen, seen[:, 0], np.ones(50))
    half = Beliefs.fresh(2, WIDTH, ridge=2.0)
    half.learn_linear_many(0, seen, seen[:, 0], np.full(50, 0.5))
    made.fade(0.5)
    np.testing.assert_allclose(made.weights, half.weights, atol=1e-9)
    np.testing.assert_allclose(made.inverse, half.inverse, atol=1e-9)
    assert made.counts.tolist() == [25, 0]
    made.fade(0.0)
    np.testing.assert_allclose(made.inverse, fresh.inverse)
    np.testing.assert_allclose(made.weights, 0, atol=1e-12)
    with pytest.raises(InvalidParameter, match="kept"):
        made.fade(1.5)


def test_variances_of_many_are_those_of_each(rng):
    made = Beliefs.fresh(3, WIDTH, ridge=1.0)
    seen = rng.normal(size=(9, WIDTH))
    for place in (0, 2):
        made.learn_linear_many(place, seen, seen[:, 1], np.ones(9))
    for row, x in enumerate(seen):
        direct = [x @ inverse @ x for inverse in made.inverse]
        np.testing.assert_allclose(made.variances_of(x), direct, rtol=1e-12)
        np.testing.assert_allclose(made.variances(seen)[row], direct, rtol=1e-12)


def test_doubt_is_all_variation_where_nothing_is_known_and_noise_where_much_is(rng):
    made = Beliefs.fresh(2, WIDTH, ridge=0.5)
    seen = rng.normal(size=(4_000, WIDTH))
    made.learn_linear_many(0, seen, 3 * seen[:, 0] + rng.normal(size=4_000), np.ones(4_000))
    _, noise, more = made.scale()
    assert (noise, more) == pytest.approx((1.0, 9.0), rel=0.1)
    x = seen[0]
    known, unknown = made.variances_of(x, noise, more)
    assert known == pytest.approx(noise * (x @ made.inverse[0] @ x), rel=0.01)
    assert unknown == pytest.approx((noise + more) * (x @ x) / 0.5)
    np.testing.assert_allclose(made.variances(x[None], noise, more)[0], [known, unknown])


def test_arrays_of_another_layout_are_restored_and_learned_on(rng):
    made = Beliefs.fresh(2, WIDTH, ridge=1.0)
    arrays = made.arrays()
    arrays["inverse"] = np.asfortranarray(arrays["inverse"])
    again, x = Beliefs.from_arrays(arrays, ridge=1.0), rng.normal(size=WIDTH)
    for one in (made, again):
        one.learn_linear(1, x, 1.0)
    np.testing.assert_array_equal(again.variances_of(x), made.variances_of(x))
    assert made.variances_of(x)[1] < made.variances_of(x)[0]
