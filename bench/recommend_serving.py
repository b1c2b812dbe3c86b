"""Recommendations on request: latency and requests a CPU-second over real HTTP, candidate search
among 100,000 products, and the lists of a million customers as they are published."""

from __future__ import annotations

import argparse
import asyncio
import re
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from bench.collect import start_server
from bench.harness import at_least, at_most, emit
from zhiyin.api.keys import make_key
from zhiyin.app import Workspace
from zhiyin.core.clock import SystemClock
from zhiyin.core.config import validate_settings
from zhiyin.core.generation import PEOPLE, Generation, pack_people, starts_of
from zhiyin.core.placements import PlacementSettings, RecommendSettings
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import PRODUCTS, RECOMMENDATIONS
from zhiyin.govern.packed import JOINS, NAMESPACES
from zhiyin.store.recent import Touched
from zhiyin.understand.recommend.batch import list_all
from zhiyin.understand.recommend.blend import Blend
from zhiyin.understand.recommend.catalogue import pack_catalogue
from zhiyin.understand.recommend.history import read_history
from zhiyin.understand.recommend.serving import Ask, fill
from zhiyin.understand.recommend.shelf import BOUGHT, CANDIDATES, TOGETHER, Shelf
from zhiyin.understand.recommend.wishes import Wishes

ITEMS, CUSTOMERS, VISITORS = 100_000, 200_000, 20_000
LISTED, NEAR, WITH_EACH, BOUGHT_EACH, CATEGORIES = 100, 50, 20, 20, 500
BATCH_CUSTOMERS, BATCH_ITEMS, BATCH_LINES, BATCH_TOP = 1_000_000, 2_000, 15, 50
CONNECTIONS, SECONDS, WARM_S = 4, 15.0, 3.0
PLACEMENTS = """
[recommend.placements.home]
k = 20
exclude_bought_days = 60
category_cap = 5
[recommend.placements.product]
chain = ["item", "session", "customer", "category", "popular"]
diversity = 0.3
"""


def make_arrays(rng: np.random.Generator, parties: list[str]) -> dict[str, np.ndarray]:
    """A generation of a large shop, drawn at random: products, lists, purchases, neighbours."""
    ids = sorted(f"shop:{number}" for number in range(ITEMS))
    rows = [
        {"product_id": one, "name": f"Product {place}", "category": f"Kind {place % CATEGORIES}",
         "price_base_minor": 100 + place % 9_000, "brand": f"Brand {place % 97}",
         "url": f"https://shop.example/p/{place}"}
        for place, one in enumerate(ids)
    ]  # fmt: skip
    arrays = pack_catalogue(
        pa.Table.from_pylist(rows, arrow_schema(PRODUCTS)), pa.array(ids), exponent=2,
        currency="EUR", settings=RecommendSettings(),
    )  # fmt: skip
    people = len(parties)
    listed, bought = people * LISTED, people * BOUGHT_EACH
    arrays |= pack_people(((one, row) for row, one in enumerate(parties)), people)
    at = datetime.now(UTC).timestamp()  # the server's clock is the machine's
    arrays |= {
        f"{CANDIDATES}.starts": np.arange(0, listed + 1, LISTED),
        f"{CANDIDATES}.item": _popular(rng, listed),
        f"{CANDIDATES}.score": np.sort(rng.random((people, LISTED), np.float32))[:, ::-1].ravel(),
        f"{CANDIDATES}.kind": rng.integers(1, 4, listed).astype(np.uint8),
        f"{CANDIDATES}.said": _popular(rng, listed),
        f"{CANDIDATES}.count": rng.integers(1, 99, listed).astype(np.int32),
        f"{CANDIDATES}.every_days": rng.integers(-1, 40, listed).astype(np.int16),
        f"{CANDIDATES}.last_days": rng.integers(0, 40, listed).astype(np.int16),
        f"{BOUGHT}.starts": np.arange(0, bought + 1, BOUGHT_EACH),
        f"{BOUGHT}.item": _popular(rng, bought),
        f"{BOUGHT}.at": (at - rng.random(bought) * 90 * 86_400).astype(np.int64),
        f"{JOINS}.starts": np.zeros(people + 1, np.int64), f"{JOINS}.party": np.zeros(0, "S40"),
        f"{JOINS}.into": np.zeros(0, "S40"), f"{JOINS}.at": np.zeros(0),
    }  # fmt: skip
    order = rng.permutation(ITEMS).astype(np.int32)
    category = arrays["item.category"]
    shelf = order[np.argsort(category[order], kind="stable")]
    arrays |= {
        "near.starts": np.arange(0, ITEMS * NEAR + 1, NEAR),
        "near.item": _popular(rng, ITEMS * NEAR),
        "near.score": np.sort(rng.random((ITEMS, NEAR), np.float32))[:, ::-1].ravel(),
        f"{TOGETHER}.starts": np.arange(0, ITEMS * WITH_EACH + 1, WITH_EACH),
        f"{TOGETHER}.item": _popular(rng, ITEMS * WITH_EACH),
        f"{TOGETHER}.score": np.sort(rng.random((ITEMS, WITH_EACH), np.float32))[:, ::-1].ravel(),
        "item.buyers": rng.integers(0, 5_000, ITEMS).astype(np.int32), "popular.item": order,
        "shelf.item": shelf, "shelf.starts": starts_of(category[shelf], CATEGORIES),
    }  # fmt: skip
    return arrays


def _popular(rng: np.random.Generator, size: int) -> np.ndarray:
    """Products, some far more often than others."""
    return (ITEMS * rng.random(size, np.float32) ** 2).astype(np.int32)


def make_shop(folder: Path, rng: np.random.Generator) -> tuple[str, dict[str, float]]:
    """A workspace with a generation, visitors and a key; the key, and what publishing took."""
    settings = validate_settings({"name": "bench", "currency": "EUR", "zone": "UTC"}, where="bench")
    with Workspace.create(folder, settings) as shop:
        path = folder / "zhiyin.toml"
        path.write_text(path.read_text(encoding="utf-8") + PLACEMENTS, encoding="utf-8")
        parties = shop.vault.party_ids("user_id", [f"u{one}" for one in range(CUSTOMERS)])
        arrays = make_arrays(rng, parties)
        about = {PEOPLE: [CANDIDATES, BOUGHT, JOINS], NAMESPACES: ["user_id", "anonymous_id"],
                 "as_of_on": "2026-01-01"}  # fmt: skip
        begun = time.monotonic()
        shop.store.online.publish(arrays, about)
        took = time.monotonic() - begun
        visitors = shop.vault.party_ids("anonymous_id", [f"v{one}" for one in range(VISITORS)])
        now = time.time()
        for start in range(0, VISITORS, 2_000):
            shop.store.online.recent.put(
                [
                    Touched(one, f"shop:{item}", False, now - place)
                    for one in visitors[start : start + 2_000]
                    for place, item in enumerate(_popular(rng, 8).tolist())
                ],
                now=now,
            )
        shop.store.online.recent.close()
        key = make_key(shop.store, "bench", "service", clock=SystemClock())
    files = sum(one.stat().st_size for one in (folder / "online").rglob("*.npy"))
    return key, {"publish_s": took, "generation_mb": files / 2**20}


def queries(rng: np.random.Generator, count: int) -> list[str]:
    """Pages of a shop: home of a customer, a product, a basket at the till, a visitor, nobody."""
    made = []
    for number in range(count):
        who, item = rng.integers(CUSTOMERS), rng.integers(ITEMS)
        basket = ",".join(f"shop:{one}" for one in rng.integers(ITEMS, size=4))
        made.append(
            (
                f"customer=u{who}&placement=home",
                f"customer=u{who}&item=shop:{item}&placement=product",
                f"customer=u{who}&basket={basket}",
                f"session=v{rng.integers(VISITORS)}",
                f"session=v{rng.integers(VISITORS)}&item=shop:{item}&placement=product",
                f"customer=unknown{who}",
            )[number % 6]
        )
    return made


async def _client(port: int, requests: list[bytes], until: float, taken: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = 0
    while time.monotonic() < until:
        begun = time.monotonic()
        writer.write(requests[sent % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))
        taken.append(time.monotonic() - begun)
        sent += 1
    writer.close()


async def _load(port: int, requests: list[bytes], seconds: float) -> list[float]:
    taken: list[float] = []
    until, part = time.monotonic() + seconds, len(requests) // CONNECTIONS
    await asyncio.gather(
        *(
            _client(port, requests[one * part :] + requests[: one * part], until, taken)
            for one in range(CONNECTIONS)
        )
    )
    return taken


def measure_http(folder: Path, key: str, rng: np.random.Generator) -> dict[str, float]:
    """Latency and requests a CPU-second of the server, whose one process answers all."""
    head = f"HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n"
    requests = [f"GET /v1/recommend?{one} {head}".encode() for one in queries(rng, 6_000)]
    process, port = start_server(folder)
    try:
        watched = psutil.Process(process.pid)
        asyncio.run(_load(port, requests, WARM_S))
        spent = watched.cpu_times()
        taken = asyncio.run(_load(port, requests, SECONDS))
        after = watched.cpu_times()
        memory = watched.memory_info().rss / 2**20
    finally:
        process.terminate()
        process.wait()
    cpu = after.user + after.system - spent.user - spent.system
    return {
        "requests": len(taken), "requests_per_cpu_s": len(taken) / cpu,
        "requests_per_s": len(taken) / SECONDS, "p50_ms": 1000 * float(np.median(taken)),
        "p99_ms": 1000 * float(np.quantile(taken, 0.99)), "server_rss_mb": memory,
    }  # fmt: skip


def measure_search(folder: Path, rng: np.random.Generator) -> dict[str, float]:
    """CPU milliseconds of one list without HTTP: of a customer, beside 20 products that were looked
    at, and of 20 in a basket.
    """
    with Workspace.open(folder) as shop:
        held = shop.store.online.generation()
        assert isinstance(held, Generation)
        begun = time.process_time()
        shelf = Shelf(held)
        opened = time.process_time() - begun
        rule, made = PlacementSettings(k=50), {}
        drawn: dict[str, Callable[[], Ask]] = {
            "customer": lambda: Ask(row=int(rng.integers(CUSTOMERS)), k=50),
            "session": lambda: Ask(seen=rng.integers(ITEMS, size=20).tolist(), k=50),
            "basket": lambda: Ask(basket=rng.integers(ITEMS, size=20).tolist(), k=50),
        }
        for name, draw in drawn.items():
            asks = [draw() for _ in range(500)]
            fill(shelf, asks[0], rule)
            spent = []
            for ask in asks:
                begun = time.process_time()
                assert fill(shelf, ask, rule)[0].source == name
                spent.append(time.process_time() - begun)
            made[f"{name}_p50_ms"] = 1000 * float(np.median(spent))
            made[f"{name}_p99_ms"] = 1000 * float(np.quantile(spent, 0.99))
    return {"open_generation_ms": 1000 * opened, **made}


def make_purchases(rng: np.random.Generator, customers: int) -> pa.Table:
    """Purchases of a year: a taste of their own for six in ten, what is popular for the rest."""
    size, kinds = customers * BATCH_LINES, BATCH_ITEMS // 50
    who = np.repeat(np.arange(customers, dtype=np.int32), BATCH_LINES)
    shelf = np.minimum((rng.pareto(1.2, size) * 4).astype(np.int32), kinds - 1)
    shelf += rng.integers(50, size=customers, dtype=np.int32)[who] * kinds
    famous = np.minimum((rng.pareto(1.1, size) * 30).astype(np.int32), BATCH_ITEMS - 1)
    item = np.where(rng.random(size, np.float32) < 0.6, shelf, famous)
    at = np.datetime64("2025-01-01", "us") + rng.integers(0, 364 * 86_400, size) * 1_000_000
    ids = pa.array([f"p_{one:026d}" for one in range(customers)])
    products = pa.array([f"shop:{one}" for one in range(BATCH_ITEMS)])
    return pa.table({
        "customer_id": ids.take(pa.array(who)), "product_id": products.take(pa.array(item)),
        "sold_at": pa.array(at), "quantity": np.ones(size),
    })  # fmt: skip


def measure_batch(folder: Path, rng: np.random.Generator, customers: int) -> dict[str, float]:
    """CPU seconds and memory of the turn's lists of so many customers, written as Parquet."""
    purchases = make_purchases(rng, customers)
    begun, spent = time.monotonic(), time.process_time()
    with threadpool_limits(1):
        history = read_history(purchases, until=datetime(2026, 1, 1), min_buyers=20)
        del purchases
        model = Blend(min_buyers=20).fit(history)
        fitted, rows = time.process_time(), 0
        with pq.ParquetWriter(folder / "lists.parquet", arrow_schema(RECOMMENDATIONS)) as writer:
            for _, part in list_all(
                model, Wishes(), as_of=date(2026, 1, 1), top=BATCH_TOP, min_new=5
            ):
                writer.write_table(part)
                rows += part.num_rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "batch_rows": rows, "batch_fit_cpu_s": fitted - spent, "batch_s": time.monotonic() - begun,
        "batch_cpu_s": time.process_time() - spent, "batch_peak_rss_mb": peak,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--batch", type=int, default=BATCH_CUSTOMERS, help="customers of the batch")
    customers = parser.parse_known_args()[0].batch
    rng = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "shop"
        key, published = make_shop(folder, rng)
        figures = published | measure_search(folder, rng) | measure_http(folder, key, rng)
        figures |= measure_batch(folder, rng, customers)
    rows = {"customers": CUSTOMERS, "products": ITEMS, "listed": CUSTOMERS * LISTED,
            "batch_customers": customers, "batch_products": BATCH_ITEMS}  # fmt: skip
    emit(
        "recommend_serving",
        data="seeded; pages of a shop in equal parts: home, product, basket, visitors, nobody",
        rows=rows,
        figures={name: round(value, 3) for name, value in figures.items()},
        goals={
            "requests_per_cpu_s": at_least(1_000), "p99_ms": at_most(10),
            "session_p99_ms": at_most(5), "customer_p99_ms": at_most(5),
            "basket_p99_ms": at_most(5),
            "batch_cpu_s": at_most(1_200),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
