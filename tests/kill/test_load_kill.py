"""kill -9 in the middle of a load, again and again: it goes on where it was, nothing is doubled."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.commands import PROCESSES
from zhiyin.app import Workspace
from zhiyin.collect import write
from zhiyin.core.config import validate_settings

ROWS, SLICE = 3_000, 250


def _load(folder: Path, file: Path, appends: int, said: Path) -> None:
    """Load the file; the process dies before one more append than so many."""
    write.SLICE = SLICE  # of this process alone
    left = [appends]
    with Workspace.open(folder, write=True) as shop, said.open("w", encoding="utf-8") as told:
        append = shop.store.append

        def dying(table, rows, *, app, seq=0):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            print(table, seq, file=told, flush=True)
            return append(table, rows, app=app, seq=seq)

        shop.store.append = dying
        done = shop.load("order_lines", file)
        counts = done.loaded, done.quarantined, done.written["order_lines"], done.unchanged
        print("done", *counts, file=told)


def start(folder: Path, file: Path, appends: int) -> tuple[int | None, list[str]]:
    said = folder.with_name("said.txt")
    process = PROCESSES.Process(target=_load, args=(folder, file, appends, said))
    process.start()
    process.join()
    return process.exitcode, said.read_text(encoding="utf-8").splitlines()


def test_a_killed_load_goes_on_behind_its_last_slice(tmp_path):
    file = tmp_path / "lines.csv"
    rows = [f"{i // 2},u{i % 97},P{i % 11},2026-01-05 10:00,1,{'x' if i % 100 == 7 else '2.50'}"
            for i in range(ROWS)]  # fmt: skip
    file.write_text("order_id,user_id,product_id,sold_at,quantity,price\n" + "\n".join(rows) + "\n")
    values = {"name": "x", "currency": "USD", "zone": "UTC"}
    Workspace.create(tmp_path / "shop", validate_settings(values, where="test")).close()
    slices: list[str] = []
    for _ in range(3):
        code, lines = start(tmp_path / "shop", file, 3)
        assert code == -9
        slices += [line for line in lines if line.startswith("order_lines")]
    code, lines = start(tmp_path / "shop", file, 1_000)
    assert code == 0
    slices += [line for line in lines if line.startswith("order_lines")]
    assert slices == [f"order_lines {n}" for n in range(ROWS // SLICE)]  # none was begun twice
    refused = ROWS // 100
    assert lines[-1] == f"done {ROWS - refused} {refused} {ROWS - refused} 0"
    with Workspace.open(tmp_path / "shop") as shop:
        table = shop.table("order_lines")
        ids = table.line_id.to_pyarrow().to_pylist()
        assert len(ids) == len(set(ids)) == ROWS - refused
        assert shop.table("quarantine").count().to_pyarrow().as_py() == refused
        assert table.amount_minor.sum().to_pyarrow().as_py() == 250 * (ROWS - refused)
    assert start(tmp_path / "shop", file, 0)[0] == 0  # loading it once more appends nothing
