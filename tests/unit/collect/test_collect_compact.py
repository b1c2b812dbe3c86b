from __future__ import annotations

import json

import pytest

from tests.unit.collect import events as ev
from tests.unit.collect.fakes import naive, rows_of


@pytest.fixture
def compacted(store, vault, settings, clock):
    def run(*requests, **more):
        return ev.run(more.pop("store", store), vault, settings, clock, *requests, **more)

    return run


def test_a_track_event_becomes_a_row(compacted, store, vault):
    item = ev.track(
        "Signed Up", {"plan": "gold", "email": "ann@example.com", "value": 12.5},
        anonymousId="a-1",
        context={
            "page": {"url": "https://shop.example/p?x=1&utm_source=mail", "title": "Shop"},
            "campaign": {"name": "spring", "medium": "email"}, "userAgent": "Mozilla/5.0",
            "library": {"name": "analytics.js"},
        },
    )  # fmt: skip
    report = compacted(ev.batch(item, minutes=1, ip="203.0.113.9"), unit="u1")
    assert (report.frames, report.events, report.duplicates) == (1, 1, 0)
    (row,) = rows_of(store, "events")
    assert row["occurred_at"] == naive(2026, 2, 1, 12)
    assert row["received_at"] == naive(2026, 2, 1, 12, 1)
    assert row["name"] == "Signed Up"
    assert row["party_id"] == vault.party_ids("user_id", ["ann"])[0]
    assert row["page"] == "https://shop.example/p"
    assert (row["utm_source"], row["utm_medium"], row["utm_campaign"]) == (
        "mail",
        "email",
        "spring",
    )
    assert (row["value_minor"], row["value_base_minor"], row["currency"]) == (1250, 1250, "USD")
    assert json.loads(row["properties"]) == {
        "properties": {"plan": "gold", "value": 12.5},
        "context": {"library": {"name": "analytics.js"}, "page": {"title": "Shop"}},
    }
    (personal,) = vault.unseal([row["party_id"]], [row["personal"]])
    assert personal == {
        "email": "ann@example.com", "userAgent": "Mozilla/5.0", "ip": "203.0.113.9",
        "user_id": "ann", "anonymous_id": "a-1", "message_id": item["messageId"],
        "url": "https://shop.example/p?x=1&utm_source=mail",
    }  # fmt: skip


def test_an_order_becomes_lines_whose_revenue_is_the_specs(compacted, store):
    order = {
        "order_id": "50314b8e", "total": 27.5, "subtotal": 22.5, "revenue": 25.0, "shipping": 3,
        "tax": 2, "discount": 2.5, "coupon": "hasbros", "currency": "USD",
        "products": [
            {"product_id": "507f1f77", "name": "Monopoly", "price": 19, "quantity": 1},
            {"product_id": "505bd76785", "name": "UNO", "price": 3, "quantity": 2},
        ],
    }  # fmt: skip
    report = compacted(ev.batch(ev.track("Order Completed", order)))
    assert report.rows["order_lines"] == 4
    (row,) = rows_of(store, "orders")
    assert (row["order_id"], row["amount_minor"], row["status"]) == (
        "web:50314b8e",
        2500,
        "completed",
    )
    lines = {one["line_id"]: one for one in rows_of(store, "order_lines")}
    assert sum(one["amount_minor"] for one in lines.values()) == 2500
    assert lines["web:50314b8e:e.shipping"]["shipping_minor"] == 300
    assert sum(one["tax_minor"] for one in lines.values()) == 200
    assert lines["web:50314b8e:e.2"]["quantity"] == 2
