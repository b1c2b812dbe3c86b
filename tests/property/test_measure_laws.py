"""Laws of the measures: rows in any order, money at any scale, parts and wholes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhiyin.measure.calibration import draw_calibration, estimate_ece
from zhiyin.measure.counts import count_scores, merge_counts
from zhiyin.measure.experiment import compare_means, estimate_lift, summarize_arm
from zhiyin.measure.increment import estimate_increment
from zhiyin.measure.profit import (
    CampaignOutcomes,
    ProfitTerms,
    choose_by_profit,
    choose_top,
    draw_depth_curve,
    estimate_profit,
)
from zhiyin.measure.response import draw_gains, estimate_auc, estimate_brier

money = st.lists(st.integers(-(10**7), 10**9), min_size=2, max_size=40)
scored = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans()), max_size=60
)
recipients = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.7]), st.booleans(), st.integers(0, 10**6)),
    min_size=2,
    max_size=40,
)


@given(money, money)
def test_merged_statistics_equal_pooled_rows(one, other):
    assert summarize_arm(np.array(one)) + summarize_arm(np.array(other)) == summarize_arm(
        np.array(one + other)
    )


@given(scored, scored)
def test_merged_score_counts_equal_pooled_rows(one, other):
    def count(rows):
        return count_scores([score for score, _ in rows], [label for _, label in rows])

    merged, pooled = merge_counts(count(one), count(other)), count(one + other)
    assert merged.scores.tolist() == pooled.scores.tolist()
    assert merged.units.tolist() == pooled.units.tolist()
    assert merged.positives.tolist() == pooled.positives.tolist()


@given(money, money, st.integers(2, 1000))
def test_money_in_other_units_scales_the_difference_and_leaves_the_lift(one, other, factor):
    def compare(scale, measure):
        arms = (summarize_arm(np.array(part) * scale) for part in (one, other))
        return measure(*arms)

    plain, scaled = compare(1, compare_means), compare(factor, compare_means)
    assert scaled.estimate.value == pytest.approx(plain.estimate.value * factor)
    assert scaled.estimate.high == pytest.approx(plain.estimate.high * factor, nan_ok=True)
    assert scaled.p_value == pytest.approx(plain.p_value, nan_ok=True)
    lift, scaled_lift = compare(1, estimate_lift), compare(factor, estimate_lift)
    assert scaled_lift.estimate.low == pytest.approx(lift.estimate.low, nan_ok=True)


@given(scored.filter(bool), st.randoms())
def test_order_of_rows_changes_nothing(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = (
        count_scores([score for score, _ in part], [label for _, label in part])
        for part in (rows, shuffled)
    )
    assert repr(estimate_brier(one)) == repr(estimate_brier(other))  # NaN bounds included
    assert draw_gains(one) == draw_gains(other)
    assert draw_calibration(one) == draw_calibration(other)


@given(scored)
def test_gains_rise_to_all_and_auc_turns_over_with_the_scores(rows):
    counts = count_scores([score for score, _ in rows], [label for _, label in rows])
    turned = count_scores([-score for score, _ in rows], [label for _, label in rows])
    gains = draw_gains(counts)
    if counts.n_positives:
        assert gains.captured[0] == 0
        assert gains.captured[-1] == pytest.approx(1)
        assert (np.diff(gains.captured) >= -1e-12).all()
    if counts.measurable:
        assert estimate_auc(counts).value + estimate_auc(turned).value == pytest.approx(1)


@given(recipients, st.integers(2, 50), st.randoms())
def test_profit_scales_with_money_and_ignores_row_order(rows, factor, random):
    terms = ProfitTerms(0.25, 50, max_share=0.5)

    def profit(part, scale):
        score = np.array([one[0] for one in part])
        outcomes = CampaignOutcomes(
            np.array([str(number) for number in range(len(part))]),
            np.array([one[1] for one in part]),
            np.array([one[2] for one in part], dtype=np.int64) * scale,
        )
        at = ProfitTerms(0.25, 50 * scale, max_share=0.5)
        return (
            estimate_profit(outcomes, choose_top(score, terms.most_contacts(len(part))), at).value,
            draw_depth_curve(outcomes, score, at, points=6).profit_minor,
        )

    shuffled = list(rows)
    random.shuffle(shuffled)
    value, curve = profit(rows, 1)
    assert profit(shuffled, 1)[0] == pytest.approx(value)
    assert profit(rows, factor)[0] == pytest.approx(value * factor)
    assert profit(rows, factor)[1] == pytest.approx([one * factor for one in curve])


@given(recipients, st.floats(0.01, 1), st.integers(0, 3000))
def test_a_choice_never_exceeds_share_or_budget_nor_takes_a_loss(rows, share, budget):
    expected = np.array([one[2] for one in rows], dtype=float) - 1000
    terms = ProfitTerms(0.25, 50, max_share=share, budget_minor=budget)
    chosen = choose_by_profit(expected, np.arange(len(rows)).astype(str), terms)
    assert chosen.sum() <= share * len(rows) + 1e-9
    assert chosen.sum() * 50 <= budget
    assert (expected[chosen == 1] > 0).all()


def test_increment_intervals_cover_the_truth_about_95_times_in_100():
    rng, effect = np.random.default_rng(20), 3.0
    missed = 0
    for _ in range(1000):
        treated = rng.gamma(0.5, 20, 450) + effect
        held_out = rng.gamma(0.5, 20, 50)
        difference = estimate_increment(
            summarize_arm(treated), summarize_arm(held_out), holdout_share=0.1
        ).difference
        missed += not difference.low <= effect <= difference.high
    assert 0.03 <= missed / 1000 <= 0.08  # a small skewed arm errs a little more


def test_auc_intervals_cover_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(21)
    missed = 0
    for _ in range(1000):
        labels = rng.random(300) < 0.3
        scores = rng.normal(size=300) + labels  # true AUC: Phi(1 / sqrt 2)
        auc = estimate_auc(count_scores(scores, labels))
        missed += not auc.low <= 0.7602499 <= auc.high
    assert 0.035 <= missed / 1000 <= 0.07


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_ece_is_repeatable_for_equal_chance(seed):
    counts = count_scores([0.1, 0.4, 0.4, 0.8], [0, 1, 0, 1])
    one = estimate_ece(counts, rng=np.random.default_rng(seed), samples=20)
    assert one == estimate_ece(counts, rng=np.random.default_rng(seed), samples=20)
