"""Servers and compactors are killed at random moments: every acknowledged event is in the lake
exactly once (law 2).

`make torture` does it 200 times; here it is done a few times.
"""

import json
import os
import random
import threading
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.commands import start_command, start_server
from zhiyin.app import Workspace
from zhiyin.collect.write_keys import make_write_key
from zhiyin.core.config import validate_settings

SEED = int(os.environ.get("TORTURE_SEED", "1"))
KILLS = int(os.environ.get("TORTURE_KILLS", "4"))
SENDERS = 4
EVENTS = 5
NOW = datetime(2026, 3, 1).replace(tzinfo=None)


class Sender(threading.Thread):
    """Sends batches of events until it is stopped; each again until it is acknowledged."""

    def __init__(self, name, key, address, stop):
        super().__init__(name=name, daemon=True)
        self.key, self.address, self.stop = key, address, stop
        self.acknowledged = []
        self.took_one = threading.Event()

    def run(self):
        number = 0
        while not self.stop.is_set():
            ids = [f"{self.name}-{number}-{i}" for i in range(EVENTS)]
            at = datetime.now(UTC).isoformat()
            events = [
                {"type": "track", "event": "Seen", "userId": f"u{number % 50}", "messageId": one,
                 "timestamp": at} for one in ids
            ]  # fmt: skip
            body = json.dumps({"batch": events, "sentAt": at, "writeKey": self.key}).encode()
            while not self.stop.is_set() and not self._post(body):
                self.stop.wait(0.02)
            if not self.stop.is_set():
                self.acknowledged += ids
                self.took_one.set()
            number += 1

    def _post(self, body):
        with suppress(OSError, urllib.error.HTTPError, ValueError):
            request = urllib.request.Request(f"{self.address['url']}/v1/batch", data=body)  # noqa: S310 - loopback
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
                return answer.status == 200
        return False


def start(folder, address, port):
    process, address["url"] = start_server("-w", str(folder), "--no-worker", "--port", str(port))
    return process


def start_compactor(folder):
    return start_command("source", "compact", "-w", str(folder), said=Path(os.devnull))


@pytest.fixture
def shop(tmp_path):
    folder = tmp_path / "shop"
    values = {"name": "shop", "currency": "EUR", "zone": "UTC"}
    with (
        Workspace.create(folder, validate_settings(values, where="test")) as made,
        made.store.begin() as connection,
    ):
        key = make_write_key(connection, "web", kind="server", now=NOW, events_per_s=0).write_key
    return folder, key


def test_every_acknowledged_event_is_in_the_lake_exactly_once(shop):
    folder, key = shop
    chance = random.Random(SEED)
    stop, address = threading.Event(), {"url": "http://127.0.0.1:9"}
    server = start(folder, address, 0)
    port = int(address["url"].rsplit(":", 1)[1])
    senders = [Sender(f"s{i}", key, address, stop) for i in range(SENDERS)]
    for one in senders:
        one.start()
    compactor = start_compactor(folder)
    for _ in range(KILLS):
        for one in senders:  # the server takes events again before the next kill
            one.took_one.clear()
            assert one.took_one.wait(60), "no event was taken"
        threading.Event().wait(chance.uniform(0.0, 0.6))
        if chance.random() < 0.5:
            server.kill()
            server.join()
            server = start(folder, address, port)
        else:
            compactor.kill()
        if not compactor.is_alive():
            compactor = start_compactor(folder)
    stop.set()
    for one in senders:
        one.join()
    server.terminate()
    server.join()
    compactor.join()
    with Workspace.open(folder, write=True) as made:
        made.compact()
        rows = made.table("events").to_pyarrow().to_pylist()
        blobs = made.vault.unseal(
            [row["party_id"] for row in rows], [row["personal"] for row in rows]
        )
    kept = Counter(blob["message_id"] for blob in blobs)
    acknowledged = {name for one in senders for name in one.acknowledged}
    assert acknowledged
    assert acknowledged - kept.keys() == set()
    assert max(kept.values()) == 1
    assert list((folder / "journal").iterdir()) == []
