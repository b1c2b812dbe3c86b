"""Journeys whose steps send by other media than e-mail: each step by its own channel."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.unit.test_journeys import LETTER, NOW, add, begin, got, later, shop
from zhiyin.app import Workspace
from zhiyin.core.clock import FrozenClock, naive_utc
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import ConfigError, InvalidParameter, InvalidRule
from zhiyin.core.ledger import consents, messages
from zhiyin.journeys import Journeys
from zhiyin.store.ledger import reading, transaction

__all__ = ["shop"]
TEXT = {"type": "message", "channel": "sms", "en": {"text": "Hello {{ name }}"}}
BOTH = {
    "key": "both", "entry": {"type": "api"},
    "steps": {"mail": LETTER | {"next": "rest"},
              "rest": {"type": "delay", "days": 1, "next": "text"}, "text": TEXT},
}  # fmt: skip


def agree(shop, channel, *parties):
    with transaction(shop.store.ledger) as connection:
        connection.execute(consents.insert(), [
            {"consent_id": f"{channel} {one}", "party_id": one, "purpose": "marketing",
             "channel": channel, "granted": True, "at": naive_utc(NOW - timedelta(days=90)),
             "source": "s"} for one in parties
        ])  # fmt: skip


def rows(shop):
    query = sa.select(messages).order_by(messages.c.planned_at)
    with reading(shop.store.ledger) as connection:
        return connection.execute(query).all()


def test_each_step_goes_by_its_channel_and_is_held_to_its_consent(shop):
    ann, bob = add(shop, "ann", "bob", phone="+8613900000000", first_name="Ann")
    agree(shop, "sms", ann)
    made = begin(shop, BOTH)
    made.enter("both", [ann, bob])
    made.tick(deliver=True)
    later(shop, days=1)
    made.tick(deliver=True)
    assert got(shop) == {
        ann: [("sent", None), ("sent", None)],
        bob: [("sent", None), ("skipped", "consent_missing")],
    }
    by = {row.channel: row for row in rows(shop) if row.party_id == ann}
    kept = json.loads((shop.folder / "outbox" / f"{by['sms'].message_id}.json").read_text())
    assert kept["text"] == "shop: Hello Ann Reply STOP to opt out"
    assert by["sms"].segments == 1
    assert (shop.folder / "outbox" / f"{by['email'].message_id}.eml").exists()
    assert {(one["channel"], one["state"], one["n"]) for one in made.shown("both")["messages"]} == {
        ("email", "sent", 2), ("sms", "sent", 1), ("sms", "skipped", 1),
    }  # fmt: skip


def test_a_journey_has_a_channel_that_a_step_may_change(shop):
    (ann,) = add(shop, "ann", phone="+8613900000000")
    agree(shop, "sms", ann)
    mail = LETTER | {"channel": "email"}
    made = begin(shop, BOTH | {"channel": "sms", "steps": {
        "text": TEXT | {"channel": "", "next": "mail"}, "mail": mail | {"next": "hook"},
        "hook": LETTER | {"channel": "webhook"}}})  # fmt: skip
    made.enter("both", [ann])
    made.tick(deliver=True)
    assert sorted((row.channel, row.via, row.state) for row in rows(shop) if row.via) == [
        ("email", "webhook", "sent")
    ]
    assert sorted(row.channel for row in rows(shop)) == ["email", "email", "sms"]


@pytest.mark.parametrize(("step", "error", "said"), [
    (TEXT | {"en": {"subject": "x", "text": "y"}}, InvalidRule, "subject: a text for sms has none"),
    (TEXT | {"channel": "wecom", "en": {"text": "{{ name }}"}}, InvalidParameter, "step text in"),
    (TEXT | {"channel": "wechat_subscribe", "en": {"data": {"thing1": "x", "date2": "y"},
             "template": "A"}, "zh": {"data": {"thing1": "x"}, "template": "B"}}, InvalidRule,
     "several templates"),
    (TEXT | {"en": {"text": "Spring " * 60}}, InvalidParameter, "costs 3 messages"),
])  # fmt: skip
def test_a_text_that_its_medium_cannot_send_is_refused(shop, step, error, said):
    with pytest.raises(error, match=said):
        begin(shop, BOTH | {"steps": {"text": step}})


def test_a_channel_that_the_workspace_has_not_is_refused_and_others_go_on(tmp_path, monkeypatch):
    """The texts' channel is not there: e-mails of the same journey go all the same."""
    values = {"name": "b", "zone": "UTC", "act": {"channel": "webhook", "channels": ["twilio_sms"]}}
    Workspace.create(tmp_path / "b", validate_settings(values, where="test")).close()
    with Workspace.open(tmp_path / "b", write=True, clock=FrozenClock(NOW)) as own:
        made = Journeys(own)
        with pytest.raises(ConfigError, match="by wecom"):
            begin(own, BOTH | {"steps": {"text": LETTER | {"channel": "wecom"}}})
        (ann,) = add(own, "ann", phone="+8613900000000")
        agree(own, "sms", ann)
        begin(own, BOTH | {"steps": {"text": TEXT | {"next": "hook"},
                                     "hook": LETTER | {"channel": "webhook"}}})  # fmt: skip
        made.enter("both", [ann])
        made.tick()
        opened = []
        monkeypatch.setattr(
            "zhiyin.app.open_channel",
            lambda settings, way, folder: opened.append(way) or _raise(way),
        )
        with pytest.raises(ConfigError, match="webhook is closed"):
            made.deliver()
        assert opened == ["webhook", "sms"]


def _raise(way):
    raise ConfigError(f"{way} is closed")
