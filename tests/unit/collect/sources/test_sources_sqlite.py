"""Pulls of an SQLite database."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tests.unit.collect.sources.databases import DatabaseContract
from zhiyin.collect.sources.sql import open_database
from zhiyin.core.errors import InputError


class TestSqlite(DatabaseContract):
    @pytest.fixture
    def database(self, tmp_path):
        engine = sa.create_engine(f"sqlite:///{tmp_path}/till.db")
        yield engine
        engine.dispose()


def test_a_file_that_is_not_there_is_not_made(tmp_path):
    path = tmp_path / "none.db"
    opened = open_database(f"sqlite:///{path}", password="")
    with pytest.raises(InputError, match="no such SQLite file"), opened:
        pass
    assert not path.exists()
