"""A policy takes over step by step, and goes back by itself when it is worse."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.ramp import Metric, Ramp, Sums, find_gain, observe, start, step

RATE = 0.2
REWARD = Metric(math.sqrt(RATE * (1 - RATE)))
COMPLAINTS = Metric(math.sqrt(0.01 * 0.99), most=0.005)


def sums(won, n):
    return {"reward": Sums(n, won, won)}


def run(gain, *, rng, planned=40_000, batch=1_000, looks=200, **more):
    """A ramp of yes-or-no rewards, looked at after every batch."""
    ramp = start(REWARD, planned=planned, **more)
    for _ in range(looks):
        n = int(rng.binomial(batch, ramp.share))
        ramp = step(
            observe(
                ramp,
                sums(int(rng.binomial(n, RATE + gain)), n),
                sums(int(rng.binomial(batch - n, RATE)), batch - n),
            )
        )
        if ramp.status != "running":
            break
    return ramp


def test_a_better_policy_rises_by_stages_and_takes_over():
    ramp = start(REWARD, planned=40_000, least=500)
    seen = [ramp.share]
    for _ in range(300):
        n = round(1_000 * ramp.share)
        ramp = step(observe(ramp, sums(0.25 * n, n), sums(0.2 * (1_000 - n), 1_000 - n)))
        seen.append(ramp.share)
        if ramp.status == "full":
            break
    assert list(dict.fromkeys(seen)) == [0.01, 0.05, 0.25, 0.95]
    assert (ramp.status, ramp.reason) == ("full", "better")
    assert find_gain(ramp).low > 0


def test_no_stage_is_left_before_enough_of_its_own_decisions():
    ramp = start(REWARD, planned=40_000, least=500)
    for n in (499, 1):
        assert ramp.stage == 0
        ramp = step(observe(ramp, sums(0.2 * n, n), sums(20, 100)))
    assert (ramp.stage, ramp.reason) == (1, "not_worse")


def test_a_worse_policy_goes_back_before_many_have_met_it():
    ramp = run(-0.1, rng=np.random.default_rng(1))
    assert (ramp.status, ramp.reason, ramp.share) == ("rolled_back", "worse", 0.0)
    assert sum(each.candidate["reward"].n for each in ramp.stages if each.candidate) < 3_000


def test_what_went_back_stays_back():
    ramp = run(-0.1, rng=np.random.default_rng(1))
    again = step(observe(ramp, sums(900, 1_000), sums(0, 1_000)))
    assert (again.status, again.share) == ("rolled_back", 0.0)


def test_a_policy_that_is_not_shown_to_be_better_in_time_goes_back():
    ramp = run(0.0, rng=np.random.default_rng(2), planned=20_000)
    assert (ramp.status, ramp.reason) == ("rolled_back", "not_shown")


def test_a_policy_that_turns_worse_after_it_took_over_goes_back():
    ramp = run(0.1, rng=np.random.default_rng(3))
    assert ramp.status == "full"
    for _ in range(100):
        ramp = step(observe(ramp, sums(95, 950), sums(15, 50)))
    assert (ramp.status, ramp.reason) == ("rolled_back", "worse")


def test_looking_after_every_batch_lets_few_equal_policies_pass():
    rng = np.random.default_rng(4)
    ramps = [run(0.0, rng=rng, planned=5_000) for _ in range(300)]
    assert sum(ramp.reason == "better" for ramp in ramps) <= 15
    assert sum(ramp.reason == "worse" for ramp in ramps) <= 15


def test_a_guard_takes_a_better_policy_back():
    ramp = start(REWARD, planned=40_000, guards={"complaints": COMPLAINTS})
    for _ in range(100):
        n = round(1_000 * ramp.share)
        ramp = step(
            observe(
                ramp,
                sums(0.3 * n, n) | {"complaints": Sums(n, 0.04 * n, 0.04 * n)},
                sums(0.2 * (1_000 - n), 1_000 - n)
                | {"complaints": Sums(1_000 - n, 0.01 * (1_000 - n), 0.01 * (1_000 - n))},
            )
        )
        if ramp.status != "running":
            break
    assert (ramp.status, ramp.reason) == ("rolled_back", "guard:complaints")


def test_a_season_between_the_stages_is_no_gain():
    """Rewards double while the candidate's share rises: it is compared within each stage."""
    ramp = start(REWARD, planned=100_000, least=500)
    for _ in range(60):
        rate = 0.2 if ramp.stage < 2 else 0.4
        n = round(1_000 * ramp.share)
        ramp = step(observe(ramp, sums(rate * n, n), sums(rate * (1_000 - n), 1_000 - n)))
    assert find_gain(ramp).value == pytest.approx(0, abs=1e-12)
    assert ramp.status == "running"


def test_before_anything_is_known_nothing_is_excluded():
    gain = find_gain(start(REWARD, planned=1_000))
    assert math.isnan(gain.value)
    assert (gain.low, gain.high) == (-math.inf, math.inf)


def test_the_bound_is_robbins():
    """One stage, computed by hand: n1 = n0 = 1,000, means .3 and .2, deviations as expected."""
    ramp = start(Metric(0.5), planned=16_000, shares=(0.25, 0.5), level=0.95)
    half = Sums(1_000, 300, 300 * 300 / 1_000 + 0.25 * 999)  # variance .25
    other = Sums(1_000, 200, 200 * 200 / 1_000 + 0.25 * 999)
    gain = find_gain(observe(ramp, {"reward": half}, {"reward": other}))
    # V = 500² (.25 / 1000 + .25 / 1000) = 125; V* = 16000 x .25 x .25 = 1000
    rho = 1_000 / (2 * math.log(20) + math.log(1 + 2 * math.log(20)))
    bound = math.sqrt((125 + rho) * (math.log((125 + rho) / rho) + 2 * math.log(20))) / 500
    assert gain.value == pytest.approx(0.1)
    assert gain.high - gain.value == pytest.approx(bound, rel=1e-9)


def test_a_ramp_is_plain_data():
    ramp = run(0.0, rng=np.random.default_rng(5), looks=3)
    assert msgspec.json.decode(msgspec.json.encode(ramp), type=Ramp) == ramp


@pytest.mark.parametrize(
    "wrong",
    [{"shares": (0.5, 0.1)}, {"holdout": 0.9}, {"planned": 0}, {"least": 0}, {"level": 1.0}],
)
def test_a_plan_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(InvalidParameter):
        start(REWARD, **({"planned": 1_000} | wrong))


def test_sums_of_other_metrics_are_refused():
    with pytest.raises(InvalidParameter, match="reward"):
        observe(start(REWARD, planned=1_000), {}, {})
