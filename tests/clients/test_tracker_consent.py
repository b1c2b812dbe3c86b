"""Our tracker and consent: before it nothing leaves the page and nothing stays in the browser."""

from __future__ import annotations

import pytest
from client_wire import acknowledged

FAST = {"batchMs": 20, "retryMs": 20}
UPDATED = "Segment Consent Preference Updated"
MANY = "for (let n = 0; n < 30; n++) zhiyin('track', 'Hidden', {n}); zhiyin('identify', 'u-1');"


def leave_after_everything_tried(visitor, page):
    """Let timers run, flush, hide and leave: whatever could send has had its chance."""
    page.evaluate("zhiyin('flush'); new Promise((done) => setTimeout(done, 200))")
    page.goto(visitor.site.url + "/elsewhere")
    page.evaluate("new Promise((done) => setTimeout(done, 50))")


def nothing_happened(visitor, gate, page):
    kept = visitor.kept(page)
    loads = {call.path for call in gate.calls()}
    return kept == {} and loads == {"/zhiyin.js"}


@pytest.mark.parametrize(
    "decision",
    [
        "",
        "zhiyin('consent', 'deny');",
        "zhiyin('consent', 'grant', ['Advertising']);",
        "zhiyin('consent', 'deny', ['Analytics']); zhiyin('consent', 'grant', ['Advertising']);",
        "zhiyin('consent', 'granted');",
        "zhiyin('consent');",
    ],
)
def test_without_consent_nothing_is_sent_and_nothing_stored(visitor, gate, decision):
    page = visitor.open("/?utm_source=x", calls=decision + MANY, spa=True, **FAST)
    page.evaluate("history.pushState({}, '', '/next')")
    page.evaluate("dispatchEvent(new Event('online'))")
    leave_after_everything_tried(visitor, page)
    assert nothing_happened(visitor, gate, page)


def test_a_refusal_beats_a_site_that_asks_for_none(visitor, gate):
    calls = "zhiyin('consent', 'deny');" + MANY
    page = visitor.open(calls=calls, consent="off", pages=False, batchMs=600_000)
    leave_after_everything_tried(visitor, page)
    assert nothing_happened(visitor, gate, page)


@pytest.mark.parametrize("signal", ["globalPrivacyControl", "doNotTrack"])
def test_a_browsers_own_refusal_counts_where_the_site_says_so(visitor, gate, signal):
    value = "'1'" if signal == "doNotTrack" else "true"
    visitor.context.add_init_script(
        f"Object.defineProperty(Navigator.prototype, '{signal}', {{get: () => {value}}})"
    )
    calls = "zhiyin('consent', 'grant');" + MANY
    page = visitor.open(calls=calls, signals=True, **FAST)
    leave_after_everything_tried(visitor, page)
    assert nothing_happened(visitor, gate, page)


def test_what_waited_is_sent_as_it_was_once_consent_is_there(visitor, gate):
    page = visitor.open("/first?utm_source=mail", calls="zhiyin('identify', 'u-1');", **FAST)
    page.evaluate("history.pushState({}, '', '/second')")
    moment = page.evaluate("new Promise((done) => setTimeout(() => done(Date.now()), 30))")
    assert gate.sent() == []
    page.evaluate("zhiyin('consent', 'grant')")
    events = {
        event.get("event") or event["type"]: event
        for event in acknowledged(gate.wait_for_events(3)).values()
    }
    assert set(events) == {"page", "identify", UPDATED}
    assert events["page"]["context"]["page"]["path"] == "/first"
    assert events["page"]["context"]["campaign"] == {"source": "mail"}
    assert page.evaluate("(text) => Date.parse(text)", events["page"]["timestamp"]) < moment
    assert events["identify"]["userId"] == "u-1"
    assert all(
        event["context"]["consent"] == {"categoryPreferences": {"Analytics": True}}
        for event in events.values()
    )


def test_calls_that_wait_are_bounded(visitor, gate):
    calls = "for (let n = 0; n < 300; n++) zhiyin('track', 'Held', {n});"
    page = visitor.open(calls=calls, pages=False, **FAST)
    page.evaluate("zhiyin('consent', 'grant')")
    gate.wait_for_events(101)
    page.wait_for_function("!Object.keys(localStorage).some((name) => name.includes('.q.'))")
    events = acknowledged(gate.sent()).values()
    held = sorted(event["properties"]["n"] for event in events if event["event"] == "Held")
    assert held == list(range(100))


def test_the_site_names_the_category_that_tracking_needs(visitor, gate):
    options = {"needs": "Statistik", "categories": ["Statistik", "Werbung"], **FAST}
    page = visitor.open(calls="zhiyin('consent', 'grant');", **options)
    page.evaluate("zhiyin('consent', 'deny', 'Werbung')")
    events = list(acknowledged(gate.wait_for_events(3)).values())
    seen = [e["context"]["consent"]["categoryPreferences"] for e in events]
    assert seen[0] == {"Statistik": True, "Werbung": True}
    assert seen[-1] == {"Statistik": True, "Werbung": False}
    assert events[-1]["event"] == UPDATED


def test_the_same_consent_again_is_not_news(visitor, gate):
    grant = "zhiyin('consent', 'grant');"
    page = visitor.open("/one", calls=grant, **FAST)
    gate.wait_for_events(2)
    visitor.open("/two", calls=grant, page=page, **FAST)
    events = acknowledged(gate.wait_for_events(3)).values()
    assert [event.get("event") for event in events].count(UPDATED) == 1


def test_known_preferences_are_given_with_init(visitor, gate):
    visitor.open(preferences={"Analytics": True, "Advertising": False}, **FAST)
    events = acknowledged(gate.wait_for_events(2)).values()
    assert {e["type"] for e in events} == {"page", "track"}
    for event in events:
        consent = event["context"]["consent"]["categoryPreferences"]
        assert consent == {"Analytics": True, "Advertising": False}


def test_consent_taken_back_is_said_and_leaves_nothing_behind(visitor, gate):
    page = visitor.open(calls="zhiyin('consent', 'grant');", batchMs=600_000)
    page.evaluate("zhiyin('flush')")
    gate.wait_for_events(2)
    # at once: an answer that comes in between would send what waits
    page.evaluate(
        "for (let n = 0; n < 5; n++) zhiyin('track', 'Unsent', {n}); zhiyin('consent', 'deny')"
    )
    *_, last = acknowledged(gate.wait_for_events(3)).values()
    assert last["event"] == UPDATED
    assert last["context"]["consent"]["categoryPreferences"] == {"Analytics": False}
    page.evaluate(MANY)
    leave_after_everything_tried(visitor, page)
    assert len(acknowledged(gate.sent())) == 3
    assert visitor.kept(page) == {}


def test_a_new_consent_after_a_refusal_starts_a_new_visitor(visitor, gate):
    page = visitor.open(calls="zhiyin('consent', 'grant');", **FAST)
    gate.wait_for_events(2)
    page.evaluate("zhiyin('consent', 'deny')")
    gate.wait_for_events(3)
    page.evaluate("zhiyin('consent', 'grant'); zhiyin('track', 'Again')")
    events = list(acknowledged(gate.wait_for_events(5)).values())
    assert events[0]["anonymousId"] == events[2]["anonymousId"]
    assert events[-1]["anonymousId"] not in {events[0]["anonymousId"], "", None}
