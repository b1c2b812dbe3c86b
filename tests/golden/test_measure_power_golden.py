"""The smallest change a holdout can show, against published numbers and the exact binomial law."""

import numpy as np
import pytest
from scipy.stats import binom, t

from zhiyin.measure.power import find_enough, find_power, find_smallest_change


def test_a_tenth_of_twenty_thousand_at_two_percent_shows_46_percent():
    assert find_smallest_change(20_000, 0.1, 0.02) == pytest.approx(0.462, abs=5e-4)


def test_power_is_that_of_chow_shao_and_wang():
    """Their example: 0.65 against 0.85 needs 70 in each arm (69.66) for 80 %."""
    assert find_power(70, 70, 0.65, 0.85) >= 0.8 > find_power(69, 69, 0.65, 0.85)


def test_a_rise_and_a_fall_of_that_size_are_found_four_times_out_of_five():
    """The exact chance that Welch's test rejects; a rise is found less often than a fall."""
    n, base = 20_000, 0.02
    change = find_smallest_change(n, 0.1, base)
    rise, fall = (_exact_power(2_000, 18_000, base, base * (1 + one * change)) for one in (1, -1))
    assert 0.75 < rise < 0.8 < fall < 0.86
    assert (rise + fall) / 2 == pytest.approx(0.8, abs=0.01)
    assert rise == pytest.approx(find_power(2_000, 18_000, base, base * (1 + change)), abs=0.05)


def _exact_power(held, treated, base, rate):
    """Over every pair of counts, by its binomial probability."""
    a = np.arange(binom.ppf(1e-9, held, base), binom.ppf(1 - 1e-9, held, base) + 1)
    b = np.arange(binom.ppf(1e-9, treated, rate), binom.ppf(1 - 1e-9, treated, rate) + 1)
    p, q = a[:, None] / held, b[None, :] / treated
    one, other = p * (1 - p) / (held - 1), q * (1 - q) / (treated - 1)
    freedom = (one + other) ** 2 / (one**2 / (held - 1) + other**2 / (treated - 1))
    found = np.abs(q - p) > t.ppf(0.975, freedom) * np.sqrt(one + other)
    return (binom.pmf(a, held, base)[:, None] * binom.pmf(b, treated, rate)[None, :])[found].sum()


def test_what_would_do_shows_exactly_the_wanted_change():
    enough = find_enough(20_000, 0.1, 0.02, change=0.3)
    assert find_smallest_change(20_000, enough.holdout_share, 0.02) == pytest.approx(0.3)
    pooled = find_smallest_change(20_000 * enough.campaigns, 0.1, 0.02)
    one_less = find_smallest_change(20_000 * (enough.campaigns - 1), 0.1, 0.02)
    assert pooled <= 0.3 < one_less


def test_where_no_share_of_these_people_would_do_only_more_campaigns_are_named():
    enough = find_enough(20_000, 0.1, 0.02, change=0.1)
    assert enough.holdout_share is None
    assert enough.campaigns == 22


@pytest.mark.parametrize(("n", "share", "base"), [(0, 0.1, 0.02), (1000, 0, 0.02), (1000, 0.1, 0)])
def test_degenerate_sizes_show_nothing(n, share, base):
    assert find_smallest_change(n, share, base) is None
    assert find_enough(n, share, base, change=0.1) is None
