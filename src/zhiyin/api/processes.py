"""Processes beside the server: a worker, and more servers on the same address."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from zhiyin.core.log import get_logger

STOP_S = 15.0
RESTART_S = 1.0


class _Told(BaseException):
    """The server was told to stop."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM unwind the block, so that what was started is stopped."""

    def told(_signal: int, _frame: FrameType | None) -> None:
        raise _Told

    before = signal.signal(signal.SIGTERM, told)
    try:
        yield
    except (_Told, KeyboardInterrupt):
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def worker_beside(folder: Path, *, wanted: bool) -> Iterator[None]:
    """A worker in a process of its own, stopped at the end of the block."""
    if not wanted:
        yield
        return
    command = [sys.executable, "-m", "zhiyin", "worker", "--workspace", str(folder)]
    process = subprocess.Popen([*command, "--parent", str(os.getpid())])  # noqa: S603 - our own
    try:
        yield
    finally:
        _stop(process)


@contextmanager
def servers_beside(folder: Path, listening: socket.socket, *, count: int) -> Iterator[None]:
    """`count` more server processes on the same socket; one that dies is started again."""
    fd, over = listening.fileno(), threading.Event()
    command = [sys.executable, "-m", "zhiyin", "serve", "--workspace", str(folder), "--fd", str(fd)]
    running: dict[int, subprocess.Popen[bytes]] = {}

    def keep(place: int) -> None:
        while not over.is_set():
            process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[fd])  # noqa: S603 - our own
            running[place] = process
            if process.wait() and not over.wait(RESTART_S):
                get_logger().error("a server process ended (%s) and is replaced", process.pid)

    threads = [threading.Thread(target=keep, args=(place,), daemon=True) for place in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for process in running.values():
            _stop(process)


def stop_with_parent() -> None:
    """Stop this server when the process that started it is no more: its pipe then ends."""

    def wait() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()
