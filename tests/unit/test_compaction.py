"""From the journal to the lake: exactly once, whatever dies in between."""

import json
from collections import Counter
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from zhiyin import compaction
from zhiyin.app import Workspace
from zhiyin.collect.received import Received, pack
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import KeyDestroyed, LeaseHeld
from zhiyin.core.ledger import compactions
from zhiyin.store.journal import SegmentWriter, finished_segments
from zhiyin.store.leases import hold_lease
from zhiyin.store.ledger import reading
from zhiyin.store.vault import open_segment_keys

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path):
    values = {"name": "shop", "currency": "EUR", "zone": "UTC"}
    Workspace.create(tmp_path / "shop", validate_settings(values, where="test")).close()
    with Workspace.open(tmp_path / "shop", write=True, clock=FrozenClock(NOW)) as made:
        yield made


def track(shop, *messages, user="u1"):
    """A finished segment with one request of events with these message ids."""
    at = NOW.isoformat()
    events = [
        {"type": "track", "event": "Seen", "userId": user, "messageId": m, "timestamp": at}
        for m in messages
    ]
    body = json.dumps({"batch": events, "sentAt": at}).encode()
    micros = int(NOW.timestamp() * 1_000_000)
    received = Received("web", "server", "user_id", "batch", micros, body)
    keys = open_segment_keys(shop.folder / "keys")
    writer = SegmentWriter(shop.folder / "journal", keys, clock=shop.clock)
    writer.append([("event", pack(received))])
    writer.close()
    return writer.path


def names(shop):
    """How often each event is in the lake."""
    return Counter(shop.table("events").to_pyarrow().column("event_id").to_pylist())


def test_events_come_into_the_lake_and_the_journal_is_emptied(shop):
    track(shop, "m1", "m2")
    track(shop, "m3")
    (report,) = shop.compact()
    assert (report.frames, report.events) == (2, 3)
    assert set(names(shop).values()) == {1}
    assert list((shop.folder / "journal").iterdir()) == []
    assert list((shop.folder / "keys" / "segments").iterdir()) == []
    assert shop.compact() == []


def test_a_message_sent_again_later_is_the_same_event(shop):
    track(shop, "m1")
    shop.compact()
    track(shop, "m1", "m2")
    (report,) = shop.compact()
    assert (report.events, report.duplicates) == (1, 1)
    assert len(names(shop)) == 2


@pytest.mark.parametrize("place", ["_note_done", "_destroy_done", "_join_small_files"])
def test_a_compactor_that_dies_anywhere_is_followed_by_one_that_ends_the_same(
    shop, monkeypatch, place
):
    track(shop, "m1", "m2")
    calls = iter([False, True] if place == "_destroy_done" else [True])
    real = getattr(compaction, place)

    def die(*arguments):
        if next(calls, False):
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(compaction, place, die)
        with pytest.raises(KeyboardInterrupt):
            shop.compact()
    track(shop, "m3")
    shop.compact()
    assert len(names(shop)) == 3
    assert set(names(shop).values()) == {1}
    assert list((shop.folder / "journal").iterdir()) == []
    with reading(shop.store.ledger) as connection:
        assert set(connection.execute(sa.select(compactions.c.state)).scalars()) == {"done"}


def test_a_damaged_segment_is_kept_and_does_not_hold_up_the_others(shop):
    damaged = track(shop, "m1")
    data = damaged.read_bytes()
    damaged.write_bytes(b"ANOTHER\n" + data[8:])
    track(shop, "m2")
    shop.compact()
    assert len(names(shop)) == 1
    assert [s.path for s in finished_segments(shop.folder / "journal")] == [damaged]


def test_a_unit_under_way_whose_key_is_gone_is_an_error(shop, monkeypatch):
    track(shop, "m1")
    with monkeypatch.context() as patched:
        patched.setattr(compaction, "compact", lambda *a, **k: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            shop.compact()
    for key in (shop.folder / "keys" / "segments").iterdir():
        key.unlink()
    with pytest.raises(KeyDestroyed):
        shop.compact()


def test_while_a_turn_has_the_lake_the_journal_waits(shop):
    track(shop, "m1")
    held = hold_lease(shop.store.ledger, clock=shop.clock, holder="a turn")
    with held, pytest.raises(LeaseHeld):
        shop.compact()
    (report,) = shop.compact()
    assert report.events == 1


def test_an_erasure_first_brings_in_what_was_acknowledged(shop):
    track(shop, "m1", user="lea")
    proof = shop.erase("lea")
    assert proof["totals_equal"]
    assert proof["traces"] == []
    assert list((shop.folder / "journal").iterdir()) == []


def test_a_backlog_of_many_segments_drains_in_units_of_bounded_size(shop, monkeypatch):
    for number in range(100):
        size = track(shop, f"m{number}").stat().st_size
    monkeypatch.setattr(compaction, "UNIT_BYTES", 60 * size)
    reports = shop.compact()
    assert len(reports) == 2
    assert len(names(shop)) == 100
    assert list((shop.folder / "journal").iterdir()) == []


def test_small_files_are_joined(shop, monkeypatch):
    monkeypatch.setattr(compaction, "SMALL_FILES", 2)
    for number in range(4):
        track(shop, f"m{number}")
        shop.compact()
    assert len(names(shop)) == 4
    handle = shop.store.lake.open("events")
    assert len(handle.file_uris()) <= 2
