"""What it costs to say `zhiyin --help`."""

from __future__ import annotations

import statistics
import sys

from bench.demo import timed
from bench.harness import at_most, emit

ROUNDS = 7


def main() -> None:
    """The median of several starts, in CPU seconds."""
    command = [sys.executable, "-m", "zhiyin", "--help"]
    timed(command, {})  # the first one fills the caches
    used = [timed(command, {})[2] for _ in range(ROUNDS)]
    figures = {"help_cpu_s": round(statistics.median(used), 3)}
    emit("start", data="none", rows={}, figures=figures, goals={"help_cpu_s": at_most(0.4)})


if __name__ == "__main__":
    main()
