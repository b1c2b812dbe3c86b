"""Profit if every redemption were caused: who is chosen, what she brings, what it costs."""

from __future__ import annotations

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.profit import (
    CampaignOutcomes,
    ProfitTerms,
    choose_by_profit,
    choose_top,
    draw_cost_curve,
    draw_depth_curve,
    estimate_profit,
    expect_profit,
)

TERMS = ProfitTerms(margin_rate=0.25, contact_cost_minor=50)
FOUR = CampaignOutcomes(
    np.array(["a", "b", "c", "d"]),
    np.array([True, False, True, False]),
    np.array([1000, 9000, 400, 0]),
)


def test_profit_counts_contacted_redeemers_and_every_contact():
    # a: 250 - 50; b did not redeem, so her spend does not count: - 50
    assert estimate_profit(FOUR, [1, 1, 0, 0], TERMS).value == 150
    assert estimate_profit(FOUR, np.ones(4), TERMS).value == 0.25 * 1400 - 200


def test_contacting_nobody_earns_and_costs_nothing():
    assert estimate_profit(FOUR, np.zeros(4), TERMS).value == 0


def test_no_recipients_and_few_redeemers_are_statuses():
    empty = CampaignOutcomes(np.array([], str), np.array([], bool), np.array([], np.int64))
    assert estimate_profit(empty, [], TERMS).status == "no_units"
    assert estimate_profit(FOUR, np.ones(4), TERMS).status == "too_few_units"
    assert draw_depth_curve(empty, [], TERMS).profit_minor == (0.0,)


def test_interval_is_that_of_a_sum_over_recipients():
    rng = np.random.default_rng(0)
    n = 2000
    redeemed = rng.random(n) < 0.2
    spend = rng.integers(100, 5000, n)
    outcomes = CampaignOutcomes(np.arange(n).astype(str), redeemed, spend)
    each = 0.25 * redeemed * spend - 50
    estimate = estimate_profit(outcomes, np.ones(n), TERMS)
    assert estimate.high - estimate.value == pytest.approx(
        1.96 * (n * each.var(ddof=1)) ** 0.5, rel=1e-3
    )
    assert estimate.status == "ok"


def test_choice_takes_profitable_customers_only_and_ties_by_id():
    expected = np.array([5.0, 5.0, -1.0, 5.0, np.nan])
    ids = np.array(["z", "b", "a", "c", "d"])
    terms = ProfitTerms(0.25, 50, max_share=0.4)
    assert choose_by_profit(expected, ids, terms).tolist() == [0, 1, 0, 1, 0]
    assert choose_by_profit(expected, ids, ProfitTerms(0.25, 50)).tolist() == [1, 1, 0, 1, 0]


def test_budget_bounds_the_choice():
    terms = ProfitTerms(0.25, 50, budget_minor=149)
    assert choose_by_profit(np.ones(10), np.arange(10).astype(str), terms).sum() == 2


def test_share_of_1133_recipients_is_339_contacts():
    assert ProfitTerms(0.25, 50, max_share=0.30).most_contacts(1133) == 339


def test_tied_customers_share_the_last_places():
    assert choose_top([3, 1, 1, 1, 0], 2).tolist() == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3, 0])
    assert choose_top([np.nan, 2, np.nan], 2).tolist() == [0.5, 1, 0.5]


def test_depth_curve_runs_from_nobody_to_everyone():
    curve = draw_depth_curve(FOUR, [4, 3, 2, 1], TERMS)
    assert curve.contacted == (0, 1, 2, 3, 4)
    assert curve.profit_minor == (0.0, 200.0, 150.0, 200.0, 150.0)
    assert curve.share[-1] == 1.0


def test_cost_curve_contacts_fewer_as_contacts_get_dearer():
    curve = draw_cost_curve(
        FOUR, probability=[0.5, 0.4, 0.3, 0.1], margin_if_response_minor=[250, 250, 100, 100],
        terms=TERMS, costs_minor=[0, 50, 110, 300], rfm=[1, 2, 3, 4],
    )  # fmt: skip
    assert curve.contacted == (4, 2, 1, 0)
    assert curve.model_minor == (350.0, 150.0, 140.0, 0.0)
    assert curve.all_minor == (350.0, 150.0, -90.0, -850.0)
    assert curve.rfm_minor == (350.0, 0.0, -110.0, 0.0)  # as many as the model, d and c first


def test_expected_profit_is_margin_by_chance_less_the_contact():
    assert expect_profit([0.5], [300], contact_cost_minor=50).tolist() == [100.0]


@pytest.mark.parametrize(
    "terms",
    [{"margin_rate": 0}, {"margin_rate": 1.2}, {"contact_cost_minor": -1}, {"max_share": 0}],
)
def test_terms_outside_their_range_are_refused(terms):
    with pytest.raises(InvalidParameter):
        ProfitTerms(**{"margin_rate": 0.25, "contact_cost_minor": 50, **terms})


def test_a_choice_of_the_wrong_length_is_refused():
    with pytest.raises(InvalidParameter):
        estimate_profit(FOUR, [1, 0], TERMS)
