"""Consents: a double opt-in grants nothing before its link is posted, and proves what was shown."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent / "person"))

import people
from typer.testing import CliRunner

from tests.unit.act.shop import opened
from zhiyin import worker
from zhiyin.act import job as act
from zhiyin.act.confirmation import CONFIRMATIONS
from zhiyin.cli import app
from zhiyin.consents import Consents
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import ActSettings
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.ledger import audit, consent_requests, consents, messages, suppressions
from zhiyin.govern.ledger import add_suppressions
from zhiyin.govern.suppression import address_token
from zhiyin.store.ledger import transaction
from zhiyin.testing.channel import RecordingChannel

ACT = ActSettings(
    sender_address="hello@shop.example", postal_address="1 Street", public_url="https://x.example"
)
TABLES = (consents, consent_requests, messages, suppressions, audit)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    with people.make_shop(tmp_path_factory.mktemp("consents")) as shop:
        shop.settings = shop.settings.model_copy(update={"act": ACT})
        yield shop


@pytest.fixture
def shop(made):
    with made.store.begin() as connection:
        kept = [(one, [dict(row) for row in connection.execute(sa.select(one)).mappings()])
                for one in TABLES]  # fmt: skip
    yield made
    made.clock = FrozenClock(people.NOW)
    with made.store.begin() as connection:
        for table, rows in kept:
            connection.execute(table.delete())
            if rows:
                connection.execute(table.insert(), rows)


def record(shop):
    return Consents(shop.store, shop.vault, shop.clock, shop.settings)


def state(shop, user=people.BEA, purpose="marketing"):
    states = record(shop).shown(user)["states"]
    return {one["purpose"]: one["state"] for one in states}[purpose]


def ask(shop, user=people.BEA, **more):
    return record(shop).ask(user, source="newsletter form", by="t", **more)


def send(shop):
    channel = RecordingChannel()
    act.deliver(shop._context_now(channel), CONFIRMATIONS, progress=lambda what, share: None)
    return [one.content for kept in channel.delivered.values() for one in kept]


def later(shop, **wait):
    shop.clock = FrozenClock(shop.clock.now() + timedelta(**wait))


def rows_of(shop, table):
    with shop.store.begin() as connection:
        return [dict(row) for row in connection.execute(sa.select(table)).mappings()]


def test_who_refused_is_asked_by_mail_and_agrees_only_by_confirming(shop):
    record(shop).unsubscribe(people.party_of(shop, people.ANA), "email")
    later(shop, minutes=1)
    asked = ask(shop, people.ANA, proof={"ip": "192.0.2.7"})
    assert (asked.new, asked.allowed) == (True, True)
    (mail,) = send(shop)
    assert (
        "https://x.example/c/" + asked.request_id in opened(mail).get_body(("plain",)).get_content()
    )
    assert state(shop, people.ANA) == "refused"
    later(shop, hours=1)
    assert record(shop).confirm(asked.request_id, proof={"ip": "192.0.2.8"})
    assert record(shop).confirm(asked.request_id, proof={"ip": "192.0.2.9"})
    assert state(shop, people.ANA) == "granted"
    (line,) = [one for one in rows_of(shop, consents) if one["source"] == "double opt-in"]
    assert line["text_version"] == "zhiyin-1"
    assert b"192.0.2" not in line["proof"]
    (proof,) = shop.vault.unseal([line["party_id"]], [line["proof"]])
    assert (proof["asked"]["ip"], proof["confirmed"]["ip"]) == ("192.0.2.7", "192.0.2.8")
    assert "laden" in proof["text"]


def test_an_open_request_is_not_repeated_and_sends_one_mail(shop):
    record(shop).unsubscribe(people.party_of(shop, people.ANA), "email")
    first, second = ask(shop, people.ANA), ask(shop, people.ANA)
    assert (second.new, second.request_id) == (False, first.request_id)
    assert (len(send(shop)), len(send(shop))) == (1, 0)


def test_an_unconfirmed_request_expires_and_its_late_mail_stays(shop):
    asked = ask(shop, people.ANA)
    later(shop, hours=ACT.confirm_hours)
    assert send(shop) == []
    (row,) = rows_of(shop, messages)
    assert (row["state"], row["reason"]) == ("skipped", "expired")
    lines = rows_of(shop, consents)
    assert not record(shop).confirm(asked.request_id, proof={})
    assert rows_of(shop, consents) == lines
    assert record(shop).request(asked.request_id).state == "expired"


def test_whose_address_complained_is_not_even_asked(shop):
    token = address_token(shop.vault, "email", people.OF_ANA[1])
    with shop.store.begin() as connection:
        add_suppressions(connection, [(token, "email")], reason="complaint", at=people.NOW)
    asked = ask(shop, people.ANA)
    assert (asked.allowed, asked.reason) == (False, "suppressed")
    assert rows_of(shop, consent_requests) == rows_of(shop, messages) == []


def test_what_is_written_by_hand_has_its_source_and_reason_and_is_audited(shop):
    by_hand = {"purpose": "marketing", "channel": "email", "source": "counter", "by": "me"}
    record(shop).give(people.BEA, reason="signed the card of Bea Zqsurname", **by_hand)
    assert state(shop) == "granted"
    later(shop, minutes=1)
    record(shop).withdraw(people.BEA, reason="said so", **by_hand)
    assert state(shop) == "refused"
    log = [(one["action"], one["actor"]) for one in rows_of(shop, audit)]
    assert log[-2:] == [("consent.given", "me"), ("consent.withdrawn", "me")]
    assert "Zqsurname" not in json.dumps(
        [rows_of(shop, audit), rows_of(shop, consents)], default=repr
    )
    for wrong in ({"source": "import"}, {"source": " "}, {"reason": ""}):
        with pytest.raises(InvalidParameter):
            record(shop).give(people.BEA, **{"reason": "x", **by_hand, **wrong})


@pytest.mark.parametrize(
    ("purpose", "channel", "hint"),
    [
        ("marketing", "e-mial", "channel: *, call, email, sms"),
        ("Marketing", "email", "purpose: ads, market"),
    ],
)
def test_a_word_that_nothing_asks_for_is_refused(shop, purpose, channel, hint):
    with pytest.raises(InvalidParameter) as caught:
        record(shop).withdraw(
            people.ANA, purpose=purpose, channel=channel, source="phone", reason="asked", by="me"
        )
    assert caught.value.hint.startswith(hint)


def test_a_worker_sends_what_waits_for_a_confirmation(shop, monkeypatch):
    sent = []
    monkeypatch.setattr(type(shop), "send", lambda shop, campaign: sent.append(campaign))
    act_settings = ACT.model_copy(update={"channel": "smtp"})
    monkeypatch.setattr(shop, "settings", shop.settings.model_copy(update={"act": act_settings}))
    worker._send_confirmations(shop)
    assert sent == []
    ask(shop, people.ANA)
    worker._send_confirmations(shop)
    assert sent == [CONFIRMATIONS]
    with transaction(shop.store.ledger) as connection:  # as a killed worker leaves it
        connection.execute(messages.update().values(state="sending"))
    worker._send_confirmations(shop)
    assert sent == [CONFIRMATIONS] * 2


def test_the_command_line_gives_shows_and_withdraws(shop):
    def run(*words):
        done = CliRunner().invoke(app, ["consent", *words, "-w", str(shop.folder)])
        assert done.exit_code == 0, done.output
        return done.output

    said = ("--source", "counter", "--reason", "card")
    run("give", people.BEA, *said)
    shown = json.loads(run("show", people.BEA, "--json"))
    assert {"purpose": "marketing", "channel": "email", "state": "granted"} in shown["states"]
    run("withdraw", people.BEA, *said)
    assert "refused (counter)" in run("show", people.BEA)
