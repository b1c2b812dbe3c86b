"""What a marketer reads of a ranking, and what she is told when there is too little."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.calibration import draw_calibration, estimate_ece, estimate_ece_floor
from zhiyin.measure.counts import coarsen, count_scores, from_groups
from zhiyin.measure.response import (
    draw_gains,
    estimate_auc,
    estimate_base_rate,
    estimate_brier,
    estimate_captured,
    estimate_lift,
    estimate_log_loss,
    top_size,
)


def _rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_nobody_scored_is_a_status_everywhere():
    nobody = count_scores([], [])
    estimates = [
        estimate_auc(nobody), estimate_captured(nobody, 0.3, rng=_rng()),
        estimate_lift(nobody, 0.1, rng=_rng()), estimate_brier(nobody),
        estimate_log_loss(nobody), estimate_base_rate(nobody),
        estimate_ece(nobody, rng=_rng()), estimate_ece_floor(nobody, rng=_rng()),
    ]  # fmt: skip
    assert {one.status for one in estimates} == {"no_units"}
    assert all(math.isnan(one.value) for one in estimates)
    assert draw_gains(nobody).captured == ()
    assert draw_calibration(nobody) == ()


def test_no_responder_leaves_no_auc_but_a_brier_score():
    counts = count_scores([0.2, 0.4], [0, 0])
    assert estimate_auc(counts).status == "no_positives"
    assert estimate_lift(counts, 0.5, rng=_rng()).status == "no_positives"
    assert estimate_brier(counts).value == pytest.approx((0.04 + 0.16) / 2)
    assert estimate_brier(counts).status == "no_positives"


def test_everybody_responding_is_named():
    assert estimate_auc(count_scores([0.2, 0.4], [1, 1])).status == "no_negatives"


def test_nine_responders_are_too_few():
    scores = np.random.default_rng(4).random(100)
    nine, ten = np.arange(100) < 9, np.arange(100) < 10
    assert estimate_auc(count_scores(scores, nine)).status == "too_few_units"
    assert estimate_auc(count_scores(scores, ten)).status == "ok"


def test_perfect_separation_has_no_interval():
    auc = estimate_auc(count_scores(np.arange(40), np.arange(40) >= 20))
    assert (auc.value, auc.status) == (1.0, "zero_variance")
    assert math.isnan(auc.low)


def test_equal_scores_are_worth_chance():
    counts = count_scores([0.5] * 100, [1] * 30 + [0] * 70)
    assert estimate_auc(counts).value == 0.5
    assert estimate_captured(counts, 0.3, rng=_rng()).value == pytest.approx(0.3)
    assert estimate_lift(counts, 0.1, rng=_rng()).value == pytest.approx(1.0)


def test_top_share_is_rounded_down_to_at_least_one_customer():
    assert [top_size(1133, 0.3), top_size(10, 0.3), top_size(5, 0.01)] == [339, 3, 1]
    with pytest.raises(InvalidParameter):
        top_size(10, 0.0)


def test_lift_of_a_perfect_top_tenth():
    counts = count_scores(np.arange(100), np.arange(100) >= 80)
    lift = estimate_lift(counts, 0.1, rng=_rng())
    assert lift.value == pytest.approx(5.0)
    assert lift.low <= 5.0 <= lift.high


def test_bootstrap_interval_of_captured_matches_its_binomial_error():
    rng = _rng()
    labels = rng.random(20_000) < 0.2
    scores = rng.random(20_000)
    captured = estimate_captured(count_scores(scores, labels), 0.3, rng=rng, samples=800)
    expected = 1.96 * (0.3 * 0.7 / labels.sum()) ** 0.5
    assert (captured.high - captured.low) / 2 == pytest.approx(expected, rel=0.12)


def test_ece_of_honest_scores_is_within_its_floor_and_of_boasting_ones_is_not():
    rng = _rng()
    scores = rng.beta(2, 6, 3000)
    honest = count_scores(scores, rng.random(3000) < scores)
    boasting = count_scores(np.clip(scores * 1.6, 0, 1), rng.random(3000) < scores)
    floor = estimate_ece_floor(honest, rng=rng, samples=300)
    ece = estimate_ece(honest, rng=rng, samples=300)
    assert ece.value <= floor.high
    assert ece.low <= floor.value
    wrong = estimate_ece(boasting, rng=rng, samples=300)
    assert wrong.low > estimate_ece_floor(boasting, rng=rng, samples=300).high


def test_floor_of_a_coin_is_that_of_the_normal_approximation():
    # 10 bins of 400 customers at p = .5: mean |normal| of deviation sqrt(.25 / 400)
    counts = count_scores(np.linspace(0.4999, 0.5001, 4000), np.arange(4000) % 2)
    floor = estimate_ece_floor(counts, rng=_rng(), samples=2000)
    assert floor.value == pytest.approx((2 / math.pi) ** 0.5 * 0.025, rel=0.02)


def test_calibration_bins_are_equal_and_bound_their_rate():
    rng = _rng()
    scores = rng.random(995)
    bins = draw_calibration(count_scores(scores, rng.random(995) < scores))
    assert {one.n for one in bins} == {99, 100}
    assert sum(one.n for one in bins) == 995
    assert all(one.low <= one.rate <= one.high for one in bins)
    assert [one.mean_score for one in bins] == sorted(one.mean_score for one in bins)


def test_fewer_customers_than_bins_leave_empty_bins_out():
    bins = draw_calibration(count_scores([0.1, 0.6, 0.9], [0, 1, 1]))
    assert [one.n for one in bins] == [1, 1, 1]


def test_scores_that_are_no_probabilities_are_refused_only_where_they_must_be():
    counts = count_scores([3.0, -1.0, 2.0], [1, 0, 0])
    assert estimate_auc(counts).value == 1.0
    with pytest.raises(InvalidParameter, match="no probability"):
        estimate_brier(counts)
    with pytest.raises(InvalidParameter, match="no probability"):
        estimate_ece(counts, rng=_rng())


@pytest.mark.parametrize(
    ("scores", "labels"),
    [([0.1], [1, 0]), ([float("nan")], [1]), ([0.1], [2]), ([[0.1]], [[1]])],
)
def test_bad_input_is_refused_with_a_sentence(scores, labels):
    with pytest.raises(InvalidParameter):
        count_scores(scores, labels)


def test_engine_groups_equal_counted_rows():
    counted = count_scores([0.2, 0.2, 0.7, 0.2], [0, 1, 1, 0])
    grouped = from_groups([0.7, 0.2, 0.2], [1, 1, 2], [1, 0, 1])
    assert grouped.scores.tolist() == counted.scores.tolist() == [0.7, 0.2]
    assert grouped.units.tolist() == counted.units.tolist() == [1, 3]
    assert grouped.positives.tolist() == counted.positives.tolist() == [1, 1]
    with pytest.raises(InvalidParameter):
        from_groups([0.1], [1], [2])


def test_coarsening_keeps_totals_and_the_auc():
    rng = _rng()
    scores = rng.random(50_000)
    counts = count_scores(scores, rng.random(50_000) < scores)
    coarse = coarsen(counts)
    assert len(coarse.scores) == 2000
    assert (coarse.n, coarse.n_positives) == (counts.n, counts.n_positives)
    assert estimate_auc(coarse).value == pytest.approx(estimate_auc(counts).value, abs=1e-5)


def test_the_bootstrap_needs_chance():
    with pytest.raises(InvalidParameter, match="rng"):
        estimate_auc(count_scores([0.1, 0.2], [0, 1]), method="bootstrap")
