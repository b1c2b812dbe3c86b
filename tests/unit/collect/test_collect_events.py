"""What compaction makes of events that come twice, late, out of order or broken."""

from __future__ import annotations

import json

import pytest

from tests.unit.collect import events as ev
from tests.unit.collect.fakes import naive, rows_of, stored
from zhiyin.collect.event_words import REASONS
from zhiyin.core.config import Settings
from zhiyin.core.ledger import consents

TABLES = ("events", "item_events", "orders", "order_lines", "products", "customers", "quarantine")
GOODS = [{"product_id": "p1", "price": 19, "quantity": 1},
         {"product_id": "p2", "price": 3, "quantity": 2}]  # fmt: skip


@pytest.fixture
def compacted(store, vault, settings, clock):
    def run(*requests, **more):
        return ev.run(store, vault, settings, clock, *requests, **more)

    return run


def completed(order="o1", *, minutes=0, **more):
    values = {"order_id": order, "revenue": 25, "currency": "USD", "products": GOODS}
    return ev.track("Order Completed", values, minutes=minutes, **more)


def revenue(store, kind=None):
    """Base minor units of the lines that are no shipping."""
    return sum(row["amount_base_minor"] for row in rows_of(store, "order_lines")
               if row["kind"] != "shipping" and kind in (None, row["kind"]))  # fmt: skip


def status(store):
    (row,) = rows_of(store, "orders")
    return row["status"]


def test_an_event_counts_once_within_a_batch_across_batches_and_across_units(compacted, store):
    one, two = ev.track("A"), ev.track("B")
    report = compacted(ev.batch(one, one), ev.batch(one, two, minutes=1))
    assert (report.events, report.duplicates) == (2, 2)
    report = compacted(ev.batch(two, ev.track("C"), minutes=2), unit="u2")
    assert (report.events, report.duplicates) == (1, 1)
    assert sorted(row["name"] for row in rows_of(store, "events")) == ["A", "B", "C"]


def test_the_same_message_id_of_two_sources_is_two_events(compacted, store):
    one = ev.track("A")
    compacted(ev.batch(one), ev.batch(one, source="app"))
    assert {row["source"] for row in rows_of(store, "events")} == {"web", "app"}


def test_a_message_without_an_id_is_known_by_its_content(compacted, store):
    one = ev.track("A")
    del one["messageId"]
    other = {**one, "properties": {"x": 1}}
    report = compacted(ev.batch(one, one, other))
    assert (report.events, report.duplicates) == (2, 1)
    assert report.findings["missing_message_id"] == 2


def test_a_unit_that_runs_again_writes_nothing(compacted, store):
    bad = ev.track("A", user=None)
    requests = [ev.batch(completed(), bad, ev.track("Product Viewed", GOODS[0]))]
    compacted(*requests)
    before = {table: stored(store, table) for table in TABLES}
    assert before["quarantine"]
    assert before["order_lines"]
    compacted(*requests)
    assert {table: stored(store, table) for table in TABLES} == before


@pytest.mark.parametrize("units", [1, 2])
def test_a_refund_that_comes_before_its_order_ends_in_the_same_money(compacted, store, units):
    back = ev.track(
        "Order Refunded",
        {"order_id": "o1", "currency": "USD", "products": [{**GOODS[1], "quantity": 1}]},
        minutes=5,
    )
    first, second = ev.batch(back, minutes=6), ev.batch(completed(), minutes=7)
    if units == 1:
        compacted(first, second)
    else:
        compacted(first, unit="u1")
        compacted(second, unit="u2")
    assert revenue(store) == 2500 - 300
    assert status(store) == "completed"


def test_a_full_refund_takes_back_exactly_what_was_paid(compacted, store):
    back = ev.track("Order Refunded", {"order_id": "o1", "currency": "USD"}, minutes=5)
    compacted(ev.batch(completed(), minutes=1), ev.batch(back, minutes=6))
    assert revenue(store) == 0
    assert status(store) == "returned"


def test_a_refund_never_takes_back_more_than_was_sold(compacted, store):
    back = ev.track(
        "Order Refunded",
        {"order_id": "o1", "currency": "USD", "products": [{**GOODS[1], "quantity": 9}]},
        minutes=5,
    )
    compacted(ev.batch(completed(), minutes=1), ev.batch(back, minutes=6))
    assert revenue(store) == 2500 - 600


def test_a_cancelled_order_is_worth_nothing(compacted, store):
    gone = ev.track("Order Cancelled", {"order_id": "o1", "currency": "USD"}, minutes=5)
    compacted(ev.batch(completed(), minutes=1), unit="u1")
    compacted(ev.batch(gone, minutes=6), unit="u2")
    assert (revenue(store), status(store)) == (0, "cancelled")


def test_an_updated_order_replaces_what_it_names(compacted, store):
    update = ev.track(
        "Order Updated",
        {"order_id": "o1", "currency": "USD", "revenue": 19, "products": GOODS[:1]},
        minutes=5,
    )
    compacted(ev.batch(completed(), minutes=1), unit="u1")
    compacted(ev.batch(update, minutes=6), unit="u2")
    assert revenue(store) == 1900


def test_an_order_completed_under_two_message_ids_is_one_order(compacted, store):
    compacted(ev.batch(completed(), completed(minutes=1), minutes=2), unit="u1")
    compacted(ev.batch(completed(minutes=3), minutes=4), unit="u2")
    assert len(rows_of(store, "events")) == 3
    assert len(rows_of(store, "orders")) == 1
    assert revenue(store) == 2500


@pytest.mark.parametrize(
    ("currency", "price", "minor"),
    [("USD", 0.1, 30), ("USD", "19.99", 5997), ("JPY", 120, 360), ("USD", 1.005, 302)],
)
def test_money_is_exact_in_the_currencys_smallest_unit(store, vault, clock, currency, price, minor):
    """302: 3 x 1.005 = 3.015, half to even at the last place."""
    values = {
        "order_id": "o1",
        "currency": currency,
        "products": [{"product_id": "p1", "price": price, "quantity": 3}],
    }
    settings = Settings(name="shop", currency=currency, zone="UTC")
    ev.run(store, vault, settings, clock, ev.batch(ev.track("Order Completed", values)))
    assert sum(row["amount_minor"] for row in rows_of(store, "order_lines")) == minor


def test_the_categories_of_a_consent_manager_become_answers(compacted, store):
    context = {
        "consent": {
            "categoryPreferences": {
                "Advertising": False,
                "Analytics": True,
                "Targeting": True,
                "Odd": True,
            }
        }
    }
    report = compacted(ev.batch(ev.track("A", context=context)))
    with store.begin() as connection:
        rows = connection.execute(consents.select()).mappings().all()
    assert {(row["purpose"], row["channel"], row["granted"]) for row in rows} == {
        ("ads", "web", False),
        ("analytics", "web", True),
    }
    assert report.findings["unknown_consent_category"] == 1


def identify(traits, *, user="ann", minutes=0, **more):
    return {
        "type": "identify", "userId": user, "traits": traits, "timestamp": ev.at(minutes),
        "messageId": f"i-{user}-{minutes}", **more,
    }  # fmt: skip


def test_each_change_of_traits_is_a_revision_of_the_customer(compacted, store, vault):
    compacted(ev.batch(identify({"city": "Ulm"}), identify({"city": "Bonn"}, minutes=5), minutes=6))
    held = stored(store, "customers")
    assert [row["city"] for row in held] == ["Ulm", "Bonn"]
    (row,) = rows_of(store, "customers")
    assert (row["city"], row["party_id"]) == ("Bonn", vault.party_ids("user_id", ["ann"])[0])


def test_a_visitor_who_signs_in_is_one_person(compacted, store, vault):
    visit = ev.track("A", user=None, anonymousId="a-1")
    compacted(ev.batch(visit, identify({}, anonymousId="a-1", minutes=1), minutes=2))
    party = vault.party_ids("anonymous_id", ["a-1"])[0]
    (row,) = rows_of(store, "merges")
    assert {row["party_id"], row["into"]} == {party, vault.party_ids("user_id", ["ann"])[0]}


def test_two_users_of_one_browser_stay_two_people(compacted, store, vault):
    compacted(
        ev.batch(
            identify({}, anonymousId="a-1"),
            identify({}, user="bob", anonymousId="a-1", minutes=1),
            minutes=2,
        )
    )
    ann, bob = vault.party_ids("user_id", ["ann", "bob"])
    joined = {one for row in rows_of(store, "merges") for one in (row["party_id"], row["into"])}
    assert not {ann, bob} <= joined
    assert {row["party_id"] for row in rows_of(store, "customers")} == {ann, bob}


DEEP = b'{"type":"track","event":"X","userId":"u","properties":' + b'{"a":' * 40 + b"1" + b"}" * 41
REFUSED = {
    "bad_json": b'{"type":"track",,}', "too_deep": DEEP, "not_an_object": b"17",
    "unknown_type": b'{"type":"dance","userId":"u"}',
    "missing_identity": b'{"type":"track","event":"X","userId":"undefined"}',
    "wrong_type": b'{"type":"track","event":"X","userId":true}',
    "too_long": b'{"type":"track","event":"X","userId":"' + b"u" * 257 + b'"}',
    "too_large": b'{"type":"track","event":"X","userId":"u","x":"' + b"y" * 33_000 + b'"}',
    "date_ahead": b'{"type":"track","event":"X","userId":"u","timestamp":"2031-01-01T00:00:00Z"}',
}  # fmt: skip


def around(item):
    """A batch whose second of three events is these bytes."""
    first, last = (json.dumps(ev.track(name)).encode() for name in ("First", "Last"))
    sent = ev.at().encode()
    return ev.request(b'{"batch":[%b,%b,%b],"sentAt":"%b"}' % (first, item, last, sent))


@pytest.mark.parametrize("reason", sorted(REFUSED))
def test_a_broken_event_is_refused_and_its_neighbours_are_kept(compacted, store, vault, reason):
    report = compacted(around(REFUSED[reason]))
    assert dict(report.refused) == {reason: 1}
    assert {row["name"] for row in rows_of(store, "events")} == {"First", "Last"}
    (row,) = rows_of(store, "quarantine")
    assert (row["reason"], row["message"], row["line_no"]) == (reason, REASONS[reason][0], 1)
    (content,) = vault.unseal_with(row["key_id"], [row["content"]])
    assert content == REFUSED[reason] or (reason == "too_deep" and b'"user_id":"u"' in content)


@pytest.mark.parametrize(
    ("item", "finding"),
    [
        (b'{"type":"track","event":"X","userId":"u","properties":{"a":NaN}}', "not_a_number"),
        (rb'{"type":"track","event":"X\ud800","userId":"u"}', "broken_text"),
        (b'{"type":"track","event":"X","userId":17}', "number_id:userId"),
        (b'{"type":"track","event":"X","userId":"u","anonymousId":"null"}',
         "placeholder_id:anonymousId"),
        (b'{"type":"track","event":"X","userId":"u","timestamp":"gestern"}', "bad_timestamp"),
        (b'{"type":"track","userId":"u"}', "missing_event_name"),
    ],
)  # fmt: skip
def test_what_is_odd_but_readable_is_kept_with_a_finding(compacted, store, item, finding):
    report = compacted(around(item))
    assert report.events == 3
    assert report.findings[finding] == 1
    assert any(finding in (row["findings"] or "") for row in rows_of(store, "events"))


def test_a_late_event_is_kept_with_its_own_time(compacted, store):
    old = ev.track("A", timestamp="2024-05-01T00:00:00Z")
    compacted(ev.batch(old))
    (row,) = rows_of(store, "events")
    assert row["occurred_at"] == naive(2024, 5, 1)


def test_a_clients_wrong_clock_is_corrected_by_when_it_sent(compacted, store):
    """Its clock is a year slow: 10 minutes before it sent, so 10 minutes before receipt."""
    item = ev.track("A", timestamp="2025-02-01T10:00:00Z")
    compacted(ev.request({"batch": [item], "sentAt": "2025-02-01T10:10:00Z"}))
    (row,) = rows_of(store, "events")
    assert row["occurred_at"] == naive(2026, 2, 1, 11, 50)
