"""Laws of reading requests: what was read before, and how, makes no difference."""

from __future__ import annotations

import json

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.collect import events as ev
from tests.unit.collect.fakes import MortalStore
from zhiyin.collect.event_json import MAX_BYTES
from zhiyin.collect.tracking import Event, Reader, Refused, read_request
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import Settings
from zhiyin.core.tables import TABLES
from zhiyin.store.vault import Keys, LocalVault


def objects(values):
    return st.dictionaries(st.sampled_from(["a", "email", "page", "ключ"]), values, max_size=3)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | objects(inner), max_leaves=4
)
FINITE = st.recursive(  # what JSON can say: Infinity and NaN are mended, the slow way
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | objects(inner), max_leaves=4,
)  # fmt: skip
IDS = st.sampled_from(["ann", " ann ", "", "null", "Ａ", 7, 7.5, True, None, [], "x" * 300, 1e70])
TIMES = st.sampled_from(
    [ev.at(), ev.at(-9), ev.at(5000), "20260101", "no", 1.7e12, 3, None, [], ""]
)
NAMES = st.sampled_from(["Product Viewed", "", None, 5, True, []])
KINDS = st.sampled_from(["track", "page", "identify", "alias", "zzz", None, 5, []])


FIELDS = {
    "type": KINDS, "event": NAMES, "name": NAMES, "userId": IDS,
    "anonymousId": IDS, "messageId": IDS, "timestamp": TIMES, "originalTimestamp": TIMES,
    "sentAt": TIMES, "properties": objects(VALUES) | VALUES, "traits": objects(VALUES) | VALUES,
    "context": objects(VALUES) | VALUES, "_metadata": VALUES, "writeKey": VALUES,
    "previousId": IDS, "unknown": VALUES,
}  # fmt: skip
PLAIN = st.fixed_dictionaries(
    {"type": st.just("track"), "event": st.just("Seen"), "userId": st.just("ann")},
    optional={name: FIELDS[name] for name in ("messageId", "timestamp", "properties", "context")},
)
ITEMS = PLAIN | st.fixed_dictionaries({}, optional=FIELDS) | VALUES
BODIES = st.fixed_dictionaries(
    {"batch": st.lists(ITEMS, max_size=3)},
    optional={"sentAt": TIMES, "context": objects(VALUES) | VALUES, "writeKey": VALUES},
)
DAMAGE = st.sampled_from(
    [(b"", b""), (b'"a"', b'"\xff"'), (b'"a"', b'"\\ud800"'), (b"}", b"}}"), (b"]", b""),
     (b'"Seen"', b'"S", "event": "T"'), (b'"Seen"', b'"' + b"s" * MAX_BYTES + b'"'),
     (b"5", b"NaN"), (b'"batch": [', b'"batch": [' + b" " * MAX_BYTES)]
)  # fmt: skip


def said(made):
    """What was made of a request, without the texts that only spare work."""
    return [
        (msgspec.json.encode(one) if isinstance(one, Refused) else one.content(), type(one))
        for one in made
    ]


@settings(max_examples=examples(75), deadline=None)
@given(BODIES, DAMAGE, st.sampled_from(["batch", "batch", "import", "track", "page"]),
       st.sampled_from([(), (), (), (0,), (1,)]))  # fmt: skip
@example({"batch": [{"type": [], "userId": "ann"}]}, (b"", b""), "batch", ())
@example({"batch": [{"type": "track", "userId": "ann", "properties": {"a": "a"}}]},
         (b'"a"}', b'"\xff"}'), "batch", ())  # fmt: skip
def test_a_reader_gives_what_each_event_read_by_itself_gives(body, damage, call, refused):
    text = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass").replace(*damage)
    received = ev.request(text, call=call, refused=refused)
    reader, expected = Reader(), said(read_request(received, 3))
    assert said(reader.read(received, 3)) == expected
    assert said(reader.read(received, 3)) == expected  # from what it remembers


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(objects(FINITE), min_size=1, max_size=3))
def test_events_that_can_be_kept_are_read_the_fast_way(properties):
    items = [ev.track("Seen", one, context=one) for one in properties]
    made = Reader().read(ev.batch(*items), 0)
    assert all(isinstance(one, Event) for one in made)
    assert [bool(one.properties_text) for one in made] == [True] * len(items)


PAGES = st.fixed_dictionaries(
    {}, optional={
        "page": st.sampled_from(
            [{"url": "https://shop.example/a?utm_source=mail#ann@example.com"}, {"title": "A"},
             {"url": "https://shop.example/b", "referrer": "https://search.example/?q=a"}, "a"]
        ),
        "campaign": st.sampled_from([{"name": "spring", "medium": "call +49 170 1234567"}, "a"]),
        "traits": st.sampled_from([{"email": "ann@example.com", "plan": "gold"}, "a"]),
        "device": st.sampled_from([{"id": "d", "name": "Ann's", "type": "ios"}, "a"]),
        "ip": st.sampled_from(["203.0.113.9", "192.0.2.1"]),
    },
)  # fmt: skip
GOODS = st.fixed_dictionaries(
    {"product_id": st.sampled_from(["p1", "p2", "ann@example.com"])},
    optional={
        "name": st.sampled_from(["Tea", "call +49 170 1234567"]), "price": st.integers(1, 3),
        "url": st.just("https://shop.example/c"), "cart_id": st.sampled_from(["c", "a@b.example"]),
        "note": st.sampled_from(["a", "mail ann@example.com"]), "order_id": st.just("o1"),
        "currency": st.sampled_from(["USD", "EUR", "?"]), "email": st.just("bea@example.com"),
    },
)  # fmt: skip
CALLS = st.tuples(
    st.sampled_from(["Product Viewed", "Order Completed", "Order Refunded", "Cart Viewed"]),
    GOODS, PAGES, st.sampled_from(["ann", "bea"]), st.sampled_from(["track", "page", "identify"]),
)  # fmt: skip


def stored(calls, **more):
    """Every table after a unit of `calls`, each made twice, with what is encrypted."""
    store, key = MortalStore(), Keys.make(demo=True)
    keys = Keys(key.master, key.id, b"t" * 32, key.salt)
    vault = LocalVault(keys, store.ledger)
    items = [
        {**ev.track(name, goods, user=user, minutes=number % 7), "type": kind, "name": name,
         "context": page, "messageId": f"m{number}", "anonymousId": "a"}
        for number, (name, goods, page, user, kind) in enumerate([*calls, *calls])
    ]  # fmt: skip
    requests = [ev.batch(*items, ip="203.0.113.9", user_agent="Browser", **more)]
    settings_ = Settings(name="shop", currency="USD", zone="UTC")
    report = ev.run(store, vault, settings_, FrozenClock(ev.RECEIVED), *requests)
    made = {"report": [str(report)]}
    for table in TABLES:
        rows = store.read(table).to_pyarrow().to_pylist()
        for row in rows:
            if row.get("personal") is not None:
                (row["personal"],) = vault.unseal([row["party_id"]], [row["personal"]])
            if table == "quarantine":
                (row["content"],) = vault.unseal_with(row["key_id"], [row["content"]])
        made[table] = sorted(json.dumps(row, default=str, sort_keys=True) for row in rows)
    return made


@settings(max_examples=examples(3), deadline=None)
@given(st.lists(CALLS, min_size=1, max_size=5))
@example(
    [
        (
            "Order Completed",
            {"product_id": "p1", "price": 1, "currency": "?", "order_id": "o1"},
            {},
            "ann",
            "track",
        )
    ]
)
def test_what_is_remembered_changes_nothing_that_is_stored(calls):
    by_itself = stored(calls, refused=(99,))  # with a place refused, nothing is remembered
    assert stored(calls) == by_itself
