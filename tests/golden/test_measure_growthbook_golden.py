"""Experiments against GrowthBook's published test cases, to five decimals.

Vectors: github.com/growthbook/growthbook (MIT), `packages/stats/tests/frequentist/test_tests.py`,
`test_post_strat.py`, `bayesian/test_tests.py`, `test_midexperimentpower.py` and, for the hash,
`packages/sdk-js/test/cases.json`; the long ones are in `growthbook.json`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from zhiyin.govern.assignment import find_range, find_ranges, place_of_growthbook
from zhiyin.measure.experiment import (
    Adjusted,
    AdjustedRatio,
    ArmStatistics,
    Moments,
    Prior,
    Quantile,
    Ratio,
    Share,
    compare,
    measure_effect,
    strata,
)
from zhiyin.measure.experiment.result import find_excess
from zhiyin.measure.experiment.sizes import Aim, find_power, forecast

CASES = json.loads((Path(__file__).parent / "growthbook.json").read_text(encoding="utf-8"))
A, B = ArmStatistics(3407, 1396.87, 52377.9767), ArmStatistics(3461, 2422.7, 134698.29)
SMALLER = ArmStatistics(3000, 1396.87, 52377.9767)
INFINITE = float("inf")


def close(*values):
    return pytest.approx(values if len(values) > 1 else values[0], abs=5.1e-6)


def read(row: list[float]) -> dict[str, object]:
    """The four kinds of metric that one row of `growthbook.json` holds."""
    named = dict(zip(CASES["columns"], row, strict=True))
    named |= {"dm": named["md"], "dp": named["pd"], "pm": named["mp"], "qm": named["mq"]}
    named |= {"qd": named["dq"], "qp": named["pq"]}

    def moments(names: str) -> Moments:
        products = tuple(tuple(named[one + other] for other in names) for one in names)
        return Moments(int(named["n"]), tuple(named[one] for one in names), products)

    return {
        "mean": ArmStatistics(int(named["n"]), named["m"], named["mm"]),
        "ratio": Ratio(moments("md")),
        "adjusted": Adjusted(moments("mp")),
        "adjusted_ratio": AdjustedRatio(moments("mdpq")),
    }


STRATA = [[read(arm) for arm in pair] for pair in CASES["strata"]]


def by_stratum(kind: str, arm: int):
    return {str(i): pair[arm][kind] for i, pair in enumerate(STRATA)}


@pytest.mark.parametrize(
    ("arms", "terms", "expected"),
    [
        ((A, B), {"relative": True}, (0.70732, -0.03526, 1.44989, 0.06191, 0.37879)),
        ((A, B), {}, (0.29, 0.04538, 0.53462, 0.02016, 0.12478)),
        (
            (Share(28, 14), Share(30, 16)),
            {"relative": True},
            (0.06667, -0.47767, 0.61101, 0.80707, 0.2717),
        ),
        (
            (SMALLER, B),
            {"relative": True, "alternative": "greater"},
            (0.50336, -0.04514, INFINITE, 0.06558, 0.33341),
        ),
        (
            (SMALLER, B),
            {"alternative": "greater"},
            (0.23438, 0.02079, INFINITE, 0.03554, 0.12983),
        ),
        (
            (SMALLER, B),
            {"relative": True, "alternative": "less"},
            (0.50336, -INFINITE, 1.05186, 0.93442, 0.33341),
        ),
        (
            (SMALLER, B),
            {"alternative": "less"},
            (0.23438, -INFINITE, 0.44796, 0.96446, 0.12983),
        ),
    ],
)
def test_welch(arms, terms, expected):
    found = compare(*arms, "t", **terms)
    got = (found.effect, found.low, found.high, found.p_value, found.standard_error)
    assert got == close(*expected)


ADJUSTED = tuple(
    Adjusted(Moments(n, (total, before), ((squares, 1), (1, before_squares))))
    for n, total, squares, before, before_squares in (
        (3000, 1396.87, 52377.9767, 16.87, 527.9767),
        (3461, 2422.7, 134698.29, 22.7, 1348.29),
    )
)
RATIOS = tuple(read(row)["adjusted_ratio"] for row in CASES["adjusted_ratio_arms"])


@pytest.mark.parametrize(
    ("arms", "tuning", "expected"),
    [
        ((SMALLER, B), 1000, (0.50336, -0.55844, 1.56516, 1)),
        ((Share(3000, 1396), Share(3461, 2422)), 5000, (0.50386, 0.40098, 0.60675, 0)),
        (ADJUSTED, 5000, (0.50338, -0.50969, 1.51646, 1)),
        (RATIOS, 5000, (-0.0007, -0.02063, 0.01923, 1)),
    ],
)
def test_sequential(arms, tuning, expected):
    found = compare(*arms, "sequential", relative=True, tuning=tuning)
    assert (found.effect, found.low, found.high, found.p_value) == close(*expected)


def test_adjusted_ratio_by_welch():
    found = compare(*RATIOS, "t", relative=True)
    got = (found.effect, found.low, found.high, found.p_value, found.standard_error)
    assert got == close(-0.0007, -0.00841, 0.007, 0.85771, 0.00391)


def test_sequential_bounds_of_one_side():
    lift = compare(SMALLER, B, "sequential", relative=True, alternative="greater")
    assert (lift.low, lift.high) == close(-0.42356454602790883, INFINITE)
    difference = compare(SMALLER, B, "sequential", alternative="greater")
    assert difference.low == pytest.approx(-0.12656844172804982, abs=5e-6)
    # GrowthBook looks for this p-value by bisection, here it is a closed form
    assert difference.p_value == pytest.approx(0.46316491943359384, abs=2e-4)
    less = compare(SMALLER, B, "sequential", alternative="less")
    assert (less.low, less.high) == close(-INFINITE, 0.5953217750613832)
    assert less.p_value == 0.5  # theirs ends at 0.4999
    assert compare(SMALLER, B, "sequential", relative=True, alternative="less").high == close(
        1.4302867177403806
    )


@pytest.mark.parametrize(
    ("arms", "prior", "expected"),
    [
        (
            (Share(100, 49), Share(100, 51)),
            None,
            (0.04082, -0.24779, 0.32943, 0.60918, 0.0814, 0.04058),
        ),
        (
            (ArmStatistics(10, 100, 1002.25), ArmStatistics(10, 105, 1111.5)),
            None,
            (0.05, -0.02, 0.12, 0.91923, 0.05131, 0.00131),
        ),
        (
            (ArmStatistics(10, 100, 1002.25), ArmStatistics(10, 105, 1111.5)),
            Prior(0.1, 0.1**0.5),
            (0.05063, -0.01893, 0.12019, 0.92315, 0.05186, 0.00123),
        ),
    ],
)
def test_bayes(arms, prior, expected):
    found = compare(*arms, "bayes", relative=True, prior=prior)
    got = (found.effect, found.low, found.high, found.chance_to_win, *found.risk)
    assert got == close(*expected)


def test_risk_of_both_arms():
    """`get_risk(.1, .05)` is .1004245351 for the control, .0004245351 for the treatment."""
    above = find_excess(0.1, 0.05)
    assert (above, above - 0.1) == pytest.approx((0.1004245351, 0.0004245351), abs=5e-11)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({}, (0.5365124375579775, 0.4572559589115422, 0.6157689162044128)),
        ({"prior": Prior(0, 1e3)}, (0.536512437540855, 0.4572559588956844, 0.6157689161860256)),
        ({"prior": Prior(0, 1)}, (0.536495315442269, 0.4572401014910488, 0.6157505293934892)),
        (
            {"prior": Prior(0, 1e3), "relative": True},
            (0.07495297222736319, 0.06341005842481906, 0.08649588602990732),
        ),
        (
            {"prior": Prior(0, 1), "relative": True},
            (0.07495037261804469, 0.06340765898986044, 0.08649308624622894),
        ),
    ],
)
def test_quantiles_with_a_prior_of_the_lift(terms, expected):
    arms = (
        Quantile(11054, 0.9, 7.157987489967789, 7.098780136176828, 7.217194843758751),
        Quantile(10861, 0.9, 7.694499927525767, 7.64180598628119, 7.747193868770344),
    )
    found = compare(*arms, "bayes", **terms)
    assert (found.effect, found.low, found.high) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", ["mean", "adjusted", "ratio", "adjusted_ratio"])
@pytest.mark.parametrize("relative", [False, True])
def test_strata(kind, relative, monkeypatch):
    """Effects as published; errors and intervals too, with the weights that they were made by.

    Theirs are E[w u²] over all strata u where ours are E[w²] (decision 0026).
    """
    arms = by_stratum(kind, 0), by_stratum(kind, 1)
    expected = CASES["strata_expected"][kind]["lift" if relative else "difference"]
    ours = compare(*arms, relative=relative)
    assert ours.effect == close(expected[0])
    monkeypatch.setattr(strata, "_expect_squares", expect_as_growthbook)
    theirs = compare(*arms, relative=relative)
    got = (theirs.effect, theirs.standard_error, theirs.low, theirs.high)
    assert got == close(*expected)
    assert ours.standard_error != close(theirs.standard_error)


def expect_as_growthbook(shares, n):
    """Sums over u of E[w u²], third moments of a multinomial (Ouimet 2020, eq. 3.3)."""
    found = np.zeros(len(shares))
    for i, w in enumerate(shares):
        for j, u in enumerate(shares):
            if i == j:
                found[i] += n * (n - 1) * ((n - 2) * w**3 + 3 * w**2) + n * w
            else:
                found[i] += n * (n - 1) * ((n - 2) * w * u**2 + w * u)
    return found / n**3


@pytest.mark.parametrize(
    ("aim", "growth"),
    [
        (Aim(), 25.45703125),
        (Aim("sequential"), 55.66796875),
        (Aim("bayes", prior=Prior(0.05, 0.001**0.5)), 13.9404296875),
    ],
)
def test_power_during_an_experiment(aim, growth):
    """At GrowthBook's growth the power is .8; it stops searching within 1e-5 of it."""
    effect = measure_effect(
        ArmStatistics(500, 500, 1500), ArmStatistics(500, 525, 1551.25), relative=True
    )
    at = find_power(effect, 0.05, aim, growth=growth, relative=True)
    assert at == pytest.approx(0.8, abs=1e-5)
    assert forecast(effect, 0.05, aim, relative=True).growth == pytest.approx(growth, rel=1e-4)


@pytest.mark.parametrize(("seed", "unit", "version", "place"), CASES["hash"])
def test_hash(seed, unit, version, place):
    assert place_of_growthbook(seed, unit, version=version) == place


@pytest.mark.parametrize(("given", "expected"), CASES["ranges"])
def test_ranges(given, expected):
    arms, coverage, weights = given
    found = find_ranges(weights or [1] * arms, coverage=coverage)
    assert np.array(found) == pytest.approx(np.array(expected))


@pytest.mark.parametrize(("place", "ranges", "arm"), CASES["choose"])
def test_choice(place, ranges, arm):
    assert find_range(place, ranges) == (None if arm == -1 else arm)


@pytest.mark.parametrize(("unit", "namespace", "part", "inside"), CASES["namespace"])
def test_namespace(unit, namespace, part, inside):
    place = place_of_growthbook(f"__{namespace}", unit, version=1)
    assert (find_range(place, [part]) is not None) == inside
