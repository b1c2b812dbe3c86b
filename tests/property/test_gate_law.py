"""The gate's law over any course of events: consents, withdrawals, complaints, merges, plans,
deliveries that die half way, and a clock that goes on. Whatever a channel is given is judged by the
walk through the history of `test_merged_consent_law`, which knows nothing of the code.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from tests.examples import examples
from tests.property.test_merged_consent_law import Step, may_write, merges_in_force, reachable
from tests.unit.act.shop import DAY, ZONE, Shop
from zhiyin.act import job
from zhiyin.collect import identity
from zhiyin.core.clock import FrozenClock, local_day, naive_utc
from zhiyin.core.ledger import consents, messages
from zhiyin.govern.gate import UNSUBSCRIBED
from zhiyin.govern.ledger import add_suppressions
from zhiyin.govern.suppression import address_token
from zhiyin.store.vault import Keys, LocalVault
from zhiyin.testing.channel import RecordingChannel
from zhiyin.testing.store import MemoryStore

HERS = "Asia/Shanghai"  # where the customers are; the shop is in New York
PEOPLE = ("ana", "bo", "cy", "di")
CAP, CAP_DAYS = 2, 7
QUIET_FROM, QUIET_TO = 21, 8


class Watched(RecordingChannel):
    """Asks the law of each message at the moment it is handed over."""

    def __init__(self, machine) -> None:
        super().__init__(supports={"lookup"})
        self._machine = machine

    def fail_after(self, attempts: int, *, kept: bool) -> None:
        """Die at that attempt from now, with or without having taken the message."""
        number = len(self.attempts) + attempts
        self._errors = {number: KeyboardInterrupt()}
        self._kept = frozenset({number} if kept else ())

    def calm(self) -> None:
        self._errors, self._kept = {}, frozenset()

    def send(self, message_id, recipient, content):
        party, at, campaign = self._machine.judge(message_id, recipient)
        try:
            return super().send(message_id, recipient, content)
        finally:
            if message_id in self.delivered:  # she has it, whatever was heard of it
                self._machine.sent.append((party, at, campaign))


class GateLaw(RuleBasedStateMachine):
    """A shop, its customers, and what they were sent."""

    campaigns = Bundle("campaigns")

    @initialize(silent=st.sampled_from(("nobody", *PEOPLE)))
    def open(self, silent):
        self.store = MemoryStore(zone=ZONE)
        self.shop = Shop(
            self.store, LocalVault(Keys.make(), self.store.ledger),
            act={
                "cap_messages": CAP, "cap_days": CAP_DAYS,
                "quiet_from_hour": QUIET_FROM, "quiet_to_hour": QUIET_TO,
            },
        )  # fmt: skip
        self.shop.add(*PEOPLE, zone=HERS, consent=None)
        for one in PEOPLE:
            self.shop.identify(one, f"{one}@shop.example")
        self.party = {one: self.shop.party(one) for one in PEOPLE}
        self.clock = FrozenClock(datetime(DAY.year, DAY.month, DAY.day, 4, tzinfo=UTC))
        self.history: list[Step] = []
        self.sent: list[tuple[str, datetime, str]] = []  # party, when, campaign
        self.channel = Watched(self)
        self.plans = 0
        for one in PEOPLE:
            if one != silent:
                self.say(one, granted=True, everywhere=False)
        self.deliver(self.plan("nobody"), None)

    def note(self, what, who, other=""):
        """One more line of the history, at a moment of its own."""
        self.advance(timedelta(minutes=1))
        day = len(self.history)
        self.history.append(Step(day, what, self.party[who], self.party.get(other, ""), "email"))
        return str(day)

    def advance(self, by: timedelta) -> None:
        self.clock = FrozenClock(self.clock.now() + by)

    @rule(who=st.sampled_from(PEOPLE), granted=st.booleans(), everywhere=st.booleans())
    def say(self, who, granted, everywhere):
        line = self.note("grant" if granted else "refuse", who)
        with self.store.begin() as connection:
            connection.execute(
                consents.insert().values(
                    consent_id=line, party_id=self.party[who], purpose="marketing",
                    channel="*" if everywhere else "email", granted=granted,
                    at=naive_utc(self.clock.now()), source="site",
                )
            )  # fmt: skip

    @rule(who=st.sampled_from(PEOPLE), complaint=st.booleans())
    def leave(self, who, complaint):
        line = self.note("complain" if complaint else "unsubscribe", who)
        token = address_token(self.shop.vault, "email", f"{who}@shop.example")
        with self.store.begin() as connection:
            add_suppressions(
                connection, [(token, "email")],
                reason="complaint" if complaint else UNSUBSCRIBED, at=self.clock.now(),
            )  # fmt: skip
            if not complaint:
                connection.execute(
                    consents.insert().values(
                        consent_id=line, party_id=self.party[who], purpose="marketing",
                        channel="email", granted=False, at=naive_utc(self.clock.now()),
                        source="unsubscribe",
                    )
                )  # fmt: skip

    @rule(one=st.sampled_from(PEOPLE), other=st.sampled_from(PEOPLE))
    def join(self, one, other):
        if one == other:
            return
        self.note("merge", one, other)
        identity.merge(
            self.store, self.party[one], into=self.party[other], at=self.clock.now(), rule="person"
        )

    @rule(hours=st.sampled_from((24, 1, 5, 12, 72)))
    def wait(self, hours):
        """Time goes by, and the worker looks whether something is due."""
        self.advance(timedelta(hours=hours))
        if self.plans:
            self.deliver(f"s:k{self.plans}", None)

    @rule(target=campaigns, spared=st.sampled_from(("nobody", *PEOPLE)))
    def plan(self, spared):
        self.plans += 1
        campaign = f"s:k{self.plans}"
        chosen = [one for one in PEOPLE if one != spared]
        self.shop.decide(*chosen, campaign=campaign, day=self.today())
        self.run(job.run, self.shop.settings.act)
        return campaign

    @rule(dies=st.tuples(st.integers(0, 3), st.booleans()), spared=st.sampled_from(PEOPLE))
    def send(self, dies, spared):
        """A campaign that dies on its way and is taken up again."""
        campaign = self.plan(spared)
        self.deliver(campaign, dies)
        self.deliver(campaign, None)

    @rule(campaign=campaigns, dies=st.none() | st.tuples(st.integers(0, 3), st.booleans()))
    def deliver(self, campaign, dies):
        """Also dies while the given message from now is handed over, before or after it is kept."""
        if dies:
            self.channel.fail_after(dies[0], kept=dies[1])
        try:
            self.run(job.deliver, campaign, progress=lambda what, share: None)
        except KeyboardInterrupt:
            return
        finally:
            self.channel.calm()
        there = {one for one, state in self.states(campaign).items() if state == "sent"}
        assert there == self.states(campaign).keys() & self.channel.delivered.keys()

    def run(self, work, *words, **named):
        context = self.shop.context(
            self.channel if work is job.deliver else None,
            turn=f"t{self.plans}", day=self.today(), clock=self.clock,
        )  # fmt: skip
        return work(context, *words, **named)

    def today(self) -> date:
        return local_day(self.clock.now(), ZONE)

    def states(self, campaign) -> dict[str, str]:
        query = sa.select(messages.c.message_id, messages.c.state)
        with self.store.begin() as connection:
            return dict(connection.execute(query.where(messages.c.campaign_id == campaign)).all())

    def judge(self, message_id, recipient):
        """The law, in words of its own."""
        who = recipient.partition("@")[0]
        at = self.clock.now()
        hour = at.astimezone(ZoneInfo(HERS)).hour
        person = reachable(self.party[who], merges_in_force(self.history))
        hers = [(t, campaign) for p, t, campaign in self.sent if p in person]
        lately = [t for t, _ in hers if t > at - timedelta(days=CAP_DAYS)]
        campaign = self.campaign_of(message_id)
        assert may_write(self.party[who], self.history), "she refused"
        assert QUIET_TO <= hour < QUIET_FROM, "it is night where she is"
        assert len(lately) < CAP, "more than the cap"
        assert message_id not in self.channel.delivered, "twice"
        assert campaign not in [one for _, one in hers], "one campaign twice"
        return self.party[who], at, campaign

    def campaign_of(self, message_id) -> str:
        query = sa.select(messages.c.campaign_id).where(messages.c.message_id == message_id)
        with self.store.begin() as connection:
            return connection.scalar(query)

    @invariant()
    def nothing_is_lost(self):
        if not self.plans:
            return
        with self.store.begin() as connection:
            rows = connection.execute(sa.select(messages.c.state, messages.c.reason)).all()
        assert all(state in STATES for state, _ in rows)
        assert all(reason for state, reason in rows if state == "skipped")

    def teardown(self):
        """Whatever happened: noon of the next day, and one campaign more."""
        if hasattr(self, "store"):
            noon = (self.clock.now() + timedelta(days=1)).replace(hour=4)
            self.clock = FrozenClock(noon)
            self.deliver(self.plan("nobody"), None)
            self.store.close()


STATES = {"planned", "sending", "sent", "unknown", "failed", "skipped"}
TestGateLaw = GateLaw.TestCase
TestGateLaw.settings = settings(max_examples=examples(3), stateful_step_count=16, deadline=None)
