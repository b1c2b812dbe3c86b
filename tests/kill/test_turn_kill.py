"""A turn that is killed with -9 anywhere ends, when run again, in the same tables."""

from __future__ import annotations

import os
import shutil
import time
from datetime import date

import numpy as np
import pytest

from tests.commands import start_command
from tests.loop.shops import load_tables, make_workspace
from zhiyin.app import Workspace
from zhiyin.core.tables import TABLES
from zhiyin.simulate.config import ShopConfig
from zhiyin.simulate.retailer import Shop

AS_OF = date(2024, 8, 28)  # start of the campaign k007
CONFIG = ShopConfig(customers=300, products=40)
DERIVED = tuple(name for name, one in TABLES.items() if not one.writer.startswith("collect"))


@pytest.fixture(scope="module")
def shop_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    tables = Shop(CONFIG, seed=11).history(date(2024, 9, 12))
    with make_workspace(folder / "shop", CONFIG, demo=True) as workspace:
        load_tables(workspace, tables, folder / "raw", now=date(2024, 9, 13))
    return folder


def copy_of(shop_folder, name):
    return shutil.copytree(shop_folder / "shop", shop_folder / name)


def start_run(folder):
    return start_command(
        "run", "--as-of", AS_OF.isoformat(), "-w", str(folder), said=folder / "errors.log"
    )


def errors_of(folder) -> str:
    return (folder / "errors.log").read_text(encoding="utf-8")


def contents(folder) -> dict[str, list[str]]:
    """Every derived table without volatile columns, sorted by all of the rest."""
    found = {}
    with Workspace.open(folder) as workspace:
        for name in DERIVED:
            volatile = {one.name for one in TABLES[name].columns if one.volatile} | {"turn_id"}
            rows = workspace.table(name).to_pyarrow()
            kept = rows.select([one for one in rows.column_names if one not in volatile])
            found[name] = sorted(repr(tuple(row.values())) for row in kept.to_pylist())
    return found


def kill_until_done(folder, needed_s: float, rng: np.random.Generator) -> int:
    """Start the turn and kill it after ever longer shares of `needed_s`, until it ends."""
    kills = 0
    while True:
        process = start_run(folder)
        process.join(needed_s * (rng.uniform(0.05, 0.4) + 0.15 * kills))
        if not process.is_alive():
            assert process.exitcode == 0, errors_of(folder)
            return kills
        process.kill()
        process.join()
        kills += 1


def test_a_turn_killed_at_random_moments_ends_in_the_same_tables(shop_folder):
    whole = copy_of(shop_folder, "whole")
    began = time.monotonic()
    process = start_run(whole)
    process.join()
    needed_s = time.monotonic() - began
    assert process.exitcode == 0, errors_of(whole)
    expected = contents(whole)
    assert len(expected["decisions"]) > 50
    rng = np.random.default_rng(int(os.environ.get("TORTURE_SEED", "5")))
    for patience in (1.0, 0.5, 0.25, 0.1):  # the machine may be quicker now than it was
        broken = copy_of(shop_folder, f"broken-{patience}")
        kills = kill_until_done(broken, needed_s * patience, rng)
        if kills >= 2:
            break
    assert kills >= 2, "the turn was never interrupted"
    got = contents(broken)
    for name in DERIVED:
        assert got[name] == expected[name], name
    kept = sorted(one.name for one in (broken / "outbox").glob("*.eml"))
    assert kept == sorted(one.name for one in (whole / "outbox").glob("*.eml"))
    assert kept
