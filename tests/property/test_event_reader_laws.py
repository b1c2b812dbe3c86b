"""Laws of reading requests: what was read before, and how, makes no difference."""

from __future__ import annotations

import json

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.collect import events as ev
from zhiyin.collect.event_json import MAX_BYTES
from zhiyin.collect.tracking import Event, Reader, Refused, read_request


def objects(values):
    return st.dictionaries(st.sampled_from(["a", "email", "page", "ключ"]), values, max_size=3)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | objects(inner), max_leaves=4
)
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


@settings(max_examples=300, deadline=None)
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


@settings(max_examples=50, deadline=None)
@given(st.lists(objects(VALUES), min_size=1, max_size=3))
def test_events_that_can_be_kept_are_read_the_fast_way(properties):
    items = [ev.track("Seen", one, context=one) for one in properties]
    made = Reader().read(ev.batch(*items), 0)
    assert all(isinstance(one, Event) for one in made)
    assert [bool(one.properties_text) for one in made] == [True] * len(items)
