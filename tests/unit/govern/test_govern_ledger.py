"""Facts for the gate come from the ledger, whether few or many parties are asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from zhiyin.core import ledger as tables
from zhiyin.govern import ledger

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
THEN = datetime(2026, 4, 1, 12)


@pytest.fixture
def connection():
    engine = sa.create_engine("sqlite://")
    tables.metadata.create_all(engine)
    with engine.begin() as connection:
        yield connection


@pytest.mark.parametrize("few", [5_000, 0])
def test_consents_are_read_for_the_parties_and_the_purpose_asked_for(connection, few, monkeypatch):
    monkeypatch.setattr(ledger, "_FEW", few)
    rows = [
        {"consent_id": f"{party}{purpose}", "party_id": party, "purpose": purpose,
         "channel": "email", "granted": True, "at": THEN, "source": "test"}
        for party in ("p_a", "p_b", "p_c")
        for purpose in ("marketing", "analytics")
    ]  # fmt: skip
    connection.execute(tables.consents.insert(), rows)
    found = ledger.read_consents(connection, ["p_a", "p_c", "p_z"], purpose="marketing")
    assert sorted(found) == ["p_a", "p_c"]
    assert [line.at for line in found["p_a"]] == [THEN.replace(tzinfo=UTC)]


@pytest.mark.parametrize("state", ["planned", "sending", "sent", "unknown", "failed", "skipped"])
def test_only_messages_that_may_have_arrived_count_as_contacts(connection, state):
    connection.execute(
        tables.messages.insert().values(
            message_id="m", campaign_id="c", turn_id="t", party_id="p_a", customer_id="p_a",
            channel="email", language="en", state=state, planned_at=THEN,
        )
    )  # fmt: skip
    found = ledger.read_contacts(connection, ["p_a"], since=NOW - timedelta(days=60), until=NOW)
    assert (len(found.get("p_a", [])) == 1) == (state in {"sending", "sent", "unknown"})


def test_a_suppression_of_all_channels_holds_for_each(connection):
    for token, channel in (("a", "*"), ("b", "email"), ("c", "sms")):
        connection.execute(
            tables.suppressions.insert().values(token=token, channel=channel, reason="r", at=THEN)
        )
    found = ledger.read_suppressed(connection, ["a", "b", "c", "d"], channel="email")
    assert found == {"a": [("r", THEN.replace(tzinfo=UTC))], "b": [("r", THEN.replace(tzinfo=UTC))]}
