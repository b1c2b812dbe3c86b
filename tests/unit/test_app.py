"""The wiring: workspaces are made once, opened read-only unless asked, and say what is wrong."""

from __future__ import annotations

import pyarrow as pa
import pytest

import zhiyin
from zhiyin.app import Workspace
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import NotEnoughData, NotFound, WorkspaceError

SETTINGS = validate_settings({"name": "知音珠宝", "currency": "CNY"}, where="test")


@pytest.fixture
def folder(tmp_path):
    Workspace.create(tmp_path / "shop", SETTINGS).close()
    return tmp_path / "shop"


def test_a_notebook_reads_and_cannot_change(folder):
    with zhiyin.open(str(folder)) as workspace:
        assert workspace.table("scores").count().to_pyarrow().as_py() == 0
        with pytest.raises(WorkspaceError, match="read only") as caught:
            workspace.store.append("orders", pa.table({}), app="test")
        assert "write=True" in caught.value.hint


def test_a_workspace_is_not_made_twice(folder):
    with pytest.raises(WorkspaceError, match="already"):
        Workspace.create(folder, SETTINGS)


def test_keys_are_for_the_owner_alone(folder):
    assert (folder / "keys").stat().st_mode & 0o077 == 0


def test_an_empty_shop_cannot_be_run_and_says_what_to_load(folder):
    with Workspace.open(folder, write=True) as workspace:
        with pytest.raises(NotEnoughData) as caught:
            workspace.run()
        assert "zhiyin load order_lines" in caught.value.hint


def test_a_report_needs_a_turn(folder):
    with Workspace.open(folder) as workspace, pytest.raises(NotFound, match="no turn"):
        workspace.report()


def test_an_unknown_job_lists_the_known_ones(folder):
    from datetime import date

    with Workspace.open(folder, write=True) as workspace:
        with pytest.raises(NotFound) as caught:
            workspace.run(as_of=date(2026, 1, 1), only="decid")
        assert "decide" in caught.value.hint


def test_a_day_in_the_settings_is_the_day_of_a_turn_that_names_none(tmp_path):
    from datetime import date

    settings = validate_settings({"name": "x", "as_of": date(2017, 10, 30)}, where="test")
    with Workspace.create(tmp_path / "dated", settings) as workspace:
        assert workspace.default_day() == date(2017, 10, 30)
