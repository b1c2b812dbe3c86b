"""Which products the events of a request are about, before they are in the lake.

What is odd is left out here: the compactor says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from zhiyin.collect.ecommerce import (
    COMPLETED,
    ITEM_KINDS,
    ORDER_EVENTS,
    items_of,
    plain_name,
    product_id_of,
    products_of,
)
from zhiyin.collect.received import Received
from zhiyin.collect.tracking import Event, Reader

ANONYMOUS = "anonymous_id"
SEEN = frozenset({"view", "click", "add", "wish"})
"""Kinds of `item_events` that say that somebody looks at one product."""
_MARKS = (b"roduct", b"RODUCT")


class Sighting(NamedTuple):
    """A product that somebody looked at or bought; `ids`: (namespace, id) pairs of hers."""

    ids: tuple[tuple[str, str], ...]
    product_id: str
    bought: bool
    at: float


def sightings(reader: Reader, received: Received) -> Iterator[Sighting]:
    """What the events of one request say of products."""
    if not any(mark in received.body for mark in _MARKS):  # most pages and traits end here
        return
    for event in reader.read(received, 0):
        if isinstance(event, Event) and event.kind == "track":
            yield from _of_event(event)


def _of_event(event: Event) -> Iterator[Sighting]:
    plain = plain_name(event.name)
    kind = ITEM_KINDS.get(plain)
    if kind in SEEN:
        products = [one.product_id for one in items_of(kind, event.properties, [])]
    elif ORDER_EVENTS.get(plain) == COMPLETED:
        products = [product_id_of(one) for one in products_of(event.properties)]
    else:
        return
    request, ids = event.request, list[tuple[str, str]]()
    if event.user_id is not None:
        ids.append((request.user_namespace, event.user_id))
    if event.anonymous_id is not None:
        ids.append((ANONYMOUS, event.anonymous_id))
    at = min(event.occurred_us, request.received_us) / 1_000_000
    for one in products:
        if one is not None and "@" not in one:
            yield Sighting(tuple(ids), f"{request.source}:{one}", kind not in SEEN, at)
