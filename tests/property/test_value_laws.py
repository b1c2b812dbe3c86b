"""Laws of the models of value: order, doubling, units, growth, probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from zhiyin.understand.value import BgNbd, ParetoNbd, fit_bgnbd, fit_pareto_nbd

MODELS = {"bgnbd": (fit_bgnbd, BgNbd), "pareto_nbd": (fit_pareto_nbd, ParetoNbd)}
each_model = pytest.mark.parametrize(("fit", "kind"), MODELS.values(), ids=MODELS)
positive = st.floats(0.02, 50)
parameters = st.tuples(positive, positive, positive, positive)
history = st.tuples(st.integers(0, 300), st.floats(0.001, 1), st.floats(0.01, 1000)).map(
    lambda row: (row[0], row[1] * row[2] if row[0] else 0.0, row[2])
)


def sample(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Some give an identified model, others one at the edge: the laws hold for both."""
    rng = np.random.default_rng(seed)
    ages = rng.integers(60, 280, size=300) / 7
    seen = BgNbd(0.6, 5.0, 0.8, 2.5).simulate(ages, rng=rng)
    return seen.frequency, seen.recency, seen.age


@each_model
@settings(max_examples=examples(2), deadline=None)
@given(seed=st.integers(0, 1000))
def test_order_and_doubling_of_rows(fit, kind, seed):
    rows = sample(seed)
    model = fit(*rows)
    order = np.random.default_rng(seed).permutation(300)
    shuffled = fit(*(column[order] for column in rows))
    assert shuffled.parameters == model.parameters
    assert shuffled.log_likelihood == model.log_likelihood
    doubled = fit(*(np.tile(column, 2) for column in rows))
    assert doubled.log_likelihood == pytest.approx(2 * model.log_likelihood, rel=1e-9)
    assert list(doubled.parameters.values()) == pytest.approx(
        list(model.parameters.values()), rel=1e-5
    )
    assert doubled.status == model.status
    if model.status == "ok":
        for name, error in model.standard_errors.items():
            assert doubled.standard_errors[name] == pytest.approx(error / np.sqrt(2), rel=1e-3)


@each_model
@settings(max_examples=examples(2), deadline=None)
@given(seed=st.integers(0, 1000), unit=st.sampled_from([7.0, 365.25, 1 / 52]))
def test_the_unit_of_time_changes_rates_alone(fit, kind, seed, unit):
    x, tx, age = sample(seed)
    model, other = fit(x, tx, age), fit(x, tx * unit, age * unit)
    assert other.status == model.status
    lost = np.log(unit) * x.sum()  # a density of times
    assert other.log_likelihood == pytest.approx(model.log_likelihood - lost, rel=1e-7)
    if model.status != "ok":
        return
    scaled = {"alpha", "beta"}
    for name, value in model.parameters.items():
        factor = unit if name in scaled else 1.0
        assert other.parameters[name] == pytest.approx(value * factor, rel=1e-4), name
    assert other.p_alive(x, tx * unit, age * unit) == pytest.approx(
        model.p_alive(x, tx, age), rel=1e-4
    )


@each_model
@settings(max_examples=examples(15), deadline=None)
@given(values=parameters, row=history, t=st.floats(0, 500), more=st.floats(0.01, 500))
def test_expected_purchases_grow_and_probabilities_stay_between_0_and_1(
    fit, kind, values, row, t, more
):
    model = kind(*values)
    assert np.isfinite(model.log_likelihood_of(*row)).all()
    assert 0 <= model.p_alive(*row)[0] <= 1
    one, two = model.expected_purchases([t, t + more])
    assert 0 <= one <= two * (1 + 1e-12)  # equal in print where all have dropped out
    assert one < two or one * (1 + 1e-9) > model.expected_purchases(1e6)[0]
    one, two = (model.conditional_expected_purchases(at, *row)[0] for at in (t, t + more))
    assert 0 <= one <= two * (1 + 1e-12)
    chance = model.pmf(t, 10)
    assert ((chance >= 0) & (chance <= 1 + 1e-9)).all()
    assert chance.sum() <= 1 + 1e-9
