"""Planning and delivering: who gets a message, once, and why the others do not."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from tests.unit.act.shop import CAMPAIGN, DAY, ZONE, opened
from zhiyin.act import job, ledger
from zhiyin.act.channels.sink import SinkChannel, remove_kept
from zhiyin.act.gate import check_people
from zhiyin.core.clock import FrozenClock, run_moment
from zhiyin.core.errors import ChannelUnavailable, ConfigError, DeliveryError, NotFound
from zhiyin.core.ledger import data_keys, messages
from zhiyin.govern.facts import gate_terms
from zhiyin.govern.live import read_directory
from zhiyin.testing.channel import RecordingChannel


def quiet(what, share):
    """A progress that shows nothing."""


def run(shop, channel=None, **context):
    ctx = shop.context(channel, **context)
    return job.run(ctx, shop.settings.act).figures["messages"]


def deliver(shop, channel, **context):
    return job.deliver(shop.context(channel, **context), CAMPAIGN, progress=quiet, as_of=DAY)


def later(**after):
    """A clock that stands so long after the run."""
    return FrozenClock(run_moment(DAY, ZONE) + timedelta(**after))


def adds_up(counts):
    done = counts["sent"] + counts["unknown"] + counts["failed"] + sum(counts["skipped"].values())
    return done + counts["open"] == counts["planned"]


def test_the_chosen_get_one_message_and_the_held_out_none(shop):
    shop.add("ana", "bob", "eve", "joe")
    shop.decide("ana", "bob", held=("eve",), none=("joe",))
    channel = RecordingChannel()
    counts = run(shop, channel)
    assert counts == {
        "planned": 2, "sent": 2, "unknown": 0, "failed": 0, "skipped": {}, "open": 0,
    }  # fmt: skip
    recipients = [one.recipient for known in channel.delivered.values() for one in known]
    assert sorted(recipients) == ["ana@shop.example", "bob@shop.example"]


def test_a_second_run_or_turn_sends_nothing_again(shop):
    shop.add("ana", "bob")
    shop.decide("ana", "bob")
    channel = RecordingChannel()
    first = run(shop, channel)
    assert run(shop, channel) == first
    assert run(shop, channel, turn="t2") == first
    assert len(channel.attempts) == 2


def test_without_a_channel_messages_stay_planned(shop):
    shop.add("ana")
    shop.decide("ana")
    counts = run(shop)
    assert (counts["planned"], counts["open"], counts["sent"]) == (1, 1, 0)


def test_without_a_channel_no_connection_is_opened(shop, monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("a run without channel opened a connection")

    monkeypatch.setattr("socket.socket", refuse)
    monkeypatch.setattr("socket.create_connection", refuse)
    shop.add("ana")
    shop.decide("ana")
    assert run(shop)["planned"] == 1


def test_every_skip_has_its_reason(shop):
    shop.add("ok", "listed")
    shop.add("refused", consent=False)
    shop.add("silent", consent=None)
    shop.add("homeless", email="")
    shop.suppress("LISTED@shop.example ")
    shop.decide("ok", "listed", "refused", "silent", "homeless")
    counts = run(shop, RecordingChannel())
    assert counts["skipped"] == {
        "consent_missing": 1,
        "consent_refused": 1,
        "no_address": 1,
        "suppressed": 1,
    }
    assert counts["sent"] == 1
    assert adds_up(counts)


def test_what_is_planned_at_night_where_she_is_goes_in_the_morning(shop):
    shop.add("ok")
    shop.add("sleeper", zone="Asia/Shanghai")  # 09:00 in New York is 21:00 there
    shop.decide("ok", "sleeper")
    counts = run(shop, RecordingChannel())
    assert (counts["sent"], counts["open"], counts["skipped"]) == (1, 1, {})
    with shop.store.begin() as connection:
        (waits,) = connection.scalars(
            sa.select(messages.c.not_before).where(messages.c.party_id == shop.party("sleeper"))
        )
    assert waits == datetime(2024, 3, 13)  # 8 o'clock there


def test_a_withdrawal_between_planning_and_sending_is_honoured(shop):
    shop.add("ana", "bob", "eve")
    shop.decide("ana", "bob", "eve")
    run(shop)
    shop.consent("ana", granted=False, days=1)
    shop.suppress("bob@shop.example")
    channel = RecordingChannel()
    counts = deliver(shop, channel)
    assert shop.state("ana") == ("skipped", "consent_refused")
    assert shop.state("bob") == ("skipped", "suppressed")
    assert len(channel.attempts) == 1
    assert adds_up(counts)


def test_one_party_speaks_for_all_parties_of_a_person(shop):
    shop.add("ana", "ana-phone")
    shop.consent("ana-phone", granted=False, days=1)
    shop.merge("ana-phone", "ana")
    shop.add("bob", "bob-old")
    shop.suppress("bob-old@shop.example")
    shop.merge("bob-old", "bob")
    shop.add("eve")
    shop.identify("eve-order", "eve.old@shop.example")  # a party without a customer row
    shop.suppress("eve.old@shop.example")
    shop.merge("eve-order", "eve")
    shop.decide("ana", "bob", "eve")
    counts = run(shop, RecordingChannel())
    assert counts["skipped"] == {"consent_refused": 1, "suppressed": 2}


def test_people_merged_between_planning_and_sending_get_one_message_of_a_batch(shop):
    shop.add("ana", "bob", "cy")
    shop.decide("ana", "bob", "cy")
    run(shop)
    shop.merge("bob", "ana")
    shop.merge("bob", "cy")
    channel = RecordingChannel()
    counts = deliver(shop, channel, clock=later(days=1))
    assert (counts["sent"], counts["skipped"]) == (1, {"already_planned": 2})
    assert len(channel.attempts) == 1


def test_records_of_one_person_count_together_for_the_cap_within_a_batch(shop):
    shop.add("ana", "bob")
    shop.merge("bob", "ana")
    hers = [shop.party("ana"), shop.party("bob")]
    directory = read_directory(shop.store, hers, as_of=None, channel="email", sealed=True)
    people = directory.opened(hers, vault=shop.vault)
    settings = shop.settings.act.model_copy(update={"cap_messages": 1})
    with shop.store.begin() as connection:
        verdicts = check_people(
            connection, people, terms=gate_terms(settings, zone=ZONE), vault=shop.vault,
            at=run_moment(DAY, ZONE) + timedelta(days=1),
        )  # fmt: skip
    assert [one.reason for one in verdicts] == ["allowed", "frequency_cap"]


def test_people_merged_after_planning_get_one_message(shop):
    shop.add("ana", "ana-phone")
    shop.decide("ana")
    channel = RecordingChannel()
    run(shop, channel)
    shop.merge("ana", "ana-phone")  # ana-phone stands for her from now on
    shop.decide("ana-phone", day=DAY + timedelta(days=1))
    counts = run(shop, channel, turn="t2", day=DAY + timedelta(days=1))
    assert counts["skipped"] == {"already_planned": 1}
    assert len(channel.attempts) == 1


def test_who_was_ever_held_out_is_not_written_to(shop):
    shop.add("ana", "bob")
    shop.decide("bob", held=("ana",))
    run(shop)
    next_day = DAY + timedelta(days=1)
    shop.decide("ana", "bob", day=next_day)
    counts = run(shop, RecordingChannel(), turn="t2", day=next_day)
    assert shop.state("ana") == ("skipped", "held_out")
    assert counts["sent"] == 1


def test_a_new_plan_replaces_what_was_not_sent(shop):
    shop.add("ana", "bob")
    shop.add("sleeper", zone="Asia/Shanghai")
    shop.decide("ana", "sleeper")
    run(shop)
    shop.decide("bob", "sleeper", day=DAY + timedelta(days=1))
    awake = shop.with_settings(quiet_from_hour=3, quiet_to_hour=4)
    counts = run(awake, RecordingChannel(), turn="t2", day=DAY + timedelta(days=1))
    assert shop.state("ana") == ("skipped", "superseded")
    assert shop.state("bob") == ("sent", None)
    assert shop.state("sleeper") == ("sent", None)  # skipped the day before, allowed now
    assert adds_up(counts)


def test_caps_count_messages_that_may_have_arrived(shop):
    capped = shop.with_settings(cap_messages=1)
    capped.add("ana", "bob")
    capped.decide("ana", "bob")
    in_doubt = DeliveryError("no answer", in_doubt=True)
    counts = run(capped, RecordingChannel(supports=(), errors={0: in_doubt}))
    assert (counts["unknown"], counts["sent"]) == (1, 1)
    with capped.store.begin() as connection:
        connection.execute(messages.update().values(campaign_id="s:another", message_id=
                           messages.c.message_id + "x"))  # fmt: skip
    assert run(capped, RecordingChannel())["skipped"] == {"frequency_cap": 2}


@pytest.mark.parametrize(
    ("supports", "kept", "state", "arrived"),
    [
        (("lookup",), True, "sent", 1),
        (("lookup",), False, "sent", 1),
        (("idempotency",), True, "sent", 1),
        (("idempotency",), False, "sent", 1),
        ((), True, "unknown", 1),
        ((), False, "unknown", 0),
    ],
)
def test_what_an_interruption_left_open_is_never_sent_blindly(shop, supports, kept, state, arrived):
    shop.add("ana")
    shop.decide("ana")
    kept_at = [0] if kept else []
    channel = RecordingChannel(supports=supports, errors={0: KeyboardInterrupt()}, kept=kept_at)
    with pytest.raises(KeyboardInterrupt):
        run(shop, channel)
    assert shop.state("ana")[0] == "sending"
    counts = run(shop, channel)
    assert shop.state("ana")[0] == state
    assert sum(len(known) for known in channel.delivered.values()) == arrived
    assert adds_up(counts)


def test_what_was_not_begun_when_interrupted_is_planned_again(shop):
    keys = [f"c{n}" for n in range(5)]
    shop.add(*keys)
    shop.decide(*keys)
    with pytest.raises(KeyboardInterrupt):
        run(shop, RecordingChannel(errors={2: KeyboardInterrupt()}))
    states = sorted(state for state, _ in shop.states().values())
    assert states == ["planned", "planned", "sending", "sent", "sent"]


def test_errors_of_a_channel_are_told_apart(shop):
    keys = [f"c{n}" for n in range(4)]
    shop.add(*keys)
    shop.decide(*keys)
    errors = {
        0: DeliveryError("refused"),
        1: DeliveryError("later", retryable=True),
        2: DeliveryError("no answer", in_doubt=True),
    }
    counts = run(shop, RecordingChannel(supports=(), errors=errors))
    assert (counts["failed"], counts["open"], counts["unknown"], counts["sent"]) == (1, 1, 1, 1)
    assert adds_up(counts)
    again = deliver(shop, RecordingChannel(supports=()), clock=later(hours=1))
    assert (again["failed"], again["open"], again["unknown"], again["sent"]) == (1, 0, 1, 2)


def test_what_a_channel_that_knows_repeats_did_not_answer_is_tried_again_under_the_same_id(shop):
    shop.add("ana", "bob")
    shop.decide("ana", "bob")
    silent = {0: DeliveryError("no answer", in_doubt=True)}
    first = RecordingChannel(supports=["idempotency"], errors=silent, kept=[0])
    counts = run(shop, first)
    assert (counts["sent"], counts["open"]) == (1, 1)  # nobody else need come for her to be told
    again = RecordingChannel(supports=["idempotency"])
    assert deliver(shop, again, clock=later(hours=1))["sent"] == 2
    assert again.attempts == first.attempts[:1]
    assert set(first.delivered) | set(again.delivered) == set(first.attempts)


def test_a_channel_that_never_answers_leaves_it_in_doubt(shop):
    shop.add("ana")
    shop.decide("ana")
    run(shop)
    for hours in range(1, 9):
        silent = {0: DeliveryError("no answer", in_doubt=True)}
        channel = RecordingChannel(supports=["idempotency"], errors=silent)
        counts = deliver(shop, channel, clock=later(hours=24 * hours))
        if counts["unknown"]:
            break
    assert shop.state("ana") == ("unknown", "no_answer")
    assert hours == shop.settings.act.retry_tries


def test_a_dead_provider_stops_the_delivery_and_loses_nothing(shop):
    keys = [f"c{n}" for n in range(9)]
    shop.add(*keys)
    shop.decide(*keys)
    run(shop)
    dead = RecordingChannel(errors={n: ChannelUnavailable("down") for n in range(9)})
    with pytest.raises(ChannelUnavailable):
        deliver(shop, dead)
    assert len(dead.attempts) == 3
    assert {state for state, _ in shop.states().values()} == {"planned"}
    assert deliver(shop, RecordingChannel())["sent"] == 9


def test_a_malformed_address_fails_alone(shop):
    shop.add("ana", "bob", "eve")
    shop.add("evil", email="a@shop.example\r\nBcc: all@shop.example")
    shop.add("two", email="a@shop.example, b@shop.example")
    shop.decide("ana", "evil", "two")
    counts = run(shop, RecordingChannel())
    assert (counts["sent"], counts["failed"]) == (1, 2)
    assert shop.state("evil") == ("failed", "bad_address")


def test_someone_erased_after_planning_gets_nothing(shop):
    shop.add("ana")
    shop.decide("ana")
    run(shop)
    with shop.store.begin() as connection:
        connection.execute(data_keys.delete().where(data_keys.c.key_id == shop.party("ana")))
    channel = RecordingChannel()
    counts = deliver(shop, channel)
    assert channel.attempts == []
    assert sum(counts["skipped"].values()) == 1


def test_what_the_sink_kept_of_a_person_can_be_removed(shop, tmp_path):
    shop.add("ana", "bob")
    shop.decide("ana", "bob")
    channel = SinkChannel(tmp_path, sender="hello@shop.example")
    run(shop, channel)
    channel.close()
    with shop.store.begin() as connection:
        ids = ledger.find_ids(connection, [shop.party("ana")])
    assert remove_kept(tmp_path, [*ids, "m_never"]) == 1
    [left] = tmp_path.iterdir()
    assert opened(left.read_bytes())["To"] == "bob@shop.example"


def test_the_ledger_holds_no_address_and_no_product_in_the_clear(shop):
    shop.add("ana", name="Ana")
    shop.decide("ana")
    run(shop, RecordingChannel())
    with shop.store.begin() as connection:
        [row] = connection.execute(sa.select(messages)).all()
    stored = repr(tuple(row))
    assert "shop.example" not in stored
    assert "Juice" not in stored
    content = shop.vault.unseal([row.party_id], [row.content])[0]
    assert "Ana" not in repr(content)
    assert "@" not in repr({**content, "products": []})


def test_language_follows_the_customer_and_falls_back_to_the_shops(shop):
    shop.add("ana", language="zh-CN")
    shop.add("bob", language="pt")
    shop.add("eve", language=None)
    shop.decide("ana", "bob", "eve")
    channel = RecordingChannel()
    run(shop, channel)
    languages = {
        opened(known[0].content)["To"]: opened(known[0].content)["Content-Language"]
        for known in channel.delivered.values()
    }
    assert languages == {
        "ana@shop.example": "zh", "bob@shop.example": "en", "eve@shop.example": "en",
    }  # fmt: skip


def test_the_plan_shows_what_each_rule_leaves(shop):
    shop.add("ana", "bob", "listed")
    shop.add("refused", consent=False)
    shop.decide("ana", "bob", "listed", "refused")
    run(shop)
    shop.suppress("listed@shop.example")
    planned = job.plan(shop.context(), CAMPAIGN, as_of=DAY)
    assert (planned.chosen, planned.ready) == (4, 2)
    left = {rule.reason: rule.left for rule in planned.sizes if rule.stopped}
    assert left == {"suppressed": 3, "consent_refused": 2}
    assert "2  ready to be sent now" in planned.text("en")
    assert "2  条现在可以发送" in planned.text("zh")
    night = FrozenClock(run_moment(DAY, "America/New_York") + timedelta(hours=14))
    assert job.plan(shop.context(clock=night), CAMPAIGN, as_of=DAY).ready == 0


def test_sending_asks_for_what_it_lacks(shop):
    shop.add("ana")
    shop.decide("ana")
    with pytest.raises(NotFound):
        deliver(shop, RecordingChannel())
    run(shop)
    with pytest.raises(ConfigError, match="channel"):
        deliver(shop, None)
    shop.settings = shop.settings.model_copy(update={"demo": False})
    with pytest.raises(ConfigError, match=r"sender_address, act\.postal_address, act\.public_url"):
        deliver(shop, RecordingChannel())


def test_a_day_without_decisions_plans_nothing(shop):
    report = job.run(shop.context(RecordingChannel()), shop.settings.act)
    assert report.figures["messages"]["planned"] == 0
    assert report.figures["examples"] == []


def test_message_ids_depend_on_their_place_alone():
    place = {"step": "offer", "customer_id": "p_1"}
    one = ledger.message_id("c", **place)
    assert one == ledger.message_id("c", **place)
    others = [
        ledger.message_id("d", **place),
        ledger.message_id("c", step="second", customer_id="p_1"),
        ledger.message_id("c", step="offer", customer_id="p_2"),
        ledger.message_id("c", **place, occurrence="2"),
    ]
    assert len({one, *others}) == 5
