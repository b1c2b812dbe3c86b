"""Spark passes the contract of engines."""

from __future__ import annotations

import pytest

from zhiyin.store.workspace import open_store
from zhiyin.testing.contract_engine import EngineContract
from zhiyin.testing.engine_rows import ZONE


@pytest.fixture(scope="module")
def store(engine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lake") / "知音 {x}"
    folder.mkdir()
    made = open_store(folder, zone=ZONE, engine=engine)
    yield made
    made.close()


class TestSpark(EngineContract):
    pass
