"""What the properties of an event say: which order, which products; and what of it is personal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from zhiyin.collect.ecommerce import (
    ITEM_KINDS,
    ORDER_EVENTS,
    Item,
    currency_of,
    items_of,
    order_id_of,
    plain_name,
    product_id_of,
    short_id,
)
from zhiyin.collect.event_fields import Found, Splitter

_SHORT = 400
_ENCODER = msgspec.json.Encoder()
_EMPTY: Mapping[str, Any] = MappingProxyType({})
_NOISE = ("referrer", "search")  # said by the page

Hide = Callable[[str], str]
"""Turns an id that names a person into a keyed hash."""


class Product(NamedTuple):
    """A product as an event shows it; its id is `source:id`."""

    id: str
    place: int
    nameless: bool
    fields: dict[str, Any]


class Properties(NamedTuple):
    """Properties, read. Ids of products and orders are `source:id`, those of persons hidden."""

    open: Mapping[str, Any] = _EMPTY  # without personal keys
    text: msgspec.Raw | None = None  # `open` as JSON; None: nothing is left
    personal: tuple[Found, ...] = ()
    plain: str = ""  # the name of a track event as the tables of `ecommerce` know it
    product: str | None = None
    order: str | None = None
    cart: str | None = None
    query: str | None = None
    value: object = None
    currency: str | None = None
    items: tuple[Item, ...] = ()
    item_rows: tuple[tuple, ...] = ()  # as `event_rows` writes them, less what differs by event
    products: tuple[Product, ...] = ()  # those whose id names no person
    findings: tuple[str, ...] = ()


def read_properties(
    splitter: Splitter,
    fields: dict[str, Any],
    *,
    track: str | None,
    source: str,
    url_known: bool,
    hide: Hide,
) -> Properties:
    """What `fields` say.

    Parameters
    ----------
    track
        Name of a track event; None for other kinds of events.
    url_known
        Whether the event's address has a query, so that the one in the properties is personal.

    Raises
    ------
    TooDeep
        If they are nested too deeply.
    """
    found: list[Found] = []
    made = splitter.split(fields, found)
    if url_known or any(name == "url" for name, _, _ in found):
        made.pop("url", None)
    for noise in _NOISE:
        made.pop(noise, None)

    def safe(id_: str | None) -> str | None:
        return id_ if id_ is None or "@" not in id_ else hide(id_)

    def ours(id_: str | None) -> str | None:
        return None if id_ is None else f"{source}:{safe(id_)}"

    plain, items, findings = "" if track is None else plain_name(track), [], []
    product = order = value = None
    if track is not None:
        kind = ITEM_KINDS.get(plain)
        if kind is not None:
            items = items_of(kind, fields, findings)
        if len(items) == 1 and items[0].fields is fields:
            product = ours(items[0].product_id)
        elif kind is None and "product_id" in fields:
            product = ours(product_id_of(fields))
        order = ours(order_id_of(fields))
        if order is None and plain in ORDER_EVENTS:
            findings.append("missing_order_id")
        value = next((fields[k] for k in ("value", "revenue", "total") if fields.get(k)), None)
    query = fields.get("query")
    cart = safe(short_id(fields.get("cart_id")))
    return Properties(
        made, msgspec.Raw(_ENCODER.encode(made)) if made else None, tuple(found), plain, product,
        order, cart, query[:_SHORT] if isinstance(query, str) else None, value,
        currency_of(fields.get("currency")), tuple(items),
        tuple(
            (
                one.place, ITEM_KINDS[plain], ours(one.product_id), cart, order, safe(one.list_id),
                _position(one.position), one.quantity, one.price, currency_of(one.currency), source,
            )
            for one in items
        ),
        tuple(
            Product(f"{source}:{one.product_id}", one.place, not one.fields.get("name"), one.fields)
            for one in items
            if "@" not in one.product_id
        ),
        tuple(findings),
    )  # fmt: skip


def _position(value: int | None) -> int | None:
    return value if value is None or abs(value) < 2**62 else None
