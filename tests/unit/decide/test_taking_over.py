"""Taking over step by step: whose lot it is, with which chance, what moves a ramp or ends it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.unit.decide.conftest import Shop
from tests.unit.decide.governed import ACTIONS, POINT, RULES, SHOP, Governed
from tests.unit.decide.test_decide_learn import DAY, context, run_at
from zhiyin.candidates import Wish
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, naive_utc, run_moment
from zhiyin.core.rng import Lots
from zhiyin.decide import batch_job
from zhiyin.decide.candidates import ramp_job
from zhiyin.decide.candidates.ledger import begin, find_candidate, keep_verdict
from zhiyin.decide.points.check import parse
from zhiyin.decide.points.point_policy import make_policy, usual_scaling
from zhiyin.decide.points.served import Rising, Served
from zhiyin.decide.ramp import FULL, Metric, start
from zhiyin.decide.reviews.ledger import listed
from zhiyin.judging import Judging
from zhiyin.points import Points
from zhiyin.testing.store import MemoryStore

NAMES = tuple(one.name for one in ACTIONS)


def policy_of(name, **settings):
    point = parse(POINT | {"policy": {"name": name, **settings}})
    return make_policy(point, usual_scaling(point, {}))


@pytest.fixture(scope="module")
def mixed():
    """A point of three sides, and what each would do."""
    old = policy_of("rules", explore=0.3, settings={"rules": []})
    new = policy_of("linear_thompson", explore=0.0)
    rng = np.random.default_rng(3)
    seen = rng.integers(0, 3, (200, 3)).astype(float)
    done = rng.integers(0, 3, 200)
    rewards = 5 * done + rng.normal(size=200) * 9
    new.policy.update(new.contexts(seen), [NAMES[one] for one in done], rewards)
    point = parse(POINT | {"holdout": 0.2, "k": 2})
    served = Served(point, version=1, paused=False, policy=old, rising=Rising(2, 1, 0.25, new))
    return served, old, new


def chances_of(side, numbers, flags):
    return side.policy.probabilities(side.context(numbers)[None], flags[None])[0]


def test_the_chance_that_is_logged_is_that_of_the_mixture(mixed):
    served, old, new = mixed
    numbers, flags = np.array([1.0, 0.0, 1.0]), np.ones(3, bool)
    truth = 0.2 * np.eye(3)[0] + 0.8 * (
        0.25 * chances_of(new, numbers, flags) + 0.75 * chances_of(old, numbers, flags)
    )
    lots, seen, arms = Lots(), np.zeros(3), []
    for n in range(800):
        chosen = served.choose(numbers, flags, 1, lots.of(f"d_{n}"))
        (place,) = chosen.places
        at = NAMES.index(place.action)
        assert place.propensity == pytest.approx(truth[at], abs=1e-9)
        seen[at] += 1
        arms.append(chosen.arm)
        assert chosen.ramp == "2.1"
    assert seen / 800 == pytest.approx(truth, abs=0.05)
    shares = [arms.count(one) / 800 for one in ("holdout", "candidate", "current")]
    assert shares == pytest.approx([0.2, 0.2, 0.6], abs=0.05)


def test_chances_of_several_places_multiply_to_that_of_the_mixture(mixed):
    """Of two places: all lists that can be, by every side, against what is logged."""
    served, old, new = mixed
    numbers, flags = np.array([0.0, 2.0, 0.0]), np.ones(3, bool)
    truth = {("none",): 0.2}
    for weight, side in ((0.2, new), (0.6, old)):
        first = chances_of(side, numbers, flags)
        for one in range(3):
            left = flags.copy()
            left[one] = False
            second = chances_of(side, numbers, left)
            for two in np.flatnonzero(left):
                pair = NAMES[one], NAMES[two]
                truth[pair] = truth.get(pair, 0.0) + weight * first[one] * second[two]
    firsts = {name: sum(p for pair, p in truth.items() if pair[0] == name) for name in NAMES}
    goes_on = {name: p - (0.2 if name == "none" else 0.0) for name, p in firsts.items()}
    lots, seen = Lots(), {}
    for n in range(500):
        chosen = served.choose(numbers, flags, 2, lots.of(f"d_{n}"))
        pair = tuple(one.action for one in chosen.places)
        seen[pair] = seen.get(pair, 0) + 1
        expected = [firsts[pair[0]], *(truth[pair] / goes_on[one] for one in pair[:-1])]
        assert [one.propensity for one in chosen.places] == pytest.approx(expected, abs=1e-9)
    for pair, n in seen.items():
        assert n / 500 == pytest.approx(truth[pair], abs=0.08)


def test_a_holdout_that_cannot_have_the_default_action_gets_a_choice(mixed):
    served, _, _ = mixed
    flags = np.array([False, True, True])
    lots = Lots()
    arms = {served.choose(np.zeros(3), flags, 1, lots.of(str(n))).arm for n in range(60)}
    assert arms == {"candidate", "current"}


@pytest.fixture(scope="module")
def taking_over():
    """A good candidate that was approved, over a log of 900 choices."""
    made = Governed(Shop())
    made.serve(900)
    made.pass_days()
    number = made.attempt("rules", settings={"rules": RULES["good"]}, explore=0.1)
    made.judge(number)
    made.candidates.approve("home", number, by="Bo")
    return made


def stand_of(governed, number=2):
    with governed.shop.store.begin() as connection:
        return find_candidate(connection, "home", number)


def test_from_rules_to_a_policy_that_took_over(taking_over):
    """The whole way; the measured gain is that of the simulator."""
    shop = taking_over
    seen = []
    for _ in range(12):
        shop.serve(500)
        shop.pass_days(0.1)
        early = shop.look()[0]
        assert early.reason == "waiting"  # nothing of it is settled
        shop.pass_days()
        (found,) = shop.look()
        seen.append(found)
        if found.status in (ramp_job.DONE, "rolled_back"):
            break
    assert [one.status for one in seen][-1] == ramp_job.DONE
    shares = [one.share for one in seen]
    assert shares[0] == 0.5
    assert 0.8 in shares
    stand = stand_of(shop)
    assert stand.state == "current"
    assert stand.stand().status == FULL
    value = {name: 100 * float(SHOP.mdp.rewards[:-1, place].mean())
             for place, name in enumerate(SHOP.actions)}  # fmt: skip
    theirs = 2 / 3 * value["none"] + (value["reminder"] + value["coupon"]) / 6
    ours = (0.9 + 0.1 / 3) * value["reminder"] + (value["none"] + value["coupon"]) / 30
    gain = shop.candidates.listed("home")[1]["ramp"]["gain"]
    assert gain["low"] < ours - theirs < gain["high"]
    assert shop.look() == []
    assert shop.served().policy.version == stand.policy_version


@pytest.fixture
def begun(shop):
    """A candidate that takes over because a person lets it, whatever the gate would say."""

    def make(which, **changes):
        made = Governed(shop, **{"approval": False} | changes)
        made.serve(500)
        made.pass_days()
        made.attempt("rules", settings={"rules": RULES["good"]}, explore=0.1)
        made.judge(2)
        return made

    return make


def test_a_candidate_that_turns_bad_is_taken_back_by_itself(begun):
    """The season turns: what brought customers back now annoys them."""
    shop = begun("good")
    assert stand_of(shop).state == "ramping"
    turned = shop.truth.copy()
    turned[SHOP.actions.index("reminder")] = np.minimum(turned[1], 0.0)
    for _ in range(6):
        shop.serve(300, gains=turned)
        shop.pass_days()
        (found,) = shop.look()
        if found.status == "rolled_back":
            break
    assert (found.status, found.reason, found.share) == ("rolled_back", "worse", 0.0)
    assert stand_of(shop).state == "rolled_back"
    assert shop.served().sides[0][0] == "current"
    assert len(shop.served().sides) == 1


def test_a_guard_takes_it_back_although_it_earns_more(begun):
    limit = {"name": "leaving", "of": "left", "at_most": 0.5, "rise": 0.02}
    shop = begun("good", limits=[limit])
    rows, _ = shop.serve(500)
    told = [
        {c.OUTCOME_ID: f"l_{row[c.DECISION_ID]}", c.DECISION_ID: row[c.DECISION_ID],
         c.OCCURRED_AT: row[c.DECIDED_AT], c.RECEIVED_AT: row[c.DECIDED_AT], c.KIND: "left",
         c.PARTY_ID: row[c.PARTY_ID], c.VALUE_BASE_MINOR: None, c.VALUE_MINOR: None,
         c.ACTION: None, c.CURRENCY: None}
        for row in rows[::2] if row[c.ACTION] == "reminder"
    ]  # fmt: skip
    shop.shop.add("outcomes", *told)
    shop.pass_days()
    (found,) = shop.look()
    assert (found.status, found.reason) == ("rolled_back", "guard:leaving")


def test_a_look_that_is_repeated_or_of_an_earlier_day_changes_nothing(begun):
    shop = begun("good")
    shop.serve(300)
    shop.pass_days()
    first = shop.look()[0]
    before = stand_of(shop)
    assert shop.look()[0].status == ramp_job.KEPT_NEWER
    turn = run_at(shop.shop, shop.clock.now().date(), ramp_job)["points"]["home"]
    assert turn["status"] == ramp_job.KEPT_NEWER
    assert stand_of(shop) == before
    assert first.reason == "not_worse"
    shop.pass_days(1)
    assert shop.look()[0].reason == "waiting"
    assert stand_of(shop).stand().stages[0] == before.stand().stages[0]


def test_a_batch_draws_the_same_lots_and_asks_the_same_persons(shop):
    """300 customers at a point with a holdout, a policy that is taking over and a rule."""
    shop.store = MemoryStore(zone="UTC")
    rows = [{c.CUSTOMER_ID: f"p_{n:03}", c.AS_OF_ON: DAY, "recency_days": n} for n in range(300)]
    shop.add("features", *rows)
    rules = [{"name": "long_away", "when": [["recency_days", ">=", 200]]}]
    actions = [{"name": "none"}, {"name": "reminder"}, {"name": "coupon", "stock": 7}]
    point = POINT | {"features": ["recency_days"], "holdout": 0.2, "actions": actions,
                     "review": {"rules": rules}}  # fmt: skip
    clock = FrozenClock(run_moment(DAY, "UTC"))
    Points(shop.store, clock).put(parse(point), by="Ana")
    better = {"rules": [{"when": [["recency_days", ">=", 0]], "then": "reminder"}]}
    number = Judging(shop.store, clock).try_policy("home", Wish("rules", 0.1, better), by="Ana")
    with shop.store.begin() as connection:
        now = naive_utc(clock.now())
        passed = keep_verdict(
            connection, number, {"promoted": True, "reasons": []}, by="t", now=now
        )
        plan = start(Metric(1.0), planned=9, shares=(0.5,), holdout=0.1)
        begin(connection, passed, plan, approved=False, by="t", now=now)
    made = batch_job.run(context(shop, DAY), "home").to_pylist()
    away = [one for one in made if one[c.REASON] == "sent_to_person"]
    assert {one[c.CUSTOMER_ID] for one in away} == {f"p_{n}" for n in range(200, 300)}
    assert {one[c.ACTION] for one in away} == {"none"}
    others = [one for one in made if one[c.REASON] != "sent_to_person"]
    arms = [one[c.ARM] for one in others]
    assert [arms.count(one) / 200 for one in ("holdout", "candidate", "current")] == pytest.approx(
        [0.2, 0.4, 0.4], abs=0.1
    )
    assert {one[c.RAMP] for one in others} == {"2.0"}
    of_three = {one[c.ACTION]: one[c.PROPENSITY] for one in others
                if len(json.loads(one[c.ELIGIBLE])) == 3}  # fmt: skip
    new, old = 0.9 + 0.1 / 3, 0.5 / 3
    assert of_three["reminder"] == pytest.approx(0.4 * new + 0.4 * old)
    assert sum(one[c.ACTION] == "coupon" for one in others) == 7
    with shop.store.begin() as connection:
        assert len(listed(connection, now=now, limit=999)) == 100
    again = batch_job.run(context(shop, DAY), "home").to_pylist()
    assert sorted(map(repr, again)) == sorted(map(repr, made))
