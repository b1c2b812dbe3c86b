"""kill -9 at random moments: every segment is there exactly once (law 2)."""

import multiprocessing
import os
import random
from pathlib import Path

import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.store.lake import Lake
from zhiyin.store.workspace import open_store
from zhiyin.testing.contract_store import DAY, MIDNIGHT, ZONE, tag, touch

SEGMENTS = 20
ROWS = 20
KILLS = 8


def _write_segments(folder: str, ready) -> None:
    """Appends all segments from the last known one, and rewrites one day after each."""
    lake = Lake(Path(folder) / "lake")
    handle = lake.open("touches")
    done = None if handle is None else handle.transaction_version("journal")
    ready.set()
    for segment in range(max((done or 0) - 1, 0), SEGMENTS):  # one or two are offered again
        rows = [touch(segment * ROWS + n, MIDNIGHT) for n in range(ROWS)]
        lake.append("touches", pa.Table.from_pylist(rows), app="journal", seq=segment)
        tags = [tag(DAY, f"p_{n}", f"segment {segment}") for n in range(ROWS)]
        lake.replace("tags", pa.Table.from_pylist(tags), scope={c.AS_OF_ON: DAY})


def test_segments_are_there_once_however_often_the_writer_is_killed(tmp_path):
    context = multiprocessing.get_context("forkserver")  # imports once, then starts at once
    context.set_forkserver_preload([_write_segments.__module__, "pandas"])  # Arrow imports it
    chance = random.Random(os.urandom(8))
    killed = 0
    for attempt in range(KILLS + 1):
        ready = context.Event()
        writer = context.Process(target=_write_segments, args=(str(tmp_path), ready))
        writer.start()
        assert ready.wait(60)
        writer.join(chance.uniform(0, 0.3) if attempt < KILLS else 60)
        if writer.is_alive():
            writer.kill()
            writer.join()
            killed += 1
        elif attempt == KILLS:
            assert writer.exitcode == 0
        writer.close()
    assert killed > 0
    store = open_store(tmp_path, zone=ZONE)
    touches = store.read("touches").to_pyarrow()
    expected = [touch(n, MIDNIGHT)[c.TOUCH_ID] for n in range(SEGMENTS * ROWS)]
    assert sorted(touches[c.TOUCH_ID].to_pylist()) == sorted(expected)
    tags = store.read("tags").to_pyarrow()
    assert sorted(tags[c.CUSTOMER_ID].to_pylist()) == sorted(f"p_{n}" for n in range(ROWS))
    assert set(tags[c.TAG].to_pylist()) == {f"segment {SEGMENTS - 1}"}
    store.close()
