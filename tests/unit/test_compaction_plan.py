"""Tracking plans in the compactor: kept with findings, or refused alone, the same after a kill."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from zhiyin import compaction
from zhiyin.app import Workspace
from zhiyin.collect import compact
from zhiyin.collect.plan_ledger import (
    find_plan,
    list_plans,
    list_versions,
    remove_plan,
    set_plan,
)
from zhiyin.collect.received import Received, pack
from zhiyin.core.clock import FrozenClock, naive_utc
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.ledger import audit
from zhiyin.store.journal import SegmentWriter
from zhiyin.store.ledger import reading
from zhiyin.store.vault import open_segment_keys

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCHEMA = {"properties": {"price": {"type": "number"}}, "required": ["price"]}
PRICES = {"m1": 1.5, "m2": "cheap", "m3": 3}


@pytest.fixture
def shop(tmp_path):
    values = {"name": "shop", "currency": "EUR", "zone": "UTC"}
    Workspace.create(tmp_path / "shop", validate_settings(values, where="test")).close()
    with Workspace.open(tmp_path / "shop", write=True, clock=FrozenClock(NOW)) as made:
        yield made


def track(shop, prices, source="web"):
    events = [
        {"type": "track", "event": "Seen", "userId": "u1", "messageId": m,
         "properties": {"price": price}}
        for m, price in prices.items()
    ]  # fmt: skip
    body = json.dumps({"batch": events}).encode()
    micros = int(shop.clock.now().timestamp() * 1_000_000)
    received = Received(source, "server", "user_id", "batch", micros, body)
    keys = open_segment_keys(shop.folder / "keys")
    writer = SegmentWriter(shop.folder / "journal", keys, clock=shop.clock)
    writer.append([("event", pack(received))])
    writer.close()


def plan(shop, mode, schema=SCHEMA):
    with shop.store.begin() as connection:
        return set_plan(
            connection, "web", "Seen", schema=schema, mode=mode, by="me",
            now=naive_utc(shop.clock.now()),
        )  # fmt: skip


def findings(shop):
    return sorted(
        json.loads(one) if one else []
        for one in shop.table("events").to_pyarrow().column("findings").to_pylist()
    )


def refused(shop):
    rows = shop.table("quarantine").to_pyarrow().to_pylist()
    return [(row["reason"], row["message"]) for row in rows]


def test_a_warning_keeps_the_event_with_its_finding(shop):
    plan(shop, "warn")
    track(shop, PRICES)
    (report,) = shop.compact()
    assert findings(shop) == [[], [], ["plan:price:type"]]
    assert report.findings["plan:price:type"] == 1
    assert refused(shop) == []


def test_quarantine_refuses_the_event_alone_and_says_why(shop):
    plan(shop, "quarantine")
    track(shop, PRICES)
    (report,) = shop.compact()
    assert findings(shop) == [[], []]
    ((reason, message),) = refused(shop)
    assert reason == "against_plan"
    assert message.endswith(": plan:price:type")
    assert report.refused == {"against_plan": 1}


def test_an_event_that_was_refused_comes_in_when_the_plan_lets_it(shop):
    plan(shop, "quarantine")
    track(shop, PRICES)
    shop.compact()
    plan(shop, "off")
    track(shop, PRICES)
    (report,) = shop.compact()
    assert (report.events, report.duplicates) == (1, 2)
    assert report.again == {"web": 2}


@pytest.mark.parametrize(("module", "place"), [(compaction, "_note_done"), (compact, "_finish")])
@pytest.mark.parametrize("first", ["quarantine", "off"])
def test_a_unit_done_again_after_a_kill_uses_the_plan_it_began_with(
    shop, monkeypatch, first, module, place
):
    plan(shop, first)
    track(shop, PRICES)

    def die(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, place, die)
        with pytest.raises(KeyboardInterrupt):
            shop.compact()
    plan(shop, "off" if first == "quarantine" else "quarantine")
    shop.compact()
    assert len(findings(shop)) + len(refused(shop)) == 3
    assert len(refused(shop)) == (1 if first == "quarantine" else 0)


def test_versions_are_kept_and_the_newest_holds(shop):
    assert plan(shop, "warn").version == 1
    shop.clock.at += timedelta(hours=1)
    assert plan(shop, "quarantine", {"type": "object"}).version == 2
    with shop.store.begin() as connection:
        assert find_plan(connection, "web", "Seen").mode == "quarantine"
        assert find_plan(connection, "web", "Seen", version=1).schema == SCHEMA
        assert [one.version for one in list_versions(connection, "web", "Seen")] == [2, 1]
        remove_plan(connection, "web", "Seen", by="me", now=naive_utc(NOW))
        assert list_plans(connection) == []
        with pytest.raises(NotFound):
            find_plan(connection, "web", "Seen")
    assert plan(shop, "warn").version == 4
    with reading(shop.store.ledger) as connection:
        actions = connection.execute(sa.select(audit.c.action)).scalars().all()
    assert actions == ["plan.set", "plan.set", "plan.remove", "plan.set"]


def test_a_plan_that_is_refused_leaves_nothing(shop):
    for mode, schema in (("loud", SCHEMA), ("warn", {"type": "x"})):
        with pytest.raises(InvalidParameter):
            plan(shop, mode, schema)
    with shop.store.begin() as connection:
        assert list_plans(connection) == []
