"""SDKs for Node, run for real: Segment's with its retries, RudderStack's as smoke."""

from __future__ import annotations

from client_wire import Fault, acknowledged


def ids(call):
    return {event["messageId"] for event in call.events()}


def test_segment_for_node_delivers_in_batches(node, gate):
    node("send_segment.mjs", EVENTS="23")
    calls = gate.wait_for_events(25)
    assert {(call.path, call.status) for call in calls} == {("/v1/batch", 200)}
    assert max(len(call.events()) for call in calls) == 10
    events = acknowledged(calls).values()
    assert {event["type"] for event in events} == {"identify", "page", "track"}
    tracks = [event["properties"] for event in events if event["type"] == "track"]
    assert sorted(tracks, key=lambda one: one["n"]) == [{"n": n, "text": "知音"} for n in range(23)]


def test_segment_for_node_sends_the_same_again_after_503(node, gate):
    gate.fail(Fault(503))
    node("send_segment.mjs")
    first, *later = gate.wait_for_events(5)
    assert first.status == 503
    assert ids(first) in [ids(call) for call in later]


def test_segment_for_node_waits_as_long_as_a_429_says(node, gate):
    gate.fail(Fault(429, {"Retry-After": "1"}))
    node("send_segment.mjs")
    first, *later = gate.wait_for_events(5)
    assert first.status == 429
    assert min(call.at for call in later) - first.at >= 0.95


def test_rudderstack_for_node_delivers(node, gate):
    node("send_rudder.cjs")
    events = acknowledged(gate.wait_for_events(3)).values()
    assert sorted(event["type"] for event in events) == ["identify", "track", "track"]
    assert all(call.path == "/v1/batch" for call in gate.sent())
