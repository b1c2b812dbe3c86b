"""Durable, encrypted ingest: events a CPU-second of the server, latency, memory."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from bench.harness import at_least, at_most, emit
from bench.tracked import batch_body
from zhiyin.app import Workspace
from zhiyin.collect.write_keys import make_write_key
from zhiyin.core.clock import SystemClock, naive_utc
from zhiyin.core.config import validate_settings
from zhiyin.store.journal import finished_segments, read_segment
from zhiyin.store.vault import open_segment_keys

EVENTS = 20
CONNECTIONS = 32
SECONDS = 20.0
WARM_S = 3.0


def make_shop(folder: Path) -> str:
    """A workspace with one server source; its write key."""
    settings = validate_settings({"name": "bench", "currency": "EUR", "zone": "UTC"}, where="bench")
    with Workspace.create(folder, settings) as shop, shop.store.begin() as connection:
        now = naive_utc(SystemClock().now())
        made = make_write_key(connection, "shop", kind="server", now=now, events_per_s=0)
        return made.write_key


def start_server(folder: Path) -> tuple[subprocess.Popen, int]:
    """A real `zhiyin serve` in a process of its own, and its port."""
    command = [sys.executable, "-m", "zhiyin", "serve", "-w", str(folder), "--port", "0",
               "--no-worker"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while line := process.stderr.readline():
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            return process, int(found[1])
    raise RuntimeError("the server did not start")


async def _client(port: int, requests: list[bytes], until: float, taken: list[float]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = 0
    while time.monotonic() < until:
        begun = time.monotonic()
        writer.write(requests[sent % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(re.search(rb"content-length: (\d+)", head)[1])
        await reader.readexactly(length)
        taken.append(time.monotonic() - begun)
        sent += 1
    writer.close()
    return sent


async def _load(port: int, key: str, seconds: float) -> tuple[int, list[float]]:
    bodies = [batch_body(seed, events=EVENTS, write_key=key) for seed in range(64)]
    head = "POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    requests = [(head + f"Content-Length: {len(b)}\r\n\r\n").encode() + b for b in bodies]
    taken: list[float] = []
    until = time.monotonic() + seconds
    sent = await asyncio.gather(
        *(_client(port, requests[i:] + requests[:i], until, taken) for i in range(CONNECTIONS))
    )
    return sum(sent), taken


def client(port: int, key: str, seconds: float) -> dict[str, float]:
    """Send for so many seconds over 32 connections; requests and latencies."""
    sent, taken = asyncio.run(_load(port, key, seconds))
    p50, p99 = np.quantile(taken, [0.5, 0.99]) * 1000
    return {"requests": sent, "p50_ms": float(p50), "p99_ms": float(p99)}


def count_events(folder: Path) -> int:
    """Events in the journal, every frame read back and decrypted."""
    keys = open_segment_keys(folder / "keys")
    frames = (f for s in finished_segments(folder / "journal") for f in read_segment(s.path, keys))
    return EVENTS * sum(1 for _ in frames)


def main() -> None:
    """Serve, send, count what is on the disk, print."""
    with tempfile.TemporaryDirectory() as folder:
        shop = Path(folder) / "shop"
        key = make_shop(shop)
        process, port = start_server(shop)
        try:
            watched = psutil.Process(process.pid)

            def send(seconds: float) -> dict[str, float]:
                command = [sys.executable, "-m", "bench.collect", "--client", str(port), key]
                done = subprocess.run(
                    [*command, str(seconds)], check=True, stdout=subprocess.PIPE, text=True
                )
                return json.loads(done.stdout)

            warm = send(WARM_S)
            before = watched.cpu_times()
            got = send(SECONDS)
            after = watched.cpu_times()
            memory = watched.memory_info().rss / 2**20
        finally:
            process.terminate()
            process.wait()
        kept = count_events(shop)
    cpu = after.user + after.system - before.user - before.system
    sent = EVENTS * (got["requests"] + warm["requests"])
    size = sum(len(batch_body(s, events=EVENTS, write_key=key)) for s in range(64)) / 64
    emit(
        "collect",
        data=f"seeded events in batches of {EVENTS} over {CONNECTIONS} connections",
        rows={"events": int(sent)},
        figures={
            "events_per_cpu_s": round(EVENTS * got["requests"] / cpu),
            "events_per_s": round(EVENTS * got["requests"] / SECONDS),
            "batch_bytes": round(size),
            "p50_ms": round(got["p50_ms"], 2),
            "p99_ms": round(got["p99_ms"], 2),
            "rss_mb": round(memory),
            "events_lost": int(sent - kept),
        },
        goals={
            "events_per_cpu_s": at_least(60_000),
            "p99_ms": at_most(100),
            "rss_mb": at_most(300),
            "events_lost": at_most(0),
        },
    )


if __name__ == "__main__":
    if "--client" in sys.argv:
        os.sched_setaffinity(0, os.sched_getaffinity(0))
        print(json.dumps(client(int(sys.argv[2]), sys.argv[3], float(sys.argv[4]))))
    else:
        main()
