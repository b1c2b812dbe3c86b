"""A whole turn on Spark writes what the same turn on DuckDB writes."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.loop.shops import load_tables, make_workspace
from tests.spark.conftest import QUICK
from zhiyin.app import Workspace
from zhiyin.core.config import FILE_NAME
from zhiyin.core.config_text import render_settings
from zhiyin.core.ledger import messages
from zhiyin.core.tables import TABLES
from zhiyin.loop import last_turn
from zhiyin.simulate.config import ShopConfig
from zhiyin.simulate.retailer import Shop
from zhiyin.testing.contract_engine import TOLERANCE, assert_alike

CONFIG = ShopConfig(customers=160, products=30, orders_per_day=0.08)
SETTINGS = {
    "decide": {"max_share": 1.0, "explore_share": 0.1, "holdout_share": 0.5},
    "understand": {"min_positives": 10, "recommend_min_buyers": 5, "purchase_horizon_days": 30},
    "profile": {"history_campaigns": 3, "purchase_snapshots": 2},
    "measure": {"bootstrap": 100},
}


@pytest.fixture(scope="module")
def turned(engine, tmp_path_factory):
    """The same shop after a turn on DuckDB and one more, on each of the engines."""
    folder = tmp_path_factory.mktemp("turn")
    shop = Shop(CONFIG, seed=3)
    days = [CONFIG.opened_on + timedelta(one.start) for one in shop.campaigns if one.start >= 150]
    workspace = make_workspace(folder / "duckdb", CONFIG, **SETTINGS)
    load_tables(workspace, shop.history(days[0]), folder / "raw0", now=days[0])
    workspace.run(as_of=days[0])
    load_tables(workspace, shop.step(days[0], days[1], {}), folder / "raw1", now=days[1])
    workspace.close()
    shutil.copytree(folder / "duckdb", folder / "spark")
    changed = workspace.settings.model_copy(update={"engine": "spark", "spark": QUICK})
    (folder / "spark" / FILE_NAME).write_text(render_settings(changed), encoding="utf-8")
    made = [Workspace.open(folder / name, write=True) for name in ("duckdb", "spark")]
    for one in made:
        one.run(as_of=days[1])
    assert made[1].store.engine is engine
    yield made
    for one in made:
        one.close()


def _steady(rows: pa.Table, name: str) -> tuple[pa.Table, list]:
    """What has to be equal: without volatile columns, JSON read and apart."""
    columns = [one for one in TABLES[name].columns if not one.volatile]
    kept = rows.select([one.name for one in columns if one.type != "json"])
    order = sorted(range(rows.num_rows), key=lambda place: repr(kept.slice(place, 1).to_pylist()))
    listed = rows.select([one.name for one in columns if one.type == "json"]).to_pylist()
    values = [{k: v and json.loads(v) for k, v in listed[place].items()} for place in order]
    return kept, values


def _is_close(made: object, wanted: object) -> bool:
    if isinstance(wanted, dict):
        same = isinstance(made, dict) and list(made) == list(wanted)
        return same and all(_is_close(made[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        same = isinstance(made, list) and len(made) == len(wanted)
        return same and all(map(_is_close, made, wanted))
    if isinstance(wanted, float):
        return made == pytest.approx(wanted, rel=TOLERANCE, abs=TOLERANCE, nan_ok=True)
    return made == wanted


def test_the_turn_is_the_same_on_either_engine(turned):
    duckdb, spark = (last_turn(one.store, one.clock).turn_id for one in turned)
    assert duckdb == spark


def test_every_table_is_that_of_the_turn_on_duckdb(turned):
    sizes = {}
    for name in TABLES:
        wanted, made = (_steady(one.store.read_stored(name).to_pyarrow(), name) for one in turned)
        assert_alike(made[0], wanted[0])
        for found, expected in zip(made[1], wanted[1], strict=True):
            assert _is_close(found, expected), name
        sizes[name] = wanted[0].num_rows
    written = ("features", "campaign_features", "tags", "memberships", "scores", "models",
               "recommendations", "decisions", "results", "insights", "quality")  # fmt: skip
    assert all(sizes[name] for name in written), sizes


def test_the_same_messages_are_planned(turned):
    def planned(workspace):
        m = messages.c
        with workspace.store.begin() as connection:
            return sorted(
                tuple(row)
                for row in connection.execute(sa.select(m.message_id, m.customer_id, m.state))
            )

    assert planned(turned[0]) == planned(turned[1])
    assert planned(turned[0])
