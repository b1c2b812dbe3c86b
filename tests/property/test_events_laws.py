"""Laws of compaction: neither order nor units matter, nothing broken costs a neighbour."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.collect import events as ev
from tests.unit.collect.fakes import MortalStore, rows_of
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import Settings
from zhiyin.store.vault import Keys, LocalVault

SETTINGS = Settings(name="shop", currency="USD", zone="UTC")
KEYS = Keys.make(demo=True)
CLOCK = FrozenClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
OWN = ("load_id", "loaded_at", "personal")  # sealed anew, or the unit's name
DAY = 1440  # minutes


def an_event(number, what, order, amount, day):
    """One event of a small shop, from small numbers."""
    minutes = day * DAY + number
    names = ("Product Viewed", "Order Completed", "Order Refunded", "Order Cancelled", "Seen")
    product = {"product_id": f"p{amount % 3}", "price": amount, "quantity": 1 + amount % 2}
    values = {"order_id": f"o{order}", "currency": "USD", "products": [product]}
    return ev.track(
        names[what], product if what == 0 else values, user=f"u{order}", minutes=minutes,
        messageId=f"m{number}",
    )  # fmt: skip


EVENTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(1, 99), st.integers(0, 3)),
    min_size=1, max_size=7,
).map(lambda made: [an_event(number, *one) for number, one in enumerate(made)])  # fmt: skip
FEW = settings(max_examples=examples(3), deadline=None)


def requests_of(items):
    """A request of each event, all received after the last of them, in their own order."""
    return [ev.batch(one, minutes=5 * DAY + n) for n, one in enumerate(items)]


def compacted(*units):
    store = MortalStore()
    vault = LocalVault(KEYS, store.ledger)
    for number, requests in enumerate(units):
        ev.run(store, vault, SETTINGS, CLOCK, *requests, unit=f"u{number}")
    return store


def content(store, table, *, as_of=None):
    rows = store.read(table, as_of=as_of).to_pyarrow().to_pylist()
    return sorted(
        json.dumps({k: v for k, v in row.items() if k not in OWN}, default=str, sort_keys=True)
        for row in rows
    )


def lines(store):
    """Lines that are worth something, as they read now."""
    return sorted(
        (row["order_id"], row["line_id"], row["amount_minor"], row["quantity"])
        for row in rows_of(store, "order_lines")
        if row["amount_minor"]
    )


@given(EVENTS, st.randoms(use_true_random=False))
@FEW
def test_the_order_of_frames_does_not_matter(items, chance):
    requests = requests_of(items)
    shuffled = list(requests)
    chance.shuffle(shuffled)
    one, other = compacted(requests), compacted(shuffled)
    for table in ("events", "item_events", "orders", "order_lines", "products", "merges"):
        assert content(one, table) == content(other, table)


@given(EVENTS, st.integers(0, 7))
@FEW
def test_any_split_into_units_gives_the_same_events_and_money(items, cut):
    requests = requests_of(items)
    one, other = compacted(requests), compacted(requests[:cut], requests[cut:])
    for table in ("events", "item_events"):
        assert content(one, table) == content(other, table)
    assert lines(one) == lines(other)


@given(st.lists(st.binary(max_size=40).filter(lambda b: not set(b) & set(b'[]{}",\\')), max_size=3))
@FEW
def test_no_rubbish_costs_an_event_its_neighbours(rubbish):
    good = [json.dumps(an_event(n, 0, 0, 5, 0)).encode() for n in range(len(rubbish) + 1)]
    parts = [part for pair in zip(good, rubbish, strict=False) for part in pair] + [good[-1]]
    store = compacted([ev.request(b'{"batch":[' + b",".join(parts) + b"]}")])
    assert len(rows_of(store, "events")) == len(good)
    assert len(rows_of(store, "item_events")) == len(good)


@given(EVENTS, EVENTS)
@FEW
def test_what_happens_on_or_after_a_day_never_changes_what_was_read_before(past, future):
    later = [
        {**one, "messageId": f"late-{n}", "timestamp": ev.at(5 * DAY + n)}
        for n, one in enumerate(future)
    ]
    day = date(2026, 2, 5)  # the past: February 1st to 4th
    one = compacted(requests_of(past))
    both = compacted(requests_of([*past, *later]))
    for table in ("events", "item_events"):
        assert content(one, table, as_of=day) == content(both, table, as_of=day)
    assert len(content(both, "events")) > len(content(one, "events", as_of=day))
