"""Segment's own SDK for browsers against the collector, in both of its ways of sending."""

from __future__ import annotations

import json

import pytest
from client_wire import Fault, acknowledged

PAGE = """<!doctype html><html lang="en"><head><title>Segment</title>
<script src="/scripts/index.js"></script>
<script>
  window.analytics = AnalyticsNext.AnalyticsBrowser.load(
    {writeKey: %(key)s, cdnURL: %(gate)s},
    {integrations: {'Segment.io': {apiHost: %(gate)s.replace('http://', '') + '/v1',
      protocol: 'http', deliveryStrategy: %(strategy)s}}}
  );
</script></head><body>A shop</body></html>"""
FETCH = {"strategy": "standard", "config": {"keepalive": True}}
BATCHES = {"strategy": "batching", "config": {"size": 10, "timeout": 100}}
SLOW = {"strategy": "batching", "config": {"size": 100, "timeout": 600_000}}


@pytest.fixture
def open_segment(visitor):
    def open_page(strategy):
        visitor.site.pages["/segment"] = PAGE % {
            "key": json.dumps(visitor.write_key),
            "gate": json.dumps(visitor.gate.url),
            "strategy": json.dumps(strategy),
        }
        page = visitor.context.new_page()
        page.goto(visitor.site.url + "/segment?utm_source=mail")
        page.evaluate("analytics.ready()")
        return page

    return open_page


def track(page, count):
    page.evaluate(
        "(count) => { for (let n = 0; n < count; n++) analytics.track('Seen', {n}); }", count
    )


def test_every_kind_of_call_has_an_address_of_its_own(open_segment, gate):
    page = open_segment(FETCH)
    page.evaluate("""async () => {
        await analytics.identify('u-1', {plan: 'gold'});
        await analytics.page('Shop', 'Home');
        await analytics.track('Seen', {n: 0});
        await analytics.group('g-1');
        await analytics.alias('u-2');
    }""")
    calls = gate.wait_for_events(5)
    assert {call.path for call in calls} == {f"/v1/{short}" for short in "iptga"}
    assert {call.status for call in calls} == {200}
    kinds = {call.path[-1]: call.events()[0] for call in calls}
    assert kinds["p"]["context"]["campaign"] == {"source": "mail"}
    assert kinds["t"]["writeKey"] == page.evaluate("analytics.instance.settings.writeKey")


def test_a_browser_is_allowed_to_send_its_authorization(open_segment, gate):
    page = open_segment(FETCH)
    track(page, 1)
    (call,) = gate.wait_for_events(1)
    assert call.headers["authorization"].startswith("Basic ")
    asked = [(one.status, one.path) for one in gate.calls() if one.method == "OPTIONS"]
    assert asked == [(204, "/v1/t")]


@pytest.mark.parametrize(
    "fault", [Fault(503), Fault(429, {"Retry-After": "1"})], ids=["503", "429"]
)
@pytest.mark.parametrize("strategy", [FETCH, BATCHES], ids=["fetch", "batching"])
def test_a_busy_collector_gets_the_same_event_again(open_segment, gate, strategy, fault):
    gate.fail(fault)
    page = open_segment(strategy)
    track(page, 1)
    refused, again = gate.wait_for_events(1)
    assert (refused.status, again.status) == (fault.status, 200)
    assert refused.events()[0]["messageId"] == again.events()[0]["messageId"]
    if fault.headers:
        assert again.at - refused.at >= 0.95


def test_batches_arrive_whole(open_segment, gate):
    page = open_segment(BATCHES)
    track(page, 25)
    calls = gate.wait_for_events(25)
    assert {call.path for call in calls} == {"/v1/b"}
    numbers = sorted(event["properties"]["n"] for event in acknowledged(calls).values())
    assert numbers == list(range(25))


@pytest.mark.parametrize("how", ["close", "go on"])
def test_a_batch_not_sent_yet_arrives_when_the_page_is_left(open_segment, visitor, gate, how):
    page = open_segment(SLOW)
    visitor.context.new_page()  # the browser outlives the tab
    page.evaluate("""async () => { for (let n = 0; n < 5; n++) await Promise.race([
        analytics.track('Left', {n}), new Promise((done) => setTimeout(done, 50))]) }""")
    assert gate.sent() == []
    if how == "close":
        page.close(run_before_unload=True)
    else:
        page.goto(visitor.site.url + "/elsewhere")
    events = acknowledged(gate.wait_for_events(5)).values()
    assert sorted(event["properties"]["n"] for event in events) == list(range(5))


def test_events_of_a_time_without_network_arrive_later(open_segment, visitor, gate):
    page = open_segment(FETCH)
    visitor.context.set_offline(True)
    track(page, 3)
    page.wait_for_function("!navigator.onLine")
    visitor.context.set_offline(False)
    events = acknowledged(gate.wait_for_events(3)).values()
    assert sorted(event["properties"]["n"] for event in events) == [0, 1, 2]
