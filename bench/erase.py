"""Erasing one customer of the demonstration: seconds, and what is left of her."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench.harness import at_least, at_most, emit
from zhiyin.demo import AS_OF, build_demo
from zhiyin.person import find_person
from zhiyin.store.traces import find_traces
from zhiyin.summary import count_rows

HOUSEHOLD = "1029"


def main() -> None:
    """Load, turn once, erase, and search every file."""
    with (
        tempfile.TemporaryDirectory() as folder,
        build_demo(Path(folder) / "demo", progress=lambda what, share: None) as workspace,
    ):
        workspace.run(as_of=AS_OF)
        workspace.report()
        person = find_person(workspace.store, workspace.vault, HOUSEHOLD)
        begun = time.monotonic()
        proof = workspace.erase(HOUSEHOLD)
        seconds = time.monotonic() - begun
        needles = [*person.parties, person.customer_id, f"household-{HOUSEHOLD}@"]
        left = find_traces(workspace.folder, needles)
        rows = count_rows(workspace.store)
    figures = {
        "erase_wall_s": round(seconds, 1),
        "traces_left": len(left),
        "totals_equal": int(bool(proof["totals_equal"])),
    }
    goals = {"traces_left": at_most(0), "totals_equal": at_least(1)}
    data = "The Complete Journey, household 1029, after one turn"
    emit("erase", data=data, rows=rows, figures=figures, goals=goals)


if __name__ == "__main__":
    main()
