"""What it costs to move acknowledged events to the lake: decode, hash, encrypt, write.

The stream is synthetic and seeded, in the shapes that `segment-analytics-python` and
`@segment/analytics-next` send: batches of 20 events of about 640 bytes.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import tempfile
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from bench.harness import at_least, emit
from zhiyin.app import Workspace
from zhiyin.collect.compact import CompactReport, compact
from zhiyin.collect.received import Received, pack
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import validate_settings

START = datetime(2026, 1, 10, tzinfo=UTC)
AGENT = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)
BATCH = 20


@dataclass(frozen=True)
class Frame:
    """One frame of the journal."""

    number: int
    payload: bytes


def make_frames(events: int, visitors: int, *, seed: int = 7) -> list[Frame]:
    """A stream of `events` events: page views, product views, carts, orders and identifies."""
    rng = np.random.default_rng(seed)
    frames: list[Frame] = []
    people = rng.integers(0, visitors, events)
    kinds = rng.choice(5, events, p=(0.42, 0.38, 0.12, 0.03, 0.05))
    products = rng.zipf(1.4, events) % 3000
    for number in range(events // BATCH):
        browser = number % 2 == 0
        sent = START + timedelta(seconds=number)
        rows = range(number * BATCH, (number + 1) * BATCH)
        items = [
            _item(rng, int(people[row]), int(kinds[row]), int(products[row]), sent, browser=browser)
            for row in rows
        ]
        body = {"batch": items, "sentAt": sent.isoformat(), "writeKey": "wk_bench"}
        received = Received(
            "web" if browser else "shop", "browser" if browser else "server", "user_id", "batch",
            round((sent + timedelta(milliseconds=80)).timestamp() * 1e6),
            msgspec.json.encode(body), *(("203.0.113.9", AGENT) if browser else ()),
        )  # fmt: skip
        frames.append(Frame(number, pack(received)))
    return frames


def _item(
    rng: np.random.Generator, person: int, kind: int, product: int, sent: datetime, *, browser: bool
) -> dict:
    user = f"u-{person:06d}" if person % 4 == 0 or not browser else None
    item = {
        "userId": user,
        "anonymousId": str(uuid.UUID(int=person + (1 << 96))) if browser else None,
        "messageId": f"ajs-next-{round(sent.timestamp())}-{uuid.UUID(bytes=rng.bytes(16))}",
        "timestamp": (sent - timedelta(milliseconds=int(rng.integers(0, 9000)))).isoformat(),
        "integrations": {},
        "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
    }
    if browser:
        path = f"/products/p-{product:05d}"
        item["context"] = {
            "library": {"name": "analytics.js", "version": "npm:next-1.84.3"},
            "locale": "en-US", "timezone": "Europe/Berlin", "userAgent": AGENT,
            "page": {"path": path, "referrer": "https://www.example.com/", "search": "",
                     "title": f"Product {product} of the shop", "url": f"https://shop.example{path}"},
        }  # fmt: skip
    fields = {
        "product_id": f"p-{product:05d}", "sku": f"sku-{product}", "name": f"Product {product}",
        "category": f"group {product % 40}", "brand": f"brand {product % 90}",
        "price": round(5 + product % 200 + 0.99, 2), "quantity": 1, "currency": "EUR",
    }  # fmt: skip
    if kind == 0:
        where = dict(item["context"].get("page", {"path": "/", "url": "https://shop.example/"}))
        return {**item, "type": "page", "name": "Product", "properties": where}
    if kind == 4:
        traits = {"email": f"u{person}@mail.example", "firstName": "Ann", "plan": "gold",
                  "logins": int(rng.integers(0, 50))}  # fmt: skip
        return {**item, "type": "identify", "traits": traits}
    if kind == 3:
        order = {"order_id": str(uuid.UUID(bytes=rng.bytes(16))), "currency": "EUR",
                 "revenue": fields["price"], "shipping": 4.9, "products": [fields]}  # fmt: skip
        return {**item, "type": "track", "event": "Order Completed", "properties": order}
    name = "Product Viewed" if kind == 1 else "Product Added"
    return {**item, "type": "track", "event": name, "properties": fields}


def run_once(frames: list[Frame], *, profile: bool) -> tuple[CompactReport, float, float]:
    """One unit into a new shop, and the same unit again: the report, duplicates and seconds a
    round."""
    settings = {"name": "bench", "currency": "EUR", "zone": "Europe/Berlin", "demo": False}
    with tempfile.TemporaryDirectory() as folder:
        shop = Workspace.create(Path(folder) / "shop", validate_settings(settings, where="bench"))
        clock = FrozenClock(START + timedelta(days=2))
        profiler = cProfile.Profile()
        compact(shop.store, shop.vault, shop.settings, clock, unit="warm", frames=frames[:5])
        if profile:
            profiler.enable()
        begun = time.process_time()
        vault = shop.vault.remembering()  # as `compact_journal` does, for as long as its lease
        report = compact(shop.store, vault, shop.settings, clock, unit="first", frames=frames)
        used = time.process_time() - begun
        if profile:
            profiler.disable()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
        begun = time.process_time()
        again = compact(shop.store, shop.vault, shop.settings, clock, unit="second", frames=frames)
        repeated = time.process_time() - begun
        assert again.events == 0, again
        shop.close()
    return report, report.events / used, again.duplicates / repeated


def main() -> None:
    """Events per CPU second of one unit, and of the same unit again: medians of the rounds."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--visitors", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_known_args()[0]
    frames = make_frames(args.events, args.visitors)
    rounds = [run_once(frames, profile=args.profile) for _ in range(args.rounds)]
    report = rounds[0][0]
    speed = statistics.median(one[1] for one in rounds)
    size = sum(len(one.payload) for one in frames) / args.events
    figures = {
        "events_per_cpu_s": round(speed),
        "events_per_cpu_s_rounds": sorted(round(one[1]) for one in rounds),
        "repeats_per_cpu_s": round(statistics.median(one[2] for one in rounds)),
        "bytes_per_event": round(size),
        "us_per_event": round(1e6 / speed, 1),
    }
    emit(
        "compact",
        data=f"seeded stream, {args.visitors} visitors, batches of {BATCH}",
        rows={"events": report.events, **report.rows},
        figures=figures,
        goals={"events_per_cpu_s": at_least(20_000)},
    )


if __name__ == "__main__":
    main()
