"""Live audiences: from a tracked event, or the passing of time, to who entered and left."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from zhiyin.app import Workspace
from zhiyin.audience import parse
from zhiyin.audience.ledger import add_audience, read_changes, remove_audience
from zhiyin.audiences import Audiences
from zhiyin.collect.received import Received, pack
from zhiyin.core.clock import FrozenClock, naive_utc
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import LeaseHeld
from zhiyin.live_audiences import LEASE, refresh_live
from zhiyin.store.journal import SegmentWriter
from zhiyin.store.leases import hold_lease
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.vault import open_segment_keys
from zhiyin.worker import work

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SEEN = {"type": "behaviour", "table": "events", "days": 2, "op": "ge", "value": 1,
        "where": [{"column": "name", "value": "Seen"}]}  # fmt: skip
LEFT_CART = {
    "type": "sequence", "within_days": 1, "happens": False,
    "first": {"table": "events", "where": [{"column": "name", "value": "Cart"}]},
    "then": {"table": "events", "where": [{"column": "name", "value": "Paid"}]},
}  # fmt: skip


@pytest.fixture
def shop(tmp_path):
    values = {"name": "shop", "currency": "EUR", "zone": "UTC"}
    Workspace.create(tmp_path / "shop", validate_settings(values, where="test")).close()
    with Workspace.open(tmp_path / "shop", write=True, clock=FrozenClock(NOW)) as made:
        yield made


def track(shop, user, name, *, at=None, **properties):
    """An event that was acknowledged."""
    at = (at or shop.clock.at - timedelta(seconds=1)).isoformat()
    event = {
        "type": "track",
        "event": name,
        "userId": user,
        "messageId": f"{user}{name}{at}",
        "properties": properties,
    }
    sent = shop.clock.at.isoformat()
    body = json.dumps({"batch": [event | {"timestamp": at}], "sentAt": sent}).encode()
    micros = int(shop.clock.at.timestamp() * 1_000_000)
    writer = SegmentWriter(
        shop.folder / "journal", open_segment_keys(shop.folder / "keys"), clock=shop.clock
    )
    writer.append([("event", pack(Received("web", "server", "user_id", "batch", micros, body)))])
    writer.close()


def keep(shop, **rules):
    with transaction(shop.store.ledger) as connection:
        for name, rule in rules.items():
            add_audience(
                connection, name, parse(rule), kind="live", by="test", now=naive_utc(shop.clock.at)
            )


def refresh(shop):
    return refresh_live(shop.store, shop.vault, shop.clock)


def told(shop):
    with reading(shop.store.ledger) as connection:
        return [(row["audience"], row["entered"]) for row in read_changes(connection)]


def test_who_does_something_enters_and_leaves_when_it_leaves_the_window(shop):
    keep(shop, seen=SEEN)
    refresh(shop)
    track(shop, "ann", "Seen")
    shop.compact()
    (done,) = refresh(shop)
    assert (done.name, done.asked, done.entered, done.left) == ("seen", 1, 1, 0)
    assert refresh(shop) == []  # nothing new, and no time has passed
    (listed,) = Audiences(shop.store, shop.vault, shop.clock, NOW.date()).listed()
    assert (listed["kind"], listed["size"]) == ("live", 1)
    shop.clock.at = datetime(2026, 3, 3, 23, 59, tzinfo=UTC)
    (done,) = refresh(shop)
    assert (done.entered, done.left) == (0, 0)
    shop.clock.at += timedelta(minutes=1)
    (done,) = refresh(shop)  # her event has left the window, and nothing else happened
    assert (done.asked, done.entered, done.left) == (None, 0, 1)
    assert told(shop) == [("seen", True), ("seen", False)]


def test_who_did_not_buy_enters_to_the_minute(shop):
    keep(shop, left_cart=LEFT_CART)
    track(shop, "ann", "Cart")
    track(shop, "ben", "Cart")
    track(shop, "ben", "Paid", at=NOW - timedelta(milliseconds=5))
    shop.compact()
    refresh(shop)
    shop.clock.at = NOW + timedelta(hours=23)
    refresh(shop)
    assert told(shop) == []
    shop.clock.at = NOW + timedelta(days=1)
    (done,) = refresh(shop)
    assert (done.asked, done.entered, done.left) == (2, 1, 0)  # not the whole shop


def test_only_those_are_asked_of_whom_something_is_new(shop):
    keep(shop, seen=SEEN)
    for n in range(20):
        track(shop, f"u{n}", "Seen")
    shop.compact()
    refresh(shop)
    shop.clock.at += timedelta(seconds=10)
    track(shop, "ann", "Seen")
    shop.compact()
    (done,) = refresh(shop)
    assert (done.asked, done.entered, done.left) == (1, 1, 0)


def test_a_changed_rule_asks_everybody_also_where_another_audience_names_it(shop):
    keep(shop, seen=SEEN, named={"type": "audience", "name": "seen"})
    track(shop, "ann", "Seen")
    shop.compact()
    refresh(shop)
    shop.clock.at += timedelta(seconds=10)
    keep(shop, seen=SEEN | {"value": 2})
    assert [(one.name, one.asked, one.left) for one in refresh(shop)] == [
        ("named", None, 1), ("seen", None, 1),
    ]  # fmt: skip
    with transaction(shop.store.ledger) as connection:
        remove_audience(connection, "named", by="test", now=naive_utc(shop.clock.at))
    assert refresh(shop) == []


def test_a_crash_before_it_is_noted_tells_nobody_twice(shop, monkeypatch):
    keep(shop, seen=SEEN)
    track(shop, "ann", "Seen")
    shop.compact()

    class Killed(BaseException):
        pass

    def killed(*_arguments, **_named):
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr("zhiyin.live_audiences.tell_changes", killed)
        with pytest.raises(Killed):
            refresh(shop)
    assert told(shop) == []
    refresh(shop)
    shop.clock.at += timedelta(minutes=2)
    refresh(shop)
    assert told(shop) == [("seen", True)]


def test_one_process_at_a_time_asks(shop):
    keep(shop, seen=SEEN)
    with (
        hold_lease(shop.store.ledger, LEASE, clock=shop.clock, holder="another"),
        pytest.raises(LeaseHeld),
    ):
        refresh(shop)


def test_the_worker_brings_events_in_and_asks(shop):
    keep(shop, seen={**SEEN, "days": 36_500})
    track(shop, "ann", "Seen")
    assert work(shop.folder, once=True) == 0
    assert told(shop) == [("seen", True)]
