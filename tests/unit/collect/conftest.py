from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.unit.collect.fakes import MortalStore
from zhiyin.collect.load import load_file
from zhiyin.collect.mapping import parse_mapping
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import Settings
from zhiyin.store.vault import Keys, LocalVault

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store():
    return MortalStore()


@pytest.fixture
def vault(store):
    return LocalVault(Keys.make(demo=True), store.ledger)


@pytest.fixture
def clock():
    return FrozenClock(NOW)


@pytest.fixture
def settings():
    return Settings(name="shop", currency="USD", zone="America/New_York")


@pytest.fixture
def load(store, vault, settings, clock, tmp_path):
    """Write `text` to a file and load it; keyword `mapping` is a dict as parsed from TOML."""

    def run(table, text, *, mapping=None, name="file.csv", **more):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        made = None if mapping is None else parse_mapping(mapping, where="test")
        return load_file(
            more.pop("store", store), vault, more.pop("settings", settings), clock, path, table,
            made, **more,
        )  # fmt: skip

    return run
