"""Seeded tracking requests as Segment's SDKs send them, for the benches of collect."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

import numpy as np

START = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = (
    "Product Viewed",
    "Product Added",
    "Product List Viewed",
    "Products Searched",
    "Cart Viewed",
)


def batch_body(seed: int, *, events: int, write_key: str, visitors: int = 20_000) -> bytes:
    """One `/v1/batch` body of about 640 bytes an event."""
    rng = np.random.default_rng(seed)
    sent = START + timedelta(seconds=int(seed) * 10)
    items = [_item(rng, sent - timedelta(seconds=events - i), visitors) for i in range(events)]
    body = {"batch": items, "sentAt": sent.isoformat(), "writeKey": write_key}
    return json.dumps(body).encode()


def _item(rng: np.random.Generator, at: datetime, visitors: int) -> dict[str, object]:
    visitor = int(rng.integers(visitors))
    product = int(rng.integers(5_000))
    known = rng.random() < 0.4
    path = f"/products/{product}"
    return {
        "type": "track",
        "event": NAMES[int(rng.integers(len(NAMES)))],
        "anonymousId": str(uuid.UUID(int=visitor)),
        "userId": f"u{visitor}" if known else None,
        "messageId": str(uuid.UUID(bytes=rng.bytes(16))),
        "timestamp": at.isoformat(timespec="milliseconds"),
        "integrations": {},
        "properties": {
            "product_id": f"sku-{product}", "category": "rings", "name": f"Ring {product}",
            "price": round(float(rng.gamma(3.0, 40.0)), 2), "currency": "EUR", "quantity": 1,
        },
        "context": {
            "library": {"name": "segment-analytics-python", "version": "2.4.0"},
            "page": {"path": path, "url": f"https://shop.example{path}?utm_source=mail"},
            "locale": "de-DE",
        },
    }  # fmt: skip
