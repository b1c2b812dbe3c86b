"""A decision point at the simulated shop whose truth is known: what is chosen is written into the
lake as servers write it, and what came of it as it is reported.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from zhiyin.candidates import Candidates, Wish
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, naive_utc
from zhiyin.core.decisions import Decided
from zhiyin.core.rng import Lots, Streams
from zhiyin.decide.candidates.ledger import ramping
from zhiyin.decide.candidates.ramp_job import look
from zhiyin.decide.points import ledger
from zhiyin.decide.points.check import parse
from zhiyin.decide.points.point_policy import unpack_policy
from zhiyin.decide.points.served import Rising, Served
from zhiyin.decide.reasons import BY_POLICY, HELD_OUT, SENT_TO_PERSON
from zhiyin.decided import decided_rows
from zhiyin.judging import Judging
from zhiyin.points import Points
from zhiyin.simulate.tabular import NOTHING, Offered, TabularConfig, tabular_shop
from zhiyin.testing.store import MemoryStore

START = datetime(2026, 4, 1, 9, tzinfo=UTC)
ACTIONS = (
    Offered(name=NOTHING), Offered(name="reminder", odds=8.0, cost=0.3),
    Offered(name="coupon", odds=0.2, cost=0.3, given_away=0.35),
)  # fmt: skip
"""A reminder brings customers back, the coupon of this shop drives them away."""
SHOP = tabular_shop(TabularConfig(actions=ACTIONS, fatigue=2, recency=3))
MOVES = SHOP.mdp.transitions.cumsum(axis=2)
SEES = ("recency", "loyalty", "fatigue")
POINT = {
    "key": "home",
    "default": NOTHING,
    "context": {name: {"middle": 1, "width": 1} for name in SEES},
    "actions": [{"name": one.name, "cost_minor": round(100 * one.cost)} for one in ACTIONS],
    "policy": {"name": "rules", "explore": 0.5, "settings": {"rules": []}},
    "reward": {"kind": "margin", "window_days": 1, "settle_days": 0, "outcomes": ["purchase"]},
    "ramp": {"shares": [0.3, 0.5], "least": 40, "planned": 900, "kept": 0.2},
}
RULES = {
    "good": [{"when": [["fatigue", "<", 9]], "then": "reminder"}],
    "bad": [{"when": [["fatigue", "<", 9]], "then": "coupon"}],
}


def _reason(chosen):
    if chosen.sent:
        return SENT_TO_PERSON
    return BY_POLICY if chosen.policy else HELD_OUT


class Governed:
    """A shop of which time passes: `serve` makes choices, `pass_days` lets them settle."""

    def __init__(self, shop, *, seed=7, **changes):
        self.shop = shop
        shop.store = MemoryStore(zone="UTC")
        self.clock = FrozenClock(START)
        self.points = Points(shop.store, self.clock)
        self.candidates = Candidates(shop.store, self.clock)
        self.judging = Judging(shop.store, self.clock)
        self.points.put(parse(POINT | changes), by="Ana")
        self.lots, self.number = Lots(), 0
        self.rng = Streams(seed).generator("choices")
        self.truth = SHOP.mdp.gains

    def pass_days(self, days=2):
        self.clock = FrozenClock(self.clock.now() + timedelta(days=days))
        self.points._clock = self.candidates._clock = self.judging._clock = self.clock

    def attempt(self, name, *, by="Ana", **wish):
        """The number of a candidate."""
        return self.judging.try_policy("home", Wish(name, **wish), by=by).number

    def judge(self, number, *, by="Ana"):
        return self.judging.judge("home", number, by=by)

    def served(self):
        """As a server has the point now."""
        with self.shop.store.begin() as connection:
            held = ledger.find(connection, "home")
            new, spoken = ramping(connection, "home"), ledger.current(connection, "home")

            def policy(number):
                return unpack_policy(ledger.artifact_of(connection, "home", number))

            rising = new and Rising(
                new.number, new.stand().stage, new.stand().share, policy(new.number)
            )
            return Served(
                held.definition, version=held.version, paused=held.state == ledger.PAUSED,
                policy=policy(spoken.number), rising=rising,
            )  # fmt: skip

    def serve(self, n, *, gains=None, spoil=None):
        """Make n choices for n customers; `gains` (actions, states, states): another truth."""
        served, truth = self.served(), self.truth if gains is None else gains
        rows, told = [], []
        for _ in range(n):
            self.number += 1
            state = int(self.rng.integers(len(SHOP.states) - 1))
            numbers = SHOP.states[state, :3].astype(float)
            name = f"d_{self.number}"
            flags = np.ones(len(ACTIONS), bool)
            chosen = served.choose(numbers, flags, 1, self.lots.of(name))
            action = chosen.places[0].action
            at = self.clock.now() + timedelta(seconds=self.number % 30_000)
            rows += decided_rows(
                Decided(
                    name, int(at.timestamp() * 1e6), "home", chosen.places,
                    _reason(chosen),
                    chosen.policy.policy.name if chosen.policy else "default",
                    chosen.policy.version if chosen.policy else "", served.version, name, name,
                    SEES, tuple(numbers.tolist()), False, chosen.arm, chosen.ramp,
                ),
                turn_id="u_1", zone="UTC",
            )  # fmt: skip
            told += self._came(name, state, action, at, truth)
        if spoil is not None:
            rows = [spoil(row) for row in rows]
        return self.add(rows, told)

    def add(self, rows, told):
        """Rows as they come from the journal."""
        self.shop.add("decisions", *rows)
        if told:
            self.shop.add("outcomes", *told)
        return rows, told

    def _came(self, name, state, action, at, truth):
        place = SHOP.actions.index(action)
        ends = MOVES[place, state]
        after = min(int(ends.searchsorted(self.rng.random(), side="right")), ends.size - 1)
        earned = truth[place, state, after] + ACTIONS[place].cost
        if earned <= 0:
            return []
        moment = at + timedelta(hours=2)
        return [{
            c.OUTCOME_ID: f"o_{name}", c.OCCURRED_AT: naive_utc(moment), c.DECISION_ID: name,
            c.RECEIVED_AT: naive_utc(moment), c.KIND: "purchase", c.PARTY_ID: name,
            c.VALUE_BASE_MINOR: round(100 * earned), c.VALUE_MINOR: round(100 * earned),
            c.CURRENCY: "USD",
        }]  # fmt: skip

    def look(self):
        """What the worker does in between."""
        return look(self.shop.store, known_at=self.clock.now(), now=self.clock.now())

    def value_of(self, action):
        """Expected profit in minor units per choice of always doing one thing, over all states."""
        return 100 * float(SHOP.mdp.rewards[:-1, SHOP.actions.index(action)].mean())
