"""DuckDB passes the contract of engines."""

from __future__ import annotations

import pytest

from zhiyin.store.engines.duckdb import DuckDBEngine
from zhiyin.store.workspace import open_store
from zhiyin.testing.contract_engine import EngineContract
from zhiyin.testing.engine_rows import ZONE


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    engine = DuckDBEngine(threads=1, memory_bytes=2**29)
    folder = tmp_path_factory.mktemp("lake") / "知音 {x}"
    folder.mkdir()
    made = open_store(folder, zone=ZONE, engine=engine)
    yield made
    made.close()


class TestDuckDB(EngineContract):
    pass
