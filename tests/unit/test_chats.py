"""What members did with mass messages is asked for by a command, the worker and over HTTP."""

import json
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from typer.testing import CliRunner

from zhiyin import worker
from zhiyin.act.mass_ledger import MassSend, add_mass_send, set_provider_id
from zhiyin.app import Workspace
from zhiyin.chats import look_at_members
from zhiyin.cli import app
from zhiyin.core.clock import FrozenClock, naive_utc
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import ConfigError, ZhiyinError
from zhiyin.core.ledger import journeys, mass_sends, messages
from zhiyin.core.values import MassOutcome
from zhiyin.govern.suppression import address_token
from zhiyin.store.ledger import reading

NOW = datetime.now(UTC).replace(microsecond=0)


class Platform:
    """Says that everybody got it."""

    name, supports = "wecom", frozenset({"mass"})
    asked = 0
    stopped: ClassVar[list[str]] = []

    def outcomes(self, provider_id, *, member):
        Platform.asked += 1
        return [] if Platform.stopped else [MassOutcome("wmana", "sent", NOW)]

    def stop(self, provider_id):
        Platform.stopped.append(provider_id)

    def close(self):
        pass


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.setattr(Platform, "asked", 0)
    monkeypatch.setattr(Platform, "stopped", [])
    monkeypatch.setattr("zhiyin.act.channels.wecom.open_wecom", lambda *_, **__: Platform())
    settings = validate_settings({"name": "laden", "act": {"channel": "wecom"}}, where="test")
    with Workspace.create(tmp_path / "shop", settings) as made:
        made.clock = FrozenClock(NOW)
        batch = MassSend("b_1", "s:spring", "wecom", "li", 1, "x", naive_utc(NOW))
        with made.store.begin() as connection:
            connection.execute(messages.insert().values(
                message_id="m_1", campaign_id="s:spring", turn_id="t", party_id="p_a",
                customer_id="p_a", channel="wecom", language="zh", state="sent",
                reason="unconfirmed", planned_at=naive_utc(NOW), sent_at=naive_utc(NOW),
                receipt="msg1", address_token=address_token(made.vault, "wecom", "wmana"),
            ))  # fmt: skip
            add_mass_send(connection, batch, [])
            set_provider_id(connection, "b_1", "msg1")
        yield made


def state(shop):
    with reading(shop.store.ledger) as connection:
        row = connection.execute(messages.select()).one()
    return row.state, row.reason


def test_the_command_asks_and_says_what_it_found(shop):
    said = CliRunner().invoke(app, ["messages", "members", "-w", str(shop.folder), "--json"])
    assert json.loads(said.output) == {"sent": 1}
    assert state(shop) == ("sent", None)


def test_the_worker_asks_of_one_message_every_ten_minutes_at_most(shop):
    worker._look_at_members(shop)
    assert (Platform.asked, state(shop)) == (1, ("sent", None))
    with shop.store.begin() as connection:  # somebody else waits still
        connection.execute(messages.update().values(reason="unconfirmed"))
    worker._look_at_members(shop)
    assert Platform.asked == 1
    shop.clock.at += timedelta(minutes=10)
    worker._look_at_members(shop)
    assert Platform.asked == 2


def test_the_worker_stops_what_an_ended_journey_had_members_confirm(shop):
    ended = {"key": "tea", "state": "ended", "digest": "d", "definition": {}, "created_at": NOW,
             "created_by": "a", "changed_at": NOW, "changed_by": "a"}  # fmt: skip
    with shop.store.begin() as connection:
        connection.execute(messages.update().values(campaign_id="journey:tea"))
        connection.execute(mass_sends.update().values(campaign_id="journey:tea"))
        connection.execute(journeys.insert(), [ended | {"version": 1}])
    worker._look_at_members(shop)
    assert (Platform.stopped, state(shop)) == (["msg1"], ("skipped", "cancelled"))
    worker._look_at_members(shop)
    assert Platform.stopped == ["msg1"]  # once


def test_a_platform_that_is_away_does_not_stop_the_worker(shop, monkeypatch):
    def away(*_, **__):
        raise ConfigError("no secret")

    monkeypatch.setattr("zhiyin.act.channels.wecom.open_wecom", away)
    worker._look_at_members(shop)
    assert state(shop) == ("sent", "unconfirmed")


def test_another_channel_has_no_members(tmp_path):
    settings = validate_settings({"name": "b"}, where="test")
    other = Workspace.create(tmp_path / "b", settings)
    with other, pytest.raises(ZhiyinError, match="members confirm"):
        look_at_members(other)
