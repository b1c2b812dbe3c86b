"""kill -9 at random moments: every segment is there exactly once (law 2)."""

import os
import random
import signal
import subprocess
import sys
import time

import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.store.workspace import open_store
from zhiyin.testing.contract_store import DAY, MIDNIGHT, ZONE, tag, touch

SEGMENTS = 30
ROWS = 50
WRITER = f"""
import sys
from pathlib import Path
import pyarrow as pa
from zhiyin.core import columns as c
from zhiyin.store.lake import Lake
from zhiyin.testing.contract_store import DAY, MIDNIGHT, tag, touch

lake = Lake(Path(sys.argv[1]) / "lake")
print("ready", flush=True)
handle = lake.open("touches")
done = -1 if handle is None else (handle.transaction_version("journal") or 0)
for segment in range(max(done - 2, 0), {SEGMENTS}):  # a few are offered again
    rows = [touch(segment * {ROWS} + n, MIDNIGHT) for n in range({ROWS})]
    lake.append("touches", pa.Table.from_pylist(rows), app="journal", seq=segment)
    tags = [tag(DAY, f"p_{{n}}", f"segment {{segment}}") for n in range({ROWS})]
    lake.replace("tags", pa.Table.from_pylist(tags), scope={{c.AS_OF_ON: DAY}})
"""


def test_segments_are_there_once_however_often_the_writer_is_killed(tmp_path):
    chance = random.Random(os.urandom(8))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    killed = 0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            env=environment,
            stdout=subprocess.PIPE,
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        try:
            moment = chance.uniform(0, 0.4) if killed < 4 else None
            code = writer.wait(moment)
        except subprocess.TimeoutExpired:
            writer.send_signal(signal.SIGKILL)
            code = writer.wait()
            killed += 1
        writer.stdout.close()
        if code == 0:
            break
        assert code == -signal.SIGKILL
    else:
        raise AssertionError("the writer did not come to its end")
    assert killed > 0
    store = open_store(tmp_path, zone=ZONE)
    touches = store.read("touches").to_pyarrow()
    expected = [touch(n, MIDNIGHT)[c.TOUCH_ID] for n in range(SEGMENTS * ROWS)]
    assert sorted(touches[c.TOUCH_ID].to_pylist()) == sorted(expected)
    tags = store.read("tags").to_pyarrow()
    wanted = pa.Table.from_pylist(
        [tag(DAY, f"p_{n}", f"segment {SEGMENTS - 1}") for n in range(ROWS)]
    )
    assert sorted(tags[c.CUSTOMER_ID].to_pylist()) == sorted(wanted[c.CUSTOMER_ID].to_pylist())
    assert set(tags[c.TAG].to_pylist()) == {f"segment {SEGMENTS - 1}"}
    store.close()
