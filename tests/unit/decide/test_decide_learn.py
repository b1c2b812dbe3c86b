"""The jobs around decision points: numbers for requests, and learning from what came of choices."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import msgspec
import numpy as np
import pytest

from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, naive_utc, run_moment
from zhiyin.core.config import validate_settings
from zhiyin.core.context import Context
from zhiyin.core.rng import Streams
from zhiyin.decide import batch_job, learn_job, online_job
from zhiyin.decide.live import Ask, Door
from zhiyin.decide.points import ledger
from zhiyin.decide.points.check import parse
from zhiyin.decide.points.point_policy import unpack_policy
from zhiyin.decide.points.served import Served
from zhiyin.govern.gate import Consent
from zhiyin.govern.quick import QuickGate
from zhiyin.govern.suppression import Tokens
from zhiyin.points import Points
from zhiyin.store.online import OnlineStore
from zhiyin.store.recent import Touched
from zhiyin.testing.store import MemoryStore

DAY = date(2026, 5, 4)
START = datetime(2026, 4, 1, 9, tzinfo=UTC)
HOME = {
    "key": "home",
    "default": "none",
    "context": {"cart": {}},
    "actions": [{"name": "none"}, {"name": "coupon", "cost_minor": 200}],
    "reward": {"window_days": 7, "settle_days": 1, "outcomes": ["purchase"]},
}


def context(shop, day):
    settings = validate_settings({"name": "shop", "currency": "USD", "zone": "UTC"}, where="test")
    return Context(settings, shop.store, shop.vault, FrozenClock(run_moment(day, "UTC")),
                  Streams(7), day, "t_1", numbers=getattr(shop, "numbers", None))  # fmt: skip


def run_at(shop, day, job):
    ctx = context(shop, day)
    return job.run(ctx, ctx.settings.decide).figures


def choice(number, action, *, at=START, customer=None, cart=1.0, policy="linear_thompson", **more):
    party = customer or f"p_{number}"
    return {
        c.DECISION_ID: f"d_{number}", c.PARTY_ID: party, c.CUSTOMER_ID: party, c.ACTION: action,
        c.DECIDED_AT: naive_utc(at), c.CAMPAIGN_ID: "point:home", c.DECIDED_BY: "point",
        c.POLICY: policy, c.VERSION: 1, c.PROPENSITY: 0.5, c.RANK: 1,
        c.CONTEXT: json.dumps({"cart": cart}),
    } | more  # fmt: skip


def outcome(number, *, at=START + timedelta(days=1), **more):
    received = more.pop("received", at)
    return {
        c.OUTCOME_ID: f"o_{number}", c.OCCURRED_AT: naive_utc(at),
        c.RECEIVED_AT: naive_utc(received), c.KIND: "purchase", c.VALUE_BASE_MINOR: 1000,
        c.DECISION_ID: None, c.PARTY_ID: None, c.ACTION: None, c.CURRENCY: "USD",
        c.VALUE_MINOR: 1000,
    } | more  # fmt: skip


@pytest.fixture
def points(shop):
    shop.store = MemoryStore(zone="UTC")
    return Points(shop.store, FrozenClock(START))


def held(shop):
    with shop.store.begin() as connection:
        spoken = ledger.current(connection, "home")
        return spoken, unpack_policy(ledger.artifact_of(connection, "home", spoken.number)).policy


def test_a_policy_learns_what_pays_for_whom_and_each_choice_once(shop, points):
    """Planted: coupons bring full carts to the till, and put off those whose cart is empty."""
    points.put(parse(HOME), by="Ana")
    rng = np.random.default_rng(7)
    rows, came = [], []
    for n in range(600):
        cart, action = float(rng.integers(0, 2)), ("none", "coupon")[n % 2]
        at = START + timedelta(minutes=n)
        rows.append(choice(n, action, at=at, cart=cart))
        if rng.random() < {("coupon", 1): 0.6, ("coupon", 0): 0.05}.get((action, cart), 0.25):
            came.append(outcome(n, at=at + timedelta(days=2), **{c.PARTY_ID: f"p_{n}"}))
    shop.add("decisions", *rows)
    shop.add("outcomes", *came)
    assert run_at(shop, date(2026, 4, 9), learn_job)["points"]["home"]["status"] == "nothing_new"
    made = run_at(shop, date(2026, 4, 11), learn_job)["points"]["home"]
    assert (made["status"], made["choices"], made["number"]) == ("learned", 600, 2)
    spoken, policy = held(shop)
    assert spoken.policy_version == made["policy_version"]
    chances = policy.probabilities(np.array([[1.0, 1.0], [0.0, 1.0]]))[:, 1]
    assert chances[0] > 0.95
    assert chances[1] < 0.05
    assert policy.beliefs.counts.sum() == 600
    assert run_at(shop, date(2026, 4, 11), learn_job)["points"]["home"]["status"] == "kept_newer"
    assert run_at(shop, date(2026, 4, 20), learn_job)["points"]["home"]["status"] == "nothing_new"
    assert run_at(shop, date(2026, 4, 1), learn_job)["points"]["home"]["status"] == "kept_newer"


def test_only_what_is_settled_is_learned_and_the_rest_a_turn_later(shop, points):
    points.put(parse(HOME), by="Ana")
    late = START + timedelta(days=5)
    shop.add("decisions", choice(1, "coupon"), choice(2, "none"), choice(3, "coupon", at=late))
    shop.add("outcomes", outcome(1, **{c.PARTY_ID: "p_1"}), outcome(3, at=late, **{
        c.PARTY_ID: "p_3"}))  # fmt: skip
    first = run_at(shop, date(2026, 4, 10), learn_job)["points"]["home"]
    assert (first["choices"], first["mean_reward"]) == (2, 0.5)
    second = run_at(shop, date(2026, 4, 20), learn_job)["points"]["home"]
    assert (second["choices"], second["mean_reward"]) == (1, 1.0)
    assert held(shop)[1].beliefs.counts.tolist() == [1.0, 2.0]


def test_defaults_other_actions_and_outcomes_of_other_points_teach_nothing(shop, points):
    points.put(parse(HOME), by="Ana")
    shop.add(
        "decisions", choice(1, "coupon"), choice(2, "none", policy="default"),
        choice(3, "gone"), choice(4, "coupon", **{c.CAMPAIGN_ID: "point:other"}),
    )  # fmt: skip
    shop.add(
        "outcomes", outcome(1, **{c.DECISION_ID: "d_4", c.PARTY_ID: "p_1"}),
        outcome(2, **{c.PARTY_ID: "p_1", c.KIND: "click"}),
    )  # fmt: skip
    made = run_at(shop, DAY, learn_job)["points"]["home"]
    assert (made["choices"], made["mean_reward"]) == (1, 0.0)


def test_of_several_actions_the_one_that_it_came_of_is_rewarded(shop, points):
    points.put(parse(HOME | {"k": 2}), by="Ana")
    second = {n: {c.DECISION_ID: f"d_{n}.2", c.RANK: 2} for n in (1, 2)}
    places = [choice(n, "none") for n in second]
    places += [choice(n, "coupon", **more) for n, more in second.items()]
    shop.add("decisions", *places)
    shop.add("outcomes", outcome(1, **{c.DECISION_ID: "d_1", c.ACTION: "coupon"}),
             outcome(2, **{c.DECISION_ID: "d_2"}))  # fmt: skip
    run_at(shop, DAY, learn_job)
    sums = held(shop)[1].beliefs
    assert sums.totals[:2].tolist() == [4.0, 2.0]
    assert sums.weights[0].sum() == pytest.approx(sums.weights[1].sum())  # one each


def test_margins_of_orders_count_less_costs(shop, points):
    reward = {"kind": "margin", "window_days": 7, "settle_days": 1, "orders": True,
              "margin_share": 0.25, "outcomes": ["x"]}  # fmt: skip
    points.put(parse(HOME | {"reward": reward}), by="Ana")
    shop.add("decisions", choice(1, "coupon"))
    shop.add("orders", {c.ORDER_ID: "s:1", c.PARTY_ID: "p_1", c.STATUS: "completed",
                        c.ORDERED_AT: naive_utc(START + timedelta(days=3)),
                        c.AMOUNT_BASE_MINOR: 8000, c.VALID_AT: naive_utc(START)})  # fmt: skip
    made = run_at(shop, DAY, learn_job)["points"]["home"]
    assert made["mean_reward"] == 8000 * 0.25 - 200


def test_a_point_that_waits_for_numbers_gets_its_policy_and_learns_the_whole_log(shop, points):
    points.put(parse(HOME | {"features": ["recency_days"]}), by="Ana")
    shop.add("decisions", choice(1, "coupon"))
    assert run_at(shop, DAY, learn_job)["points"]["home"]["status"] == "no_features"
    rows = [{c.CUSTOMER_ID: f"p_{n}", c.AS_OF_ON: DAY, "recency_days": 10 * n} for n in range(5)]
    shop.add("features", *rows)
    made = run_at(shop, DAY, learn_job)["points"]["home"]
    assert (made["status"], made["choices"]) == ("learned", 1)


def test_rules_are_left_as_they_are(shop, points):
    rules = {"name": "rules", "settings": {"rules": []}}
    points.put(parse(HOME | {"policy": rules}), by="Ana")
    shop.add("decisions", choice(1, "coupon", policy="rules"))
    assert run_at(shop, DAY, learn_job)["points"]["home"]["status"] == "fixed"


@pytest.fixture
def published(shop, points, tmp_path):
    """A day's numbers in an online store, of a point that also writes e-mails."""
    actions = [{"name": "none"}, {"name": "letter", "channel": "email"}]
    point = HOME | {"features": ["recency_days", "score.churn", "seen.24h"], "actions": actions}
    rows = [{c.CUSTOMER_ID: f"p_{n}", c.AS_OF_ON: DAY, "recency_days": 10 * n} for n in range(4)]
    shop.add("features", *rows)
    shop.add("scores", {c.CUSTOMER_ID: "p_1", c.AS_OF_ON: DAY, c.TASK: "churn", c.SUBJECT: "",
                        c.SCORE: 0.25})  # fmt: skip
    for one in ("p_1", "p_2"):
        shop.add_customer(one)
    shop.add_customer("p_3", consent=False)
    shop.add("merges", {c.PARTY_ID: "p_9", c.INTO: "p_1", c.AT: naive_utc(START),
                        c.RULE: "r"})  # fmt: skip
    shop.numbers = OnlineStore(tmp_path)
    assert run_at(shop, DAY, online_job)["status"] == "no_points"
    points.put(parse(point), by="Ana")
    assert run_at(shop, DAY, online_job)["status"] == "ok"
    return parse(point)


def test_a_generation_holds_the_numbers_of_the_day_by_party(shop, published):
    made = shop.numbers.generation()
    assert made.about["names"] == ["recency_days", "score.churn"]
    row = made.row_of("p_9")
    assert row == made.row_of("p_1") >= 0
    assert made.arrays["numbers.value"][row].tolist() == [10.0, 0.25]
    assert np.isnan(made.arrays["numbers.value"][made.row_of("p_2")][1])
    assert run_at(shop, DAY - timedelta(days=1), online_job)["status"] == "kept_newer"
    before = replace(made, arrays={name: array.copy() for name, array in made.arrays.items()})
    assert shop.numbers.erase(["p_1", "p_9"])
    after = shop.numbers.generation()
    assert (after.row_of("p_1"), after.row_of("p_9")) == (-1, -1)
    assert after.arrays["numbers.value"][row].tolist() == [0.0, 0.0]
    assert after.row_of("p_2") == before.row_of("p_2")


class Known:
    """What the ledger says, put in by hand."""

    def __init__(self):
        self.lines, self.listed, self.sent, self.touches = [], [], [], []

    def of_token(self, token):
        return [one[1:] for one in self.listed if one[0] == token]

    def grant(self, party, *, granted=True):
        at = datetime(2026, 1, 1, tzinfo=UTC)
        self.lines.append(Consent(party, "marketing", "email", granted, at))


@pytest.fixture
def door(shop, published):
    known, clock = Known(), FrozenClock(run_moment(DAY, "UTC"))
    settings = validate_settings({"name": "s", "currency": "USD", "zone": "UTC"}, where="test")
    gate = QuickGate(
        settings.act, zone="UTC", clock=clock, vault=shop.vault,
        consents=lambda _: known.lines, suppressed=known.of_token, sent=lambda _: known.sent,
    )  # fmt: skip
    made = Door(
        shop.numbers, zone="UTC", needs_consent=False, clock=clock, consents=lambda _: known.lines,
        touches=lambda _: known.touches, gate=gate,
    )  # fmt: skip
    with shop.store.begin() as connection:
        policy = unpack_policy(ledger.artifact_of(connection, "home", 1))
    made.renew({"home": Served(published, version=1, paused=False, policy=policy)})
    return made, known, clock


def ask(door, customer, **more):
    made, _, clock = door
    return made.handle(Ask("home", more.pop("id", "d_1"), clock.monotonic(), (customer,), **more))


def test_a_choice_sees_the_day_the_last_hours_and_the_request(shop, door):
    _, known, clock = door
    now = clock.now().timestamp()
    ages = ((False, 10), (False, 90_000), (True, 5))
    known.touches = [Touched("p_1", f"s:{age}", bought, now - age) for bought, age in ages]
    made = ask(door, "p_1", context={"cart": 7})
    assert dict(zip(made.names, made.numbers, strict=True)) == {
        "recency_days": 10.0, "score.churn": 0.25, "seen.24h": 1.0, "cart": 7.0,
    }  # fmt: skip
    stranger = ask(door, "p_unknown")
    assert stranger.numbers == (None, None, 1.0, None)


def test_a_message_is_chosen_only_where_the_gate_lets_it_go(shop, door):
    _, known, clock = door

    def may(customer):
        return "letter" in ask(door, customer).places[0].eligible

    assert not may("p_1")  # nobody agreed
    known.grant("p_1")
    assert may("p_1")
    assert not may("p_unknown")  # no address
    assert not may("p_0")  # a customer without one
    known.sent = [("sent", "marketing", "email", "k", naive_utc(clock.now()), None)] * 50
    assert not may("p_1")
    known.sent = []
    token = Tokens(shop.vault, "email").of_identity("mail-p_1")
    known.listed = [(token, "email", "complaint", datetime(2026, 1, 2))]
    assert not may("p_1")
    known.listed = [(token, "sms", "complaint", datetime(2026, 1, 2))]
    assert may("p_1")
    known.grant("p_1", granted=False)
    assert not may("p_1")


def test_what_was_given_counts_until_the_ledger_has_counted_it(shop, door, published):
    made = door[0]
    point = parse(HOME | {"actions": [{"name": "none"}, {"name": "gift", "stock": 3}]})
    policy = learn_job.first_policy(shop.store, point, on=None)
    served = lambda given: Served(  # noqa: E731 - short
        point, version=2, paused=False, policy=policy, given={"gift": given}
    )
    made.renew({"home": served(0)})

    def give(n):
        return [ask(door, "p", id=f"d_{n}_{one}").places[0].action for one in range(n)]

    assert give(40).count("gift") == 3
    made.renew({"home": served(2)})  # two of them are in the lake
    assert give(41).count("gift") == 0  # counted twice for a while: never more than there are
    made.renew({"home": served(3)})
    made.renew({"home": served(0)})  # a person says that there are three again
    assert give(42).count("gift") == 3


def test_requests_that_come_together_get_what_each_would_get_alone(shop, door):
    made, known, clock = door
    known.grant("p_1")
    asks = [
        Ask("home", f"d_{n}", clock.monotonic(), (customer,), context={"cart": cart}, k=k)
        for n, (customer, cart, k) in enumerate(
            [("p_1", 7.0, None), ("p_0", None, None), ("p_1", 90.0, 1), ("p_2", 3.0, 2),
             ("p_unknown", 0.0, None), ("p_1", 7.0, None)] * 5
        )
    ]  # fmt: skip
    asks.append(Ask("nowhere", "d_x", clock.monotonic(), ("p_1",)))
    asks.append(Ask("home", "d_late", clock.monotonic() - 60, ("p_1",)))
    together = made.decide([made.look_up(one) for one in asks])
    alone = [made.handle(one) for one in asks]
    near = lambda one: msgspec.structs.replace(  # noqa: E731 - short
        one,
        places=[
            msgspec.structs.replace(place, propensity=round(place.propensity, 9))
            for place in one.places
        ],
    )
    assert [near(one) for one in together] == [near(one) for one in alone]
    assert {one.reason for one in together} >= {"unknown_point", "too_late"}
    assert len({one.places[0].action for one in together if one.places}) > 1


def test_requests_together_draw_the_same_lots_between_policies(shop, door):
    made, _, clock = door
    point = parse(HOME | {"holdout": 0.3})
    policy = learn_job.first_policy(shop.store, point, on=None)
    made.renew({"home": Served(point, version=2, paused=False, policy=policy)})
    asks = [Ask("home", f"d_{n}", clock.monotonic(), (f"p_{n % 3}",)) for n in range(40)]
    together = made.decide([made.look_up(one) for one in asks])
    said = lambda all_: [  # noqa: E731 - short
        (one.arm, one.reason == "held_out", one.places[0].action,
         pytest.approx(one.places[0].propensity)) for one in all_
    ]  # fmt: skip
    assert said(together) == said(made.handle(one) for one in asks)
    assert {one.arm for one in together} == {"holdout", "current"}


def test_of_requests_that_come_together_only_as_many_get_a_thing_as_there_are(shop, door):
    made, _, clock = door
    point = parse(HOME | {"actions": [{"name": "none"}, {"name": "gift", "stock": 3}]})
    policy = learn_job.first_policy(shop.store, point, on=None)
    made.renew({"home": Served(point, version=2, paused=False, policy=policy)})
    asks = [Ask("home", f"d_{n}", clock.monotonic(), ("p",)) for n in range(40)]
    given = made.decide([made.look_up(one) for one in asks])
    assert [one.places[0].action for one in given].count("gift") == 3


def test_a_batch_chooses_for_all_by_the_same_rules_and_once(shop, published, points):
    known = [{"name": "none"}, {"name": "letter", "channel": "email"},
             {"name": "gift", "stock": 1, "needs": [["recency_days", "<=", 10]]}]  # fmt: skip
    points.put(parse(HOME | {"features": ["recency_days"], "actions": known}), by="Ana")
    shop.add_consent("p_2", granted=False, purpose="profiling", channel="*")
    made = batch_job.run(context(shop, DAY), "home").to_pylist()
    by_id = {one[c.CUSTOMER_ID]: one for one in made}
    among = {one: set(json.loads(row[c.ELIGIBLE])) for one, row in by_id.items()}
    assert len(among) == 4
    assert among["p_3"] == {"none"}  # she did not agree to letters
    assert {"letter" in among[one] for one in ("p_1", "p_2")} == {True}
    assert "gift" not in among["p_2"] | among["p_3"]
    assert sum(one[c.ACTION] == "gift" for one in made) <= 1
    assert json.loads(by_id["p_1"][c.CONTEXT]) == {"recency_days": 10.0, "cart": None}
    assert json.loads(by_id["p_2"][c.CONTEXT])["recency_days"] is None
    assert not by_id["p_2"][c.PERSONALISED]
    again = batch_job.run(context(shop, DAY), "home").to_pylist()
    assert sorted(map(repr, again)) == sorted(map(repr, made))
    assert len(shop.store.read("decisions").to_pyarrow()) == 4
    some = batch_job.run(context(shop, DAY), "home", customers=["p_9", "nobody"]).to_pylist()
    assert [one[c.CUSTOMER_ID] for one in some] == ["p_1"]
