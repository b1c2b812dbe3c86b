"""Files of campaigns over HTTP: for who may, gated, once, audited, and nothing of them is kept."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from pathlib import Path

import people
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from zhiyin.act.campaigns.definition import parse_definition
from zhiyin.api.lists import PREFIX, STALE_S
from zhiyin.campaigns import campaigns_of
from zhiyin.core.clock import SystemClock
from zhiyin.core.ledger import audit, messages
from zhiyin.govern.gate import Consent
from zhiyin.govern.ledger import add_consent
from zhiyin.store.leases import hold_lease
from zhiyin.store.ledger import reading

URL = "/v1/admin/campaigns/list-http/export"
RULE = {"type": "trait", "field": "language", "op": "in", "value": ["en", "zh"]}


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """Where files stand while they are answered."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def planned(served):
    """A campaign of two people, of whom Bea refused."""
    shop, _ = served
    with shop.store.begin() as connection:
        for user, granted in ((people.ANA, True), (people.BEA, False)):
            party = people.party_of(shop, user)
            line = Consent(party, "marketing", "email", granted, shop.clock.now(), "list test")
            add_consent(connection, line)
    made = campaigns_of(shop.store, shop.vault, shop.settings, shop.clock, people.AS_OF)
    values = {"key": "list-http", "rule": RULE, "channel": "file"}
    made.create(parse_definition(values), by="Ana")
    made.start("list-http", by="Ana")
    assert made.plan("list-http") == 2
    yield shop
    with shop.store.begin() as connection:  # other tests count what this shop has sent
        connection.execute(messages.delete().where(messages.c.campaign_id == "zhiyin:list-http"))


def test_a_list_is_answered_once_and_again_where_it_was_lost(planned, as_role, outside):
    for role in ("marketer", "analyst", "approver"):
        assert as_role(role, "POST", URL, json={}).status_code == 403
    first = as_role("admin", "POST", URL, json={})
    assert first.status_code == 200, first.text
    assert json.loads(first.headers["X-Zhiyin-Export"]) == {"lines": 1, "left_out": {}}
    (row,) = csv.DictReader(io.StringIO(first.text))
    assert row["email"] == people.OF_ANA[1]
    assert "attachment" in first.headers["Content-Disposition"]
    assert first.headers["Cache-Control"] == "no-store"
    assert list(outside.iterdir()) == []
    with reading(planned.store.ledger) as connection:
        mine = messages.c.campaign_id == "zhiyin:list-http"
        found = connection.execute(sa.select(messages.c.state, messages.c.reason).where(mine)).all()
        noted = connection.execute(
            sa.select(audit.c.actor, audit.c.detail).where(audit.c.action == "campaign.exported")
        ).all()
    assert sorted(map(tuple, found)) == [("sent", None), ("skipped", "consent_refused")]
    assert [(one.actor, one.detail["lines"]) for one in noted] == [("a admin", 1)]
    assert as_role("admin", "POST", URL, json={}).status_code == 422  # it is done
    asked = {"what": "again", "format": "parquet"}
    again = as_role("admin", "POST", URL, json=asked)
    table = pq.read_table(io.BytesIO(again.content))
    assert table["email"].to_pylist() == [people.OF_ANA[1]]
    none = as_role("admin", "POST", URL, json={"what": "removals"})
    assert none.json() == {"lines": 0, "left_out": {}}


def test_an_export_waits_for_a_turn_and_clears_what_a_dead_one_left(planned, as_role, outside):
    left = outside / f"{PREFIX}dead"
    left.mkdir()
    (left / "list.csv").write_text("personal")
    old = SystemClock().now().timestamp() - 2 * STALE_S
    os.utime(left, (old, old))
    with hold_lease(planned.store.ledger, clock=SystemClock(), holder="another"):
        assert as_role("admin", "POST", URL, json={"what": "again"}).status_code == 409
    assert not left.exists()
    assert [one for one in Path(tempfile.gettempdir()).iterdir() if one.is_dir()] == []
