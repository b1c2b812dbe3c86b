"""Decisions on request: one decision in process (numbers of a customer, 50 actions, Thompson
sampling), then `POST /v1/decide` and `/v1/outcome` over real HTTP, each on the disk before its
answer: latency and requests a CPU-second."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from bench.collect import start_server
from bench.harness import at_least, at_most, emit
from zhiyin.api.keys import make_key
from zhiyin.app import Workspace
from zhiyin.core.clock import SystemClock
from zhiyin.core.config import validate_settings
from zhiyin.core.generation import PARTY_TYPE, PEOPLE, pack_people
from zhiyin.decide.live import NAMES, NUMBERS, Ask, Door
from zhiyin.decide.points import ledger
from zhiyin.decide.points.check import parse
from zhiyin.decide.points.point_policy import make_policy, point_policy, unpack_policy
from zhiyin.decide.points.served import Served
from zhiyin.decide.policy import Scaling
from zhiyin.govern.packed import JOINS, NAMESPACES
from zhiyin.points import Points
from zhiyin.store.recent import Touched

CUSTOMERS, ACTIONS, TAUGHT = 200_000, 50, 20_000
KEPT = (
    "recency_days", "tenure_days", "orders_count", "orders_30d", "orders_90d", "gap_mean_days",
    "overdue_ratio", "revenue_minor", "revenue_90d_minor", "order_value_mean_minor",
    "return_share", "discount_share", "coupon_share", "products_count", "repeat_share",
)  # fmt: skip
POINT = {
    "key": "home", "default": "a0", "features": [*KEPT, "seen.24h", "bought.48h"],
    "context": {"cart_value": {"middle": 50, "width": 30}},
    "actions": [
        {"name": "a0"},
        *({"name": f"a{n}", "cost_minor": n, "needs": [["orders_count", ">=", 1]] if n % 5 == 0
           else []} for n in range(1, ACTIONS)),
    ],
    "policy": {"name": "linear_thompson", "explore": 0.02},
}  # fmt: skip
CONNECTIONS, SECONDS, WARM_S, DECIDED = 16, 8.0, 2.0, 5_000


def make_shop(folder: Path, rng: np.random.Generator) -> str:
    """A workspace with a point whose policy has learned, a generation and a key; the key."""
    settings = validate_settings({"name": "bench", "currency": "EUR", "zone": "UTC"}, where="bench")
    with Workspace.create(folder, settings) as shop:
        parties = shop.vault.party_ids("user_id", [f"u{one}" for one in range(CUSTOMERS)])
        values = rng.normal(size=(CUSTOMERS, len(KEPT))).astype(np.float32)
        arrays = pack_people(((one, row) for row, one in enumerate(parties)), CUSTOMERS) | {
            f"{NUMBERS}.starts": np.arange(CUSTOMERS + 1), f"{NUMBERS}.value": values,
            f"{JOINS}.starts": np.zeros(CUSTOMERS + 1, np.int64),
            f"{JOINS}.party": np.zeros(0, PARTY_TYPE), f"{JOINS}.into": np.zeros(0, PARTY_TYPE),
            f"{JOINS}.at": np.zeros(0),
        }  # fmt: skip
        shop.store.numbers.publish(
            arrays,
            {PEOPLE: [NUMBERS, JOINS], NAMES: list(KEPT), NAMESPACES: ["user_id"],
             "as_of_on": "2026-01-01"},
        )  # fmt: skip
        now = time.time()
        for start in range(0, 20_000, 2_000):
            rows = [Touched(one, f"s:{n}", n == 0, now - n) for n in range(4)
                    for one in parties[start : start + 2_000]]  # fmt: skip
            shop.store.online.recent.put(rows, now=now)
        shop.store.online.recent.close()
        point = parse(POINT)
        stored = Points(shop.store, shop.clock).put(point, by="bench")
        with shop.store.begin() as connection:
            held = ledger.current(connection, point.key)
            ledger.add_policy(
                connection, stored, taught(point, rng), parent=held and held.number,
                learned_until=None, figures={}, words="", by="bench", now=stored.created_at,
            )  # fmt: skip
        return make_key(shop.store, "bench", "service", clock=SystemClock())


def taught(point, rng: np.random.Generator):
    """The policy of the point, after so many outcomes."""
    width = len(point.numbers)
    scaling = Scaling(point.numbers, np.zeros(width), np.ones(width))
    made = make_policy(point, scaling)
    contexts = made.contexts(rng.normal(size=(TAUGHT, width)))
    names = [f"a{n % ACTIONS}" for n in range(TAUGHT)]
    made.policy.update(contexts, names, rng.random(TAUGHT))
    return point_policy(made.policy, made.numbers, made.scaling, made.picks)


def measure_door(folder: Path, rng: np.random.Generator) -> dict[str, float]:
    """CPU microseconds of one decision without HTTP: who, numbers, 50 actions, Thompson."""
    with Workspace.open(folder) as shop:
        with shop.store.begin() as connection:
            stored = ledger.find(connection, "home")
            spoken = ledger.current(connection, "home")
            policy = unpack_policy(ledger.artifact_of(connection, "home", spoken.number))
        door = Door(
            shop.store.numbers, zone="UTC", needs_consent=False, clock=SystemClock(),
            consents=lambda _: [], gate=lambda *_: [],
            touches=shop.store.online.recent.read,
        )  # fmt: skip
        door.renew({"home": Served(stored.definition, version=1, paused=False, policy=policy)})
        parties = shop.vault.party_ids(
            "user_id", [f"u{n}" for n in rng.integers(20_000, size=DECIDED)]
        )
        spent = []
        for n, party in enumerate(parties):
            begun = time.process_time()
            made = door.handle(Ask("home", f"d_{n}", time.monotonic(), (party,),
                                   context={"cart_value": 60.0}, deadline_ms=10_000))  # fmt: skip
            spent.append(time.process_time() - begun)
            assert made.policy == "linear_thompson", made.reason
    warm = np.array(spent[500:]) * 1e6
    return {"one_p50_us": float(np.median(warm)), "one_p99_us": float(np.quantile(warm, 0.99))}


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
        *(_client(port, requests[one * part : (one + 1) * part], until, taken)
          for one in range(CONNECTIONS))
    )  # fmt: skip
    return taken


def _request(path: str, key: str, body: dict[str, object]) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def measure_http(folder: Path, key: str, rng: np.random.Generator) -> dict[str, float]:
    """Latency and requests a CPU-second of the server, whose one process answers all."""
    decide = [
        _request("/v1/decide", key, {
            "placement": "home", "customer": f"u{rng.integers(CUSTOMERS)}",
            "context": {"cart_value": float(rng.integers(200))},
        }) for _ in range(6_400)
    ]  # fmt: skip
    report = [
        _request("/v1/outcome", key, {
            "outcome_id": f"o{n}", "customer": f"u{rng.integers(CUSTOMERS)}", "kind": "purchase",
            "value_minor": 1999,
        }) for n in range(6_400)
    ]  # fmt: skip
    process, port = start_server(folder)
    made: dict[str, float] = {}
    try:
        watched = psutil.Process(process.pid)
        asyncio.run(_load(port, decide, WARM_S))
        for name, requests in (("decide", decide), ("outcome", report)):
            spent = watched.cpu_times()
            taken = asyncio.run(_load(port, requests, SECONDS))
            after = watched.cpu_times()
            cpu = after.user + after.system - spent.user - spent.system
            made |= {
                f"{name}s_per_cpu_s": len(taken) / cpu,
                f"{name}s_per_s": len(taken) / SECONDS,
                f"{name}_p50_ms": 1000 * float(np.median(taken)),
                f"{name}_p99_ms": 1000 * float(np.quantile(taken, 0.99)),
            }
        made["server_rss_mb"] = watched.memory_info().rss / 2**20
    finally:
        process.terminate()
        process.wait()
    return made


def main() -> None:
    rng = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "shop"
        key = make_shop(folder, rng)
        figures = measure_door(folder, rng) | measure_http(folder, key, rng)
    emit(
        "decide_live",
        data=f"seeded; {len(POINT['features'])} numbers and one of the request, linear Thompson "
        f"sampling; {CONNECTIONS} connections to one process",
        rows={"customers": CUSTOMERS, "actions": ACTIONS, "taught": TAUGHT},
        figures={name: round(value, 3) for name, value in figures.items()},
        goals={
            "one_p50_us": at_most(150), "one_p99_us": at_most(1_500),
            "decides_per_cpu_s": at_least(2_000), "decide_p99_ms": at_most(20),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
