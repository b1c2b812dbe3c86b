"""What the engine of journeys promises on every database; a subclass gives the `ledger`."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from zhiyin.act.journeys import engine
from zhiyin.act.journeys.check import parse
from zhiyin.act.journeys.engine import Candidate
from zhiyin.act.journeys.graph import Graph
from zhiyin.core.ledger import decision_requests, journey_places
from zhiyin.core.ledger import journey_people as people
from zhiyin.decide.requests import answer

DAY = 86_400
STEPS = {
    "rest": {"type": "delay", "days": 1, "next": "ab"},
    "ab": {"type": "random", "branches": [
        {"share": 0.25, "next": "out"}, {"share": 0.25}, {"share": 0.5, "next": "buys"},
    ]},
    "buys": {"type": "wait", "on": {"purchase": True}, "days": 3, "then": "out"},
    "out": {"type": "exit"},
}  # fmt: skip


def graph_of(**changes):
    value = {"key": "k", "entry": {"type": "api"}, "steps": STEPS} | changes
    return Graph("k", 1, parse(value), {})


class JourneyEngineContract:
    """Inherit and give `ledger`, an empty one."""

    def enter(self, ledger, graph, *who, at_s=0):
        made = [Candidate(one, f"o{at_s}", at_s) for one in who]
        with ledger.begin() as connection:
            return engine.enter(connection, graph, made)

    def tick(self, ledger, graph, now_s, *, batch=7):
        moved = engine.pass_on(
            ledger.begin, graph, "", to=graph.definition.first(), now_s=now_s, batch=batch
        )
        for name, to in (("rest", "ab"), ("buys", "")):
            moved += engine.pass_on(ledger.begin, graph, name, to=to, now_s=now_s, batch=batch)
        return moved

    def rows(self, ledger):
        """Everybody, with her place; those who left have none."""
        w = journey_places.c
        query = sa.select(people, w.step, w.lot, w.due_s).outerjoin_from(
            people, journey_places, w.entry_id == people.c.entry_id
        )
        with ledger.connect() as connection:
            rows = connection.execute(query.order_by(people.c.entry_id)).all()
        assert all((row.reason is None) == (row.step is not None) for row in rows)
        return rows

    def test_a_late_tick_leaves_everybody_where_timely_ticks_would(self, ledger):
        graph, who = graph_of(), [f"p_{n:03d}" for n in range(40)]
        assert self.enter(ledger, graph, *who) == 40
        self.tick(ledger, graph, 3 * DAY)
        late = [(row.step, row.due_s, row.reason) for row in self.rows(ledger)]
        assert {row.reason for row in self.rows(ledger)} == {"finished", None}
        assert self.tick(ledger, graph, 30 * DAY) >= 15
        assert all(row.reason == "finished" for row in self.rows(ledger))
        with ledger.begin() as connection:
            connection.execute(people.delete())
        self.enter(ledger, graph, *who)
        for hour in range(0, 24 * 3 + 1, 6):
            self.tick(ledger, graph, hour * 3600)
        assert [(row.step, row.due_s, row.reason) for row in self.rows(ledger)] == late

    def test_shares_are_kept_and_splits_are_independent(self, ledger):
        shares = {"some": 0.25, "others": 0.25, "buys": 0.5}
        split = [{"share": share, "next": name} for name, share in shares.items()]
        rests = {name: {"type": "delay", "days": 1} for name in shares}
        graph = graph_of(steps={"ab": {"type": "random", "branches": split}, **rests})
        self.enter(ledger, graph, *(f"p_{n:04d}" for n in range(2_000)))
        engine.pass_on(ledger.begin, graph, "", to="ab", now_s=0, batch=500)
        steps = [row.step for row in self.rows(ledger)]
        assert steps.count(graph.places["buys"]) == pytest.approx(1_000, abs=110)  # 5 sigma
        assert steps.count(graph.places["some"]) == pytest.approx(500, abs=97)
        first, second = graph.lot("ab"), graph.lot("other")
        both = sa.select(sa.func.count()).where(first < 2**30, second < 2**30)
        with ledger.connect() as connection:
            assert connection.scalar(both) == pytest.approx(500, abs=97)

    def test_one_at_a_time_and_nothing_brings_in_twice(self, ledger):
        graph = graph_of(reentry="always")
        assert self.enter(ledger, graph, "p_a", "p_b") == 2
        assert self.enter(ledger, graph, "p_a", at_s=5) == 0
        self.tick(ledger, graph, 9 * DAY)
        assert self.enter(ledger, graph, "p_a") == 0
        assert self.enter(ledger, graph, "p_a", at_s=9 * DAY) == 1
        with ledger.begin() as connection:  # another record of the same person
            twin = Candidate("p_c", "x", 9 * DAY, ("p_a", "p_c"))
            assert engine.enter(connection, graph, [twin]) == 0

    def test_reentry_after_days(self, ledger):
        graph = graph_of(reentry="after", reentry_days=30)
        self.enter(ledger, graph, "p_a")
        self.tick(ledger, graph, 20 * DAY)
        assert self.enter(ledger, graph, "p_a", at_s=29 * DAY) == 0
        assert self.enter(ledger, graph, "p_a", at_s=30 * DAY) == 1

    def test_what_she_waits_for_counts_between_coming_and_the_end(self, ledger):
        steps = {"buys": STEPS["buys"] | {"then": "more"}, "more": {"type": "delay", "days": 1}}
        graph = graph_of(steps=steps)
        who = ["p_early", "p_late", "p_now"]
        self.enter(ledger, graph, *who, at_s=DAY)
        engine.pass_on(ledger.begin, graph, "", to="buys", now_s=DAY)
        done = [("p_early", DAY), ("p_now", 2 * DAY), ("p_late", 4 * DAY + 1)]
        for _ in range(2):  # told twice
            with ledger.begin() as connection:
                engine.happen(connection, graph, "buys", to="more", done=done)
        found = {row.party_id: (row.step, row.due_s) for row in self.rows(ledger)}
        assert found == {"p_early": (1, 4 * DAY), "p_late": (1, 4 * DAY), "p_now": (2, 3 * DAY)}

    def test_what_a_step_asks_is_answered_once_by_what_is_known(self, ledger):
        def asked(n, **values):
            return {
                "decision_id": f"d_{n}", "journey": "k", "version": 1, "step": "best",
                "entry_id": n, "party_id": f"p_{n}", "asked_s": 0, "eligible": ["a", "b"],
                "explore": 0.1, "until_s": 9, "settle_s": 9, **values,
            }  # fmt: skip

        known = [asked(n, action="ab"[n % 2], reward=n % 2) for n in range(200)]
        with ledger.begin() as connection:
            connection.execute(decision_requests.insert(), known)
            connection.execute(decision_requests.insert(), [asked(n) for n in range(200, 260)])
        assert [answer(ledger.begin, journey="k", step="best", sight=None) for _ in range(2)] == [
            60,
            0,
        ]
        r = decision_requests.c
        with ledger.connect() as connection:
            query = sa.select(r.action, r.propensity).where(r.entry_id >= 200)
            chosen = connection.execute(query).all()
        assert {round(one.propensity, 6) for one in chosen if one.action == "b"} == {0.95}
        assert 48 <= sum(one.action == "b" for one in chosen) <= 60

    def test_the_goal_ends_it_wherever_she_is_and_is_counted_once_she_entered(self, ledger):
        graph = graph_of()
        self.enter(ledger, graph, "p_a", "p_b", at_s=100)
        with ledger.begin() as connection:
            engine.leave(connection, graph, reason="goal", done=[("p_a", 100), ("p_b", 99)])
        assert [row.reason for row in self.rows(ledger)] == ["goal", None]
        with ledger.connect() as connection:
            assert engine.any_due(connection, graph, 100)
            assert not engine.any_due(connection, graph, 99)
