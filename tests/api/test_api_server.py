"""A real server process with its worker: up on a free port, down on a signal, nothing left."""

import os
import signal
import socket
import threading

import httpx
import psutil
import pytest

from tests.commands import START_S, start_server
from zhiyin.api.keys import make_key
from zhiyin.api.server import serve_workspace
from zhiyin.app import Workspace
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import ConfigError, WorkspaceError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("server") / "shop"
    Workspace.create(path, validate_settings({"name": "laden"}, where="test")).close()
    return path


def fail_a_turn(client):
    """Ask for a turn; the job once the worker has found that there is no data."""
    job = client.post("/v1/jobs", json={"kind": "turn"}).json()
    waiting = threading.Event()
    while (done := client.get(f"/v1/jobs/{job['job_id']}").json())["state"] != "failed":
        waiting.wait(0.2)  # the watchdog ends this
    return done


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_a_server_answers_works_and_stops_with_its_worker(folder, stop):
    with Workspace.open(folder) as shop:
        key = make_key(shop.store, "tester", "admin", clock=shop.clock)
    process, url = start_server("-w", str(folder), "--port", "0")
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    try:
        with httpx.Client(base_url=url, headers={"X-Api-Key": key}, timeout=30) as client:
            assert client.get("/health").json()["status"] == "ok"
            assert client.get("/v1/tables", headers={"X-Api-Key": "wrong"}).status_code == 401
            if stop == signal.SIGTERM:
                assert fail_a_turn(client)["error"].startswith("not_enough_data")
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) == 1
        os.kill(process.pid, stop)
        process.join(30)
        assert process.exitcode == 0
        assert psutil.wait_procs(children, timeout=10)[1] == []
    finally:
        watchdog.cancel()
        process.kill()
        process.join()


def test_a_taken_port_is_said_in_words(folder):
    taken = socket.create_server(("127.0.0.1", 0))
    with taken, pytest.raises(ConfigError, match="cannot be listened on"):
        serve_workspace(folder, port=taken.getsockname()[1], with_worker=False)


def test_a_folder_that_is_no_workspace_is_not_served(tmp_path):
    with pytest.raises(WorkspaceError, match="no workspace"):
        serve_workspace(tmp_path, port=0, with_worker=False)
