"""Keeps a line off standard output that HiGHS prints whatever it is told.

Where a solution that it found needs mending, HiGHS (as of SciPy 1.17) calls `printf`, with logging
off too: who reads JSON from our output would find it there. The descriptor is turned to a file for
the time of the call; what else was written meanwhile, by other threads, is passed on.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

NOISE = b"HighsMipSolverData::transformNewIntegerFeasibleSolution tmpSolver.run();\n"
_STDOUT = 1
_TURNED = Lock()
_CHUNK = 1 << 16


@contextmanager
def without_noise() -> Iterator[None]:
    """Standard output without the line, while in here; one thread at a time."""
    with _TURNED, tempfile.TemporaryFile() as held:
        try:
            real = os.dup(_STDOUT)
        except OSError:  # a process without standard output
            yield
            return
        try:
            os.dup2(held.fileno(), _STDOUT)
            yield
        finally:
            os.dup2(real, _STDOUT)
            os.close(real)
            held.seek(0)
            rest = held.read().replace(NOISE, b"")
            while rest:
                rest = rest[os.write(_STDOUT, rest[:_CHUNK]) :]
