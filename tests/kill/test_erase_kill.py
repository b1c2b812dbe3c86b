"""An erasure is killed at random moments and run again: nothing of the person is left, no total
has changed (law 7).

`make torture` kills it many times; here it is done twice.
"""

import os
import random
import time

import pytest

from tests.commands import start_command
from tests.unit.person import people
from zhiyin.app import Workspace
from zhiyin.core.ledger import steps, turns
from zhiyin.core.tables import TABLES
from zhiyin.person.erase import pending_erasures
from zhiyin.store.erase import measure_totals, way_of
from zhiyin.store.traces import find_traces

SEED = int(os.environ.get("TORTURE_SEED", "1"))
KILLS = int(os.environ.get("TORTURE_ERASURES", "2"))
FACTS = [name for name, table in TABLES.items() if way_of(table) == "rename"]


def start_erasure(folder):
    said = folder.with_name("said.txt")  # outside the workspace: who is erased is named in it
    return start_command("erase", people.ANA, "--yes", "-w", str(folder), said=said)


def wait_for(process, folder, *, seconds):
    """Until the erasure has begun and so many seconds more; whether it still runs then."""
    with Workspace.open(folder) as shop:
        while process.is_alive() and not pending_erasures(shop.store):
            pass
    begun = time.monotonic()
    while process.is_alive() and time.monotonic() - begun < seconds:
        pass
    return process.is_alive()


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_erasure_is_completed_and_no_total_changes(tmp_path, number):
    chance = random.Random(f"{SEED}-{number}")
    with people.make_shop(tmp_path) as shop:
        ids = people.add_messages(shop)
        people.add_derived(shop)
        with shop.store.begin() as connection:  # its turn is only noted: no report can be made
            connection.execute(steps.delete())
            connection.execute(turns.delete())
        needles = [*people.OF_ANA, people.party_of(shop, people.ANA), ids[people.ANA]]
        before = {name: measure_totals(shop.store, name) for name in FACTS}
        folder = shop.folder
    assert find_traces(folder, needles), "she was there before"
    killed = 0
    for longest in (0.3, 2.0):
        process = start_erasure(folder)
        if wait_for(process, folder, seconds=chance.uniform(0, longest)):
            process.kill()
            killed += 1
        process.join()
    assert killed, "nothing was killed"
    process = start_erasure(folder)
    process.join()
    said = folder.with_name("said.txt").read_text(encoding="utf-8")
    assert process.exitcode == 0 or "no customer has this identifier" in said, said
    assert find_traces(folder, needles) == []
    with Workspace.open(folder) as shop:
        assert pending_erasures(shop.store) == []
        assert {name: measure_totals(shop.store, name) for name in FACTS} == before
