"""Segment's SDK for Python, in an environment of its own, against a real server process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from client_wire import Fault, acknowledged

SCRIPT = Path(__file__).with_name("send_segment.py")
PYTHON = Path(sys.prefix) / "peers" / "bin" / "python"
COUNT = 23


@pytest.fixture
def send(gate, collector):
    """Send an identify, a page view and `COUNT` tracks; what the SDK says of events it lost."""

    def run(**settings):
        assert PYTHON.exists(), f"there is no {PYTHON}: make test-clients installs it"
        environment = {**os.environ, "HOST": gate.url, "WRITE_KEY": collector.server_key}
        environment |= {"EVENTS": str(COUNT), "PYTHONPATH": "", **settings}
        done = subprocess.run(
            [PYTHON, SCRIPT],
            env=environment, capture_output=True, text=True, check=False, timeout=90,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def numbers(gate):
    events = acknowledged(gate.sent()).values()
    return sorted(event["properties"]["n"] for event in events if event["type"] == "track")


@pytest.mark.parametrize("zipped", ["0", "1"], ids=["plain", "gzip"])
def test_every_event_is_acknowledged(send, gate, zipped):
    assert send(GZIP=zipped) == ""
    calls = gate.sent()
    assert {(call.path, call.status) for call in calls} == {("/v1/batch", 200)}
    assert {call.headers.get("content-encoding", "") for call in calls} == {
        "gzip" if zipped == "1" else ""
    }
    assert numbers(gate) == list(range(COUNT))


def test_a_busy_collector_gets_the_same_events_again(send, gate):
    gate.fail(Fault(503), Fault(503))
    assert send() == ""
    first, *_ = calls = gate.sent()
    again = [c for c in calls if c.status == 200 and c.events() == first.events()]
    assert len(again) == 1
    assert again[0].headers["x-retry-count"] == "2"
    assert numbers(gate) == list(range(COUNT))


def test_a_429_is_waited_for(send, gate):
    gate.fail(Fault(429, {"Retry-After": "1"}))
    assert send() == ""
    refused, *later = gate.sent()
    assert refused.status == 429
    assert min(call.at for call in later) - refused.at >= 0.95
    assert numbers(gate) == list(range(COUNT))


def test_an_unknown_key_is_told_and_never_repeated(send, gate):
    said = send(WRITE_KEY="wk_nobody", EVENTS="1")
    assert "lost 3" in said
    assert [call.status for call in gate.sent()] == [401]
