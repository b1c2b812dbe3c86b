"""Five turns at a rich shop whose truth is known: chosen at random, then a policy learns from what
came of it, passes the gate, takes over step by step, and the gain that is measured is the true one.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from tests.unit.decide.conftest import Shop
from tests.unit.decide.governed import Governed
from zhiyin import simulate
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.decisions import Decided
from zhiyin.decide.reasons import BY_POLICY, HELD_OUT
from zhiyin.decided import decided_rows
from zhiyin.simulate.presets import GROCERY, Contact

CUSTOMERS = 1_500
CONTACTS = (
    Contact(name="none"),
    Contact(name="sms_coupon", channel="sms", plain=-2.4, price=3.0, cost=0.06, given_away=0.05,
            tires=0.2),
    Contact(name="sms_reminder", channel="sms", plain=1.2, cost=0.05, tires=0.2),
)  # fmt: skip
LIVELY = GROCERY.model_copy(
    update={"contacts": CONTACTS, "basket_noise": 0.1, "basket_spread": 0.2, "orders": 0.2}
)
"""A grocery whose customers heed what they are told, so that few of them are enough."""
SEES = ("orders_in_year", "contacts_lately", "coupon_share", "score")
NAMES = tuple(f"week.{name}" for name in SEES)


class Weekly(Governed):
    """A week of the shop: each customer is chosen for once, lives the week, and settles."""

    def __init__(self, shop, market):
        self.market, self.seen = market, market.observe()
        columns = [self.seen.column(name) for name in SEES]
        scale = {name: {"middle": float(np.nanmean(one)), "width": float(np.nanstd(one) or 1)}
                 for name, one in zip(NAMES, columns, strict=True)}  # fmt: skip
        super().__init__(
            shop, context=scale,
            actions=[{"name": one.name, "cost_minor": round(100 * one.cost)} for one in CONTACTS],
            policy={"name": "rules", "explore": 1.0, "settings": {"rules": []}},
            ramp={"shares": [0.3, 0.5], "least": 200, "planned": 4 * CUSTOMERS, "kept": 0.1},
        )  # fmt: skip
        self.true_gains = []

    def live(self):
        """One week; what the sides that choose are truly apart, per choice, is remembered."""
        served, truth = self.served(), self.market.truth()
        numbers = np.column_stack([self.seen.column(name) for name in SEES])
        done = np.zeros(CUSTOMERS, np.int64)
        chosen_of = []
        for row in range(CUSTOMERS):
            self.number += 1
            name = f"d_{self.number}"
            chosen = served.choose(numbers[row], self.seen.eligible[row], 1, self.lots.of(name))
            done[row] = self.market.actions.index(chosen.places[0].action)
            chosen_of.append((name, chosen))
        sides = {arm: side for arm, _, side in served.sides if side is not None}
        if "candidate" in sides:
            chances = {
                arm: side.policy.probabilities(side.contexts(numbers), self.seen.eligible)
                for arm, side in sides.items()
            }
            apart = (chances["candidate"] - chances["current"]) * truth
            self.true_gains.append(100 * float(apart.sum(axis=1).mean()))
        lived = self.market.step(done)
        rows, told = [], []
        for row, (name, chosen) in enumerate(chosen_of):
            at = self.clock.now() + timedelta(seconds=row)
            rows += decided_rows(
                Decided(
                    name, int(at.timestamp() * 1e6), "home", chosen.places,
                    BY_POLICY if chosen.policy else HELD_OUT,
                    chosen.policy.policy.name if chosen.policy else "default",
                    chosen.policy.version if chosen.policy else "", served.version,
                    f"p_{row}", f"p_{row}", NAMES,
                    tuple(None if x != x else x for x in numbers[row].tolist()), False,
                    chosen.arm, chosen.ramp,
                ),
                turn_id="u_1", zone="UTC",
            )  # fmt: skip
            earned = round(100 * (lived.rewards[row] + CONTACTS[done[row]].cost))
            if earned > 0:
                told.append(_bought(name, f"p_{row}", at + timedelta(hours=2), earned))
        self.seen = lived.observation
        self.add(rows, told)
        self.pass_days(7)


def _bought(decision, party, at, value):
    return {
        c.OUTCOME_ID: f"o_{decision}", c.OCCURRED_AT: naive_utc(at), c.DECISION_ID: decision,
        c.RECEIVED_AT: naive_utc(at), c.KIND: "purchase", c.PARTY_ID: party,
        c.VALUE_BASE_MINOR: value, c.VALUE_MINOR: value, c.CURRENCY: "USD",
    }  # fmt: skip


@pytest.fixture(scope="module")
def lived():
    """Two turns at random, a candidate that learned from the first and was judged by the second,
    and three turns of its taking over.
    """
    shop = Weekly(Shop(), simulate.shop(LIVELY, 6, customers=CUSTOMERS))
    shop.live()
    shop.live()
    number = shop.attempt("linear_thompson", explore=0.05)
    verdict = shop.judge(number)["verdict"]
    shop.candidates.approve("home", number, by="Bo")
    looks = []
    for _ in range(3):
        shop.live()
        looks += shop.look()
    return shop, verdict, looks


def test_the_gate_lets_through_what_is_truly_better_and_says_by_how_much(lived):
    shop, verdict, _ = lived
    assert verdict["promoted"]
    assert verdict["gain"]["low"] < shop.true_gains[0] < verdict["gain"]["high"]


def test_it_takes_over_and_the_measured_gain_is_the_true_one(lived):
    shop, _, looks = lived
    assert [(one.reason, one.share) for one in looks[:2]] == [("not_worse", 0.5), ("better", 0.9)]
    assert looks[-1].status == "full"
    gain = shop.candidates.listed("home")[1]["ramp"]["gain"]
    assert 0 < gain["low"] < float(np.mean(shop.true_gains)) < gain["high"]


def test_who_chooses_now_brings_most_of_what_could_be_brought(lived):
    """Of what the best choice by all that is known, hidden parts as well, would bring beyond
    choosing at random.
    """
    shop, *_ = lived
    truth = 100 * shop.market.truth()
    could = float((truth.max(axis=1) - truth.mean(axis=1)).mean())
    assert shop.true_gains[-1] > 0.4 * could
