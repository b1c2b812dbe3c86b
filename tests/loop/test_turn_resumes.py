"""A turn that is killed with -9 anywhere ends, when run again, in the same tables."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import date

import numpy as np
import pytest

from tests.loop.shops import load_tables, make_workspace
from zhiyin.app import Workspace
from zhiyin.core.tables import TABLES
from zhiyin.simulate.config import ShopConfig
from zhiyin.simulate.shop import Shop

AS_OF = date(2024, 8, 28)  # start of the campaign k007
CONFIG = ShopConfig(customers=400, products=60)
DERIVED = tuple(name for name, one in TABLES.items() if not one.writer.startswith("collect"))
RUN = "from zhiyin.cli import main; main()"


@pytest.fixture(scope="module")
def shop_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    tables = Shop(CONFIG, seed=11).history(date(2024, 9, 12))
    with make_workspace(folder / "shop", CONFIG, demo=True) as workspace:
        load_tables(workspace, tables, folder / "raw", now=date(2024, 9, 13))
    return folder


def copy_of(shop_folder, name):
    target = shop_folder / name
    subprocess.run(["cp", "-r", str(shop_folder / "shop"), str(target)], check=True)
    return target


def start_run(folder):
    environment = os.environ | {"ZHIYIN_WORKSPACE": str(folder)}
    command = [sys.executable, "-c", RUN, "run", "--as-of", AS_OF.isoformat()]
    with (folder / "errors.log").open("wb") as errors:
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors)


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


def test_a_turn_killed_at_random_moments_ends_in_the_same_tables(shop_folder):
    whole, broken = copy_of(shop_folder, "whole"), copy_of(shop_folder, "broken")
    process = start_run(whole)
    assert process.wait() == 0, errors_of(whole)
    expected = contents(whole)
    assert len(expected["decisions"]) > 50
    rng = np.random.default_rng(int(os.environ.get("TORTURE_SEED", "5")))
    kills, finished = 0, False
    while not finished:
        process = start_run(broken)
        try:
            patience = float(rng.uniform(1.0, 6.0)) + 2.0 * kills
            assert process.wait(timeout=patience) == 0, errors_of(broken)
            finished = True
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    assert kills >= 2, "the turn was never interrupted: shorten the patience"
    got = contents(broken)
    for name in DERIVED:
        assert got[name] == expected[name], name
    kept = sorted(one.name for one in (broken / "outbox").glob("*.eml"))
    assert kept == sorted(one.name for one in (whole / "outbox").glob("*.eml"))
    assert kept


def run(folder, *arguments) -> subprocess.CompletedProcess:
    environment = os.environ | {"ZHIYIN_WORKSPACE": str(folder)}
    command = [sys.executable, "-c", RUN, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_turn_that_was_cut_off_before_an_erasure_is_taken_up_by_a_new_one(tmp_path):
    folder, few = tmp_path / "shop", ShopConfig(customers=60, products=20)
    with make_workspace(folder, few, demo=True) as workspace:
        tables = Shop(few, seed=11).history(date(2024, 9, 12))
        load_tables(workspace, tables, tmp_path / "raw", now=date(2024, 9, 13))
    of_day = ("--as-of", AS_OF.isoformat())
    first = run(folder, "run", *of_day, "--only", "collect.facts")  # the rest is left undone
    assert first.returncode == 0, first.stderr
    assert run(folder, "erase", someone(folder), "--yes").returncode == 0
    whole = run(folder, "run", *of_day)
    assert whole.returncode == 0, whole.stderr
    assert contents(folder)["features"]
    assert run(folder, "erase", someone(folder), "--yes").returncode == 0
    refused = run(folder, "run", *of_day, "--only", "measure")
    assert refused.returncode == 1
    assert "an erasure removed what it read" in refused.stderr
    assert "zhiyin run --again" in refused.stderr


def someone(folder) -> str:
    with Workspace.open(folder) as workspace:
        return sorted(workspace.table("customers").party_id.to_pyarrow().to_pylist())[0]
