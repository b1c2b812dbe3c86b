"""Which products a request of tracked events is about, a moment after it came."""

import json

import pytest

from zhiyin.collect.live import sightings
from zhiyin.collect.received import Received
from zhiyin.collect.tracking import Reader

AT_US = 1_700_000_000_000_000


def said(*events, namespace="user_id"):
    body = json.dumps({"batch": [{"type": "track", **event} for event in events]}).encode()
    received = Received("web", "browser", namespace, "batch", AT_US, body)
    return [(one.ids, one.product_id, one.bought) for one in sightings(Reader(), received)]


def viewed(product, **more):
    properties = {"product_id": product}
    return {"event": "Product Viewed", "anonymousId": "v", "properties": properties, **more}


def test_a_product_that_is_looked_at_is_seen_under_each_of_her_ids():
    assert said(viewed("7", userId="u"), namespace="crm") == [
        ((("crm", "u"), ("anonymous_id", "v")), "web:7", False)
    ]


@pytest.mark.parametrize("name", ["Product Added", "product clicked", "Viewed_Product"])
def test_so_is_one_that_is_clicked_or_added(name):
    assert [one[1] for one in said(viewed("7", event=name))] == ["web:7"]


def test_all_products_of_an_order_are_bought():
    order = {"products": [{"product_id": "1"}, {"sku": "2"}, {"name": "no id"}, "odd"]}
    event = {"event": "Order Completed", "anonymousId": "v", "properties": order}
    assert [one[1:] for one in said(event)] == [("web:1", True), ("web:2", True)]


def test_what_says_nothing_of_a_product_or_is_odd_is_passed_over():
    assert said(
        viewed("ana@example.com"), viewed(None), viewed("1", type="identify"),
        viewed("2", event="Product List Viewed"), viewed("3", event="Product Removed"),
        viewed("4", anonymousId=None), viewed("5", properties=["odd"]), viewed("6"),
    ) == [((("anonymous_id", "v"),), "web:6", False)]  # fmt: skip
    broken = Received("web", "browser", "user_id", "batch", AT_US, b'{"batch": [product')
    assert list(sightings(Reader(), broken)) == []


def test_a_clock_that_runs_ahead_does_not_make_it_newer():
    event = viewed("7", timestamp="2023-11-15T00:00:00Z")
    body = json.dumps({"type": "track", **event}).encode()
    (one,) = sightings(Reader(), Received("web", "browser", "user_id", "track", AT_US, body))
    assert one.at == AT_US / 1_000_000
