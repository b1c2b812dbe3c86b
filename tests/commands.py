"""Command lines that run in a process of their own, for tests that kill it."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

MODULES = (
    "zhiyin.cli", "zhiyin.app", "zhiyin.act.job", "zhiyin.collect.quality_job",
    "zhiyin.decide.job", "zhiyin.measure.job", "zhiyin.person.erase", "zhiyin.profile.job",
    "zhiyin.profile.tags_job", "zhiyin.testing.channel_contract", "zhiyin.understand.job",
    "zhiyin.worker",
)  # fmt: skip
PROCESSES = multiprocessing.get_context("forkserver")
"""Its server imports once; a process then starts at once, so that a kill hits work, not imports."""
PROCESSES.set_forkserver_preload([*MODULES])


def start_command(*arguments: str, said: Path) -> BaseProcess:
    """Start `zhiyin` with these arguments; what it prints is added to the file `said`."""
    process = PROCESSES.Process(target=_command, args=(arguments, str(said)))
    process.start()
    return process


def _command(arguments: tuple[str, ...], said: str) -> None:
    from zhiyin.cli import main

    printed = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    sys.argv = ["zhiyin", *arguments]
    main()
