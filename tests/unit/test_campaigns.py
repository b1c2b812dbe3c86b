"""Campaigns that a person plans: checked, approved, started, paused, stopped, measured."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from tests.unit.act.shop import DAY, ZONE, Shop, opened
from zhiyin.act import job
from zhiyin.act.campaigns.definition import parse_definition
from zhiyin.act.campaigns.ledger import CANCELLED
from zhiyin.act.preview import example_emails
from zhiyin.audience import parse
from zhiyin.audiences import Audiences
from zhiyin.campaigns import Campaigns
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, naive_utc, run_moment
from zhiyin.core.errors import (
    DeliveryError,
    InvalidParameter,
    InvalidRule,
    NotFound,
    PermissionDenied,
)
from zhiyin.core.ledger import audit, campaigns, messages, suppressions
from zhiyin.store.vault import Keys, LocalVault
from zhiyin.testing.channel import RecordingChannel
from zhiyin.testing.store import MemoryStore

AT = run_moment(DAY, ZONE)
PEOPLE = [f"c{n}" for n in range(60)]
FOR_ALL = {"type": "trait", "field": "language", "op": "in", "value": ["en"]}
A = {"name": "a", "en": {"subject": "Hello {{ name }}", "text": "Dear {{ name }},\n\nspring."}}
B = {"name": "b", "en": {"subject": "Spring", "text": "Look."}}
KEY = "spring"


class Desk:
    """The shop's campaigns at a moment, and a channel."""

    def __init__(self, shop: Shop, **settings) -> None:
        self.shop = shop.with_settings(**settings) if settings else shop
        self.clock = FrozenClock(AT)
        self.channel = RecordingChannel()

    @property
    def campaigns(self) -> Campaigns:
        ctx = self.shop.context(clock=self.clock)
        return Campaigns(ctx, Audiences(self.shop.store, self.shop.vault, self.clock, DAY))

    def create(self, **changes):
        return self.campaigns.create(campaign(**changes), by="Ana")

    def started(self, **changes):
        self.create(**changes)
        self.campaigns.start(KEY, by="Ana")
        return self.campaigns.plan(KEY)

    def deliver(self, **limits):
        ctx = self.shop.context(self.channel, clock=self.clock)
        return job.deliver(ctx, "zhiyin:spring", progress=lambda *_: None, **limits)

    def rows(self):
        with self.shop.store.begin() as connection:
            return connection.execute(sa.select(messages)).all()

    def states(self):
        return Counter((row.state, row.reason) for row in self.rows())


def campaign(**changes):
    return parse_definition({"key": KEY, "rule": FOR_ALL, "variants": [A, B]} | changes)


@pytest.fixture
def desk():
    store = MemoryStore(zone=ZONE)
    shop = Shop(store, LocalVault(Keys.make(), store.ledger))
    shop.add(*PEOPLE)
    yield Desk(shop)
    store.close()


def test_the_checklist_has_the_sizes_after_each_rule_the_variants_and_the_cost(desk):
    desk.shop.add("n1", "n2", consent=False)
    found = desk.campaigns.check(campaign(holdout_share=0.25, cost="0.05", budget="100"))
    assert found.audience == 62
    stopped = {one.reason: one.stopped for one in found.sizes if one.stopped}
    assert stopped == {"consent_refused": 2, "held_out": found.held_out}
    assert 5 <= found.held_out <= 28
    assert found.messages == 60 - found.held_out == sum(found.variants.values())
    assert found.cost == found.messages * Decimal("0.05")
    assert desk.rows() == []
    for language, words in (("en", "left after 2"), ("zh", "排除 2 人")):
        assert words in found.text(language)


def test_what_is_checked_is_what_is_planned(desk):
    found = desk.campaigns.check(campaign(holdout_share=0.25))
    desk.started(holdout_share=0.25)
    made = Counter(row.variant for row in desk.rows())
    assert made == Counter(found.variants) + Counter({None: found.held_out})
    assert desk.states() == {
        ("planned", None): found.messages,
        ("skipped", "held_out"): found.held_out,
    }


def test_the_checklist_says_what_the_holdout_can_show(desk):
    goal = {"base_rate": 0.02, "change": 0.1}
    shown = desk.campaigns.check(campaign(holdout_share=0.25, goal=goal)).shown
    assert shown.change > 1
    assert shown.enough_share is None
    assert shown.enough_campaigns > 100
    nothing = desk.campaigns.check(campaign(goal=goal))
    assert nothing.shown.change is None
    assert "no effect" in nothing.text("en")


def test_every_message_goes_once_and_the_campaign_is_done(desk):
    assert desk.started() == len(PEOPLE)
    counts = desk.deliver()
    assert counts["sent"] == counts["planned"] == len(PEOPLE)
    assert all(len(one) == 1 for one in desk.channel.delivered.values())
    shown = desk.campaigns.shown(KEY)
    assert shown["state"] == "done"
    with pytest.raises(InvalidParameter, match="done"):
        desk.deliver()


def test_what_arrives_is_the_variant_and_a_name_stays_text(desk):
    desk.shop.add("x1", first_name="<script>Eva</script>", consent=True)
    desk.started(variants=[A])
    desk.deliver()
    row = next(one for one in desk.rows() if one.party_id == desk.shop.party("x1"))
    mail = opened(desk.channel.delivered[row.message_id][0].content)
    html = mail.get_body(("html",)).get_content()
    assert "&lt;script&gt;Eva" in html
    assert "<script>" not in html
    plain = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert "Dear <script>Eva</script>,\n\nspring." in plain
    assert mail["Subject"] == "Hello <script>Eva</script>"


def test_a_preview_is_what_is_sent_but_for_the_name_and_the_links(desk):
    desk.started(variants=[B])
    (shown, *_) = example_emails(desk.shop.context(turn="", clock=desk.clock), limit=1)
    desk.deliver()
    mail = opened(desk.channel.delivered[shown["message_id"]][0].content)
    sent = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert sent.split("Unsubscribe")[0] == shown["text"].split("Unsubscribe")[0]
    assert mail["Subject"] == shown["subject"]


def test_planning_again_changes_no_variant_and_adds_nothing(desk):
    desk.started(holdout_share=0.2)
    before = {row.message_id: (row.variant, row.reason) for row in desk.rows()}
    _replan(desk)
    assert desk.campaigns.plan(KEY) == 0
    assert {row.message_id: (row.variant, row.reason) for row in desk.rows()} == before


def _replan(desk):
    with desk.shop.store.begin() as connection:
        connection.execute(campaigns.update().values(planned_at=None))


def test_planning_that_was_cut_short_goes_on_within_the_budget(desk):
    desk.started(cost="1", budget="40")
    assert desk.states()[("planned", None)] == 40
    with desk.shop.store.begin() as connection:
        some = [row.message_id for row in desk.rows()][:25]
        connection.execute(messages.delete().where(messages.c.message_id.in_(some)))
    _replan(desk)
    desk.campaigns.plan(KEY)
    assert desk.states()[("planned", None)] <= 40
    assert len(desk.rows()) == len(PEOPLE)


def test_nobody_approves_her_own_and_without_approval_it_does_not_start(desk):
    two = Desk(desk.shop, second_person=True)
    two.create()
    with pytest.raises(PermissionDenied, match="not approved"):
        two.campaigns.start(KEY, by="Ana")
    with pytest.raises(PermissionDenied, match="cannot approve"):
        two.campaigns.approve(KEY, by="Ana")
    two.campaigns.approve(KEY, by="Bo")
    assert two.campaigns.start(KEY, by="Ana").state == "running"
    with two.shop.store.begin() as connection:
        said = connection.execute(sa.select(audit.c.actor, audit.c.action)).all()
    assert [tuple(one) for one in said] == [
        ("Ana", "campaign.created"), ("Bo", "campaign.approved"), ("Ana", "campaign.started"),
    ]  # fmt: skip


def test_a_change_after_the_approval_needs_another_one(desk):
    two = Desk(desk.shop, second_person=True)
    two.create()
    two.campaigns.approve(KEY, by="Bo")
    assert two.create(variants=[B]).version == 2
    with pytest.raises(PermissionDenied, match="not approved"):
        two.campaigns.start(KEY, by="Ana")


def test_what_has_started_cannot_be_changed(desk):
    desk.started()
    with pytest.raises(InvalidParameter, match="cannot change"):
        desk.create(variants=[B])


class Acting(RecordingChannel):
    """Does something as the given message is handed over."""

    def __init__(self, at: int, act) -> None:
        super().__init__()
        self.at, self.act = at, act

    def send(self, message_id, recipient, content):
        if len(self.attempts) == self.at:
            self.act()
        return super().send(message_id, recipient, content)


class Ticking(FrozenClock):
    """A second passes whenever the duration is asked for."""

    ticks = 0.0

    def monotonic(self):
        self.ticks += 1
        return self.ticks


@pytest.mark.parametrize("what", ["pause", "cancel"])
def test_a_delivery_under_way_stops_at_once_and_nothing_goes_twice(desk, what):
    desk.started()
    desk.clock = Ticking(AT)
    desk.channel = Acting(7, lambda: getattr(desk.campaigns, what)(KEY, by="Ana"))
    counts = desk.deliver()
    assert counts["sent"] == 8
    assert counts["unknown"] == 0
    if what == "cancel":
        assert counts["skipped"] == {"cancelled": len(PEOPLE) - 8}
        assert desk.campaigns.shown(KEY)["state"] == CANCELLED
        return
    with pytest.raises(InvalidParameter, match="paused"):
        desk.deliver()
    desk.campaigns.resume(KEY, by="Ana")
    assert desk.deliver()["sent"] == len(PEOPLE)
    assert all(len(one) == 1 for one in desk.channel.delivered.values())


def test_a_delivery_makes_room_for_others_and_goes_on_later(desk):
    desk.started()
    desk.clock = Ticking(AT)
    first = desk.deliver(longest_s=3)
    assert 0 < first["sent"] < len(PEOPLE)
    assert desk.deliver()["sent"] == len(PEOPLE)


def test_too_many_complaints_pause_it_and_a_resume_counts_anew(desk):
    desk.started(stop={"after": 10, "complaints": 0.05})
    sent = _send_some(desk, 50)
    _complain(desk, sent[:4])
    counts = desk.deliver()
    assert counts["sent"] == 50
    shown = desk.campaigns.shown(KEY)
    assert (shown["state"], shown["reason"]) == (
        "paused", "complaints: 4 of 50 sent, more than 0.05"
    )  # fmt: skip
    assert shown["ends"] == {"sent": 50, "complaints": 4, "bounces": 0, "unsubscribes": 0}
    desk.clock.at = AT + timedelta(minutes=5)
    desk.campaigns.resume(KEY, by="Ana")
    assert desk.deliver()["sent"] == len(PEOPLE)


def _send_some(desk, n):
    """Deliver the first batch; the delivery is then cut off."""

    class Full(RecordingChannel):
        def send(self, message_id, recipient, content):
            if len(self.attempts) >= n:
                raise KeyboardInterrupt
            return super().send(message_id, recipient, content)

    desk.channel = Full()
    with pytest.raises(KeyboardInterrupt):
        desk.deliver()
    kept, desk.channel = desk.channel, RecordingChannel()
    desk.channel.delivered = kept.delivered
    return [row for row in desk.rows() if row.state == "sent"]


def _complain(desk, rows):
    with desk.shop.store.begin() as connection:
        connection.execute(suppressions.insert(), [
            {"token": row.address_token, "channel": "email", "reason": "complaint",
             "at": naive_utc(AT) + timedelta(minutes=1)} for row in rows
        ])  # fmt: skip


def test_addresses_that_the_provider_refuses_stop_it_too(desk):
    desk.started(stop={"after": 50, "bounces": 0.1})
    desk.channel = RecordingChannel(refused=[f"{key}@shop.example" for key in PEOPLE])
    counts = desk.deliver()
    assert (counts["failed"], counts["open"]) == (50, 10)
    assert desk.campaigns.shown(KEY)["reason"].startswith("bounces: 50 of 50")


def test_each_gets_it_at_her_hour(desk):
    desk.shop.add("tokyo", zone="Asia/Tokyo")
    desk.shop.add("paris", zone="Europe/Paris")
    desk.started(schedule={"local_hour": 10})
    due = {row.party_id: row.not_before for row in desk.rows()}
    assert due[desk.shop.party("c1")] == datetime(2024, 3, 12, 14)  # New York, an hour from now
    assert due[desk.shop.party("paris")] == datetime(2024, 3, 13, 9)  # 10:00 there is past
    assert due[desk.shop.party("tokyo")] == datetime(2024, 3, 13, 1)
    assert desk.deliver()["sent"] == 0
    desk.clock.at = AT + timedelta(hours=1)
    assert desk.deliver()["sent"] == len(PEOPLE)
    assert desk.campaigns.shown(KEY)["state"] == "running"
    desk.clock.at = AT + timedelta(days=2)
    counts = desk.deliver()  # 9 o'clock in New York is night in Tokyo: she gets it in the morning
    assert (counts["open"], counts["skipped"]) == (1, {})
    assert desk.deliver()["open"] == 1
    desk.clock.at = datetime(2024, 3, 14, 23, tzinfo=UTC)  # 8 o'clock in Tokyo
    counts = desk.deliver()
    assert (counts["sent"], counts["open"]) == (len(PEOPLE) + 2, 0)
    assert len(desk.channel.attempts) == len(PEOPLE) + 2


def test_what_would_come_at_night_comes_in_the_morning(desk):
    desk.shop.add("tokyo", zone="Asia/Tokyo")  # 22:00 there
    shown = desk.campaigns.check(campaign())
    assert shown.due == (None, "2024-03-12T23:00+00:00")
    assert "in the morning, the last at 2024-03-12T23:00" in shown.text("en")
    assert "早上" in shown.text("zh")
    desk.started()
    assert desk.deliver()["sent"] == len(PEOPLE)
    desk.clock.at = datetime(2024, 3, 12, 23, tzinfo=UTC)
    assert desk.deliver()["sent"] == len(PEOPLE) + 1
    assert desk.campaigns.shown(KEY)["state"] == "done"


def test_a_moment_at_night_is_put_off_to_the_morning(desk):
    desk.started(schedule={"at": "2024-03-13T03:00:00"})  # at night in New York
    assert {row.not_before for row in desk.rows()} == {datetime(2024, 3, 13, 12)}


def test_every_decision_of_a_campaign_is_logged_with_its_propensity(desk):
    desk.shop.add("mute", email="")
    shares = [{**A, "share": 0.8}, {**B, "share": 0.2}]
    desk.started(holdout_share=0.25, variants=shares)
    rows = desk.shop.store.read("decisions").to_pyarrow().to_pylist()
    assert len(rows) == len(PEOPLE) + 1
    of = {row[c.PARTY_ID]: row for row in rows}
    for message in desk.rows():
        row = of[message.party_id]
        assert row[c.DECISION_ID] == message.decision_id
        assert (row[c.VARIANT], row[c.DECIDED_BY]) == (message.variant, "campaign")
        possible = json.loads(row[c.ELIGIBLE])
        if message.variant:
            share = {"a": 0.8, "b": 0.2}[message.variant]
            assert (row[c.ACTION], row[c.ARM]) == ("contact", "treat")
            assert (row[c.PROPENSITY], row[c.REASON]) == (
                pytest.approx(0.75 * share),
                "in_audience",
            )
        elif message.reason == "held_out":
            assert (row[c.ACTION], row[c.ARM], row[c.PROPENSITY]) == ("none", "holdout", 0.25)
        else:
            assert (possible, row[c.ARM], row[c.PROPENSITY]) == (["none"], "none", 1.0)
            assert row[c.REASON] == "no_address"
    assert {row[c.ARM] for row in rows} == {"treat", "holdout", "none"}
    desk.campaigns.plan(KEY)
    assert len(desk.shop.store.read("decisions").to_pyarrow()) == len(rows)


def test_the_turns_jobs_leave_a_campaigns_decisions_alone(desk):
    desk.started()
    desk.shop.decide("c1")  # a turn's decisions of the same day
    ctx = replace(desk.shop.context(clock=desk.clock), turn_id="t1")
    report = job.run(ctx, ctx.settings.act)
    assert report.figures["messages"]["planned"] == 1
    left = desk.shop.store.read("decisions").to_pyarrow().to_pylist()
    assert sum(row[c.DECIDED_BY] == "campaign" for row in left) == len(PEOPLE)


def test_what_is_no_marketing_comes_at_night_too(desk):
    desk.started(schedule={"at": "2024-03-13T03:00:00"}, purpose="transactional")
    assert {row.not_before for row in desk.rows()} == {datetime(2024, 3, 13, 7)}


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"rule": None, "audience": "nobody"}, NotFound, "nobody"),
        ({"rule": {"type": "tag", "tag": "x"}}, InvalidRule, "x"),
        ({"schedule": {"at": "2024-03-12T08:00:00"}}, InvalidParameter, "past"),
        ({"schedule": {"local_hour": 9, "on": "2024-03-01"}}, InvalidParameter, "past"),
        ({"variants": [{**A, "en": {"subject": "x", "text": "{{ nmae }}"}}]}, InvalidParameter,
         "variant a in en"),
        ({"variants": [{**A, "en": {"subject": "x", "text": "{% if %}"}}]}, InvalidParameter,
         "Liquid"),
        ({"variants": [{**A, "en": {"subject": "{{ name }}", "text": "x"}}]}, InvalidParameter,
         "subject is empty"),
        ({"variants": [{**A, "en": {"subject": "x", "text": "x", "mjml": "<mjml><mj-body />"
         "</mjml>"}}]}, InvalidParameter, "unsubscribe"),
    ],
)  # fmt: skip
def test_a_campaign_that_cannot_work_is_refused_before_it_is_kept(desk, changes, error, said):
    with pytest.raises(error, match=said) as caught:
        desk.create(**changes)
    assert caught.value.hint or said == "x"
    assert desk.campaigns.listed() == []


def test_one_that_was_planned_for_a_moment_that_passed_does_not_start(desk):
    desk.create(schedule={"at": "2024-03-12T10:00:00"})
    desk.clock.at = AT + timedelta(hours=3)
    with pytest.raises(InvalidParameter, match="past"):
        desk.campaigns.start(KEY, by="Ana")


def test_an_audience_is_meant_by_its_name(desk):
    upload = {"type": "upload", "customers": sorted(map(desk.shop.party, PEOPLE[:5]))}
    desk.campaigns.audiences.add("few", parse(upload), kind="scheduled", by="Ana")
    assert desk.started(rule=None, audience="few") == 5


def test_merged_customers_get_one_message_and_a_held_out_one_holds(desk):
    desk.started(holdout_share=0.3)
    held = next(row for row in desk.rows() if row.reason == "held_out")
    free = next(row for row in desk.rows() if row.reason is None)
    names = {desk.shop.party(key): key for key in PEOPLE}
    desk.shop.merge(names[free.party_id], names[held.party_id])
    desk.deliver()
    row = next(one for one in desk.rows() if one.message_id == free.message_id)
    assert (row.state, row.reason) == ("skipped", "held_out")


def test_what_is_cancelled_before_it_starts_sends_nothing(desk):
    desk.create()
    assert desk.campaigns.cancel(KEY, by="Ana").state == CANCELLED
    with pytest.raises(InvalidParameter, match="cancelled"):
        desk.campaigns.start(KEY, by="Ana")


def test_zhiyin_send_leaves_planned_campaigns_to_their_own_command(desk):
    desk.started()
    with pytest.raises(InvalidParameter, match="planned by a person"):
        job.plan(desk.shop.context(), "zhiyin:spring")


def test_a_message_without_an_answer_is_left_in_doubt_and_not_sent_again(desk):
    desk.started()
    lost = DeliveryError("no answer", in_doubt=True)
    desk.channel = RecordingChannel(errors={3: lost}, kept=[3], supports=())
    assert desk.deliver()["unknown"] == 1
    assert len(set(desk.channel.attempts)) == len(desk.channel.attempts) == len(PEOPLE)


def test_texts_in_the_language_she_speaks_among_those_it_is_written_in(desk):
    desk.shop.add("li", language="zh", consent=True)
    both = {"name": "a", "en": A["en"], "zh": {"subject": "你好", "text": "春天"}}
    people = sorted(map(desk.shop.party, ["c1", "li"]))
    desk.started(rule={"type": "upload", "customers": people}, variants=[both])
    spoken = {row.party_id: row.language for row in desk.rows()}
    assert spoken == {desk.shop.party("c1"): "en", desk.shop.party("li"): "zh"}
