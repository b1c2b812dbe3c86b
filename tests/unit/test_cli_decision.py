"""`zhiyin decision` and `zhiyin decide` as a person types them."""

from __future__ import annotations

import json
from datetime import date

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from typer.testing import CliRunner

from zhiyin.app import Workspace
from zhiyin.cli import app
from zhiyin.core import columns as c
from zhiyin.core.config import validate_settings

POINT = """
key = "home"
default = "none"
features = ["recency_days"]
[[actions]]
name = "none"
[[actions]]
name = "gift"
"""
DAY = date(2026, 3, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "shop"
    with Workspace.create(path, validate_settings({"name": "shop"}, where="test")) as shop:
        parties = shop.vault.party_ids("user_id", [f"u{n}" for n in range(6)])
        rows = [{c.AS_OF_ON: DAY, c.CUSTOMER_ID: one, "recency_days": n}
                for n, one in enumerate(parties)]  # fmt: skip
        shop.store.replace("features", pa.Table.from_pylist(rows), scope={c.AS_OF_ON: DAY})
    (path / "home.toml").write_text(POINT)
    return path


def run(folder, *words):
    done = CliRunner().invoke(app, [*words, "-w", str(folder)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_point_is_put_looked_at_and_asked_about_everybody(folder):
    file = str(folder / "home.toml")
    checked = CliRunner().invoke(app, ["decision", "check", file])
    assert checked.output == "home: 2 actions, 1 numbers\n"
    assert run(folder, "decision", "put", file) == "home: version 1, active\n"
    assert "linear_thompson-" in run(folder, "decision", "list")
    out = folder / "choices.csv"
    said = run(folder, "decide", "home", "--out", str(out))
    assert said.startswith(f"6 customers as of {DAY}")
    rows = pa_csv.read_csv(out).to_pylist()
    assert len({one[c.CUSTOMER_ID] for one in rows}) == 6
    assert {one[c.ACTION] for one in rows} <= {"none", "gift"}
    assert run(folder, "decision", "pause", "home") == "home: version 1, paused\n"
    shown = json.loads(run(folder, "decision", "show", "home"))
    assert (shown["state"], shown["policies"][0]["number"]) == ("paused", 1)
    assert run(folder, "decision", "resume", "home") == "home: version 1, active\n"


def test_what_cannot_be_done_is_said(folder, tmp_path):
    for words in (["decide", "cellar"], ["decide", "home", "--out", "choices.xls"],
                  ["decide", "home", "--as-of", "2020-01-01"],
                  ["decision", "put", str(tmp_path / "gone.toml")]):  # fmt: skip
        done = CliRunner().invoke(app, [*words, "-w", str(folder)])
        assert done.exit_code != 0
