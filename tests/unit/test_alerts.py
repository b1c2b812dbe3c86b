"""Staff is told once of what stopped, is done or is stuck; no customer is named."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from zhiyin import worker
from zhiyin.act.alerts import WORDS
from zhiyin.act.campaigns import ledger as campaigns
from zhiyin.act.campaigns.definition import parse_definition
from zhiyin.act.campaigns.watch import STOP_RULE
from zhiyin.act.create.text_message import read_text
from zhiyin.act.mass_ledger import MassSend, add_mass_send, set_provider_id
from zhiyin.alerts import Staff, list_alerts, of_error, tell_staff
from zhiyin.app import Workspace
from zhiyin.cli import app
from zhiyin.core.clock import FrozenClock, naive_utc
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import ChannelUnavailable
from zhiyin.core.ledger import (
    audit,
    journey_calls,
    journey_people,
    journey_places,
    journeys,
    messages,
    steps,
    turns,
)
from zhiyin.testing.channel import RecordingChannel

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
CAMPAIGN = {
    "key": "spring", "name": "Spring", "audience": "regulars",
    "variants": [{"name": "a", "en": {"subject": "x", "text": "y"}}],
}  # fmt: skip


@pytest.fixture
def robot(monkeypatch):
    made = RecordingChannel(supports=())
    monkeypatch.setattr("zhiyin.act.channels.dingtalk.open_dingtalk", lambda *_, **__: made)
    return made


@pytest.fixture
def shop(tmp_path, robot):
    values = {"name": "laden", "languages": ["zh"], "act": {"alerts": "dingtalk"}}
    with Workspace.create(tmp_path / "s", validate_settings(values, where="test")) as made:
        made.clock = FrozenClock(NOW)
        yield made


def said(robot):
    texts = [one for known in robot.delivered.values() for one in known]
    return [read_text(one.content).text for one in texts]


def run_campaign(shop):
    at = naive_utc(NOW)
    with shop.store.begin() as connection:
        campaigns.add_version(connection, parse_definition(CAMPAIGN), by="Ana", now=at)
        campaigns.start(
            connection, "spring", as_of=NOW.date(), second_person=False, by="Ana", now=at
        )


def pause(shop, *, by, reason=""):
    with shop.store.begin() as connection:
        campaigns.pause(connection, "spring", by=by, now=naive_utc(NOW), reason=reason)


def test_a_stop_rule_is_told_once_and_again_when_it_stops_the_next_time(shop, robot):
    run_campaign(shop)
    pause(shop, by=STOP_RULE, reason="bounces: 60 of 500 sent, more than 0.05")
    for _ in range(2):
        tell_staff(shop)
    assert len(said(robot)) == 1
    assert "活动 Spring 触发停止规则：bounces: 60 of 500" in said(robot)[0]
    with shop.store.begin() as connection:
        later = naive_utc(NOW + timedelta(hours=1))
        campaigns.resume(connection, "spring", by="Ana", now=later)
    pause(shop, by=STOP_RULE, reason="again")
    assert [one.kind for one in tell_staff(shop)] == ["stopped"]


def test_what_a_person_paused_is_no_news(shop, robot):
    run_campaign(shop)
    pause(shop, by="Ana", reason="lunch")
    assert tell_staff(shop) == []


def test_a_policy_that_was_taken_back_is_told_once(shop, robot):
    detail = {"point": "home", "number": 2, "status": "rolled_back", "reason": "worse"}
    with shop.store.begin() as connection:
        for one in (detail | {"number": 1, "status": "full"}, detail):
            row = {"at": naive_utc(shop.clock.now()), "actor": "ramp", "action": "ramp.step"}
            connection.execute(audit.insert().values(**row, detail=one))
    (told,) = tell_staff(shop)
    assert (told.kind, told.text("en")) == (
        "taken_back", "Policy 2 at home was taken back by itself: worse",
    )  # fmt: skip
    assert tell_staff(shop) == []


def test_a_campaign_that_is_done_is_told_with_its_counts(shop, robot):
    run_campaign(shop)
    with shop.store.begin() as connection:
        connection.execute(messages.insert(), [
            {"message_id": f"m_{number}", "campaign_id": "zhiyin:spring", "turn_id": "t",
             "party_id": "p_a", "customer_id": "p_a", "channel": "email", "language": "en",
             "state": state, "planned_at": naive_utc(NOW)}
            for number, state in enumerate(["sent", "sent", "failed"])
        ])  # fmt: skip
        held = campaigns.find_campaign(connection, "spring")
        campaigns.finish(connection, held, now=naive_utc(NOW))
    tell_staff(shop)
    assert "已发送 2，失败 1，状态不明 0，跳过 0" in said(robot)[0]
    shop.clock.at += timedelta(days=2)
    assert list_alerts(shop) == []


def test_a_delivery_that_cannot_go_on_is_told_again_after_hours_not_seconds(shop, robot):
    error = of_error("zhiyin:spring", ChannelUnavailable("mail.shop.example:587 cannot be reached"))
    told = []
    for hours in (0, 1, 6):
        shop.clock.at = NOW + timedelta(hours=hours)
        told.append(len(tell_staff(shop, [error])))
    assert told == [1, 0, 1]
    assert "cannot be reached" in said(robot)[0]


def test_journeys_with_people_who_are_stuck_are_told_but_not_paused_ones(shop, robot):
    due_s = int((NOW - timedelta(hours=25)).timestamp())
    with shop.store.begin() as connection:
        for key, state in (("welcome", "published"), ("birthday", "paused")):
            connection.execute(journeys.insert().values(
                key=key, version=1, state=state, definition={}, digest="x", changed_by="Ana",
                created_at=naive_utc(NOW), created_by="Ana", changed_at=naive_utc(NOW),
            ))  # fmt: skip
            entry_id = connection.execute(journey_people.insert().values(
                journey=key, version=1, party_id="p_secret", occurrence="1", entered_s=due_s,
            )).inserted_primary_key[0]  # fmt: skip
            connection.execute(journey_places.insert().values(
                entry_id=entry_id, journey=key, version=1, step=1, lot=0, since_s=due_s,
                due_s=due_s,
            ))  # fmt: skip
    tell_staff(shop)
    assert "旅程 welcome：1 人" in said(robot)[0]
    assert "birthday" not in said(robot)[0]
    assert "p_secret" not in said(robot)[0]


def test_a_system_that_takes_no_calls_is_told_once_a_day_with_the_step(shop, robot):
    old, fresh = naive_utc(NOW - timedelta(days=3)), naive_utc(NOW - timedelta(hours=2))
    rows = [("a", fresh, "failed"), ("b", fresh, "failed"), ("c", fresh, "sent"),
            ("d", old, "failed")]  # fmt: skip
    with shop.store.begin() as connection:
        connection.execute(journeys.insert().values(
            key="welcome", version=1, state="published", definition={}, digest="x",
            created_at=old, created_by="Ana", changed_at=old, changed_by="Ana",
        ))  # fmt: skip
        for one, at, state in rows:
            connection.execute(journey_calls.insert().values(
                call_id=one, journey="welcome", version=1, step="crm", party_id="p_secret",
                state=state, planned_at=at,
            ))  # fmt: skip
    tell_staff(shop)
    tell_staff(shop)
    assert len(said(robot)) == 1
    assert "旅程 welcome：步骤 crm 一天内有 2 次回调失败" in said(robot)[0]
    assert "p_secret" not in said(robot)[0]


def test_a_member_who_leaves_a_mass_message_for_a_day_is_named(shop, robot):
    at = naive_utc(NOW - timedelta(days=1, hours=1))
    with shop.store.begin() as connection:
        connection.execute(messages.insert().values(
            message_id="m_1", campaign_id="s:x", turn_id="t", party_id="p_a", customer_id="p_a",
            channel="wecom", language="zh", state="sent", reason="unconfirmed", planned_at=at,
            receipt="msg1",
        ))  # fmt: skip
        add_mass_send(connection, MassSend("b_1", "s:x", "wecom", "li", 1, "x", at), [])
        set_provider_id(connection, "b_1", "msg1")
    tell_staff(shop)
    assert "li 有 1 条群发消息超过一天未确认" in said(robot)[0]


def test_what_did_not_go_is_told_the_next_time_and_the_group_is_left_alone_a_while(
    shop, monkeypatch
):
    broken = RecordingChannel(supports=(), errors={0: ChannelUnavailable("gone")})
    monkeypatch.setattr("zhiyin.act.channels.dingtalk.open_dingtalk", lambda *_, **__: broken)
    run_campaign(shop)
    pause(shop, by=STOP_RULE, reason="complaints")
    staff = Staff(shop)
    staff.tell()
    staff.tell()
    assert len(broken.attempts) == 1
    shop.clock.at += timedelta(minutes=10)
    staff.tell()
    assert len(said(broken)) == 1


def test_the_worker_tells_of_a_campaign_that_waits(shop, robot):
    act = shop.settings.act.model_copy(update={"channel": "webhook"})  # without its address
    shop.settings = shop.settings.model_copy(update={"act": act})
    run_campaign(shop)
    with shop.store.begin() as connection:
        held = campaigns.find_campaign(connection, "spring")
        campaigns.set_planned(connection, held, now=naive_utc(NOW))
    stopped = worker._send_campaigns(shop)
    Staff(shop).tell(stopped)
    assert "zhiyin:spring 的发送已停止：no webhook is configured" in said(robot)[0]


def test_where_nobody_is_to_be_told_nothing_is_asked(shop, robot):
    act = shop.settings.act.model_copy(update={"alerts": ""})
    shop.settings = shop.settings.model_copy(update={"act": act})
    assert tell_staff(shop, [of_error("x", ChannelUnavailable("gone"))]) == []
    assert robot.attempts == []


def test_the_command_lists_and_sends_also_what_was_told(shop, robot):
    run_campaign(shop)
    pause(shop, by=STOP_RULE, reason="complaints")
    argv = ["messages", "alerts", "-w", str(shop.folder), "--lang", "zh"]
    assert "停止规则" in CliRunner().invoke(app, argv).output
    assert robot.attempts == []
    for _ in range(2):
        CliRunner().invoke(app, [*argv, "--send"])
    assert len(robot.attempts) == 2
    with shop.store.begin() as connection:
        noted = connection.execute(sa.select(audit).where(audit.c.action == "alert.told")).all()
    assert {row.detail["kind"] for row in noted} == {"stopped"}


def test_every_alert_has_its_words_in_both_languages():
    assert all(en and zh for en, zh in WORDS.values())


def finish_turn(shop, day, job, figures):
    with shop.store.begin() as connection:
        connection.execute(turns.insert().values(
            turn_id=f"t{day}", as_of_on=NOW.date() + timedelta(days=day), state="done",
            inputs={}, config={}, code_version="x", started_at=naive_utc(NOW),
        ))  # fmt: skip
        connection.execute(steps.insert().values(
            turn_id=f"t{day}", job=job, state="done", report={"figures": figures},
        ))  # fmt: skip


def of_value(told):
    return {"value": {"status": "ok", "decay": told}}


def of_trend(told):
    """A turn that is content tells nothing."""
    news = [{"key": "trend 2026-01-05", "words": told["words"]}]
    return {"trend": {"told": news if told["status"] == "decayed" else []}}


def of_churn(told):
    return {"decay": [told | {"task": "churn", "subject": ""}]}


@pytest.mark.parametrize(
    ("kind", "job", "figures"),
    [
        ("value", "understand.models", of_value),
        ("model", "measure", of_churn),
        ("trend", "measure", of_trend),
    ],
)
def test_a_model_out_of_bounds_is_told_once_and_not_after_a_turn_that_is_content(
    shop, robot, kind, job, figures
):
    words = {"en": "It has decayed.", "zh": "模型已失准。"}
    for day, status in ((0, "decayed"), (1, "ok")):
        told = {"status": status, "model_version": "abc", "words": words}
        finish_turn(shop, day, job, figures(told))
        assert [one.kind for one in tell_staff(shop)] == ([kind] if day == 0 else [])
        assert tell_staff(shop) == []
    assert list_alerts(shop) == []
    assert words["zh"] in said(robot)[0]
