"""A policy is believed as far as the log can speak for it, and no further."""

from __future__ import annotations

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter, WrongPropensities
from zhiyin.decide.offpolicy import Limit, calibrate, compare, evaluate, gate, make_log
from zhiyin.decide.offpolicy.estimators import find_parts
from zhiyin.decide.offpolicy.intervals import estimate_mean
from zhiyin.decide.policy import make

K = 3
RATES = np.array([0.1, 0.2, 0.3])


def probabilities_of(x, *, sharp=1.0):
    z = np.exp(sharp * x[:, :1] * np.array([-1.0, 0.0, 1.0]))
    return z / z.sum(axis=1, keepdims=True)


def draw(chances, rng):
    return (chances.cumsum(axis=1) > rng.random((len(chances), 1))).argmax(axis=1)


def simulate(n=4_000, *, seed=3, whole=True, said=None, **more):
    """A log of three actions, the third of which is rewarded most, whatever the context."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    p = probabilities_of(x)
    a = draw(p, rng)
    r = (rng.random(n) < RATES[a]).astype(float)
    p = p if said is None else said(p)
    taken = p[np.arange(n), a]
    return make_log(x, a, r, taken, n_actions=K, probabilities=p if whole else None, **more)


def always(action):
    return lambda contexts, eligible: np.tile(np.eye(K)[action], (len(contexts), 1))


def current(contexts, eligible):
    return probabilities_of(contexts)


# --- values


@pytest.mark.parametrize("method", ["dr", "switch-dr", "snips", "ips"])
def test_the_truth_is_inside_the_interval(method):
    found = evaluate(simulate(), always(2), method)
    assert found.status == "ok"
    assert found.low < 0.3 < found.high
    assert found.high - found.low < 0.12
    assert 100 < found.ess < 4_000


def test_the_model_alone_gives_a_value_and_no_interval():
    found = evaluate(simulate(), always(2), "dm")
    assert found.value == pytest.approx(0.3, abs=0.05)
    assert found.status == "model_only"
    assert np.isnan(found.low)


def test_a_wrong_model_does_not_mislead_the_double_robust_estimate():
    log = simulate(20_000)
    wrong = np.full((log.n, K), 5.0)
    found = evaluate(log, always(2), "dr", model=wrong)
    assert found.low < 0.3 < found.high
    assert evaluate(log, always(2), "dm", model=wrong).value == pytest.approx(5.0)


def test_the_logging_policy_is_worth_what_its_decisions_brought():
    log = simulate()
    for method in ("ips", "snips"):
        assert evaluate(log, current, method).value == pytest.approx(log.rewards.mean())
    same = evaluate(log, log.probabilities, "ips")
    assert same.ess == pytest.approx(log.n)


def test_a_policy_is_an_object_a_function_or_numbers():
    class Third:
        def probabilities(self, contexts, eligible):
            return always(2)(contexts, eligible)

    log = simulate()
    values = {evaluate(log, one).value for one in (Third(), always(2), always(2)(log.contexts, 0))}
    assert len(values) == 1


def test_a_policy_of_this_room_is_judged_by_the_log_of_another_among_what_was_eligible():
    rng = np.random.default_rng(5)
    x, able = rng.normal(size=(6_000, 2)), rng.random((6_000, K)) < 0.8
    able[:, 0] = True
    names = ("none", "coupon", "gift")
    at_work = make("rules", names, features=["a", "b"], rules=[], default="none", explore=0.9)
    done = at_work.choose_many(x, able, rng=rng)
    earned = (rng.random(6_000) < RATES[done.places]).astype(float)
    log = make_log(
        x, done.places, earned, done.propensities, eligible=able,
        probabilities=at_work.probabilities(x, able),
    )  # fmt: skip
    best = make("rules", names, features=["a", "b"], rules=[], default="gift")
    truth = RATES[np.where(able[:, 2], 2, 0)].mean()  # the first that is eligible, else
    found = evaluate(log, best)
    assert found.low < truth < found.high
    assert found.status == "ok"


def test_trees_see_what_a_straight_line_does_not():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3_000, 1))
    a = rng.integers(0, 2, 3_000)
    r = np.where((np.abs(x[:, 0]) < 1) == (a == 1), 1.0, 0.0)
    log = make_log(x, a, r, np.full(3_000, 0.5))
    best = np.column_stack([np.abs(x[:, 0]) >= 1, np.abs(x[:, 0]) < 1]).astype(float)
    widths = [
        np.subtract(*(lambda e: (e.high, e.low))(evaluate(log, best, model=model)))
        for model in ("linear", "trees")
    ]
    assert widths[1] < widths[0] / 2


def test_the_same_log_gives_the_same_numbers():
    assert evaluate(simulate(), always(1)) == evaluate(simulate(), always(1))


def test_a_difference_is_surer_than_its_two_sides():
    log = simulate()
    target = 0.9 * log.probabilities + 0.1 * always(2)(log.contexts, 0)
    one, other = evaluate(log, target), evaluate(log, current)
    found = compare(log, target, current)
    assert found.value == pytest.approx(one.value - other.value)
    assert found.high - found.low < (one.high - one.low) / 3


# --- how far it can be believed


def test_what_the_log_never_did_has_no_interval():
    log = simulate(said=lambda p: p)
    p = log.probabilities.copy()
    never = make_log(log.contexts, log.actions, log.rewards, log.propensities, n_actions=K + 1,
                     probabilities=np.column_stack([p, np.zeros(log.n)]))  # fmt: skip
    found = evaluate(never, np.tile([0, 0, 0.5, 0.5], (log.n, 1)))
    assert found.status == "no_overlap"
    assert found.overlap.unsupported == pytest.approx(0.5)
    assert np.isnan(found.low)


def test_a_lack_of_support_is_seen_from_the_weights_alone():
    log = simulate(whole=False)
    never = make_log(log.contexts, log.actions, log.rewards, log.propensities, n_actions=K + 1)
    found = evaluate(never, np.tile([0, 0, 0.5, 0.5], (log.n, 1)))
    assert found.status == "no_overlap"


def test_few_decisions_are_called_few():
    assert evaluate(simulate(90), always(0)).status == "too_few_units"


def test_one_decision_that_outweighs_the_rest_is_called_out():
    n = 2_000
    p = np.full(n, 0.5)
    p[0] = 1e-6
    log = make_log(np.zeros(n), [1] + [0, 1] * 999 + [0], np.arange(n) % 7, p)
    assert evaluate(log, np.tile([0.0, 1.0], (n, 1)), "snips").status == "too_few_units"


def test_equal_rewards_have_no_interval():
    log = make_log(np.zeros(400), [0, 1] * 200, np.ones(400), np.full(400, 0.5))
    found = evaluate(log, [[0, 1]] * 400, "snips")
    assert (found.value, found.status) == (1.0, "zero_variance")


def test_decisions_about_one_customer_are_no_independent_evidence():
    log = simulate(1_000)
    twice = np.tile(np.arange(1_000), 4)
    arrays = [np.tile(each, 4) for each in (log.actions, log.rewards, log.propensities)]
    four = make_log(np.tile(log.contexts, (4, 1)), *arrays, customers=twice)
    apart = make_log(np.tile(log.contexts, (4, 1)), *arrays)
    one, same, naive = (evaluate(each, always(2), "ips") for each in (log, four, apart))
    assert (same.low, same.high) == pytest.approx((one.low, one.high), rel=1e-6)
    assert naive.high - naive.low < 0.6 * (one.high - one.low)


def test_a_skewed_mean_reaches_further_up_than_down():
    rng = np.random.default_rng(2)
    found = estimate_mean(rng.lognormal(sigma=1.5, size=300))
    assert found.high - found.value > 1.2 * (found.value - found.low)
    mirrored = estimate_mean(-rng.lognormal(sigma=1.5, size=300))
    assert mirrored.value - mirrored.low > 1.2 * (mirrored.high - mirrored.value)


def test_many_even_parts_have_the_interval_of_student():
    found = estimate_mean(np.tile([-1.0, 1.0], 5_000))
    assert (found.low, found.high) == pytest.approx((-0.0196, 0.0196), abs=1e-5)


def test_the_interval_is_that_of_hall_with_one_part_more():
    """Parts 0, 0, 0, 4 by hand: off the mean -1, -1, -1, 3, and 3 once more."""
    spread = np.sqrt((3 * 1 + 2 * 9) / 4)
    a = ((-3 + 2 * 27) / 4) / spread**3 / np.sqrt(4) / 3
    found = estimate_mean(np.array([0.0, 0.0, 0.0, 4.0]))
    assert found.skew == pytest.approx(3 * a)
    for bound, t in ((found.low, 3.1824463), (found.high, -3.1824463)):
        moved = (found.value - bound) / (spread / np.sqrt(3))
        assert moved + a * moved**2 + a**2 * moved**3 / 3 + a / 2 == pytest.approx(t, abs=1e-6)


# --- propensities


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (lambda p: np.full_like(p, np.nan), "missing"),
        (lambda p: p * 0, "out_of_range"),
        (lambda p: p + 1, "out_of_range"),
        (lambda p: p / 2, "not_a_distribution"),
        (lambda p: p[:, ::-1], "miscalibrated"),
        (lambda p: np.full_like(p, 1 / K), "miscalibrated"),
    ],
)
def test_propensities_that_cannot_be_true_are_refused(said, reason):
    with pytest.raises(WrongPropensities) as error:
        evaluate(simulate(said=said), always(2))
    assert error.value.reason == reason
    assert error.value.hint


@pytest.mark.parametrize("said", [lambda p: np.full_like(p, 1 / K), lambda p: p[:, ::-1]])
def test_the_propensity_of_the_action_alone_tells_too(said):
    with pytest.raises(WrongPropensities, match="do not agree with what was done"):
        evaluate(simulate(said=said, whole=False), always(2))


def test_a_policy_more_sure_on_paper_than_in_deed_is_refused():
    rng = np.random.default_rng(4)
    a = rng.integers(0, 2, 2_000)  # even chances, logged as 9 to 1 for whatever came
    log = make_log(np.zeros(2_000), a, a, np.full(2_000, 0.9))
    with pytest.raises(WrongPropensities, match="decisions with a choice"):
        evaluate(log, [[0, 1]] * 2_000)


def test_probabilities_of_another_order_of_actions_are_refused():
    log = simulate()
    with pytest.raises(WrongPropensities) as error:
        evaluate(
            make_log(log.contexts, log.actions, log.rewards, log.propensities,
                     probabilities=log.probabilities[:, ::-1]), always(2),
        )  # fmt: skip
    assert error.value.reason == "differ"


def test_an_action_that_was_not_eligible_is_refused():
    able = np.ones((4_000, K), bool)
    able[:, 0] = False
    with pytest.raises(WrongPropensities) as error:
        evaluate(simulate(eligible=able), always(2))
    assert error.value.reason == "ineligible"


@pytest.mark.parametrize("whole", [True, False])
def test_true_propensities_raise_no_alarm(whole):
    found = [calibrate(simulate(seed=s, whole=whole)).p_value for s in range(30)]
    assert min(found) > 0.001
    assert sum(p < 0.05 for p in found) <= 3


# --- what cannot be read


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"rewards": [0.0, np.nan]}, "rewards are missing"),
        ({"contexts": [[np.inf], [0.0]]}, "finite"),
        ({"actions": [0, -1]}, "numbered"),
        ({"actions": [0.0, 1.0]}, "whole numbers"),
        ({"customers": ["a"]}, "customers"),
        ({"probabilities": [[1.0, 0.0]]}, "probabilities are of shape"),
    ],
)
def test_a_log_that_makes_no_sense_is_refused(change, match):
    good = {
        "contexts": [[0.0], [0.0]], "actions": [0, 1], "rewards": [0.0, 1.0],
        "propensities": [0.5, 0.5],
    }  # fmt: skip
    with pytest.raises(InvalidParameter, match=match):
        make_log(**(good | change))


@pytest.mark.parametrize(
    ("policy", "match"),
    [
        ([[1.0]], "of shape"),
        (np.full((4_000, K), 0.5), "sum to 1"),
        (np.full((4_000, K), np.nan), "sum to 1"),
    ],
)
def test_a_policy_without_probabilities_is_refused(policy, match):
    with pytest.raises(InvalidParameter, match=match):
        evaluate(simulate(), policy)


def test_a_policy_that_takes_what_was_not_eligible_is_refused():
    log = simulate()
    able = np.ones((log.n, K), bool)
    able[:5, (log.actions[0] + 1) % K] = False
    able[np.arange(log.n), log.actions] = True
    partly = make_log(
        log.contexts, log.actions, log.rewards, log.propensities, eligible=able, n_actions=K
    )
    with pytest.raises(InvalidParameter, match="not eligible"):
        evaluate(partly, np.full((log.n, K), 1 / K))


def test_unknown_methods_and_models_are_refused():
    with pytest.raises(InvalidParameter, match="one of dr"):
        evaluate(simulate(), always(2), "magic")
    with pytest.raises(InvalidParameter, match="linear or trees"):
        evaluate(simulate(), always(2), model="magic")
    with pytest.raises(InvalidParameter, match="judges no policy"):
        gate(simulate(), always(2), current, method="dm")


# --- the gate


def test_a_better_policy_passes_and_a_worse_one_does_not():
    log = simulate()
    found = gate(log, always(2), current)
    assert found.promoted
    assert found.difference.low > 0
    worse = gate(log, always(0), current)
    assert not worse.promoted
    assert worse.reasons == ("not_better",)


def test_the_policy_that_is_there_is_not_better_than_itself():
    assert gate(simulate(), current, current).reasons == ("not_better",)


def test_a_gain_below_what_is_asked_does_not_pass():
    assert gate(simulate(), always(2), current, above=0.2).reasons == ("not_better",)


def test_what_the_log_cannot_speak_for_does_not_pass_however_good_it_looks():
    assert gate(simulate(90), always(2), current).reasons == ("too_few_units",)


def test_limits_on_what_an_action_is_hold_for_certain():
    contacts = [0, 1, 1]
    assert gate(simulate(), always(2), current, limits=[Limit("contacts", 1.0, contacts)]).promoted
    found = gate(simulate(), always(2), current, limits=[Limit("contacts", 0.7, contacts)])
    assert found.reasons == ("limit",)
    assert (found.limits[0].value, found.limits[0].held) == (1.0, False)


def test_limits_on_what_follows_hold_by_their_upper_bound():
    log = simulate()
    left = (np.random.default_rng(5).random(log.n) < 0.02).astype(float)
    tight = gate(log, always(2), current, limits=[Limit("unsubscribed", 0.021, seen=left)])
    assert tight.limits[0].value < 0.03
    assert tight.reasons == ("limit",)
    assert gate(log, always(2), current, limits=[Limit("unsubscribed", 0.05, seen=left)]).promoted


def test_what_was_never_seen_is_at_most_three_in_the_effective_decisions():
    log = simulate()
    found = gate(log, always(2), current, limits=[Limit("complaint", 0.001, seen=np.zeros(log.n))])
    assert found.limits[0].high == pytest.approx(3 / evaluate(log, always(2)).ess)
    assert not found.promoted


def test_a_limit_may_protect_a_group():
    log = simulate()
    group = log.contexts[:, 1] > 1
    target = np.where(group[:, None], np.eye(K)[0], np.eye(K)[2])
    contacts = [0, 1, 1]
    found = gate(log, target, current, limits=[Limit("of the group", 0.1, contacts, rows=group)])
    assert found.promoted
    assert found.limits[0].value == 0
    others = gate(log, target, current, limits=[Limit("others", 0.1, contacts, rows=~group)])
    assert others.reasons == ("limit",)


# --- numbers computed elsewhere

P = [[0.454, 0.487, 0.059], [0.278, 0.481, 0.241], [0.218, 0.622, 0.16], [0.105, 0.667, 0.228],
     [0.296, 0.284, 0.42], [0.239, 0.356, 0.405], [0.16, 0.203, 0.637], [0.17, 0.08, 0.75],
     [0.116, 0.556, 0.328], [0.537, 0.108, 0.355], [0.319, 0.313, 0.368],
     [0.213, 0.58, 0.207]]  # fmt: skip
TARGET = [[0.8, 0.024, 0.176], [0.797, 0.135, 0.068], [0.513, 0.26, 0.227], [0.535, 0.099, 0.366],
          [0.479, 0.375, 0.146], [0.488, 0.041, 0.471], [0.284, 0.232, 0.484],
          [0.043, 0.815, 0.142], [0.002, 0.189, 0.809], [0.315, 0.315, 0.37],
          [0.339, 0.009, 0.652], [0.196, 0.784, 0.02]]  # fmt: skip
A = [0, 2, 1, 2, 2, 2, 2, 2, 1, 1, 2, 2]
R = [0.13, 0.22, 0.93, 0.56, 0.2, 0.42, 0.39, 0.13, 0.59, 0.05, 0.06, 0.26]
Q = [[0.37, 0.56, 0.91], [0.23, 0.15, 0.13], [0.07, 0.15, 0.22], [0.95, 0.87, 0.14],
     [0.78, 0.01, 0.66], [0.31, 0.36, 0.23], [0.56, 0.93, 0.83], [0.82, 0.51, 0.97],
     [0.84, 0.63, 0.89], [0.09, 0.22, 0.91], [0.18, 0.08, 0.39], [0.72, 0.6, 0.53]]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("ips", 0.24463058781415978),
        ("snips", 0.25193197588036936),
        ("dm", 0.4815825),
        ("dr", 0.4024368340562557),
    ],
)
def test_values_are_those_of_the_open_bandit_pipeline(method, value):
    """obp 0.4.1, `obp.ope.estimators`, on these twelve decisions."""
    p = np.array(P)
    log = make_log(np.zeros(12), A, R, p[np.arange(12), A], probabilities=p)
    parts = find_parts(log, np.array(TARGET), method, np.array(Q))
    assert parts.values.mean() + parts.shift == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    ("threshold", "value"), [(1, 0.45312360456332595), (2, 0.44375627850070015)]
)
def test_switching_at_a_weight_is_that_of_the_open_bandit_pipeline(threshold, value, monkeypatch):
    monkeypatch.setattr(
        "zhiyin.decide.offpolicy.estimators.choose_threshold", lambda *_: float(threshold)
    )
    log = make_log(np.zeros(12), A, R, np.array(P)[np.arange(12), A], n_actions=K)
    parts = find_parts(log, np.array(TARGET), "switch-dr", np.array(Q))
    assert parts.values.mean() + parts.shift == pytest.approx(value, abs=1e-12)
