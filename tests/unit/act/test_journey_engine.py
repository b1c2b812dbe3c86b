"""The engine of journeys on SQLite."""

import pytest

from tests.unit.act.journey_engine import JourneyEngineContract
from zhiyin.testing.store import MemoryStore


class TestOnSqlite(JourneyEngineContract):
    """Every promise, in memory."""

    @pytest.fixture
    def ledger(self):
        store = MemoryStore(zone="UTC")
        yield store.ledger
        store.close()
