"""What every bench shares: the machine, the versions, the goals, the one JSON line."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PARTS = ("duckdb", "ibis-framework", "deltalake", "pyarrow", "numpy", "scikit-learn", "lightgbm")


@dataclass(frozen=True)
class Goal:
    """A figure's goal: `at_least` or `at_most` the bound."""

    bound: float
    kind: str = "at_least"

    def met(self, got: float) -> bool:
        """Whether the figure reaches the bound."""
        met = got >= self.bound if self.kind == "at_least" else got <= self.bound
        return bool(met)  # numpy has its own, which JSON does not know

    def __str__(self) -> str:
        return f"{'>=' if self.kind == 'at_least' else '<='} {self.bound:g}"


def at_least(bound: float) -> Goal:
    """A goal reached from above."""
    return Goal(bound)


def at_most(bound: float) -> Goal:
    """A goal reached from below."""
    return Goal(bound, "at_most")


def machine() -> str:
    """Processor, cores and memory, as far as the system says."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB"


def emit(
    name: str,
    *,
    data: str,
    rows: Mapping[str, int],
    figures: Mapping[str, object],
    goals: Mapping[str, Goal],
) -> None:
    """Print the result: a table for people, or with `--json` one JSON object as the last line."""
    parser = argparse.ArgumentParser(prog=f"bench/{name}.py", add_help=False)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_known_args()[0].json
    checked: dict[str, dict[str, object]] = {}
    for key, goal in goals.items():
        got = figures[key]
        met = isinstance(got, int | float) and goal.met(got)
        checked[key] = {"goal": str(goal), "got": got, "met": met}
    result = {
        "command": "python " + shlex.join(["-m", f"bench.{name}", *sys.argv[1:]]),
        "data": data,
        "rows": dict(rows),
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {part: version(part) for part in PARTS},
        "figures": dict(figures),
        "goals": checked,
    }
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
        return
    print(f"{name}: {data}")
    for key, value in figures.items():
        goal = checked.get(key)
        mark = (
            "" if goal is None else f"   goal {goal['goal']}: {'met' if goal['met'] else 'MISSED'}"
        )
        print(f"  {key:<34} {value}{mark}")
