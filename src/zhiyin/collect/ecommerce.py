"""E-commerce events (Segment, *Spec: V2 Ecommerce Events*, and the names of V1): what each is.

Names are compared without case, with spaces for underscores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

ITEM_KINDS: dict[str, str] = {
    "product list viewed": "list", "viewed product category": "list",
    "product list filtered": "list",
    "product clicked": "click", "clicked product": "click",
    "product viewed": "view", "viewed product": "view",
    "product added": "add", "added product": "add", "wishlist product added to cart": "add",
    "product removed": "remove", "removed product": "remove",
    "cart viewed": "cart", "viewed cart": "cart",
    "checkout started": "checkout", "started order": "checkout",
    "product added to wishlist": "wish", "product removed from wishlist": "unwish",
    "product shared": "share", "shared product": "share", "cart shared": "share",
    "shared cart": "share", "product reviewed": "review", "reviewed product": "review",
}  # fmt: skip
"""Event → kind of `item_events`."""

COMPLETED, UPDATED, REFUNDED, CANCELLED = "completed", "updated", "refunded", "cancelled"
ORDER_EVENTS: dict[str, str] = {
    "order completed": COMPLETED, "completed order": COMPLETED,
    "order updated": UPDATED, "updated order": UPDATED,
    "order refunded": REFUNDED, "refunded order": REFUNDED,
    "order cancelled": CANCELLED, "cancelled order": CANCELLED,
    "order canceled": CANCELLED, "canceled order": CANCELLED,
}  # fmt: skip
"""Event → what it does to an order."""

REVIEW = "review"
CONSENT_EVENT = "segment consent preference updated"
_WHOLE = frozenset({"list", "cart", "checkout", "share"})
_ID_LIMIT = 120


class Item(NamedTuple):
    """One product of an event, as it was sent."""

    product_id: str
    place: int
    list_id: str | None
    position: int | None
    quantity: float | None
    price: object
    currency: object
    fields: dict[str, Any]


def plain_name(name: str | None) -> str:
    """The name as the tables of this module know it."""
    return "" if name is None else name.replace("_", " ").lower()


def short_id(value: object) -> str | None:
    """An id of a shop (product, order, cart) as text; None where there is none or it is odd."""
    if isinstance(value, str):
        text = value.strip()
        return text if 0 < len(text) <= _ID_LIMIT else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
        return None
    return str(int(value)) if value == int(value) else repr(value)


def product_id_of(fields: dict[str, Any]) -> str | None:
    """The id of a product: its `product_id`, else what older SDKs sent."""
    for name in ("product_id", "productId", "sku", "id"):
        if name in fields and (found := short_id(fields[name])) is not None:
            return found
    return None


def order_id_of(properties: Mapping[str, Any]) -> str | None:
    """The id of the order an event is about."""
    for name in ("order_id", "orderId"):
        if name in properties and (found := short_id(properties[name])) is not None:
            return found
    return None


def products_of(properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The products of an event that has a list of them; what is no object is left out."""
    products = properties.get("products")
    if not isinstance(products, list):
        return []
    return [one for one in products if isinstance(one, dict)]


def items_of(kind: str, properties: dict[str, Any], findings: list[str]) -> list[Item]:
    """The products of an event of one kind of `ITEM_KINDS`.

    A list shows its products at their place, from 1, where they say none themselves.
    """
    listed = products_of(properties) if kind in _WHOLE else []
    if not listed and product_id_of(properties) is not None:
        listed = [properties]
    list_id = short_id(properties.get("list_id")) or short_id(properties.get("wishlist_id"))
    if list_id is None and kind == "list":
        list_id = short_id(properties.get("category"))
    made: list[Item] = []
    for place, fields in enumerate(listed, start=1):
        product = product_id_of(fields)
        if product is None:
            findings.append("missing_product_id")
            continue
        position = fields.get("position")
        if isinstance(position, bool) or not isinstance(position, int):
            position = place if kind == "list" else None
        made.append(
            Item(
                product, place, list_id, position, number_of(fields.get("quantity")),
                fields.get("price"), fields.get("currency") or properties.get("currency"), fields,
            )
        )  # fmt: skip
    if not listed:
        findings.append("missing_product_id" if kind not in _WHOLE else "no_products")
    return made


def number_of(value: object) -> float | None:
    """A plain number, also one in text; None where it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float) or not abs(value) < 1e15:
        return None
    return float(value)


def currency_of(value: object) -> str | None:
    """A currency as it may be one: three letters, upper case."""
    if isinstance(value, str):
        text = value.strip().upper()
        return text if len(text) == 3 else ("???" if text else None)
    return None if value is None else "???"
