"""Models of purchases: what they refuse, what they find again, what they expect."""

from __future__ import annotations

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.value import BgNbd, ParetoNbd, fit_bgnbd, fit_pareto_nbd

MODELS = {
    "bgnbd": (fit_bgnbd, BgNbd(0.6, 6.0, 0.7, 2.5)),
    "pareto_nbd": (fit_pareto_nbd, ParetoNbd(0.7, 8.0, 0.8, 15.0)),
}
each_model = pytest.mark.parametrize(("fit", "truth"), MODELS.values(), ids=MODELS)


def histories(customers: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = np.arange(customers) % 4.0
    return x, np.where(x > 0, 5.0 + x, 0.0), np.full(customers, 20.0)


def changed(place: int, value: float, column: int) -> tuple[np.ndarray, ...]:
    rows = histories()
    rows[column][place] = value
    return rows


REFUSED = {
    "negative frequency": (changed(3, -1, 0), "frequency -1 in row 3 is negative"),
    "broken frequency": (changed(3, 1.5, 0), "frequency 1.5 in row 3 is no whole number"),
    "negative recency": (changed(1, -2, 1), "recency -2 in row 1 is negative"),
    "recency above age": (changed(1, 21, 1), "recency 21 in row 1 is larger than age"),
    "missing recency": (changed(1, np.nan, 1), "recency nan in row 1 is missing"),
    "missing age": (changed(1, np.inf, 2), "age inf in row 1 is missing or infinite"),
    "negative age": (changed(0, -1, 2), "age -1 in row 0 is negative"),
    "recency without a repeat": (changed(0, 3, 1), "recency 3 in row 0 stands beside frequency 0"),
    "repeat without recency": (changed(1, 0, 1), "frequency 1 in row 1 stands beside recency 0"),
    "another length": ((np.zeros(3), np.zeros(2), np.ones(3)), "frequency has 3 rows, recency 2"),
    "a table": ((np.zeros((30, 2)), np.zeros(30), np.ones(30)), "frequency has shape (30, 2)"),
    "words": ((["a", "b"], np.zeros(2), np.ones(2)), "frequency holds values that are not numbers"),
}


@each_model
@pytest.mark.parametrize(("rows", "sentence"), REFUSED.values(), ids=REFUSED)
def test_impossible_histories_are_refused_with_a_hint(fit, truth, rows, sentence):
    with pytest.raises(InvalidParameter) as refused:
        fit(*rows)
    assert refused.value.message.startswith(sentence)
    assert refused.value.hint


@each_model
def test_too_little_is_said(fit, truth):
    with pytest.raises(NotEnoughData, match="4 customers are too few") as few:
        fit([0, 1, 0, 2], [0, 3, 0, 4], [9, 9, 9, 9])
    assert "20 customers" in few.value.hint
    with pytest.raises(NotEnoughData, match="0 of 50 customers bought again"):
        fit(np.zeros(50), np.zeros(50), np.full(50, 9.0))


@each_model
def test_parameters_of_simulated_customers_are_found_within_three_errors(fit, truth):
    rng = np.random.default_rng(20)
    seen = truth.simulate(rng.uniform(30, 60, size=6_000), rng=rng)
    model = fit(seen.frequency, seen.recency, seen.age)
    assert model.status == "ok"
    for name, value in truth.parameters.items():
        gap = abs(model.parameters[name] - value)
        assert gap < 3 * model.standard_errors[name], name


@each_model
def test_standard_errors_are_those_of_the_observed_information(fit, truth):
    rng = np.random.default_rng(4)
    seen = truth.simulate(rng.uniform(20, 60, size=800), rng=rng)
    rows = (seen.frequency, seen.recency, seen.age)
    model = fit(*rows)
    names, values = list(model.parameters), np.array(list(model.parameters.values()))

    def total(moved: np.ndarray) -> float:
        return float(type(model)(*moved.tolist()).log_likelihood_of(*rows).sum())

    steps = values * 2e-3
    information = np.empty((len(names), len(names)))
    for i, one in enumerate(np.diag(steps)):
        for j, other in enumerate(np.diag(steps)):
            square = [total(values + a * one + b * other) for a in (1, -1) for b in (1, -1)]
            information[i, j] = -(square[0] - square[1] - square[2] + square[3])
            information[i, j] /= 4 * steps[i] * steps[j]
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    assert list(model.standard_errors.values()) == pytest.approx(errors, rel=0.01)
    assert total(values) == pytest.approx(model.log_likelihood, rel=1e-12)


@each_model
def test_customers_who_differ_in_nothing_are_no_fit_to_trust(fit, truth):
    rng = np.random.default_rng(5)
    counts = rng.poisson(3.0, size=400)
    last = np.array([rng.uniform(0, 30, n).max() if n else 0.0 for n in counts])
    model = fit(counts, last, np.full(400, 30.0))
    assert model.status in {"boundary", "flat"}
    assert np.isnan(list(model.standard_errors.values())).all()
    expected = model.conditional_expected_purchases(10, counts, last, np.full(400, 30.0))
    assert expected.mean() == pytest.approx(1.0, rel=0.1)


@each_model
def test_expectations_meet_simulated_purchases(fit, truth):
    rng = np.random.default_rng(6)
    seen = truth.simulate(np.full(60_000, 50.0), rng=rng)
    half = np.bincount(seen.customers[seen.times <= 25], minlength=60_000)
    assert half.mean() == pytest.approx(truth.expected_purchases(25)[0], rel=0.02)
    last = np.zeros(60_000)
    early = seen.times <= 25
    np.maximum.at(last, seen.customers[early], seen.times[early])
    later = seen.frequency - half
    for count in (0, 1, 3):
        rows = half == count
        told = truth.conditional_expected_purchases(
            25, half[rows], last[rows], np.full(rows.sum(), 25.0)
        )
        error = later[rows].std() / np.sqrt(rows.sum())
        assert abs(told.mean() - later[rows].mean()) < 3.5 * error
    alive = truth.p_alive(seen.frequency, seen.recency, seen.age)
    assert alive.mean() == pytest.approx(seen.alive.mean(), abs=0.006)


@each_model
def test_counts_have_the_probabilities_that_simulation_shows(fit, truth):
    rng = np.random.default_rng(7)
    seen = truth.simulate(np.full(60_000, 20.0), rng=rng)
    shares = np.bincount(seen.frequency.astype(int), minlength=6)[:6] / 60_000
    assert truth.pmf(20.0, 5) == pytest.approx(shares, abs=0.007)


@each_model
def test_parameters_of_others_must_be_positive(fit, truth):
    with pytest.raises(InvalidParameter, match="is -1"):
        type(truth)(-1.0, 2.0, 1.0, 1.0)
    assert truth.status == "given"
    assert np.isnan(truth.log_likelihood)
    assert truth.standard_errors == {}


@each_model
def test_times_must_not_be_negative(fit, truth):
    with pytest.raises(InvalidParameter, match="t -3 in row 0 is negative"):
        truth.expected_purchases(-3)
    with pytest.raises(InvalidParameter, match="t -3 in row 0 is negative"):
        truth.conditional_expected_purchases(-3, 1, 2, 3)
    assert truth.expected_purchases(0)[0] == 0
