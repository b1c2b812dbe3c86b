"""What was tracked of a person is exported whole, and after an erasure no file names her."""

import json
from datetime import UTC, datetime

import pytest

from zhiyin.app import Workspace
from zhiyin.collect.received import Received, pack
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import validate_settings
from zhiyin.person.erase import erase_customer
from zhiyin.person.export import export_customer
from zhiyin.store.journal import SegmentWriter
from zhiyin.store.traces import find_traces
from zhiyin.store.vault import open_segment_keys

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANA, BEA = "kunde-zq81734", "kunde-zq81735"
MACHINE = "Mozilla/5.0 (X11; Linux x86_64) Shared/17"
EVENTS = ("Product Viewed", "Order Completed", "Signed Up", "Account Seen")


def hers(user):
    """Everything that names a person in what is tracked of her."""
    number = user[-5:]
    return {
        "user": user, "mail": f"zq.{number}@example.com", "ip": f"203.0.113.{number[-2:]}",
        "device": f"device-zq-{number}-abcdef", "anonymous": f"anon-zq-{number}-abcdef",
        "name": f"Zq{number} Surname", "order": f"R-{user}-1",
    }  # fmt: skip


def events_of(user):
    one = hers(user)
    page = {"url": f"https://shop.example/a/{one['mail']}?email={one['mail']}", "title": "Shop"}
    context = {
        "userAgent": MACHINE, "ip": one["ip"], "page": page,
        "device": {"id": one["device"], "advertisingId": one["device"] + "-ad"},
    }  # fmt: skip
    shared = {"userId": user, "anonymousId": one["anonymous"], "context": context,
              "timestamp": NOW.isoformat()}  # fmt: skip
    order = {
        "order_id": one["order"], "revenue": 12.5, "total": 12.5, "currency": "EUR",
        "products": [{"product_id": "p1", "price": 12.5, "quantity": 1}],
    }  # fmt: skip
    seen = {"product_id": "p1", "price": 12.5, "note": {"by": [user]}, "cart_id": f"c-{user}"}
    return [
        {"type": "identify", "traits": {"email": one["mail"], "name": one["name"]}, **shared},
        {"type": "track", "event": "Product Viewed", "properties": seen, **shared},
        {"type": "track", "event": "Order Completed", "properties": order, **shared},
        {"type": "track", "event": "Signed Up", "properties": {"ref": f"by {user}"}, **shared},
        {"type": "track", "event": "Account Seen", "properties": {"query": user}, **shared},
        {"type": "track", "event": ["odd"], **shared},
    ]  # fmt: skip


def refused_of(shop):
    return shop.table("quarantine").to_pyarrow().to_pylist()


def make(folder):
    values = {"name": "shop", "currency": "EUR", "zone": "UTC"}
    Workspace.create(folder / "shop", validate_settings(values, where="test")).close()
    shop = Workspace.open(folder / "shop", write=True, clock=FrozenClock(NOW))
    writer = SegmentWriter(
        shop.folder / "journal", open_segment_keys(shop.folder / "keys"), clock=shop.clock
    )
    for user in (ANA, BEA):
        items = [{"messageId": f"m-{user}-{n}", **one} for n, one in enumerate(events_of(user))]
        body = json.dumps({"batch": items, "sentAt": NOW.isoformat()}).encode()
        micros = int(NOW.timestamp() * 1_000_000)
        writer.append([("event", pack(Received("web", "browser", "user_id", "batch", micros,
                                                body)))])  # fmt: skip
    writer.close()
    shop.compact()
    return shop


def rows_of(shop, table, party):
    rows = shop.table(table).to_pyarrow().to_pylist()
    return sorted((row for row in rows if row["party_id"] == party), key=str)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    shop = make(folder)
    paths = export_customer(shop.store, shop.vault, ANA, folder / "export", clock=shop.clock)
    bea = shop.vault.party_ids("user_id", [BEA])[0]
    tables = ("events", "item_events", "orders", "order_lines")
    before = {table: rows_of(shop, table, bea) for table in tables}
    assert len(refused_of(shop)) == 2
    proof = erase_customer(
        shop.store, shop.vault, ANA, folder=shop.folder, clock=shop.clock, render=lambda: None
    )
    yield shop, [path.read_text("utf-8") for path in paths], before, proof
    shop.close()


def test_the_export_holds_all_of_her_events_and_none_of_anothers(told):
    _, (text, page), _, _ = told
    values = json.loads(text)["tables"]
    rows = values["events"]["rows"]
    assert {row["name"] for row in rows} == {*EVENTS, None}
    assert {row["personal"]["user_id"] for row in rows} == {ANA}
    assert [row["product_id"] for row in values["item_events"]["rows"]] == ["web:p1"]
    assert all(values["events"]["purpose"].values())
    assert values["events"]["purpose"]["zh"] != values["events"]["purpose"]["en"]
    for name, mine in hers(ANA).items():
        assert mine in text, name
    for name, others in hers(BEA).items():
        assert others not in text + page, name


def test_after_an_erasure_no_file_holds_what_was_tracked_of_her(told):
    shop, _, _, proof = told
    messages = [f"m-{ANA}-{n}" for n in range(6)]
    party = shop.vault.party_ids("user_id", [ANA])[0]
    assert find_traces(shop.folder, [*hers(ANA).values(), *messages, party]) == []
    assert proof.traces == ()
    assert proof.totals_equal
    assert proof.before["events"].rows == 10


def test_the_other_persons_rows_and_refused_events_are_untouched(told):
    shop, _, before, _ = told
    bea = shop.vault.party_ids("user_id", [BEA])[0]
    assert {table: rows_of(shop, table, bea) for table in before} == before
    (refused,) = refused_of(shop)
    assert bea in refused["party_ids"]


def test_her_facts_still_join_under_new_ids(told):
    shop, _, _, _ = told
    bea = shop.vault.party_ids("user_id", [BEA])[0]
    events = [r for r in shop.table("events").to_pyarrow().to_pylist() if r["party_id"] != bea]
    orders = {r["order_id"] for r in shop.table("orders").to_pyarrow().to_pylist()}
    items = shop.table("item_events").to_pyarrow().to_pylist()
    assert all(row["event_id"].startswith("web:x_") for row in events)
    assert {r["order_id"] for r in events if r["order_id"]} <= orders
    ids = {row["event_id"] for row in events}
    mine = [row for row in items if row["event_id"] in ids]
    assert [row["item_event_id"] for row in mine] == [f"{mine[0]['event_id']}:1"]
    lines = shop.table("order_lines").to_pyarrow().to_pylist()
    assert sum(line["amount_minor"] for line in lines) == 2500


def test_what_does_not_name_her_stays_in_the_open_fields(told):
    shop, _, _, _ = told
    rows = shop.table("events").to_pyarrow().to_pylist()
    texts = [json.loads(row["properties"] or "{}") for row in rows if row["name"] in EVENTS]
    assert len(texts) == 8
    assert all(one["context"]["page"]["title"] == "Shop" for one in texts)
    assert {one.get("properties", {}).get("price") for one in texts} == {None, 12.5}
