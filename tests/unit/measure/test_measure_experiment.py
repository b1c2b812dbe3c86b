"""Experiments: degenerate data, many tests, guards, segments, sizes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import false_discovery_control, norm

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure import status
from zhiyin.measure.experiment import (
    Adjusted,
    AdjustedRatio,
    Aim,
    ArmStatistics,
    Moments,
    Prior,
    Quantile,
    Ratio,
    Share,
    adjust_bh,
    adjust_holm,
    check_guard,
    compare,
    compare_segments,
    find_power,
    find_smallest_effect,
    find_units,
    forecast,
    measure_effect,
    summarize_arm,
    summarize_quantile,
    summarize_rows,
)
from zhiyin.measure.experiment.result import METHODS
from zhiyin.measure.experiment.sizes import expect_effect

EMPTY = Moments(0, (0, 0), ((0, 0), (0, 0)))
FLAT = Moments(50, (50, 0), ((50, 0), (0, 0)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("control", "treatment", "relative", "expected"),
    [
        (ArmStatistics(0, 0, 0), ArmStatistics(50, 5, 9), False, status.NO_UNITS),
        (ArmStatistics(1, 1, 1), ArmStatistics(50, 5, 9), False, status.TOO_FEW_UNITS),
        (ArmStatistics(50, 50, 50), ArmStatistics(50, 50, 50), False, status.ZERO_VARIANCE),
        (ArmStatistics(50, 0, 0), ArmStatistics(50, 5, 9), True, status.ZERO_BASELINE),
        (Share(0, 0), Share(9, 1), False, status.NO_UNITS),
        (Share(90, 0), Share(90, 0), False, status.ZERO_VARIANCE),
        (Ratio(EMPTY), Ratio(EMPTY), False, status.NO_UNITS),
        (Ratio(FLAT), Ratio(FLAT), False, status.ZERO_BASELINE),  # nobody has a denominator
        (Adjusted(EMPTY), Adjusted(FLAT), False, status.NO_UNITS),
        (Quantile(5, 0.9, 1, 0, 2), Quantile(500, 0.9, 1, 0, 2), False, status.TOO_FEW_UNITS),
        ({}, {}, False, status.NO_UNITS),
        ({"a": Share(90, 0)}, {"a": Share(90, 0)}, False, status.ZERO_VARIANCE),
    ],
)  # fmt: skip
def test_degenerate_data_is_a_status(method, control, treatment, relative, expected):
    found = compare(control, treatment, method, relative=relative)
    assert found.status == expected
    assert math.isnan(found.low)
    assert math.isnan(found.p_value)
    assert math.isnan(found.chance_to_win)


def test_few_units_or_few_who_did_it_have_a_rough_interval():
    assert compare(Share(1000, 4), Share(1000, 30)).status == status.TOO_FEW_UNITS
    assert compare(Share(9, 4), Share(1000, 300)).low < 0
    assert compare(Share(1000, 40), Share(1000, 30)).status == status.OK


@pytest.mark.parametrize(
    "terms",
    [
        {"level": 1}, {"alternative": "up"}, {"tuning": 0}, {"method": "z"},
        {"alternative": "greater", "level": 0.4},
    ],
)  # fmt: skip
def test_terms_out_of_range_are_refused(terms):
    with pytest.raises(InvalidParameter):
        compare(Share(100, 40), Share(100, 50), **terms)


def test_arms_of_two_kinds_are_refused():
    with pytest.raises(InvalidParameter, match="two kinds"):
        compare(Share(100, 40), ArmStatistics(100, 40, 40))
    with pytest.raises(InvalidParameter, match="by stratum"):
        compare(Share(100, 40), {"a": Share(100, 40)})
    with pytest.raises(InvalidParameter, match="kinds"):
        compare({"a": Share(9, 4)}, {"a": ArmStatistics(9, 4, 4)})


@pytest.fixture(scope="module")
def rows():
    """Units whose metric hangs together with what they had before; planted effect 1."""
    rng = np.random.default_rng(5)
    before = rng.gamma(2, 3, 4000)
    arm = rng.integers(0, 2, 4000).astype(bool)
    now = 0.8 * before + rng.normal(size=4000) + arm
    orders = 1 + rng.poisson(2, 4000)
    return before, arm, now, orders


def test_the_covariate_takes_away_the_variance_that_it_explains(rows):
    before, arm, now, _ = rows
    plain = compare(summarize_arm(now[~arm]), summarize_arm(now[arm]))
    adjusted = compare(
        Adjusted(summarize_rows(now[~arm], before[~arm])),
        Adjusted(summarize_rows(now[arm], before[arm])),
    )
    assert adjusted.low < 1 < adjusted.high
    explained = 0.8**2 * 18 / (0.8**2 * 18 + 1)
    assert (adjusted.standard_error / plain.standard_error) ** 2 == pytest.approx(
        1 - explained, rel=0.05
    )


def test_a_covariate_that_explains_everything_leaves_no_variance(rows):
    before, arm, _, _ = rows
    arms = [Adjusted(summarize_rows(before[one], before[one])) for one in (~arm, arm)]
    assert compare(*arms).status == status.ZERO_VARIANCE


def test_a_covariate_without_variance_changes_nothing(rows):
    _, arm, now, _ = rows
    ones = np.ones(len(now))
    adjusted = compare(*(Adjusted(summarize_rows(now[one], ones[one])) for one in (~arm, arm)))
    plain = compare(*(summarize_arm(now[one]) for one in (~arm, arm)))
    assert adjusted.effect == pytest.approx(plain.effect)
    assert adjusted.low == pytest.approx(plain.low)


def test_the_error_of_a_ratio_is_that_of_redrawn_units(rows):
    """Delta method against the bootstrap, with and without the ratio before."""
    before, arm, now, orders = rows
    earlier = np.ones(len(now))
    rng = np.random.default_rng(6)
    columns = np.column_stack([now, orders, before, earlier])

    def measure(picked):
        sides = [picked[~arm_of(picked)], picked[arm_of(picked)]]
        sums = [side[:, :4].sum(axis=0) for side in sides]
        return sums[1][0] / sums[1][1] - sums[0][0] / sums[0][1]

    def arm_of(picked):
        return picked[:, 4].astype(bool)

    whole = np.column_stack([columns, arm])
    drawn = [measure(whole[rng.integers(0, len(whole), len(whole))]) for _ in range(300)]
    arms = [Ratio(summarize_rows(now[one], orders[one])) for one in (~arm, arm)]
    plain = compare(*arms)
    assert plain.effect == pytest.approx(measure(whole))
    assert plain.standard_error == pytest.approx(np.std(drawn), rel=0.12)
    full = [AdjustedRatio(summarize_rows(*columns[one].T)) for one in (~arm, arm)]
    assert full[0].plain.linear() == arms[0].linear()
    assert compare(*full).standard_error < plain.standard_error


def test_the_error_of_a_median_is_the_known_one_and_clusters_widen_it():
    rng = np.random.default_rng(7)
    values = rng.normal(size=20_000)
    found = summarize_quantile(values, 0.5).linear()
    assert found.variance == pytest.approx(np.pi / 2, rel=0.1)  # of a normal's median
    units = np.repeat(np.arange(5_000), 4)
    level = np.repeat(rng.normal(size=5_000), 4)  # four alike values a unit
    clustered = summarize_quantile(level, 0.5, units=units)
    alone = summarize_quantile(level, 0.5)
    assert clustered.linear().variance / alone.linear().variance == pytest.approx(4, rel=0.1)


def test_strata_take_the_difference_between_them_out_of_the_error():
    rng = np.random.default_rng(8)
    stratum, arm = rng.integers(0, 3, 3000), rng.integers(0, 2, 3000)
    values = 10.0 * stratum + rng.normal(size=3000) + 0.5 * arm
    sides = [
        {str(k): summarize_arm(values[(stratum == k) & (arm == side)]) for k in range(3)}
        for side in (0, 1)
    ]
    found = compare(*sides)
    assert found.low < 0.5 < found.high
    assert found.standard_error == pytest.approx(2 / math.sqrt(3000), rel=0.05)
    plain = compare(*(summarize_arm(values[arm == side]) for side in (0, 1)))
    assert plain.standard_error > 5 * found.standard_error


def test_a_stratum_without_one_of_the_arms_is_counted_with_the_largest():
    one = {"a": Share(50, 20), "b": Share(30, 10), "rare": Share(3, 1)}
    other = {"a": Share(50, 25), "b": Share(30, 12)}
    moved = {"a": Share(53, 21), "b": Share(30, 10)}
    assert compare(one, other) == compare(moved, other)


def test_less_is_better_turns_chance_and_risk_round():
    arms = Share(1000, 400), Share(1000, 430)
    more, less = (compare(*arms, "bayes", better=way) for way in ("higher", "lower"))
    assert more.chance_to_win + less.chance_to_win == pytest.approx(1)
    assert more.risk == less.risk[::-1]
    assert more.chance_to_win > 0.9


def test_a_prior_of_a_lift_is_turned_into_a_difference():
    arms = Share(1000, 400), Share(1000, 430)
    lift = compare(*arms, "bayes", prior=Prior(0, 0.05))
    difference = compare(*arms, "bayes", prior=Prior(0, 0.02, relative=False))
    assert lift.effect == pytest.approx(difference.effect)
    assert 0 < lift.effect < 0.03


def test_holm_and_benjamini_hochberg_as_r_has_them():
    """R: p.adjust(c(.01, .02, .03, .04, .05), "holm")."""
    assert adjust_holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx(
        [0.05, 0.08, 0.09, 0.09, 0.09]
    )
    rng = np.random.default_rng(9)
    values = rng.random(40) ** 2
    assert adjust_bh(values) == pytest.approx(false_discovery_control(values))
    with_gap = adjust_holm([0.04, float("nan"), 0.01])
    assert with_gap[[0, 2]] == pytest.approx([0.04, 0.02])
    assert math.isnan(with_gap[1])
    with pytest.raises(InvalidParameter):
        adjust_bh([0.5, 1.2])


@pytest.mark.parametrize(
    ("successes", "better", "verdict"),
    [
        (1000, "higher", "not_worse"),
        (960, "higher", "cannot_tell_yet"),
        (800, "higher", "worse"),
        (1000, "lower", "not_worse"),
        (1200, "lower", "worse"),
        (1040, "lower", "cannot_tell_yet"),
    ],
)
def test_a_guard_says_whether_a_loss_of_the_margin_is_excluded(successes, better, verdict):
    found = check_guard(Share(10_000, 1000), Share(10_000, successes), margin=0.08, better=better)
    assert found.verdict == verdict


def test_a_guard_without_data_cannot_tell():
    assert check_guard(Share(0, 0), Share(9, 1), margin=0.1).verdict == "cannot_tell_yet"
    with pytest.raises(InvalidParameter):
        check_guard(Share(90, 9), Share(90, 9), margin=-0.1)


def test_the_segment_with_the_planted_effect_is_found_and_the_others_are_not():
    control = {name: Share(5000, 500) for name in "abcdef"}
    treatment = dict(control) | {"c": Share(5000, 620), "e": Share(5000, 530)}
    found = compare_segments(control, treatment)
    assert found.spread_p_value < 0.05
    assert [one.segment for one in found.segments if one.p_value < 0.05] == ["c"]
    alike = compare_segments(control, {name: Share(5000, 505) for name in "abcdef"})
    assert alike.spread_p_value > 0.99
    with pytest.raises(InvalidParameter):
        compare_segments(control, {"a": Share(1, 1)})


def test_intervals_of_segments_are_wider_the_more_there_are():
    one = compare_segments({"a": Share(500, 50)}, {"a": Share(500, 60)}).segments[0].result
    many = compare_segments(
        {name: Share(500, 50) for name in "abcd"}, {name: Share(500, 60) for name in "abcd"}
    ).segments[0].result  # fmt: skip
    assert many.high - many.low > 1.2 * (one.high - one.low)


def test_as_many_units_as_are_asked_for_find_the_change():
    """.1 to .11 with 80 %: 2 (1.96 + .8416)² .9 / (.1 x .1²), the textbook's."""
    baseline = Share(1000, 100)
    n = find_units(baseline, 0.1)
    assert n == pytest.approx(
        2 * 2 * (norm.ppf(0.975) + norm.ppf(0.8)) ** 2 * 0.9 / 0.1 / 0.1**2, abs=1
    )
    effect = expect_effect(baseline, int(n), relative=True)
    assert find_power(effect, 0.1) == pytest.approx(0.8, abs=1e-4)
    assert find_smallest_effect(effect) == pytest.approx(0.1, rel=1e-4)
    assert find_units(baseline, 0.1, share=0.9) > 2.5 * n
    assert find_units(baseline, 0.1, Aim("sequential", tuning=n)) > n
    assert find_units(baseline, 0.1, Aim(tests=5)) > 1.3 * n


@pytest.mark.parametrize("method", METHODS)
def test_a_forecast_holds_when_its_units_have_come(method):
    aim = Aim(method, prior=Prior(0, 0.1) if method == "bayes" else None)
    effect = measure_effect(Share(2000, 200), Share(2000, 206), relative=True)
    found = forecast(effect, 0.1, aim, relative=True)
    assert 0 < found.power < 0.8
    grown = int(2000 * (1 + found.growth))
    later = measure_effect(
        Share(grown, grown // 10), Share(grown, round(grown * 0.103)), relative=True
    )
    assert find_power(later, 0.1, aim, relative=True) == pytest.approx(0.8, abs=0.003)
    assert forecast(later, 0.2, aim, relative=True).more_units == 0


def test_nothing_can_be_forecast_without_an_error():
    effect = measure_effect(Share(0, 0), Share(9, 1))
    assert math.isnan(forecast(effect, 0.1).growth)
    assert math.isnan(find_smallest_effect(effect))
    with pytest.raises(InvalidParameter):
        Aim(power=1)
    with pytest.raises(InvalidParameter):
        expect_effect(Share(100, 9), 3)
