"""Effects without a lot: planted ones are found again, and where nothing can be said it is not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.observed import (
    compare_observed,
    e_value,
    hidden_reason,
    interrupt,
    plan_holdout,
)

CAUSED = 2.0


def _shop(seed: int, *, customers: int = 1500, pull: float = 0.6):
    """The better customers are contacted more often, and buy more anyway."""
    rng = np.random.default_rng(seed)
    worth, visits = rng.normal(size=customers), np.exp(rng.normal(size=customers))
    chance = 1 / (1 + np.exp(-pull * (worth + np.log(visits))))
    contacted = rng.random(customers) < chance
    spent = 5 + 2 * worth + 3 * np.log(visits) + CAUSED * contacted
    spent += rng.normal(scale=4, size=customers)
    known = np.column_stack([worth, visits, rng.normal(size=customers)])
    return known, contacted, spent


@pytest.mark.parametrize("target", ["recipients", "overlap"])
def test_what_was_planted_is_found_where_the_plain_difference_is_twice_that(target):
    held = 0
    for seed in range(20):
        known, contacted, spent = _shop(seed)
        found = compare_observed(
            known, contacted, spent, target=target, rng=np.random.default_rng(seed)
        )
        assert found.unadjusted > 1.9 * CAUSED
        assert found.largest_gap < 0.1 < max(abs(one.before) for one in found.balance)
        held += found.estimate.low <= CAUSED <= found.estimate.high
    assert held >= 16


def test_money_in_other_units_changes_nothing_but_the_unit():
    known, contacted, spent = _shop(3)
    one = compare_observed(known, contacted, spent, rng=np.random.default_rng(1))
    assert one.estimate.status == "ok"
    other = compare_observed(known, contacted, 100 * spent, rng=np.random.default_rng(1))
    assert other.estimate.value == pytest.approx(100 * one.estimate.value)
    assert other.e_value == pytest.approx(one.e_value)


def test_a_missing_value_is_one_of_its_own():
    """Who never bought has no recency, is not contacted, and buys less: that is adjusted for."""
    known, contacted, spent = _shop(6)
    never = np.arange(len(spent)) % 4 == 0
    known[never, 2] = np.nan
    contacted &= ~never | (np.arange(len(spent)) % 3 == 0)
    found = compare_observed(known, contacted, spent - 8 * never, rng=np.random.default_rng(2))
    assert found.estimate.low <= CAUSED <= found.estimate.high
    nothing = np.column_stack([known, np.full(len(spent), np.nan), np.ones(len(spent))])
    again = compare_observed(nothing, contacted, spent - 8 * never, rng=np.random.default_rng(2))
    assert again.estimate.value == pytest.approx(found.estimate.value)


def test_recipients_chosen_by_a_rule_have_no_like():
    rng = np.random.default_rng(4)
    worth = rng.normal(size=1000)
    contacted = worth > 0.3
    found = compare_observed(worth[:, None], contacted, worth, rng=rng)
    assert found.estimate.status == "no_overlap"
    assert math.isnan(found.estimate.value)
    assert found.covered < 0.5
    assert found.auc > 0.99


def test_few_recipients_are_not_compared():
    known, contacted, spent = _shop(5, customers=300)
    contacted[np.flatnonzero(contacted)[40:]] = False
    found = compare_observed(known, contacted, spent, rng=np.random.default_rng(1))
    assert (found.estimate.status, found.recipients) == ("too_few_units", 40)


def test_what_does_not_fit_is_said():
    rng = np.random.default_rng(1)
    with pytest.raises(InvalidParameter, match="do not fit"):
        compare_observed([[1.0], [2.0]], [0, 1, 1], [1, 2], rng=rng)
    with pytest.raises(InvalidParameter, match="not 0 or 1"):
        compare_observed([[1.0], [2.0]], [0, 2], [1, 2], rng=rng)


def test_a_hidden_reason_as_published():
    """VanderWeele and Ding's example: smoking and lung cancer, 10.73 [8.02, 14.36]."""
    assert e_value(10.73) == pytest.approx(20.95, abs=0.01)
    assert e_value(1 / 8.02) == pytest.approx(15.52, abs=0.01)
    assert hidden_reason(1.0, -0.5, 2.5, spread=3.0)[1] == 1.0
    with pytest.raises(InvalidParameter):
        e_value(0)


def _weeks(seed: int, *, step: float = 0.0, before: int = 44, after: int = 8, rho: float = 0.4):
    rng = np.random.default_rng(seed)
    noise = np.zeros(before + after)
    for week in range(1, len(noise)):
        noise[week] = rho * noise[week - 1] + rng.normal()
    shared = np.cumsum(rng.normal(size=len(noise))) / 2  # a season that nobody can name
    series = 10 + 2 * shared + noise + step * (np.arange(len(noise)) >= before)
    return series, shared, before


def test_a_step_is_told_from_what_happened_to_all():
    held = 0
    for seed in range(40):
        series, shared, start = _weeks(seed, step=3.0)
        found = interrupt(series, start, control=shared)
        held += found.estimate.low <= 3.0 <= found.estimate.high
        assert found.total.value == pytest.approx(8 * found.estimate.value)
        assert found.expected + found.total.value == pytest.approx(series[start:].sum())
    assert held >= 34


def test_neighbouring_weeks_are_less_evidence():
    series, shared, start = _weeks(1, rho=0.8)
    assert interrupt(series, start, control=shared).correlation > 0.4


def test_an_effect_before_the_start_spoils_the_answer():
    series, shared, start = _weeks(2)
    drifting = series + 6 * (np.arange(len(series)) >= start - 8)  # something began earlier
    found = interrupt(drifting, start, control=shared)
    assert found.estimate.status == "unlike_before"
    assert found.placebo.low > 0


def test_a_season_needs_two_years_or_a_control():
    series, _, start = _weeks(3)
    assert interrupt(series, start).estimate.status == "too_short"
    assert interrupt(series, start, season=52).estimate.status == "too_short"
    weeks = np.arange(124)
    rng = np.random.default_rng(7)
    waves = 20 + 5 * np.sin(2 * np.pi * weeks / 52) + rng.normal(size=124) + 4 * (weeks >= 112)
    found = interrupt(waves, 112, season=52)
    assert found.estimate.low <= 4 <= found.estimate.high
    assert found.estimate.low > 1


def test_a_flat_line_has_no_interval():
    found = interrupt(np.full(50, 7.0), 40, control=np.arange(50.0))
    assert found.estimate.status == "zero_variance"


def test_the_holdout_of_next_time_shows_what_it_says():
    plan = plan_holdout(1133, 4700, variance=20_240**2)
    assert (plan.held_out, plan.enough, plan.campaigns) == (172, True, 1)
    assert plan.detectable <= 4700
    rng = np.random.default_rng(8)
    found = 0
    for _ in range(400):
        held = rng.normal(0, 20_240, plan.held_out)
        rest = rng.normal(4700, 20_240, plan.n - plan.held_out)
        error = math.sqrt(held.var(ddof=1) / len(held) + rest.var(ddof=1) / len(rest))
        found += rest.mean() - held.mean() > 1.96 * error
    assert found / 400 == pytest.approx(0.8, abs=0.06)


def test_where_no_holdout_is_enough_campaigns_are_pooled():
    plan = plan_holdout(1000, 100, variance=20_000**2)
    assert (plan.held_out, plan.enough) == (500, False)
    assert plan.campaigns > 1000
    with pytest.raises(InvalidParameter):
        plan_holdout(1000, 0, variance=1)
