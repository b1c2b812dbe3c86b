"""Command lines that run in a process of their own, for tests that kill it or talk to it."""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
import threading
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TextIO

MODULES = (
    "zhiyin.cli", "zhiyin.api.server", "zhiyin.app", "zhiyin.act.job", "zhiyin.collect.quality_job",
    "zhiyin.decide.job", "zhiyin.measure.job", "zhiyin.person.erase", "zhiyin.profile.job",
    "zhiyin.profile.tags_job", "zhiyin.testing.channel_contract", "zhiyin.understand.job",
    "zhiyin.worker",
)  # fmt: skip
PROCESSES = multiprocessing.get_context("forkserver")
"""Its server imports once; a process then starts at once, so that a kill hits work, not imports."""
START_S = 240
PROCESSES.set_forkserver_preload([*MODULES])


def start_command(*arguments: str, said: Path) -> BaseProcess:
    """Start `zhiyin` with these arguments; what it prints is added to the file `said`."""
    process = PROCESSES.Process(target=_command, args=(arguments, str(said)))
    process.start()
    return process


def start_server(*arguments: str) -> tuple[BaseProcess, str]:
    """Start `zhiyin serve` with these arguments; the process and the address it answers at."""
    reading, writing = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_command, args=(("serve", *arguments), writing))
    process.start()
    writing.close()
    lines = os.fdopen(os.dup(reading.fileno()), encoding="utf-8")
    reading.close()
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    said = []
    for line in lines:
        said.append(line)
        if found := re.search(r"http://\S+", line):
            watchdog.cancel()
            threading.Thread(target=_drop, args=(lines,), daemon=True).start()
            return process, found[0]
    watchdog.cancel()
    lines.close()
    process.join()
    raise AssertionError("".join(["the server did not start: ", *said]))


def _drop(lines: TextIO) -> None:
    """Read what is said later: a full pipe would stop who says it."""
    with lines:
        for _ in lines:
            pass


def _command(arguments: tuple[str, ...], said: str | Connection) -> None:
    from zhiyin.cli import main

    if isinstance(said, str):
        printed = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    else:
        printed = said.fileno()
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    sys.argv = ["zhiyin", *arguments]
    main()
