"""A turn that was cut off before an erasure is taken up by a new one, or refused."""

from __future__ import annotations

from datetime import date

import pytest

from tests.loop.shops import load_tables, make_workspace
from zhiyin import loop
from zhiyin.core.errors import WorkspaceError
from zhiyin.core.registry import Registry
from zhiyin.loop import JOBS
from zhiyin.simulate.config import ShopConfig
from zhiyin.simulate.retailer import Shop

AS_OF = date(2024, 8, 28)  # start of the campaign k007


def test_a_turn_that_was_cut_off_before_an_erasure_is_taken_up_by_a_new_one(tmp_path, monkeypatch):
    few = ("collect.facts", "profile.features")  # that there are more jobs changes nothing
    monkeypatch.setattr(loop, "JOBS", Registry("job", {one: JOBS.built_in[one] for one in few}))
    config = ShopConfig(customers=60, products=20)
    with make_workspace(tmp_path / "shop", config, demo=True) as workspace:
        tables = Shop(config, seed=11).history(date(2024, 9, 12))
        load_tables(workspace, tables, tmp_path / "raw", now=date(2024, 9, 13))
        workspace.run(as_of=AS_OF, only="collect.facts")  # the rest is left undone
        workspace.erase(someone(workspace))
        workspace.run(as_of=AS_OF)
        assert workspace.table("features").count().to_pyarrow().as_py()
        workspace.erase(someone(workspace))
        with pytest.raises(WorkspaceError, match="an erasure removed what it read") as refused:
            workspace.run(as_of=AS_OF, only="profile.features")
    assert "zhiyin run --again" in refused.value.hint


def someone(workspace) -> str:
    return sorted(workspace.table("customers").party_id.to_pyarrow().to_pylist())[0]
