"""A server of two processes: one that is killed is replaced, and none is left behind."""

import json
import threading
import urllib.request

import psutil
import pytest

from tests.commands import START_S, start_server
from zhiyin.app import Workspace
from zhiyin.collect.write_keys import make_write_key
from zhiyin.core.clock import naive_utc
from zhiyin.core.config import validate_settings
from zhiyin.store.journal import open_segments


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "shop"
    Workspace.create(path, validate_settings({"name": "laden"}, where="test")).close()
    return path


@pytest.fixture
def two_processes(folder):
    """A server of two processes, a write key, and the other process."""
    with Workspace.open(folder, write=True) as shop, shop.store.begin() as connection:
        key = make_write_key(
            connection, "web", kind="server", now=naive_utc(shop.clock.now()), events_per_s=0
        ).write_key
    process, url = start_server("-w", str(folder), "--port", "0", "--no-worker", "--processes", "2")
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    yield process, url, key
    watchdog.cancel()
    process.kill()
    process.join()


def send_until(process, url, key, enough):
    """Send events over fresh connections until `enough()`; how many were acknowledged."""
    sent, pace = 0, threading.Event()
    while not enough():
        assert process.is_alive(), "the server has ended"
        event = {"type": "track", "event": "e", "userId": "u", "messageId": f"m{sent}"}
        body = json.dumps(event | {"writeKey": key}).encode()
        request = urllib.request.Request(f"{url}/v1/track", data=body)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
                sent += answer.status == 200
        except OSError:
            continue  # the process that took the connection was killed
        pace.wait(0.02)  # leave the machine to the process that starts
    return sent


def test_two_processes_take_events_and_one_that_dies_is_replaced(folder, two_processes):
    process, url, key = two_processes

    def writing():
        return len(open_segments(folder / "journal"))

    send_until(process, url, key, lambda: writing() == 2)
    (other,) = psutil.Process(process.pid).children()
    other.kill()

    def replaced():
        children = psutil.Process(process.pid).children()
        return any(one.pid != other.pid for one in children) and writing() == 2

    assert send_until(process, url, key, replaced) > 0
    children = psutil.Process(process.pid).children()
    process.kill()
    process.join()
    assert psutil.wait_procs(children, timeout=20)[1] == []
    assert open_segments(folder / "journal") == set()
