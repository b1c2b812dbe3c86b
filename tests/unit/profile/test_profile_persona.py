"""What sets a group apart: planted differences are found, chance is not told."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tests.examples import TIMES
from zhiyin.core.errors import NotEnoughData
from zhiyin.profile.persona import (
    Number,
    Share,
    adjust,
    describe,
    difference_of_means,
    difference_of_shares,
    rank_effect,
    ratio_of_means,
    ratio_of_shares,
)

PEOPLE = 4_000


def places_of(values, cuts=12):
    """How many edges lie below each value; the number of edges. Of a group no matter."""
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, cuts + 1)[1:-1]))
    return np.searchsorted(edges, values), len(edges)


def number(name, values, group, places):
    known = ~np.isnan(values)
    below, n_edges = places
    sides = []
    for side in (group & known, ~group & known):
        x = values[side]
        at = np.bincount(below[side], minlength=n_edges + 1)
        above = tuple(int(n) for n in len(x) - np.cumsum(at)[:-1])
        sides.append((len(x), x.mean(), x.var(ddof=1), above))
    (n, mean, var, above), (nb, mb, vb, ab) = sides
    return Number(name, n, mean, var, above, nb, mb, vb, ab, float(values[known].min()))


def shop(rng):
    """Numbers as customers have them: skewed, correlated, mostly zero."""
    together = rng.normal(size=PEOPLE)
    made = {}
    for k, skew in enumerate(np.linspace(0.3, 2.0, 30)):
        made[f"money_{k}"] = np.exp(skew * (together / 2 + 0.9 * rng.normal(size=PEOPLE)))
    for k, mean in enumerate(np.linspace(0.02, 4.0, 20)):
        made[f"count_{k}"] = rng.poisson(mean * np.exp(together / 2)).astype(float)
    for k in range(10):
        is_any = rng.random(PEOPLE) < 0.01 + 0.05 * k
        made[f"share_{k}"] = np.where(is_any, rng.random(PEOPLE), 0.0)
    return made


def drawn(rng, n):
    return rng.permutation(PEOPLE) < n


def described(values, group, shares=(), places=None):
    n = int(group.sum())
    places = places or {name: places_of(column) for name, column in values.items()}
    numbers = [number(name, column, group, places[name]) for name, column in values.items()]
    return describe(numbers, shares, n=n, n_base=PEOPLE - n)


@pytest.mark.parametrize("n", [10, 40, 2_000] if TIMES == 1 else [10, 15, 40, 300, 2_000])
def test_a_random_group_is_told_apart_in_hardly_any_case(n):
    rng = np.random.default_rng(n)
    values = shop(rng)
    places = {name: places_of(column) for name, column in values.items()}
    told = [described(values, drawn(rng, n), places=places).told for _ in range(60)]
    # 60 draws at 5 %: 8 or more happen once in a hundred tests
    assert sum(one > 0 for one in told) <= 7


def test_a_planted_difference_is_told_first_and_unplanted_ones_are_not():
    rng = np.random.default_rng(3)
    values = shop(rng)
    group = drawn(rng, 200)
    values["money_10"] = np.where(group, values["money_10"] * 2.3, values["money_10"])
    found = described(values, group)
    assert found.differences[0].name == "money_10"
    assert found.told <= 2
    first = found.differences[0]
    assert first.ratio.low < 2.3 < first.ratio.high
    assert first.effect.value > 0.3
    assert first.adjusted < 1e-6


def test_a_planted_share_is_found_among_random_ones():
    rng = np.random.default_rng(5)
    group = drawn(rng, 300)
    shares = []
    for k in range(40):
        chance = np.where(group & (k == 7), 0.30, 0.10)
        has = rng.random(PEOPLE) < chance
        shares.append(Share("tag", f"t{k}", "", int((has & group).sum()), 300,
                            int((has & ~group).sum()), PEOPLE - 300))  # fmt: skip
    found = describe([], shares, n=300, n_base=PEOPLE - 300)
    assert [one.name for one in found.told_differences] == ["t7"]
    assert found.differences[0].ratio.low > 1.5


@pytest.mark.parametrize("skew", [0.5, 1.2])
def test_intervals_cover_what_is_true(skew):
    rng = np.random.default_rng(11)
    seen = {"ratio": 0, "difference": 0, "effect": 0, "lift": 0, "points": 0}
    rounds, n, m = 300, 150, 1_000
    mean = math.exp(skew**2 / 2)
    delta = 2 * stats.norm.cdf(math.log(1.5) / skew / math.sqrt(2)) - 1
    for _ in range(rounds):
        x = np.exp(skew * rng.normal(size=n + m))
        group = np.arange(n + m) < n
        x[group] *= 1.5
        one = number("x", x, group, places_of(x, 40))
        share = Share("tag", "t", "", int(rng.binomial(n, 0.3)), n, int(rng.binomial(m, 0.1)), m)
        truths = {
            "ratio": (ratio_of_means(one, level=0.95), 1.5),
            "difference": (difference_of_means(one, level=0.95), mean * 0.5),
            "effect": (rank_effect(one, level=0.95), delta),
            "lift": (ratio_of_shares(share, level=0.95), 3.0),
            "points": (difference_of_shares(share, level=0.95), 0.2),
        }
        for name, (found, truth) in truths.items():
            seen[name] += found.low <= truth <= found.high
    assert min(seen.values()) >= 0.91 * rounds, seen
    assert max(seen.values()) <= 0.99 * rounds, seen


def test_formulas_give_published_numbers():
    # Newcombe (1998), table II, (a) 56/70 - 48/80, method 10: .0524 to .3339
    found = difference_of_shares(Share("", "", "", 56, 70, 48, 80), level=0.95)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)
    assert adjust([0.01, 0.04, 0.03, 0.5]).round(4).tolist() == [0.04, 0.0533, 0.0533, 0.5]


def test_ranks_agree_with_mann_and_whitney():
    rng = np.random.default_rng(2)
    x = np.round(np.exp(rng.normal(size=500)), 1)
    group = np.arange(500) < 80
    one = number("x", x, group, places_of(x, 1_000))
    u = stats.mannwhitneyu(x[group], x[~group], use_continuity=False, method="asymptotic")
    found = describe([one], [], n=80, n_base=420).differences[0]
    assert found.p == pytest.approx(u.pvalue, rel=1e-9)
    assert found.effect.value == pytest.approx(2 * u.statistic / (80 * 420) - 1)


def test_small_groups_and_rare_values_are_not_described():
    with pytest.raises(NotEnoughData, match="fewer than 10"):
        describe([], [], n=9, n_base=1_000)
    with pytest.raises(NotEnoughData, match="base"):
        describe([], [], n=1_000, n_base=9)
    rare = Share("tag", "t", "", 9, 50, 0, 1_000)
    assert describe([], [rare], n=50, n_base=1_000).differences == ()


def test_what_is_the_same_for_all_is_no_difference():
    same = Number("x", 50, 1.0, 0.0, (0,), 50, 1.0, 0.0, (0,), 1.0)
    assert describe([same], [], n=50, n_base=50).told == 0


def test_a_number_that_can_be_negative_has_no_ratio():
    one = Number("x", 50, 1.0, 1.0, (10,), 50, 2.0, 1.0, (20,), -3.0)
    assert ratio_of_means(one, level=0.95).status == "no_ratio"
