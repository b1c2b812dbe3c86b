"""Tracked events of a person: all are exported, and nothing is left when she is erased."""

import json
from datetime import UTC, datetime

import pytest

from zhiyin.app import Workspace
from zhiyin.collect.received import Received, pack
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import validate_settings
from zhiyin.person import export_customer
from zhiyin.store.journal import SegmentWriter
from zhiyin.store.traces import find_traces
from zhiyin.store.vault import open_segment_keys

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PEOPLE = {
    "lea": {
        "user": "customer-lea-4711", "email": "lea.sommer@example.org", "phone": "+4915112345678",
        "anonymous": "anon-lea-0c0ffee", "device": "device-lea-99887766", "name": "Lea Sommerfeld",
        "ip": "203.0.113.77", "street": "Lindenallee 17 b", "message": "message-lea-",
    },
    "bo": {
        "user": "customer-bo-0815", "email": "bo.winter@example.org", "phone": "+4915187654321",
        "anonymous": "anon-bo-5ca1ab1e", "device": "device-bo-11223344", "name": "Bo Winterstein",
        "ip": "203.0.113.88", "street": "Rosenweg 4 links", "message": "message-bo-",
    },
}  # fmt: skip


def events_of(one):
    """What a shop's SDK would send of a person: a visit, an identify, a search, an order."""
    context = {
        "ip": one["ip"], "device": {"id": one["device"]},
        "page": {"url": f"https://shop.example/p/1?email={one['email']}", "path": "/p/1"},
    }  # fmt: skip
    base = {"anonymousId": one["anonymous"], "timestamp": NOW.isoformat(), "context": context}
    traits = {
        "email": one["email"], "phone": one["phone"], "name": one["name"],
        "address": {"street": one["street"], "city": "Berlin"},
    }  # fmt: skip
    calls = [
        {"type": "track", "event": "Product Viewed", "properties": {"product_id": "p1"}},
        {"type": "identify", "userId": one["user"], "traits": traits},
        {"type": "track", "event": "Products Searched", "userId": one["user"],
         "properties": {"query": f"orders of {one['email']}"}},
        {"type": "track", "event": "Note Left", "userId": one["user"],
         "properties": {"note": f"call {one['phone']}", "order_hint": one["user"]}},
        {"type": "track", "event": "Order Completed", "userId": one["user"],
         "properties": {"order_id": f"{one['user']}-1", "revenue": 20, "currency": "EUR",
                        "products": [{"product_id": "p1", "price": 10, "quantity": 2}]}},
    ]  # fmt: skip
    return [{**base, **c, "messageId": f"{one['message']}{i}"} for i, c in enumerate(calls)]


@pytest.fixture
def shop(tmp_path):
    values = {"name": "shop", "currency": "EUR", "zone": "UTC"}
    Workspace.create(tmp_path / "shop", validate_settings(values, where="test")).close()
    with Workspace.open(tmp_path / "shop", write=True, clock=FrozenClock(NOW)) as made:
        keys = open_segment_keys(made.folder / "keys")
        writer = SegmentWriter(made.folder / "journal", keys, clock=made.clock)
        for one in PEOPLE.values():
            body = json.dumps({"batch": events_of(one), "sentAt": NOW.isoformat()}).encode()
            micros = int(NOW.timestamp() * 1_000_000)
            received = Received(
                "web", "browser", "user_id", "batch", micros, body, one["ip"], "a browser"
            )
            writer.append([("event", pack(received))])
        writer.close()
        made.compact()
        yield made


def secrets(name):
    """Everything that tells who the person is."""
    return list(PEOPLE[name].values())


def test_nothing_personal_of_an_event_lies_in_plain_text(shop):
    columns = {
        trace.where
        for trace in find_traces(shop.folder / "lake", [*secrets("lea"), *secrets("bo")])
        if trace.where != "bytes"
    }
    assert columns <= {"order_id", "line_id", "properties"}
    left = [
        trace
        for name in PEOPLE
        for trace in find_traces(shop.folder / "lake", [*PEOPLE[name].values()][1:])
    ]  # the shop itself put the user id into an order's id
    assert left == []


def test_an_export_holds_all_events_of_the_person_and_none_of_others(shop, tmp_path):
    paths = export_customer(
        shop.store, shop.vault, PEOPLE["lea"]["email"], tmp_path / "out", clock=shop.clock
    )
    text = paths[0].read_text("utf-8")
    tables = json.loads(text)["tables"]
    assert len(tables["events"]["rows"]) == 5
    assert len(tables["item_events"]["rows"]) >= 1
    for secret in secrets("lea"):
        assert secret in text, secret
    for secret in secrets("bo"):
        assert secret not in text, secret


def test_an_erasure_leaves_no_trace_and_the_other_person_whole(shop):
    before = shop.table("events").count().to_pyarrow().as_py()
    proof = shop.erase(PEOPLE["lea"]["email"])
    assert proof["totals_equal"]
    assert proof["traces"] == []
    assert find_traces(shop.folder, secrets("lea")) == []
    rows = shop.table("events").to_pyarrow().to_pylist()
    assert len(rows) == before
    blobs = shop.vault.unseal([r["party_id"] for r in rows], [r["personal"] for r in rows])
    assert sum(blob is not None for blob in blobs) == 5
    assert PEOPLE["bo"]["email"] in json.dumps(blobs)
