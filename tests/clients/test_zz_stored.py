"""After all other tests of this folder: what they were told is stored, is stored."""

from __future__ import annotations


def test_every_acknowledged_event_is_stored_and_no_other(collector):
    collector.stop()
    assert len(collector.acknowledged) > 0
    assert set(collector.stored()) == collector.acknowledged
