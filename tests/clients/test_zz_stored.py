"""After all other tests of this folder: every event that was acknowledged is in the lake, once."""

from __future__ import annotations


def test_every_acknowledged_event_is_in_the_lake_once_and_no_other(collector):
    collector.stop()
    assert len(collector.acknowledged) > 0
    assert collector.stored() == dict.fromkeys(collector.acknowledged, 1)
