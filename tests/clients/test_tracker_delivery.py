"""Our tracker in a real browser: what it sends arrives, once, whatever happens to the network."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from client_wire import Fault, acknowledged

OFF = {"consent": "off", "batchMs": 50, "retryMs": 50}
QUIET = {**OFF, "pages": False}
QUEUED = "Object.keys(localStorage).filter((name) => name.startsWith('zhiyin.q.')).length"


def track(page, name, count=1, start=0):
    page.evaluate(
        "([name, count, start]) => { for (let n = start; n < start + count; n++) "
        "zhiyin('track', name, {n}); }",
        [name, count, start],
    )


def wait_until_empty(page):
    page.wait_for_function(f"{QUEUED} === 0")


def arrived(gate):
    """How often each event arrived in an acknowledged call, copies included."""
    return Counter(
        (event.get("event"), event["properties"].get("n"))
        for call in gate.sent()
        if call.status == 200
        for event in call.events()
    )


def test_a_page_view_says_where_the_visitor_is_and_came_from(visitor, gate):
    visitor.open("/shoes?utm_source=mail&utm_campaign=spring&size=42#top", title="Shoes", **OFF)
    (view,) = acknowledged(gate.wait_for_events(1)).values()
    assert view["type"] == "page"
    assert view["context"]["page"]["path"] == "/shoes"
    assert view["properties"]["title"] == "Shoes"
    assert view["properties"]["url"].endswith("size=42#top")
    assert view["context"]["campaign"] == {"source": "mail", "name": "spring"}
    assert view["context"]["library"]["name"] == "zhiyin.js"
    assert view["context"]["timezone"]
    assert view["context"]["userAgent"].startswith("Mozilla")
    assert view["anonymousId"]


def test_the_browser_asks_no_leave_and_sends_no_cookie(visitor, gate):
    visitor.context.add_cookies([{"name": "theirs", "value": "1", "url": gate.url}])
    page = visitor.open(**QUIET)
    track(page, "Seen")
    (call,) = gate.wait_for_events(1)
    assert [one.method for one in gate.calls() if one.path != "/zhiyin.js"] == ["POST"]
    assert call.path == "/v1/b"
    assert call.headers["content-type"].startswith("text/plain")
    assert "cookie" not in call.headers
    body = call.json()
    assert set(body) == {"batch", "sentAt", "writeKey"}
    assert abs(datetime.fromisoformat(body["sentAt"]) - datetime.now(UTC)).total_seconds() < 60


def test_calls_of_every_kind_have_segments_fields(visitor, gate):
    page = visitor.open(**QUIET)
    page.evaluate("""() => {
        const mine = {messageId: 'mine', timestamp: '2026-01-02T03:04:05Z'};
        zhiyin('track', 'Product Viewed', {product_id: 'p1'}, mine);
        zhiyin('identify', 'u-1', {plan: 'gold'});
        zhiyin('group', 'g-1', {name: 'Team'});
        zhiyin('page', 'Shop', 'Home', {extra: 1});
        zhiyin('alias', 'u-2');
        zhiyin('track', 'Last');
    }""")
    events = list(acknowledged(gate.wait_for_events(6)).values())
    track_, identify, group, view, alias, last = events
    assert (track_["event"], track_["properties"]) == ("Product Viewed", {"product_id": "p1"})
    assert (track_["messageId"], track_["timestamp"]) == ("mine", "2026-01-02T03:04:05.000Z")
    assert "userId" not in track_
    assert (identify["userId"], identify["traits"]) == ("u-1", {"plan": "gold"})
    assert (group["groupId"], group["traits"], group["userId"]) == ("g-1", {"name": "Team"}, "u-1")
    assert (view["category"], view["name"], view["properties"]["extra"]) == ("Shop", "Home", 1)
    assert (alias["previousId"], alias["userId"], last["userId"]) == ("u-1", "u-2", "u-2")
    assert len({event["anonymousId"] for event in events}) == 1


def test_the_same_visitor_is_known_on_the_next_page(visitor, gate):
    page = visitor.open("/one", **QUIET)
    page.evaluate("zhiyin('identify', 7)")
    gate.wait_for_events(1)
    visitor.open("/two", page=page, **OFF)
    first, second = acknowledged(gate.wait_for_events(2)).values()
    assert first["anonymousId"] == second["anonymousId"]
    assert second["userId"] == "7"


@pytest.mark.parametrize("how", ["zhiyin('reset')", "zhiyin('identify', 'another')"])
def test_another_person_gets_another_anonymous_id(visitor, gate, how):
    page = visitor.open(**QUIET)
    page.evaluate("zhiyin('identify', 'u-1')")
    page.evaluate(how)
    track(page, "After")
    wait_until_empty(page)
    events = list(acknowledged(gate.sent()).values())
    assert events[0]["anonymousId"] != events[-1]["anonymousId"]
    assert events[-1].get("userId") != "u-1"


def test_signing_out_in_one_tab_holds_in_the_other(visitor, gate):
    first = visitor.open(**QUIET)
    second = visitor.open(**QUIET)
    first.evaluate("zhiyin('identify', 'u-1')")
    second.wait_for_function("localStorage['zhiyin.user'] === 'u-1'")  # in the browser's own time
    track(second, "Signed in")
    first.evaluate("zhiyin('reset')")
    second.wait_for_function("!localStorage['zhiyin.user']")
    track(second, "Signed out")
    events = acknowledged(gate.wait_for_events(3)).values()
    users = {event.get("event"): event.get("userId") for event in events}
    assert users == {None: "u-1", "Signed in": "u-1", "Signed out": None}


def test_calls_made_before_the_script_came_keep_their_time(visitor, gate):
    calls = "window.before = Date.now(); zhiyin('track', 'Early'); window.after = Date.now();"
    page = visitor.open(calls=calls, **QUIET)
    (event,) = acknowledged(gate.wait_for_events(1)).values()
    taken = datetime.fromisoformat(event["timestamp"]).timestamp() * 1000
    assert page.evaluate("window.before") <= taken <= page.evaluate("window.after")


def test_addresses_that_a_page_gives_itself_are_page_views(visitor, gate):
    page = visitor.open("/app", spa=True, **OFF)
    page.evaluate("history.pushState({}, '', '/app/cart?step=1'); document.title = 'Cart'")
    gate.wait_for_events(2)
    page.evaluate("history.replaceState({}, '', '/app/cart?step=1#same')")
    page.evaluate("history.pushState({}, '', '/app/pay')")
    gate.wait_for_events(3)
    page.go_back()
    gate.wait_for_events(4)
    views = [event["context"]["page"] for event in acknowledged(gate.sent()).values()]
    assert [view["path"] for view in views] == ["/app", "/app/cart", "/app/pay", "/app/cart"]
    assert views[1]["title"] == "Cart"
    assert [view["referrer"].partition("/app")[2] for view in views[1:]] == [
        "", "/cart?step=1", "/pay",
    ]  # fmt: skip


def test_without_the_option_such_addresses_are_not_counted(visitor, gate):
    page = visitor.open("/app", **OFF)
    page.evaluate("history.pushState({}, '', '/app/cart')")
    track(page, "Done")
    events = acknowledged(gate.wait_for_events(2)).values()
    assert [event["type"] for event in events] == ["page", "track"]


def test_events_go_in_batches(visitor, gate):
    page = visitor.open(**QUIET)
    track(page, "Many", 45)
    sizes = [len(call.events()) for call in gate.wait_for_events(45)]
    assert sizes == [20, 20, 5]
    assert set(arrived(gate).values()) == {1}


def test_chinese_text_is_measured_in_bytes(visitor, gate):
    page = visitor.open(**QUIET)
    page.evaluate(
        "for (let n = 0; n < 5; n++) zhiyin('track', '浏览', {n, text: '知'.repeat(7000)})"
    )
    page.evaluate("zhiyin('track', '太大', {text: '知'.repeat(11000)})")
    calls = gate.wait_for_events(5)
    wait_until_empty(page)
    assert max(len(call.body) for call in calls) < 64 * 1024
    assert arrived(gate) == {("浏览", n): 1 for n in range(5)}


@pytest.mark.parametrize("how", ["close", "go on"])
def test_what_was_not_sent_yet_is_sent_when_the_page_is_left(visitor, gate, how):
    options = {**QUIET, "batchMs": 600_000}
    page = visitor.open(**options)
    visitor.context.new_page()  # the browser outlives the tab
    track(page, "Left", 5)
    assert gate.sent() == []
    if how == "close":
        page.close()
    else:
        page.goto(visitor.site.url + "/elsewhere")
    gate.wait_for_events(5)
    assert set(arrived(gate)) == {("Left", n) for n in range(5)}


def test_a_server_that_is_busy_gets_the_same_events_later(visitor, gate):
    gate.fail(Fault(503), Fault(503), Fault(500))
    page = visitor.open(**QUIET)
    track(page, "Busy", 3)
    calls = gate.wait_for_events(3)
    wait_until_empty(page)
    assert [call.status for call in calls] == [503, 503, 500, 200]
    assert len({tuple(e["messageId"] for e in call.events()) for call in calls}) == 1


def test_retry_after_is_honoured_also_by_the_next_page(visitor, gate):
    gate.fail(Fault(429, {"Retry-After": "2"}))
    page = visitor.open("/one", **QUIET)
    track(page, "Asked to wait")
    gate.wait(lambda calls: len(calls) == 1)
    page.wait_for_function("localStorage['zhiyin.wait']")
    page = visitor.open("/two", page=page, **QUIET)
    track(page, "Next page")
    refused, *later = gate.wait_for_events(2)
    assert later[0].at - refused.at >= 1.9
    assert set(arrived(gate).values()) == {1}


def test_a_source_over_its_limit_delivers_as_soon_as_it_may(visitor, gate, collector):
    visitor.write_key = collector.slow_key
    page = visitor.open(**QUIET)
    track(page, "Within", 20)
    gate.wait_for_events(20)
    track(page, "Over", 6)
    *_, refused, later = gate.wait_for_events(26)
    assert (refused.status, later.status) == (429, 200)
    assert later.at - refused.at >= 1  # not its own short backoff: it read Retry-After
    assert set(arrived(gate).values()) == {1}


def test_a_batch_that_can_never_succeed_does_not_block_the_next(visitor, gate):
    gate.fail(Fault(400))
    page = visitor.open(**QUIET)
    track(page, "Refused")
    gate.wait(lambda calls: len(calls) == 1)
    wait_until_empty(page)
    track(page, "Next")
    gate.wait_for_events(1)
    assert arrived(gate) == {("Next", 0): 1}


def test_events_of_a_time_without_network_are_sent_when_it_is_back(visitor, gate):
    page = visitor.open(**{**QUIET, "retryMs": 600_000})  # only the news of a network helps
    visitor.context.set_offline(True)
    track(page, "Offline", 30)
    page.wait_for_function("localStorage['zhiyin.wait']")
    assert page.evaluate(QUEUED) == 30
    visitor.context.set_offline(False)
    gate.wait_for_events(30)
    wait_until_empty(page)
    assert arrived(gate) == {("Offline", n): 1 for n in range(30)}


def test_a_tab_closed_without_network_leaves_its_events_to_the_next(visitor, gate):
    page = visitor.open(**QUIET)
    visitor.context.set_offline(True)
    track(page, "Offline", 3)
    page.close()
    assert gate.sent() == []
    visitor.context.set_offline(False)
    page = visitor.open(**QUIET)
    gate.wait_for_events(3)
    wait_until_empty(page)
    assert arrived(gate) == {("Offline", n): 1 for n in range(3)}


def test_two_tabs_share_one_queue_and_lose_nothing(visitor, gate):
    tabs = [visitor.open(**QUIET), visitor.open(**QUIET)]
    visitor.context.set_offline(True)
    for number, tab in enumerate(tabs):
        track(tab, "Tab", 25, start=25 * number)
    visitor.context.set_offline(False)
    gate.wait_for_events(50)
    for tab in tabs:
        wait_until_empty(tab)
    assert set(arrived(gate)) == {("Tab", n) for n in range(50)}


def test_the_queue_is_bounded_in_number(visitor, gate):
    page = visitor.open(keepEvents=10, **QUIET)
    visitor.context.set_offline(True)
    track(page, "Many", 25)
    assert page.evaluate(QUEUED) == 10
    visitor.context.set_offline(False)
    gate.wait_for_events(10)
    assert set(arrived(gate)) == {("Many", n) for n in range(15, 25)}  # the newest stay


def test_the_queue_is_bounded_in_age(visitor, gate):
    page = visitor.open(**QUIET)
    visitor.context.set_offline(True)
    track(page, "Old")
    page.close()
    visitor.context.set_offline(False)
    page = visitor.context.new_page()
    page.goto(visitor.site.url + "/empty")
    page.evaluate(
        """(prefix) => {
            const name = Object.keys(localStorage).find((one) => one.startsWith(prefix));
            const [start, ...rest] = name.slice(prefix.length).split('-');
            const old = (parseInt(start, 36) - 49 * 3600e3).toString(36);
            localStorage[prefix + [old, ...rest].join('-')] = localStorage[name];
            localStorage.removeItem(name);
        }""",
        f"zhiyin.q.{visitor.write_key}.",
    )
    assert page.evaluate(QUEUED) == 1
    page = visitor.open("/again", page=page, **QUIET)
    track(page, "New")
    gate.wait_for_events(1)
    wait_until_empty(page)
    assert arrived(gate) == {("New", 0): 1}


def test_a_browser_that_stores_nothing_still_sends(visitor, gate):
    visitor.context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked'); }})"
    )
    gate.fail(Fault(503))
    page = visitor.open(**QUIET)
    track(page, "Blocked", 3)
    gate.wait_for_events(3)
    assert arrived(gate) == {("Blocked", n): 1 for n in range(3)}


def test_a_browser_without_keepalive_sends_a_beacon(visitor, gate):
    visitor.context.add_init_script("delete Request.prototype.keepalive")
    page = visitor.open(**{**QUIET, "batchMs": 600_000})
    visitor.context.new_page()
    track(page, "Beacon")
    page.goto(visitor.site.url + "/elsewhere")
    (call,) = gate.wait_for_events(1)
    assert call.headers["sec-fetch-mode"] == "no-cors"  # a fetch would say cors
    assert call.headers["content-type"].startswith("text/plain")
    assert arrived(gate) == {("Beacon", 0): 1}


def test_a_wrong_call_is_said_and_breaks_nothing(visitor, gate):
    page = visitor.open(**QUIET)
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.evaluate("""() => {
        const round = {}; round.round = round;
        zhiyin('track'); zhiyin('trakc', 'x'); zhiyin('track', 'Round', round);
        zhiyin('toString'); zhiyin(); zhiyin('init', 'another');
        zhiyin('track', 'Right', {n: 0});
    }""")
    gate.wait_for_events(1)
    assert arrived(gate) == {("Right", 0): 1}
    assert len([text for text in said if text.startswith("zhiyin: ")]) == 6
