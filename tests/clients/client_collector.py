"""The collector that the clients' events end in: a real server process over a new workspace."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import msgspec

from zhiyin.collect.received import unpack
from zhiyin.store.journal import finished_segments, read_segment
from zhiyin.store.vault import open_segment_keys

START_S = 60


class Collector:
    """`zhiyin serve` on a free port, and what it acknowledged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.acknowledged: set[str] = set()  # message ids; gates add theirs
        _zhiyin("init", folder, "--name", "laden")
        self.browser_key = _zhiyin("source", "add", "site", "--kind", "browser", "-w", folder)
        self.server_key = _zhiyin("source", "add", "backend", "--kind", "server", "-w", folder)
        self._process = subprocess.Popen(
            [*_COMMAND, "serve", "--port", "0", "--no-worker", "-w", str(folder)],
            env=_environment(), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        watchdog = threading.Timer(START_S, self._process.kill)
        watchdog.start()
        line = self._process.stderr.readline()
        watchdog.cancel()
        self.url = re.search(r"http://\S+", line)[0]

    def stop(self) -> None:
        """Stop the server; doing it again changes nothing."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.communicate(timeout=START_S)

    def stored(self) -> Counter[str]:
        """How often each message id is stored; only after `stop`."""
        keys = open_segment_keys(self.folder / "keys")
        return Counter(
            event["messageId"]
            for segment in finished_segments(self.folder / "journal")
            for frame in read_segment(segment.path, keys)
            for event in _events(unpack(frame.payload).body)
        )


_COMMAND = [sys.executable, "-m", "zhiyin"]


def _events(body: bytes) -> list[dict]:
    read = msgspec.json.decode(body)
    return read.get("batch", [read])


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def _zhiyin(*arguments: str | Path) -> str:
    command = [*_COMMAND, *map(str, arguments)]
    done = subprocess.run(
        command, env=_environment(), capture_output=True, text=True, check=False, timeout=START_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
