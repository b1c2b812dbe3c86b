"""A server that decides is killed with -9 under load: what it acknowledged is in the lake, once."""

import json
import threading
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest

from tests.commands import START_S, start_server
from zhiyin.api.keys import make_key
from zhiyin.app import Workspace
from zhiyin.core import columns as c
from zhiyin.core.config import validate_settings
from zhiyin.decide.points.check import parse
from zhiyin.points import Points

POINT = {
    "key": "home", "default": "none", "k": 2,
    "actions": [{"name": "none"}, {"name": "coupon"}, {"name": "gift", "stock": 100_000}],
    "policy": {"name": "thompson", "explore": 0.2},
}  # fmt: skip
ROUNDS, EACH, CLIENTS = 2, 120, 6


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "shop"
    with Workspace.create(path, validate_settings({"name": "laden"}, where="test")) as shop:
        Points(shop.store, shop.clock).put(parse(POINT), by="Ana")
    return path


class Clients:
    """Ask and report under ids of their own until each was acknowledged, across kills."""

    def __init__(self, key):
        self.key, self.decided, self.reported = key, {}, set()
        self.waiting = [f"visit {n}" for n in range(ROUNDS * EACH)]

    def post(self, url, path, body):
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{url}{path}", data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
            return json.loads(answer.read())

    def serve_one(self, url, name):
        """Whether both were acknowledged; what is not is sent again under the same id."""
        try:
            if name not in self.decided:
                body = {"placement": "home", "customer": name[-2:], "decision_id": name}
                self.decided[name] = self.post(url, "/v1/decide", body | {"deadline_ms": 10_000})
            body = {"outcome_id": f"of {name}", "decision_id": name, "kind": "click"}
            self.reported.add(self.post(url, "/v1/outcome", body)["outcome_id"])
        except (OSError, HTTPException):  # cut off, also in the middle of an answer
            return False
        return True

    def work(self, url, enough):
        """Take names until `enough` were served here or the server is gone."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            while self.waiting and not enough():
                names = self.waiting[:CLIENTS]
                done = list(pool.map(lambda one: self.serve_one(url, one), names))
                served = {one for one, ok in zip(names, done, strict=True) if ok}
                self.waiting = [one for one in self.waiting if one not in served]
                if not any(done):
                    return


def test_no_acknowledged_decision_or_outcome_is_lost_or_doubled(folder):
    with Workspace.open(folder, write=True) as shop:
        clients = Clients(make_key(shop.store, "site", "service", clock=shop.clock))
    for number in range(ROUNDS + 1):
        process, url = start_server("-w", str(folder), "--port", "0", "--no-worker")
        watchdog = threading.Timer(START_S, process.kill)
        watchdog.start()
        if number < ROUNDS:  # it dies in the middle of what it does
            target = len(clients.decided) + EACH // 2
            killer = threading.Thread(target=kill_at, args=(process, clients, target))
            killer.start()
            clients.work(url, lambda: False)
            killer.join()
        else:
            clients.work(url, lambda: False)
        watchdog.cancel()
        process.kill()
        process.join()
    assert not clients.waiting
    with Workspace.open(folder, write=True) as shop:
        shop.compact()
        shop.compact()
        rows = shop.table("decisions").to_pyarrow().to_pylist()
        told = shop.table("outcomes").to_pyarrow().to_pylist()
        given = Points(shop.store, shop.clock).shown("home")["given"]
    kept = {}
    for row in sorted(rows, key=lambda one: one[c.RANK]):
        kept.setdefault(row[c.DECISION_ID].partition(".")[0], []).append(row[c.ACTION])
    assert kept == {one["decision_id"]: one["actions"] for one in clients.decided.values()}
    assert Counter(one[c.OUTCOME_ID] for one in told) == Counter(clients.reported)
    assert len(told) == ROUNDS * EACH
    assert given == {"gift": sum("gift" in actions for actions in kept.values())}


def kill_at(process, clients, target):
    pause = threading.Event().wait
    while len(clients.decided) < target and process.is_alive():
        pause(0.002)
    process.kill()
